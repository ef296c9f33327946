"""Kraken Spot as a venue: market data, order entry, and what the account holds.

One `KrakenSpot` is a `MarketData` with history, a `Venue`, a `CancelsAll` and a `DeadMansSwitch`.
It holds the pool of REST connections and the sender of requests for as long as it is open; the
private connection comes and goes with `run`.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import trio

from trade_runtime.errors import VenueDown, VenueError, VenueRefused
from trade_runtime.model.events import Fill, VenueEvent
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, VenueName
from trade_runtime.model.orders import OrderReport, OrderSpec, ReportStatus, TimeInForce
from trade_runtime.protocols import Capabilities, Environment, Placed, VenueSink
from trade_runtime.venues.kraken_spot import account
from trade_runtime.venues.kraken_spot.desk import DEADLINE_SECS, KrakenDesk
from trade_runtime.venues.kraken_spot.executions import Executions
from trade_runtime.venues.kraken_spot.market import KrakenMarket
from trade_runtime.venues.kraken_spot.orders import is_venue_id
from trade_runtime.venues.kraken_spot.private import PrivateLink
from trade_runtime.venues.kraken_spot.rest import Rest
from trade_runtime.venues.kraken_spot.settings import KrakenSpotSettings, v2
from trade_runtime.venues.wire.budget import Budget
from trade_runtime.venues.wire.http import open_http, tls_for
from trade_runtime.venues.wire.link import open_link
from trade_runtime.venues.wire.sending import MAX_WAIT_SECS, Numbers, Sender

SETTLE_MARGIN_SECS: Final = 1.0
"""For Kraken to list an order that it took at the last moment."""

MAX_PAGES: Final = 400
"""Pages of 50 fills that are asked for at once."""

MAX_IDS: Final = 20
"""Orders that are asked about in one request."""

CAPABILITIES: Final = Capabilities(
    tifs=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTD}),
    reduce_only=False,  # of margin positions alone, which a spot account has none of
    oco=False,
)

_UNKNOWN_ORDER: Final = ("EOrder:Unknown order", "EOrder:Invalid order", "EQuery:Unknown order")


class KrakenSpot(KrakenMarket):
    """Kraken Spot, open. Made by `open_venue`."""

    def __init__(
        self,
        name: VenueName,
        settings: KrakenSpotSettings,
        env: Environment,
        rest: Rest,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(name, settings, env, rest, tls)
        self._sink: VenueSink | None = None
        self._key_checked = False
        self._asking = trio.Lock()
        self._opened_at = trio.current_time()
        self._looked: tuple[float, frozenset[ClientOrderId]] = (-math.inf, frozenset())
        self._executions = Executions(
            lambda symbol: InstrumentId(f"{symbol}.{name}"), trio.current_time
        )
        budget = Budget()
        self._desk = KrakenDesk(
            settings.tier,
            settings.trigger_reference,
            rest,
            budget,
            self._executions,
            self.open_orders,
            env,
        )
        self.sender = Sender(self._desk, budget, env, self._tell)

    # --- order entry

    @property
    def capabilities(self) -> Capabilities:
        """What Kraken holds by itself."""
        return CAPABILITIES

    @property
    def settle_secs(self) -> float:
        """For how long after a submit "no such order" proves nothing."""
        return MAX_WAIT_SECS + DEADLINE_SECS + SETTLE_MARGIN_SECS

    def submit(self, order: OrderSpec) -> None:
        """Have a new order sent.

        Raises:
            VenueDown: the private connection is down, or too much waits already.
        """
        self._check_up()
        self.sender.submit(order)

    def cancel(self, order: Placed) -> None:
        """Have a cancel sent: over REST where the private connection is down.

        Raises:
            VenueDown: too much waits already.
        """
        self.sender.cancel(order)

    def amend(
        self,
        order: Placed,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Have new numbers sent.

        Raises:
            VenueDown: as for `submit`.
        """
        self._check_up()
        self.sender.amend(order, Numbers(quantity, price, trigger_price), urgent=order.type.waits)

    def cancel_all(self, order: Placed) -> None:
        """Have all cancelled that rests in the instrument of `order`.

        Raises:
            VenueDown: as for `submit`.
        """
        self._check_up()
        self.sender.cancel_all(order)

    def _check_up(self) -> None:
        if self._desk.link is None:
            raise VenueDown("Kraken: the private connection is down")

    # --- what the account holds

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return every order that is open on the account, whoever placed it.

        Where REST has little room left, it is what the private connection told.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        if not self._rest.has_room(1):
            told = self._executions.open_reports()
            if told is not None:
                return told
        return await self._look()

    async def _look(self) -> Sequence[OrderReport]:
        listing, began = await self.listing(), trio.current_time()
        body = await self._rest.post("OpenOrders", {})
        found = self._learned(account.decode_open(body, listing, self._name))
        self._looked = began, frozenset(report.client_order_id for report in found)
        return found

    async def order(self, order: Placed) -> OrderReport | None:
        """Return Kraken's view of an order, or None where it says that there is none.

        One that has ended stays so, and is not asked for again. One whose id at Kraken is known is
        asked for by that; another is looked for among the open ones before the closed ones, for an
        order goes from there to here.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        name = order.client_order_id
        if (told := self._told(name)) is not None:
            return told
        async with self._asking:  # what one question brings answers those that wait, too
            if (told := self._told(name)) is not None:
                return told
            return await self._ask_for(name)

    def _told(self, name: ClientOrderId) -> OrderReport | None:
        """Return an order as it was told: one that has ended, or any where REST has no room."""
        told = self._executions.report(name)
        if told is None or (told.status is ReportStatus.OPEN and self._rest.has_room(2)):
            return None
        return told

    async def _ask_for(self, name: ClientOrderId) -> OrderReport | None:
        order_id = name if is_venue_id(name) else self._executions.id_of(name)
        if order_id is not None:
            lost = (one for one in self._executions.lost() if one != order_id)
            found = await self._queried([order_id, *islice(lost, MAX_IDS - 1)])
            report = next((one for one in found if one.venue_order_id == str(order_id)), None)
            if report is not None or is_venue_id(name):
                return report
        params = {"cl_ord_id": str(name)}
        asked: list[tuple[str, dict[str, str]]] = [("ClosedOrders", params)]
        # From then on it cannot come to rest any more: where it did not, that stays so, and who
        # asks again, having lost patience, does not begin anew.
        settled_at = self._desk.sent_at.get(name, self._opened_at) + self.settle_secs
        looked_at, names = self._looked
        if looked_at < settled_at or name in names:
            asked.insert(0, ("OpenOrders", {}))  # of all: that answers for other orders, too
        if self._executions.in_step and self._rest.has_room(2):
            # It was not told to be open, so it is likely among the last 50 that ended: they answer
            # whoever else asks, too.
            asked.insert(0, ("ClosedOrders", {}))
        for method, given in asked:
            try:
                if method == "OpenOrders":
                    found = await self._look()
                else:
                    body = await self._rest.post(method, given)
                    decoded = account.decode_closed(body, await self.listing(), self._name)
                    found = self._learned(decoded)
            except VenueRefused as refused:
                if str(refused).startswith(_UNKNOWN_ORDER):
                    continue
                raise
            for report in found:
                if report.client_order_id == name:
                    return report
        return None

    async def _queried(self, order_ids: Sequence[str]) -> Sequence[OrderReport]:
        try:
            body = await self._rest.post("QueryOrders", {"txid": ",".join(order_ids)})
        except VenueRefused as refused:
            if not str(refused).startswith(_UNKNOWN_ORDER):
                raise
            return [] if len(order_ids) == 1 else await self._queried(order_ids[:1])
        return self._learned(account.decode_queried(body, await self.listing(), self._name))

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return the account's fills from `since_ns` on, oldest first.

        Where the private connection told of all of them, in sequence, these are they: over REST
        they cost twice what another question does. There Kraken gives 50 at a time,
        newest first, without the client order ids of their orders: those that are not known are
        asked for, 20 at a time.

        Raises:
            VenueError: no answer, one that made no sense, or more than `MAX_PAGES` pages.
        """
        if (told := self._executions.fills(since_ns)) is not None:
            return told
        listing = await self.listing()
        start = max(since_ns // 1000 - 1, 0)  # it is told what is after it
        params = {"start": f"{start // 10**6}.{start % 10**6:06d}", "consolidate_taker": "false"}
        found: dict[str, Any] = {}
        offset = 0
        for _ in range(MAX_PAGES):
            body = await self._rest.post("TradesHistory", {**params, "ofs": offset}, cost=2)
            page = account.decode_trades(body)
            found.update(page.trades)
            offset += len(page.trades)
            if not page.trades or offset >= page.count:
                break
        else:
            raise VenueError(f"Kraken has more than {MAX_PAGES * 50} fills since then")
        await self._learn_names({trade.ordertxid for trade in found.values()})
        fills = account.fills_of(found, self._executions.name_of, listing, self._name)
        return [fill for fill in fills if fill.ts_ns >= since_ns]

    async def _learn_names(self, order_ids: set[str]) -> None:
        unknown = sorted(i for i in order_ids if self._executions.name_of(i) is None)
        listing = await self.listing()
        for start in range(0, len(unknown), MAX_IDS):
            ids = ",".join(unknown[start : start + MAX_IDS])
            body = await self._rest.post("QueryOrders", {"txid": ids})
            self._learned(account.decode_queried(body, listing, self._name))

    def _learned(self, reports: Sequence[OrderReport]) -> Sequence[OrderReport]:
        for report in reports:
            self._executions.learn_report(report)
        return reports

    async def balances(self) -> Mapping[Currency, Decimal]:
        """Return what the account holds, free and locked.

        Where REST has little room left, it is what the private connection told of the main wallet.

        Raises:
            VenueError: no answer, or one that made no sense.
        """
        link = self._desk.link
        if link is not None and link.purse.held is not None and not self._rest.has_room(1):
            return dict(link.purse.held)
        listing = await self.listing()
        return account.decode_balances(await self._rest.post("BalanceEx", {}), listing)

    # --- the private connection

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        """Hold the private connection, with a token of its own.

        Raises:
            VenueError: it ended, or could not be opened.
        """
        self._sink = sink
        await self.listing()
        await self._check_key()
        token = account.decode_token(await self._rest.post("GetWebSocketsToken", {}))
        async with open_link(v2(self._settings.ws_private_url), self._tls) as link:
            private = PrivateLink(link, token, self._executions, self._tell, self._env)

            def up() -> None:
                self._desk.link = private
                connected()

            try:
                await private.run(up)
            finally:
                self._desk.link = None

    def _tell(self, event: VenueEvent) -> None:
        if self._sink is not None:
            self._sink.on_event(event)

    async def _check_key(self) -> None:
        """Warn, once, of a key that may do more than trade."""
        if self._key_checked:
            return
        try:
            withdraws = account.may_withdraw(await self._rest.post("GetApiKeyInfo", {}))
        except VenueError as error:
            self._env.log.debug("Kraken does not say what the key may do", error=str(error))
        else:
            if withdraws:
                self._env.log.warning(
                    "The API key may withdraw funds; trading needs no such right: make another",
                    venue=self._name,
                )
        self._key_checked = True

    # --- the dead-man's switch

    @property
    def switch_secs(self) -> float:
        """After how many seconds of silence Kraken cancels all orders of the account; 0 for off."""
        return self._settings.dead_mans_switch_secs

    async def arm(self) -> None:
        """Start the countdown anew; it takes every order of the account, untriggered stops too.

        Raises:
            VenueError: Kraken did not confirm it.
        """
        await self._count_down(self._settings.dead_mans_switch_secs)

    async def disarm(self) -> None:
        """Stop the countdown.

        Raises:
            VenueError: Kraken did not confirm it.
        """
        await self._count_down(0)

    async def serve(self) -> None:
        """Send what is asked for, until cancelled. What waits then never leaves."""
        await self.sender.run()

    async def _count_down(self, secs: int) -> None:
        if self._desk.link is not None:
            await self._desk.link.ask("cancel_all_orders_after", {"timeout": secs})
        else:
            await self._rest.post("CancelAllOrdersAfter", {"timeout": secs})


@asynccontextmanager
async def open_venue(name: VenueName, settings: Any, env: Environment) -> AsyncIterator[KrakenSpot]:
    """Open the plug-in; this needs no network. Leaving ends the sender and closes the pool.

    A request that waits then never leaves; one under way may arrive.
    """
    tls = tls_for(settings.ws_url, settings.ws_private_url, settings.rest_url)
    async with open_http(settings.rest_url, tls) as http:
        rest = Rest(http, env, settings.key, settings.tier)
        yield KrakenSpot(name, settings, env, rest, tls)
