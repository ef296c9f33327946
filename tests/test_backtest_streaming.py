"""A history is never held whole: what is in memory is bounded, however long it is."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.backtests import CONFIG, ONE, SECOND, T0, Script, settings, write_ticks
from trade_runtime import OrderUpdate, Quote, Settings
from trade_runtime.backtest.merge import merged
from trade_runtime.backtest.run import Backtest, run_backtest
from trade_runtime.errors import DataError
from trade_runtime.histories.table import csv_plugin, parquet_plugin
from trade_runtime.protocols import HistoryPlugin, HistoryQuery

CHUNKS = 60
ROWS = 100


class Chunk(list[Quote]):
    """A chunk of which one can know whether it is still there."""

    __slots__ = ("__weakref__",)


class Source:
    """A history of many chunks that counts those that are alive."""

    def __init__(self, number: int = 0) -> None:
        self.made = self.most = 0
        self._number = number
        self._chunks: list[weakref.ref[Chunk]] = []

    def __iter__(self) -> Iterator[Sequence[Quote]]:
        for first in range(0, CHUNKS * ROWS, ROWS):
            chunk = Chunk(_quote(n, self._number) for n in range(first, first + ROWS))
            self._chunks.append(weakref.ref(chunk))
            self.made += 1
            self.most = max(self.most, sum(one() is not None for one in self._chunks))
            yield chunk
            del chunk


def _quote(n: int, source: int = 0) -> Quote:
    return Quote(ONE, T0 + n * SECOND + source, 100.0 + n % 7, 101.0 + n % 7, 9.0, 9.0)


def test_a_backtest_lets_go_of_what_it_has_played() -> None:
    """Two chunks are there at most: the one that is played, and the one that is made."""
    source = Source()
    result = run_backtest(settings(), strategies=[Script()], history=source)
    assert CHUNKS * ROWS == result.events
    assert (CHUNKS, True) == (source.made, source.most <= 2)


def test_a_merge_reads_each_source_as_far_as_it_must() -> None:
    """Three histories of one stretch of time: none is read far ahead of what is given out."""
    sources = [Source(number) for number in range(3)]
    given, ahead = 0, 0
    for chunk in merged([iter(source) for source in sources]):
        given += len(chunk)
        ahead = max(ahead, sum(source.made for source in sources) * ROWS - given)
    assert 3 * CHUNKS * ROWS == given
    assert ahead <= 3 * 2 * ROWS
    assert all(source.most <= 2 for source in sources)


def test_a_merge_lets_a_history_that_begins_later_wait() -> None:
    """Only its first events are read before its time has come."""
    early, late = Source(), Source(CHUNKS * ROWS * SECOND)
    chunks = merged([iter(early), iter(late)])
    for _ in range(CHUNKS - 2):
        next(chunks)
    assert 1 == late.made


def write_table(path: Path, count: int, bad: int | None) -> None:
    """Quotes as Parquet, of which one may be crossed."""
    bids = [100.0] * count
    if bad is not None:
        bids[bad] = 200.0
    columns = {"ts_ns": range(T0, T0 + count), "bid": bids, "ask": [101.0] * count}
    sizes = {"bid_size": [1.0] * count, "ask_size": [1.0] * count}
    pq.write_table(pa.table({**columns, **sizes}), path, row_group_size=20_000)


def write_csv(path: Path, count: int, bad: int | None) -> None:
    """The same as CSV."""
    rows = (f"{T0 + n},{200 if n == bad else 100},101,1,1" for n in range(count))
    path.write_text("\n".join(["ts_ns,bid,ask,bid_size,ask_size", *rows]) + "\n")


Write = Callable[[Path, int, int | None], None]
FORMATS: list[tuple[HistoryPlugin, Write, str]] = [
    (csv_plugin, write_csv, "csv"),
    (parquet_plugin, write_table, "parquet"),
]


@pytest.mark.parametrize(("plugin", "write", "suffix"), FORMATS, ids=["csv", "parquet"])
def test_what_comes_before_a_bad_row_is_given_first(
    tmp_path: Path, plugin: HistoryPlugin, write: Write, suffix: str
) -> None:
    """The reader has not looked at the end of the file when it gives the beginning."""
    path, count = tmp_path / f"ticks.{suffix}", 300_000
    write(path, count, count - 10)
    sizes = []
    with pytest.raises(DataError, match="bid 200 is above ask 101"):
        for chunk in plugin.read(HistoryQuery(path, "quotes", ONE)):
            sizes.append(len(chunk))  # noqa: PERF401 - what came before the error is wanted
    assert len(sizes) > 2
    assert max(sizes) <= 65_536


@pytest.mark.parametrize(("plugin", "write", "suffix"), FORMATS, ids=["csv", "parquet"])
def test_twice_the_rows_take_no_more_memory(
    tmp_path: Path, plugin: HistoryPlugin, write: Write, suffix: str
) -> None:
    """Python's own memory at its highest, while chunks are read and let go."""
    peaks = []
    for count in (140_000, 280_000):
        path = tmp_path / f"{count}.{suffix}"
        write(path, count, None)
        tracemalloc.start()
        seen = sum(len(chunk) for chunk in plugin.read(HistoryQuery(path, "quotes", ONE)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == seen
    assert peaks[1] < 1.3 * peaks[0]


def test_orders_that_are_over_take_no_memory() -> None:
    """Placed, amended, cancelled without a fill: three times as many orders take no more."""

    class Busy(Script):
        def on_quote(self, quote: Quote) -> None:
            self.steps.append(None)
            if len(self.steps) % 2:
                self.order = self.trader.limit(ONE, "buy", "1", "50")
            elif self.order.is_live:
                self.trader.cancel(self.order)

        def on_order(self, event: OrderUpdate) -> None:
            pass

    kept = []
    for count in (1_000, 4_000):
        history = ([_quote(n)] for n in range(count))
        setup = settings("[backtest]\nsamples = 16\n")
        busy = Busy()
        backtest = Backtest(setup, strategies=[busy], history=history)
        tracemalloc.start()
        result = backtest.run()
        busy.steps.clear()
        kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert count // 2 == result.orders
    assert kept[1] < kept[0] + 50_000, "1,500 orders of some hundred bytes would be more"


def test_a_stretch_without_events_is_said(tmp_path: Path) -> None:
    """A wrong year is no empty result: what was asked for is named."""
    write_ticks(tmp_path, 10)
    data = '[[backtest.data]]\ninstrument = "ETHUSDT.sim"\nkind = "quotes"\npath = "ticks.csv"\n'
    (tmp_path / "bt.toml").write_text(CONFIG + "[backtest]\nstart = 2032-01-01\n" + data)
    with pytest.raises(DataError, match=r"from 2032-01-01 .* to the end; mend backtest\.start"):
        run_backtest(Settings.from_toml(tmp_path / "bt.toml"), strategies=[Script()])
