"""What one pass over a recording tells of it: its symbols, their numbers, where their books begin.

Everything here is derived from the recording alone and small: per symbol a few numbers, one quote
and one snapshot.
"""

from __future__ import annotations

from typing import Final

import msgspec
import trio

from trade_runtime.errors import ConfigError
from trade_runtime.replay.shapes import (
    Depth,
    Quote,
    Snapshot,
    Texts,
    Trade,
    decode_depth,
    decode_quote,
    decode_snapshot,
    decode_trade,
    kind_of,
    payload_of,
)
from trade_runtime.venues.binance_spot.recording import Recording, Row

MAX_SNAPSHOT_DELAY_NS: Final = 60 * 10**9
"""A book begins with the recorded snapshot only where that was taken this soon after the stream
began: a later one would show a client the future. It serves from where it was recorded on."""

MAX_UNPLACED: Final = 64
"""Snapshots without a symbol that wait until it is clear whose they are."""

PLACING_ROWS: Final = 1000
"""After so many rows it is clear: the symbol whose ids are nearest."""

ROWS_PER_CHECKPOINT: Final = 1000


class SymbolFacts:
    """What a recording tells of a symbol.

    Attributes:
        price_places, quantity_places: the most decimals that a price or a quantity uses.
        first_id, last_id: the least and greatest update id, of quotes and book; None without any.
        first_depth_id: where its book changes begin; None without any.
        snapshot: the recorded one that its book begins with, or None.
        first_quote: its first quote's frame, or None.
        first_trade_id, last_trade_id: None without trades.
    """

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.price_places = 0
        self.quantity_places = 0
        self.first_id: int | None = None
        self.last_id: int | None = None
        self.first_depth_id: int | None = None
        self.snapshot: Snapshot | None = None
        self.first_quote: bytes | None = None
        self.first_trade_id: int | None = None
        self.last_trade_id: int | None = None
        self._depth_began_ns = 0

    def opening(self) -> Snapshot | None:
        """Return the snapshot that the book begins with, or None where no book was recorded.

        Without a recorded one it is empty and just before the first change. The book then holds
        what changes tell: less than the whole, but nothing false.
        """
        if self.snapshot is not None:
            return self.snapshot
        if self.first_depth_id is None:
            return None
        return Snapshot(self.first_depth_id - 1, (), ())

    def take_quote(self, quote: Quote, body: bytes) -> None:
        """Learn from a quote."""
        if self.first_quote is None:
            self.first_quote = body
        self._ids(quote.u, quote.u)
        self._places(((quote.b, quote.B), (quote.a, quote.A)))

    def take_trade(self, trade: Trade) -> None:
        """Learn from a trade."""
        first, last = self.first_trade_id, self.last_trade_id
        self.first_trade_id = trade.t if first is None else min(first, trade.t)
        self.last_trade_id = trade.t if last is None else max(last, trade.t)
        self._places(((trade.p, trade.q),))

    def take_depth(self, depth: Depth, at_ns: int) -> None:
        """Learn from a change of the book."""
        if self.first_depth_id is None:
            self.first_depth_id = depth.U
            self._depth_began_ns = at_ns
            if self.snapshot is not None and self.snapshot.lastUpdateId + 1 < depth.U:
                self.snapshot = None  # from before the stream: no client could use it
        self._ids(depth.U, depth.u)
        self._places(depth.b)
        self._places(depth.a)

    def take_snapshot(self, snapshot: Snapshot, at_ns: int) -> None:
        """Learn from a recorded snapshot."""
        self._places(snapshot.bids)
        self._places(snapshot.asks)
        first = self.first_depth_id
        if first is None or (
            self.snapshot is None
            and snapshot.lastUpdateId + 1 >= first
            and at_ns - self._depth_began_ns <= MAX_SNAPSHOT_DELAY_NS
        ):
            self.snapshot = snapshot

    def _ids(self, least: int, greatest: int) -> None:
        self.first_id = least if self.first_id is None else min(self.first_id, least)
        self.last_id = greatest if self.last_id is None else max(self.last_id, greatest)

    def _places(self, levels: Texts) -> None:
        price_places, quantity_places = self.price_places, self.quantity_places
        for price, quantity in levels:
            price_places = max(price_places, len(price.partition(".")[2].rstrip("0")))
            quantity_places = max(quantity_places, len(quantity.partition(".")[2].rstrip("0")))
        self.price_places, self.quantity_places = price_places, quantity_places


