"""The risk gate: every order passes it, by a plain call, before its intent is recorded.

Limits count what is in flight and unknown at its worst (`exposure`). Protective orders pass the
halt, and the position limit too as long as they are no larger than the position that they close:
protection comes first. While a stop is being replaced, the old and the new one may both rest, and
that overlap is the one thing that no limit holds back.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.exposure import Exposure
from trade_runtime.machines.order import Order
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.instrument import Instrument, OffGrid
from trade_runtime.model.orders import OrderSpec


@attrs.frozen
class RiskLimits:
    """What an order must keep to; None means no limit.

    Attributes:
        max_order_notional: price times quantity of one order, in the quote currency.
        max_position: by instrument, the largest long or short position that the fills of all live
            orders together could lead to, in the base currency.
        max_open_orders: live orders of the whole runtime.
    """

    max_order_notional: Decimal | None = None
    max_position: Mapping[InstrumentId, Decimal] = attrs.field(factory=dict)
    max_open_orders: int | None = None


class RiskGate:
    """Says no. It never changes what it looks at."""

    def __init__(self, limits: RiskLimits, exposure: Exposure) -> None:
        self._limits = limits
        self._exposure = exposure
        self.halted: str | None = None
        """Why nothing but cancels and protective orders may leave; None while trading."""
        self.stopped: dict[StrategyName, str] = {}
        """Strategies that may place nothing more, and why."""

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
            order: what is asked for.
            instrument: the rules of the instrument.
            market_price: what a market order would pay or get about now; None where no quote is
                known or it is stale.
            amends: the live order that is to be changed to this; it does not count beside it.

        Raises:
            OrderRefused: with the reason and the limit.
        """
        self._check_halted(order)
        self._check_grid(order, instrument)
        self._check_limits(order, instrument, market_price, amends)

    def has_room(self, order: OrderSpec) -> bool:
        """Whether every limit on positions would hold if this order and all live ones filled."""
        largest = self._limits.max_position.get(order.instrument)
        return largest is None or self._exposure.worst_with(order) <= largest

    def _check_halted(self, order: OrderSpec) -> None:
        if order.protective:
            return
        if self.halted is not None:
            raise OrderRefused("halted", f"trading is halted: {self.halted}")
        if (why := self.stopped.get(order.strategy)) is not None:
            raise OrderRefused("halted", f"strategy {order.strategy} is stopped: {why}")

    @staticmethod
    def _check_grid(order: OrderSpec, instrument: Instrument) -> None:
        try:
            instrument.quantity(order.quantity)
        except OffGrid as error:
            raise OrderRefused("lot", str(error)) from None
        for price in (order.price, order.trigger_price):
            if price is not None:
                try:
                    instrument.price(price)
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
        notional = price * order.quantity
        if notional < instrument.min_notional:
            raise OrderRefused(
                "risk",
                f"notional {notional} of {order.instrument} is below the venue's minimum"
                f" {instrument.min_notional}",
            )
        if not order.protective:
            self._check_entry(notional, fresh=amends is None)
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

    def _check_entry(self, notional: Decimal, *, fresh: bool) -> None:
        limits = self._limits
        most = limits.max_order_notional
        if most is not None and notional > most:
            raise OrderRefused("risk", f"notional {notional} is above max_order_notional {most}")
        if fresh and limits.max_open_orders is not None:
            live = self._exposure.live_orders
            if live >= limits.max_open_orders:
                raise OrderRefused(
                    "risk", f"{live} orders are live: max_open_orders {limits.max_open_orders}"
                )
