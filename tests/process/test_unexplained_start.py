"""The venue's record was changed by other hands: the start refuses, and `reconcile` is the way
on.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.process.support import World, command, grid

pytestmark = pytest.mark.process


def test_it_is_refused_until_somebody_accepts_it(tmp_path: Path) -> None:
    """Exit code 4 and one line that says what to do; the stop-loss stays, no order is sent. Then
    the plan is shown, the venue's view adopted, and the next start trades.
    """
    world = World(tmp_path)
    world.configure(grid(5))
    with world.run() as run:
        world.until_grid(run, 5)
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
    ((stop,),) = world.live("SELECT client_order_id FROM orders WHERE status = 'open'")
    with contextlib.closing(sqlite3.connect(world.venue)) as db, db:
        db.execute(
            "INSERT INTO fills SELECT seq + 1, 'tampered', client_order_id, instrument, side,"
            " '0.5', price, fee, fee_currency, maker, ts_ns + 1, multiplier FROM fills"
            " ORDER BY seq DESC LIMIT 1"
        )
    submits = world.live("SELECT count(*) FROM history WHERE event = 'submit'")

    with world.run() as run:
        assert 4 == run.end(), run
    report = run.report()
    assert "failed" == report["outcome"]
    for word in ("0.5 more than journal and fills", "reconcile CONFIG --dry-run", "--accept-venue"):
        assert word in report["error"]
        assert word in run.log
    assert submits == world.live("SELECT count(*) FROM history WHERE event = 'submit'")
    assert [(stop,)] == world.live("SELECT client_order_id FROM orders WHERE status = 'open'")

    shown = command("reconcile", world.config, "--dry-run")
    assert (3, 1) == (shown.returncode, shown.stdout.count("fill tampered of order")), shown
    done = command("reconcile", world.config, "--accept-venue", "--reason", "a test")
    assert 0 == done.returncode, done
    with world.run() as run:
        world.until_grid(run, 5)
        run.send(signal.SIGTERM)
        assert 0 == run.end(), run
    ((_, quantity),) = [(p["strategy"], p["quantity"]) for p in run.report()["positions"]]
    assert "1.5" == quantity
    world.verify()
