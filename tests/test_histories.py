"""Histories: what is good is read exactly; what is not is one error with file, row and mend."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.history_world import ETH, HEAD, T0, csv_of, read
from tests.recorded import ETHUSDT, recorded
from trade_runtime.backtest.merge import merged
from trade_runtime.errors import DataError
from trade_runtime.histories.layouts import dump_plugin, lean_plugin
from trade_runtime.histories.table import csv_plugin, parquet_plugin
from trade_runtime.model.market import Bar, BookLevels, Quote, Trade
from trade_runtime.model.orders import Side
from trade_runtime.venues.binance_spot.history import plugin as recording_plugin


class TestGood:
    """What is read."""

    def test_quotes_from_csv_gzip_and_parquet_are_the_same(self, tmp_path: Path) -> None:
        """To the digit, whatever they come in."""
        path = csv_of(tmp_path, f"{T0},100.1,100.2,1.5,2", f"{T0 + 1},100.15,100.2,3,4")
        expected = [
            Quote(ETH, T0, 100.1, 100.2, 1.5, 2.0),
            Quote(ETH, T0 + 1, 100.15, 100.2, 3.0, 4.0),
        ]
        zipped = tmp_path / "ticks.csv.gz"
        zipped.write_bytes(gzip.compress(path.read_bytes()))
        columns = {name: [getattr(q, name) for q in expected] for name in HEAD.split(",")}
        pq.write_table(pa.table(columns), tmp_path / "ticks.parquet")
        assert expected == read(csv_plugin, path)
        assert expected == read(csv_plugin, zipped)
        assert expected == read(parquet_plugin, tmp_path / "ticks.parquet")

    def test_trades_and_bars(self, tmp_path: Path) -> None:
        """Each with its own columns."""
        head = "ts_ns,price,quantity,aggressor,trade_id"
        path = csv_of(tmp_path, f"{T0},100,2,sell,7", head=head)
        assert [Trade(ETH, T0, 100.0, 2.0, Side.SELL, 7)] == read(csv_plugin, path, "trades")
        path = csv_of(tmp_path, f"{T0},1,3,1,2,10", head="ts_ns,open,high,low,close,volume")
        bars = read(csv_plugin, path, "bars", options={"bar_secs": 60})
        assert [Bar(ETH, T0, T0 - 60 * 10**9, 1.0, 3.0, 1.0, 2.0, 10.0, 0)] == bars

    @pytest.mark.parametrize(
        ("time", "options"),
        [
            (str(T0 // 10**6), {"time_unit": "milliseconds"}),
            ("2023-11-14T22:13:20+00:00", {}),
            ("2023-11-14T23:13:20+01:00", {}),
            ("2023-11-14 22:13:20", {}),
        ],
    )
    def test_times_in_other_clothes(
        self, tmp_path: Path, time: str, options: dict[str, Any]
    ) -> None:
        """Another unit, and dates as text; one without a zone is UTC."""
        path = csv_of(tmp_path, f"{time},1,2,3,4")
        assert [T0] == [quote.ts_ns for quote in read(csv_plugin, path, options=options)]

    def test_other_names_a_stretch_of_time_and_duplicates(self, tmp_path: Path) -> None:
        """Columns by other names; from start up to end; a row twice, if that is said to be so."""
        head = HEAD.replace("bid,", "BidPrice,")
        rows = [f"{T0 + n},{n + 1},9,3,4" for n in range(4)]
        path = csv_of(tmp_path, *rows, rows[-1], head=head)
        options = {"columns": {"bid": "BidPrice"}, "duplicates": "drop"}
        found = read(csv_plugin, path, options=options, start_ns=T0 + 1, end_ns=T0 + 3)
        assert [2.0, 3.0] == [quote.bid for quote in found]
        assert 4 == len(read(csv_plugin, path, options=options))
        assert 5 == len(read(csv_plugin, path, options={**options, "duplicates": "keep"}))


GOOD = f"{T0},1,2,3,4"


class TestBad:
    """Each is one error that names the place and the mend."""

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([GOOD, f"{T0 - 1},1,2,3,4"], r"line 3: its time .* sort the file by time"),
            ([GOOD, GOOD], r'line 3: it is the row above once more.*"drop"'),
            ([GOOD, f"{T0 + 1},,2,3,4"], "line 3: bid is empty, or no number"),
            ([GOOD, f"{T0 + 1},nan,2,3,4"], "line 3: bid is empty, or no number"),
            ([GOOD, f"{T0 + 1},inf,2,3,4"], "line 3: bid is missing or not finite"),
            ([GOOD, f"{T0 + 1},0,2,3,4"], "line 3: bid is 0: a price must be above 0"),
            ([GOOD, f"{T0 + 1},3,2,3,4"], "line 3: bid 3 is above ask 2"),
            ([GOOD, f"{T0 + 1},1,2,-3,4"], "line 3: bid_size is -3: it must not be below 0"),
            ([GOOD, f"{T0 + 1},x,2,3,4"], 'line 3: bid is "x", which is no number'),
            ([GOOD, f"{T0 + 1},1,2,3"], "line 3: has 4 fields, the header 5"),
            ([GOOD, "soon,1,2,3,4"], 'line 3: the time is "soon"'),
            (["1700000000,1,2,3,4"], r'line 2: time 1700000000 looks like seconds.*"seconds"'),
            (["1700000000000,1,2,3,4"], "looks like milliseconds"),
            ([], "has no rows"),
        ],
    )
    def test_a_row_at_fault_is_named(self, tmp_path: Path, rows: list[str], said: str) -> None:
        """With the file and the line."""
        path = csv_of(tmp_path, *rows)
        with pytest.raises(DataError, match=said) as caught:
            read(csv_plugin, path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_column_at_fault_is_named(self, tmp_path: Path) -> None:
        """With the nearest that is there."""
        path = csv_of(tmp_path, GOOD, head=HEAD.replace("bid_size", "bidsize"))
        with pytest.raises(DataError, match=r'no column "bid_size"; did you mean "bidsize"\?'):
            read(csv_plugin, path)
        pq.write_table(pa.table({"ts_ns": [T0], "bid": ["x"]}), tmp_path / "p.parquet")
        with pytest.raises(DataError, match='no column "ask"'):
            read(parquet_plugin, tmp_path / "p.parquet")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: path.write_bytes(path.read_bytes()[:-20]),
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"ts_ns,bid\n1,2\n"),
            lambda path: path.unlink(),
        ],
        ids=["cut off", "empty", "no parquet", "gone"],
    )
    def test_a_broken_parquet(self, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
        """It is said, with the file's name."""
        path = tmp_path / "ticks.parquet"
        pq.write_table(pa.table({n: [1.0] for n in HEAD.split(",")}), path)
        spoil(path)
        with pytest.raises(DataError, match=r"ticks\.parquet: "):
            read(parquet_plugin, path)

    def test_a_row_of_parquet_is_named_over_chunks(self, tmp_path: Path) -> None:
        """The number counts from the beginning of the file, whatever is read at a time."""
        count = 150_000
        bids = [1.0] * count
        bids[140_000] = 5.0
        columns = {"ts_ns": range(T0, T0 + count), "bid": bids, "ask": [2.0] * count}
        sizes = {"bid_size": [1.0] * count, "ask_size": [1.0] * count}
        pq.write_table(pa.table({**columns, **sizes}), tmp_path / "p.parquet")
        with pytest.raises(DataError, match="row 140001: bid 5 is above ask 2"):
            read(parquet_plugin, tmp_path / "p.parquet")

    def test_a_cut_off_gzip(self, tmp_path: Path) -> None:
        """Half a file is not taken for a short one."""
        path = tmp_path / "ticks.csv.gz"
        rows = "\n".join([HEAD, *(f"{T0 + n},1,2,3,{n}" for n in range(20_000))])
        path.write_bytes(gzip.compress(rows.encode())[:-200])
        with pytest.raises(DataError, match=r"ticks\.csv\.gz: .*(cut off|truncated)"):
            read(csv_plugin, path)


