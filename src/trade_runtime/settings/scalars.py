"""Reads single values: numbers, strings, paths; and describes in words a value that does not fit.

Stands beside the values, below `reader`. Guarantees that a boolean is never taken for a number,
that numbers are finite, and that a Decimal is what was written, digit by digit.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NewType

from trade_runtime.model.secret import Secret
from trade_runtime.settings.secrets import masked_url

MAX_DECIMAL_MAGNITUDE: Final = 30
"""Numbers beyond 10^30 or finer than 10^-30 are no amounts of money but slips of the pen."""

MAX_ECHO_CHARS: Final = 40
"""How much of a wrong value an error repeats."""

_DECIMAL_TEXT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")


def sample_of(kind: Any) -> str:
    """Return a value of type `kind` as one would write it in TOML."""
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if typing.get_origin(kind) in (tuple, Sequence):
        return f"[{sample_of(typing.get_args(kind)[0])}]"
    samples = {bool: "true", int: "1", float: "1.0", Decimal: '"1.5"', Secret: '"env:NAME"'}
    return samples.get(kind, "{ ... }" if typing.get_origin(kind) is Mapping else '"..."')


_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (Decimal, "a number"),
    (str, "a string"),
    (list, "an array"),
    (tuple, "an array"),
    (Mapping, "a table"),
)


def kind_of(raw: object) -> str:
    """Return what TOML calls a value of this type."""
    return next((name for kind, name in _KINDS if isinstance(raw, kind)), type(raw).__name__)


def described(raw: object) -> str:
    """Return the kind of a value and, where it is short and no secret, the value."""
    if not isinstance(raw, str | int | float):
        return kind_of(raw)
    if isinstance(raw, int) and raw.bit_length() > MAX_ECHO_CHARS * 4:
        return f"{kind_of(raw)} of {raw.bit_length()} bits"
    text = f'"{masked_url(raw)}"' if isinstance(raw, str) else str(raw).lower()
    if len(text) > MAX_ECHO_CHARS:
        text = text[:MAX_ECHO_CHARS] + "..."
    return f"{kind_of(raw)} ({text})"


def _boolean(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise TypeError
    return raw


def _integer(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise TypeError
    return raw


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise TypeError
    return float(raw)


def _decimal(raw: object) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise TypeError
    if not _DECIMAL_TEXT.fullmatch(str(raw)):
        raise ValueError
    number = Decimal(str(raw))
    if abs(number.adjusted()) > MAX_DECIMAL_MAGNITUDE:
        raise ValueError
    return number


def _string(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _path(raw: object) -> Path:
    if not isinstance(raw, str | Path) or not str(raw) or "\0" in str(raw):
        raise TypeError
    return Path(raw)


def _secret(raw: object) -> Secret:
    # What a configuration says of one is read before: here only the secret itself is taken.
    if not isinstance(raw, Secret):
        raise TypeError
    return raw


SCALARS: Final[dict[Any, tuple[str, Callable[[object], Any]]]] = {
    bool: ("true or false", _boolean),
    int: ("a whole number", _integer),
    float: ("a finite number", _number),
    str: ("a string", _string),
    Decimal: ("a finite number", _decimal),
    Path: ("a path", _path),
    Secret: ("a secret", _secret),
}
