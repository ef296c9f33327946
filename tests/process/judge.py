"""The judge: what must hold between the venue's record, the journal and the report.

It reads the files, as a stranger would, and believes no one else: each finding is a sentence, and
no finding is good news. A process must not be running: what a killed one left is read from copies,
so that judging changes nothing for the next start.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.postgres_world import query
from tests.process.support import STAGES_OK, Run, World
from trade_runtime.lifecycle.asyncio_loop import asyncio_loop

Row = dict[str, Any]


def held(fills: list[Row]) -> Decimal:
    """Return the position that a venue's fills make."""
    signs = {"buy": 1, "sell": -1}
    return sum((signs[f["side"]] * Decimal(f["quantity"]) for f in fills), Decimal(0))


@attrs.frozen
class Evidence:
    """What two records hold, and what `verify` says of the one."""

    orders: dict[str, Row]
    fills: list[Row]
    history: list[Row]
    records: list[Row]
    verdict: Row
    held: Callable[[list[Row]], Decimal] = held
    """The position that fills of the venue make."""
    coverable: Callable[[Decimal], Decimal] = abs
    """What of a position a stop can be for."""

    @property
    def intents(self) -> dict[str, Row]:
        """Every intent of the journal, by its client order id."""
        return {r["payload"]["client_order_id"]: r for r in self.records if r["kind"] == "intent"}

    @property
    def booked(self) -> list[Row]:
        """Every fill of the journal."""
        return [r["payload"] for r in self.records if r["kind"] == "fill"]

    def entries(self) -> list[str]:
        """The entry orders that rest at the venue."""
        return [i for i, o in self.orders.items() if o["status"] == "open" and not self.stop(i)]

    def stops(self) -> list[str]:
        """The protective stops that rest at the venue."""
        return [i for i, o in self.orders.items() if o["status"] == "open" and self.stop(i)]

    def stop(self, order: str) -> bool:
        """Whether an order is a protective one, by its intent."""
        return order in self.intents and bool(self.intents[order]["payload"]["protective"])


