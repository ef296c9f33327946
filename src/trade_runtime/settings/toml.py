"""Reads a TOML file, and says in one line what keeps it from being read.

Stands beside the values: imports `errors` alone. Opens the one file for reading, no more.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from trade_runtime.errors import ConfigError

_POSITION = re.compile(r" \(at line (?P<line>\d+), column (?P<column>\d+)\)$")


def read_toml(path: Path) -> dict[str, Any]:
    """Return what the file holds.

    Raises:
        ConfigError: it is not there, cannot be read, or is not TOML; the message has the path, and
            where it can the line and column.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; name an existing configuration") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise ConfigError(f"{str(path)!r}: no file can have that name") from None
    try:
        text = data.decode()
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        what = "not UTF-8; save the file as UTF-8"
    except tomllib.TOMLDecodeError as error:
        what = str(error)
        if match := _POSITION.search(what):
            what, line, column = what[: match.start()], int(match["line"]), int(match["column"])
        else:
            what = what.removesuffix(" (at end of document)")
            lines = data.decode().split("\n")
            line, column = len(lines), len(lines[-1]) + 1
        what = f"broken TOML: {what}; mend that line"
    except RecursionError:
        raise ConfigError(f"{path}: broken TOML: nested too deep") from None
    except ValueError as error:
        raise ConfigError(f"{path}: broken TOML: {' '.join(str(error).split())}") from None
    raise ConfigError(f"{path}: line {line}, column {column}: {what}")
