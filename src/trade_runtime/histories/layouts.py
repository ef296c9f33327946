"""Files whose columns everybody knows: Binance's public dumps, and LEAN's.

Binance's (data.binance.vision) are daily or monthly files, plain or zipped, one or a folder of
them; the name says what is in it: `BTCUSDT-trades-2024-08-08.zip`, `...-aggTrades-...`,
`...-bookTicker-...`, `...-1m-...`. Times are in milliseconds, of spot since 2025 in microseconds.
A header, which some have, is passed over.
Source: https://github.com/binance/binance-public-data

LEAN's are days of bars, named by the day: the first column counts milliseconds since midnight.
Trade bars have 6 columns, quote bars 11: of these the closes of bid and ask are taken, as a quote
at the end of the bar.
Source: https://www.quantconnect.com/docs/v2/lean-cli/datasets/format-and-storage
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trade_runtime.errors import DataError
from trade_runtime.histories.columns import NUMBERS, OPTIONS, Columns, read_files
from trade_runtime.histories.files import errors_of, files_of
from trade_runtime.histories.options import bar_length_ns, check_options, number_of, text_of
from trade_runtime.histories.rows import Rows, first_bad
from trade_runtime.histories.text import Text, blocks_of, first_fields, is_whole
from trade_runtime.histories.times import scaled
from trade_runtime.model.ids import symbol_of
from trade_runtime.protocols import HistoryPlugin, HistoryQuery, MarketEvent

DUMPS: Final = {
    "trades": ("id", "price", "quantity", "notional", "time", "buyer_maker", "best"),
    "aggTrades": ("id", "price", "quantity", "first", "last", "time", "buyer_maker", "best"),
    "bookTicker": ("id", "bid", "bid_size", "ask", "ask_size", "time", "event_time"),
    "klines": (
        *("open_time", "open", "high", "low", "close", "volume", "close_time"),
        *("quote_volume", "trades", "taker_base", "taker_quote", "ignored"),
    ),
}
"""The columns of each dump; some files lack the last."""

DUMPS_OF: Final = {
    "trades": ("trades", "aggTrades"),
    "quotes": ("bookTicker",),
    "bars": ("klines",),
}

USED: Final = {
    "trades": {"id": "whole", "time": "whole", "buyer_maker": "truth"},
    "quotes": {"time": "whole"},
    "bars": {"open_time": "whole", "close_time": "whole", "trades": "whole"},
}
"""What is read of a dump besides its numbers."""

DUMP_SUFFIXES: Final = (".csv", ".zip")
DUMP_PATTERNS: Final = tuple(
    f"*-{what}-[0-9][0-9][0-9][0-9]-[0-9][0-9]*{suffix}"
    for what in ("trades", "aggTrades", "bookTicker", "[0-9]*[smhdwo]")
    for suffix in DUMP_SUFFIXES
)

_DUMP: Final = re.compile(
    r"(?P<symbol>[^-]+)-(?P<what>trades|aggTrades|bookTicker|\d+(?:s|m|h|d|w|mo))-\d{4}-\d\d.*"
)
_DAY: Final = re.compile(r"(?<!\d)(\d{8})(?!\d)")
_MICROSECONDS_FROM: Final = 10**14
"""A time of today in milliseconds is below this, in microseconds above."""

LEAN_WORDS: Final = {"minute": 60.0, "second": 1.0, "hour": 3_600.0}
"""How long, in seconds, the bars of a file are whose name or folder says so."""

LEAN_DAY_MS: Final = 25 * 3_600_000
"""The longest day, in milliseconds: one on which clocks are put back."""

LEAN: Final = {
    "bars": ("ms", "open", "high", "low", "close", "volume"),
    "quotes": (
        *("ms", "bid_open", "bid_high", "bid_low", "bid", "bid_size"),
        *("ask_open", "ask_high", "ask_low", "ask", "ask_size"),
    ),
}


def read_dump(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of Binance's dumps: of one file, or of one series of a folder by its dates.

    Of a folder with several symbols, the files of the instrument's are taken.

    Raises:
        DataError: with the file and the line.
    """
    check_options(query, (*OPTIONS[query.kind], "files"))
    wanted = DUMPS_OF[query.kind]
    paths = files_of(
        query,
        _belongs(query, lambda name: name.endswith(DUMP_SUFFIXES) and _layout(name) in wanted),
        lambda name: "-".join(_parts(name)),
        " or ".join(wanted),
    )
    yield from read_files(query, paths, lambda path, rows: _dump_blocks(path, query, rows))


def _belongs(query: HistoryQuery, fits: Callable[[str], bool]) -> Callable[[str], bool]:
    """Narrow what fits to the instrument's own symbol, where any file of the folder names it."""
    symbol = symbol_of(query.instrument)
    with errors_of(query.path):
        names = [file.name for file in query.path.iterdir()] if query.path.is_dir() else []
    own = any(fits(name) and _parts(name)[0] == symbol for name in names)
    return lambda name: fits(name) and (not own or _parts(name)[0] == symbol)


def _parts(name: str) -> tuple[str, str]:
    """Return the symbol and the word of a dump's name; nothing of another's."""
    found = _DUMP.match(name)
    return (found["symbol"], found["what"]) if found else ("", "")


