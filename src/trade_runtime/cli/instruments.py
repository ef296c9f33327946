"""Asks the configured sources of market data whether they have what the strategies trade.

A part of the command line, used before a start. A symbol that a venue lacks is a mistake in the
configuration; a venue that gives no answer is not, so it is only told.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import trio

from trade_runtime.errors import ConfigError, TradeRuntimeError, VenueError
from trade_runtime.lifecycle.clock import SystemClock, fresh_seed
from trade_runtime.managers.venue_tables import VenueConfig
from trade_runtime.model.ids import InstrumentId, VenueName, symbol_of, venue_of
from trade_runtime.protocols import Environment, MarketData
from trade_runtime.settings import Settings

ASK_SECS = 5.0
"""How long a source may take to say what it has."""

SUGGEST_SECS = 2.0
"""How long it may take after that to say which similar symbol it has."""

MAX_SIMILAR = 24
"""Similar symbols that are asked for, at most: a request each, at some venues."""

Venues = Mapping[VenueName, VenueConfig]
"""The configured venues, by name."""


class Silent:
    """A log that says nothing: what matters comes back as an error."""

    def debug(self, event: str, **fields: object) -> None:
        """Say nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Say nothing."""

    def warning(self, event: str, **fields: object) -> None:
        """Say nothing."""

    def error(self, event: str, **fields: object) -> None:
        """Say nothing."""


def environment(data_dir: Path) -> Environment:
    """Return what a plug-in is given that is only looked at."""
    return Environment(SystemClock(), random.Random(fresh_seed()), data_dir, Silent())


def find_sources(settings: Settings, venues: Venues) -> dict[VenueName, VenueName]:
    """Return by venue whose market data its instruments live on.

    A venue that has none is left out: `undriven` tells it.

    Raises:
        ConfigError: a venue's is named wrongly.
    """
    sources: dict[VenueName, VenueName] = {}
    problems: list[str] = []
    streaming = _streaming(venues)
    for name, venue in venues.items():
        named: str | None = getattr(venue.options, "market_data", None)
        path = f"venues.{name}.market_data"
        others = ", ".join(f'"{n}"' for n in streaming) or "none"
        if named is not None:
            settings.venue(named, path)
            if named not in streaming:
                problems.append(
                    f'{path}: "{named}" brings no market data; venues that do: {others}'
                )
            sources[name] = VenueName(named)
        elif venue.plugin.streams:
            sources[name] = name
    if problems:
        raise ConfigError("\n".join(problems))
    return sources


def undriven(settings: Settings, venues: Venues) -> list[str]:
    """Tell which venues are traded and have no market data, a line each: only history drives those.

    Where the configuration names a history, the line says that `backtest` can run it.
    """
    streaming = ", ".join(f'"{name}"' for name in _streaming(venues))
    mend = (
        f"name a venue that brings market data: {streaming}"
        if streaming
        else 'add a venue that brings market data, for example [venues.live] kind = "binance_spot",'
        ' and write market_data = "live"'
    )
    if settings.backtest.data:
        mend = f"the configuration is for backtest alone; to run it, {mend}"
    traded = {venue_of(i) for table in settings.strategies for i in table.instruments}
    return [
        f"venues.{name}.market_data: missing; {mend}"
        for name, venue in venues.items()
        if name in traded
        and not venue.plugin.streams
        and getattr(venue.options, "market_data", None) is None
    ]


def _streaming(venues: Venues) -> list[VenueName]:
    return [name for name, venue in venues.items() if venue.plugin.streams]


async def ask_sources(
    settings: Settings, venues: Venues, sources: Mapping[VenueName, VenueName]
) -> list[str]:
    """Ask every source that is used for its instruments; return who could not be asked, and why.

    Sources are asked side by side, each for up to `ASK_SECS`. Nothing is opened for good.

    Raises:
        ConfigError: a strategy names an instrument that its source lacks; a line for each.
    """
    wanted: dict[VenueName, set[str]] = {}
    for table in settings.strategies:
        for instrument in table.instruments:
            source = sources[venue_of(instrument)]
            wanted.setdefault(source, set()).add(symbol_of(instrument))
    answers = {source: _Answer() for source in wanted}
    async with trio.open_nursery() as nursery:
        for source, symbols in wanted.items():
            nursery.start_soon(_ask, venues[source], settings, sorted(symbols), answers[source])
    problems = [
        _missing(index, instrument, source, answers[source].similar[symbol_of(instrument)])
        for index, table in enumerate(settings.strategies)
        for instrument in table.instruments
        if symbol_of(instrument) in answers[source := sources[venue_of(instrument)]].similar
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    return [
        f"venues.{source}: could not be asked for its instruments: {answer.error};"
        " whether it has them was not checked"
        for source, answer in answers.items()
        if answer.error
    ]


@attrs.define
class _Answer:
    similar: dict[str, str | None] = attrs.field(factory=dict)
    """Of each symbol that is missing, the nearest that is not."""
    error: str = ""


async def _ask(venue: VenueConfig, settings: Settings, symbols: list[str], answer: _Answer) -> None:
    try:
        async with AsyncExitStack() as stack:
            data_dir = settings.runtime.data_dir
            if venue.plugin.trades:  # it may keep a record: not where the real one is to be
                data_dir = Path(stack.enter_context(TemporaryDirectory(prefix="trade_runtime-")))
            env = environment(data_dir)
            opening = venue.plugin.open(venue.name, venue.options, env)
            source = await stack.enter_async_context(opening)
            with trio.fail_after(ASK_SECS):
                found = await source.instruments(symbols)
            for symbol in symbols:
                if symbol not in found:
                    answer.similar[symbol] = await _nearest(source, symbol)
    except trio.TooSlowError:
        answer.error = f"no answer within {ASK_SECS:g} s"
    except TradeRuntimeError as error:
        answer.error = str(error)


async def _nearest(source: MarketData, symbol: str) -> str | None:
    try:
        with trio.fail_after(SUGGEST_SECS):
            similar = similar_symbols(symbol)
            known = await source.instruments(similar)
    except (VenueError, trio.TooSlowError):
        return None
    return next((candidate for candidate in similar if candidate in known), None)


def similar_symbols(symbol: str) -> Sequence[str]:
    """Return what may have been meant, likeliest first: other spellings, slips of the fingers."""
    plain = "".join(letter for letter in symbol.upper() if letter.isalnum())
    found = [plain, plain.replace("XBT", "BTC")]
    if plain.endswith("USD"):
        found += [plain + "T", plain + "C"]
    for place in range(len(plain) - 1):
        found.append(plain[:place] + plain[place + 1] + plain[place] + plain[place + 2 :])
    found += [plain[:place] + plain[place + 1 :] for place in range(len(plain))]
    return [s for s in dict.fromkeys(found) if s and s != symbol][:MAX_SIMILAR]


def _missing(index: int, instrument: InstrumentId, source: VenueName, near: str | None) -> str:
    symbol = symbol_of(instrument)
    mend = f'did you mean "{near}.{venue_of(instrument)}"?' if near else "check its spelling"
    return (
        f'strategies[{index}].instruments: "{instrument}": venue "{source}" does not have'
        f' "{symbol}"; {mend}'
    )
