"""The order calls of a strategy: plain calls that take an order, or refuse it, at once."""

from __future__ import annotations

from typing import Any

import attrs

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import Order
from trade_runtime.machines.warmup import WarmUp
from trade_runtime.managers.orders import Number, OrderManager
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.orders import OrderType, Side, TimeInForce


@attrs.frozen
class Bracket:
    """An entry and its exits; `target` is None where none was asked for."""

    entry: Order
    stop: Order
    target: Order | None


class OrderCalls:
    """Places, changes and cancels the orders of one strategy.

    Args:
        strategy: whose.
        instruments: what it may trade.
        orders: takes them.
        warmup: until when it may not trade.
    """

    def __init__(
        self,
        strategy: StrategyName,
        instruments: tuple[InstrumentId, ...],
        orders: OrderManager,
        warmup: WarmUp,
    ) -> None:
        self.strategy = strategy
        self._instruments = instruments
        self._orders = orders
        self._warmup = warmup

    def limit(  # noqa: PLR0913 - an order has so many sides
        self,
        instrument: str,
        side: Side | str,
        quantity: Number,
        price: Number,
        *,
        tif: TimeInForce | str = TimeInForce.GTC,
        expire_ns: int = 0,
        post_only: bool = False,
        reduce_only: bool = False,
        after: Order | None = None,
        oco: str = "",
    ) -> Order:
        """Buy or sell at `price` or better.

        Args:
            instrument: one of the strategy's own.
            side: `buy` or `sell`.
            quantity: in the base currency; a multiple of the lot.
            price: in the quote currency; on the tick.
            tif: `gtc` rests until cancelled, `ioc` takes what is there and cancels the rest, `fok`
                takes all or nothing, `gtd` rests until `expire_ns`.
            expire_ns: when a `gtd` order ends, in nanoseconds since the Unix epoch.
            post_only: be refused by the venue rather than take liquidity.
            reduce_only: refuse it unless it only makes the position smaller, as the position is
                now. One that rests while the position shrinks by other orders may go beyond it: a
                spot account, such as the paper venue's, knows no positions and cannot hold it.
            after: another order: this one is held until that fills, and released for as much; where
                that ends without a fill, this one is dropped.
            oco: a name: fills of one order take the place of the strategy's other live orders of
                that name.

        Raises:
            OrderRefused: with the reason; nothing was recorded or sent.
        """
        return self._place(
            instrument,
            side,
            OrderType.LIMIT,
            quantity,
            price=price,
            tif=tif,
            expire_ns=expire_ns,
            post_only=post_only,
            reduce_only=reduce_only,
            after=after,
            oco=oco,
        )

    def market(
        self,
        instrument: str,
        side: Side | str,
        quantity: Number,
        *,
        reduce_only: bool = False,
        after: Order | None = None,
    ) -> Order:
        """Buy or sell at what the market gives. Arguments and errors as for `limit`."""
        return self._place(
            instrument, side, OrderType.MARKET, quantity, reduce_only=reduce_only, after=after
        )

    def stop(  # noqa: PLR0913 - as above
        self,
        instrument: str,
        side: Side | str,
        quantity: Number,
        trigger_price: Number,
        *,
        price: Number | None = None,
        tif: TimeInForce | str = TimeInForce.GTC,
        expire_ns: int = 0,
        reduce_only: bool = False,
        after: Order | None = None,
        oco: str = "",
    ) -> Order:
        """Buy once the market has risen to `trigger_price`, or sell once it has fallen to it.

        It is an entry, or an exit that is no stop-loss: a stop of the runtime cancels it. For what
        protects a position there is `stop_loss`.

        Args:
            instrument: one of the strategy's own.
            side: `buy` or `sell`.
            quantity: in the base currency; a multiple of the lot.
            trigger_price: in the quote currency; on the tick.
            price: with one it then is a limit order, else a market order.
            tif: as for `limit`.
            expire_ns: as for `limit`.
            reduce_only: as for `limit`.
            after: as for `limit`.
            oco: as for `limit`.

        Raises:
            OrderRefused: with the reason; nothing was recorded or sent.
        """
        return self._place(
            instrument,
            side,
            OrderType.STOP_MARKET if price is None else OrderType.STOP_LIMIT,
            quantity,
            price=price,
            trigger_price=trigger_price,
            tif=tif,
            expire_ns=expire_ns,
            reduce_only=reduce_only,
            after=after,
            oco=oco,
        )

    def take_profit(
        self,
        instrument: str,
        side: Side | str,
        quantity: Number,
        trigger_price: Number,
        *,
        price: Number | None = None,
        reduce_only: bool = True,
        after: Order | None = None,
        oco: str = "",
    ) -> Order:
        """Sell once the market has risen to `trigger_price`, or buy once it has fallen to it.

        Arguments and errors as for `stop`.
        """
        return self._place(
            instrument,
            side,
            OrderType.TAKE_PROFIT if price is None else OrderType.TAKE_PROFIT_LIMIT,
            quantity,
            price=price,
            trigger_price=trigger_price,
            reduce_only=reduce_only,
            after=after,
            oco=oco,
        )

    def stop_loss(
        self,
        instrument: str,
        side: Side | str,
        quantity: Number,
        trigger_price: Number | None = None,
        *,
        trail: Number | None = None,
        after: Order | None = None,
        oco: str = "",
    ) -> Order:
        """Place a protective stop at the venue: a market order once `trigger_price` is reached.

        It rests at the venue, so it works when this process is dead. A stop of the runtime never
        cancels it while its position is open; where it goes missing it is placed again. Where the
        venue cannot hold its type the runtime waits for the trigger in its place, says so, and does
        not count it as protection.

        Args:
            instrument: one of the strategy's own.
            side: `sell` protects a long position.
            quantity: in the base currency; a multiple of the lot.
            trigger_price: in the quote currency; on the tick. With `trail` it may be left out:
                then it begins that far from the market.
            trail: the trigger follows the best price of the market at this distance, in the quote
                currency, and never goes back.
            after: as for `limit`.
            oco: as for `limit`.

        Raises:
            OrderRefused: with the reason; nothing was recorded or sent.
        """
        return self._place(
            instrument,
            side,
            OrderType.STOP_MARKET if trail is None else OrderType.TRAILING_STOP,
            quantity,
            trigger_price=trigger_price,
            trail=trail,
            reduce_only=True,
            protective=True,
            after=after,
            oco=oco,
        )

    def bracket(  # noqa: PLR0913 - three orders in one
        self,
        instrument: str,
        side: Side | str,
        quantity: Number,
        *,
        stop: Number,
        target: Number | None = None,
        price: Number | None = None,
        trail: Number | None = None,
        tif: TimeInForce | str = TimeInForce.GTC,
        expire_ns: int = 0,
        post_only: bool = False,
    ) -> Bracket:
        """Enter, with a stop-loss and a take-profit that follow as far as the entry fills.

        The stop-loss rests at the venue as soon as a part of the entry has filled; the target rests
        beside it, and what fills of the one takes the place of the other.

        Args:
            instrument: one of the strategy's own.
            side: of the entry.
            quantity: in the base currency; a multiple of the lot.
            stop: the trigger of the stop-loss.
            target: the limit price of the take-profit; None for none.
            price: the limit price of the entry; None for a market order.
            trail: the stop-loss follows the market at this distance.
            tif: of the entry.
            expire_ns: of the entry.
            post_only: of the entry.

        Raises:
            OrderRefused: with the reason. Nothing was recorded or sent, or what was is cancelled.
        """
        if price is None:
            entry = self.market(instrument, side, quantity)
        else:
            entry = self.limit(
                instrument,
                side,
                quantity,
                price,
                tif=tif,
                expire_ns=expire_ns,
                post_only=post_only,
            )
        out = entry.side.opposite
        group = entry.id if target is not None else ""
        try:
            loss = self.stop_loss(
                instrument, out, quantity, stop, trail=trail, after=entry, oco=group
            )
            if target is None:
                return Bracket(entry, loss, None)
            gain = self.limit(
                instrument, out, quantity, target, reduce_only=True, after=entry, oco=group
            )
        except OrderRefused:
            self.cancel(entry)  # it has not left: its exits go with it
            raise
        return Bracket(entry, loss, gain)

    def amend(
        self,
        order: Order,
        *,
        quantity: Number | None = None,
        price: Number | None = None,
        trigger_price: Number | None = None,
    ) -> None:
        """Change a live order at the venue; what is not named stays as it is.

        `order` shows the new numbers once the venue has taken them. Risk counts the larger of the
        two quantities meanwhile.

        Args:
            order: one of the strategy's own.
            quantity: the whole new quantity, filled parts included.
            price: the new limit price.
            trigger_price: the new trigger.

        Raises:
            OrderRefused: the order ended, another change of it is under way, the venue cannot
                amend, or a limit is against it; nothing was recorded or sent.
        """
        self._orders.amend(order, quantity=quantity, price=price, trigger_price=trigger_price)

    def _place(
        self,
        instrument: str,
        side: Side | str,
        order_type: OrderType,
        quantity: Number,
        *,
        after: Order | None = None,
        oco: str = "",
        **how: Any,
    ) -> Order:
        own = self._own(instrument)
        if self._warmup.active and not (how.get("protective") or how.get("reduce_only")):
            raise OrderRefused("warmup", self._warmup.describe())
        group = f"{self.strategy}/{oco}" if oco else ""
        return self._orders.place(
            self.strategy, own, side, order_type, quantity, parent=after, oco=group, **how
        )

    def _own(self, instrument: str) -> InstrumentId:
        own = InstrumentId(instrument)
        if own not in self._instruments:
            known = ", ".join(self._instruments)
            raise OrderRefused(
                "instrument", f"{instrument!r} is not one of this strategy's: {known}"
            )
        return own

    def cancel(self, order: Order) -> None:
        """Ask for a cancel. It is repeated until the venue proves the order gone."""
        self._orders.cancel(order, "asked for by the strategy")

    def cancel_all(self, instrument: str | None = None) -> None:
        """Cancel the strategy's entry orders; its protective stops stay."""
        for order in self.open_orders(instrument):
            if not order.spec.protective:
                self.cancel(order)

    def open_orders(self, instrument: str | None = None) -> list[Order]:
        """Return the strategy's live orders, protective ones too, those of an earlier process
        too.
        """
        return [
            order
            for order in self._orders.trading.live_of(self.strategy)
            if instrument in (None, order.instrument)
        ]