def _layout(name: str) -> str:
    what = _parts(name)[1]
    return what if what in DUMPS or not what else "klines"


def _dump_blocks(path: Path, query: HistoryQuery, rows: Rows) -> Iterator[Columns]:
    layout = _layout(path.name)
    if layout not in DUMPS_OF[query.kind]:
        raise DataError(
            f"{path}: its name does not say that it has {query.kind};"
            f" it should be like SYMBOL-{DUMPS_OF[query.kind][0]}-2024-08-08"
        )
    kinds = {**dict.fromkeys(NUMBERS[query.kind], "number"), **USED[query.kind]}
    for block in _known(path, DUMPS[layout], kinds, rows):
        yield _dump_columns(_arrays(block), query.kind, rows)


def _dump_columns(columns: dict[str, Any], kind: str, rows: Rows) -> Columns:
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    times = columns.pop("close_time" if kind == "bars" else "time")
    unit = "microseconds" if int(times[0]) >= _MICROSECONDS_FROM else "milliseconds"
    if kind == "bars":
        columns["ts_ns"] = scaled(times + 1, unit, rows)  # a bar ends with its last moment
        columns["open_ns"] = scaled(columns.pop("open_time"), unit, rows)
    else:
        columns["ts_ns"] = scaled(times, unit, rows)
    if kind == "trades":
        columns["trade_id"] = columns.pop("id")
        columns["aggressor"] = columns.pop("buyer_maker").astype(np.int64)
    return columns


def _known(path: Path, names: Sequence[str], kinds: Mapping[str, str], rows: Rows) -> Iterator[Any]:
    """Give the blocks of a file with these columns, under a header or none."""
    first = first_fields(path)
    if len(first) not in (len(names), len(names) - 1):
        raise DataError(f"{path}: line 1: has {len(first)} fields; {len(names)} are expected")
    text = Text(path, names[: len(first)], header=not is_whole(first[0]))
    rows.line_of = text.line_of
    return blocks_of(text, kinds, rows)


def _arrays(block: Any) -> dict[str, Any]:
    return {name: block.column(name).to_numpy(zero_copy_only=False) for name in block.schema.names}


def read_lean(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the bars, or the quotes at the ends of bars, of LEAN's files: one, or a folder of days.

    Options: `bar_secs` where neither the file's name nor its folder's is `minute`, `second` or
    `hour`; `scale`, by which prices are divided (10000 for LEAN's equities); `tz`, the zone of the
    days, else UTC.

    Raises:
        DataError: with the file and the line.
    """
    check_options(query, sorted({*OPTIONS[query.kind], "bar_secs", "files", "scale", "tz"}))
    word = "trade" if query.kind == "bars" else "quote"
    paths = files_of(
        query,
        lambda name: word in name and _DAY.search(name) is not None,
        lambda name: _DAY.sub("", name),
        f"{word}s of a day",
    )
    yield from read_files(query, paths, lambda path, rows: _lean_blocks(path, query, rows))


def _lean_blocks(path: Path, query: HistoryQuery, rows: Rows) -> Iterator[Columns]:
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    scale = number_of(query, "scale") or 1.0
    midnight_ns, length_ns = _midnight_ns(path, query), _length_ns(path, query)
    numbers = NUMBERS[query.kind]
    kinds = {"ms": "whole", **dict.fromkeys(numbers, "number")}
    for block in _known(path, LEAN[query.kind], kinds, rows):
        columns = _arrays(block)
        since = columns.pop("ms")
        _check_day(rows, since)
        opened = since.astype(np.int64) * 10**6 + midnight_ns
        for name in numbers:
            if name not in ("volume", "bid_size", "ask_size"):
                columns[name] = columns[name] / scale
        if query.kind == "bars":
            columns["open_ns"] = opened
        yield {**columns, "ts_ns": opened + length_ns}


def _check_day(rows: Rows, since: Any) -> None:
    bad = (since < 0) | (since >= LEAN_DAY_MS)
    first_bad(rows, bad, lambda i: f"{since[i]} ms since midnight are not of one day")


def _midnight_ns(path: Path, query: HistoryQuery) -> int:
    day = _DAY.search(path.name)
    if day is None:
        raise DataError(f"{path}: its name has no day in it, like 20180404")
    name = text_of(query, "tz", "UTC")
    try:
        zone: tzinfo = UTC if name == "UTC" else ZoneInfo(name)
        moment = datetime.strptime(day[1], "%Y%m%d").replace(tzinfo=zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise DataError(f"{path}: {error}; mend its name, or tz in the options") from None
    return int(moment.timestamp()) * 10**9


def _length_ns(path: Path, query: HistoryQuery) -> int:
    length_ns = bar_length_ns(query)
    if length_ns is not None:
        return length_ns
    places = [path.name, *(folder.name for folder in path.parents if folder.name in LEAN_WORDS)]
    said = (secs for place in places for word, secs in LEAN_WORDS.items() if word in place)
    secs = next(said, None)
    if secs is None:
        raise DataError(
            f"{path}: its name does not say how long its bars are: write"
            " options = { bar_secs = 60 }"
        )
    return round(secs * 1e9)


dump_plugin = HistoryPlugin(read_dump, frozenset(DUMPS_OF), (".zip",), DUMP_PATTERNS)
lean_plugin = HistoryPlugin(read_lean, frozenset(LEAN))
