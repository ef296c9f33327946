"""Snapshots, and the records that they stand for, in PostgreSQL.

Part of the PostgreSQL store. A change is one statement that finds the lease's row with the token in
force, as an append is; each may be tried again, and comes to the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from trade_runtime.protocols import Snapshot
from trade_runtime.stores.postgresql.link import Link

_ALL = "SELECT seq FROM trade_runtime.snapshots WHERE runtime = $1 ORDER BY seq"
_ONE = """
    SELECT seq, ts_ns, digest, payload, checksum FROM trade_runtime.snapshots
    WHERE runtime = $1 AND seq = $2
"""
_KEEP = """
    WITH mine AS (
        SELECT 1 FROM trade_runtime.leases WHERE runtime = $1 AND token = $2 FOR SHARE
    ), kept AS (
        INSERT INTO trade_runtime.snapshots (runtime, seq, ts_ns, digest, payload, checksum)
        SELECT $1, $3, $4, $5, $6, $7 FROM mine
        ON CONFLICT (runtime, seq) DO UPDATE SET ts_ns = excluded.ts_ns,
            digest = excluded.digest, payload = excluded.payload, checksum = excluded.checksum
    )
    SELECT 1 AS done FROM mine
"""
_FORGET = """
    WITH mine AS (
        SELECT 1 FROM trade_runtime.leases WHERE runtime = $1 AND token = $2 FOR SHARE
    ), old AS (
        SELECT seq FROM trade_runtime.records WHERE runtime = $1 AND seq <= $3
        ORDER BY seq LIMIT $4 + 1
    ), gone AS (
        DELETE FROM trade_runtime.records WHERE runtime = $1 AND EXISTS (SELECT 1 FROM mine)
        AND seq IN (SELECT seq FROM old ORDER BY seq LIMIT $4)
    ), below AS (
        DELETE FROM trade_runtime.snapshots WHERE runtime = $1 AND EXISTS (SELECT 1 FROM mine)
        AND seq < $3 AND (SELECT count(*) FROM old) <= $4
    )
    SELECT (SELECT count(*) FROM old) > $4 AS more FROM mine
"""


async def taken(link: Link, runtime: str) -> list[int]:
    """Return the `seq` of every snapshot, in order."""
    return [row["seq"] for row in await link.rows(_ALL, runtime)]


async def one(link: Link, runtime: str, seq: int) -> Snapshot | None:
    """Return a snapshot, if it is there."""
    row = await link.row(_ONE, runtime, seq)
    return None if row is None else Snapshot(*row)


async def keep(link: Link, runtime: str, token: int, snapshot: Snapshot) -> bool:
    """Write a snapshot; return whether the token was the one in force."""
    values: Sequence[object] = (
        snapshot.seq,
        snapshot.ts_ns,
        snapshot.digest,
        snapshot.payload,
        snapshot.checksum,
    )
    return await link.row(_KEEP, runtime, token, *values) is not None


async def forget(link: Link, runtime: str, token: int, through: int, limit: int) -> bool | None:
    """Remove old records; return whether more are left, or None where the token is another."""
    row = await link.row(_FORGET, runtime, token, through, limit)
    return None if row is None else bool(row["more"])
