"""Binance Spot as a venue: its market data, and live order entry on an account.

One object is all that the core uses: a `MarketData`, a `Venue` and a `CancelsAll`. Orders go over
REST, for an answer belongs to its request there; what becomes of them comes back in the answer and
over the private connection, and the core drops what it is told twice. The sender runs for as long
as the venue is open, so a cancel leaves also while the private connection is down; a new order does
not, since nobody would hear of its end.

Binance Spot knows no positions: what the account holds is balances, which deposits and others move
too. So it is no `TellsPositions`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final

import trio

from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.model.events import Fill, VenueEvent
from trade_runtime.model.ids import Currency, InstrumentId, VenueName, symbol_of
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import OrderReport, OrderSpec, OrderType, TimeInForce
from trade_runtime.protocols import Capabilities, Environment, Placed, VenueSink
from trade_runtime.venues.binance.answers import Code, RestRefused
from trade_runtime.venues.binance.rest import Rest
from trade_runtime.venues.binance_spot.account_codec import decode_balances, decode_withdraws
from trade_runtime.venues.binance_spot.desk import ORDER, SpotDesk
from trade_runtime.venues.binance_spot.market import BinanceSpot
from trade_runtime.venues.binance_spot.order_codec import (
    archived,
    decode_order,
    named,
)
from trade_runtime.venues.binance_spot.private import UserStream
from trade_runtime.venues.binance_spot.resting import Resting
from trade_runtime.venues.binance_spot.settings import BinanceSpotSettings
from trade_runtime.venues.binance_spot.spelling import TIFS, TYPES
from trade_runtime.venues.binance_spot.trades import ORDER_WEIGHT, OwnTrades
from trade_runtime.venues.binance_spot.user_codec import UserDecoder
from trade_runtime.venues.wire.sending import MAX_WAIT_SECS, Numbers, Sender

MAX_STOPS: Final = 5
"""Of a symbol that wait for a trigger, where its filter MAX_NUM_ALGO_ORDERS does not say."""

ACCOUNT_WEIGHT: Final = 20

AHEAD_SECS: Final = 1.0
"""How far ahead of its own clock Binance lets a timestamp be: so much later may a request count."""

MARGIN_SECS: Final = 1.0
"""For an order that was taken in the last moment to be seen by those who ask for it."""

AT_ONCE: Final = 4
"""Symbols whose fills are asked for at the same time."""


class BinanceSpotVenue(BinanceSpot):
    """Order entry on an account, and market data."""

    def __init__(
        self,
        name: VenueName,
        settings: BinanceSpotSettings,
        env: Environment,
        rest: Rest,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(name, settings, env, rest, tls)
        self.sender = Sender(SpotDesk(rest), rest.budget, env, self._tell)
        self._trades = OwnTrades(rest, name)
        self._resting = Resting(rest, name, self._strange)
        self._symbols: set[str] = set()
        self._stream = UserStream(
            settings.ws_api,
            tls,
            rest,
            settings.signer(),
            settings.recv_window_ms,
            UserDecoder(name, self.known, self._strange),
        )
        self._sink: VenueSink | None = None
        self._up = False
        self._seen_up = trio.Event()

    @property
    def capabilities(self) -> Capabilities:
        """What Binance Spot holds by itself: of types, what all symbols that are traded take.

        Orders with a date and orders that only close a position are the runtime's own; changes and
        groups too, see `desk`.
        """
        traits = [self.traits[one] for one in self._symbols if one in self.traits]
        taken = [one.types for one in traits]
        most = [MAX_STOPS if one.max_stops is None else one.max_stops for one in traits]
        return Capabilities(
            types=frozenset[OrderType](TYPES).intersection(*taken),
            tifs=frozenset[TimeInForce](TIFS),
            post_only=True,
            reduce_only=False,
            amend=False,
            oco=False,
            max_stops=min(most, default=MAX_STOPS),
        )

    @property
    def settle_secs(self) -> float:
        """For how long after a submit "no such order" proves nothing."""
        window_secs = self._settings.recv_window_ms / 1000
        return MAX_WAIT_SECS + window_secs + AHEAD_SECS + MARGIN_SECS

    def watch(self, instruments: Collection[InstrumentId]) -> None:
        """Learn of which instruments fills are to be told: Binance tells them by symbol alone."""
        self._symbols.update(symbol_of(one) for one in instruments)

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return what Binance says of those of `symbols` that it has, and watch them.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """
        found = await super().instruments(symbols)
        self._symbols.update(found)
        return found

    # --- orders --------------------------------------------------------------------------------

    def submit(self, order: OrderSpec) -> None:
        """Send a new order.

        Raises:
            VenueDown: the private connection is down, or too much waits; nothing has left.
        """
        if not self._up:
            raise VenueDown(f"{self._name}: the private connection is down")
        self._symbols.add(symbol_of(order.instrument))
        self.sender.submit(order)

    def cancel(self, order: Placed) -> None:
        """Send a cancel, also while the private connection is down.

        Raises:
            VenueDown: too much waits; nothing has left.
        """
        self.sender.cancel(order)

    def cancel_all(self, order: Placed) -> None:
        """Send the cancel of all that rests in the instrument of `order`; else as `cancel`."""
        self.sender.cancel_all(order)

    def amend(
        self,
        order: Placed,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Refuse, by an event: Binance Spot cannot amend, as `capabilities` says."""
        self.sender.amend(order, Numbers(quantity, price, trigger_price), urgent=False)

    # --- queries -------------------------------------------------------------------------------

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return every order that rests on this account, whoever placed it, see `resting`.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        reports = await self._resting.all(self._symbols)
        for report in reports:
            self._remember(report)
        return reports

    async def order(self, order: Placed) -> OrderReport | None:
        """Return Binance's view of an order; None where it says that there is none of that id.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        self._symbols.add(symbol_of(order.instrument))
        try:
            body = await self._ask(ORDER, named(order), ORDER_WEIGHT, urgent=True)
        except RestRefused as refused:
            if refused.certain and refused.code == Code.NO_SUCH_ORDER:
                return None
            if refused.certain and refused.code == Code.ARCHIVED:
                return archived(order)
            raise
        report = decode_order(body, order, self._name)
        self._remember(report)
        return report

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return the account's fills in the instruments that are watched, oldest first.

        Raises:
            VenueError: no answer, one that made no sense, or more than can be asked for.
        """
        found: list[Fill] = []
        failed: list[VenueError] = []
        room = trio.Semaphore(AT_ONCE)

        async def ask(symbol: str) -> None:
            async with room:
                try:
                    found.extend(await self._trades.since(symbol, since_ns))
                except VenueError as error:  # a nursery would wrap it into a group
                    failed.append(error)

        async with trio.open_nursery() as nursery:
            for symbol in sorted(self._symbols):
                nursery.start_soon(ask, symbol)
        if failed:
            raise failed[0]
        return sorted(found, key=lambda fill: (fill.ts_ns, fill.instrument, int(fill.trade_id)))

    async def balances(self) -> Mapping[Currency, Decimal]:
        """Return what the account holds, free and locked.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        params = {"omitZeroBalances": "true"}
        return decode_balances(await self._ask("/api/v3/account", params, ACCOUNT_WEIGHT))

    # --- the private connection ----------------------------------------------------------------

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        """Hold the private connection: call `connected` once it is up, then hand events to `sink`.

        Raises:
            VenueError: the connection ended, or none came about.
        """
        self._sink = sink

        def up() -> None:
            self._up = True
            self._seen_up.set()
            connected()

        try:
            await self._stream.run(self._tell, up)
        except trio.Cancelled:
            self._sink = None  # the layers above are gone
            raise
        finally:
            self._up = False

    async def serve(self) -> None:
        """Send what is asked for, and look at the key's rights, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.sender.run)
            nursery.start_soon(self._look_at_rights)

    async def _look_at_rights(self) -> None:
        """Warn of a key that may withdraw. Not to know is no harm: the testnet does not tell."""
        await self._seen_up.wait()
        try:
            body = await self._ask("/sapi/v1/account/apiRestrictions", {}, 1)
            withdraws = decode_withdraws(body)
        except VenueError as error:
            self._env.log.debug("The rights of the key are not known", error=str(error))
            return
        if withdraws:
            self._env.log.warning(
                "The API key may withdraw: take that right from it, trading needs none"
            )

    # --- inside --------------------------------------------------------------------------------

    async def _ask(
        self, path: str, params: Mapping[str, str], weight: float, *, urgent: bool = False
    ) -> bytes:
        return await self._rest.send(
            "GET", path, params, auth="signed", weight=weight, urgent=urgent
        )

    def _remember(self, report: OrderReport) -> None:
        if report.venue_order_id:
            symbol = symbol_of(report.instrument)
            self._trades.note(symbol, int(report.venue_order_id), report.client_order_id)

    def _tell(self, event: VenueEvent) -> None:
        if self._sink is not None:
            self._sink.on_event(event)

    def _strange(self, what: str) -> None:
        self._env.log.warning("Binance tells what is not known here; it is passed over", what=what)
