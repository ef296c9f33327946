"""The real recordings through the whole way: file, server, loopback, session, sink, book.

The numbers are facts of the recordings, found without this code.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio

from tests.recorded import ETHUSDT, FOUR_SYMBOLS, recorded
from tests.replay_world import ETH, Sink, market, served
from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId

pytestmark = pytest.mark.recorded

PATIENCE_SECS = 60.0
OPENING_ID = 35346513512


async def played(
    path: str, symbols: dict[str, InstrumentId] = ETH, faults: Sequence[str] = ()
) -> tuple[Sink, str]:
    """Play a recording to its end at `max`; return what came and how it ended."""
    sink = Sink()
    async with served(recorded(path), faults=faults) as port, market(port) as spot:
        with trio.fail_after(PATIENCE_SECS):
            async with spot.connect(symbols, sink) as session:
                with pytest.raises(VenueError) as ended:
                    await session.run()
    return sink, str(ended.value)


async def test_everything_of_the_ethusdt_recording_comes_once() -> None:
    """6,106 trades, 24,077 quotes, 3,432 changes after the snapshot, and never a broken book."""
    sink, ended = await played(ETHUSDT)
    assert "end of the recording" in ended
    assert len(sink.quotes) == 24_077
    ids = [trade.trade_id for trade in sink.trades]
    assert ids == list(range(1520538925, 1520538925 + 6_106))
    assert [levels.update_id for levels in sink.snapshots] == [OPENING_ID]
    assert len(sink.changes) == 3_432
    assert sink.lost == []
    assert sink.bad_books == 0
    # 550 changes end at the id of the newest quote, 577 at that of some quote before them.
    assert sink.compared == 577
    assert sink.agreed == 577


async def test_one_missing_change_costs_one_resync() -> None:
    """The book is lost once, comes back whole, and is right wherever it can be compared."""
    sink, _ = await played(ETHUSDT, faults=["skip:depth=1000"])
    assert len(sink.lost) == 1
    assert len(sink.snapshots) == 2
    assert sink.bad_books == 0
    assert sink.agreed == sink.compared > 500
    assert sink.changes[-1].update_id == 35346671849
    assert len(sink.trades) == 6_106


async def test_stale_snapshots_cost_no_resync() -> None:
    """They are fetched again until one reaches the events that wait."""
    sink, _ = await played(ETHUSDT, faults=["stale_snapshot:count=2"])
    assert (sink.lost, len(sink.snapshots), sink.bad_books) == ([], 1, 0)
    assert len(sink.changes) == 3_432
    assert sink.agreed == sink.compared == 577


async def test_a_cut_socket_loses_nothing_before_the_cut() -> None:
    """999 lines: all that came before is there, and the session says that it ended."""
    sink, ended = await played(ETHUSDT, faults=["drop:at=1000"])
    assert "lost" in ended
    told = len(sink.quotes) + len(sink.trades) + len(sink.changes) + len(sink.snapshots)
    assert told == 999 - 2  # the two changes that the snapshot holds already


async def test_four_symbols_bridge_from_their_snapshots() -> None:
    """177 changes, 5 of them in the snapshots already; no gap; streams we do not know ignored."""
    symbols = {
        name: InstrumentId(f"{name}.test") for name in ("NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR")
    }
    sink, _ = await played(FOUR_SYMBOLS, symbols)
    assert sorted(levels.instrument for levels in sink.snapshots) == sorted(symbols.values())
    assert len(sink.changes) == 172
    assert sink.trades == []
    assert sink.lost == []
    assert sink.bad_books == 0
    assert sink.agreed == sink.compared > 0
