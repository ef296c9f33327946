"""OrderManager, the fourth layer: every order, from its intent to its settled end.

The way out: a strategy's call passes the risk gate and becomes an intent in the journal, by plain
calls; when the intent is durable it is sent, once. The way back is in `outcomes`.

A backtest makes the same manager on a journal in memory, a venue and a clock of its own. So what
this module asks for is small, and its time is what it is given.

It closes after the strategies and before the prices: stages `cancel` and `protect`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import structlog
import trio
from msgspec.structs import replace

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.alarms import Alarms
from trade_runtime.machines.ledger import Position
from trade_runtime.machines.limits import RiskLimits
from trade_runtime.machines.order import Order, OrderState
from trade_runtime.machines.risk import RiskGate
from trade_runtime.managers.dispatch import Dispatch
from trade_runtime.managers.outcomes import Journal
from trade_runtime.managers.prices import Prices
from trade_runtime.managers.venues import Venues
from trade_runtime.model.events import OrderAmended
from trade_runtime.model.ids import InstrumentId, StrategyName, venue_of
from trade_runtime.model.instrument import Instrument, exact
from trade_runtime.model.orders import OrderSpec, OrderType, Side, TimeInForce
from trade_runtime.model.records import (
    AmendRequested,
    OrderClaimed,
    OrderReleased,
    StrategyStopped,
    TradingHalted,
)
from trade_runtime.protocols import Clock
from trade_runtime.settings import OrderSettings, RiskSettings

log = structlog.get_logger("orders")

Number = Decimal | float | int | str
"""What an order call takes for a price or a quantity. A float is taken by its shortest text."""


class OrderManager(Dispatch):
    """The orders of all strategies. Made by `open_orders`, or by a backtest.

    Args:
        settings: when an outcome is overdue.
        risk: the limits of the gate.
        venues: where orders go.
        prices: the markets.
        state: where all is recorded.
        clock: the time of day.
        time: seconds that only go forward, for what is overdue; None where no outcome ever is, as
            in a backtest, whose venue always answers.
    """

    def __init__(
        self,
        settings: OrderSettings,
        risk: RiskSettings,
        venues: Venues,
        prices: Prices,
        state: Journal,
        clock: Clock,
        time: Callable[[], float] | None = trio.current_time,
    ) -> None:
        gate = RiskGate(RiskLimits.of(risk), state.trading.exposure, prices)
        super().__init__(settings, venues, gate, state, clock, time)
        self.prices = prices
        self.on_held: Callable[[Order], None] = lambda order: None
        """Told of an order whose trigger or date the runtime may have to watch. Set by `held`."""
        self.alarms = Alarms()
        """What is due by time alone."""
        self.refused = 0
        """Orders that were not taken."""

    # --- the way out

    def place(  # noqa: PLR0913 - an order has so many sides
        self,
        strategy: StrategyName,
        instrument: InstrumentId,
        side: Side | str,
        order_type: OrderType,
        quantity: Number,
        *,
        price: Number | None = None,
        trigger_price: Number | None = None,
        tif: TimeInForce | str = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
        protective: bool = False,
        expire_ns: int = 0,
        trail: Number | None = None,
        parent: Order | None = None,
        oco: str = "",
    ) -> Order:
        """Take an order, or refuse it. It is sent as soon as its intent is durable.

        One that has a parent is held until that fills; one of a type that the venue cannot hold is
        held until the market reaches its trigger.

        Raises:
            OrderRefused: with the reason; nothing was recorded or sent.
        """
        try:
            rules = self.instrument(instrument)
            try:
                spec = OrderSpec(
                    self.trading.next_order_id(),
                    strategy,
                    instrument,
                    side if type(side) is Side else Side(side),
                    order_type,
                    exact(quantity),
                    None if price is None else exact(price),
                    None if trigger_price is None else exact(trigger_price),
                    tif if type(tif) is TimeInForce else TimeInForce(tif),
                    post_only,
                    reduce_only,
                    protective,
                    self.clock.now_ns(),
                    expire_ns,
                    None if trail is None else exact(trail),
                    None if parent is None else parent.id,
                    oco,
                )
            except ValueError as error:
                raise OrderRefused("risk", str(error)) from None
            if self._state.failed is not None:
                raise OrderRefused("halted", "the store failed: an intent could not be recorded")
            spec = self._fit(spec, rules, parent)
            market = self.prices.market_price(instrument, spec.side)
            if parent is None:
                self._check_now(spec, market)
            self.gate.check(spec, rules, market)
        except OrderRefused:
            self.refused += 1
            raise
        order = self._state.record(spec, urgent=True)
        assert order is not None
        self.gate.passed(spec)
        if order.state is OrderState.PENDING:
            self.unsent.append((self._state.seq, order))
        if spec.emulated or spec.tif is TimeInForce.GTD:
            self.on_held(order)
        return order

    def _fit(self, spec: OrderSpec, rules: Instrument, parent: Order | None) -> OrderSpec:
        """Return the order as the venue, or the runtime in its place, can hold it.

        Raises:
            OrderRefused: neither can, or it could never be sent.
        """
        name = venue_of(spec.instrument)
        venue = self.venues.trading.get(name)
        if venue is None:
            raise OrderRefused("venue", f"{name} brings market data alone")
        if not self.venues.connected[name]:
            raise OrderRefused("venue", f"no connection to {name}")
        if parent is not None and not parent.is_live:
            raise OrderRefused(
                "risk", f"order {parent.id} is {parent.state}: nothing can follow it"
            )
        if (spec.tif is TimeInForce.GTD) is not (spec.expire_ns > spec.created_ns):
            raise OrderRefused("risk", "an order of gtd, and no other, has a date in the future")
        holds = venue.capabilities
        if spec.post_only and not holds.post_only:
            raise OrderRefused("venue", f"{name} cannot hold an order to post_only")
        if spec.tif not in holds.tifs and spec.tif is not TimeInForce.GTD:
            raise OrderRefused("venue", f"{name} does not know {spec.tif}")
        if spec.type is OrderType.TRAILING_STOP and spec.trigger_price is None:
            spec = replace(spec, trigger_price=self._first_trigger(spec, rules))
        if spec.type in holds.types:
            return spec
        if not spec.type.waits:
            raise OrderRefused("venue", f"{name} does not know {spec.type} orders")
        if parent is not None:
            raise OrderRefused(
                "venue", f"{name} does not hold {spec.type} orders: place it when {parent.id} fills"
            )
        log.warning(
            "The venue cannot hold this order: the runtime waits for its trigger,"
            " and only as long as it runs",
            order=spec.client_order_id,
            venue=name,
            type=str(spec.type),
        )
        return replace(spec, emulated=True)

    def _first_trigger(self, spec: OrderSpec, rules: Instrument) -> Decimal:
        """Return where a trailing stop stands before the market has moved."""
        market = self.prices.market_price(spec.instrument, spec.side)
        if market is None or spec.trail is None:
            raise OrderRefused("stale", f"no fresh quote of {spec.instrument} to trail")
        up = spec.side is Side.BUY
        return rules.round_price(market + spec.side.sign * spec.trail, up=up)

    def _check_now(self, spec: OrderSpec, market: Decimal | None) -> None:
        """Refuse an order that could not be sent at this moment; `market` is its price there."""
        if spec.protective:
            # It may overlap with a stop that is about to be replaced, and before the halt with an
            # entry that is not filled yet.
            if self.gate.halted is not None:
                self._check_closes(spec, "halted")
            return
        if market is None and not self.prices.is_fresh(spec.instrument):
            raise OrderRefused("stale", f"market data of {spec.instrument} is stale")
        if spec.reduce_only:
            self._check_closes(spec, "risk")

    def release(self, order: Order, quantity: Decimal, reason: str) -> None:
        """Let an order go that was held; where it may not go any more, it is dropped."""
        spec = replace(order.spec, quantity=quantity)
        try:
            market = self.prices.market_price(spec.instrument, spec.side)
            self._check_now(spec, market)
            self.gate.check(spec, self.instrument(spec.instrument), market)
        except OrderRefused as refused:
            log.warning("A held order may not leave", order=order.id, detail=str(refused))
            self.drop(order, str(refused))
            return
        self._state.record(OrderReleased(order.id, quantity, reason), urgent=True)
        self.unsent.append((self._state.seq, order))
        self._tell(order, "released", reason, self.clock.now_ns())

    def amend(
        self,
        order: Order,
        *,
        quantity: Number | None = None,
        price: Number | None = None,
        trigger_price: Number | None = None,
    ) -> None:
        """Change the numbers of a live order; what is not named stays.

        Raises:
            OrderRefused: with the reason; nothing was recorded or sent.
        """
        if not order.is_live or order.cancel_requested or order.amending is not None:
            raise OrderRefused("amend", f"order {order.id} has ended, or is being changed already")
        try:
            wanted = replace(
                order.spec,
                quantity=order.quantity if quantity is None else exact(quantity),
                price=order.price if price is None else exact(price),
                trigger_price=order.trigger_price
                if trigger_price is None
                else exact(trigger_price),
            )
        except ValueError as error:
            raise OrderRefused("amend", str(error)) from None
        here = order.state in (OrderState.HELD, OrderState.PENDING)
        venue = self.venues.trading_in(order.instrument)
        if not here and not venue.capabilities.amends(order.type):
            raise OrderRefused(
                "venue", f"{venue_of(order.instrument)} cannot amend: cancel it and place another"
            )
        if (wanted.price is None) is not (order.price is None) or (
            wanted.trigger_price is None
        ) is not (order.trigger_price is None):
            raise OrderRefused("amend", f"a {order.type} order has no such price")
        if wanted.quantity <= order.filled:
            raise OrderRefused("amend", f"{order.filled} of order {order.id} are filled: cancel it")
        rules = self.instrument(order.instrument)
        market = self.prices.market_price(order.instrument, order.side)
        self.gate.check(wanted, rules, market, amends=order)
        numbers = wanted.quantity, wanted.price, wanted.trigger_price
        if here:
            self._state.record(OrderAmended(order.id, *numbers, self.clock.now_ns()), urgent=True)
            return
        self._state.record(AmendRequested(order.id, *numbers), urgent=True)
        self.unsent.append((self._state.seq, order))

    def instrument(self, instrument: InstrumentId) -> Instrument:
        """Return the rules of an instrument.

        Raises:
            OrderRefused: the configuration names no strategy that trades it.
        """
        rules = self.prices.instruments.get(instrument)
        if rules is None:
            known = ", ".join(sorted(self.prices.instruments))
            raise OrderRefused(
                "instrument", f"{instrument!r} is not traded here; there are: {known}"
            )
        return rules

    def closable(self, position: Position) -> Decimal:
        """Return how much of a position an order can close: whole lots, signed.

        A fee in the base currency leaves a rest below the lot, which no order can be for.
        """
        quantity = position.quantity
        rules = self.prices.instruments.get(position.instrument)
        if rules is None or not quantity % rules.lot:
            return quantity
        whole = rules.round_quantity(abs(quantity))
        return whole if quantity > 0 else -whole

    def _check_closes(self, spec: OrderSpec, reason: str) -> None:
        """Refuse an order that could do more than close the strategy's position as it is now."""
        position = self.trading.ledger.position(spec.strategy, spec.instrument).quantity
        if position * spec.side.sign >= 0 or spec.quantity > abs(position):
            kind = "a protective stop" if spec.protective else "a reduce-only order"
            raise OrderRefused(
                reason, f"{kind} to {spec.side} {spec.quantity} would go beyond the open {position}"
            )

    def claim(self, event: OrderClaimed) -> None:
        """Take an order of others over: from here on it is one of `foreign`."""
        self._state.record(event, urgent=True)

    def halt(self, reason: str) -> None:
        """Close the gate: from here only cancels and protective orders leave."""
        if self.gate.halted is None:
            self.gate.halted = reason
            log.info("Trading is halted", reason=reason)
            self._state.record(TradingHalted(reason), urgent=True)

    def stop_strategy(self, strategy: StrategyName, outcome: str, detail: str) -> None:
        """Close the gate for one strategy and cancel its entries; its stops stay."""
        if strategy in self.gate.stopped:
            return
        self.gate.stopped[strategy] = detail or outcome
        self._state.record(StrategyStopped(strategy, outcome, detail))
        for order in self.trading.entries():
            if order.strategy == strategy:
                self.cancel(order, f"strategy {outcome}")
