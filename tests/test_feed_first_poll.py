"""What the first poll of a feed brings."""

from __future__ import annotations

from collections.abc import Mapping

from trade_runtime.managers.feed import Feed
from trade_runtime.managers.view import InstrumentView
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Trade
from trade_runtime.model.orders import Side
from trade_runtime.protocols import MarketSink
from trade_runtime.settings import PriceSettings


class Polled:
    """A source whose polls bring the trades with the ids it is given."""

    def __init__(self, instrument: InstrumentId, *polls: list[int]) -> None:
        self._instrument = instrument
        self._polls = list(polls)

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Bring the next batch."""
        for trade_id in self._polls.pop(0):
            sink.on_trade(Trade(self._instrument, 1, 1.0, 1.0, Side.BUY, trade_id))


async def test_trades_from_before_the_start_are_not_told() -> None:
    """The first poll says where the ids stand; only what comes after it is news."""
    instrument = InstrumentId("ETHUSDT.paper")
    view = InstrumentView(instrument)
    told: list[int] = []
    view.trade_taps.append(lambda event: told.append(event.trade_id))
    source = Polled(instrument, [1, 2, 3], [2, 3, 4, 5])
    feed = Feed("paper", source, {"ETHUSDT": instrument}, {instrument: view}, PriceSettings())  # type: ignore[arg-type]

    await feed._poll()
    await feed._poll()

    assert [4, 5] == told
