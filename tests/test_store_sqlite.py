"""The SQLite journal: its files, its owner, and what it refuses."""

from __future__ import annotations

import os
import sqlite3
import stat
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.stores import NAME, chained, is_chain, listing, open_sqlite, read_all
from trade_runtime.errors import ConfigError, StoreBusy, StoreDamaged, StoreError
from trade_runtime.stores.sqlite import seal
from trade_runtime.stores.sqlite.store import _LAST, SqliteStore

SEALED = [NAME, f"{NAME}.seal"]


async def sealed(folder: Path, count: int = 3) -> Path:
    """A journal of `count` records that was closed cleanly."""
    async with open_sqlite(folder) as store:
        await store.append(chained(1, count))
    return folder / NAME


async def refusal(folder: Path, kind: type[Exception] = StoreDamaged) -> str:
    """Opening is refused with one line, for owner and reader alike, and changes nothing."""
    before = listing(folder)
    texts = []
    for read_only in (True, False):
        with pytest.raises(kind) as caught:
            async with open_sqlite(folder, read_only=read_only):
                pass
        texts.append(str(caught.value))
    assert listing(folder) == before
    assert texts[0] == texts[1]
    assert "\n" not in texts[0]
    assert NAME in texts[0]
    return texts[0]


def open_handles() -> int:
    """How many file handles this process has, where the system tells."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def edit(journal: Path, *statements: str) -> None:
    """Change a journal by another program, and break its seal deliberately."""
    with closing(sqlite3.connect(journal)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    seal.seal_of(journal).unlink(missing_ok=True)


async def test_a_clean_close_leaves_the_journal_and_its_seal(tmp_path: Path) -> None:
    """No log, no index, no lock; and only the owner may read either file."""
    await sealed(tmp_path / "state")
    assert sorted(listing(tmp_path / "state")) == SEALED
    for name in SEALED:
        assert stat.S_IMODE((tmp_path / "state" / name).stat().st_mode) == 0o600


async def test_files_in_use_are_for_the_owner_alone(tmp_path: Path) -> None:
    """The log and its index hold records too. While open there is no seal."""
    async with open_sqlite(tmp_path) as store:
        await store.append(chained(1, 3))
        names = sorted(listing(tmp_path))
        assert names == [NAME, *(f"{NAME}{end}" for end in ("-shm", "-wal", ".lock"))]
        for name in names:
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


async def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    """Of a journal that is not there, of a sealed one, and of its times of change."""
    async with open_sqlite(tmp_path / "nowhere", read_only=True) as store:
        assert await read_all(store) == []
    assert listing(tmp_path) == {}
    journal = await sealed(tmp_path)
    before, changed = listing(tmp_path), journal.stat().st_mtime_ns
    async with open_sqlite(tmp_path, read_only=True) as store:
        assert listing(tmp_path) == before
        assert len(await read_all(store)) == 3
        await store.check()
        with pytest.raises(StoreError, match="opened for reading"):
            await store.append(chained(4, 1))
    assert listing(tmp_path) == before
    assert journal.stat().st_mtime_ns == changed


async def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    """Process, host and since when: enough to find it and stop it."""
    async with open_sqlite(tmp_path):
        with pytest.raises(StoreBusy) as caught:
            async with open_sqlite(tmp_path):
                pass
    assert f"is held by pid {os.getpid()} on host " in str(caught.value)
    assert "since 2023-11-14T22:13:20+00:00; stop that runtime first" in str(caught.value)


async def test_a_lock_file_left_by_a_dead_process_locks_nobody_out(tmp_path: Path) -> None:
    """The lock is the system's, not the file: after a crash the file is there and the lock not."""
    await sealed(tmp_path)
    (tmp_path / f"{NAME}.lock").write_text('{"host": "h", "pid": 1, "since": "2020"}')
    async with open_sqlite(tmp_path) as store:
        assert len(await read_all(store)) == 3
    assert sorted(listing(tmp_path)) == SEALED


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """Both versions are named; sealed or not, nothing is changed."""
    journal = await sealed(tmp_path)
    edit(journal, "UPDATE meta SET value = '7' WHERE key = 'schema_version'")
    text = await refusal(tmp_path)
    assert "its schema version is 7, this one knows up to 2" in text
    await seal.write_seal(journal)
    assert await refusal(tmp_path) == text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty, and no journal ever is"),
        (b"hello, I am no database at all" * 100, "damaged: file is not a database"),
    ],
)
async def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    """It may be somebody's: it is left as it is."""
    (tmp_path / NAME).write_bytes(content)
    assert expected in await refusal(tmp_path)


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """A database, sound, but no journal."""
    edit(tmp_path / NAME, "CREATE TABLE records (seq INTEGER PRIMARY KEY)")
    assert "is a database, but no journal" in await refusal(tmp_path)