class TestLayouts:
    """Files whose columns everybody knows."""

    def test_binance_dumps_of_a_folder(self, tmp_path: Path) -> None:
        """Plain and zipped, with and without a header, milliseconds and microseconds; in order."""
        (tmp_path / "ETHUSDT-trades-2024-08-08.csv").write_text(
            "1,60000.1,0.5,30000,1723075200000,True,True\n"
        )
        with zipfile.ZipFile(tmp_path / "ETHUSDT-trades-2025-08-09.zip", "w") as archive:
            archive.writestr(
                "ETHUSDT-trades-2025-08-09.csv",
                "id,price,qty,quote_qty,time,is_buyer_maker,best\n"
                "2,60000.2,0.5,30000,1754697600000001,false,true\n",
            )
        assert [
            Trade(ETH, 1723075200000 * 10**6, 60000.1, 0.5, Side.SELL, 1),
            Trade(ETH, 1754697600000001 * 10**3, 60000.2, 0.5, Side.BUY, 2),
        ] == read(dump_plugin, tmp_path, "trades")
        with pytest.raises(DataError, match="no file of klines"):
            read(dump_plugin, tmp_path, "bars")

    def test_a_bad_field_of_a_dump_is_named(self, tmp_path: Path) -> None:
        """By line, though the file has no header."""
        path = tmp_path / "ETHUSDT-trades-2024-08-08.csv"
        path.write_text(
            "1,60000.1,0.5,3,1723075200000,True,True\n2,x,0.5,3,1723075200001,True,True\n"
        )
        with pytest.raises(DataError, match='line 2: price is "x", which is no number'):
            read(dump_plugin, path, "trades")

    @pytest.mark.recorded
    def test_lean_days(self) -> None:
        """Two days of bars in their order; quotes at the ends of bars."""
        folder = recorded("market_data/lean")
        bars = read(lean_plugin, folder, "bars")
        assert bars[0].ts_ns - bars[0].open_ns == 60 * 10**9
        assert 2_447 == len(bars)
        name = "crypto_coinbase_20180404_btcusd_minute_quote.csv"
        assert 1_437 == len(read(lean_plugin, folder / name, "quotes"))


