"""`reconcile CONFIG`: brings the journal in line with the venues while no runtime runs."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import trio

from trade_runtime.cli.check import complain
from trade_runtime.cli.instruments import environment
from trade_runtime.errors import EXIT_CLEAN, EXIT_UNCLEAN, StoreError, TradeRuntimeError
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.lifecycle.quiet import quiet
from trade_runtime.lifecycle.report import iso
from trade_runtime.machines.order_ids import new_tag
from trade_runtime.managers.differences import Past
from trade_runtime.managers.journal import replay
from trade_runtime.managers.repair import Noting, Plan, open_trading_venues, repair
from trade_runtime.managers.state import open_state
from trade_runtime.model.instrument import text
from trade_runtime.model.records import RuntimeStarted, RuntimeStopped
from trade_runtime.operator import OPERATOR
from trade_runtime.plugins import Plugins
from trade_runtime.protocols import Store
from trade_runtime.settings import Settings
from trade_runtime.version import __version__


@click.command("reconcile")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only tell what would be recorded; change nothing.")
@click.option(
    "--accept-venue",
    is_flag=True,
    help="Record what cannot be explained as the venue holds it.",
)
@click.option("--reason", metavar="TEXT", help="Why, for the journal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def reconcile_command(
    config: Path, dry_run: bool, accept_venue: bool, reason: str | None, as_json: bool
) -> None:
    """Ask the venues that CONFIG names, and bring the journal in line with what they say.

    Books fills, and what became of orders, as every start does; and tells what no start could
    explain. No order and no cancel is sent. The runtime must have been stopped.

    Exit code 0: journal and venues agree; 2: CONFIG cannot be read; 3: something is left that
    cannot be explained, or the state is held by a runtime, or damaged; 4: a venue gave no answer.
    """
    if dry_run and accept_venue:
        raise click.UsageError("--dry-run changes nothing, --accept-venue does: give one of them")
    plan, failed = Plan(), None
    try:
        settings = Settings.from_toml(config)
        with quiet():  # what is found on the way is told by the plan, whole and in order
            if dry_run:
                plan = trio.run(_rehearse, settings)
            else:
                plan = trio.run(_carry_out, settings, reason or "", accept_venue)
    except* TradeRuntimeError as group:
        failed = _first(group)
    if failed is not None:
        complain(failed)
        sys.exit(failed.exit_code)
    facts = _facts(plan, dry_run=dry_run)
    click.echo(json.dumps(facts, indent=2) if as_json else _text(facts))
    sys.exit(EXIT_CLEAN if plan.agrees else EXIT_UNCLEAN)


def _first(error: BaseException) -> TradeRuntimeError:
    """Return what went wrong first; the layer that it came out of has put it into groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, TradeRuntimeError)
    return error


async def _rehearse(settings: Settings) -> Plan:
    """Return what would be recorded. The journal is only read; venues of ours work on a copy."""
    plugins, data_dir = Plugins(), settings.runtime.data_dir
    env = environment(data_dir)
    async with plugins.open_store(settings, env, read_only=True) as store:
        await store.check()
        state = (await replay(store)).state
        past = await Past.of(store)
    journal = Noting(None, state, past)
    journal.record(_started(settings, state.tag or new_tag(env.rng)))
    with TemporaryDirectory(prefix="trade_runtime-") as folder:
        for name in settings.venues:  # a venue of ours keeps its record in files of its name
            for path in data_dir.glob(f"{name}.*"):
                shutil.copy2(path, folder)
        copies = environment(Path(folder))
        async with open_trading_venues(
            settings, plugins.venues, lambda name: copies, state
        ) as venues:
            return await repair(
                settings, venues, journal, past, env.clock, by=OPERATOR, reason="", accept=False
            )


