"""Columns of numbers, checked and made into events: what every format with rows comes down to.

The checks are done on whole columns, so clean data costs little; where one fails, the first row at
fault is looked up and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Final

from trade_runtime.errors import DataError
from trade_runtime.histories.levels import Levels
from trade_runtime.histories.options import bar_length_ns, number_of, text_of
from trade_runtime.histories.rows import Rows, first_bad
from trade_runtime.model.market import Bar, Quote, Trade
from trade_runtime.model.orders import SIDES, Side
from trade_runtime.protocols import HistoryQuery, MarketEvent
from trade_runtime.spelling import did_you_mean

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
    "book": ("ts_ns", "side", "price", "quantity", "snapshot", "update_id"),
}

OPTIONAL: Final = ("open_ns", "trade_id", "trades", "update_id")

COUNTED: Final = ("trade_id", "trades")
"""Whole numbers that must not be below 0: a feed takes a trade of such an id for an old one."""

GIVEN: Final = {"bid_size": "size", "ask_size": "size", "aggressor": "aggressor"}
"""The option that gives a column one value for all rows."""

OPTIONS: Final = {
    "quotes": ("duplicates", "size"),
    "trades": ("duplicates", "aggressor"),
    "bars": ("duplicates", "bar_secs"),
    "book": (),
}
"""The options that every format has, by kind."""

DUPLICATES: Final = ("error", "drop", "keep")

Columns = Mapping[str, Any]
"""By our names, arrays of equal length: `ts_ns` and `open_ns` whole nanoseconds; numbers floats;
`trade_id`, `trades` and `update_id` whole; `aggressor` and `side` an index of `SIDES`."""


def pick(
    names: Iterable[str], query: HistoryQuery, path: Path, *, listed: bool = False
) -> dict[str, str]:
    """Return by our name for a column the file's name for it.

    `columns = { bid = "BidPrice" }` of the options renames, to nothing if a column is to be passed
    over; `ts_ns` may also be called `timestamp`. Columns of other names are not looked at.

    Args:
        names: the file's columns.
        query: what is wanted.
        path: the file, for the error.
        listed: the table itself gives all names, so there is nothing to rename.

    Raises:
        DataError: one is missing, or twice there.
    """
    there = list(names)
    wanted = EVERYTHING[query.kind]
    renamed = query.options.get("columns", {})
    if listed:
        renamed = {}
    elif not isinstance(renamed, Mapping):
        raise DataError(
            f'{path}: the option columns must be like {{ bid = "BidPrice" }}, got {renamed!r}'
        )
    for ours in renamed:
        if ours not in wanted:
            raise DataError(
                f'{path}: columns names "{ours}", which {query.kind} do not have'
                f"{did_you_mean(ours, wanted) or '.'} They have: {', '.join(wanted)}"
            )
    found: dict[str, str] = {}
    for ours in wanted:
        theirs = str(renamed.get(ours, ours))
        if ours == "ts_ns" and theirs not in there and "timestamp" in there:
            theirs = "timestamp"
        if there.count(theirs) > 1:
            raise DataError(f'{path}: column "{theirs}" is there more than once; rename one')
        if theirs and theirs in there:
            found[ours] = theirs
        elif ours not in OPTIONAL and GIVEN.get(ours) not in query.options:
            option = GIVEN.get(ours)
            example = {"size": "1000", "aggressor": '"buy"'}.get(option or "", "")
            raise DataError(
                f'{path}: no column "{theirs}"{did_you_mean(theirs, there) or "."}'
                f" There are: {', '.join(there)};"
                f' name another with options = {{ columns = {{ {ours} = "..." }} }}'
                + (
                    f", or give it for all with options = {{ {option} = {example} }}"
                    if option
                    else ""
                )
            )
    return found


def read_files(
    query: HistoryQuery,
    paths: Sequence[Path],
    blocks: Callable[[Path, Rows], Iterator[Columns]],
) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of files, one after the other.

    Args:
        query: what is wanted.
        paths: the files, in the order of their times.
        blocks: opens one, tells where its lines are, and gives its columns in blocks that have at
            least one row.

    Raises:
        DataError: a row is not what it should be, or a file has none.
    """
    rows, levels = Rows(query.path), Levels(query)
    for path in paths:
        rows.next_file(path)
        for columns in blocks(path, rows):
            times = columns["ts_ns"]
            _check_order(rows, times)
            if query.kind == "book":
                events = levels.take(rows, columns)
            else:
                events = _events_of(query, rows, columns)
            rows.seen += len(times)
            rows.last_ns = int(times[-1])
            if events:
                yield events
            if query.end_ns is not None and rows.last_ns >= query.end_ns:
                return
        if not rows.seen:
            raise DataError(f"{path}: has no rows; name a file with history in it")
    if last := levels.end():
        yield last


def _events_of(query: HistoryQuery, rows: Rows, columns: Columns) -> list[MarketEvent]:
    """Check a block of rows, whose times are in order, and make events of those that are wanted."""
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    times = columns["ts_ns"]
    count = len(times)
    columns = {**columns, **_given(query, count)}
    for name in NUMBERS[query.kind]:
        _check_numbers(rows, name, columns[name])
    for name in COUNTED:
        if name in columns:
            _check_count(rows, name, columns[name])
    _check_kind(query.kind, rows, columns)
    keep = _fresh(query, rows, columns)
    if query.start_ns is not None:
        keep &= times >= query.start_ns
    if query.end_ns is not None:
        keep &= times < query.end_ns
    if query.kind == "trades" and "trade_id" not in columns:
        first = rows.before + rows.seen + 1
        columns["trade_id"] = np.arange(first, first + count)
    if not keep.all():
        columns = {name: values[keep] for name, values in columns.items()}
    return _make(query, columns)


