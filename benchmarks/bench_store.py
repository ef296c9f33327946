"""A long journal: what a start on it takes, in time and memory, and what it takes on the disk.

A made-up journal of a million records is written once to each store. Then it is opened as a start
opens it, each time in a process of its own: with a snapshot shortly before its end, after a crash,
and with no snapshot, so that all of it is read and folded. The peer reads the same records through
nothing but the driver, and drops them.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg
import attrs
import structlog
import trio

from harness.journals import Filled, fill
from harness.measure import US, figure, timed
from harness.opening import NAME
from harness.processes import run as run_process
from harness.report import parser, progress, run
from harness.servers import add_option, ask, fresh_database, postgres
from trade_runtime.lifecycle.asyncio_loop import asyncio_loop
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Environment, Owner, Store

RECORDS = 1_000_000
SINCE_SNAPSHOT = 10_000
"""Records after the snapshot: the most there are after a crash, by the default of
`store.snapshot_records`."""

ROUNDS = 3
READ = "SELECT seq, ts_ns, kind, payload, digest FROM"
READ_ROWS = 5_000
SIZE = """SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'trade_runtime'::regnamespace"""
RECORDS_SIZE = "SELECT pg_total_relation_size('trade_runtime.records') AS bytes"


class SqliteJournal:
    """A journal in a file."""

    url = "sqlite:///journal.sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal.sqlite"

    def bytes(self) -> int:
        """Return how large it is."""
        return self.path.stat().st_size

    def records_bytes(self) -> int:
        """Return how much of that the records take, without the tables."""
        with closing(sqlite3.connect(self.path)) as db, tempfile.TemporaryDirectory() as made:
            db.execute("ATTACH ? AS alone", (str(Path(made) / "records"),))
            db.execute("CREATE TABLE alone.records (seq INTEGER PRIMARY KEY, a, b, c, d)")
            db.execute("INSERT INTO alone.records SELECT * FROM records")
            db.commit()
            return (Path(made) / "records").stat().st_size

    def crash(self) -> None:
        """Have it look as after a crash that left no log: nobody sealed it."""
        self.path.with_name(self.path.name + ".seal").unlink()

    def without_snapshots(self) -> None:
        """Remove the snapshots, and have it sealed anew."""
        self.crash()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute("DELETE FROM snapshots")
        trio.run(at, self.url, self.folder, nothing)

    def read(self) -> None:
        """Read all records through the driver alone."""
        with closing(sqlite3.connect(self.path)) as db:
            cursor = db.execute(f"{READ} records ORDER BY seq")
            while cursor.fetchmany(READ_ROWS):
                pass


class PostgresJournal:
    """A journal in a database."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def bytes(self) -> int:
        """Return how large its tables and their indexes are."""
        return int(ask(self.url, SIZE)[0]["bytes"])

    def records_bytes(self) -> int:
        """Return how much of that the records take, without the tables that people query."""
        return int(ask(self.url, RECORDS_SIZE)[0]["bytes"])

    def crash(self) -> None:
        """Do nothing: a crash leaves nothing here but a lease, which ends by itself."""

    def without_snapshots(self) -> None:
        """Remove the snapshots."""
        ask(self.url, "DELETE FROM trade_runtime.snapshots")

    def read(self) -> None:
        """Read all records through the driver alone."""

        async def all_of_it() -> None:
            connection = await asyncpg.connect(self.url)
            try:
                after = 0
                asked = f"{READ} trade_runtime.records WHERE runtime = $1 AND seq > $2"
                asked += f" ORDER BY seq LIMIT {READ_ROWS}"
                while rows := await connection.fetch(asked, NAME, after):
                    after = rows[-1]["seq"]
            finally:
                await connection.close()

        asyncio.run(all_of_it())


Journal = SqliteJournal | PostgresJournal


async def at(url: str, folder: Path, work: Callable[[Store], Any]) -> Any:
    """Do something with an open store."""
    plugin, location = Plugins().store(url)
    env = Environment(SystemClock(), random.Random(1), folder, structlog.get_logger("store"))
    async with (
        asyncio_loop(plugin.asyncio),
        plugin.open(
            location, folder, owner=Owner(NAME), durability="process", read_only=False, env=env
        ) as store,
    ):
        return await work(store)


