"""The Redis plug-in against a real server: what a batch leaves there, and who may write."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import trio

from tests.support.valkey import Valkey
from trade_runtime.caches.redis import plugin
from trade_runtime.errors import CacheError, CacheTaken, ConfigError
from trade_runtime.lifecycle.asyncio_loop import asyncio_loop
from trade_runtime.protocols import CacheBatch, CacheEntry, OpenCache

ENTRIES = 50


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    """A plain client, as another program has."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as found:
        yield found


@pytest.fixture
def space(request: pytest.FixtureRequest) -> str:
    """What the keys of one test begin with."""
    return f"test:{request.node.name}"


def opened(url: str, space: str) -> OpenCache:
    return plugin.prepare(url, space=space, entries=ENTRIES)


def batch(
    tables: dict[str, dict[str, str | bytes | None]], *seqs: int, reset: bool = False, run: int = 1
) -> CacheBatch:
    entries = [CacheEntry(seq, {"seq": str(seq), "kind": "fill"}) for seq in seqs]
    return CacheBatch(run, tables, entries, reset, 30.0)


async def write(connect: OpenCache, *batches: CacheBatch) -> None:
    async with asyncio_loop(True), connect() as cache:
        for one in batches:
            await cache.write(one)


class TestBatches:
    """A batch becomes hashes and a stream."""

    async def test_fields_are_set_and_taken_away(
        self, redis_url: str, client: Any, space: str
    ) -> None:
        """The hashes hold what was said last, and expire if nothing more is said."""
        await write(
            opened(redis_url, space),
            batch({"orders": {"a": b"1", "b": b"2"}, "status": {"state": "running"}}),
            batch({"orders": {"a": None, "b": b"3", "c": b"4"}}),
        )
        assert {"b": "3", "c": "4"} == client.hgetall(f"{space}:orders")
        assert {"state": "running"} == client.hgetall(f"{space}:status")
        assert 25 <= client.ttl(f"{space}:orders") <= 30

    async def test_a_reset_takes_away_what_was_there(
        self, redis_url: str, client: Any, space: str
    ) -> None:
        """Of the tables that are named; the stream stays."""
        await write(
            opened(redis_url, space),
            batch({"orders": {"a": b"1"}, "quotes": {"x": b"1"}}, 1),
            batch({"orders": {"b": b"2"}, "quotes": {}}, reset=True),
        )
        assert {"b": "2"} == client.hgetall(f"{space}:orders")
        assert not client.exists(f"{space}:quotes")
        assert 1 == client.xlen(f"{space}:stream")

    async def test_an_entry_is_there_once(self, redis_url: str, client: Any, space: str) -> None:
        """Written again, as after an answer that was lost, it stays as it is."""
        await write(opened(redis_url, space), batch({}, 1, 2), batch({}, 1, 2, 3))
        entries = client.xrange(f"{space}:stream")
        assert ["1", "2", "3"] == [fields["seq"] for _, fields in entries]
        assert ["1-1", "1-2", "1-3"] == [number for number, _ in entries]

    async def test_the_stream_is_bounded(self, redis_url: str, client: Any, space: str) -> None:
        """It keeps the latest, about as many as was said: the server trims whole nodes of it."""
        batches = [batch({}, *range(n, n + 100)) for n in range(1, 3001, 100)]
        await write(opened(redis_url, space), *batches)
        assert ENTRIES <= client.xlen(f"{space}:stream") <= ENTRIES + 200
        assert "3000" == client.xrevrange(f"{space}:stream", count=1)[0][1]["seq"]

    async def test_a_later_run_goes_on_behind(
        self, redis_url: str, client: Any, space: str
    ) -> None:
        """Its records may be numbered from 1 again, and its clock may be behind."""
        await write(opened(redis_url, space), batch({}, 7, run=9))
        await write(opened(redis_url, space), batch({}, 1, run=5))
        entries = client.xrange(f"{space}:stream")
        assert ["9-7", "10-1"] == [number for number, _ in entries]


