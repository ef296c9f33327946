"""What every store must do, as a test that any store can be put to.

Stands beside the plug-ins and imports what they may import. A store that passes keeps the promises
of `protocols.Store` as far as one process can see; surviving `kill -9` and the loss of power is for
its own tests.

    async def test_my_store(tmp_path):
        await check_store(lambda read_only: plugin.open("x", tmp_path, ..., read_only=read_only))
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import trio

from trade_runtime.errors import StoreBusy, StoreError
from trade_runtime.model.orders import ZERO
from trade_runtime.model.tables import BALANCES, FILLS, ORDERS, POSITIONS, Row, Table
from trade_runtime.protocols import Record, Snapshot, Store

OpenAgain = Callable[[bool], AbstractAsyncContextManager[Store]]
"""Opens the same place each time; the argument is `read_only`."""

_ODD_PAYLOADS = (b"{}", bytes(range(256)), b"", '{"caf\u00e9": "\u20bf"}'.encode(), b"x" * 100_000)


def make_records(first: int, count: int) -> list[Record]:
    """Return `count` records numbered from `first`, of varied content and size."""
    return [
        Record(
            seq=seq,
            ts_ns=1_700_000_000_000_000_000 + seq,
            kind=("intent", "fill", "caf\u00e9")[seq % 3],
            payload=_ODD_PAYLOADS[seq % len(_ODD_PAYLOADS)],
            digest=f"{seq:064x}",
        )
        for seq in range(first, first + count)
    ]


async def check_store(open_store: OpenAgain) -> None:
    """Put a store to the test; it must be empty, or not exist, at the beginning.

    Args:
        open_store: called with `read_only`; opens the same place each time.

    Raises:
        AssertionError: a promise is not kept.
    """
    await _check_nothing_there(open_store)
    written = await _check_order_and_batches(open_store)
    written = await _check_atomicity(open_store, written)
    written = await _check_cancellation(open_store, written)
    await _check_one_owner(open_store, written)
    written = await _check_tables(open_store, written)
    written = await _check_snapshots(open_store, written)
    await _check_closing(open_store, written)


async def _check_tables(open_store: OpenAgain, written: list[Record]) -> list[Record]:
    """Rows come back as they went in, in the transaction of their records, the last of a key."""
    last = written[-1].seq
    rows = [_fill(number) for number in range(1, 8)]
    held = [("s", "X.v", Decimal(number), Decimal("0.1"), ZERO, "{}", number) for number in (1, 2)]
    more = make_records(last + 1, 4)
    async with open_store(False) as store:
        assert not store.ownership.lost, "what was just opened is owned"
        assert await store.tabled() == 0, "no rows were written yet"
        await store.append([], {}, more=True)
        assert await store.tabled() == 0, "more rows are to come"
        await store.append(more[:2], {"fills": rows[:5], "positions": held[:1]})
        await store.append(more[2:3], None)
        assert await store.tabled() == last + 2, "records without rows leave the tables behind"
        told = [("v", "ETH", Decimal("0.1"), 1), ("v", "USDT", Decimal(10) ** 15, 2)]
        await store.append(more[3:], {"fills": rows[4:], "positions": held[1:], "balances": told})
        try:
            await store.append(make_records(last + 9, 1), {"fills": [_fill(9)]})
        except StoreError:
            pass
        else:
            raise AssertionError("records have to follow those that are there")
    async with open_store(True) as store:
        assert await store.tabled() == last + 4, "the tables know of the last records with rows"
        keys = [row[:2] for row in (rows[0], rows[6], _fill(9))]
        found = sorted(map(_exact, await store.find(FILLS, keys)))
        assert found == [_exact(rows[0]), _exact(rows[6])], "rows are found by their keys"
        there = [_exact(row) for row in await store.rows(FILLS, None, 3)]
        there += [_exact(row) for row in await store.rows(FILLS, there[-1][:2], 100)]
        assert there == [_exact(row) for row in rows], "rows are read in the order of their keys"
        (position,) = await store.rows(POSITIONS, None, 10)
        assert _exact(position, POSITIONS) == _exact(held[1], POSITIONS), "the last of a key stays"
        balances = [_exact(row, BALANCES) for row in await store.rows(BALANCES, None, 10)]
        assert balances == told, "a table of its own for each kind of row"
        assert list(await store.rows(ORDERS, None, 10)) == [], "nothing is made up"
    return [*written, *more]


def _fill(number: int) -> Row:
    quantity = Decimal("0.00000001") * number
    price = Decimal("123456789012345.12345678")
    return (
        *(f"o-{number}", f"t{number}", "s", "X.v", "buy", quantity, price, Decimal("-0.5")),
        *("USDT", number % 2 == 0, Decimal(10) ** -20, 1_700_000_000_000_000_000 + number),
    )


def _exact(row: Row, table: Table = FILLS) -> tuple[Any, ...]:
    """A row with its decimals as numbers, whether they came so or as text."""
    return tuple(
        Decimal(str(value)) if column.kind == "decimal" and value is not None else value
        for column, value in zip(table.columns, row, strict=True)
    )


async def _check_snapshots(open_store: OpenAgain, written: list[Record]) -> list[Record]:
    """Snapshots come back as they went in; records go from the oldest on, and never others."""
    last = written[-1].seq
    taken = [Snapshot(seq, 7, f"{seq:064x}", bytes(range(256)), "c" * 32) for seq in (50, 90, last)]
    async with open_store(False) as store:
        assert list(await store.snapshots()) == [], "there are none at first"
        for snapshot in taken:
            await store.keep(snapshot)
        await store.keep(taken[0])  # once more: it takes its own place
        while await store.forget(90, 40):
            pass
    async with open_store(True) as store:
        assert list(await store.snapshots()) == [90, last], "those below what was removed go too"
        assert await store.snapshot(90) == taken[1], "a snapshot is read as it was written"
        assert await store.snapshot(last) == taken[2], "a snapshot is read as it was written"
        try:
            await store.snapshot(50)
        except StoreError:
            pass
        else:
            raise AssertionError("a snapshot that is not there is an error")
        left = [record for record in written if record.seq > 90]
        assert await _all(store, 64) == left, "only the oldest records go"
        await store.check()
    async with open_store(False) as store:
        await store.append(make_records(last + 1, 1))
        await store.keep(Snapshot(last + 1, 7, f"{last + 1:064x}", b"{}", "c" * 32))
        assert not await store.forget(last + 1, 10_000), "all were removed"
    async with open_store(False) as store:
        await store.append(make_records(last + 2, 2))
        return await _all(store, 64)


async def _check_nothing_there(open_store: OpenAgain) -> None:
    """What does not exist reads as empty, and reading does not make it."""
    for _ in range(2):
        async with open_store(True) as store:
            assert list(await store.read(0, 10)) == [], "a store that does not exist is empty"
            await store.check()
            await _refused(store, make_records(1, 1), "a store opened for reading takes nothing")


async def _check_order_and_batches(open_store: OpenAgain) -> list[Record]:
    """Records come back as they went in, in order, in batches of any size."""
    written = make_records(1, 250)
    async with open_store(False) as store:
        assert list(await store.read(0, 10)) == [], "a new store is empty"
        await store.append(written[:1])
        await store.append([])
        await store.append(written[1:])
        assert await _all(store, 7) == written, "what was acknowledged is read, whole and in order"
        assert list(await store.read(100, 3)) == written[100:103], "reading begins after `after`"
        assert list(await store.read(250, 10)) == [], "nothing is after the end"
        assert list(await store.read(9999, 10)) == [], "nothing is after the end"
        await store.check()
    async with open_store(False) as store:
        assert await _all(store, 1000) == written, "it is all there when the store is opened again"
        await store.check()
    return written


async def _check_atomicity(open_store: OpenAgain, written: list[Record]) -> list[Record]:
    """A batch with one wrong record leaves nothing of itself, and the store usable."""
    end = len(written)
    more = make_records(end + 1, 3)
    async with open_store(False) as store:
        twice = [*more[:2], written[-1]]
        await _refused(store, twice, "a number is not given twice")
        await _refused(store, [more[0], more[2]], "a number is not left out")
        await _refused(store, more[1:], "a batch follows the last record")
        assert await _all(store, 100) == written, "a refused batch leaves nothing"
        await store.append(more)
        assert await _all(store, 100) == written + more, "the store is usable after a refusal"
    return written + more


async def _check_cancellation(open_store: OpenAgain, written: list[Record]) -> list[Record]:
    """A cancelled append wrote all or none, and the store can be used and closed."""
    more = make_records(len(written) + 1, 20)
    async with open_store(False) as store:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.append(more)
        found = await _all(store, 100)
        assert found in (written, written + more), "a cancelled append wrote all or none"
        if found == written:
            assert scope.cancelled_caught, "an append that returned has written"
            await store.append(more)
    return written + more


async def _check_one_owner(open_store: OpenAgain, written: list[Record]) -> None:
    """A second owner is refused and disturbs nothing; a reader is always welcome."""
    async with open_store(False) as store:
        refusal = ""
        try:
            async with open_store(False):
                pass
        except StoreBusy as error:
            refusal = str(error)
        assert refusal, "a second owner must be refused, and told who holds the store"
        async with open_store(True) as reader:
            assert await _all(reader, 100) == written, "a reader sees what was acknowledged"
        assert await _all(store, 100) == written, "the owner goes on undisturbed"
    async with open_store(True) as reader:
        assert await _all(reader, 100) == written
        async with open_store(False) as store:
            assert await _all(store, 100) == written, "a reader keeps no owner out"


async def _check_closing(open_store: OpenAgain, written: list[Record]) -> None:
    """However it is left, the store is given back."""
    try:
        async with open_store(False):
            raise LookupError
    except LookupError:
        pass
    with trio.CancelScope() as scope:
        async with open_store(False):
            scope.cancel()
            await trio.lowlevel.checkpoint()
    async with open_store(False) as store:
        assert await _all(store, 100) == written, "a store left in any way can be opened again"
        await store.check()


async def _all(store: Store, limit: int) -> list[Record]:
    found: list[Record] = []
    while batch := await store.read(found[-1].seq if found else 0, limit):
        assert len(batch) <= limit, "a batch is no longer than asked for"
        found.extend(batch)
    return found


async def _refused(store: Store, records: list[Record], promise: str) -> None:
    try:
        await store.append(records)
    except StoreError:
        return
    raise AssertionError(promise)
