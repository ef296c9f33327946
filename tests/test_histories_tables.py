"""Tables as people have them: times of every clothing, no header, folders, and books of levels."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.history_world import ETH, HEAD, T0, csv_of, read
from tests.recorded import recorded
from trade_runtime.errors import DataError
from trade_runtime.histories.table import csv_plugin, parquet_plugin
from trade_runtime.model.market import BookLevels, Trade
from trade_runtime.model.orders import Side

TRADES = "ts_ns,price,quantity,aggressor"
BOOK = "ts_ns,side,price,quantity,snapshot"
GOOD = f"{T0},1,2,3,4"


class TestTimes:
    """When a row says it was."""

    @pytest.mark.parametrize(
        ("text", "after_ns"),
        [
            ("2023-11-14T22:13:20.123456789Z", 123_456_789),
            ("2023-11-14T23:13:20.123+01:00", 123_000_000),
            ("2023-11-15T03:43:20.5+05:30", 500_000_000),
            ("2023-11-14T22:13:20.000000001", 1),
            ("2023-11-14T22:13Z", -20 * 10**9),
            ("2023-11-14 17:13:20-0500", 0),
            ("2023-11-14T23:13:20+01", 0),
        ],
    )
    def test_text_is_read_to_the_nanosecond(self, tmp_path: Path, text: str, after_ns: int) -> None:
        """The digits of a fraction are not mixed up with those of an offset."""
        path = csv_of(tmp_path, f"{text},1,2,3,4")
        assert [T0 + after_ns] == [quote.ts_ns for quote in read(csv_plugin, path)]

    @given(
        st.datetimes(datetime(1991, 1, 1), datetime(2099, 1, 1)),  # noqa: DTZ001 - zones are added
        st.integers(-14 * 60, 14 * 60),
    )
    def test_text_means_what_python_says_it_means(
        self, tmp_path_factory: pytest.TempPathFactory, moment: datetime, minutes: int
    ) -> None:
        """Whatever the date and the offset."""
        moment = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
        path = csv_of(tmp_path_factory.getbasetemp(), f"{moment.isoformat()},1,2,3,4")
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        expected = since // timedelta(microseconds=1) * 1000
        assert [expected] == [quote.ts_ns for quote in read(csv_plugin, path)]

    def test_z_and_no_offset_from_utc_are_one_zone(self, tmp_path: Path) -> None:
        """Two ways to write the same."""
        path = csv_of(
            tmp_path, "2023-11-14T22:13:20Z,1,2,3,4", "2023-11-14T22:13:20.5+00:00,1,2,3,5"
        )
        assert [T0, T0 + 5 * 10**8] == [quote.ts_ns for quote in read(csv_plugin, path)]

    @pytest.mark.parametrize("kind", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
    def test_timestamps_of_parquet(self, tmp_path: Path, kind: str, zone: str | None) -> None:
        """In any unit; a zone says how it is shown, not when it was."""
        ticks = {"s": T0 // 10**9, "ms": T0 // 10**6, "us": T0 // 10**3, "ns": T0}[kind]
        table = {name: [1.0] for name in HEAD.split(",")[1:]}
        table["timestamp"] = pa.array([ticks], pa.timestamp(kind, zone))
        pq.write_table(pa.table(table), tmp_path / "p.parquet")
        assert [T0] == [quote.ts_ns for quote in read(parquet_plugin, tmp_path / "p.parquet")]

    @pytest.mark.parametrize(
        ("times", "said"),
        [
            (pa.array([1.7e18]), "ts_ns is of type double"),
            (pa.array([2**63 + 1], pa.uint64()), "row 1: time 9223372036854775809 is not between"),
            (pa.array([10**12], pa.timestamp("s")), "row 1: time 1000000000000000 looks like"),
        ],
    )
    def test_what_is_no_time_in_parquet(self, tmp_path: Path, times: Any, said: str) -> None:
        """A type that cannot hold one exactly, or a number beyond all years."""
        table = {"ts_ns": times, **{name: [1.0] for name in HEAD.split(",")[1:]}}
        pq.write_table(pa.table(table), tmp_path / "p.parquet")
        with pytest.raises(DataError, match=said):
            read(parquet_plugin, tmp_path / "p.parquet")

    def test_a_wrong_unit_does_not_wrap_around(self, tmp_path: Path) -> None:
        """Nanoseconds taken for seconds are beyond what 64 bits hold."""
        path = csv_of(tmp_path, GOOD)
        with pytest.raises(DataError, match="looks like nanoseconds, not seconds"):
            read(csv_plugin, path, options={"time_unit": "seconds"})


class TestRows:
    """Numbers, names and lines."""

    @given(st.floats(min_value=1e-9, max_value=1e12, allow_subnormal=False))
    def test_a_number_is_what_python_reads(
        self, tmp_path_factory: pytest.TempPathFactory, number: float
    ) -> None:
        """To the last bit."""
        path = csv_of(tmp_path_factory.getbasetemp(), f"{T0},{number!r},{number!r},{number!r},1")
        (quote,) = read(csv_plugin, path)
        assert (number, number) == (quote.bid, quote.bid_size)

    def test_a_trade_does_not_guess_who_took(self, tmp_path: Path) -> None:
        """Without that column the table has to say it; without an id it is the row's number."""
        path = csv_of(tmp_path, f"{T0},1,2", head="ts_ns,price,quantity")
        with pytest.raises(DataError, match=r'no column "aggressor".* aggressor = "buy"'):
            read(csv_plugin, path, "trades")
        found = read(csv_plugin, path, "trades", options={"aggressor": "sell"})
        assert [Trade(ETH, T0, 1.0, 2.0, Side.SELL, 1)] == found

    def test_a_bad_row_after_doubles_and_blank_lines_has_its_own_line(self, tmp_path: Path) -> None:
        """Neither shifts the count."""
        rows = [f"{T0},1,2,buy", f"{T0},1,2,Buy", "", f"{T0},1,2,hold"]
        path = csv_of(tmp_path, *rows, head=TRADES)
        with pytest.raises(DataError, match='line 5: aggressor is "hold"'):
            read(csv_plugin, path, "trades", options={"duplicates": "drop"})

    def test_a_double_is_known_over_chunks(self, tmp_path: Path) -> None:
        """The row above may have been read with what came before."""
        count = 65_536
        times = [*range(T0, T0 + count), T0 + count - 1]
        columns = {name: [1.0] * (count + 1) for name in HEAD.split(",")[1:]}
        pq.write_table(pa.table({"ts_ns": times, **columns}), tmp_path / "p.parquet")
        with pytest.raises(DataError, match=f"row {count + 1}: it is the row above once more"):
            read(parquet_plugin, tmp_path / "p.parquet")

    @pytest.mark.parametrize(
        ("head", "row", "said"),
        [
            (f"{TRADES},trade_id", f"{T0},1,2,buy,1.5", 'trade_id is "1.5", which is no whole'),
            (f"{TRADES},trade_id", f"{T0},1,2,buy,a7", 'trade_id is "a7", which is no whole'),
            (f"{TRADES},price", f"{T0},1,2,buy,1", 'column "price" is there more than once'),
            (TRADES, f"{T0},1,2,", 'aggressor is ""; it must be buy or sell'),
        ],
    )
    def test_a_bad_trade(self, tmp_path: Path, head: str, row: str, said: str) -> None:
        """Each is one error with the mend or the value."""
        with pytest.raises(DataError, match=said):
            read(csv_plugin, csv_of(tmp_path, row, head=head), "trades")

    def test_a_bar_ends_after_it_opens(self, tmp_path: Path) -> None:
        """Else the file's time is probably the opening's."""
        head = "ts_ns,open_ns,open,high,low,close,volume"
        path = csv_of(tmp_path, f"{T0},{T0},1,3,1,2,10", head=head)
        with pytest.raises(DataError, match=r"line 2: it opens at .* ts_ns is the end of a bar"):
            read(csv_plugin, path, "bars")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"colums": {}}, r'no option "colums"; did you mean "columns"\?'),
            ({"columns": {"bidd": "x"}}, 'columns names "bidd".*did you mean "bid"'),
            ({"columns": 3}, "the option columns must be like"),
            ({"duplicates": "maybe"}, "duplicates must be one of drop, error, keep"),
            ({"time_unit": "hours"}, "time_unit must be one of"),
            ({"size": "much"}, "size must be a finite number above 0, got 'much'"),
            ({"size": 0}, "size must be a finite number above 0"),
            ({"delimiter": "::"}, "delimiter must be one character"),
            ({"bar_secs": 60}, 'no option "bar_secs"'),
        ],
    )
    def test_an_option_is_never_passed_over(
        self, tmp_path: Path, options: dict[str, Any], said: str
    ) -> None:
        """A slip of the pen would else change what a backtest says."""
        with pytest.raises(DataError, match=said):
            read(csv_plugin, csv_of(tmp_path, GOOD), options=options)

    def test_what_a_file_is_its_content_says(self, tmp_path: Path) -> None:
        """Gzip without the ending is read; Parquet is named; a mark at the beginning is nothing."""
        path = tmp_path / "ticks.csv"
        text = f"\ufeff{HEAD}\r\n{GOOD}\r\n".encode()
        path.write_bytes(text)
        assert 1 == len(read(csv_plugin, path))
        path.write_bytes(gzip.compress(text))
        assert 1 == len(read(csv_plugin, path))
        path.write_bytes(b"PAR1....")
        with pytest.raises(DataError, match='write format = "parquet"'):
            read(csv_plugin, path)

    def test_a_missing_file_has_a_neighbour(self, tmp_path: Path) -> None:
        """It is named: most often it is the one."""
        csv_of(tmp_path, GOOD)
        with pytest.raises(DataError, match=r'no such file; did you mean "ticks\.csv"\?'):
            read(csv_plugin, tmp_path / "tick.csv")

    def test_reading_ends_with_the_stretch(self, tmp_path: Path) -> None:
        """What lies far behind its end is not even looked at."""
        count = 65_536
        bids = [1.0] * count + [-1.0]
        columns = {"ts_ns": range(T0, T0 + count + 1), "bid": bids}
        columns |= {name: [2.0] * (count + 1) for name in ("ask", "bid_size", "ask_size")}
        path = tmp_path / "p.parquet"
        pq.write_table(pa.table(columns), path)
        assert 2 == len(read(parquet_plugin, path, end_ns=T0 + 2))
        with pytest.raises(DataError, match="bid is -1"):
            read(parquet_plugin, path)


