"""The tables that people query equal the records, always, and are made anew where they do not."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.stores import NAME, open_sqlite
from tests.support.parity import Anything
from tests.test_snapshots import history, old_journal
from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers import journal
from trade_runtime.managers.state import StateManager, open_state
from trade_runtime.managers.tables import prove, remake
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import Currency, VenueName
from trade_runtime.model.orders import OrderSpec
from trade_runtime.model.records import BalancesTold, JournalEvent, RuntimeStopped
from trade_runtime.model.tables import TABLES
from trade_runtime.settings import ShutdownConfig, StoreSettings
from trade_runtime.stores.sqlite.files import create_journal

PAPER, ETHER, USDT = VenueName("paper"), Currency("ETH"), Currency("USDT")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[StateManager]:
    """The state layer over a journal in a file."""
    async with open_state(
        "test",
        open_sqlite(folder),
        StoreSettings(batch_rows=50, snapshot_records=200),
        Ladder(ShutdownConfig()),
        TrioClock(),
        random.Random(1),
        lambda: RuntimeStopped("test", "clean"),
    ) as state:
        yield state


def select(folder: Path, query: str) -> list[tuple[object, ...]]:
    """What a user with SQL sees."""
    with closing(sqlite3.connect(folder / NAME)) as connection:
        return connection.execute(query).fetchall()


def edit(folder: Path, statement: str) -> None:
    """Change the file behind everybody's back."""
    with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as connection:
        connection.execute(statement)
    (folder / f"{NAME}.seal").unlink(missing_ok=True)


async def run(folder: Path, seed: int) -> list[JournalEvent]:
    """Record all of a run, in batches, in two lives."""
    events = history(folder, Anything, seed)
    for number, amount in enumerate(("1.5", "2.50", "0")):
        told = BalancesTold(PAPER, {ETHER: Decimal(amount), USDT: Decimal(7)}, number)
        events.insert(100 * number + 100, told)
    for half in (events[: len(events) // 2], events[len(events) // 2 :]):
        async with opened(folder) as state:
            for number, event in enumerate(half):
                state.record(event)
                if number % 70 == 0:
                    await state.flush()
    return events


async def test_the_tables_say_what_the_records_say(tmp_path: Path) -> None:
    """Every order, fill and position, exactly, by SQL alone."""
    events = await run(tmp_path, 1)
    async with open_sqlite(tmp_path, read_only=True) as store:
        found, tabled = await prove(store)
    assert tabled
    fills = [event for event in events if type(event) is Fill]
    specs = [event for event in events if type(event) is OrderSpec]
    assert [(len(fills),)] == select(tmp_path, "SELECT count(*) FROM fills")
    assert [(len(specs),)] == select(tmp_path, "SELECT count(*) FROM orders")
    fees = sum((fill.fee for fill in fills), Decimal(0))
    assert fees == sum(Decimal(str(fee)) for (fee,) in select(tmp_path, "SELECT fee FROM fills"))
    for strategy, instrument, quantity, realised in select(
        tmp_path, "SELECT strategy, instrument, quantity, realised FROM positions"
    ):
        position = found.state.ledger.position(strategy, instrument)  # type: ignore[arg-type]
        assert (position.quantity, position.realised) == (
            Decimal(str(quantity)),
            Decimal(str(realised)),
        )
    assert [("paper", "ETH", "0", 2), ("paper", "USDT", "7", 2)] == select(
        tmp_path, "SELECT * FROM balances ORDER BY currency"
    )
    live = {order.id for order in found.state.live()}
    assert live == {
        one for (one,) in select(tmp_path, "SELECT client_order_id FROM orders WHERE live")
    }


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE fills SET price = '1'", "table fills: the row of .* price is 1, not "),
        ("UPDATE orders SET state = 'open'", "table orders: the row of .* state is open, not "),
        ("UPDATE positions SET quantity = '7.5'", "table positions: .* quantity is 7.5, not "),
        ("UPDATE balances SET total = '8'", "table balances: .* total is 8, not "),
        ("DELETE FROM fills", "table fills: .* it is missing"),
    ],
)
async def test_a_row_that_was_changed_is_found_out(
    tmp_path: Path, statement: str, told: str
) -> None:
    """By `verify`, with the row and what it should be."""
    await run(tmp_path, 2)
    edit(tmp_path, statement)
    async with open_sqlite(tmp_path, read_only=True) as store:
        with pytest.raises(StoreDamaged, match=told):
            await prove(store)


async def test_tables_that_are_behind_are_made_anew(tmp_path: Path) -> None:
    """After a crash between two transactions, or of a journal that had none: at the next start."""
    events = history(tmp_path, Anything, 3)
    old_journal(tmp_path / NAME, events)
    async with open_sqlite(tmp_path, read_only=True) as store:
        found, tabled = await prove(store)
    assert not tabled
    async with opened(tmp_path):
        pass
    async with open_sqlite(tmp_path, read_only=True) as store:
        again, tabled = await prove(store)
    assert tabled
    assert found.state.fills == again.state.fills == len(select(tmp_path, "SELECT * FROM fills"))


async def test_a_remake_that_was_broken_off_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first rows do not pass for all of them."""
    monkeypatch.setattr(journal, "READ_BATCH", 100)
    events = history(tmp_path, Anything, 3)
    old_journal(tmp_path / NAME, events)
    async with open_sqlite(tmp_path) as store:
        append, calls = store.append, 0

        async def broken(*args: Any, **how: Any) -> None:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise StoreError("the disk is full")
            await append(*args, **how)

        store.append = broken  # type: ignore[method-assign]
        with pytest.raises(StoreError, match="full"):
            await remake(store)
        assert 0 == await store.tabled()
    assert select(tmp_path, "SELECT * FROM orders")
    async with opened(tmp_path):
        pass
    async with open_sqlite(tmp_path, read_only=True) as store:
        _, tabled = await prove(store)
    assert tabled


async def test_a_restart_that_finds_orders_in_doubt_says_so_in_the_tables(tmp_path: Path) -> None:
    """What a process left under way is unknown from the next start on, in its row too."""
    events = history(tmp_path, Anything, 4)
    state = TradingState()
    cut = next(
        n
        for n, event in enumerate(events)
        if state.apply(event) is not None
        and any(order.state == "sent" for order in state.orders.values())
        and n > 300
    )
    async with opened(tmp_path) as manager:
        for event in events[: cut + 1]:
            manager.record(event)
    async with opened(tmp_path):
        pass
    assert select(tmp_path, "SELECT * FROM orders WHERE state = 'unknown'")
    async with open_sqlite(tmp_path, read_only=True) as store:
        assert (await prove(store))[1]


def test_every_column_is_in_the_file(tmp_path: Path) -> None:
    """In the order in which rows are written."""
    create_journal(tmp_path / NAME, 0)
    for table in TABLES.values():
        columns = select(tmp_path, f"PRAGMA table_info({table.name})")
        assert list(table.names) == [column[1] for column in columns]
        kinds = {"text": "TEXT", "decimal": "TEXT", "integer": "INTEGER", "flag": "INTEGER"}
        assert [kinds[c.kind] for c in table.columns] == [column[2] for column in columns]
