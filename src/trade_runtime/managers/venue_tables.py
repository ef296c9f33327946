"""What a `[venues.NAME]` table comes to: the plug-in, its options, and where its orders go.

Beneath the venues' manager. The orders of a real exchange's table go to the paper venue, driven by
that exchange's own market data, until the table says `live = true`. Which of the two a journal was
made on is written in it, and a start that would mix them is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Literal, get_args

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.machines.accounts import has_traded, left_open
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.ids import InstrumentId, VenueName, venue_of
from trade_runtime.model.records import VenueUsed
from trade_runtime.protocols import Environment, VenuePlugin
from trade_runtime.settings import Settings, structure
from trade_runtime.settings.problems import Problem, child, raise_problems
from trade_runtime.settings.reader import fields_by_key
from trade_runtime.spelling import suggest

STAND_IN: Final = "paper"
"""The kind of venue that takes the orders of a table that is not live, and the key of its own
options in that table."""

FOREIGN_KEY: Final = "foreign_orders"

ForeignOrders = Literal["leave", "claim", "cancel"]
"""What becomes of orders on the account that are not of this journal."""


@attrs.frozen
class StandIn:
    """The paper venue that trades in the place of an exchange."""

    plugin: VenuePlugin
    options: Any


@attrs.frozen(eq=False)
class VenueConfig:
    """A `[venues.NAME]` table, read and checked.

    Attributes:
        name: of the table.
        kind: of the plug-in.
        plugin: what the kind names.
        options: the plug-in's own.
        live: its orders go to a real exchange.
        stand_in: what trades in its place; None where nothing has to, or where there is no such
            plug-in.
        foreign_orders: what becomes of orders that are not of this journal.
    """

    name: VenueName
    kind: str
    plugin: VenuePlugin
    options: Any
    live: bool = False
    stand_in: StandIn | None = None
    foreign_orders: ForeignOrders = "leave"

    @property
    def dry_run(self) -> bool:
        """It is a real exchange, and its orders go to paper."""
        return self.plugin.live is not None and not self.live

    @property
    def testnet(self) -> bool:
        """It is the exchange's place for trials: no real money."""
        return getattr(self.options, "testnet", False) is True

    @property
    def account(self) -> str:
        """What its orders are booked on, in the words of the journal."""
        if self.dry_run:
            return STAND_IN
        return f"{self.kind} {'testnet' if self.testnet else 'live'}" if self.live else self.kind

    @property
    def warning(self) -> str | None:
        """What is to be said loudly before anything is sent; None where no order is a real one."""
        if not self.live:
            return None
        money = "on the testnet, without real money" if self.testnet else "with REAL MONEY"
        return f"LIVE: orders at {self.name} go to the exchange itself ({self.kind}), {money}"


def read_venue(
    settings: Settings, name: str, plugins: Mapping[str, VenuePlugin], *, live: bool = True
) -> VenueConfig:
    """Return what a venue's table says, checked.

    Args:
        settings: which have the table.
        name: of the table.
        plugins: by kind.
        live: False takes every table for one that is not live, and reads no secret of a real
            exchange: for a backtest.

    Raises:
        ConfigError: no plug-in is of that kind, or its table is wrong.
    """
    table = settings.venues[name]
    plugin = plugins.get(table.kind)
    if plugin is None:
        raise ConfigError(
            f"venues.{name}.kind: no venue of kind {table.kind!r}{suggest(table.kind, plugins)}"
        )
    own = fields_by_key(plugin.settings)
    core = {key for key in (FOREIGN_KEY, *([STAND_IN] if plugin.live else [])) if key not in own}
    foreign = _foreign_orders(settings, name, table.options)
    venue = VenueName(name)
    if plugin.live is None:
        options = settings.venue_options(name, plugin.settings, without=core)
        return VenueConfig(venue, table.kind, plugin, options, foreign_orders=foreign)
    # Before it is known that orders are to leave, no key is read: a process that has none cannot
    # send any.
    options = settings.venue_options(name, plugin.settings, without=core, secrets=False)
    if live and plugin.live(options):
        options = settings.venue_options(name, plugin.settings, without=core)
        _check_keys(settings, name, plugin, options)
        return VenueConfig(venue, table.kind, plugin, options, live=True, foreign_orders=foreign)
    stand_in = _stand_in(settings, name, plugins.get(STAND_IN), table.options.get(STAND_IN, {}))
    return VenueConfig(
        venue, table.kind, plugin, options, stand_in=stand_in, foreign_orders=foreign
    )