@pytest.mark.recorded
def test_the_recording_tells_all_that_it_has() -> None:
    """Every quote and trade, one snapshot and each change after it; times never go back."""
    path = recorded(ETHUSDT)
    expected = {"quotes": (Quote, 24_077), "trades": (Trade, 6_106), "book": (BookLevels, 3_433)}
    for kind, (made, count) in expected.items():
        events = read(recording_plugin, path, kind)
        assert count == len(events)
        assert {made} == {type(event) for event in events}
        times = [event.ts_ns for event in events]
        assert times == sorted(times)


def _sorted_chunks(chunks: list[list[int]]) -> list[list[int]]:
    times = iter(sorted(time for chunk in chunks for time in chunk))
    return [[next(times) for _ in chunk] for chunk in chunks]


CHUNKS = st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=6).map(_sorted_chunks)


@given(st.lists(CHUNKS, max_size=4))
def test_merging_is_a_stable_sort(sources: list[list[list[int]]]) -> None:
    """Nothing lost; those of one time in the order of the sources, and in one chunk."""
    made = [
        [[Quote(ETH, time, 1.0, 2.0, float(number), 1.0) for time in chunk] for chunk in chunks]
        for number, chunks in enumerate(sources)
    ]
    chunks = [list(chunk) for chunk in merged([iter(chunks) for chunks in made])]
    plain = [event for chunks in made for chunk in chunks for event in chunk]
    plain.sort(key=lambda event: event.ts_ns)
    assert plain == [event for chunk in chunks for event in chunk]
    ends = [(a[-1].ts_ns, b[0].ts_ns) for a, b in pairwise(chunks)]
    assert all(last < first for last, first in ends)
