"""The Redis plug-in against a real server: what a batch leaves there, and who may write."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
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
def space(request: pytest.FixtureRequest, client: Any) -> Iterator[str]:
    """What the keys of one test begin with; none is there, nor is left."""
    name = f"test:{request.node.name}"
    for _ in ("before", "after"):
        for key in client.scan_iter(f"{name}:*"):
            client.delete(key)
        if _ == "before":
            yield name


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

    async def test_a_name_server_that_hangs_holds_nobody(self) -> None:
        """The look-up is Trio's, and can be abandoned."""

        class Hangs(trio.abc.HostnameResolver):
            async def getaddrinfo(self, *_: Any, **__: Any) -> Any:
                await trio.sleep_forever()

            async def getnameinfo(self, *_: Any, **__: Any) -> Any:
                await trio.sleep_forever()

        trio.socket.set_custom_hostname_resolver(Hangs())
        async with asyncio_loop(True):
            with trio.move_on_after(0.1) as scope:
                async with opened("redis://cache.example/0", "x")():
                    pass
        assert scope.cancelled_caught

    async def test_the_second_address_is_tried(self, valkey: Valkey) -> None:
        """A name that has two, of which one does not answer."""

        class Two(trio.abc.HostnameResolver):
            async def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> Any:
                kind = (trio.socket.AF_INET, trio.socket.SOCK_STREAM, 6, "")
                return [(*kind, ("127.0.0.9", port)), (*kind, ("127.0.0.1", port))]

            async def getnameinfo(self, *_: Any, **__: Any) -> Any:
                raise NotImplementedError

        trio.socket.set_custom_hostname_resolver(Two())
        url = valkey.url.replace("127.0.0.1", "cache.example")
        await write(opened(url, "x"), batch({"orders": {"a": b"1"}}))
        with valkey.client() as client:
            assert {"a": "1"} == client.hgetall("x:orders")


@asynccontextmanager
async def tls_before(server: Valkey, certificate: Path, key: Path) -> AsyncIterator[int]:
    """Speak TLS on a port of loopback, and hand on what comes to a server that speaks none."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def pump(source: trio.abc.Stream, sink: trio.abc.Stream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(65536):
                await sink.send_all(data)
        await trio.aclose_forcefully(source)
        await trio.aclose_forcefully(sink)

    async def handle(stream: trio.SSLStream[trio.SocketStream]) -> None:
        behind = await trio.open_tcp_stream("127.0.0.1", server.port)
        async with trio.open_nursery() as both:
            both.start_soon(pump, stream, behind)
            both.start_soon(pump, behind, stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            partial(trio.serve_ssl_over_tcp, handle, 0, context, host="127.0.0.1")
        )
        yield listeners[0].transport_listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


class TestTls:
    """`rediss://`: the certificate is checked, and for the name in the URL."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> tuple[Path, Path]:
        """One for `localhost`, signed by itself."""
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl is not installed")
        certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
        subprocess.run(
            [openssl, *new, "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
        return certificate, key

    async def test_it_writes(self, valkey: Valkey, certificate: tuple[Path, Path]) -> None:
        """As without."""
        async with tls_before(valkey, *certificate) as port:
            url = f"rediss://localhost:{port}/0?ssl_ca_certs={certificate[0]}"
            await write(opened(url, "x"), batch({"orders": {"a": b"1"}}))
        with valkey.client() as client:
            assert {"a": "1"} == client.hgetall("x:orders")

    @pytest.mark.parametrize(
        ("host", "trusted"), [("127.0.0.1", True), ("localhost", False)], ids=["name", "authority"]
    )
    async def test_a_certificate_that_is_not_right_is_refused(
        self, valkey: Valkey, certificate: tuple[Path, Path], host: str, trusted: bool
    ) -> None:
        """For another name, or by nobody who is trusted."""
        async with tls_before(valkey, *certificate) as port:
            url = f"rediss://{host}:{port}/0"
            url += f"?ssl_ca_certs={certificate[0]}" if trusted else ""
            with pytest.raises(CacheError, match=r"(?i)certificate"):
                await write(opened(url, "x"), batch({"orders": {"a": b"1"}}))


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
