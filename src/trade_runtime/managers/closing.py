"""The closer: closes positions at the market, for whoever decided that they have to go.

On a spot account a resting stop locks what the closing order needs. So the closer first cancels
what rests for the position, and its stops where the account is a spot one, waits until the venue
has told the end of each, and sends a market order for what is then open. If that is refused,
rejected or not filled in time, it gives up, says so, and the protection guard puts the stop back.

The logic is plain calls: `close`, and `step` as time goes on. `work` is the loop that calls `step`
where trio is there; a backtest calls it itself.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import attrs
import structlog
import trio

from trade_runtime.errors import OrderRefused
from trade_runtime.machines.order import Order
from trade_runtime.managers.orders import OrderManager
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.orders import OrderType, Side

log = structlog.get_logger("closing")

CLOSE_WITHIN_SECS = 3.0
"""How long the whole of it may take: then the closer gives up, and the guard protects again. So for
about this long, and what the guard then needs, a position on a spot account may be without a stop.
"""

STEP_SECS = 0.1
"""How often the closer looks where no event of an order wakes it."""

Key = tuple[StrategyName, InstrumentId]


@attrs.define
class _Job:
    """One position that is being closed: what must end before, then the order that closes it."""

    reason: str
    due: float
    waiting: list[Order]
    order: Order | None = None


class Closer:
    """Closes positions.

    Args:
        orders: places the orders; its gate lets nothing else be placed for a position meanwhile.
        time: tells the seconds that deadlines are in; trio's clock unless told otherwise.
    """

    def __init__(
        self, orders: OrderManager, *, time: Callable[[], float] = trio.current_time
    ) -> None:
        self._orders = orders
        self._time = time
        self._jobs: dict[Key, _Job] = {}
        self._asked = trio.Event()
        orders.latch.close_position = self.close

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
        self._jobs[key] = _Job(reason, self._time() + CLOSE_WITHIN_SECS, waiting)
        gate.closing[key] = reason
        log.info("Position is being closed", strategy=strategy, instrument=instrument, why=reason)
        for order in waiting:
            self._orders.cancel(order, f"its position is being closed: {reason}")
        self._asked.set()
        self.step(self._time())

    def step(self, now: float) -> None:
        """Go on with every position that is being closed, as far as it goes by `now`."""
        for key, job in list(self._jobs.items()):
            if self._jobs.get(key) is job:
                self._advance(key, job, now)

    def _advance(self, key: Key, job: _Job, now: float) -> None:
        order = job.order
        if order is None:
            if all(other.settled for other in job.waiting):
                self._send(key, job)
            elif now >= job.due:
                self._give_up(key, job, "what rests for it was not cancelled in time")
        elif order.settled:
            if not self._quantity(key):
                self._done(key)
                log.info("Position is closed", strategy=key[0], instrument=key[1])
            elif order.filled and now < job.due:  # the market held less than was open
                self._send(key, job)
            else:
                self._give_up(key, job, f"the order was {order.state}: {order.reason}")
        elif now >= job.due:
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
            quantity=str(self._quantity(key)),
            why=job.reason,
            problem=problem,
        )

    def _done(self, key: Key) -> None:
        del self._jobs[key]
        self._orders.gate.closing.pop(key, None)
        self._orders.on_position(*key)

    def _quantity(self, key: Key) -> Decimal:
        return self._orders.trading.ledger.position(*key).quantity

    def abandon(self) -> None:
        """Let go of everything: the runtime stops, and protects what is open instead."""
        for key in list(self._jobs):
            self._done(key)

    async def work(self) -> None:
        """Call `step` as events come and time goes on, for ever."""
        while True:
            await self._asked.wait()
            while self._jobs:
                with trio.move_on_after(STEP_SECS):
                    await self._orders.changed.park()
                self.step(self._time())
            self._asked = trio.Event()