class TestOwners:
    """Of two runs of one name the later one writes."""

    async def test_an_earlier_run_writes_no_more(
        self, redis_url: str, client: Any, space: str
    ) -> None:
        """One that was frozen while another took over must not bring old values back."""
        status: dict[str, str | bytes | None]
        status = {"run": "2", "state": "running", "host": "box", "pid": "77"}
        await write(opened(redis_url, space), batch({"status": status}, run=2))
        with pytest.raises(CacheTaken, match="pid 77 on box"):
            await write(opened(redis_url, space), batch({"orders": {"old": b"1"}}, 5))
        assert not client.exists(f"{space}:orders")
        assert not client.exists(f"{space}:stream")

    async def test_one_that_stopped_is_followed_by_any(
        self, redis_url: str, client: Any, space: str
    ) -> None:
        """Its status stays for a day; a clock that was put back locks nobody out."""
        status: dict[str, str | bytes | None] = {"run": "2", "state": "stopped"}
        await write(opened(redis_url, space), batch({"status": status}, run=2))
        await write(opened(redis_url, space), batch({"orders": {"new": b"1"}}))
        assert {"new": "1"} == client.hgetall(f"{space}:orders")


class TestFaults:
    """What fails is a CacheError, and leaves nothing half done."""

    async def test_nobody_listens(self, valkey: Valkey) -> None:
        """Named by host and port."""
        valkey.kill()
        with pytest.raises(CacheError, match=str(valkey.port)):
            await write(opened(valkey.url, "x"))

    async def test_no_memory(self, valkey: Valkey) -> None:
        """Nothing of the batch is there, and the next one with memory is whole."""
        with valkey.client() as client:
            connect = opened(valkey.url, "x")
            valkey.fill()
            with pytest.raises(CacheError, match="maxmemory"):
                await write(connect, batch({"orders": {"a": b"1"}}, 1))
            assert [] == client.keys("*")
            valkey.empty()
            await write(connect, batch({"orders": {"a": b"1"}}, 1))
            assert ["x:orders", "x:stream"] == sorted(client.keys("*"))

    async def test_a_frozen_server_holds_nobody(self, valkey: Valkey) -> None:
        """The deadline is kept, with more under way than the socket takes, and nothing is left."""
        big: dict[str, str | bytes | None] = {str(n): b"x" * 100_000 for n in range(200)}
        async with asyncio_loop(True):
            with trio.CancelScope() as scope:
                async with opened(valkey.url, "x")() as cache:
                    valkey.freeze()
                    began = trio.current_time()
                    scope.deadline = began + 0.3
                    await cache.write(batch({"orders": big}))
            assert scope.cancelled_caught
            assert trio.current_time() - began < 1
            with trio.move_on_after(0.3) as connecting:
                async with opened(valkey.url, "y")():
                    pass
            assert connecting.cancelled_caught
        valkey.thaw()
        await write(opened(valkey.url, "z"), batch({"orders": {"a": b"1"}}))

    async def test_a_lost_connection_is_told(self, valkey: Valkey) -> None:
        """By the next write; a new connection works."""
        connect = opened(valkey.url, "x")
        async with asyncio_loop(True):
            async with connect() as cache:
                await cache.write(batch({"orders": {"a": b"1"}}))
                valkey.reset()
                with pytest.raises(CacheError):
                    await cache.write(batch({"orders": {"a": b"2"}}))
            async with connect() as cache:
                await cache.write(batch({"orders": {"a": b"3"}}))
        with valkey.client() as client:
            assert {"a": "3"} == client.hgetall("x:orders")


class TestUrls:
    """What is wrong with a URL is said at the start, without the URL."""

    @pytest.mark.parametrize(
        "url",
        [
            "redis://:hunter2@localhost:port/0",
            "redis://user:hunter2@localhost:6379/zero",
            "redis://:hunter2@localhost:6379/0?no_such_option=1",
            "redis://:hunter2@[::1/0",
        ],
    )
    def test_a_bad_one_is_refused(self, url: str) -> None:
        """With an example, and no password."""
        with pytest.raises(ConfigError, match="redis://localhost:6379/0") as caught:
            opened(url, "x")
        assert "hunter2" not in str(caught.value)

    async def test_a_password_is_in_no_error(self, valkey: Valkey) -> None:
        """Not when the server refuses it either."""
        url = valkey.url.replace("127", ":hunter2@127")
        with pytest.raises(CacheError) as caught:
            await write(opened(url, "x"))
        assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"

    def test_a_missing_library_is_told_with_the_mend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The default install does without."""
        monkeypatch.setitem(sys.modules, "redis.asyncio", None)
        with pytest.raises(ConfigError, match=r"pip install 'trade-runtime\[redis\]'"):
            opened("redis://localhost:6379/0", "x")