async def test_a_journal_that_went_away_is_missed(tmp_path: Path) -> None:
    """A seal or a log without its journal is no reason to begin anew in silence."""
    journal = await sealed(tmp_path)
    content = journal.read_bytes()
    journal.unlink()
    assert "is gone, though journal.sqlite.seal is there" in await refusal(tmp_path)
    seal.seal_of(journal).unlink()
    (tmp_path / f"{NAME}-wal").write_bytes(content)
    assert "is gone, though its -wal is there" in await refusal(tmp_path)


async def test_a_change_behind_the_seal_is_found_and_can_be_declared(tmp_path: Path) -> None:
    """A record changed with a database browser: refused, until the seal is taken away."""
    journal = await sealed(tmp_path)
    kept = seal.seal_of(journal).read_bytes()
    edit(journal, "UPDATE records SET kind = 'forged' WHERE seq = 2")
    seal.seal_of(journal).write_bytes(kept)
    assert "or delete journal.sqlite.seal if the change was deliberate" in await refusal(tmp_path)
    seal.seal_of(journal).unlink()
    async with open_sqlite(tmp_path) as store:
        records = await read_all(store)
        assert records[1].kind == "forged"
        assert not is_chain(records), "the core's chain of digests finds it all the same"


async def test_a_log_beside_a_seal_was_written_by_another(tmp_path: Path) -> None:
    """A seal is only there while no log is: something else wrote, and may not have finished."""
    await sealed(tmp_path)
    (tmp_path / f"{NAME}-wal").write_bytes(b"x")
    assert "was written by another program since it was sealed" in await refusal(tmp_path)
    (tmp_path / f"{NAME}-wal").write_bytes(b"")
    async with open_sqlite(tmp_path) as store:
        assert len(await read_all(store)) == 3


@pytest.mark.parametrize("where", ["file", "folder"])
async def test_a_place_that_cannot_be_written_is_a_mistake_of_the_configuration(
    tmp_path: Path, where: str
) -> None:
    """A file where the folder should be, or a file system that takes no files."""
    (tmp_path / "state").write_text("in the way")
    folder = tmp_path / "state" if where == "file" else Path("/proc/no_such_place")
    if where == "folder" and not folder.parent.is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        async with open_sqlite(folder):
            pass
    assert str(folder) in str(caught.value)
    if where == "file":
        with pytest.raises(ConfigError, match="cannot be written: Not a directory"):
            async with open_sqlite(folder, read_only=True):
                pass