class Facts:
    """What a recording tells.

    Attributes:
        symbols: by name, in upper case.
        rows: how many frames of streams it has.
        lines: the number of its last line.
        first_ns, last_ns: the recorder's clock at its earliest and latest row.
        first_ms, last_ms: the venue's clock, likewise; 0 where no frame carries it.
        snapshot_symbols: whose the snapshots are that do not say it, by line.
    """

    def __init__(self) -> None:
        self.symbols: dict[str, SymbolFacts] = {}
        self.rows = 0
        self.lines = 0
        self.first_ns = 0
        self.last_ns = 0
        self.first_ms = 0
        self.last_ms = 0
        self.snapshot_symbols: dict[int, str] = {}
        self._kinds: dict[str, tuple[SymbolFacts | None, str]] = {}
        self._unplaced: list[tuple[int, Row, Snapshot]] = []

    def take(self, row: Row) -> None:
        """Learn from a row.

        Raises:
            msgspec.MsgspecError: it is not what its stream's name says.
        """
        self.lines = max(self.lines, row.number)
        self.first_ns = min(self.first_ns or row.at_ns, row.at_ns)
        self.last_ns = max(self.last_ns, row.at_ns)
        if not row.stream:
            self._take_snapshot(row)
            return
        self.rows += 1
        known = self._kinds.get(row.stream)
        if known is None:
            symbol, kind = kind_of(row.stream)
            known = (self._symbol(symbol) if kind != "other" else None, kind)
            self._kinds[row.stream] = known
        facts, kind = known
        if facts is None:
            payload_of(row.body)  # not understood, but it has to be a frame
            return
        if kind == "quote":
            quote = decode_quote(row.body)
            facts.take_quote(quote, row.body)
            self._times(quote.E, quote.T)
        elif kind == "trade":
            trade = decode_trade(row.body)
            facts.take_trade(trade)
            self._times(trade.E, trade.T)
        else:
            depth = decode_depth(row.body)
            facts.take_depth(depth, row.at_ns)
            self._times(depth.E, depth.T)
        if self._unplaced and self.rows >= self._unplaced[0][0]:
            self.place_snapshots()

    def _take_snapshot(self, row: Row) -> None:
        snapshot = decode_snapshot(row.body)
        if row.symbol:
            self._symbol(row.symbol).take_snapshot(snapshot, row.at_ns)
            return
        self._unplaced.append((self.rows + PLACING_ROWS, row, snapshot))
        if len(self._unplaced) > MAX_UNPLACED:
            self.place_snapshots()

    def place_snapshots(self) -> None:
        """Give each snapshot without a symbol to the symbol whose update ids are nearest."""
        placed, self._unplaced = self._unplaced, []
        known = [facts for facts in self.symbols.values() if facts.last_id is not None]
        for _, row, snapshot in placed if known else ():
            nearest = min(known, key=lambda f: _distance(f, snapshot.lastUpdateId))
            self.snapshot_symbols[row.number] = nearest.symbol
            nearest.take_snapshot(snapshot, row.at_ns)

    def _symbol(self, symbol: str) -> SymbolFacts:
        return self.symbols.setdefault(symbol, SymbolFacts(symbol))

    def _times(self, *times_ms: int) -> None:
        for time_ms in times_ms:
            if time_ms:
                self.first_ms = min(self.first_ms or time_ms, time_ms)
                self.last_ms = max(self.last_ms, time_ms)


def _distance(facts: SymbolFacts, last_id: int) -> int:
    first, last = facts.first_id or 0, facts.last_id or 0
    return max(first - last_id, last_id - last, 0)


async def read_facts(recording: Recording) -> Facts:
    """Read a recording once from end to end.

    Raises:
        ConfigError: it cannot be read or holds no stream; the message names the file and the line.
    """
    facts = Facts()
    rows = recording.rows()
    for count, row in enumerate(rows):
        try:
            facts.take(row)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            if next(rows, None) is None and row.number:
                recording.end_line = row.number  # the recorder did not finish it
                break
            where = f"line {row.number}" if row.number else f"the snapshot of {row.symbol}"
            what = row.stream or "snapshot"
            raise ConfigError(
                f"{recording.path}, {where}: not a frame of {what} ({error}); mend it or remove it"
            ) from None
        if count % ROWS_PER_CHECKPOINT == 0:
            await trio.lowlevel.checkpoint()
    facts.place_snapshots()
    if not facts.rows:
        raise ConfigError(
            f"{recording.path}: no line is a frame of a combined stream; expected lines like"
            ' 1723161254024619568 {"stream":"ethusdt@trade","data":{...}}'
        )
    return facts
