"""By what a result of a grid is known again: a digest of all that its backtest is made of.

Of files their names, sizes and times count, not what is in them: a grid over a history of many
gigabytes is to begin at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from trade_runtime.backtest.grid import Point
from trade_runtime.errors import DataError
from trade_runtime.settings import Settings
from trade_runtime.version import __version__

MAX_FILES = 10_000
"""Files of a folder that are looked at. A history of more is refused in a grid."""

Seen = tuple[str, int, int]
"""A file: its path, its size in bytes, and when it was changed, in nanoseconds."""


def digests(points: Iterable[Point]) -> list[str]:
    """Return the digest of each point: of the configuration, the values, the strategies' files, the
    history's files, and this version.

    Each file is looked at once, so that a change in between is not in some of them alone.

    Raises:
        ConfigError: as `Point.settings` does.
        DataError: a file or a folder cannot be looked at, or a folder has too many files.
    """
    known: dict[tuple[Path, str], list[Seen]] = {}
    return [_digest(point, known) for point in points]


def _digest(point: Point, known: dict[tuple[Path, str], list[Seen]]) -> str:
    seen: list[Seen] = []
    for place in _places(point.settings()):
        if place not in known:
            known[place] = _seen(*place)
        seen += known[place]
    told = msgspec.json.encode(
        [point.config, point.values, seen, __version__], enc_hook=str, order="sorted"
    )
    return hashlib.blake2b(told, digest_size=12).hexdigest()


def _places(settings: Settings) -> Iterable[tuple[Path, str]]:
    """Give the files and folders that count, and which files of a folder do."""
    for data in settings.backtest.data:
        yield data.path, str(data.options.get("files", "*"))
    for strategy in settings.strategies:
        yield settings.base_dir / strategy.factory.rpartition(":")[0], "*"


def _seen(path: Path, pattern: str) -> list[Seen]:
    """Look at a file, or at the files of a folder; at none where there is nothing."""
    try:
        if not path.is_dir():
            return [_facts(path)]
        names = [name for name in os.listdir(path) if fnmatchcase(name, pattern)]
        if len(names) <= MAX_FILES:
            return [_facts(path / name) for name in sorted(names)]
    except (FileNotFoundError, NotADirectoryError):
        return []  # a strategy may be of a module; that a history is missing, its reader tells
    except OSError as error:
        raise DataError.of_system(path, error) from None
    raise DataError(
        f"{path}: has {len(names):,} files; a grid looks at each for changes, at {MAX_FILES:,} at"
        " most: join some, or name fewer with options = { files = ... }"
    )


def _facts(path: Path) -> Seen:
    facts = path.stat()
    return str(path), facts.st_size, facts.st_mtime_ns
