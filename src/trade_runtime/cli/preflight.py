"""Everything that can be known to be wrong before a start, found without starting anything.

A part of the command line: `check` tells what this finds, `run` starts only when it finds nothing.
It guarantees that nothing is created, changed or owned, whatever it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from trade_runtime.cli.instruments import (
    Venues,
    ask_sources,
    environment,
    find_sources,
    undriven,
)
from trade_runtime.cli.places import check_data_dir
from trade_runtime.errors import ConfigError, StoreDamaged
from trade_runtime.loading import load_strategies
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.journal import replay
from trade_runtime.managers.memory import check_memories
from trade_runtime.managers.strategies import check_strategies
from trade_runtime.managers.tables import prove
from trade_runtime.managers.venue_tables import (
    VenueConfig,
    note_account,
    read_venue,
    traded_venues,
)
from trade_runtime.model.ids import VenueName
from trade_runtime.plugins import Plugins
from trade_runtime.settings import Settings, masked_url
from trade_runtime.strategy import Strategy


@attrs.frozen
class Journal:
    """What a journal says.

    Attributes:
        state: all its records, folded.
        records: how many there were ever.
        removed: how many of them are there no more: a snapshot stands for them.
        tabled: its tables were held against it.
    """

    state: TradingState
    records: int
    removed: int
    tabled: bool


@attrs.frozen
class Findings:
    """What was found where nothing was wrong.

    Attributes:
        journal: what would be gone on from.
        venues: by name, what each table says.
        warnings: what could not be checked, or looks unintended.
        undriven: why it can be run over history alone, a line for each venue; empty where it can
            be run.
    """

    journal: Journal
    venues: Venues
    warnings: Sequence[str]
    undriven: Sequence[str] = ()


async def preflight(
    settings: Settings, *, ask_venues: bool, plugins: Plugins | None = None
) -> list[str]:
    """Check all that a start needs; return what is to be warned of, a line each.

    The journal is read as a start reads it, from its newest snapshot on. Arguments, errors and
    cancellation as for `examine`.
    """
    found = await examine(settings, ask_venues=ask_venues, whole=False, plugins=plugins)
    return list(found.warnings)


async def examine(
    settings: Settings,
    *,
    ask_venues: bool,
    with_history: bool = False,
    whole: bool = True,
    plugins: Plugins | None = None,
) -> Findings:
    """Check all that a start needs: strategies, venues, store, folder, journal, instruments.

    The code of the strategies' files runs, as in any import. Cancelling it leaves nothing behind.

    Args:
        settings: the configuration.
        ask_venues: ask the sources of market data for the instruments; needs the network, and
            takes up to some seconds where there is none.
        with_history: check what a backtest needs, too, where the configuration names a history. A
            configuration for backtests alone is no mistake then; in one that can be run, what a
            backtest lacks is only warned of.
        whole: prove the journal as far back as it goes, and its tables.
        plugins: to find venues and stores instead of the installed ones.

    Raises:
        ConfigError: a line for each thing that is wrong with the configuration.
        StoreDamaged: the journal is not what was written.
        StoreError: the journal cannot be read now.
    """
    plugins = plugins or Plugins()
    lines: list[str] = []
    strategies: Sequence[Strategy] = ()
    with _told(lines):
        strategies = load_strategies(settings)
        check_strategies(strategies)
    with _told(lines):
        plugins.store(settings.store.url)
    with _told(lines):
        plugins.connect_cache(settings)
    with _told(lines):
        check_data_dir(settings.runtime.data_dir, "runtime.data_dir")
    venues: dict[VenueName, VenueConfig] = {}
    for name in settings.venues:
        with _told(lines):
            venues[VenueName(name)] = read_venue(settings, name, plugins.venues)
    sources: dict[VenueName, VenueName] = {}
    if len(venues) == len(settings.venues):
        with _told(lines):
            sources = find_sources(settings, venues)
    lacking = undriven(settings, venues)
    faults: list[str] = []
    if with_history and settings.backtest.data:
        from trade_runtime.backtest.check import faults_of  # noqa: PLC0415 - it loads much

        faults = faults_of(settings, plugins)
        lines += faults if lacking else []
    else:
        lines += lacking
    _refuse(lines, settings.source)

    warnings = [f"for a backtest: {fault.removeprefix(f'{settings.source}: ')}" for fault in faults]
    if not settings.strategies:
        warnings.append("strategies: there are none, so nothing will be traded")
    try:
        journal = await read_journal(settings, plugins, whole=whole)
        needed = traded_venues(settings, (), journal.state)
        for name, venue in venues.items():
            if name in needed or venue.live:
                note_account(venue, journal.state)
        if not lacking:  # a backtest loads no state
            check_memories(strategies, journal.state.memories)
        if ask_venues and not lacking:
            warnings += await ask_sources(settings, venues, sources)
    except ConfigError as error:
        _refuse(str(error).splitlines(), settings.source)
        raise
    return Findings(journal, venues, warnings, lacking)


async def read_journal(
    settings: Settings, plugins: Plugins | None = None, *, whole: bool = True
) -> Journal:
    """Read the journal that the settings name, prove it record by record, and fold it.

    No ownership is taken: it may be in use by a runtime. One that does not exist reads as empty.

    Args:
        settings: which name it.
        plugins: to find the store instead of the installed ones.
        whole: as far back as it goes, and hold its tables against it; else from the newest snapshot
            on, as a start does.

    Raises:
        ConfigError: the settings name no store that there could be.
        StoreDamaged: it is not what was written; the message names it and the mend.
        StoreError: it cannot be read now.
    """
    data_dir = settings.runtime.data_dir
    opened = (plugins or Plugins()).open_store(settings, environment(data_dir), read_only=True)
    async with opened as store:
        try:
            if whole:
                await store.check()
                found, tabled = await prove(store)
            else:
                found, tabled = await replay(store), False
        except StoreDamaged as error:
            if str(error).startswith(("record ", "table ")):  # the chain knows not where they are
                raise StoreDamaged(
                    f"{masked_url(settings.store.url)} in {data_dir}: {error};"
                    " restore it from a backup, or move it away to begin anew"
                ) from error
            raise
        return Journal(found.state, found.seq, found.since, tabled)


@contextmanager
def _told(lines: list[str]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        lines += str(error).splitlines()


def _refuse(lines: list[str], source: Path | None) -> None:
    if lines:
        where = f"{source}: " if source is not None else ""
        whole = (line if line.startswith(where) else where + line for line in lines)
        raise ConfigError("\n".join(dict.fromkeys(whole)))
