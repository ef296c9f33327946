"""The exchange's own record: everything that came, and everything that it did, as JSON lines.

Each line is written and flushed before its outcome is told to anyone, so that whoever is killed
then, the file is whole up to there and can be judged from outside. `docs/how-to/
test-on-a-local-exchange.md` lists the lines. Secrets, signatures and tokens are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from trade_runtime.errors import ConfigError, StoreError
from trade_runtime.model.instrument import text
from trade_runtime.protocols import Clock

SECRETS: Final = frozenset(
    ("apiKey", "api_key", "api_sign", "listenKey", "otp", "secret", "signature", "token")
)
"""Parameters whose value is never written."""

HIDDEN: Final = "***"
MAX_TEXT: Final = 2_000
"""Characters of one value; the rest is left out."""

MAX_DEPTH: Final = 8
"""Of a value within values; what lies deeper is left out."""


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return text(value)
    raise NotImplementedError(f"a {type(value).__name__} in the record")


_encode: Final = msgspec.json.Encoder(enc_hook=_plain, decimal_format="string").encode


def without_secrets(value: Any, depth: int = 0) -> Any:
    """Return a client's parameters as they may be written."""
    if depth > MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            str(name)[:MAX_TEXT]: HIDDEN if name in SECRETS else without_secrets(one, depth + 1)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(one, depth + 1) for one in value]
    return value[:MAX_TEXT] if isinstance(value, str) else value


class Record:
    """Writes the lines; without a file it only counts them.

    Args:
        file: where to, or None.
        clock: the true time, which a skewed exchange's is not.
    """

    def __init__(self, file: BinaryIO | None, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self.lines = 0
        """How many were written."""

    def write(self, event: str, **fields: object) -> None:
        """Write a line.

        Raises:
            StoreError: the disk refused; the exchange cannot go on.
        """
        self.lines += 1
        if self._file is None:
            return
        line = {"line": self.lines, "at_ns": self._clock.now_ns(), "event": event, **fields}
        try:
            self._file.write(_encode(line) + b"\n")
        except OSError as error:
            raise StoreError(f"the record cannot be written: {error.strerror or error}") from error


@contextmanager
def open_record(path: Path | None, clock: Clock) -> Iterator[Record]:
    """Open the record at `path`, adding to one that is there; None keeps none.

    Raises:
        ConfigError: it cannot be opened.
    """
    if path is None:
        yield Record(None, clock)
        return
    try:
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from None
    with file:
        yield Record(file, clock)
