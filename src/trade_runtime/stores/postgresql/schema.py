"""The tables, and how they come to be: numbered migrations, each applied once, in order.

Part of the PostgreSQL store. All is in the schema `trade_runtime`, for all runtimes of a database.
Migrations run in one transaction under one advisory lock, so that runtimes that start together make
the tables once. A schema from a newer program is refused, and left as it is.
"""

from __future__ import annotations

from trade_runtime.errors import StoreDamaged
from trade_runtime.stores.postgresql.faults import RESTORE
from trade_runtime.stores.postgresql.link import Link

LOCK = int.from_bytes(b"trade_rt", "big")
"""The advisory lock of migrations: a number of our own, so that it is no other program's."""

MIGRATIONS = (
    """
    CREATE TABLE trade_runtime.leases (
        runtime text COLLATE "C" PRIMARY KEY,
        token bigint NOT NULL,
        holder uuid,
        host text NOT NULL,
        pid bigint NOT NULL,
        since timestamptz NOT NULL,
        expires_at timestamptz NOT NULL
    );
    CREATE TABLE trade_runtime.records (
        runtime text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        ts_ns bigint NOT NULL,
        kind text COLLATE "C" NOT NULL,
        payload bytea NOT NULL,
        digest text COLLATE "C" NOT NULL,
        PRIMARY KEY (runtime, seq)
    );
    """,
    """
    CREATE TABLE trade_runtime.snapshots (
        runtime text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        ts_ns bigint NOT NULL,
        digest text COLLATE "C" NOT NULL,
        payload bytea NOT NULL,
        checksum text COLLATE "C" NOT NULL,
        PRIMARY KEY (runtime, seq)
    );
    CREATE TABLE trade_runtime.tabled (
        runtime text COLLATE "C" PRIMARY KEY,
        seq bigint NOT NULL
    );
    CREATE TABLE trade_runtime.orders (
        runtime text COLLATE "C" NOT NULL,
        client_order_id text COLLATE "C" NOT NULL,
        strategy text COLLATE "C" NOT NULL,
        instrument text COLLATE "C" NOT NULL,
        side text COLLATE "C" NOT NULL,
        type text COLLATE "C" NOT NULL,
        tif text COLLATE "C" NOT NULL,
        quantity numeric NOT NULL,
        price numeric,
        trigger_price numeric,
        filled numeric NOT NULL,
        average_price numeric,
        state text COLLATE "C" NOT NULL,
        live boolean NOT NULL,
        reason text NOT NULL,
        protective boolean NOT NULL,
        reduce_only boolean NOT NULL,
        parent text COLLATE "C",
        oco text COLLATE "C" NOT NULL,
        venue_order_id text COLLATE "C",
        created_ns bigint NOT NULL,
        PRIMARY KEY (runtime, client_order_id)
    );
    CREATE TABLE trade_runtime.fills (
        runtime text COLLATE "C" NOT NULL,
        client_order_id text COLLATE "C" NOT NULL,
        trade_id text COLLATE "C" NOT NULL,
        strategy text COLLATE "C" NOT NULL,
        instrument text COLLATE "C" NOT NULL,
        side text COLLATE "C" NOT NULL,
        quantity numeric NOT NULL,
        price numeric NOT NULL,
        fee numeric NOT NULL,
        fee_currency text COLLATE "C" NOT NULL,
        maker boolean NOT NULL,
        realised numeric NOT NULL,
        ts_ns bigint NOT NULL,
        PRIMARY KEY (runtime, client_order_id, trade_id)
    );
    CREATE TABLE trade_runtime.positions (
        runtime text COLLATE "C" NOT NULL,
        strategy text COLLATE "C" NOT NULL,
        instrument text COLLATE "C" NOT NULL,
        quantity numeric NOT NULL,
        average_price numeric NOT NULL,
        realised numeric NOT NULL,
        fees text COLLATE "C" NOT NULL,
        opened_ns bigint NOT NULL,
        PRIMARY KEY (runtime, strategy, instrument)
    );
    CREATE TABLE trade_runtime.balances (
        runtime text COLLATE "C" NOT NULL,
        venue text COLLATE "C" NOT NULL,
        currency text COLLATE "C" NOT NULL,
        total numeric NOT NULL,
        told_ns bigint NOT NULL,
        PRIMARY KEY (runtime, venue, currency)
    );
    CREATE VIEW trade_runtime.stops AS
        SELECT runtime, client_order_id, strategy, instrument, side, type, quantity, filled,
            trigger_price, price, state, created_ns
        FROM trade_runtime.orders WHERE protective AND live;
    """,
)
"""Migration n is the nth; what was released is never changed, only added to."""

SCHEMA_VERSION = len(MIGRATIONS)

_FIRST = """
    CREATE SCHEMA IF NOT EXISTS trade_runtime;
    CREATE TABLE IF NOT EXISTS trade_runtime.migrations (
        version integer PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
"""


async def read_version(link: Link, place: str) -> int:
    """Return how many migrations were applied; 0 where there is nothing.

    Raises:
        StoreDamaged: more than are known here, or they are not those that are known.
        StoreError: it cannot be read.
    """
    found = await link.row("SELECT to_regclass('trade_runtime.migrations') IS NOT NULL AS there")
    if found is None or not found["there"]:
        return 0
    row = await link.row(
        "SELECT count(*) AS n, coalesce(max(version), 0) AS top FROM trade_runtime.migrations"
    )
    assert row is not None
    version = int(row["top"])
    if version > SCHEMA_VERSION:
        raise StoreDamaged(
            f"{place}: was written by a newer trade_runtime: its schema version is {version},"
            f" this one knows up to {SCHEMA_VERSION}; run the newer one"
        )
    if row["n"] != version:
        raise StoreDamaged(f"{place}: damaged: a migration is missing from its list; {RESTORE}")
    return version


async def migrate(link: Link, place: str) -> None:
    """Bring the tables to the version that this program knows.

    Cancelled or cut off, all of it is there or nothing.

    Raises:
        StoreDamaged: they are of a newer program; nothing was changed.
        StoreError: they cannot be made.
    """
    if await read_version(link, place) == SCHEMA_VERSION:
        return
    await link.run("BEGIN")
    try:
        await link.run("SELECT pg_advisory_xact_lock($1)", LOCK)
        await link.run(_FIRST)
        version = await read_version(link, place)
        for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
            await link.run(migration)
            await link.run("INSERT INTO trade_runtime.migrations (version) VALUES ($1)", number)
        await link.run("COMMIT")
    except BaseException:
        link.cut()  # and with it the transaction
        raise
