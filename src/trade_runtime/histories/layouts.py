"""Files without a header, whose columns everybody knows: Binance's public dumps, and LEAN's.

Binance's (data.binance.vision) are daily or monthly files, plain or zipped, one or a folder of
them; the name says what is in it: `BTCUSDT-trades-2024-08-08.zip`, `...-aggTrades-...`,
`...-bookTicker-...`, `...-1m-...`. Times are in milliseconds, of spot since 2025 in microseconds.
A header, which some have, is passed over.

LEAN's are days of bars, named by the day: the first column counts milliseconds since midnight.
Trade bars have 6 columns, quote bars 11: of these the closes of bid and ask are taken, as a quote
at the end of the bar.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trade_runtime.errors import DataError
from trade_runtime.histories.columns import CHUNK_ROWS, Rows, in_chunks
from trade_runtime.histories.table import CSV_BLOCK_BYTES, errors_of, is_number
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

TRUE: Final = ["true", "True", "1"]
FALSE: Final = ["false", "False", "0"]

_INTERVAL: Final = re.compile(r"-\d+(s|m|h|d|w|mo)-")
_DAY: Final = re.compile(r"(?<!\d)(\d{8})(?!\d)")
_MICROSECONDS_FROM: Final = 10**14
"""A time of today in milliseconds is below this, in microseconds above."""

LEAN_SECS: Final = {"minute": 60.0, "second": 1.0, "hour": 3_600.0}

LEAN: Final = {
    "bars": ("ms", "open", "high", "low", "close", "volume"),
    "quotes": (
        *("ms", "bid_open", "bid_high", "bid_low", "bid", "bid_size"),
        *("ask_open", "ask_high", "ask_low", "ask", "ask_size"),
    ),
}


def read_dump(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the events of Binance's dumps: of one file, or of all that fit in a folder, by name.

    Raises:
        DataError: with the file and the line.
    """
    last_ns = 0
    for path in _dumps(query):
        rows = Rows(path, first_line=1, last_ns=last_ns)
        layout = _layout(path, query)
        yield from in_chunks(
            (
                (_dump_columns(block, layout), block.num_rows)
                for block in _blocks(path, DUMPS[layout], rows)
            ),
            query,
            rows,
        )
        last_ns = rows.last_ns


def _dumps(query: HistoryQuery) -> list[Path]:
    if not query.path.is_dir():
        return [query.path]
    found = [
        path
        for path in sorted(query.path.iterdir(), key=lambda p: p.name)
        if path.name.endswith((".csv", ".zip")) and _named(path) in DUMPS_OF[query.kind]
    ]
    if not found:
        wanted = " or ".join(DUMPS_OF[query.kind])
        raise DataError(f"{query.path}: no file of {wanted} in this folder; name another")
    return found


def _named(path: Path) -> str:
    for layout in ("aggTrades", "trades", "bookTicker"):
        if f"-{layout}-" in path.name:
            return layout
    return "klines" if _INTERVAL.search(path.name) else ""


def _layout(path: Path, query: HistoryQuery) -> str:
    layout = _named(path)
    if layout not in DUMPS_OF[query.kind]:
        raise DataError(
            f"{path}: its name does not say that it has {query.kind};"
            f" it should be like SYMBOL-{DUMPS_OF[query.kind][0]}-2024-08-08"
        )
    return layout


def _dump_columns(block: Any, layout: str) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - only a backtest needs it

    columns = _arrays(block)
    time = columns["close_time" if layout == "klines" else "time"].astype(np.int64)
    factor = 10**3 if int(time[0]) >= _MICROSECONDS_FROM else 10**6
    found = {name: columns[name] for name in columns if name in _PLAIN}
    if layout == "klines":
        found["ts_ns"] = (time + 1) * factor  # a bar ends with the last moment of it
        found["open_ns"] = columns["open_time"].astype(np.int64) * factor
    else:
        found["ts_ns"] = time * factor
    if layout in ("trades", "aggTrades"):
        found["trade_id"] = columns["id"].astype(np.int64)
        found["aggressor"] = np.where(columns["buyer_maker"], "sell", "buy")
    if "trades" in found:
        found["trades"] = found["trades"].astype(np.int64)
    return found


