"""One client's stream: the recording from its beginning, at a pace, with the faults asked for.

Rows go out in the order of the file. At a pace, the gaps between them are the recorder's, by its
clock; a row whose time lies before that of an earlier one goes out at once. At `max` nothing waits
but for the client, who holds the feed up by not reading.

Faster than recorded, a request would take longer than the recorder's did, and the client would
fall behind with its books though not with its quotes. So a feed that is faster than `real` waits at
each book's first change after the opening snapshot, until the client has that snapshot.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final, Literal

import trio

from trade_runtime.replay.facts import Facts
from trade_runtime.replay.faults import ClientFaults, Fault, FaultPlan
from trade_runtime.replay.position import Position
from trade_runtime.replay.shapes import payload_of
from trade_runtime.replay.turns import Turns
from trade_runtime.serving import Gone, Wire, text_frame
from trade_runtime.venues.binance_spot.recording import Recording, Row

BATCH_FRAMES: Final = 64
"""Frames that go out in one send, at most: those that are due anyway."""

BATCH_BYTES: Final = 2**16
ROWS_PER_CHECKPOINT: Final = 500

OPENING_SECS: Final = 1.0
"""For a client to ask for the snapshot of a book; one that does not is not waited for again."""

SETTLE_SECS: Final = 0.05
"""For the answer to reach it."""

AtEnd = Literal["hold", "close", "loop"]


class Dropped(Gone):
    """A fault cut the connection.

    Attributes:
        secs: for how long new streams are refused.
    """

    def __init__(self, secs: float) -> None:
        super().__init__()
        self.secs = secs


class Feed:
    """Sends the recording to one client.

    Args:
        wire: the accepted connection.
        recording: what is sent.
        facts: what is known of it.
        plan: the faults of the run.
        streams: the names of the streams that the client asked for.
        bare: send the payload alone, as `/ws/` does, not the frame of a combined stream.
        speed: a multiple of the recorded pace, or infinity.
        at_end: what happens after the last row.
    """

    def __init__(
        self,
        wire: Wire,
        recording: Recording,
        facts: Facts,
        plan: FaultPlan,
        *,
        streams: Collection[str],
        bare: bool,
        speed: float,
        at_end: AtEnd,
    ) -> None:
        self.position = Position(facts)
        self._wire = wire
        self._recording = recording
        self._facts = facts
        self._faults = ClientFaults(plan)
        self._streams = frozenset(streams)
        self._bare = bare
        self._speed = speed
        self._at_end = at_end
        self._turns = Turns(facts)
        self._unopened = self._openings() if speed > 1 else {}
        self._began = trio.current_time()
        self._due_ns = facts.first_ns
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._taken = 0

    async def run(self) -> None:
        """Send everything; return once the recording has ended and the client was told so.

        Raises:
            Gone: the client is gone.
            Dropped: a fault is to cut the connection.
            ConfigError: the recording can no longer be read.
        """
        self._began = trio.current_time()
        turn = 0
        while True:
            await self._play(turn)
            await self._flush()
            turn += 1
            if self._at_end == "close":
                await self._wire.close()
                return
            if self._at_end == "hold":
                await trio.sleep_forever()

    async def _play(self, turn: int) -> None:
        if turn:
            for opening in self._turns.opening(turn, self.position, sorted(self._streams)):
                await self._take(opening)
        lines_before = turn * self._facts.lines
        for recorded in self._recording.rows():
            row: Row | None = self._turns.row(turn, recorded) if turn else recorded
            if row is None:
                continue
            line = lines_before + row.number
            if line >= self._faults.next_line:
                await self._flush()
                for fault in self._faults.reached(line):
                    await self._make(fault, row)
            await self._take(row)
            self.position.line = max(self.position.line, line)

    async def _take(self, row: Row) -> None:
        if self._speed != math.inf:
            await self._wait_for(row)
        self.position.take(row)
        self._taken += 1
        if self._taken % ROWS_PER_CHECKPOINT == 0:
            await trio.lowlevel.checkpoint()
        if row.stream not in self._streams:
            return
        symbol, kind = self.position.kind(row.stream)
        if kind == "depth" and self._faults.skips_change():
            return
        frame = text_frame(payload_of(row.body) if self._bare else row.body)
        self._batch.append(frame)
        self._batch_bytes += len(frame)
        if len(self._batch) >= BATCH_FRAMES or self._batch_bytes >= BATCH_BYTES:
            await self._flush()
        if kind == "depth" and symbol in self._unopened:
            book = self.position.books[symbol]
            if book.last_id > self._unopened[symbol] or not book.known:
                await self._let_open(symbol)

    def _openings(self) -> dict[str, int]:
        """Return where the books of the client's streams open, by symbol."""
        kinds = (self.position.kind(stream) for stream in self._streams)
        books = self.position.books
        return {
            symbol: books[symbol].last_id
            for symbol, kind in kinds
            if kind == "depth" and symbol in books
        }

    async def _let_open(self, symbol: str) -> None:
        del self._unopened[symbol]
        await self._flush()
        began = trio.current_time()
        with trio.move_on_after(OPENING_SECS):
            while symbol not in self.position.opened:
                await self.position.opening.wait()
        if symbol in self.position.opened:
            await trio.sleep_until(self.position.opened[symbol] + SETTLE_SECS)
        else:
            self._unopened.clear()
        self._began += trio.current_time() - began

    async def _wait_for(self, row: Row) -> None:
        self._due_ns = max(self._due_ns, row.at_ns)
        due = self._began + (self._due_ns - self._facts.first_ns) / 1e9 / self._speed
        if due > trio.current_time():
            await self._flush()
            await trio.sleep_until(due)

    async def _flush(self) -> None:
        if not self._batch:
            return
        frames, self._batch, self._batch_bytes = self._batch, [], 0
        await self._wire.send(b"".join(frames))

    async def _make(self, fault: Fault, row: Row) -> None:
        if fault.kind == "drop":
            raise Dropped(fault.secs or 0.0)
        if fault.kind == "garbage":
            await self._wire.send(text_frame(row.body[: len(row.body) // 2]))
        elif fault.kind == "silent":
            began = trio.current_time()
            self._wire.silent = True
            await trio.sleep(math.inf if fault.secs is None else fault.secs)
            self._wire.silent = False
            self._began += trio.current_time() - began
