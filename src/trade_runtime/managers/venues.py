"""VenueManager, the second layer: the plug-ins of the configured venues, and their connections.

It opens what the `[venues.*]` tables name, in their order, and holds the private connection of each
venue that trades, supervised: one that fails is opened again alone. It closes after the prices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from trade_runtime.errors import ConfigError, VenueError
from trade_runtime.lifecycle.ladder import Ladder
from trade_runtime.lifecycle.layer import Layer, open_layer
from trade_runtime.lifecycle.supervision import supervise
from trade_runtime.managers.state import StateManager
from trade_runtime.managers.venue_tables import (
    VenueConfig,
    note_account,
    open_table,
    read_venue,
    traded_venues,
)
from trade_runtime.model.ids import InstrumentId, VenueName, venue_of
from trade_runtime.protocols import (
    Environment,
    MarketData,
    MarketDriven,
    OrderEntry,
    Serves,
    Venue,
    VenuePlugin,
    VenueSink,
)
from trade_runtime.settings import Settings, SupervisionSettings

log = structlog.get_logger("venues")


class Venues:
    """The venues by name: all that the order path needs of them. A backtest makes its own."""

    trading: Mapping[VenueName, OrderEntry]

    def __init__(self) -> None:
        self.trading = {}
        self.sources: dict[VenueName, MarketData] = {}
        self.driven: dict[VenueName, MarketDriven] = {}
        """The trading venues that match against market data which others bring."""
        self.connected: dict[VenueName, bool] = {}
        """Whether the private connection of a trading venue is up."""

    def trading_in(self, instrument: InstrumentId) -> OrderEntry:
        """Return the venue that trades an instrument.

        Raises:
            KeyError: none does; the order manager takes no order of such an instrument.
        """
        return self.trading[venue_of(instrument)]


class VenueManager(Venues):
    """The venues, and their private connections. Made by `open_venues`."""

    trading: dict[VenueName, Venue]

    def __init__(self, layer: Layer, env: Environment, supervision: SupervisionSettings) -> None:
        super().__init__()
        self.configs: dict[VenueName, VenueConfig] = {}
        """What each table says."""
        self._layer = layer
        self._env = env
        self._supervision = supervision

    def add(self, venue: VenueConfig, *, streams: Any, trades: Any) -> None:
        """Take in what was opened for a table: what brings its market data, what takes its orders.

        Args:
            venue: the table.
            streams: a `MarketData`, or None.
            trades: a `Venue`, or None.
        """
        name = venue.name
        self.configs[name] = venue
        if trades is not None:
            self.trading[name] = trades
            self.connected[name] = False
            if isinstance(trades, Serves):
                self._layer.start_soon(trades.serve, name=f"serving-{name}")
            if isinstance(trades, MarketDriven):
                self.driven[name] = trades
        if streams is not None:
            self.sources[name] = streams

    def listen(self, sink: VenueSink, connected: Callable[[VenueName], None]) -> None:
        """Start the private connection of every trading venue.

        Args:
            sink: takes their events.
            connected: told each time a connection has come up: what was missed is to be asked for.
        """
        for name, venue in self.trading.items():
            self._layer.start_soon(
                partial(
                    supervise,
                    partial(self._session, name, venue, sink, connected),
                    name=f"private connection of {name}",
                    settings=self._supervision,
                    rng=self._env.rng,
                ),
                name=f"private-{name}",
            )

    async def _session(
        self,
        name: VenueName,
        venue: Venue,
        sink: VenueSink,
        connected: Callable[[VenueName], None],
    ) -> None:
        def up() -> None:
            self.connected[name] = True
            log.info("Private connection is up", venue=name)
            connected(name)

        try:
            await venue.run(sink, up)
        except VenueError as error:
            if self.connected[name]:
                log.warning("Private connection lost", venue=name, error=str(error))
            raise
        finally:
            self.connected[name] = False

    @property
    def open_connections(self) -> list[str]:
        """The private connections that are up."""
        return [f"private-{name}" for name, up in self.connected.items() if up]


def _make_folder(path: Path) -> None:
    # A store on the disk has made it; one in memory has not.
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"runtime.data_dir: {path} cannot be made: {error.strerror or error}; name another"
        ) from None


@asynccontextmanager
async def open_venues(
    settings: Settings,
    plugins: Mapping[str, VenuePlugin],
    ladder: Ladder,
    env: Callable[[str], Environment],
    state: StateManager,
    traded: Collection[InstrumentId],
) -> AsyncIterator[VenueManager]:
    """Open the venues layer.

    Leaving is the second half of the stage `close`: private connections end, plug-ins close.

    Args:
        settings: its `[venues.*]` tables, and supervision for the private connections.
        plugins: by kind.
        ladder: of the stop.
        env: makes the environment of a plug-in, by its name.
        state: says what a journal was made on; takes it, where it is new.
        traded: the instruments that strategies trade.

    Raises:
        ConfigError: a table is wrong, or the journal was made on another account.
        StoreError: a venue of ours (paper) cannot open its record.
    """
    found = [read_venue(settings, name, plugins) for name in settings.venues]
    needed = traded_venues(settings, traded, state.trading)
    for venue in found:
        note = note_account(venue, state.trading) if venue.name in needed or venue.live else None
        if venue.warning is not None:
            log.warning(venue.warning, venue=venue.name, kind=venue.kind, testnet=venue.testnet)
        elif venue.dry_run and venue.name in needed:
            log.info("Dry-run: orders go to paper", venue=venue.name, kind=venue.kind)
        if note is not None:
            state.record(note)
    _make_folder(settings.runtime.data_dir)
    stack = AsyncExitStack()

    async def close() -> None:
        with ladder.stage("close"):
            layer.cancel_tasks()
            await layer.ended()

    try:
        opened = {
            venue: await stack.enter_async_context(
                open_table(venue, env, trades=venue.name in needed)
            )
            for venue in found
        }
        async with open_layer("venues", close) as layer:
            manager = VenueManager(layer, env("venues"), settings.supervision)
            for venue, (streams, trades) in opened.items():
                manager.add(venue, streams=streams, trades=trades)
            yield manager
    finally:
        with ladder.stage("close"):
            await stack.aclose()
