"""The time of a backtest: that of the history."""

from __future__ import annotations

LEAD_NS = 60 * 10**9
"""How long before the first event of the history a run begins: strategies start before there is a
market, as they do live."""


class HistoryClock:
    """Stands where the engine has set it: at the event that is handed on, or at what fell due."""

    __slots__ = ("ns",)

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        """Return the time, in nanoseconds since the Unix epoch."""
        return self.ns

    def seconds(self) -> float:
        """Return the same time in seconds, for what is measured in them."""
        return self.ns / 1e9