class TestNoHeader:
    """Columns that only the table names."""

    def test_a_list_names_them_and_a_format_the_times(self, tmp_path: Path) -> None:
        """A nameless one is passed over; another sign may stand between."""
        path = tmp_path / "eurusd.csv"
        path.write_text("20231114 221320065;1.1;1.2;0\n20231114 221320066;1.1;1.3;0\n")
        options = {
            "columns": ["ts_ns", "bid", "ask", ""],
            "time_format": "%Y%m%d %H%M%S%f",
            "size": 1_000_000,
            "delimiter": ";",
        }
        quotes = read(csv_plugin, path, options=options)
        assert [T0 + 65 * 10**6, T0 + 66 * 10**6] == [quote.ts_ns for quote in quotes]
        assert {(1e6, 1e6)} == {(quote.bid_size, quote.ask_size) for quote in quotes}
        with pytest.raises(DataError, match=r'line 1: the time ".*" is not like "%d"'):
            read(csv_plugin, path, options={**options, "time_format": "%d"})

    @pytest.mark.recorded
    def test_quotes_of_another_project(self) -> None:
        """9,500 of them, as they lie on its disk."""
        path = recorded("market_data/quote_tick_data.csv")
        options = {
            "columns": ["ts_ns", "bid", "ask", ""],
            "time_format": "%Y%m%d %H%M%S%f",
            "size": 1_000_000,
        }
        quotes = read(csv_plugin, path, options=options)
        assert 9_500 == len(quotes)
        assert (1577898000065000000, 1.1212, 1.12172) == (
            quotes[0].ts_ns,
            quotes[0].bid,
            quotes[0].ask,
        )


