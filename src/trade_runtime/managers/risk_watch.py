"""The risk watch: shows the breakers what happens, and acts when one trips.

It stands above the orders and beside the protection guard. Where no breaker is configured it
listens to nothing, and costs nothing.
"""

from __future__ import annotations

import structlog

from trade_runtime.errors import ConfigError
from trade_runtime.machines.alarms import on_the_beat
from trade_runtime.machines.breakers import BreakerLimits, Breakers
from trade_runtime.machines.pace import DAY_NS
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.outcomes import Journal
from trade_runtime.managers.prices import Prices
from trade_runtime.managers.steering import HOW
from trade_runtime.model.records import TradingMode
from trade_runtime.protocols import Clock
from trade_runtime.settings import RiskSettings

log = structlog.get_logger("risk")

BY = "risk"
"""Who restricts trading, as the journal names it."""


class RiskWatch:
    """Ties the limits of `[risk]` that act to orders and quotes.

    Args:
        settings: the limits.
        orders: acts, and tells of fills and rejections.
        prices: tells of quotes; its instruments are loaded.
        state: keeps the marks that losses are counted from.
        clock: tells the day.

    Raises:
        ConfigError: a limit is in a currency that nothing here is quoted in: it would never act.
    """

    def __init__(
        self,
        settings: RiskSettings,
        orders: OrderManager,
        prices: Prices,
        state: Journal,
        clock: Clock,
    ) -> None:
        self._orders = orders
        self._prices = prices
        self._clock = clock
        halts = settings.breaker_action == "halt"
        self._action = TradingMode.HALTED if halts else TradingMode.REDUCE_ONLY
        _check_currencies(settings, prices)
        if settings.max_quote_age_secs is not None:
            prices.time_quotes()
        limits = BreakerLimits(
            max_daily_loss=settings.max_daily_loss,
            max_drawdown=settings.max_drawdown,
            max_loss_streak=settings.max_loss_streak,
            max_rejects=settings.max_rejects,
            rejects_window_secs=settings.rejects_window_secs,
        )
        self.breakers: Breakers | None = None
        """None where nothing is to be watched."""
        if limits.any:
            self.breakers = Breakers(limits, state.trading, state.record, self._trip)
            self.breakers.watch(prices.instruments)

    def begin(self) -> None:
        """Begin: the venues and the journal agree, no strategy runs, no quote has come.

        What an earlier process was told to restrict is enforced: it may have died before it sent
        the cancels.
        """
        latch = self._orders.trading.latch
        if latch is not None:
            log.error(
                "Trading is still restricted",
                mode=str(latch.mode),
                reason=latch.reason,
                by=latch.by,
                **HOW,
            )
            self._orders.enforce_latch()
        self._orders.on_booked = self._booked
        if self.breakers is None:
            return
        for instrument, view in self._prices.views.items():
            tap = self.breakers.tap(instrument)
            if tap is not None:
                view.market_taps.append(tap)
        self._orders.on_rejected = self._rejected
        self._orders.on_resumed = self.breakers.resumed
        self._new_day(self._clock.now_ns())

    def _new_day(self, now_ns: int) -> None:
        """Begin a day's own count, and look again when the next one begins."""
        assert self.breakers is not None
        self.breakers.step(now_ns)
        self._orders.alarms.set(on_the_beat(now_ns, DAY_NS), self._new_day)

    def _booked(self) -> None:
        if self.breakers is not None:
            self.breakers.on_fill(self._clock.now_ns())
        # A position that shrank leaves less for the orders that rest to close.
        if self._orders.gate.mode is TradingMode.REDUCE_ONLY:
            self._orders.enforce_latch()

    def _rejected(self) -> None:
        assert self.breakers is not None
        self.breakers.on_reject(self._clock.now_ns())

    def _trip(self, reason: str) -> None:
        self._orders.restrict(self._action, reason, BY)


def _check_currencies(settings: RiskSettings, prices: Prices) -> None:
    quoted = {rules.quote for rules in prices.instruments.values()}
    for name in ("max_exposure", "max_daily_loss", "max_drawdown"):
        for currency in getattr(settings, name):
            if currency not in quoted:
                known = ", ".join(sorted(quoted)) or "none"
                raise ConfigError(
                    f"risk.{name}: nothing that is traded is quoted in {currency!r};"
                    f" quote currencies: {known}"
                )
