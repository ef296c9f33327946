"""The journal in memory: what a simulated kill and injected faults do to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tests.stores import chained, environment, listing
from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.protocols import Owner
from trade_runtime.stores.memory import MemoryDisk, plugin


async def test_a_fresh_one_each_time(tmp_path: Path) -> None:
    """The scheme `memory` keeps nothing: what it is opened for is gone when it is closed."""
    for _ in range(2):
        async with plugin.open(
            "",
            tmp_path,
            owner=Owner("test"),
            durability="power",
            read_only=False,
            env=environment(tmp_path),
        ) as store:
            assert list(await store.read(0, 10)) == []
            await store.append(chained(1, 2))
    assert listing(tmp_path) == {}


async def test_the_nth_call_fails_and_leaves_nothing() -> None:
    """A hook before the effect: the write did not happen, and the next one does."""
    disk = MemoryDisk()

    async def fail(operation: str, number: int) -> None:
        if number == 2:
            raise StoreError(f"{operation} {number} fails")

    disk.before = fail
    async with disk.store() as store:
        await store.append(chained(1, 1))
        with pytest.raises(StoreError, match="append 2 fails"):
            await store.append(chained(2, 1))
        assert len(disk.records) == 1
        await store.append(chained(2, 1))
        assert len(disk.records) == 2


async def test_an_acknowledgement_is_lost() -> None:
    """A hook after the effect: the caller sees an error, and must read to know."""
    disk = MemoryDisk()

    async def fail(operation: str, number: int) -> None:
        raise StoreError(f"{operation} {number}: who knows")

    disk.after = fail
    async with disk.store() as store:
        with pytest.raises(StoreError, match="append 1: who knows"):
            await store.append(chained(1, 3))
        disk.after = None
        assert len(await store.read(0, 10)) == 3


async def test_a_stall_can_be_cancelled_and_leaves_nothing(autojump_clock: MockClock) -> None:
    """A disk that never answers costs its deadline, no more."""
    disk = MemoryDisk()

    async def stall(_operation: str, _number: int) -> None:
        await trio.sleep_forever()

    disk.before = stall
    async with disk.store() as store:
        with trio.move_on_after(2) as scope:
            await store.append(chained(1, 3))
        assert scope.cancelled_caught
    assert disk.records == []


async def test_a_killed_process_has_no_effect_any_more(autojump_clock: MockClock) -> None:
    """Its writes in flight are not made, it gives nothing back, and its successor owns the disk."""
    disk = MemoryDisk()
    async with trio.open_nursery() as nursery:
        async with disk.store() as dead:
            await dead.append(chained(1, 2))
            nursery.start_soon(dead.append, chained(3, 1))
            disk.kill()
            async with disk.store() as successor:
                await trio.testing.wait_all_tasks_blocked()
                assert len(await successor.read(0, 10)) == 2
                await successor.append(chained(3, 5))
        async with disk.store() as third:
            assert len(await third.read(0, 10)) == 7
        nursery.cancel_scope.cancel()


async def test_a_gap_is_damage() -> None:
    """The check of a disk that a test has tampered with."""
    disk = MemoryDisk(records=chained(1, 3))
    del disk.records[1]
    async with disk.store() as store:
        with pytest.raises(StoreDamaged, match="has 3 in place of 2"):
            await store.check()