class TestFolder:
    """Files that follow on each other."""

    def test_they_are_read_by_name_as_one(self, tmp_path: Path) -> None:
        """Trades without an id are counted through; other files are no matter."""
        for day in (2, 1):
            rows = [f"{T0 + day},{day},2,buy"]
            (tmp_path / f"2024-01-0{day}.csv").write_text("\n".join([TRADES, *rows]))
        (tmp_path / "readme.txt").write_text("hello")
        trades = read(csv_plugin, tmp_path, "trades")
        assert [(1.0, 1), (2.0, 2)] == [(trade.price, trade.trade_id) for trade in trades]

    def test_they_must_not_overlap(self, tmp_path: Path) -> None:
        """The first row of one follows on the last of the one before."""
        for number, time in enumerate([T0 + 5, T0]):
            (tmp_path / f"{number}.csv").write_text(f"{HEAD}\n{time},1,2,3,4\n")
        with pytest.raises(
            DataError, match=r"1\.csv: line 2: .* before the end of the file before"
        ):
            read(csv_plugin, tmp_path)

    def test_a_folder_without_any(self, tmp_path: Path) -> None:
        """It is said, and what would be one."""
        with pytest.raises(DataError, match="no file of quotes in this folder"):
            read(parquet_plugin, tmp_path)


