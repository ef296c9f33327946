"""The PostgreSQL store against a real server: its promises, and what it does when that fails."""

from __future__ import annotations

import json
import random
import signal
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.postgres_world import LEASE_SECS, CuttingProxy, Desk, fresh_database, query
from tests.process.support import share
from tests.stores import chained, read_all
from tests.support.parity import Anything
from tests.support.postgres import Server
from tests.test_snapshots import history
from trade_runtime.errors import (
    ConfigError,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFenced,
)
from trade_runtime.lifecycle.asyncio_loop import asyncio_loop
from trade_runtime.machines.journal import make_record
from trade_runtime.machines.projection import Projection
from trade_runtime.machines.snapshot import take
from trade_runtime.managers.journal import replay
from trade_runtime.managers.tables import prove
from trade_runtime.model.events import Fill
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Ownership, Record
from trade_runtime.stores.postgresql import link as link_module
from trade_runtime.stores.postgresql import store as store_module
from trade_runtime.stores.postgresql.address import read_address
from trade_runtime.stores.postgresql.schema import SCHEMA_VERSION
from trade_runtime.testing.stores import check_store

CUT_MARK = b"the one that is cut"

TOGETHER = 8
"""Runs that meet their fault at the same time, each with a journal of its own."""


def marked(seq: int) -> Record:
    """A record that the proxy recognises."""
    return Record(seq, 1, "intent", CUT_MARK, "d")


@pytest.fixture
async def desk(any_postgres: str) -> AsyncIterator[Desk]:
    """A new database of whichever server there is."""
    async with asyncio_loop(True), fresh_database(any_postgres) as url:
        yield Desk(url)


@pytest.fixture
async def own_desk(postgres: Server) -> AsyncIterator[Desk]:
    """A new database of a server that the test may break."""
    async with asyncio_loop(True), fresh_database(postgres.url("postgres")) as url:
        yield Desk(url)


@pytest.mark.parametrize("durability", ["process", "power"])
async def test_it_keeps_every_promise(desk: Desk, durability: str) -> None:
    """In a database where nothing is yet, with either durability."""
    await check_store(lambda read_only: desk.open(read_only=read_only, durability=durability))


async def test_runtimes_in_one_database_know_nothing_of_each_other(desk: Desk) -> None:
    """Each has its own records and its own lease; one that was never there is empty."""
    async with desk.open(name="a") as a, desk.open(name="b") as b:
        await a.append(chained(1, 3))
        await b.append(chained(1, 2, digest="b"))
        assert chained(1, 3) == await read_all(a)
        assert chained(1, 2, digest="b") == await read_all(b)
    async with desk.open(name="c", read_only=True) as c:
        assert [] == await read_all(c)


async def test_runtimes_that_start_together_make_the_tables_once(desk: Desk) -> None:
    """Under one advisory lock; all of them then work."""

    async def start(name: str) -> None:
        async with desk.open(name=name) as store:
            await store.append(chained(1, 1))

    async with trio.open_nursery() as nursery:
        for n in range(8):
            nursery.start_soon(start, f"r{n}")
    rows = await query(desk.url, "SELECT version FROM trade_runtime.migrations")
    assert list(range(1, SCHEMA_VERSION + 1)) == [row["version"] for row in rows]
    rows = await query(desk.url, "SELECT count(*) AS n FROM trade_runtime.records")
    assert 8 == rows[0]["n"]


@pytest.mark.parametrize("read_only", [True, False])
async def test_a_newer_schema_is_refused(desk: Desk, read_only: bool) -> None:
    """With one message that says what to run; nothing is changed, the lease neither."""
    async with desk.open():
        pass
    await query(desk.url, "INSERT INTO trade_runtime.migrations VALUES (999)", "SELECT 1")
    before = await query(desk.url, "SELECT * FROM trade_runtime.leases")
    with pytest.raises(StoreDamaged, match=r"newer trade_runtime: its schema version is 999"):
        async with desk.open(read_only=read_only):
            pass
    assert before == await query(desk.url, "SELECT * FROM trade_runtime.leases")


