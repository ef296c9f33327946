"""`resume CONFIG`: clears what restricts trading, so that the next run trades again."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from trade_runtime.cli.check import complain
from trade_runtime.cli.instruments import environment
from trade_runtime.cli.preflight import read_journal
from trade_runtime.errors import TradeRuntimeError
from trade_runtime.lifecycle.report import iso
from trade_runtime.machines.journal import make_record
from trade_runtime.managers.journal import READ_BATCH, replay
from trade_runtime.model.records import KINDS, LatchCleared, LatchSet
from trade_runtime.model.tables import Rows
from trade_runtime.operator import OPERATOR
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Record, Store
from trade_runtime.settings import Settings


@attrs.frozen
class Latch:
    """What restricts trading, and since when; None where that record was let go of since."""

    event: LatchSet
    since: str | None


@click.command("resume")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--reason", metavar="TEXT", help="Why it may go on, for the journal.")
@click.option("--show", is_flag=True, help="Only tell what restricts trading; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def resume_command(config: Path, reason: str | None, show: bool, as_json: bool) -> None:
    """Let trading go on, at the next start, after it was halted or held to reducing positions.

    Tells what restricts it, why, by whom and since when. The runtime must have been stopped, unless
    there is nothing to clear.

    Exit code 0: trading may go on, or nothing restricted it; 2: CONFIG cannot be read; 3: the state
    is held by a runtime, or damaged.
    """
    try:
        settings = Settings.from_toml(config)
        latch = trio.run(_look, settings)
        cleared = latch is not None and not show
        if cleared:
            trio.run(_clear, settings, reason or "")
    except TradeRuntimeError as error:
        complain(error)
        sys.exit(error.exit_code)
    click.echo(json.dumps(_facts(latch, cleared), indent=2) if as_json else _text(latch, cleared))


async def _look(settings: Settings) -> Latch | None:
    """Return the latch of a journal that is proven first; nothing is owned or changed."""
    journal = await read_journal(settings)
    event = journal.state.latch
    if event is None:
        return None
    async with _store(settings, read_only=True) as store:
        record = await _last_latch(store)
    return Latch(event, None if record is None else iso(record.ts_ns))


async def _last_latch(store: Store) -> Record | None:
    found: list[Record] = []
    seq = 0
    while batch := await store.read(seq, READ_BATCH):
        found = [r for r in batch if r.kind == KINDS[LatchSet]][-1:] or found
        seq = batch[-1].seq
    return found[0] if found else None


async def _clear(settings: Settings, reason: str) -> None:
    """Own the journal, and add one record to it.

    Raises:
        StoreBusy: a runtime has it; the message says which.
        StoreError: it is not what was written, or cannot be written.
    """
    async with _store(settings, read_only=False) as store:
        await store.check()
        found = await replay(store)
        if found.state.latch is not None:  # else somebody was faster
            now_ns = environment(settings.runtime.data_dir).clock.now_ns()
            event = LatchCleared(OPERATOR, reason)
            # It changes no row; tables that are behind stay so, until a start makes them anew.
            rows: Rows | None = {} if await store.tabled() == found.seq else None
            await store.append([make_record(found.digest, found.seq + 1, now_ns, event)], rows)


def _store(settings: Settings, *, read_only: bool) -> AbstractAsyncContextManager[Store]:
    env = environment(settings.runtime.data_dir)
    return Plugins().open_store(settings, env, read_only=read_only)


def _facts(latch: Latch | None, cleared: bool) -> dict[str, Any]:
    found = None
    if latch is not None:
        event = latch.event
        found = {
            "mode": str(event.mode),
            "reason": event.reason,
            "by": event.by,
            "since": latch.since,
        }
    return {"latch": found, "cleared": cleared}


def _text(latch: Latch | None, cleared: bool) -> str:
    if latch is None:
        return "nothing restricts trading: there is nothing to clear"
    event = latch.event
    said = f"{event.mode} since {latch.since or 'long ago'} by {event.by}: {event.reason}"
    return f"{said}\ncleared: the next run trades again" if cleared else said