_PLAIN: Final = frozenset(
    {"price", "quantity", "bid", "ask", "bid_size", "ask_size", "volume", "trades"}
    | {"open", "high", "low", "close"}
)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, or the one file in a zip."""
    if path.suffix != ".zip":
        with path.open("rb") as plain:
            yield plain
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if len(names) != 1:
                raise DataError(f"{path}: has {len(names)} files in it; one is expected")
            with archive.open(names[0]) as member:
                yield member
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}; it may be cut off") from None


def _blocks(path: Path, names: Sequence[str], rows: Rows) -> Iterator[Any]:
    """Give the blocks of a file without a header, or with one that is passed over."""
    import pyarrow as pa  # noqa: PLC0415 - only a backtest needs it
    import pyarrow.csv as pc  # noqa: PLC0415

    with errors_of(path), _opened(path) as top:
        first = top.readline()
    if not first.strip():
        raise DataError(f"{path}: is empty; name a file with history in it")
    fields = len(first.split(b","))
    header = not first[:1].isdigit()
    if fields not in (len(names), len(names) - 1):
        raise DataError(f"{path}: line 1: has {fields} fields; {len(names)} are expected")
    own = list(names[:fields])
    types = {name: pa.bool_() if name in ("buyer_maker", "best") else pa.float64() for name in own}
    types |= dict.fromkeys({"id", "time", "open_time", "close_time", "ms"} & set(own), pa.int64())
    rows.first_line += header
    options = {
        "read_options": pc.ReadOptions(
            block_size=CSV_BLOCK_BYTES, column_names=own, skip_rows=int(header)
        ),
        "convert_options": pc.ConvertOptions(
            column_types=types, true_values=TRUE, false_values=FALSE
        ),
    }
    with errors_of(path), _opened(path) as file:
        try:
            for batch in pc.open_csv(cast("Any", file), **options):
                for start in range(0, batch.num_rows, CHUNK_ROWS):
                    block = batch.slice(start, CHUNK_ROWS)
                    _check_whole(block, own, rows)
                    yield block
        except pa.ArrowInvalid:
            _find_bad_field(path, own, skip=int(header))
            raise


def _check_whole(block: Any, names: Sequence[str], rows: Rows) -> None:
    for number, name in enumerate(names):
        column = block.column(number)
        if column.null_count:
            raise rows.error(column.is_null().to_pylist().index(True), f"{name} is empty")


def _arrays(block: Any) -> dict[str, Any]:
    return {
        name: block.column(number).to_numpy(zero_copy_only=False)
        for number, name in enumerate(block.schema.names)
    }


def _find_bad_field(path: Path, names: Sequence[str], *, skip: int) -> None:
    """Raise for the first field that is not what it should be, with its line; else return."""
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            fields = line.decode("utf-8", "replace").rstrip("\r\n").split(",")
            if number <= skip:
                continue
            if len(fields) != len(names):
                raise DataError(
                    f"{path}: line {number}: has {len(fields)} fields; {len(names)} are expected"
                )
            for name, field in zip(names, fields, strict=True):
                if name in ("buyer_maker", "best"):
                    if field not in TRUE + FALSE:
                        raise DataError(f'{path}: line {number}: {name} is "{field}"')
                elif not is_number(field):
                    raise DataError(
                        f'{path}: line {number}: {name} is "{field}", which is no number'
                    )


def read_lean(query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
    """Give the bars, or the quotes at the ends of bars, of LEAN's files: one, or a folder of days.

    Options: `bar_secs` where the name does not say `minute`, `second` or `hour`; `scale`, by which
    prices are divided (10000 for LEAN's equities); `tz`, the zone of the days, else UTC.

    Raises:
        DataError: with the file and the line.
    """
    paths = [query.path]
    if query.path.is_dir():
        kind = "trade" if query.kind == "bars" else "quote"
        paths = sorted(p for p in query.path.iterdir() if kind in p.name and _DAY.search(p.name))
        if not paths:
            raise DataError(f"{query.path}: no {kind} file of a day in this folder; name another")
    last_ns = 0
    for path in paths:
        rows = Rows(path, first_line=1, last_ns=last_ns)
        midnight_ns, length_ns = _midnight_ns(path, query), _length_ns(path, query)
        yield from in_chunks(
            (
                (_lean_columns(block, query, midnight_ns, length_ns), block.num_rows)
                for block in _blocks(path, LEAN[query.kind], rows)
            ),
            query,
            rows,
        )
        last_ns = rows.last_ns


def _lean_columns(
    block: Any, query: HistoryQuery, midnight_ns: int, length_ns: int
) -> Mapping[str, Any]:
    scale = float(query.options.get("scale", 1))
    columns = _arrays(block)
    opened = columns["ms"] * 10**6 + midnight_ns
    found = {
        name: values / scale if name in ("open", "high", "low", "close", "bid", "ask") else values
        for name, values in columns.items()
        if name in _PLAIN
    }
    return {**found, "ts_ns": opened + length_ns, "open_ns": opened}


def _midnight_ns(path: Path, query: HistoryQuery) -> int:
    day = _DAY.search(path.name)
    if day is None:
        raise DataError(f"{path}: its name has no day in it, like 20180404")
    name = str(query.options.get("tz", "UTC"))
    try:
        zone = UTC if name == "UTC" else ZoneInfo(name)
        moment = datetime.strptime(day[1], "%Y%m%d").replace(tzinfo=zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise DataError(f"{path}: {error}; mend its name, or tz in the options") from None
    return int(moment.timestamp()) * 10**9


def _length_ns(path: Path, query: HistoryQuery) -> int:
    named = (secs for word, secs in LEAN_SECS.items() if word in path.name)
    secs = query.options.get("bar_secs", next(named, None))
    if secs is None:
        raise DataError(
            f"{path}: its name does not say how long its bars are: write"
            " options = { bar_secs = 60 }"
        )
    return round(float(secs) * 1e9)


dump_plugin = HistoryPlugin(read_dump, frozenset(DUMPS_OF), (".zip",))
lean_plugin = HistoryPlugin(read_lean, frozenset(LEAN))