@contextlib.contextmanager
def _copy(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a database and its log; an empty one where there is none."""
    with tempfile.TemporaryDirectory(prefix="judge-") as folder:
        for end in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{end}", f"{folder}/copy{end}")
        with contextlib.closing(sqlite3.connect(f"{folder}/copy")) as db:
            db.row_factory = sqlite3.Row
            yield db


def _rows(db: sqlite3.Connection, table: str, order: str) -> list[Row]:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        return []
    return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY {order}")]


def _postgres_rows(url: str) -> list[Row]:
    async def read() -> list[Row]:
        async with asyncio_loop(True):
            return [dict(row) for row in await query(url, _POSTGRES_RECORDS)]

    return trio.run(read)


_POSTGRES_RECORDS = "SELECT * FROM trade_runtime.records WHERE runtime = 'world' ORDER BY seq"


def evidence(world: World) -> Evidence:
    """Read what is there; the process that wrote it has ended."""
    with _copy(world.venue) as db:
        orders = {row["client_order_id"]: row for row in _rows(db, "orders", "seq")}
        fills, history = _rows(db, "fills", "seq"), _rows(db, "history", "seq")
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    return Evidence(orders, fills, history, read_journal(world), world.verify())


def read_journal(world: World) -> list[Row]:
    """Return every record of the journal; the process that wrote it has ended."""
    if world.postgres_url:
        records = _postgres_rows(world.postgres_url)
    else:
        with _copy(world.journal) as db:
            records = _rows(db, "records", "seq")
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    for record in records:
        record["payload"] = json.loads(record["payload"])
    return records


def _fill(row: Row) -> tuple[str, str, str, Decimal, Decimal]:
    return (
        str(row["trade_id"]),
        row["client_order_id"],
        row["side"],
        Decimal(row["quantity"]),
        Decimal(row["price"]),
    )


def crimes(found: Evidence) -> list[str]:
    """What must hold at every moment, also right after a kill."""
    wrong: list[str] = []
    intents = found.intents
    submitted = Counter(row["client_order_id"] for row in found.history if row["event"] == "submit")
    for order, times in submitted.items():
        if order not in intents:
            wrong.append(f"{order} was sent without an intent")
        elif intents[order]["ts_ns"] > found.orders[order]["created_ns"]:
            wrong.append(f"{order} was at the venue before its intent")
        if times > 1:
            wrong.append(f"{order} was sent {times} times")
    ids = [r["payload"]["client_order_id"] for r in found.records if r["kind"] == "intent"]
    wrong += [f"{order} was intended twice" for order, times in Counter(ids).items() if times > 1]
    told = Counter(_fill(row) for row in found.fills)
    for fill, times in Counter(_fill(row) for row in found.booked).items():
        if fill not in told:
            wrong.append(f"fill {fill} is in the journal alone")
        if times > 1:
            wrong.append(f"fill {fill} is {times} times in the journal")
    alive = {order["id"] for order in found.verdict["open_intents"]}
    for order in found.entries() + found.stops():
        if order in intents and order not in alive:
            wrong.append(f"{order} rests, and the journal thinks it ended")
    if found.verdict["records"] != len(found.records):
        wrong.append("verify counts other records than there are")
    return wrong


def unsettled(found: Evidence) -> list[str]:
    """What must hold too once a runtime has recovered and stopped in order."""
    wrong = []
    told, booked = {_fill(f) for f in found.fills}, {_fill(f) for f in found.booked}
    if told != booked:
        wrong.append(f"the venue's fills are not the journal's: {sorted(told ^ booked)}")
    held = sum((Decimal(p["quantity"]) for p in found.verdict["positions"]), Decimal(0))
    if held != found.held(found.fills):
        wrong.append(f"position {held}, by the venue's fills {found.held(found.fills)}")
    if found.entries():
        wrong.append(f"entry orders rest after the stop: {found.entries()}")
    resting = {order["id"] for order in found.verdict["open_intents"]}
    if resting != set(found.stops()):
        wrong.append(f"the journal has {resting} resting, the venue {found.stops()}")
    wrong += bare(found)
    return wrong


def bare(found: Evidence) -> list[str]:
    """Positions whose resting stops are not for just as much: less leaves them bare, more would
    turn them over.
    """
    wrong = []
    for position in found.verdict["positions"]:
        quantity = Decimal(position["quantity"])
        covered = sum(
            (
                Decimal(found.orders[stop]["quantity"]) - Decimal(found.orders[stop]["filled"])
                for stop in found.stops()
                if found.intents[stop]["payload"]["strategy"] == position["strategy"]
                and found.orders[stop]["side"] == ("sell" if quantity > 0 else "buy")
            ),
            Decimal(0),
        )
        if covered != found.coverable(quantity):
            wrong.append(f"{position['strategy']} holds {quantity}, stops are for {covered}")
    return wrong


def check_crash(world: World, run: Run, found: Evidence | None = None) -> Evidence:
    """Judge what a killed or forced process left; `found` is it, where it is known already."""
    found = found or evidence(world)
    wrong = crimes(found)
    assert not wrong, f"{wrong} {run}"
    return found


def check_clean(world: World, run: Run, found: Evidence | None = None) -> Evidence:
    """Judge an ordered stop that ended clean, its report among the witnesses."""
    found = found or evidence(world)
    report = run.report()
    wrong = crimes(found) + unsettled(found)
    assert not wrong, f"{wrong} {run}"
    assert (report["outcome"], report["exit_code"]) == ("clean", 0)
    assert [(stage["name"], stage["outcome"]) for stage in report["stages"]] == STAGES_OK
    assert report["orders"]["left_open"] == []
    assert report["tasks_left"] == report["connections_left"] == []
    assert report["state"] == {"flushed": True, "verified": True, "records": len(found.records)}
    told = {(p["strategy"], Decimal(p["quantity"])) for p in report["positions"]}
    held = {(p["strategy"], Decimal(p["quantity"])) for p in found.verdict["positions"]}
    assert held == told
    for position in report["positions"]:
        assert position["protected"] is True
        assert position["stop_order"] in found.stops()
    assert world.leftovers() == []
    run.check_log()
    assert run.out == ""
    return found