async def test_a_lock_of_another_program_is_told(tmp_path: Path) -> None:
    """A database browser in the middle of a change: refused, and later well again."""
    async with open_sqlite(tmp_path) as store:
        with closing(sqlite3.connect(tmp_path / NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=f"{NAME}: another program holds a lock"):
                await store.append(chained(1, 2))
        await store.append(chained(1, 2))
        assert is_chain(await read_all(store))


async def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """The batch that does not fit is rolled back; what was acknowledged stays."""
    async with open_sqlite(tmp_path) as store:
        await store.append(chained(1, 2))
        connection = store._connection  # type: ignore[attr-defined]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="the disk is full; make room"):
            await store.append(chained(3, 50, size=5000))
        assert len(await read_all(store)) == 2
        connection.execute("PRAGMA max_page_count = 1000000")
        await store.append(chained(3, 50, size=5000))
    async with open_sqlite(tmp_path, read_only=True) as store:
        assert len(await read_all(store)) == 52


async def test_a_failing_body_keeps_its_own_error_and_the_journal_its_seal(tmp_path: Path) -> None:
    """An error of the runtime is not taken for one of the disk."""
    with pytest.raises(OSError, match="of the network"):
        async with open_sqlite(tmp_path):
            raise OSError("of the network")
    assert sorted(listing(tmp_path)) == SEALED


async def test_a_cancelled_close_releases_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A big journal is sealed piece by piece; a cancel in between leaves it unsealed, not held."""
    monkeypatch.setattr(seal, "CHUNK_BYTES", 4096)
    handles = open_handles()
    with trio.CancelScope() as scope:
        async with open_sqlite(tmp_path) as store:
            await store.append(chained(1, 50, size=1000))
            scope.cancel()
    assert scope.cancelled_caught
    assert sorted(listing(tmp_path)) == [NAME]
    assert open_handles() == handles
    async with open_sqlite(tmp_path) as store:
        assert is_chain(await read_all(store))
    assert sorted(listing(tmp_path)) == SEALED


async def test_a_reader_sees_what_the_owner_has_written(tmp_path: Path) -> None:
    """Also what is still in the log, and what comes after the reader was opened is no matter."""
    async with open_sqlite(tmp_path) as owner:
        await owner.append(chained(1, 5))
        before = listing(tmp_path)
        async with open_sqlite(tmp_path, read_only=True) as reader:
            assert is_chain(await read_all(reader))
            await reader.check()
        assert listing(tmp_path).keys() == before.keys()
        await owner.append(chained(6, 1, digest=chained(1, 5)[-1].digest))
        await owner.check()
        assert is_chain(await read_all(owner))


async def test_power_waits_in_turn(tmp_path: Path) -> None:
    """With durability "power" appends of several tasks follow each other, and reads see all."""
    records = chained(1, 20)
    async with open_sqlite(tmp_path, durability="power") as store, trio.open_nursery() as nursery:
        for record in records:
            nursery.start_soon(store.append, [record])
            await trio.testing.wait_all_tasks_blocked()
    async with open_sqlite(tmp_path, read_only=True) as store:
        assert await read_all(store) == records


async def test_power_asks_the_drive_to_keep_its_word(tmp_path: Path) -> None:
    """On macOS only `fullfsync` empties the drive's own cache; it is a setting everywhere."""
    for durability, wanted in (("power", 1), ("process", 0)):
        async with open_sqlite(tmp_path, durability=durability) as store:
            assert isinstance(store, SqliteStore)
            assert (wanted,) == store._connection.execute("PRAGMA fullfsync").fetchone()


async def test_the_end_of_a_long_journal_is_found_without_reading_it(tmp_path: Path) -> None:
    """SQLite looks at the end of each table, and goes through neither."""
    async with open_sqlite(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {_LAST}")]
    assert {"SEARCH records", "SEARCH snapshots"} <= set(plan)
    assert [] == [line for line in plan if line.startswith(("SCAN records", "SCAN snapshots"))]


async def test_a_seal_takes_no_more_memory_for_a_long_journal(tmp_path: Path) -> None:
    """It is digested in pieces, of which few are in memory at a time."""
    path = tmp_path / NAME
    with path.open("wb") as file:
        file.truncate(32 << 20)
    tracemalloc.start()
    try:
        await seal.write_seal(path)
        assert seal.verify_seal(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 << 20