async def nothing(store: Store) -> None:
    """Let it be closed again."""
    await trio.lowlevel.checkpoint()


@attrs.frozen
class Starts:
    """Starts on a journal, each in a process of its own.

    Attributes:
        journal: which.
        rounds: how many make a figure.
    """

    journal: Journal
    rounds: int

    def measure(self, before: Callable[[], None]) -> dict[str, Any]:
        """Start some times, after `before` each time; return the medians."""
        script = Path(__file__).with_name("harness") / "opening.py"
        command = [sys.executable, "-m", f"harness.{script.stem}", self.journal.url]
        runs = []
        for _ in range(self.rounds):
            before()
            found, peak_mib = run_process(
                [*command, str(self.journal.folder)], folder=script.parent.parent
            )
            runs.append(found | {"peak_mib": peak_mib})
        keys = ("start_secs", "open_secs", "load_secs", "close_secs", "peak_mib")
        return {key: figure(median(one[key] for one in runs)) for key in keys}


def starts(journal: Journal, records: int, rounds: int) -> dict[str, Any]:
    """Measure every kind of start, and the disk."""
    measured = Starts(journal, rounds)
    progress("an empty journal")
    results: dict[str, Any] = {"empty": measured.measure(lambda: None)}
    progress(f"writing {records} records")
    since = min(SINCE_SNAPSHOT, records // 1_000 * 100)
    began = perf_counter()
    filled: Filled = trio.run(
        at, journal.url, journal.folder, partial(fill, records=records, since_snapshot=since)
    )
    results["fill_secs"] = figure(perf_counter() - began)
    results["disk"] = {
        "mib": figure(journal.bytes() / 2**20),
        "bytes_per_record": figure(journal.bytes() / records),
        "of_records": figure(journal.records_bytes() / records),
        "of_payload": figure(filled.payload_bytes / records),
    }
    progress("starts with a snapshot")
    results["snapshot"] = {
        "records_read": records - filled.snapshot_at,
        **measured.measure(lambda: None),
    }
    if isinstance(journal, SqliteJournal):
        progress("starts after a crash")
        results["crash"] = measured.measure(journal.crash)
    progress("starts without a snapshot")
    journal.without_snapshots()
    whole = measured.measure(lambda: None)
    raw = median(timed(journal.read) for _ in range(rounds))
    results["no_snapshot"] = {
        "records_read": records,
        **whole,
        "us_per_record": figure(whole["start_secs"] / records * US),
        "raw_read_secs": figure(raw),
        "ratio": figure(whole["start_secs"] / raw),
    }
    return results


@contextmanager
def journals(server: str | None) -> Iterator[dict[str, Callable[[Path], Journal]]]:
    """Give what makes an empty journal in a folder, by kind of store."""
    makers: dict[str, Callable[[Path], Journal]] = {"sqlite": SqliteJournal}
    if server is None:
        yield makers
        return
    with fresh_database(server) as database:
        yield makers | {"postgresql": partial(PostgresJournal, database)}


def measure(tiny: bool, server: str | None, records: int) -> dict[str, Any]:
    """Measure every store.

    Args:
        tiny: only a little.
        server: the URL of a database of a PostgreSQL server; None leaves it out.
        records: of the journal.
    """
    results: dict[str, Any] = {"records": records}
    with journals(server) as makers:
        for name, made in makers.items():
            progress(name)
            with tempfile.TemporaryDirectory() as folder:
                results[name] = starts(made(Path(folder)), records, 1 if tiny else ROUNDS)
    return results


def main() -> None:
    """Read the command line, and measure."""
    options = parser()
    options.add_argument("--records", type=int, default=RECORDS, metavar="N", help="of the journal")
    add_option(options)
    args = options.parse_args()
    records = 2_000 if args.tiny else args.records
    with postgres(args.postgres) as server:
        run("store", partial(measure, server=server, records=records), tiny=args.tiny)


if __name__ == "__main__":
    main()
