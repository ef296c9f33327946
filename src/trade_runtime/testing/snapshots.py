"""What is kept of a simulated world: notes, lives, and what a crash at one moment leaves.

Values, and the digest by which two crashes that leave the same are known as one.
"""

from __future__ import annotations

from hashlib import blake2b

import attrs

from trade_runtime.lifecycle.report import StopReport
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.protocols import Record
from trade_runtime.stores.memory import MemoryDisk
from trade_runtime.venues.paper import MemoryRecord, Request


@attrs.frozen
class Note:
    """One thing that was seen where the runtime meets the world, in the order in which it happened.

    Attributes:
        ts_ns: when.
        life: the number of the runtime's life.
        what: `submit`, `amend` or `cancel` (it has left on the wire), `fills told` (a query was
            answered), `stream closed`, `venue closed`, `store closed`.
        order_id: of what was sent.
        durable: how many records were durable then.
    """

    ts_ns: int
    life: int
    what: str
    order_id: ClientOrderId
    durable: int


@attrs.define
class Life:
    """One life of a runtime in the world.

    Attributes:
        number: from 0.
        began_ns: when it began.
        records_before: how many records were durable then.
        ready_ns: when every layer was open; None where it did not get there.
        stop_ns: when its stop began; None where it was not asked to stop.
        ended_ns: when it ended, or was killed.
        killed: it was killed.
        report: of its stop.
        error: what came out of it.
    """

    number: int
    began_ns: int
    records_before: int
    ready_ns: int | None = None
    stop_ns: int | None = None
    ended_ns: int = 0
    killed: bool = False
    report: StopReport | None = None
    error: BaseException | None = None


@attrs.frozen
class Snapshot:
    """What a crash at one moment leaves.

    Attributes:
        key: a digest of the disk, the exchange and what was under way. Equal keys, equal futures.
        now_ns: the moment.
        disk: what was durable.
        record: the exchange's.
        in_flight: requests that had left and not arrived.
        asked: ids of the orders that strategies asked for.
        notes: all that was noted.
        lives: all lives, the last one killed at this moment, unless it had ended.
    """

    key: str
    now_ns: int
    disk: MemoryDisk
    record: MemoryRecord
    in_flight: list[Request]
    asked: dict[ClientOrderId, None]
    notes: list[Note]
    lives: list[Life]


def copy_of(record: MemoryRecord) -> MemoryRecord:
    """Return a copy of an exchange's record; its rows are frozen."""
    copy = MemoryRecord()
    copy.orders = dict(record.orders)
    copy.executions = list(record.executions)
    copy.balances = dict(record.balances)
    copy.instruments = dict(record.instruments)
    copy.positions = dict(record.positions)
    copy.history = list(record.history)
    return copy


class Digests:
    """Digests of lists that only grow, each line of them read once."""

    def __init__(self) -> None:
        self._disk, self._records = blake2b(digest_size=16), 0
        self._exchange, self._lines = blake2b(digest_size=16), 0

    def of(self, records: list[Record], record: MemoryRecord, wire: list[str]) -> str:
        """Return the digest of a disk, an exchange and a wire; the first two only ever grew."""
        for line in records[self._records :]:
            # Who wrote it (host, process id) is of no account.
            payload = b"" if line.kind == "start" else line.payload
            self._disk.update(f"{line.seq} {line.ts_ns} {line.kind} ".encode() + payload + b"\n")
        self._records = len(records)
        for row in record.history[self._lines :]:
            detail = sorted(row.detail.items())
            self._exchange.update(
                f"{row.ts_ns} {row.event} {row.client_order_id} {detail}\n".encode()
            )
        self._lines = len(record.history)
        whole = f"{self._disk.hexdigest()} {self._exchange.hexdigest()} {wire}"
        return blake2b(whole.encode(), digest_size=16).hexdigest()
