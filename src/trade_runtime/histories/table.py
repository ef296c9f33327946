"""Tables: CSV and Parquet files with named columns, read by Arrow in blocks; one, or a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from trade_runtime.errors import DataError
from trade_runtime.histories.arrays import plain
from trade_runtime.histories.columns import EVERYTHING, OPTIONS, Columns, pick, read_files
from trade_runtime.histories.files import errors_of, files_of
from trade_runtime.histories.options import check_options, text_of
from trade_runtime.histories.rows import Rows
from trade_runtime.histories.text import (
    CHUNK_ROWS,
    Text,
    blocks_of,
    check_full,
    first_fields,
    is_whole,
)
from trade_runtime.histories.times import times_of
from trade_runtime.protocols import HistoryPlugin, HistoryQuery, MarketEvent

KINDS: Final = frozenset(EVERYTHING)

CSV_SUFFIXES: Final = (".csv", ".csv.gz")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")

TABLE_OPTIONS: Final = ("columns", "files", "time_unit", "time_format")

DELIMITERS: Final = {",": ",", ";": ";", "\t": "\\t", "|": "|"}
"""What most often stands between two fields, and how it is written in TOML."""

SIDES_AS_WRITTEN: Final = {"buy": 0, "sell": 1, "bid": 0, "ask": 1}
"""Which of `SIDES` a word means, in either case. Who bids buys."""


def read_parquet(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of a Parquet file, or of a folder of them.

    Raises:
        DataError: with the file and the row.
    """
    check_options(query, (*OPTIONS[query.kind], *TABLE_OPTIONS))
    paths = files_of(query, lambda name: name.endswith(PARQUET_SUFFIXES))
    yield from read_files(query, paths, lambda path, rows: _parquet_blocks(path, query, rows))


def _parquet_blocks(path: Path, query: HistoryQuery, rows: Rows) -> Iterator[Columns]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - only a backtest needs it

    with errors_of(path):
        file = pq.ParquetFile(path)
    with closing(file):
        names = pick(file.schema_arrow.names, query, path)
        batches = file.iter_batches(CHUNK_ROWS, columns=list(names.values()))
        while True:
            with errors_of(path):
                batch = next(batches, None)
            if batch is None:
                return
            if batch.num_rows:
                yield _columns(batch, names, query, rows)


