"""Columns of numbers, checked and made into events: what every format with rows comes down to.

The checks are done on whole columns, so clean data costs little; where one fails, the first row at
fault is looked up and named.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import attrs

from trade_runtime.errors import DataError
from trade_runtime.model.market import Bar, Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.protocols import HistoryQuery, MarketEvent

CHUNK_ROWS: Final = 65_536
"""Rows that are read at a time."""

EARLIEST_NS: Final = 631_152_000 * 10**9
LATEST_NS: Final = 4_102_444_800 * 10**9
"""1990 and 2100: a time outside of these is in another unit, or none."""

UNITS: Final = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3}

NUMBERS: Final = {
    "quotes": ("bid", "ask", "bid_size", "ask_size"),
    "trades": ("price", "quantity"),
    "bars": ("open", "high", "low", "close", "volume"),
}
"""The columns of numbers that a kind must have, besides its time."""

PRICES: Final = ("bid", "ask", "price", "open", "high", "low", "close")
"""Those of them that must be above 0; the others must not be below."""

EVERYTHING: Final = {
    "quotes": ("ts_ns", *NUMBERS["quotes"]),
    "trades": ("ts_ns", *NUMBERS["trades"], "aggressor", "trade_id"),
    "bars": ("ts_ns", "open_ns", *NUMBERS["bars"], "trades"),
}


@attrs.define
class Rows:
    """Where a history stands: what the next rows must follow on."""

    path: Path
    first_line: int
    """The line of the first row, for a text file; 0 where only rows are counted."""
    seen: int = 0
    last_ns: int = 0
    last_row: tuple[Any, ...] | None = None
    zone: str = ""
    """The offset of the times that are written as text; all must have the same."""

    def error(self, index: int, text: str) -> DataError:
        """Return the error of a row of the present block."""
        row = self.seen + index
        where = f"line {self.first_line + row}" if self.first_line else f"row {row + 1}"
        return DataError(f"{self.path}: {where}: {text}")


def pick(names: Iterable[str], query: HistoryQuery) -> dict[str, str]:
    """Return by our name for a column the file's name for it.

    `columns = { bid = "BidPrice" }` of the table renames; `ts_ns` may also be called `timestamp`.

    Raises:
        DataError: one is missing.
    """
    there = list(names)
    renamed = query.options.get("columns", {})
    found: dict[str, str] = {}
    for ours in EVERYTHING[query.kind]:
        theirs = renamed.get(ours, ours)
        if ours == "ts_ns" and theirs not in there and "timestamp" in there:
            theirs = "timestamp"
        if theirs in there:
            found[ours] = theirs
        elif ours in ("ts_ns", *NUMBERS[query.kind]) and ours not in _given(query):
            near = difflib.get_close_matches(theirs, there, n=1, cutoff=0.5)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise DataError(
                f'{query.path}: no column "{theirs}"{hint} There are: {", ".join(there)};'
                f' name another with options = {{ columns = {{ {ours} = "..." }} }}'
            )
    return found


def _given(query: HistoryQuery) -> tuple[str, ...]:
    """Return the columns whose values the table gives for all rows."""
    return ("bid_size", "ask_size") if "size" in query.options else ()


def events_of(
    query: HistoryQuery, rows: Rows, columns: Mapping[str, Any], count: int
) -> list[MarketEvent]:
    """Check a block of rows and make events of those that are wanted.

    Args:
        query: what is wanted.
        rows: where the history stands; it is moved on.
        columns: by our names, arrays of equal length: times as whole nanoseconds, numbers as
            floats.
        count: how many rows there are.

    Raises:
        DataError: a row is not what it should be.
    """
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    times = columns["ts_ns"]
    _check_times(rows, times, np)
    numbers = {name: columns[name] for name in NUMBERS[query.kind] if name in columns}
    for name in _given(query):
        numbers[name] = np.full(count, float(query.options["size"]))
    for name, values in numbers.items():
        _check_numbers(rows, name, values, np)
    _check_kind(query.kind, rows, numbers)
    keep = _wanted(query, times, np) & _fresh(query, rows, columns, numbers, np)
    ids = columns.get("trade_id")
    if ids is None and query.kind == "trades":
        ids = np.arange(rows.seen + 1, rows.seen + count + 1)
    made = _make(query, columns, {**numbers, "trade_id": ids}, keep, rows)
    rows.seen += count
    rows.last_ns = int(times[-1])
    return made


def _check_numbers(rows: Rows, name: str, values: Any, np: Any) -> None:
    _first(rows, ~np.isfinite(values), lambda i: f"{name} is missing or not finite")
    if name in PRICES:
        rule = "a price must be above 0"
        _first(rows, values <= 0, lambda i: f"{name} is {values[i]:g}: {rule}")
    else:
        _first(rows, values < 0, lambda i: f"{name} is {values[i]:g}: it must not be below 0")


def _first(rows: Rows, bad: Any, text: Callable[[int], str]) -> None:
    """Raise for the first row that is bad, if one is."""
    if bad.any():
        index = int(bad.argmax())
        raise rows.error(index, text(index))


def _check_times(rows: Rows, times: Any, np: Any) -> None:
    _first(rows, (times < EARLIEST_NS) | (times >= LATEST_NS), lambda i: _unit(int(times[i])))
    before = np.concatenate(([rows.last_ns], times[:-1]))
    _first(
        rows,
        times < before,
        lambda i: (
            f"its time {int(times[i])} is before that of the row above, {int(before[i])};"
            " sort the file by time"
        ),
    )


def _unit(time: int) -> str:
    for name, factor in UNITS.items():
        if EARLIEST_NS <= time * factor < LATEST_NS:
            return (
                f"time {time} looks like {name}; ts_ns are nanoseconds since 1970: write"
                f' options = {{ time_unit = "{name}" }}, or convert it'
            )
    return f"time {time} is not between the years 1990 and 2100"


def _check_kind(kind: str, rows: Rows, numbers: Mapping[str, Any]) -> None:
    if kind == "quotes":
        bid, ask = numbers["bid"], numbers["ask"]
        _first(rows, bid > ask, lambda i: f"bid {bid[i]:g} is above ask {ask[i]:g}")
    elif kind == "bars":
        for name in ("open", "close"):
            _check_within(rows, name, numbers)


def _check_within(rows: Rows, name: str, numbers: Mapping[str, Any]) -> None:
    value, low, high = numbers[name], numbers["low"], numbers["high"]
    _first(
        rows,
        (value > high) | (value < low),
        lambda i: f"{name} {value[i]:g} is not between low {low[i]:g} and high {high[i]:g}",
    )


def _wanted(query: HistoryQuery, times: Any, np: Any) -> Any:
    keep = np.ones(len(times), dtype=bool)
    if query.start_ns is not None:
        keep &= times >= query.start_ns
    if query.end_ns is not None:
        keep &= times < query.end_ns
    return keep


def _fresh(
    query: HistoryQuery, rows: Rows, columns: Mapping[str, Any], numbers: Mapping[str, Any], np: Any
) -> Any:
    """Return which rows are not the row above once more.

    Raises:
        DataError: one is, and the table does not say what to do.
    """
    rule = query.options.get("duplicates", "error")
    compared = {"ts_ns": columns["ts_ns"], **numbers}
    compared.update((n, columns[n]) for n in ("aggressor", "trade_id") if n in columns)
    same = np.ones(len(columns["ts_ns"]), dtype=bool)
    first = tuple(values[0] for values in compared.values())
    same[0] = rows.last_row == first
    for values in compared.values():
        same[1:] &= values[1:] == values[:-1]
    rows.last_row = tuple(values[-1] for values in compared.values())
    if rule == "error":
        _first(
            rows,
            same,
            lambda i: (
                'it is the row above once more; write options = { duplicates = "drop" }, or "keep"'
            ),
        )
    elif rule not in ("drop", "keep"):
        raise DataError(f'{query.path}: duplicates must be "error", "drop" or "keep", got {rule!r}')
    return ~same if rule == "drop" else np.ones(len(same), dtype=bool)


def _make(
    query: HistoryQuery,
    columns: Mapping[str, Any],
    numbers: Mapping[str, Any],
    keep: Any,
    rows: Rows,
) -> list[MarketEvent]:
    whole = bool(keep.all())

    def column(name: str) -> list[Any]:
        values = numbers[name] if name in numbers else columns[name]
        listed: list[Any] = (values if whole else values[keep]).tolist()
        return listed

    one = repeat(query.instrument)
    times = column("ts_ns")
    if query.kind == "quotes":
        return list(map(Quote, one, times, *map(column, NUMBERS["quotes"])))
    if query.kind == "trades":
        sides = (
            [_side(rows, index, value) for index, value in enumerate(column("aggressor"))]
            if "aggressor" in columns
            else [Side.BUY] * len(times)
        )
        return list(
            map(Trade, one, times, column("price"), column("quantity"), sides, column("trade_id"))
        )
    if "open_ns" in columns:
        opened = column("open_ns")
    else:
        length_ns = round(float(query.options.get("bar_secs", 0)) * 1e9)
        if length_ns <= 0:
            raise DataError(
                f"{query.path}: bars without a column open_ns: write options = {{ bar_secs = 60 }}"
            )
        opened = [time - length_ns for time in times]
    trades = column("trades") if "trades" in columns else [0] * len(times)
    return list(map(Bar, one, times, opened, *map(column, NUMBERS["bars"]), trades))


_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL, "BUY": Side.BUY, "SELL": Side.SELL}


def _side(rows: Rows, index: int, value: object) -> Side:
    try:
        return _SIDES[str(value)]
    except KeyError:
        raise rows.error(index, f'aggressor is "{value}"; it must be buy or sell') from None


def in_chunks(
    blocks: Iterable[tuple[Mapping[str, Any], int]], query: HistoryQuery, rows: Rows
) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of blocks of columns.

    Raises:
        DataError: a row is not what it should be, or there is none.
    """
    for columns, count in blocks:
        if count:
            yield events_of(query, rows, columns, count)
    if not rows.seen:
        raise DataError(f"{query.path}: has no rows; name a file with history in it")