async def test_the_end_of_a_long_journal_is_found_without_reading_it(desk: Desk) -> None:
    """The server looks at the end of the index: else a journal of some millions of records would
    be given up while it is opened.
    """
    async with desk.open(name="long"):
        pass
    plan = await query(
        desk.url,
        "INSERT INTO trade_runtime.records SELECT 'long', n, 1, 'x', '', 'd'"
        " FROM generate_series(1, 5000) AS n",
        "ANALYZE trade_runtime.records",
        f"EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) {store_module._END}".replace("$1", "'long'"),
    )
    assert [1] == rows_read(json.loads(plan[0][0])[0]["Plan"], "records")
    async with desk.open(name="long", read_only=True) as store:
        assert 5000 == (await store.read(4999, 2))[0].seq


def rows_read(node: dict[str, Any], table: str) -> list[int]:
    """How many rows of a table each node of a plan has read."""
    own = [node["Actual Rows"]] if node.get("Relation Name") == table else []
    return own + [n for inner in node.get("Plans", ()) for n in rows_read(inner, table)]


async def test_what_the_server_acknowledges_it_has_written(desk: Desk) -> None:
    """Never `off`: a server that crashes alone would forget what the runtime counts on."""
    for durability, setting in (("process", "local"), ("power", "on")):
        assert setting == link_module.SYNCHRONOUS[durability]
    assert "off" not in link_module.SYNCHRONOUS.values()


# --- one owner --------------------------------------------------------------------------------


async def test_a_second_owner_is_told_who_holds_it(desk: Desk) -> None:
    """Host, process, since when and until when; the first is not disturbed."""
    async with desk.open() as first:
        with pytest.raises(StoreBusy, match=r"held by pid \d+ on host \S+ since \S+ .*until \S+"):
            async with desk.open():
                pass
        await first.append(chained(1, 2))


async def test_leaving_in_order_gives_the_lease_back_at_once(desk: Desk) -> None:
    """The next need not wait until it ends."""
    async with desk.open(lease_secs=600):
        pass
    with trio.fail_after(3):
        async with desk.open(lease_secs=600) as store:
            await store.append(chained(1, 1))


async def test_a_living_owner_keeps_its_lease(desk: Desk) -> None:
    """It renews it for as long as it is open, idle or not."""
    async with desk.open(lease_secs=0.3) as store:
        rows = await query(desk.url, "SELECT token FROM trade_runtime.leases")
        await trio.sleep(1)
        assert rows == await query(desk.url, "SELECT token FROM trade_runtime.leases")
        rows = await query(
            desk.url, "SELECT expires_at > clock_timestamp() AS held FROM trade_runtime.leases"
        )
        assert rows[0]["held"]
        await store.append(chained(1, 1))


HOLDER = """
import random, sys, trio
from pathlib import Path
from tests.postgres_world import Desk
from tests.stores import chained
from trade_runtime.errors import StoreError
from trade_runtime.lifecycle.asyncio_loop import asyncio_loop

async def main():
    async with asyncio_loop(True), Desk(sys.argv[1]).open(lease_secs=float(sys.argv[2])) as store:
        seq = len(await store.read(0, 100_000))
        print("held", flush=True)
        while True:
            try:
                await store.append(chained(seq + 1, 1))
            except StoreError as error:
                print(type(error).__name__, error, flush=True)
                return
            seq += 1
            print(seq, flush=True)
            await trio.sleep(0.01)

trio.run(main)
"""