def read_csv(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of a CSV file, plain or compressed by gzip, or of a folder of them.

    The first line names the columns, or the option `columns` lists them.

    Raises:
        DataError: with the file and the line.
    """
    check_options(query, (*OPTIONS[query.kind], *TABLE_OPTIONS, "delimiter"))
    paths = files_of(query, lambda name: name.endswith(CSV_SUFFIXES))
    yield from read_files(query, paths, lambda path, rows: _csv_blocks(path, query, rows))


def _csv_blocks(path: Path, query: HistoryQuery, rows: Rows) -> Iterator[Columns]:
    delimiter = text_of(query, "delimiter", ",")
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '\r\n"':
        raise DataError(
            f"{path}: the option delimiter must be one character of ASCII, got {delimiter!r}"
        )
    listed = query.options.get("columns")
    header = not isinstance(listed, list | tuple)
    own = first_fields(path, delimiter) if header else [str(name) for name in listed or ()]
    _check_delimiter(path, own, delimiter)
    names = pick(own, query, path, listed=not header)
    text = Text(path, own if header else _unique(own), header, delimiter)
    rows.line_of = text.line_of
    sample = dict(zip(own, text.top(), strict=False))
    dated = "time_format" in query.options
    kinds = {
        theirs: _kind_of(ours, query, plain=is_whole(sample.get(theirs, "")) and not dated)
        for ours, theirs in names.items()
    }
    for batch in blocks_of(text, kinds, rows):
        yield _columns(batch, names, query, rows)


def _check_delimiter(path: Path, names: Sequence[str], delimiter: str) -> None:
    """Refuse a header of one name that another delimiter would part: most often it is that."""
    for sign, written in DELIMITERS.items():
        if len(names) == 1 and sign != delimiter and sign in names[0]:
            raise DataError(
                f'{path}: has one column, "{names[0]}"; write options = {{ delimiter ='
                f' "{written}" }}'
            )


def _unique(names: Sequence[str]) -> list[str]:
    """Give columns that the list leaves nameless a name each: Arrow wants one."""
    return [name or f"column {number}" for number, name in enumerate(names, 1)]


def _kind_of(ours: str, query: HistoryQuery, *, plain: bool) -> str:
    """Return what the fields of a column are to be read as."""
    if ours in ("ts_ns", "open_ns"):
        return "time" if plain else "text"
    if ours in ("trade_id", "trades", "update_id"):
        return "whole"
    if ours == "snapshot":
        return "truth"
    if ours in ("aggressor", "side") or query.kind == "book":
        return "text"
    return "number"


def _columns(
    batch: Any, names: Mapping[str, str], query: HistoryQuery, rows: Rows
) -> dict[str, Any]:
    """Return a block's columns by our names; missing cells are refused."""
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it
    import pyarrow.types as pt  # noqa: PLC0415

    found: dict[str, Any] = {}
    for ours, theirs in names.items():
        column = batch.column(theirs)
        check_full(column, theirs, rows)
        if ours in ("ts_ns", "open_ns"):
            found[ours] = times_of(column, ours, query, rows)
        elif ours in ("aggressor", "side"):
            _check_type(not pt.is_nested(column.type), column, theirs, "buy or sell", rows)
            found[ours] = _sides(column, ours, rows)
        elif ours in ("trade_id", "trades", "update_id"):
            _check_type(pt.is_integer(column.type), column, theirs, "whole numbers", rows)
            found[ours] = plain(column)
        elif ours == "snapshot":
            _check_type(pt.is_boolean(column.type), column, theirs, "true or false", rows)
            found[ours] = plain(column)
        elif query.kind == "book":
            found[ours] = _decimals(column, ours, rows)
        else:
            _check_type(_is_number(column.type), column, theirs, "numbers", rows)
            numbers = column.cast(pa.float64(), safe=False)
            found[ours] = plain(numbers)
    return found


def _is_number(kind: Any) -> bool:
    import pyarrow.types as pt  # noqa: PLC0415 - only a backtest needs it

    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


def _check_type(fits: object, column: Any, name: str, wanted: str, rows: Rows) -> None:
    if not fits:
        raise DataError(
            f"{rows.path}: column {name} is of type {column.type}; it must have {wanted}"
        )


def _sides(column: Any, name: str, rows: Rows) -> Any:
    """Return which side each word means."""
    import numpy as np  # noqa: PLC0415 - only a backtest needs it
    import pyarrow as pa  # noqa: PLC0415

    try:
        coded = column.cast(pa.string()).dictionary_encode()
    except pa.ArrowInvalid:
        raise rows.error(0, f"{name} is not text; it must be buy or sell") from None
    words, codes = coded.dictionary.to_pylist(), plain(coded.indices)
    meanings = [SIDES_AS_WRITTEN.get(word.lower(), -1) for word in words]
    if -1 in meanings:
        code = meanings.index(-1)
        index = int((codes == code).argmax())
        raise rows.error(index, f'{name} is "{words[code]}"; it must be buy or sell')
    return np.array(meanings)[codes]


def _decimals(column: Any, name: str, rows: Rows) -> list[Decimal]:
    """Return numbers exactly as they are written; a binary float by its shortest text."""
    found = []
    for index, value in enumerate(column.to_pylist()):
        try:
            found.append(value if isinstance(value, Decimal) else Decimal(str(value)))
        except InvalidOperation:
            raise rows.error(index, f'{name} is "{value}", which is no number') from None
    return found


csv_plugin = HistoryPlugin(read_csv, KINDS, CSV_SUFFIXES)
parquet_plugin = HistoryPlugin(read_parquet, KINDS, PARQUET_SUFFIXES)