class TestBook:
    """Levels, a row each."""

    def test_rows_of_one_time_are_one_change(self, tmp_path: Path) -> None:
        """Exact, a whole book first."""
        rows = [
            f"{T0},bid,100.10,1.5,true",
            f"{T0},ask,100.30,2,true",
            f"{T0 + 1},bid,100.20,0.1,false",
            f"{T0 + 2},ask,100.30,0,false",
            f"{T0 + 2},ask,100.40,7,false",
        ]
        found = read(csv_plugin, csv_of(tmp_path, *rows, head=BOOK), "book")
        bid, ask = (Decimal("100.10"), Decimal("1.5")), (Decimal("100.30"), Decimal(2))
        gone, new = (Decimal("100.30"), Decimal(0)), (Decimal("100.40"), Decimal(7))
        assert [
            BookLevels(ETH, T0, 1, (bid,), (ask,), True),
            BookLevels(ETH, T0 + 1, 2, ((Decimal("100.20"), Decimal("0.1")),), ()),
            BookLevels(ETH, T0 + 2, 3, (), (gone, new)),
        ] == found
        assert "100.10" == str(found[0].bids[0][0])

    def test_an_update_id_parts_changes_of_one_time(self, tmp_path: Path) -> None:
        """From Parquet, whose floats are taken by their shortest text."""
        path = tmp_path / "p.parquet"
        columns = {
            "ts_ns": [T0, T0, T0],
            "side": ["bid", "bid", "ask"],
            "price": [0.1, 0.1, 0.3],
            "quantity": [1.0, 2.0, 3.0],
            "snapshot": [True, False, False],
            "update_id": [7, 8, 9],
        }
        pq.write_table(pa.table(columns), path)
        found = read(parquet_plugin, path, "book")
        assert [(7, True), (8, False), (9, False)] == [(b.update_id, b.snapshot) for b in found]
        assert ((Decimal("0.1"), Decimal("2.0")),) == found[1].bids

    def test_a_change_is_whole_over_chunks(self, tmp_path: Path) -> None:
        """Rows of one time may be read in two turns."""
        count = 70_000
        path = tmp_path / "p.parquet"
        columns = {
            "ts_ns": [T0] * count,
            "side": ["bid"] * count,
            "price": range(1, count + 1),
            "quantity": [1] * count,
            "snapshot": [True] * count,
        }
        pq.write_table(pa.table(columns), path)
        (whole,) = read(parquet_plugin, path, "book")
        assert count == len(whole.bids)

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([f"{T0},bid,1,1,false"], "line 2: a book begins with a whole one"),
            ([f"{T0},bid,1,1,true", f"{T0},bid,1,2,true"], "line 3: the price 1 is there twice"),
            ([f"{T0},bid,0,1,true"], "line 2: price is 0: a price must be above 0"),
            ([f"{T0},bid,1,-1,true"], "line 2: quantity is -1: it must not be below 0"),
            ([f"{T0},bid,nan,1,true"], "line 2: price is "),
            ([f"{T0},bid,x,1,true"], 'line 2: price is "x", which is no number'),
            ([f"{T0},up,1,1,true"], 'line 2: side is "up"'),
            ([f"{T0},bid,1,1,maybe"], 'line 2: snapshot is "maybe", which is neither true'),
        ],
    )
    def test_a_bad_level(self, tmp_path: Path, rows: list[str], said: str) -> None:
        """Each is one error that names the line."""
        with pytest.raises(DataError, match=said):
            read(csv_plugin, csv_of(tmp_path, *rows, head=BOOK), "book")

    def test_update_ids_go_up(self, tmp_path: Path) -> None:
        """Else the file is of two sources, or out of order."""
        rows = [f"{T0},bid,1,1,true,5", f"{T0},bid,1,2,false,5"]
        path = csv_of(tmp_path, *rows, head=f"{BOOK},update_id")
        with pytest.raises(DataError, match="line 3: update_id 5 is not above the one before, 5"):
            read(csv_plugin, path, "book")
