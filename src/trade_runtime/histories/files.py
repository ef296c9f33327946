"""The files of a history: one, or those of a folder that belong to it, in the order of their names.

Stands below every format of the package. What the file system, Arrow and the decompressors raise
becomes a `DataError` that names the file.
"""

from __future__ import annotations

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Final

from trade_runtime.errors import DataError
from trade_runtime.histories.options import text_of
from trade_runtime.protocols import HistoryQuery
from trade_runtime.spelling import did_you_mean

GZIP_MAGIC: Final = b"\x1f\x8b"
ZIP_MAGIC: Final = b"PK\x03\x04"
PARQUET_MAGIC: Final = b"PAR1"


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn what the file system, Arrow and the decompressors raise into an error of ours."""
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it

    try:
        yield
    except FileNotFoundError:
        if path.is_symlink():
            raise DataError(f"{path}: is a link to what does not exist; name another") from None
        try:
            meant = did_you_mean(path.name, (file.name for file in path.parent.iterdir()))
        except OSError:
            meant = ""
        raise DataError(f"{path}: no such file{meant or '; name one that exists'}") from None
    except (pa.ArrowException, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as e:
        if isinstance(e, OSError) and e.errno:
            raise DataError.of_system(path, e) from None
        raise unreadable(path, e) from None


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error of a file that is cut off, damaged, or something else."""
    return DataError(
        f"{path}: cannot be read: {' '.join(str(error).split())};"
        " it may be cut off, or be of another format"
    )


def files_of(
    query: HistoryQuery,
    belongs: Callable[[str], bool],
    series: Callable[[str], str] = lambda _: "",
    what: str = "",
) -> list[Path]:
    """Return the files of a history: what the path names, or what of its folder belongs to it.

    The option `files`, a pattern such as `BTCUSDT-1m-*`, says which files of the folder are meant.

    Args:
        query: what is wanted.
        belongs: tells by its name whether a file of the folder is of the format and the kind.
        series: by its name, which series a file is of. Files of several are never put together.
        what: what the files are of, for the error where there is none.

    Raises:
        DataError: there is none, or they are of several series.
    """
    path = query.path
    with errors_of(path):
        if not path.is_dir():
            _check_plain(path)
            return [path]
    pattern = text_of(query, "files", "*")
    with errors_of(path):
        names = sorted(file.name for file in path.iterdir() if file.is_file())
    names = [name for name in names if fnmatchcase(name, pattern) and belongs(name)]
    if not names:
        raise DataError(f"{path}: no file of {what or query.kind} in this folder; name another")
    of_series: dict[str, str] = {}
    for name in names:
        of_series.setdefault(series(name), name)
    if len(of_series) > 1:
        several = ", ".join(sorted(of_series.values())[:4])
        raise DataError(
            f"{path}: its files are of more than one series: {several};"
            ' say which with options = { files = "..." }, a pattern of their names'
        )
    return [path / name for name in names]


def _check_plain(path: Path) -> None:
    """Refuse a pipe or a device: a history is read more than once, and nobody may ever write it.

    Raises:
        OSError: there is no such file, or it may not be looked at.
        DataError: with the mend.
    """
    if "\0" in str(path):
        raise DataError(f"{path}: no file can have that name; name another")
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError(f"{path}: is no file; name a file or a folder")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that is plain, compressed by gzip, or the one file in a zip: its content tells.

    Raises:
        DataError: it is Parquet, or a zip of several files.
    """
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic == PARQUET_MAGIC:
            raise DataError(f'{path}: this is a Parquet file; write format = "parquet"')
        if magic[:2] == GZIP_MAGIC:
            with gzip.open(file) as plain:
                yield io.BufferedReader(plain)
        elif magic == ZIP_MAGIC:
            with zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                if len(names) != 1:
                    raise DataError(f"{path}: has {len(names)} files in it; one is expected")
                with archive.open(names[0]) as member:
                    yield member
        else:
            yield file