class _Lines:
    """What a process prints, line by line."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdout is not None
        self._chunks, self._text = process.stdout, ""

    async def next(self) -> str:
        """Return the next line."""
        with trio.fail_after(20):
            while "\n" not in self._text:
                chunk = await self._chunks.receive_some()
                assert chunk, "it ended"
                self._text += chunk.decode()
        line, _, self._text = self._text.partition("\n")
        return line

    async def rest(self) -> list[str]:
        """Return every line up to its end."""
        with trio.fail_after(20):
            async for chunk in self._chunks:
                self._text += chunk.decode()
        return self._text.splitlines()


@asynccontextmanager
async def _holder(desk: Desk) -> AsyncIterator[trio.Process]:
    """Run a process that holds the journal and writes."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", HOLDER, desk.url, str(LEASE_SECS)], stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.mark.process
async def test_a_paused_owner_is_fenced(desk: Desk) -> None:
    """Frozen past its lease and thawed, it writes nothing, and learns who took over.

    Nothing that it had sent comes late, and nothing that it was told was written is missing.
    """
    async with _holder(desk) as process:
        said = _Lines(process)
        assert "held" == await said.next()
        while await said.next() != "20":
            pass
        process.send_signal(signal.SIGSTOP)
        paused_at = datetime.now(UTC)
        async with desk.open(standby=True) as successor:
            waited = (datetime.now(UTC) - paused_at).total_seconds()
            records = await read_all(successor)
            await successor.append(chained(len(records) + 1, 5, digest="successor"))
            process.send_signal(signal.SIGCONT)
            rest = await said.rest()
            assert "StoreFenced" in rest[-1]
            assert "was taken over" in rest[-1]
            acknowledged = max([20, *(int(line) for line in rest if line.isdecimal())])
            assert acknowledged <= len(records)
            assert len(records) + 5 == len(await read_all(successor))
        assert waited < LEASE_SECS + 1.5


@pytest.mark.process
async def test_a_killed_owner_is_waited_for_no_longer_than_its_lease(desk: Desk) -> None:
    """Its lease is not renewed, so it is gone: the next start waits and needs no one's help."""
    async with _holder(desk) as process:
        said = _Lines(process)
        while await said.next() != "5":
            pass
        process.kill()
        acknowledged = max([5, *(int(line) for line in await said.rest())])
        with trio.fail_after(LEASE_SECS + 2):
            async with desk.open() as store:
                assert len(await read_all(store)) >= acknowledged


@pytest.mark.process
async def test_how_long_it_takes_to_take_over(desk: Desk) -> None:
    """From a `kill -9` at any moment between two renewals until one on standby owns the journal: no
    longer than the lease, and what it takes to ask.
    """
    leases, rng = list[float](), random.Random(1)
    for _ in range(share(3, 20)):
        async with _holder(desk) as process:
            said = _Lines(process)
            assert "held" == await said.next()
            await trio.sleep(rng.uniform(0, LEASE_SECS))
            process.kill()
            killed_at = trio.current_time()
            async with desk.open(standby=True):
                leases.append((trio.current_time() - killed_at) / LEASE_SECS)
    assert max(leases) < 1 + 1.0 / LEASE_SECS
    told = f"{min(leases):.2f} at least, {statistics.median(leases):.2f}, {max(leases):.2f} at most"
    print(f"taken over after so many leases of {LEASE_SECS} s: {told}")


async def test_a_write_names_its_token(desk: Desk) -> None:
    """Taken over in the moment before, long before any renewal: nothing of it is written."""
    async with desk.open(lease_secs=600) as store:
        await store.append(chained(1, 1))
        held = store.ownership
        assert (int, False) == (type(held.token), held.lost)
        await query(
            desk.url,
            "UPDATE trade_runtime.leases SET token = token + 1, pid = 4711, host = 'elsewhere'",
            "SELECT 1",
        )
        with pytest.raises(StoreFenced, match=r"taken over .* pid 4711 on host elsewhere"):
            await store.append(chained(2, 1))
        assert Ownership(held.token, lost=True) == store.ownership
    async with desk.open(read_only=True) as reader:
        assert Ownership() == reader.ownership
        assert 1 == len(await read_all(reader))


