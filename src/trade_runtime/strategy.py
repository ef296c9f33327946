"""What a trader writes: a `Strategy`, which acts through its `trader`.

Handlers are plain functions that the runtime calls as events come in; a strategy may also, or
instead, bring `async def run(self)`, which runs as a task of its own and is cancelled first at a
stop. Whatever a strategy raises stops that strategy alone: its entry orders are cancelled, its
positions stay protected, the others go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trade_runtime.machines.order import OrderUpdate
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import InstrumentId, StrategyName
from trade_runtime.model.market import Bar, Quote, Trade

if TYPE_CHECKING:
    from trade_runtime.managers.trader import Trader


class Strategy:
    """Base of all strategies. Override what you need; every handler here does nothing.

    From a configuration file a strategy is made without arguments, then given its name, instruments
    and params. An embedding program makes it itself.

    Args:
        name: unique in the runtime; the class's own name in lower case where empty.
        instruments: what it may trade and is told of.
        params: its own settings.
    """

    name: StrategyName = StrategyName("")
    instruments: Sequence[InstrumentId] = ()
    params: Mapping[str, Any] = {}
    trader: Trader
    state_version: int = 1
    """Of what `on_save` returns: raise it when `on_load` cannot read what earlier code saved."""

    def __init__(
        self,
        name: str = "",
        instruments: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = StrategyName(name or type(self).__name__.lower())
        self.instruments = tuple(InstrumentId(i) for i in instruments)
        self.params = params or {}

    def on_start(self) -> Awaitable[None] | None:
        """Prepare. The journal and the venue agree, no market data has come yet. May be async."""

    def on_quote(self, quote: Quote) -> None:
        """Act on a new best bid and ask."""

    def on_trade(self, trade: Trade) -> None:
        """Act on a trade of others; each comes once."""

    def on_bar(self, bar: Bar) -> None:
        """Act on a bar that has ended. What ends one, and what it is made of, the configuration
        says (`bar_secs`, `bar_trades` or `bar_volume`; `bars`).

        With `warmup_bars` the first ones may be from before this run: then `trader.warming_up` is
        True, within the call of the last of them too, and entries are refused. Of an instrument
        with such history every bar comes once, in order and whole. Without it, the first bar holds
        what has come since the start.
        """

    def on_book(self, book: OrderBook) -> None:
        """Act on a change of the order book; read it within this call."""

    def on_order(self, event: OrderUpdate) -> None:
        """Learn how an order of this strategy goes."""

    def on_fill(self, fill: Fill) -> None:
        """Learn of a fill of this strategy; the position has it already."""

    def on_stale(self, instrument: InstrumentId) -> None:
        """Learn that the market data of an instrument is lost; orders wait for fresh data."""

    def on_save(self) -> bytes | Mapping[str, Any]:
        """Return the state of this strategy, to be kept in the journal. Override it with `on_load`.

        Called after fills, before they are committed, so that both become durable in one
        transaction; every `store.save_secs`, and written where it changed; and after `on_stop`.
        It must be quick and change nothing, and may be called before `on_start` has ended. What is
        to be in step with the fills belongs into `on_fill`, not into `run`.

        A mapping has text as keys and holds text, whole numbers of 64 bits, floats, `Decimal`,
        `datetime`, None, lists, and mappings of these; a tuple comes back as a list. At most 256
        KiB. What cannot be kept stops this strategy alone; the error names the key. A backtest
        calls it once, at the end.
        """
        raise NotImplementedError

    def on_load(self, state: Any) -> None:
        """Take the state back that `on_save` returned last, before `on_start`.

        Not called at the very first start, and never in a backtest. After it `on_fill` is called
        for each fill that the state does not know, those that happened while nothing ran among
        them; `position` has them all already.

        Args:
            state: bytes or a mapping, as it was saved.
        """

    def on_migrate(self, state: Any, version: int) -> bytes | Mapping[str, Any]:
        """Return a state of an earlier `state_version` as one of the present, for `on_load`.

        A strategy that does not override it refuses to start on such a state.

        Args:
            state: as it was saved.
            version: the `state_version` of the class that saved it.
        """
        raise NotImplementedError

    def on_stop(self, reason: str) -> Awaitable[None] | None:
        """Say goodbye: only cancels and protective orders may still leave. May be async.

        It has the time of the stage `halt`; then it is cancelled.
        """