async def _carry_out(settings: Settings, reason: str, accept: bool) -> Plan:
    """Own the journal, and record it.

    Raises:
        StoreBusy: a runtime has it; the message says which.
        StoreError: it is not what was written, or cannot be written.
        VenueError: a venue gave no answer.
    """
    plugins = Plugins()
    env = environment(settings.runtime.data_dir)
    outcome = "failed"
    async with plugins.open_store(settings, env, read_only=False) as store:
        ladder = Ladder(settings.shutdown)
        async with open_state(
            settings.runtime.name,
            _already(store),
            settings.store,
            ladder,
            env.clock,
            env.rng,
            lambda: RuntimeStopped("reconciled by hand", outcome),
        ) as state:
            past = await Past.of(store)
            journal = Noting(state, state.trading, past)
            async with open_trading_venues(
                settings, plugins.venues, lambda name: env, state.trading
            ) as venues:
                plan = await repair(
                    settings,
                    venues,
                    journal,
                    past,
                    env.clock,
                    by=OPERATOR,
                    reason=reason,
                    accept=accept,
                )
            outcome = "clean"
        if not state.verified:
            failed = [stage.detail for stage in ladder.results if stage.outcome != "ok"]
            raise state.failed or StoreError("; ".join(failed) or "the journal was not verified")
    return plan


@asynccontextmanager
async def _already(store: Store) -> AsyncIterator[Store]:
    yield store


def _started(settings: Settings, tag: str) -> RuntimeStarted:
    return RuntimeStarted(settings.runtime.name, tag, __version__, platform.node(), os.getpid())


def _facts(plan: Plan, *, dry_run: bool) -> dict[str, Any]:
    return {
        "agrees": plan.agrees,
        "dry_run": dry_run,
        "fills": [
            {
                "strategy": strategy,
                "order": fill.client_order_id,
                "instrument": fill.instrument,
                "trade_id": fill.trade_id,
                "side": str(fill.side),
                "quantity": text(fill.quantity),
                "price": text(fill.price),
                "at": iso(fill.ts_ns),
            }
            for strategy, fill in plan.fills
        ],
        "orders": [
            {
                "order": order.id,
                "strategy": order.strategy,
                "instrument": order.instrument,
                "was": str(was),
                "now": str(now),
            }
            for order, was, now in plan.orders
        ],
        "foreign": [
            {
                "order": report.client_order_id,
                "instrument": report.instrument,
                "side": str(report.side),
                "type": str(report.type),
                "quantity": text(report.quantity),
                "filled": text(report.filled),
            }
            for report in plan.foreign
        ],
        "unprotected": [
            {
                "strategy": cover.position.strategy,
                "instrument": cover.position.instrument,
                "quantity": text(cover.position.quantity),
                "covered": text(cover.plan.resting),
            }
            for cover in plan.bare
        ],
        "unexplained": [
            {
                "what": difference.what,
                "accepted": difference.accepted,
                "mend": difference.mend,
            }
            for difference in plan.differences
        ],
    }


def _text(facts: dict[str, Any]) -> str:
    books, turns = ("would book", "would become") if facts["dry_run"] else ("booked", "became")
    lines = [
        f"{books} fill {one['trade_id']} of {one['strategy']}: {one['side']} {one['quantity']}"
        f" {one['instrument']} at {one['price']}, {one['at']}"
        for one in facts["fills"]
    ]
    lines += [
        f"order {one['order']} of {one['strategy']} was {one['was']}, {turns} {one['now']}"
        for one in facts["orders"]
    ]
    lines += [
        f"order {one['order']} is not ours and is left alone: {one['side']} {one['quantity']}"
        f" {one['instrument']}"
        for one in facts["foreign"]
    ]
    lines += [
        f"{one['strategy']} holds {one['quantity']} {one['instrument']}, of which stop-losses cover"
        f" {one['covered']}: the next start sees to it"
        for one in facts["unprotected"]
    ]
    for one in facts["unexplained"]:
        mend = one["mend"] or "to take it as the venue holds it: --accept-venue"
        lines.append(
            f"accepted: {one['what']}" if one["accepted"] else f"unexplained: {one['what']}; {mend}"
        )
    lines.append(
        "journal and venues agree"
        if facts["agrees"]
        else "journal and venues do not agree: see what is unexplained"
    )
    return "\n".join(lines)
