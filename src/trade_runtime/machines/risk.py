"""The risk gate: every order passes it, by a plain call, before its intent is recorded.

Limits count what is in flight and unknown at its worst (`exposure`). Protective orders pass the
halt, and the position limit too as long as they are no larger than the position that they close:
protection comes first. While a stop is being replaced, the old and the new one may both rest, and
that overlap is the one thing that no limit holds back. Reduce-only orders pass every limit that
would keep a position open; the price collar and the position limit hold for them as well.
"""

from __future__ import annotations

from decimal import Decimal

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.exposure import Exposure
from trade_runtime.machines.limits import Markets, RiskLimits
from trade_runtime.machines.order import Order
from trade_runtime.machines.pace import Pace
from trade_runtime.model.ids import Currency, InstrumentId, StrategyName
from trade_runtime.model.instrument import Instrument, OffGrid
from trade_runtime.model.orders import ZERO, OrderSpec, OrderType, Side
from trade_runtime.model.records import TradingMode


class RiskGate:
    """Says no. What it looks at it never changes; what passed it is told by `passed`.

    Args:
        limits: what holds.
        exposure: of all orders and positions.
        markets: asked only by the limits that need more than the order's own market price.
    """

    def __init__(
        self, limits: RiskLimits, exposure: Exposure, markets: Markets | None = None
    ) -> None:
        self._limits = limits
        self._exposure = exposure
        self._markets = markets
        self._pace = Pace(
            limits.max_orders_per_sec, limits.max_orders_per_min, limits.duplicate_secs
        )
        collar = (limits.price_collar_pct or ZERO) / 100
        self._highest_share, self._lowest_share = 1 + collar, 1 - collar
        self.halted: str | None = None
        """Why the runtime lets nothing but cancels and protective orders leave until it ends; None
        while it does not stop."""
        self.mode = TradingMode.ACTIVE
        """What the latch of the journal lets leave, over restarts."""
        self.mode_reason = ""
        """Why it is not `ACTIVE`."""
        self.stopped: dict[StrategyName, str] = {}
        """Strategies that may place nothing more, and why."""
        self.closing: dict[tuple[StrategyName, InstrumentId], str] = {}
        """Positions that the runtime itself is closing, and why: reduce-only orders that close one
        of them pass the latch and the end of its strategy, and nothing else may be placed there."""

    @property
    def restricted(self) -> bool:
        """Whether a stop or the latch keeps orders from leaving."""
        return self.halted is not None or self.mode is not TradingMode.ACTIVE

    def check(
        self,
        order: OrderSpec,
        instrument: Instrument,
        market_price: Decimal | None,
        *,
        amends: Order | None = None,
    ) -> None:
        """Let an order pass, or raise.

        Args:
            order: what is asked for; `created_ns` is now.
            instrument: the rules of the instrument.
            market_price: what a market order would pay or get about now; None where no quote is
                known or it is stale.
            amends: the live order that is to be changed to this; it does not count beside it.

        Raises:
            OrderRefused: with the reason and the limit.
        """
        self._check_open(order)
        self._check_grid(order, instrument)
        self._check_limits(order, instrument, market_price, amends)

    def passed(self, order: OrderSpec) -> None:
        """Count an order that passed and was recorded: for the pace, and to know it again."""
        if self._pace.limited:
            self._pace.remember(order)

    def cancelled(self, now_ns: int) -> None:
        """Count a cancel: none is held back, and each takes its part of the pace."""
        self._pace.count(now_ns)

    def has_room(self, order: OrderSpec) -> bool:
        """Whether every limit on positions would hold if this order and all live ones filled."""
        largest = self._limits.max_position.get(order.instrument)
        return largest is None or self._exposure.worst_with(order) <= largest

    def _check_open(self, order: OrderSpec) -> None:
        if self.halted is not None:
            if not order.protective:
                raise OrderRefused("halted", f"trading is halted: {self.halted}")
            return
        closing = self.closing.get((order.strategy, order.instrument)) if self.closing else None
        if closing is not None:
            if order.protective or not (order.reduce_only and self._exposure.reduces(order)):
                raise OrderRefused("reduce_only", f"the position is being closed: {closing}")
            return
        mode = self.mode
        if order.protective:
            if mode is not TradingMode.ACTIVE and not self._exposure.closes(order):
                raise OrderRefused(
                    _WORDS[mode], "a protective stop may not go beyond the open position now"
                )
            return
        if (why := self.stopped.get(order.strategy)) is not None:
            raise OrderRefused("halted", f"strategy {order.strategy} is stopped: {why}")
        if mode is TradingMode.HALTED:
            raise OrderRefused("halted", f"trading is halted: {self.mode_reason}")
        if mode is TradingMode.REDUCE_ONLY and not self._exposure.reduces(order):
            raise OrderRefused(
                "reduce_only", f"an order may only make a position smaller: {self.mode_reason}"
            )

    @staticmethod
    def _check_grid(order: OrderSpec, instrument: Instrument) -> None:
        try:
            instrument.check_quantity(order.quantity)
        except OffGrid as error:
            raise OrderRefused("lot", str(error)) from None
        try:
            if order.price is not None:
                instrument.check_price(order.price)
            if order.trigger_price is not None:
                instrument.check_price(order.trigger_price)
        except OffGrid as error:
            raise OrderRefused("tick", str(error)) from None

    def _check_limits(
        self,
        order: OrderSpec,
        instrument: Instrument,
        market_price: Decimal | None,
        amends: Order | None,
    ) -> None:
        limits = self._limits
        price = order.price or order.trigger_price or market_price
        if price is None:
            raise OrderRefused("stale", f"no fresh quote of {order.instrument} to price it by")
        notional = price * order.quantity * instrument.multiplier
        if notional < instrument.min_notional:
            raise OrderRefused(
                "risk",
                f"notional {notional} of {order.instrument} is below the venue's minimum"
                f" {instrument.min_notional}",
            )
        if not order.protective:
            if limits.price_collar_pct is not None:
                self._check_collar(order, market_price)
            if not order.reduce_only:
                self._check_entry(order, instrument, notional, amends)
            elif amends is None and (order.strategy, order.instrument) not in self.closing:
                self._check_repeated(order)
        elif self._exposure.closes(order):
            return
        largest = limits.max_position.get(order.instrument)
        if largest is not None:
            worst = self._exposure.worst_with(order)
            if amends is not None:
                worst -= amends.outstanding
            if worst > largest:
                raise OrderRefused(
                    "risk",
                    f"the {order.side} side of {order.instrument} could reach {worst}: above"
                    f" max_position {largest} (open, in flight and unknown orders count in full)",
                )

    def _check_entry(
        self, order: OrderSpec, instrument: Instrument, notional: Decimal, amends: Order | None
    ) -> None:
        limits = self._limits
        most = limits.max_order_notional
        if most is not None and notional > most:
            raise OrderRefused("risk", f"notional {notional} is above max_order_notional {most}")
        most = limits.max_order_quantity.get(order.instrument)
        if most is not None and order.quantity > most:
            raise OrderRefused(
                "risk",
                f"quantity {order.quantity} of {order.instrument} is above max_order_quantity"
                f" {most}",
            )
        if amends is None:
            self._check_another(order)
        if limits.max_quote_age_secs is not None:
            self._check_age(order.instrument, limits.max_quote_age_secs)
        most = limits.max_exposure.get(instrument.quote)
        if most is not None:
            exposure = self.exposure(instrument.quote, order)
            if exposure > most:
                raise OrderRefused(
                    "risk",
                    f"exposure in {instrument.quote} could reach {exposure:f}: above max_exposure"
                    f" {most} (open, in flight and unknown orders count in full)",
                )

    def _check_another(self, order: OrderSpec) -> None:
        """Refuse one order more than may be live, or come so soon."""
        limits = self._limits
        if limits.max_open_orders is not None:
            live = self._exposure.live_orders
            if live >= limits.max_open_orders:
                raise OrderRefused(
                    "risk", f"{live} orders are live: max_open_orders {limits.max_open_orders}"
                )
        if self._pace.limited:
            if (fast := self._pace.too_fast(order.created_ns)) is not None:
                raise OrderRefused("risk", fast)
            self._check_repeated(order)

    def _check_repeated(self, order: OrderSpec) -> None:
        if (repeated := self._pace.repeated(order)) is not None:
            raise OrderRefused("risk", repeated)

    def _check_age(self, instrument: InstrumentId, most: float) -> None:
        age_secs = None if self._markets is None else self._markets.quote_age_secs(instrument)
        if age_secs is None:
            raise OrderRefused("stale", f"no quote of {instrument} has come yet")
        if age_secs > most:
            raise OrderRefused(
                "stale",
                f"the last quote of {instrument} is {age_secs:.3f} s old: max_quote_age_secs"
                f" {most:g}",
            )

    def _check_collar(self, order: OrderSpec, market_price: Decimal | None) -> None:
        if market_price is None:
            raise OrderRefused("stale", f"no fresh quote of {order.instrument} to hold it against")
        if order.type is OrderType.MARKET:
            self._check_spread(order, market_price)
            return
        buys = order.side is Side.BUY
        bound = market_price * (self._highest_share if buys else self._lowest_share)
        for price in (order.price, order.trigger_price):
            if price is not None and (price > bound if buys else price < bound):
                raise OrderRefused(
                    "risk",
                    f"a {order.side} at {price} is beyond {bound:f}: price_collar_pct"
                    f" {self._limits.price_collar_pct} off the market at {market_price}",
                )

    def _check_spread(self, order: OrderSpec, market_price: Decimal) -> None:
        """Refuse a market order whose market is so thin that nobody knows what it would cost."""
        other = None
        if self._markets is not None:
            other = self._markets.market_price(order.instrument, order.side.opposite)
        if other is None:
            raise OrderRefused("stale", f"no fresh quote of {order.instrument} to hold it against")
        bid, ask = sorted((market_price, other))
        if ask > bid * self._highest_share:
            raise OrderRefused(
                "risk",
                f"the spread of {order.instrument}, {bid} to {ask}, is wider than"
                f" price_collar_pct {self._limits.price_collar_pct}",
            )

    def exposure(self, currency: Currency, order: OrderSpec | None = None) -> Decimal:
        """Return what positions in a quote currency could come to, at the last prices.

        Args:
            currency: of the instruments that are added up.
            order: one that is asked for, counted as if it were live.

        Raises:
            OrderRefused: something that counts has had no quote yet.
        """
        assert self._markets is not None, "a limit on exposure needs prices"
        total = ZERO
        for instrument, rules in self._markets.instruments.items():
            if rules.quote != currency:
                continue
            worst = max(
                self._exposure.worst(instrument, Side.BUY),
                self._exposure.worst(instrument, Side.SELL),
            )
            if order is not None and order.instrument == instrument:
                worst = max(worst, self._exposure.worst_with(order))
            if worst:
                price = self._markets.last_price(instrument)
                if price is None:
                    raise OrderRefused("stale", f"no quote of {instrument} to value it by")
                total += worst * price * rules.multiplier
        return total


_WORDS = {TradingMode.HALTED: "halted", TradingMode.REDUCE_ONLY: "reduce_only"}
