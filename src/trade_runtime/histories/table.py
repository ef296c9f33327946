"""Tables: CSV and Parquet files with named columns, read by Arrow in blocks."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from trade_runtime.errors import DataError
from trade_runtime.histories.columns import (
    CHUNK_ROWS,
    NUMBERS,
    UNITS,
    Rows,
    in_chunks,
    pick,
)
from trade_runtime.protocols import HistoryPlugin, HistoryQuery, MarketEvent

CSV_BLOCK_BYTES: Final = 4 * 1024 * 1024

KINDS: Final = frozenset(NUMBERS)


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn what the file system and Arrow raise into an error of ours."""
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it

    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; name one that exists") from None
    except (pa.ArrowException, EOFError, OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read: {' '.join(str(error).split())};"
            " it may be cut off, or be of another format"
        ) from None


def read_parquet(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of a Parquet file.

    Raises:
        DataError: with the file and the row.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - only a backtest needs it

    with errors_of(query.path):
        file = pq.ParquetFile(query.path)
    with closing(file):
        names = pick(file.schema_arrow.names, query)
        rows = Rows(query.path, first_line=0)

        def blocks() -> Iterator[tuple[Mapping[str, Any], int]]:
            batches = file.iter_batches(CHUNK_ROWS, columns=list(names.values()))
            while True:
                with errors_of(query.path):
                    batch = next(batches, None)
                if batch is None:
                    return
                yield _columns(batch, names, query, rows), batch.num_rows

        yield from in_chunks(blocks(), query, rows)


def read_csv(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of a CSV file with a header, also one that is compressed by gzip.

    Raises:
        DataError: with the file and the line.
    """
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it
    import pyarrow.csv as pc  # noqa: PLC0415

    with errors_of(query.path):
        header, sample = _top(query.path)
    if not header:
        raise DataError(f"{query.path}: is empty; name a file with history in it")
    names = pick(header, query)
    types = {names[ours]: pa.float64() for ours in NUMBERS[query.kind] if ours in names}
    for ours in ("ts_ns", "open_ns"):
        if ours in names:
            plain = sample.get(names[ours], "").lstrip("-").isdigit()
            types[names[ours]] = pa.int64() if plain else pa.string()
    if "aggressor" in names:
        types[names["aggressor"]] = pa.string()
    rows = Rows(query.path, first_line=2)

    def blocks() -> Iterator[tuple[Mapping[str, Any], int]]:
        try:
            reader = pc.open_csv(
                query.path,
                read_options=pc.ReadOptions(block_size=CSV_BLOCK_BYTES),
                convert_options=pc.ConvertOptions(
                    column_types=types, include_columns=list(names.values())
                ),
            )
            with closing(reader):
                for batch in reader:
                    for first in range(0, batch.num_rows, CHUNK_ROWS):
                        part = batch.slice(first, CHUNK_ROWS)
                        yield _columns(part, names, query, rows), part.num_rows
        except (pa.ArrowException, EOFError, OSError) as error:
            raise _located(query, names, error) from None

    yield from in_chunks(blocks(), query, rows)


def _open_text(path: Path) -> Any:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _top(path: Path) -> tuple[list[str], dict[str, str]]:
    """Return the header of a CSV file and its first row."""
    with _open_text(path) as file:
        reader = csv.reader(file)
        header = next(reader, [])
        return header, dict(zip(header, next(reader, []), strict=False))


def _located(query: HistoryQuery, names: Mapping[str, str], error: Exception) -> DataError:
    """Return the error of the first line that keeps the file from being read."""
    try:
        with _open_text(query.path) as file:
            reader = csv.reader(file)
            header = next(reader)
            for row in reader:
                if len(row) != len(header):
                    return DataError(
                        f"{query.path}: line {reader.line_num}: has {len(row)} fields,"
                        f" the header {len(header)}; mend or remove it"
                    )
                line = dict(zip(header, row, strict=True))
                for ours in NUMBERS[query.kind]:
                    text = line.get(names.get(ours, ""), "0")
                    if not is_number(text):
                        return DataError(
                            f'{query.path}: line {reader.line_num}: {ours} is "{text}",'
                            " which is no number"
                        )
                time = line[names["ts_ns"]]
                if not time.lstrip("-").isdigit():
                    return DataError(
                        f'{query.path}: line {reader.line_num}: the time is "{time}", which is no'
                        " whole number"
                    )
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as damage:
        error = damage
    return DataError(
        f"{query.path}: cannot be read: {' '.join(str(error).split())};"
        " it may be cut off, or be of another format"
    )


def is_number(text: str) -> bool:
    """Whether a field is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(
    batch: Any, names: Mapping[str, str], query: HistoryQuery, rows: Rows
) -> dict[str, Any]:
    """Return a block's columns by our names, as arrays; missing cells are refused."""
    import numpy as np  # noqa: PLC0415 - only a backtest needs it
    import pyarrow as pa  # noqa: PLC0415

    found: dict[str, Any] = {}
    for ours, theirs in names.items():
        column = batch.column(batch.schema.get_field_index(theirs))
        if column.null_count:
            index = int(np.asarray(column.is_null()).argmax())
            raise rows.error(index, f"{ours} is empty, or no number")
        if ours in ("ts_ns", "open_ns"):
            found[ours] = _times(column, query, rows, ours)
        elif ours == "aggressor":
            found[ours] = np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False))
        elif pa.types.is_integer(column.type) and ours in ("trade_id", "trades"):
            found[ours] = column.to_numpy()
        elif _numeric(column.type):
            found[ours] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        else:
            raise DataError(
                f"{query.path}: column {theirs} is of type {column.type}; {ours} must be a number"
            )
    return found


