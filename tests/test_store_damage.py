"""No byte of a journal changes unseen: every position is flipped, and the outcome is judged."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.support import share
from tests.stores import NAME, chained, is_chain, listing, open_sqlite, read_all
from trade_runtime.errors import StoreDamaged, StoreError
from trade_runtime.stores.sqlite.wal import INDEX_BYTES, read_index

ROOT = Path(__file__).resolve().parent.parent
RECORDS = chained(1, 12)


def flip(path: Path, position: int, bits: int) -> None:
    """Change one byte of a file, in place."""
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ bits]))


def copy_from_outside(source: Path, target: Path) -> None:
    """Copy by another process: closing a handle on the files in this one would drop its locks."""
    code = "import shutil, sys; shutil.copytree(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, source, target], check=True)


@pytest.fixture
async def sealed(tmp_path: Path) -> Path:
    """The folder of a small journal that was closed cleanly."""
    folder = tmp_path / "sealed"
    async with open_sqlite(folder) as store:
        await store.append(RECORDS)
    return folder


@pytest.fixture(params=["log", "log and file"])
async def crashed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder as `kill -9` leaves it: no seal, and records in the log, or in both."""
    live, folder = tmp_path / "live", tmp_path / "crashed"
    async with open_sqlite(live) as store:
        if request.param == "log and file":
            await store.append(RECORDS[:6])
            connection = store._connection  # type: ignore[attr-defined]
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            await store.append(RECORDS[6:8])
        for record in RECORDS[8 if request.param == "log and file" else 0 :]:
            await store.append([record])
        copy_from_outside(live, folder)
    (folder / f"{NAME}.lock").unlink()
    return folder


async def test_every_flipped_byte_of_a_sealed_journal_is_found(sealed: Path) -> None:
    """Every position of the journal and of its seal, one bit each, by owner and reader alike."""
    for path in (sealed / NAME, sealed / f"{NAME}.seal"):
        for position in range(path.stat().st_size):
            bits = 1 << position % 8
            flip(path, position, bits)
            with pytest.raises(StoreDamaged):
                async with open_sqlite(sealed, read_only=position % 16 != 0):
                    pass
            flip(path, position, bits)
    async with open_sqlite(sealed) as store:
        assert await read_all(store) == RECORDS


@pytest.mark.parametrize("change", [b"x", b"\0" * 4096, None])
async def test_a_longer_or_shorter_journal_is_found(sealed: Path, change: bytes | None) -> None:
    """Bytes added at the end, or cut off."""
    path = sealed / NAME
    content = path.read_bytes()
    path.write_bytes(content[:-1] if change is None else content + change)
    with pytest.raises(StoreDamaged):
        async with open_sqlite(sealed):
            pass


async def test_a_crashed_journal_is_whole(crashed: Path) -> None:
    """All that was acknowledged is read, by a reader that changes nothing, then by an owner."""
    before = listing(crashed)
    async with open_sqlite(crashed, read_only=True) as store:
        assert await read_all(store) == RECORDS
        await store.check()
    assert listing(crashed) == before
    async with open_sqlite(crashed) as store:
        assert await read_all(store) == RECORDS
        await store.append(chained(13, 1, RECORDS[-1].digest))
    assert sorted(listing(crashed)) == [NAME, f"{NAME}.seal"]


@pytest.mark.slow
async def test_no_flipped_byte_after_a_crash_passes_for_something_else(crashed: Path) -> None:
    """A sample of the log, the file and the index: what is read is what was acknowledged, or
    the damage is told, by the store or by the chain of digests. Never is a record missing in
    silence.
    """
    found = passed = 0
    steps = {f"{NAME}-wal": share(137, 17), NAME: share(61, 7), f"{NAME}-shm": share(23, 3)}
    for name, step in steps.items():
        path = crashed / name
        used = INDEX_BYTES * 4 if name.endswith("-shm") else path.stat().st_size
        for position in range(0, used, step):
            bits = 1 << position % 8
            flip(path, position, bits)
            try:
                async with open_sqlite(crashed, read_only=True) as store:
                    records = await read_all(store)
                    if is_chain(records):
                        assert records == RECORDS, f"byte {position} of {name} lost records"
                        passed += 1
                    else:
                        found += 1
            except StoreError:
                found += 1
            flip(path, position, bits)
    assert found > share(60, 500), "most bytes matter"
    assert passed, "some do not: space that nothing uses"


