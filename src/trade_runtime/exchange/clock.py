"""The exchange's clock: the machine's, and as far beside it as the fault `clock_skew` says."""

from __future__ import annotations

from trade_runtime.protocols import Clock

NS_PER_MS = 1_000_000


class ExchangeClock:
    """Tells the exchange's time of day.

    Args:
        base: the true time.
    """

    def __init__(self, base: Clock) -> None:
        self.base = base
        self.skew_ns = 0
        """How far it is ahead."""

    def now_ns(self) -> int:
        """Return nanoseconds since the Unix epoch, as the exchange believes."""
        return self.base.now_ns() + self.skew_ns

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch, as the exchange believes."""
        return self.now_ns() // NS_PER_MS
