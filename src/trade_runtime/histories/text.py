"""Text in columns, read by Arrow in blocks: what CSV, Binance's dumps and LEAN's files share.

Fields are read as the type they must have, which is quick; where one is not of it, the file is gone
through once more, line by line, for the line to name. Empty lines are nothing, and are counted.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from trade_runtime.errors import DataError
from trade_runtime.histories.files import errors_of, opened, unreadable
from trade_runtime.histories.rows import Rows

CHUNK_ROWS: Final = 65_536
"""Rows that are read, and made into events, at a time."""

CSV_BLOCK_BYTES: Final = 4_194_304
"""Text that is read at a time."""

BYTE_ORDER_MARK: Final = "\ufeff"
"""What some programs begin a file with."""

TRUE: Final = ("true", "True", "TRUE", "1")
FALSE: Final = ("false", "False", "FALSE", "0")


def is_whole(text: str) -> bool:
    """Whether a field is a whole number."""
    return text.removeprefix("-").isdecimal() and text.isascii()


def _is_int64(text: str) -> bool:
    return is_whole(text) and len(text.lstrip("-0")) < 20 and -(2**63) <= int(text) < 2**63


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not (set(text) & set("_ "))


FIELDS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "number": (_is_number, "no number"),
    "whole": (_is_int64, "no whole number of 64 bits"),
    "time": (_is_int64, "no whole number of 64 bits"),
    "truth": (lambda text: text in TRUE + FALSE, "neither true nor false"),
    "text": (lambda _: True, ""),
}
"""What a field can be, how it is known, and what one is that is not."""


@attrs.frozen
class Text:
    """A file of text in columns.

    Attributes:
        path: plain, or compressed by gzip or zip.
        names: of all its columns, in their order.
        header: the first line that is not empty says the names.
        delimiter: what stands between two fields.
    """

    path: Path
    names: Sequence[str]
    header: bool
    delimiter: str = ","

    def line_of(self, row: int) -> int:
        """Return the line of a row, counted from 0."""
        with opened(self.path) as file:
            for index, (line, _) in enumerate(_lines(self, file)):
                if index == row:
                    return line
        return 0

    def top(self) -> list[str]:
        """Return the fields of the first row; none where there is no row."""
        with errors_of(self.path), opened(self.path) as file:
            return next(_lines(self, file), (0, []))[1]


def first_fields(path: Path, delimiter: str = ",") -> list[str]:
    """Return the fields of a file's first line: its header, where it has one.

    Raises:
        DataError: it cannot be read, or is empty.
    """
    found = Text(path, (), header=False, delimiter=delimiter).top()
    if not found:
        raise DataError(f"{path}: is empty; name a file with history in it")
    return found


def blocks_of(text: Text, kinds: Mapping[str, str], rows: Rows) -> Iterator[Any]:
    """Give a file's rows in record batches of at most `CHUNK_ROWS`, with the columns asked for.

    Args:
        text: the file.
        kinds: by the file's name for a column, which of `FIELDS` it must be.
        rows: where the history stands.

    Raises:
        DataError: with the file, and the line that is not what it should be.
    """
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it
    import pyarrow.csv as pc  # noqa: PLC0415

    of_kind = {
        "number": pa.float64(),
        "whole": pa.int64(),
        "time": pa.int64(),
        "truth": pa.bool_(),
        "text": pa.string(),
    }
    with errors_of(text.path), opened(text.path) as file:
        if text.header:
            _skip_header(file)
        try:
            reader = pc.open_csv(
                file,
                pc.ReadOptions(block_size=CSV_BLOCK_BYTES, column_names=list(text.names)),
                pc.ParseOptions(delimiter=text.delimiter),
                pc.ConvertOptions(
                    column_types={name: of_kind[kind] for name, kind in kinds.items()},
                    include_columns=list(kinds),
                    true_values=list(TRUE),
                    false_values=list(FALSE),
                ),
            )
            for batch in reader:
                for first in range(0, batch.num_rows, CHUNK_ROWS):
                    part = batch.slice(first, CHUNK_ROWS)
                    for name in kinds:
                        check_full(part.column(name), name, rows)
                    yield part
        except pa.ArrowInvalid as error:
            if "Empty CSV file" not in str(error):
                raise _located(text, kinds, error) from None


def check_full(column: Any, name: str, rows: Rows) -> None:
    """Refuse a column of the present block that has an empty cell.

    Raises:
        DataError: with the file and the row.
    """
    if column.null_count:
        raise rows.error(column.is_null().to_pylist().index(True), f"{name} is empty, or no number")


def _skip_header(file: Any) -> None:
    for line in file:
        if line.strip():
            return


def _lines(text: Text, file: Any) -> Iterator[tuple[int, list[str]]]:
    """Give the fields of each row with the number of its line; empty lines are left out."""
    reader = csv.reader(_decoded(text, file), delimiter=text.delimiter)
    try:
        header = text.header
        for fields in reader:
            if fields and header:
                header = False
            elif fields:
                yield reader.line_num, fields
    except csv.Error as error:
        if "new-line" in str(error):
            raise DataError(
                f"{text.path}: its lines end with a carriage return alone; save it with line feeds"
            ) from None
        raise ValueError(f"line {reader.line_num}: {error}") from None


def _decoded(text: Text, file: Any) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        try:
            decoded: str = line.decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(
                f"{text.path}: line {number}: is not in UTF-8; save the file as UTF-8"
            ) from None
        yield decoded.removeprefix(BYTE_ORDER_MARK)


def _located(text: Text, kinds: Mapping[str, str], error: Exception) -> DataError:
    """Return the error of the first line that keeps the file from being read."""
    with errors_of(text.path), opened(text.path) as file:
        for line, fields in _lines(text, file):
            if len(fields) != len(text.names):
                expected = (
                    f"the header {len(text.names)}" if text.header else f"not {len(text.names)}"
                )
                return DataError(
                    f"{text.path}: line {line}: has {len(fields)} fields, {expected};"
                    " mend or remove it"
                )
            for name, field in zip(text.names, fields, strict=True):
                is_one, otherwise = FIELDS[kinds.get(name, "text")]
                if field and not is_one(field):
                    what = "the time" if kinds[name] == "time" else name
                    return DataError(
                        f'{text.path}: line {line}: {what} is "{field}", which is {otherwise}'
                    )
    return unreadable(text.path, error)
