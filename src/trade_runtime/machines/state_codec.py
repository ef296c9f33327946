"""How the state of a strategy becomes text of the journal, and comes back as it was.

Bytes are kept as base64. A mapping is kept as JSON, so that it can be read in the journal; what
JSON has no word for and trading needs, decimals and times, is tagged: `{"$decimal": "0.10"}`,
`{"$datetime": "2024-05-01T12:00:00+00:00"}`. A value that would not come back is an error that
names its key, never a silent change; but a tuple comes back as a list.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

from trade_runtime.errors import StoreDamaged, StrategyError
from trade_runtime.model.records import StateFormat, StrategySaved

MAX_STATE_BYTES = 262_144
"""What one state of a strategy may take, as it is kept. It is written anew with its fills."""

MAX_STATE_DEPTH = 32
"""How deep mappings and lists of a state may be nested. One that contains itself has no end."""

MAX_STATE_INT = 2**63
"""Whole numbers of a state lie below this, and not below its negative: what JSON's readers hold."""

_DECIMAL, _DATETIME = "$decimal", "$datetime"

State = bytes | Mapping[str, Any]
"""What a strategy saves and is given back."""


def pack(state: object) -> tuple[StateFormat, str]:
    """Return how a state is kept.

    Args:
        state: what `on_save` returned.

    Raises:
        StrategyError: it cannot be carried; the message names the key, or the bound.
    """
    if isinstance(state, bytes | bytearray | memoryview):
        how, text = StateFormat.BYTES, b64encode(state).decode()
    elif isinstance(state, Mapping):
        plain = _plain(state, "", 0)
        how, text = StateFormat.MAPPING, msgspec.json.encode(plain).decode()
    else:
        raise StrategyError(
            f"on_save returned {_kind(state)}: return bytes, or a mapping of names to values"
        )
    if len(text) > MAX_STATE_BYTES:  # of a text that is not plain ASCII it is the least
        raise StrategyError(
            f"on_save returned a state of {len(text)} bytes, as it is kept: the most is"
            f" {MAX_STATE_BYTES}; keep less of it"
        )
    return how, text


def unpack(event: StrategySaved) -> State:
    """Return a state as it was saved.

    Raises:
        StoreDamaged: it cannot be read.
    """
    try:
        if event.format is StateFormat.BYTES:
            return b64decode(event.payload, validate=True)
        state: dict[str, Any] = _rich(msgspec.json.decode(event.payload, type=dict[str, Any]))
    except (msgspec.MsgspecError, binascii.Error, ValueError, ArithmeticError) as error:
        raise StoreDamaged(
            f"the state of strategy {event.strategy} is unreadable: {error}"
        ) from None
    return state


def _plain(value: object, path: str, depth: int) -> object:
    """Return what JSON carries in place of a value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(_checked(value, path))
    if isinstance(value, int):
        if not -MAX_STATE_INT <= value < MAX_STATE_INT:
            raise _cannot(path, f"holds {value}, which is past 64 bits; save it as text")
        return int(value)
    if isinstance(value, float):
        if not isfinite(value):
            raise _cannot(path, f"holds {value}, which is no number; save None")
        return float(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise _cannot(path, f"holds Decimal {value}, which is no number; save None")
        return {_DECIMAL: str(value)}
    if isinstance(value, datetime):
        return {_DATETIME: value.isoformat()}
    if depth >= MAX_STATE_DEPTH:
        raise _cannot(path, f"is nested deeper than {MAX_STATE_DEPTH}, or contains itself")
    if isinstance(value, Mapping):
        return {
            _key(key, path): _plain(inner, f"{path}.{key}" if path else str(key), depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(inner, f"{path}[{i}]", depth + 1) for i, inner in enumerate(value)]
    raise _cannot(
        path,
        f"holds {_kind(value)}, which cannot be kept; save text, numbers, Decimal, datetime, None,"
        " lists and mappings of these",
    )


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise _cannot(path, f"has the key {key!r}, {_kind(key)}; keys are text")
    if key in (_DECIMAL, _DATETIME):
        raise _cannot(path, f"has the key {key!r}, which is the runtime's own; name it otherwise")
    return _checked(key, path)


def _checked(text: str, path: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _cannot(path, "holds half of a character, which no file can; mend it") from None
    return text


def _rich(value: Any) -> Any:
    """Return what was saved as `value`."""
    if isinstance(value, dict):
        if len(value) == 1:
            if (number := value.get(_DECIMAL)) is not None:
                return Decimal(number)
            if (moment := value.get(_DATETIME)) is not None:
                return datetime.fromisoformat(moment)
        return {key: _rich(inner) for key, inner in value.items()}
    return [_rich(inner) for inner in value] if isinstance(value, list) else value


def _cannot(path: str, what: str) -> StrategyError:
    return StrategyError(f"on_save: {path or 'the state'} {what}")


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}" if value is not None else "None"
