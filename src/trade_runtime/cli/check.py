"""`check CONFIG`: tells everything that is wrong with a configuration, and changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import trio

from trade_runtime.cli.preflight import Findings, examine
from trade_runtime.errors import TradeRuntimeError
from trade_runtime.managers.venue_tables import VenueConfig
from trade_runtime.settings import Settings

DOCKER_GRACE_SECS = 10
"""How long `docker stop` waits before it kills, unless told otherwise."""

FORCED_EXIT_SECS = 2
"""What a forced exit may take on top of the total cap."""


@click.command("check")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--offline", is_flag=True, help="Do not ask the venues for the instruments.")
def check_command(config: Path, offline: bool) -> None:
    """Tell what is wrong with CONFIG, or what it would run. Nothing is created or changed.

    Of a history that it names the beginning is read.

    Exit code 0: it can be run, or be used for backtests, and it says which; 2: it cannot, a line
    for each mistake; 3: its state is damaged.
    """
    try:
        settings = Settings.from_toml(config)
        findings = trio.run(lambda: examine(settings, ask_venues=not offline, with_history=True))
    except TradeRuntimeError as error:
        complain(error)
        sys.exit(error.exit_code)
    live = [venue.warning for venue in findings.venues.values() if venue.warning is not None]
    for warning in (*live, *findings.warnings):
        click.echo(f"warning: {warning}", err=True)
    for line in summary(settings, findings):
        click.echo(line)


def complain(error: BaseException, what: str = "") -> None:
    """Write an error to stderr, `error: ` before each mistake; where nobody reads, say nothing."""
    with suppress(OSError):
        for line in str(error).splitlines():
            click.echo(f"error: {what}: {line}" if what else f"error: {line}", err=True)


def summary(settings: Settings, findings: Findings) -> Iterator[str]:
    """Give the lines that say what would run."""
    yield f"{settings.source}: ok"
    yield _line("runtime", settings.runtime.name)
    if not findings.undriven:
        yield _line("state", f"{settings.runtime.data_dir} ({_state(findings)})")
    for venue in findings.venues.values():
        yield _line("venue", f"{venue.name}: {venue.kind}, {_purpose(venue)}")
    for strategy in settings.strategies:
        what = ", ".join(strategy.instruments)
        yield _line("strategy", f"{strategy.name}: {strategy.factory} on {what}")
    for data in settings.backtest.data:
        yield _line("history", f"{data.kind} of {data.instrument} in {data.path}")
    yield _line("protection", _protection(settings))
    if findings.undriven:
        missing = ", ".join(line.partition(":")[0] for line in findings.undriven)
        yield _line("usable", f"for backtest only; run needs {missing}")
        return
    stop = settings.shutdown
    yield _line(
        "stop",
        f"within {stop.budgets_secs:g} s (orders {stop.order_timeout_secs:g}, prices"
        f" {stop.price_timeout_secs:g}, state {stop.state_timeout_secs:g});"
        f" forced after {stop.timeout_secs:g} s",
    )
    if stop.timeout_secs + FORCED_EXIT_SECS > DOCKER_GRACE_SECS:
        whole = round(stop.timeout_secs + FORCED_EXIT_SECS + 0.5)
        yield _line(
            "docker",
            f"kills after {DOCKER_GRACE_SECS} s: use docker stop -t {whole},"
            f" or stop_grace_period: {whole}s",
        )


def _line(title: str, text: str) -> str:
    return f"  {title:<11} {text}"


def _state(findings: Findings) -> str:
    journal = findings.journal
    if not journal.records:
        return "new"
    how = "stopped in order" if journal.state.clean else "did not stop in order: it is recovered"
    positions = len(journal.state.ledger.open())
    orders = sum(1 for _ in journal.state.live())
    return (
        f"{journal.records} records, {positions} positions and {orders} orders open;"
        f" the last run {how}"
    )


def _purpose(venue: VenueConfig) -> str:
    source = getattr(venue.options, "market_data", None)
    trades = f"trades on the market data of {source}" if source else "trades"
    has_trades = venue.plugin.trades
    if venue.dry_run:
        trades, has_trades = "dry-run: orders go to paper", venue.stand_in is not None
    elif venue.live:
        trades = f"LIVE on the {'testnet' if venue.testnet else 'exchange itself'}"
    purposes = ("market data", venue.plugin.streams), (trades, has_trades)
    return " and ".join(text for text, has in purposes if has)


def _protection(settings: Settings) -> str:
    rules = settings.protection
    if rules.required == "off":
        return "off: positions may be without a stop-loss"
    which = "every position" if rules.required == "all" else "positions that declared a stop"
    if rules.stop_pct is None:
        return f"{which}; a missing stop-loss is only reported: protection.stop_pct is not set"
    return f"{which}; a missing stop-loss is placed {rules.stop_pct} % off the average price"
