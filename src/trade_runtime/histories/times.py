"""Times of every clothing, as whole nanoseconds since the Unix epoch.

Whole numbers in a unit that the table names, timestamps of Arrow, or text. A time without a zone is
UTC. Of the times of a file that are text all name their offset from it, which may change from one
to the next, or none does. Nothing is rounded on the way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from trade_runtime.errors import DataError
from trade_runtime.histories.arrays import plain
from trade_runtime.histories.options import text_of
from trade_runtime.histories.rows import Rows, first_bad
from trade_runtime.protocols import HistoryQuery

EARLIEST_NS: Final = 631_152_000 * 10**9
LATEST_NS: Final = 4_102_444_800 * 10**9
"""1990 and 2100: a time outside of these is in another unit, or none."""

UNITS: Final = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3, "nanoseconds": 1}

_ARROW_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
_OFFSET: Final = re.compile(r"\d\d:?\d\d(?::?\d\d(?:\.\d+)?)?\s?(Z|[+-]\d\d(?::?\d\d)?)$")


def times_of(column: Any, name: str, query: HistoryQuery, rows: Rows) -> Any:
    """Return a column of times as an array of whole nanoseconds since the epoch.

    Args:
        column: as Arrow has it, without an empty cell.
        name: ours, for the error.
        query: its options `time_unit` and `time_format` say how the times are written.
        rows: where the history stands.

    Raises:
        DataError: with the row that is no time, or that is in another unit or another zone.
    """
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it

    if pa.types.is_timestamp(column.type):
        unit = _ARROW_UNITS.get(column.type.unit, "nanoseconds")
        return scaled(plain(column.cast(pa.int64())), unit, rows)
    if pa.types.is_integer(column.type):
        unit = text_of(query, "time_unit", "nanoseconds", UNITS)
        return scaled(plain(column), unit, rows)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        if "time_format" in query.options:
            return _by_format(column, text_of(query, "time_format", ""), rows)
        return _by_text(column, rows)
    raise DataError(
        f"{rows.path}: {name} is of type {column.type}; times are whole nanoseconds, timestamps,"
        " or text in ISO 8601"
    )


def scaled(times: Any, unit: str, rows: Rows) -> Any:
    """Return whole numbers of a unit as whole nanoseconds.

    Raises:
        DataError: one is before 1990 or after 2100; with the unit that it looks to be in.
    """
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    factor = UNITS[unit]
    bad = (times < EARLIEST_NS // factor) | (times >= LATEST_NS // factor)
    first_bad(rows, bad, lambda i: _unit(int(times[i]), unit))
    return times.astype(np.int64) * factor


def _unit(time: int, declared: str) -> str:
    for name, factor in UNITS.items():
        if EARLIEST_NS <= time * factor < LATEST_NS:
            return (
                f"time {time} looks like {name}, not {declared}, since 1970; write"
                f' options = {{ time_unit = "{name}" }}'
            )
    return f"time {time} is not between the years 1990 and 2100"


def _by_text(column: Any, rows: Rows) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it

    if rows.aware is None:
        rows.aware = _OFFSET.search(str(column[0])) is not None
    kinds = {True: pa.timestamp("ns", "UTC"), False: pa.timestamp("ns")}
    try:
        found = column.cast(kinds[rows.aware])
    except pa.ArrowInvalid:
        for index in range(len(column)):
            one = column.slice(index, 1)
            if not _is_time(one, kinds[rows.aware]):
                raise rows.error(index, _no_time(str(one[0]), rows.aware, kinds, one)) from None
        raise
    return scaled(plain(found.cast(pa.int64())), "nanoseconds", rows)


def _is_time(column: Any, kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it

    try:
        column.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _no_time(text: str, aware: bool, kinds: Mapping[bool, Any], one: Any) -> str:
    if _is_time(one, kinds[not aware]):
        has = "has no" if aware else "has an"
        return (
            f'the time "{text}" {has} offset from UTC, unlike those above; write all times of the'
            " file alike"
        )
    return (
        f'the time "{text}" is no date in ISO 8601; mend it, or say how all are written with'
        ' options = { time_format = "..." }'
    )


def _by_format(column: Any, layout: str, rows: Rows) -> Any:
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    found = []
    for index, text in enumerate(column.to_pylist()):
        try:
            moment = datetime.strptime(text, layout)  # noqa: DTZ007 - UTC where it names no zone
        except ValueError:
            raise rows.error(index, f'the time "{text}" is not like "{layout}"') from None
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - epoch
        found.append((since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 10**3)
    return scaled(np.array(found, dtype=np.int64), "nanoseconds", rows)
