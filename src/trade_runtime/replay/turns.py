"""A recording played over and over as one endless stream: ids and times that go on growing.

Turn 0 is the recording itself. In turn n, n times the span of the recording is added to every
update id and trade id of a symbol and to every time. A book starts each later turn with one change
that makes the end of the turn before into the recorded opening, and skips the changes that the
opening holds already: so a client's book stays in sequence and true, without a resync. Streams
other than quotes, trades and depth are not repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from trade_runtime.replay.facts import Facts, SymbolFacts
from trade_runtime.replay.position import Position
from trade_runtime.replay.shapes import Snapshot, kind_of
from trade_runtime.venues.binance_spot.recording import Row

PAUSE_MS: Final = 100
"""Between the end of a turn and the beginning of the next, by the recording's clocks."""

NS_PER_MS: Final = 1_000_000

_decode = msgspec.json.Decoder()
_encode = msgspec.json.Encoder()


class Turns:
    """Makes the rows of later turns.

    Args:
        facts: of the recording.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        span_ns = facts.last_ns - facts.first_ns
        self._span_ns = span_ns + PAUSE_MS * NS_PER_MS
        self._span_ms = max(facts.last_ms - facts.first_ms, span_ns // NS_PER_MS) + PAUSE_MS
        self._kinds: dict[str, tuple[str, str]] = {}

    def opening(self, turn: int, position: Position, streams: Collection[str]) -> Iterator[Row]:
        """Return the changes that take the books of `position` back to their opening.

        A book that is not known is set to it without a change.
        """
        for stream in streams:
            symbol, kind = kind_of(stream)
            facts, book = self._facts.symbols.get(symbol), position.books.get(symbol)
            opening = facts.opening() if facts is not None else None
            if kind != "depth" or facts is None or book is None or opening is None:
                continue
            last_id = opening.lastUpdateId + turn * _id_span(facts)
            if not book.known:  # nor do clients know theirs: they ask, and get this
                book.reset(Snapshot(last_id, opening.bids, opening.asks))
                continue
            bids, asks = book.change_to(opening)
            data = {
                "e": "depthUpdate",
                "E": self._facts.first_ms + turn * self._span_ms,
                "s": symbol,
                "U": book.last_id + 1,
                "u": last_id,
                "b": bids,
                "a": asks,
            }
            yield Row(
                0,
                self._facts.first_ns + turn * self._span_ns,
                stream,
                _encode.encode({"stream": stream, "data": data}),
            )

    def row(self, turn: int, row: Row) -> Row | None:
        """Return a recorded row as it is in a later turn, or None where it is left out."""
        known = self._kinds.get(row.stream)
        if known is None:
            known = self._kinds[row.stream] = kind_of(row.stream)
        symbol, kind = known
        facts = self._facts.symbols.get(symbol)
        if not row.stream or kind == "other" or facts is None:
            return None
        frame: dict[str, Any] = _decode.decode(row.body)
        data = frame["data"]
        if kind == "depth":
            opening = facts.opening()
            if opening is not None and data["u"] <= opening.lastUpdateId:
                return None
        if kind == "trade":
            data["t"] += turn * _trade_span(facts)
        else:
            for name in ("U", "u", "pu"):
                if name in data:
                    data[name] += turn * _id_span(facts)
        for name in ("E", "T"):
            if name in data:
                data[name] += turn * self._span_ms
        return Row(row.number, row.at_ns + turn * self._span_ns, row.stream, _encode.encode(frame))


def _id_span(facts: SymbolFacts) -> int:
    opening = facts.opening()
    ids = [facts.first_id or 0, facts.last_id or 0]
    if opening is not None:
        ids.append(opening.lastUpdateId)
    return max(ids) - min(ids) + 1


def _trade_span(facts: SymbolFacts) -> int:
    return (facts.last_trade_id or 0) - (facts.first_trade_id or 0) + 1