async def test_one_on_standby_takes_over_when_the_owner_leaves(
    own_desk: Desk, postgres: Server
) -> None:
    """It waits for as long as that takes, also while the server is away; then it goes on."""
    taken = trio.Event()

    async def stand_by() -> None:
        async with own_desk.open(standby=True) as successor:
            taken.set()
            await successor.append(chained(2, 1))

    async with trio.open_nursery() as nursery:
        async with own_desk.open() as owner:
            nursery.start_soon(stand_by)
            await owner.append(chained(1, 1))
            await trio.sleep(2 * LEASE_SECS)
            postgres.stop()
            await trio.to_thread.run_sync(postgres.start)
            assert 1 == len(await read_all(owner))
            await trio.sleep(LEASE_SECS)
            assert not taken.is_set()
        with trio.fail_after(3):
            await taken.wait()
    async with own_desk.open(read_only=True) as reader:
        assert 2 == len(await read_all(reader))


async def test_a_lost_lease_is_noticed_without_a_write(desk: Desk) -> None:
    """By the next renewal; then reading fails too, so that an idle owner learns of it."""
    async with desk.open() as store:
        await query(
            desk.url, "UPDATE trade_runtime.leases SET token = token + 1, holder = NULL", "SELECT 1"
        )
        with trio.fail_after(LEASE_SECS + 1):
            while True:
                try:
                    await store.read(0, 1)
                except StoreFenced:
                    break
                await trio.sleep(0.05)
        with pytest.raises(StoreFenced):
            await store.append(chained(1, 1))


# --- when the connection or the server fails --------------------------------------------------


async def test_a_lost_answer_is_resolved_by_reading(own_desk: Desk, postgres: Server) -> None:
    """The server committed and the answer never came: the records count as written, once."""
    records = chained(1, 20)
    records[9] = marked(10)
    async with (
        CuttingProxy(postgres.port).run() as proxy,
        own_desk.open(url=proxy.url(own_desk.url)) as store,
    ):
        await store.append(records[:9])
        proxy.cut_after = CUT_MARK
        await store.append(records[9:12])
        assert 1 == proxy.cuts
        await store.append(records[12:])
        assert records == await read_all(store)
    assert any("had been written" in line for line in own_desk.log.lines)


async def test_a_cut_before_the_statement_arrives_writes_once(
    own_desk: Desk, postgres: Server
) -> None:
    """The connection is gone when the append begins: it is written on the next one."""
    async with (
        CuttingProxy(postgres.port).run() as proxy,
        own_desk.open(url=proxy.url(own_desk.url)) as store,
    ):
        for first in range(1, 41, 4):
            proxy.cut_all()
            await store.append(chained(first, 4))
        assert 40 == len(await read_all(store))


async def test_a_statement_that_was_given_up_has_no_effect_later(
    own_desk: Desk, postgres: Server
) -> None:
    """It is on its way when its append is cancelled, and arrives when others were written."""
    async with (
        CuttingProxy(postgres.port).run() as proxy,
        own_desk.open(url=proxy.url(own_desk.url)) as store,
    ):
        await store.append(chained(1, 1))
        proxy.hold_at = CUT_MARK
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def cancel() -> None:
                    await proxy.held.wait()
                    scope.cancel()

                nursery.start_soon(cancel)
                await store.append([marked(2), marked(3)])
        assert 1 == len(await read_all(store))
        proxy.release.set()
        await trio.sleep(0.3)
        assert 1 == len(await read_all(store))
        await store.append(chained(2, 2))
        assert [*chained(1, 1), *chained(2, 2)] == await read_all(store)


