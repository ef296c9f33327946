"""Validators of the configuration's fields; each raises ConfigError: field, rule, value.

Stands beside the values: imports `errors` alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal, get_args

import attrs

from trade_runtime.errors import ConfigError

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]

_RUNTIME_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


def positive(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is not a finite number above 0."""
    if not (_is_number(value) and value > 0):  # type: ignore[operator]
        raise ConfigError(f"{field.name}: must be a finite number above 0, got {value}")


def positive_or_none(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is not None and not a finite number above 0."""
    if value is not None:
        positive(_, field, value)


def zero_or_more(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is not a finite number of at least 0."""
    if not (_is_number(value) and value >= 0):  # type: ignore[operator]
        raise ConfigError(f"{field.name}: must be a finite number of at least 0, got {value}")


def percent_or_none(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is not None and not between 0 and 100, both excluded."""
    if value is not None and not (_is_number(value) and 0 < value < 100):  # type: ignore[operator]
        raise ConfigError(f"{field.name}: must be above 0 and below 100 percent, got {value}")


def positive_values(_: object, field: attrs.Attribute[Any], value: Mapping[str, object]) -> None:
    """Refuse a mapping with a value that is not a finite number above 0."""
    for key, item in value.items():
        if not (_is_number(item) and item > 0):  # type: ignore[operator]
            raise ConfigError(
                f"{field.name}: the value of {key} must be a finite number above 0, got {item}"
            )


def whole(least: int) -> Validator:
    """Return a validator that refuses what is not a whole number of at least `least`."""

    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(
                f"{field.name}: must be a whole number of at least {least}, got {value}"
            )

    return check


def one_of(choices: Any) -> Validator:
    """Return a validator that refuses what is not one of the choices of a Literal."""
    known = get_args(choices)

    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if value not in known:
            raise ConfigError(
                f"{field.name}: must be one of {', '.join(map(repr, known))}, got {value!r}"
            )

    return check


def boolean(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise ConfigError(f"{field.name}: must be true or false, got {value!r}")


def runtime_name(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is not 1 to 32 characters of `a-z`, `0-9`, `_`, `-`."""
    if not (isinstance(value, str) and _RUNTIME_NAME.fullmatch(value)):
        raise ConfigError(
            f"{field.name}: must be 1 to 32 characters of a-z, 0-9, _ and -, got {value!r}"
        )


def is_name(text: str) -> bool:
    """Tell whether `text` may name a venue or a strategy."""
    return _NAME.fullmatch(text) is not None


NAME_RULE = "must be 1 to 32 letters, digits, _ and -"


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