def _numeric(kind: Any) -> bool:
    import pyarrow.types as pt  # noqa: PLC0415 - only a backtest needs it

    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


def _times(column: Any, query: HistoryQuery, rows: Rows, name: str) -> Any:
    """Return times as whole nanoseconds since the epoch; one without a zone is UTC."""
    import numpy as np  # noqa: PLC0415 - only a backtest needs it
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64()).to_numpy()
    if pa.types.is_integer(column.type):
        values = column.cast(pa.int64()).to_numpy()
        unit = query.options.get("time_unit", "nanoseconds")
        if unit == "nanoseconds":
            return values
        if unit not in UNITS:
            known = ", ".join(["nanoseconds", *UNITS])
            raise DataError(f"{query.path}: time_unit {unit!r} is not known; there are {known}")
        return values * UNITS[unit]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(
            [_moment(text, index, rows) for index, text in enumerate(column.to_pylist())],
            dtype=np.int64,
        )
    raise DataError(f"{query.path}: {name} is of type {column.type}; times are whole nanoseconds")


def _moment(text: str, index: int, rows: Rows) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise rows.error(
            index, f'the time "{text}" is neither nanoseconds nor an ISO 8601 date'
        ) from None
    offset = moment.utcoffset()
    if rows.zone == "":
        rows.zone = str(offset)
    if rows.zone != str(offset):
        raise rows.error(
            index,
            f'the time "{text}" is in another time zone than the rows above; use one in the file',
        )
    naive = moment.replace(tzinfo=None) - (offset or timedelta())
    since = naive - datetime(1970, 1, 1)  # noqa: DTZ001 - both are UTC by now
    fraction = text.partition(".")[2]
    digits = "".join(ch for ch in fraction[:9] if ch.isdigit())
    nanos = int(digits.ljust(9, "0")) if digits else 0
    return (since.days * 86_400 + since.seconds) * 10**9 + nanos


csv_plugin = HistoryPlugin(read_csv, KINDS, (".csv", ".csv.gz"))
parquet_plugin = HistoryPlugin(read_parquet, KINDS, (".parquet", ".pq"))