@pytest.mark.slow
@pytest.mark.parametrize("stay_down", [False, True])
@pytest.mark.parametrize("early", [False, True])
async def test_the_nth_message_is_cut(
    own_desk: Desk,
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    early: bool,
    stay_down: bool,
) -> None:
    """For n = 1, 2, 3, ... until a run meets no fault: what was acknowledged is there, once.

    Cut before it arrives or before its answer; once, or from then on. What was not acknowledged is
    there whole, or not at all.
    """
    monkeypatch.setattr(store_module, "OUTAGE_SECS", 0.4 if stay_down else 5.0)
    monkeypatch.setattr(store_module, "RETRY_SECS", 0.01)
    met = dict[int, bool]()

    async def cut_at(n: int) -> None:
        name = f"n{n}"
        sent = acknowledged = 0
        async with CuttingProxy(postgres.port).run() as proxy:
            proxy.cut_at, proxy.early, proxy.stay_down = n, early, stay_down
            try:
                async with own_desk.open(
                    name=name, url=proxy.url(own_desk.url), lease_secs=0.5
                ) as store:
                    for first in (1, 4, 7):
                        sent = first + 2
                        await store.append(chained(first, 3))
                        acknowledged = sent
                    assert 9 == len(await read_all(store))
            except StoreError:
                assert proxy.cuts, "an error without a fault"
                assert stay_down or not sent, "a single cut was not outlasted"
            met[n] = proxy.cuts > 0
        async with own_desk.open(name=name, lease_secs=0.5) as store:  # a dead lease ends
            found = await read_all(store)
            assert len(found) in (acknowledged, sent)
            expected = [r for first in (1, 4, 7) for r in chained(first, 3)]
            assert expected[: len(found)] == found

    while all(met.values()):
        async with trio.open_nursery() as nursery:  # most of a run is waiting for the dead lease
            for n in range(len(met) + 1, len(met) + 1 + TOGETHER):
                nursery.start_soon(cut_at, n)
    assert sum(met.values()) > 8, "the faults met nothing"
    print(f"met a fault: {sum(met.values())} messages, early={early}, stay_down={stay_down}")


async def test_a_server_that_crashes_and_comes_back_loses_nothing(
    own_desk: Desk, postgres: Server
) -> None:
    """`stop -m immediate` while records are written, and a start 3 s later: no error, no gap."""
    records = chained(1, 400)
    done = 0

    async def crash() -> None:
        await trio.sleep(0.2)
        postgres.stop()
        await trio.sleep(3)
        await trio.to_thread.run_sync(postgres.start)

    async with own_desk.open() as store, trio.open_nursery() as nursery:
        nursery.start_soon(crash)
        for record in records:
            await store.append([record])
            done += 1
            await trio.sleep(0.005)
        assert records == await read_all(store)


