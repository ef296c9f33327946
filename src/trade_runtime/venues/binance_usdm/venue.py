"""Binance USD-M Futures as a venue: market data, and order entry where it has a key.

One object is all that the core sees. Requests leave through `wire.sending`, events come back over
the private stream and from the answers of requests, and questions go over REST.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.model.events import Fill, VenueEvent
from trade_runtime.model.ids import Currency, InstrumentId, VenueName, symbol_of
from trade_runtime.model.orders import OrderReport, OrderSpec, OrderType, TimeInForce
from trade_runtime.protocols import Capabilities, Environment, Placed, VenueSink
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.rest import Account, Rest
from trade_runtime.venues.binance.signing import Signer
from trade_runtime.venues.binance_usdm.account import UsdmAccount
from trade_runtime.venues.binance_usdm.desk import UsdmDesk
from trade_runtime.venues.binance_usdm.events import PrivateDecoder
from trade_runtime.venues.binance_usdm.market import UsdmMarket
from trade_runtime.venues.binance_usdm.orders import CONDITIONAL
from trade_runtime.venues.binance_usdm.private import PrivateStream
from trade_runtime.venues.binance_usdm.settings import BinanceUsdmSettings
from trade_runtime.venues.binance_usdm.twins import Twins
from trade_runtime.venues.wire.http import open_http, tls_for
from trade_runtime.venues.wire.sending import MAX_WAIT_SECS, Numbers, Sender

SETTLE_MARGIN_SECS: Final = 2.0
"""Beyond what Binance allows a request to be under way: for its own services to agree."""

CAPABILITIES: Final = Capabilities(
    types=frozenset({OrderType.MARKET, OrderType.LIMIT, *CONDITIONAL}),
    tifs=frozenset(TimeInForce),
    amend_waiting=False,
)


class _Countdown(msgspec.Struct):
    symbol: str
    countdownTime: str | int  # noqa: N815


_countdown = msgspec.json.Decoder(_Countdown)


class BinanceUsdm(UsdmMarket):
    """A `MarketData`, `MarketHistory` and `Venue` that `Serves`, `CancelsAll`, `TellsPositions`,
    tells `FillsBySymbol` and has a `DeadMansSwitch`.

    Args:
        name: of the venue, which the ids of its instruments carry.
        settings: of its table.
        env: the time of day, randomness for pauses, and a log.
        rest: the REST API.
        tls: what checks certificates, or None where no URL needs it.
    """

    def __init__(
        self,
        name: VenueName,
        settings: BinanceUsdmSettings,
        env: Environment,
        rest: Rest,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(name, settings, env, rest, tls)
        twins, self._watched = Twins(), set[str]()
        self._desk = UsdmDesk(rest, twins, settings.trigger_by, env)
        self._account = UsdmAccount(rest, twins, name, lambda: self._known.keys() | self._watched)
        self._decoder = PrivateDecoder(name, twins, self._currency_of, env.log)
        self._private = PrivateStream(settings.private_streams, rest, self._decoder, tls)
        self.sender = Sender(self._desk, rest.budget, env, self._tell)
        self._sink: VenueSink | None = None
        self._up = False

    # --- orders --------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What Binance holds by itself."""
        return attrs.evolve(CAPABILITIES, max_stops=self._max_stops)

    @property
    def settle_secs(self) -> float:
        """For how long after a submit "no such order" proves nothing."""
        return MAX_WAIT_SECS + self._settings.recv_window_ms / 1000 + SETTLE_MARGIN_SECS

    def submit(self, order: OrderSpec) -> None:
        """Send a new order. As `OrderEntry.submit`.

        Raises:
            VenueDown: the private stream is down, so that its fills would not be heard.
        """
        if not self._up:
            raise VenueDown(f"{self._name}: the private stream is down")
        self.sender.submit(order)

    def cancel(self, order: Placed) -> None:
        """Ask for a cancel, also while the private stream is down. As `OrderEntry.cancel`."""
        self.sender.cancel(order)

    def cancel_all(self, order: Placed) -> None:
        """Ask for the cancel of all that rests in an instrument, of both services."""
        self.sender.cancel_all(order)

    def amend(
        self,
        order: Placed,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Ask for an order to be changed. As `OrderEntry.amend`; limit orders alone can be."""
        self.sender.amend(order, Numbers(quantity, price, trigger_price), urgent=False)

    # --- questions -----------------------------------------------------------------------------

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return every order that rests on this account. As `Venue.open_orders`."""
        return await self._account.open_orders()

    async def order(self, order: Placed) -> OrderReport | None:
        """Return Binance's view of an order. As `Venue.order`."""
        return await self._account.order(order)

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return the fills of the traded instruments. As `Venue.fills`."""
        return await self._account.fills(since_ns)

    def watch(self, instruments: Collection[InstrumentId]) -> None:
        """Tell the fills of these too. As `FillsBySymbol.watch`."""
        self._watched |= {symbol_of(one) for one in instruments}

    async def balances(self) -> Mapping[Currency, Decimal]:
        """Return the wallets of the account. As `Venue.balances`."""
        return await self._account.balances()

    async def positions(self) -> Mapping[InstrumentId, Decimal]:
        """Return the positions of the account. As `TellsPositions.positions`."""
        return await self._account.positions()

    # --- the dead-man's switch -----------------------------------------------------------------

    @property
    def switch_secs(self) -> float:
        """After how many seconds of silence Binance cancels; 0 where it is not used."""
        return float(self._settings.dead_mans_switch_secs)

    async def arm(self) -> None:
        """Start the countdown of each traded instrument anew.

        Raises:
            VenueError: Binance did not say of each that it runs; the others do.
        """
        await self._count_down(self._settings.dead_mans_switch_secs * 1000)

    async def disarm(self) -> None:
        """Stop the countdown of each traded instrument.

        Raises:
            VenueError: Binance did not say of each that it stands.
        """
        await self._count_down(0)

    async def _count_down(self, countdown_ms: int) -> None:
        failed: VenueError | None = None
        for symbol in sorted(self._known):
            params = {"symbol": symbol, "countdownTime": str(countdown_ms)}
            try:
                body = await self._rest.send(
                    "POST",
                    "/fapi/v1/countdownCancelAll",
                    params,
                    auth="signed",
                    weight=10,
                    urgent=True,
                )
                told = BINANCE.decode(_countdown, body, "countdown")
                if (told.symbol, str(told.countdownTime)) != (symbol, str(countdown_ms)):
                    raise VenueError(f"Binance did not set the countdown of {symbol} as asked for")
            except VenueError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    # --- the private stream --------------------------------------------------------------------

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        """Hold the private stream. As `Venue.run`.

        Raises:
            VenueError: it ended; or the account is in hedge mode, of which we know nothing.
        """
        await self._account.check_one_way()
        self._sink = sink

        def up() -> None:
            self._up = True
            connected()

        try:
            await self._private.run(self._tell, up)
        finally:
            self._up = False
            if self._decoder.ignored:
                self._env.log.debug("events ignored", **self._decoder.ignored)

    def _tell(self, event: VenueEvent) -> None:
        # Also while the private stream is down: a cancel that REST answers has its outcome.
        if self._sink is not None:
            self._sink.on_event(event)

    async def serve(self) -> None:
        """Send what is asked for, until cancelled. What waits then never leaves."""
        await self.sender.run()

    def _currency_of(self, symbol: str) -> Currency:
        known = self._known.get(symbol)
        return Currency("USDT") if known is None else known.quote


@asynccontextmanager
async def open_venue(
    name: VenueName, settings: Any, env: Environment
) -> AsyncIterator[UsdmMarket | BinanceUsdm]:
    """Open the plug-in; this needs no network. Without a key it is market data alone.

    Requests leave while `serve` runs. Leaving closes the pool of REST connections.
    """
    tls = tls_for(settings.rest, settings.streams, settings.private_streams)
    async with open_http(settings.rest, tls) as http:
        if settings.api_key is None or settings.api_secret is None:
            yield UsdmMarket(name, settings, env, Rest(http), tls)
            return
        signer = Signer(settings.api_key.reveal(), settings.api_secret.reveal())
        account = Account(signer, env.clock, "/fapi/v1/time", settings.recv_window_ms)
        yield BinanceUsdm(name, settings, env, Rest(http, account=account), tls)