def _foreign_orders(settings: Settings, name: str, options: Mapping[str, Any]) -> ForeignOrders:
    found: ForeignOrders = options.get(FOREIGN_KEY, "leave")
    known = get_args(ForeignOrders)
    if found not in known:
        text = f"expected one of {', '.join(f'{one!r}' for one in known)}".replace("'", '"')
        raise_problems([Problem(child(child("venues", name), FOREIGN_KEY), text)], settings.source)
    return found


def _check_keys(settings: Settings, name: str, plugin: VenuePlugin, options: Any) -> None:
    path = child("venues", name)
    problems = [
        Problem(
            child(path, key),
            f'missing: live = true needs it; write for example {key} = "env:{_variable(name, key)}"'
            " or leave live out, to trade on paper",
        )
        for key in plugin.live_needs
        if getattr(options, key, None) is None
    ]
    raise_problems(problems, settings.source)


def _variable(name: str, key: str) -> str:
    """Return what the environment might call a key."""
    return f"{name}_{key.removeprefix('api_')}".upper().replace("-", "_")


def _stand_in(
    settings: Settings, name: str, plugin: VenuePlugin | None, table: object
) -> StandIn | None:
    if plugin is None:
        return None
    path = child(child("venues", name), STAND_IN)
    problems: list[Problem] = []
    if not isinstance(table, Mapping):
        problems.append(Problem(path, f"expected a table: [{path}]"))
    elif "market_data" in table:
        text = f"leave it out: it trades on the market data of {name}"
        problems.append(Problem(child(path, "market_data"), text))
    raise_problems(problems, settings.source)
    assert isinstance(table, Mapping)
    options = {**table, "market_data": name}
    return StandIn(plugin, structure(plugin.settings, options, path, source=settings.source))


def traded_venues(
    settings: Settings, traded: Collection[InstrumentId], trading: TradingState
) -> set[VenueName]:
    """Return the venues whose orders somebody needs: strategies, or what a journal has open.

    Args:
        settings: whose strategies count.
        traded: further instruments that are traded.
        trading: what the journal says.
    """
    named = [i for strategy in settings.strategies for i in strategy.instruments]
    needed = {venue_of(i) for i in (*named, *traded, *left_open(trading))}
    return needed | trading.accounts.used.keys()


@asynccontextmanager
async def open_table(
    venue: VenueConfig, env: Callable[[str], Environment], *, trades: bool
) -> AsyncIterator[tuple[Any, Any]]:
    """Open what a table comes to: what brings its market data, and what takes its orders; None for
    what it has not.

    Args:
        venue: the table.
        env: makes the environment of a part, by its name.
        trades: somebody needs its orders; else no paper venue is opened in an exchange's place.

    Raises:
        StoreError: a venue of ours (paper) cannot open its record.
    """
    plugin, name = venue.plugin, venue.name
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(plugin.open(name, venue.options, env(name)))
        taker = opened if plugin.trades and not venue.dry_run else None
        if venue.stand_in is not None and trades:
            paper = venue.stand_in
            opening = paper.plugin.open(name, paper.options, env(f"{name} {STAND_IN}"))
            taker = await stack.enter_async_context(opening)
        yield opened if plugin.streams else None, taker


def note_account(venue: VenueConfig, trading: TradingState) -> VenueUsed | None:
    """Return what is to be recorded of where a venue's orders go; None where nothing is new.

    Raises:
        ConfigError: the journal was made elsewhere: on paper, or on another account.
    """
    noted = trading.accounts.used.get(venue.name)
    before = None if noted is None else noted.account
    if before is None and venue.live and has_traded(trading, venue.name):
        before = STAND_IN  # by a version that noted nothing, and could trade nowhere else
    if before is not None and before != venue.account:
        raise ConfigError(
            f"venues.{venue.name}: its orders would go to {venue.account}, but this journal was"
            f" made on {before}: the two must not mix; name another runtime.data_dir, or"
            " store.url, or put the table back as it was"
        )
    if before is None and venue.plugin.live is not None:
        return VenueUsed(venue.name, venue.account)
    return None