async def test_a_server_that_stays_away_fails_the_append(
    own_desk: Desk, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the bound, saying that the outcome is not known; and leaving does not hang."""
    monkeypatch.setattr(store_module, "OUTAGE_SECS", 1.0)
    with trio.fail_after(10):
        async with own_desk.open() as store:
            await store.append(chained(1, 1))
            postgres.stop()
            try:
                with pytest.raises(StoreError, match="not known whether"):
                    await store.append(chained(2, 1))
            finally:
                postgres.start()
    async with own_desk.open(read_only=True) as reader:
        assert 1 == len(await read_all(reader))


async def test_a_frozen_server_is_given_up_and_taken_up_again(
    own_desk: Desk, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer in time: the connection is cut. Thawed, the statement is not written twice."""
    monkeypatch.setattr(link_module, "CALL_SECS", 0.5)
    monkeypatch.setattr(link_module, "CONNECT_SECS", 0.5)
    async with own_desk.open() as store:
        await store.append(chained(1, 1))
        postgres.freeze()

        async def thaw() -> None:
            await trio.sleep(2)
            postgres.thaw()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(thaw)
            await store.append(chained(2, 3))
        assert 4 == len(await read_all(store))


async def test_a_cancelled_append_leaves_the_store_usable(own_desk: Desk, postgres: Server) -> None:
    """Cancelled while the server is frozen: what is read afterwards stays true."""
    async with own_desk.open() as store:
        await store.append(chained(1, 1))
        postgres.freeze()
        with trio.move_on_after(0.3) as scope:
            await store.append(chained(2, 1))
        postgres.thaw()
        assert scope.cancelled_caught
        found = await read_all(store)
        assert len(found) in (1, 2)
        await trio.sleep(0.3)
        assert found == await read_all(store), "a statement that was given up came late"
        await store.append(chained(len(found) + 1, 2))
        assert len(found) + 2 == len(await read_all(store))


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush/hush@host/db",
        "postgresql://u:hush?hush@host/db",
        "postgresql://u:12?hush@host/db",
        "postgresql://u:hush#hush@host/db",
        "postgresql://u:hush@host:port/db",
        "postgresql://u:hush@[host/db",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    """Nobody can know which of it is the password."""
    with pytest.raises(ConfigError) as caught:
        read_address(url)
    assert "hush" not in str(caught.value)
    assert "12" not in str(caught.value)


def test_the_place_holds_no_password() -> None:
    """Nor do the repr and options that may hold one."""
    address = read_address("postgresql://me:hush@[::1]:5433,b:1/db?password=hush&sslpassword=hush")
    assert "postgresql://me@[::1]:5433,b:1/db" == address.place
    assert "hush" not in repr(address)


def test_a_missing_library_is_told_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default install does without; who names PostgreSQL is told what to install."""
    for name in [n for n in sys.modules if n.startswith("trade_runtime.stores.postgresql")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"pip install 'trade-runtime\[postgresql\]'"):
        Plugins().store("postgresql://user@host/db")
    with pytest.raises(ConfigError, match=r"did you mean .*postgresql"):
        Plugins().store("postgres://user@host/db")


async def test_a_database_that_is_not_there_is_told_with_the_mend(desk: Desk) -> None:
    """It is the configuration that is wrong."""
    with pytest.raises(ConfigError, match=r"no such database.*createdb"):
        async with desk.open(url=desk.url + "_absent"):
            pass


async def test_a_server_that_is_not_there_is_told(desk: Desk) -> None:
    """Not the configuration is at fault, as far as can be known; the password is not shown."""
    with pytest.raises(StoreError, match=r"postgresql://u@127\.0\.0\.1:1/db: ") as caught:
        async with desk.open(url="postgresql://u:hush@127.0.0.1:1/db"):
            pass
    assert "hush" not in str(caught.value)


async def test_a_record_that_was_removed_at_the_beginning_is_found(desk: Desk) -> None:
    """As those removed elsewhere: in reading, by the core."""
    async with desk.open() as store:
        await store.append(chained(1, 5))
        await store.check()
        await query(desk.url, "DELETE FROM trade_runtime.records WHERE seq < 3", "SELECT 1")
        with pytest.raises(StoreDamaged, match="record 3 is the first, and no snapshot"):
            await replay(store)


async def test_the_tables_say_what_the_records_say(desk: Desk, tmp_path: Path) -> None:
    """A whole run, in two lives, read back with SQL: decimals are numbers here."""
    events = history(tmp_path, Anything, 1)
    for half in (events[: len(events) // 2], events[len(events) // 2 :]):
        async with desk.open() as store:
            found = await replay(store)
            state, projection = found.state, Projection(found.state)
            records, last = list[Record](), found.digest
            for seq, event in enumerate(half, start=found.seq + 1):
                projection.note(event, state.apply(event))
                records.append(make_record(last, seq, 0, event))
                last = records[-1].digest
            await store.append(records, projection.changed()[0])
            await store.keep(take(state, records[-1].seq, 0, last))
    async with desk.open(read_only=True) as store:
        whole, tabled = await prove(store)
    assert tabled
    rows = await query(
        desk.url, "SELECT count(*) AS n, sum(quantity * price) AS spent FROM trade_runtime.fills"
    )
    fills = [event for event in events if type(event) is Fill]
    spent = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    assert [(len(fills), spent)] == [(row["n"], row["spent"]) for row in rows]
    assert whole.state.fills == len(fills)