def _given(query: HistoryQuery, count: int) -> dict[str, Any]:
    """Return the columns for which the table gives one value for all rows."""
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    if query.kind == "quotes" and (size := number_of(query, "size")) is not None:
        return {"bid_size": np.full(count, size), "ask_size": np.full(count, size)}
    if query.kind == "trades" and "aggressor" in query.options:
        side = Side(text_of(query, "aggressor", "", tuple(SIDES)))
        return {"aggressor": np.full(count, SIDES.index(side))}
    return {}


def _check_numbers(rows: Rows, name: str, values: Any) -> None:
    """Refuse a number that is not finite, a price that is not above 0, another that is below.

    Raises:
        DataError: with the file and the row.
    """
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    first_bad(rows, ~np.isfinite(values), lambda i: f"{name} is missing or not finite")
    if name in PRICES:
        rule = "a price must be above 0"
        first_bad(rows, values <= 0, lambda i: f"{name} is {values[i]:g}: {rule}")
    else:
        _check_count(rows, name, values)


def _check_count(rows: Rows, name: str, values: Any) -> None:
    first_bad(rows, values < 0, lambda i: f"{name} is {values[i]:g}: it must not be below 0")


def _check_order(rows: Rows, times: Any) -> None:
    """Refuse a time that is before the one above it, or before the end of the file before.

    Raises:
        DataError: with the file and the row.
    """
    if rows.seen == 0 and times[0] < rows.last_ns:
        raise rows.error(
            0,
            f"its time {int(times[0])} is before the end of the file before, {rows.last_ns};"
            " files of a folder are read in the order of their names and must not overlap",
        )
    if times[0] < rows.last_ns:
        raise rows.error(0, _before(int(times[0]), rows.last_ns))
    late = times[1:] < times[:-1]
    if late.any():
        index = int(late.argmax()) + 1
        raise rows.error(index, _before(int(times[index]), int(times[index - 1])))


def _before(time: int, above: int) -> str:
    return f"its time {time} is before that of the row above, {above}; sort the file by time"


def _check_kind(kind: str, rows: Rows, columns: Columns) -> None:
    if kind == "quotes":
        bid, ask = columns["bid"], columns["ask"]
        first_bad(rows, bid > ask, lambda i: f"bid {bid[i]:g} is above ask {ask[i]:g}")
    elif kind == "bars":
        for name in ("open", "close"):
            _check_within(rows, name, columns)
        if "open_ns" in columns:
            first_bad(
                rows,
                columns["open_ns"] >= columns["ts_ns"],
                lambda i: (
                    f"it opens at {int(columns['open_ns'][i])}, not before its end; ts_ns is the"
                    " end of a bar"
                ),
            )


def _check_within(rows: Rows, name: str, columns: Columns) -> None:
    value, low, high = columns[name], columns["low"], columns["high"]
    first_bad(
        rows,
        (value > high) | (value < low),
        lambda i: f"{name} {value[i]:g} is not between low {low[i]:g} and high {high[i]:g}",
    )


def _fresh(query: HistoryQuery, rows: Rows, columns: Columns) -> Any:
    """Return which rows are to be taken, where one is the row above once more.

    Raises:
        DataError: one is, and the table does not say what to do.
    """
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    rule = text_of(query, "duplicates", "error", DUPLICATES)
    compared = [columns[name] for name in EVERYTHING[query.kind] if name in columns]
    same = np.empty(len(columns["ts_ns"]), dtype=bool)
    same[0] = rows.last_row == tuple(values[0] for values in compared)
    same[1:] = compared[0][1:] == compared[0][:-1]
    rows.last_row = tuple(values[-1] for values in compared)
    if same.any():
        for values in compared[1:]:
            same[1:] &= values[1:] == values[:-1]
    if rule == "error":
        first_bad(
            rows,
            same,
            lambda i: (
                'it is the row above once more; write options = { duplicates = "drop" }, or "keep"'
            ),
        )
    return ~same if rule == "drop" else np.ones(len(same), dtype=bool)


def _make(query: HistoryQuery, columns: Columns) -> list[MarketEvent]:
    def listed(name: str) -> list[Any]:
        values: list[Any] = columns[name].tolist()
        return values

    one, times = repeat(query.instrument), listed("ts_ns")
    numbers = map(listed, NUMBERS[query.kind])
    if query.kind == "quotes":
        return list(map(Quote, one, times, *numbers))
    if query.kind == "trades":
        sides = map(SIDES.__getitem__, listed("aggressor"))
        return list(map(Trade, one, times, *numbers, sides, listed("trade_id")))
    if "open_ns" in columns:
        opened = listed("open_ns")
    else:
        length_ns = bar_length_ns(query)
        if length_ns is None:
            raise DataError(
                f"{query.path}: bars without a column open_ns: write options = {{ bar_secs = 60 }}"
            )
        opened = (columns["ts_ns"] - length_ns).tolist()
    trades = listed("trades") if "trades" in columns else [0] * len(times)
    return list(map(Bar, one, times, opened, *numbers, trades))
