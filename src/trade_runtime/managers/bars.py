"""The bars of one strategy: who makes them, who is told of them, when there are enough to trade.

Plain calls, the same live and in a backtest; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from trade_runtime.errors import ConfigError
from trade_runtime.machines.bar_feed import BarFeed
from trade_runtime.machines.bar_join import BarJoin
from trade_runtime.machines.bars import BarBuilder, Emit, TimeBars, TradeBars
from trade_runtime.machines.volume_bars import VolumeBars
from trade_runtime.machines.warmup import WarmUp
from trade_runtime.managers.view import InstrumentView
from trade_runtime.model.bars import BarPlan
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.market import Bar


class StrategyBars:
    """Hands a strategy its bars, from whichever of three sources: made of live or recorded events
    (`build`), ready-made by a history (`feed`), or fetched before trading (`hand_on`).

    Args:
        strategy: whose bars these are.
        instruments: those that it trades.
        plan: what bars it is to be given.
        handler: its `on_bar`, which never raises; None where it has none.
    """

    def __init__(
        self,
        strategy: StrategyName,
        instruments: Sequence[InstrumentId],
        plan: BarPlan,
        handler: Callable[[Bar], None] | None,
    ) -> None:
        self.strategy = strategy
        self.instruments = instruments
        self.plan = plan
        self.warmup = WarmUp(instruments, plan.warmup)
        self._handler = handler
        self._joins: dict[InstrumentId, BarJoin] = {}

    @property
    def wanted(self) -> bool:
        """Whether bars have to be made: somebody handles or counts them."""
        return self._handler is not None or self.warmup.active

    def take(self, bar: Bar) -> None:
        """Give the strategy a bar."""
        if self._handler is not None:
            self._handler(bar)
        if self.warmup.active:
            self.warmup.count(bar.instrument)

    def build(self, view: InstrumentView) -> None:
        """Have bars made of the trades, or quotes, of a view from now on."""
        join = self._joins.get(view.instrument)
        emit = self.take if join is None else join.on_bar
        builder = make_builder(self.plan, view.instrument, emit)
        if self.plan.source == "trades":
            view.trade_taps.append(builder.on_trade)
        else:
            view.quote_taps.append(builder.on_quote)

    def feed(self, instrument: InstrumentId) -> BarFeed:
        """Return what takes the ready-made bars of an instrument's history.

        Raises:
            ConfigError: the strategy wants bars that are not of time.
        """
        if self.plan.kind != "time":
            raise ConfigError(
                f"strategy {self.strategy}: bars by {self.plan.kind} are made of trades or quotes,"
                f" but the history of {instrument} has bars; set bar_secs"
            )
        return BarFeed(instrument, self.plan.size, self.take)

    def whole(self, history: Iterable[Bar]) -> list[Bar]:
        """Return bars of the strategy's length that history amounts to, oldest first.

        Raises:
            ConfigError: its bars do not fit into those of the strategy.
        """
        made: list[Bar] = []
        feeds = {i: BarFeed(i, self.plan.size, made.append) for i in self.instruments}
        for bar in history:
            feeds[bar.instrument].on_bar(bar)
        return sorted(made, key=_time)

    def hand_on(self, history: Sequence[Bar], on_gap: Callable[[BarJoin], object]) -> None:
        """Give the strategy whole bars from before the live ones, and have those join on to them.

        To be called before `build`. The live bars of an instrument without history join to nothing:
        they begin with what is left of the bar that is open then.

        Args:
            history: whole bars, oldest first.
            on_gap: told, for each instrument with history, once it is known which bars are missing
                between that and the live ones. They wait for `BarJoin.fill` or `give_up`.
        """
        known = {bar.instrument: bar.ts_ns for bar in history}
        for bar in history:
            self.take(bar)
        self._joins = {
            instrument: BarJoin(instrument, ends_ns, self.take, on_gap)
            for instrument, ends_ns in known.items()
        }


def make_builder(plan: BarPlan, instrument: InstrumentId, emit: Emit) -> BarBuilder:
    """Return the builder of the bars that `plan` asks for."""
    if plan.kind == "time":
        return TimeBars(instrument, plan.size, emit)
    if plan.kind == "trades":
        return TradeBars(instrument, round(plan.size), emit)
    return VolumeBars(instrument, plan.size, emit)


def _time(bar: Bar) -> int:
    return bar.ts_ns
