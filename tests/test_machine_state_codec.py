"""The state of a strategy: what can be kept comes back as it was, what cannot is a clear error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trade_runtime.errors import StoreDamaged, StrategyError
from trade_runtime.machines.state_codec import (
    MAX_STATE_BYTES,
    MAX_STATE_DEPTH,
    MAX_STATE_INT,
    pack,
    unpack,
)
from trade_runtime.model.ids import StrategyName
from trade_runtime.model.records import StateFormat, StrategySaved

NAME = StrategyName("keeper")

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_STATE_INT, MAX_STATE_INT - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes().map(lambda moment: moment.replace(fold=0))
    | st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def there_and_back(state: object) -> object:
    """Return what a strategy is given that saved `state`."""
    return unpack(StrategySaved(NAME, 1, *pack(state)))


@given(st.dictionaries(st.text(), values, max_size=5))
def test_a_mapping_comes_back(state: dict[str, Any]) -> None:
    """Values, their types and the digits of decimals."""
    assert repr(state) == repr(there_and_back(state))


@given(st.binary(max_size=500))
def test_bytes_come_back(state: bytes) -> None:
    """Whatever they are."""
    assert state == there_and_back(state)


def test_it_can_be_read_in_the_journal() -> None:
    """A mapping is JSON."""
    at = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    state = {"fills": 3, "edge": Decimal("0.10"), "at": at, "legs": ("a", "b")}
    expected = (
        '{"fills":3,"edge":{"$decimal":"0.10"},'
        '"at":{"$datetime":"2024-05-01T12:00:00+02:00"},"legs":["a","b"]}'
    )
    assert (StateFormat.MAPPING, expected) == pack(state)


class _Odd:
    """What nobody can keep."""


ITSELF: dict[str, Any] = {}
ITSELF["me"] = ITSELF


@pytest.mark.parametrize(
    ("state", "named"),
    [
        (
            {"legs": [{"model": _Odd()}]},
            r"legs\[0\].model holds a value of type _Odd, .*; save text",
        ),
        ({"edge": float("nan")}, "edge holds nan, which is no number; save None"),
        ({"edge": Decimal("Infinity")}, "edge holds Decimal Infinity, .*; save None"),
        ({"n": MAX_STATE_INT}, f"n holds {MAX_STATE_INT}, which is past 64 bits; save it as text"),
        ({"n": b"x"}, "n holds a value of type bytes"),
        ({"n": {1: 2}}, "n has the key 1, a value of type int; keys are text"),
        ({"n": {"$decimal": "1"}}, r"n has the key '\$decimal', which is the runtime's own"),
        ({"n": "\ud800"}, "n holds half of a character"),
        (ITSELF, rf"me\.me.* is nested deeper than {MAX_STATE_DEPTH}, or contains itself"),
        (None, "on_save returned None: return bytes, or a mapping"),
        ("text", "on_save returned a value of type str"),
        (b"x" * MAX_STATE_BYTES, f"the most is {MAX_STATE_BYTES}; keep less"),
        ({"x": "x" * MAX_STATE_BYTES}, f"the most is {MAX_STATE_BYTES}; keep less"),
    ],
)
def test_what_cannot_be_kept_is_named(state: object, named: str) -> None:
    """The key, what is wrong with it, and the mend."""
    with pytest.raises(StrategyError, match=named):
        pack(state)


@pytest.mark.parametrize(
    ("how", "payload"),
    [
        (StateFormat.BYTES, "no base64!"),
        (StateFormat.MAPPING, "{"),
        (StateFormat.MAPPING, "[]"),
        (StateFormat.MAPPING, '{"x":{"$decimal":"x"}}'),
    ],
)
def test_what_was_not_written_so_is_damage(how: StateFormat, payload: str) -> None:
    """Only a hand can have made it."""
    with pytest.raises(StoreDamaged, match="the state of strategy keeper is unreadable"):
        unpack(StrategySaved(NAME, 1, how, payload))


def test_any_mapping_will_do() -> None:
    """Not only a dict."""

    class Frozen(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return 1

        def __iter__(self) -> Any:
            return iter("a")

        def __len__(self) -> int:
            return 1

    assert {"a": 1} == there_and_back(Frozen())