async def test_a_log_that_was_cut_off_is_damage(crashed: Path) -> None:
    """A log shorter than its index knows it, or gone, has lost acknowledged records."""
    log = crashed / f"{NAME}-wal"
    content = log.read_bytes()
    log.write_bytes(content[:-1])
    with pytest.raises(StoreDamaged, match="lost records that were acknowledged"):
        async with open_sqlite(crashed):
            pass
    log.unlink()
    with pytest.raises(StoreDamaged, match="-wal: damaged"):
        async with open_sqlite(crashed, read_only=True):
            pass


async def test_a_write_that_was_cut_off_is_no_damage(crashed: Path) -> None:
    """Half a transaction at the end of the log was never acknowledged: it is as if never begun."""
    with (crashed / f"{NAME}-wal").open("ab") as file:
        file.write(b"\1" * 3000)
    async with open_sqlite(crashed) as store:
        assert await read_all(store) == RECORDS


async def test_a_log_without_its_index_is_read_as_far_as_it_is_good(crashed: Path) -> None:
    """The index is a memory map: it does not survive the loss of power, and needs not."""
    (crashed / f"{NAME}-shm").unlink()
    async with open_sqlite(crashed) as store:
        assert await read_all(store) == RECORDS


def test_the_second_copy_of_the_index_serves(tmp_path: Path) -> None:
    """A header caught in the middle of a change, or damaged, is read from its other copy."""
    words = [3007000, 0, 1, 0, 5, 9, 0, 0, 7, 7]
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    good = struct.pack("=12I", *words, first, second)
    shm = tmp_path / f"{NAME}-shm"
    for content in (good + b"\0" * 48, b"\0" * 48 + good):
        shm.write_bytes(content)
        index = read_index(tmp_path / NAME)
        assert index is not None
        assert index.frames == 5
    shm.write_bytes(bytes(96))
    assert read_index(tmp_path / NAME) is None


WRITER = """
import sys, trio
from pathlib import Path
from tests.stores import chained, open_sqlite, read_all
async def main(folder, durability):
    async with open_sqlite(folder, durability=durability) as store:
        records = await read_all(store)
        digest = records[-1].digest if records else ""
        first = len(records) + 1
        while True:
            batch = chained(first, 1 + first % 7, digest, size=first * 37 % 900)
            await store.append(batch)
            first, digest = batch[-1].seq + 1, batch[-1].digest
            print(batch[-1].seq, flush=True)
trio.run(main, Path(sys.argv[1]), sys.argv[2])
"""


def start_writer(script: Path, folder: Path, durability: str) -> subprocess.Popen[bytes]:
    """A process that appends until it is killed, and tells what is acknowledged."""
    return subprocess.Popen(
        [sys.executable, script, folder, durability],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )


@pytest.mark.process
@pytest.mark.parametrize("durability", ["process", "power"])
async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, durability: str) -> None:
    """Killed in the middle of appends, again and again: a chain that holds all that was told."""
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    folder = tmp_path / "state"
    for kills in range(1, 7):
        with start_writer(script, folder, durability) as writer:
            assert writer.stdout is not None
            line = b""
            for _ in range(150 + kills * 97):
                line = writer.stdout.readline()
                assert line, "the writer died by itself"
            if kills == 1:
                text = f"pid {writer.pid}"
                with pytest.raises(StoreError, match=text):
                    async with open_sqlite(folder):
                        pass
                async with open_sqlite(folder, read_only=True) as store:
                    during = await read_all(store)
                assert is_chain(during)
                assert len(during) >= int(line)
            writer.kill()
            told = [line, *writer.stdout.readlines()]
        acknowledged = int(told[-1])
        before = listing(folder)
        async with open_sqlite(folder, read_only=True) as store:
            records = await read_all(store)
        assert listing(folder) == before
        assert is_chain(records)
        assert len(records) >= acknowledged
    shutil.rmtree(folder)
