"""The closer: closes positions at the market, for whoever decided that they have to go.

On a spot account a resting stop locks what the closing order needs. So the closer first cancels
what rests for the position, and its stops where the account is a spot one, waits until the venue
has told the end of each, and sends a market order for what is then open. If that is refused,
rejected or not filled in time, it gives up, says so, and the protection guard puts the stop back.

Plain calls: it goes on after each event of an order, and by an alarm when its time is up.
"""

from __future__ import annotations

from decimal import Decimal

import attrs
import structlog

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import Order
from trade_runtime.managers.orders import OrderManager
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import OrderType, Side

log = structlog.get_logger("closing")

CLOSE_WITHIN_NS = 3_000_000_000
"""How long the whole of it may take: then the closer gives up, and the guard protects again. So for
about this long, and the way to the venue, a position on a spot account may be without a stop.
"""

Key = tuple[StrategyName, InstrumentId]


@attrs.define
class _Job:
    """One position that is being closed: what must end before, then the order that closes it."""

    reason: str
    due_ns: int
    waiting: list[Order]
    order: Order | None = None


class Closer:
    """Closes positions.

    Args:
        orders: places the orders; its gate lets nothing else be placed for a position meanwhile.
    """

    def __init__(self, orders: OrderManager) -> None:
        self._orders = orders
        self._jobs: dict[Key, _Job] = {}
        orders.close_position = self.close

    @property
    def busy(self) -> bool:
        """Whether any position is being closed: then `step` is to be called."""
        return bool(self._jobs)

    def close(self, strategy: StrategyName, instrument: InstrumentId, reason: str) -> None:
        """Begin to close a position; nothing where it is flat, or being closed already.

        Its entry orders are cancelled too, since they lock funds and would open it again.
        """
        key = strategy, instrument
        gate = self._orders.gate
        if key in self._jobs or gate.halted is not None or not self._quantity(key):
            return
        spot = self._orders.instrument(instrument).kind == "spot"
        waiting = [
            order
            for order in self._orders.trading.live_of(strategy)
            if order.instrument == instrument and (spot or not order.spec.protective)
        ]
        now_ns = self._orders.clock.now_ns()
        self._jobs[key] = _Job(reason, now_ns + CLOSE_WITHIN_NS, waiting)
        gate.closing[key] = reason
        log.info("Position is being closed", strategy=strategy, instrument=instrument, why=reason)
        for order in waiting:
            self._orders.cancel(order, f"its position is being closed: {reason}")
        self._orders.after_event = self._after_event
        self._orders.alarms.set(now_ns + CLOSE_WITHIN_NS, self.step)
        self.step(now_ns)

    def _after_event(self) -> None:
        self.step(self._orders.clock.now_ns())

    def step(self, now_ns: int) -> None:
        """Go on with every position that is being closed, as far as it goes by now."""
        for key, job in list(self._jobs.items()):
            if self._jobs.get(key) is job:
                self._advance(key, job, now_ns)

    def _advance(self, key: Key, job: _Job, now_ns: int) -> None:
        order = job.order
        if order is None:
            if all(other.settled for other in job.waiting):
                self._send(key, job)
            elif now_ns >= job.due_ns:
                self._give_up(key, job, "what rests for it was not cancelled in time")
        elif order.settled:
            if not self._quantity(key):
                self._done(key)
                log.info("Position is closed", strategy=key[0], instrument=key[1])
            elif order.filled and now_ns < job.due_ns:  # the market held less than was open
                self._send(key, job)
            else:
                self._give_up(key, job, f"the order was {order.state}: {order.reason}")
        elif now_ns >= job.due_ns:
            self._orders.cancel(order, "not filled in time")
            self._give_up(key, job, "the order was not filled in time")

    def _send(self, key: Key, job: _Job) -> None:
        quantity = self._quantity(key)
        if not quantity:  # a stop was filled while it was being cancelled
            self._done(key)
            return
        side = Side.SELL if quantity > 0 else Side.BUY
        try:
            job.order = self._orders.place(
                *key, side, OrderType.MARKET, abs(quantity), reduce_only=True
            )
        except OrderRefused as refused:
            self._give_up(key, job, str(refused))

    def _give_up(self, key: Key, job: _Job, problem: str) -> None:
        self._done(key)
        log.error(
            "Position could not be closed",
            strategy=key[0],
            instrument=key[1],
            quantity=text(self._quantity(key)),
            why=job.reason,
            problem=problem,
        )
        self._orders.protect_now(*key)

    def _done(self, key: Key) -> None:
        del self._jobs[key]
        if not self._jobs:
            self._orders.after_event = None
        self._orders.gate.closing.pop(key, None)
        self._orders.on_position(*key)

    def _quantity(self, key: Key) -> Decimal:
        return self._orders.closable(self._orders.trading.ledger.position(*key))

    def abandon(self) -> None:
        """Let go of everything: the runtime stops, and protects what is open instead."""
        for key in list(self._jobs):
            self._done(key)
