"""Binance's dumps and LEAN's files: one series of a folder, each layout, and how it is chosen."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.history_world import ETH, HEAD, T0, csv_of, read
from tests.recorded import ETHUSDT, FOUR_SYMBOLS, recorded
from trade_runtime.backtest.book_start import book_from
from trade_runtime.backtest.histories import open_histories
from trade_runtime.errors import ConfigError, DataError
from trade_runtime.histories.layouts import dump_plugin, lean_plugin
from trade_runtime.machines.order_book import OrderBook
from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.market import Bar, BookLevels, Quote
from trade_runtime.plugins import Plugins
from trade_runtime.settings import Settings
from trade_runtime.venues.binance_spot.history import plugin as recording_plugin

DAY_MS = 1_723_075_200_000
"""2024-08-08."""


def dump(folder: Path, name: str, *rows: str) -> None:
    """A zip with one file in it, as Binance has them."""
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        archive.writestr(f"{name}.csv", "\n".join(rows) + "\n")


def trade(number: int, time: int, price: str = "100") -> str:
    return f"{number},{price},0.5,50,{time},true,true"


class TestDumps:
    """What data.binance.vision has."""

    def test_a_kline_ends_with_its_last_moment(self, tmp_path: Path) -> None:
        """The close time is the last millisecond of it, or the last microsecond."""
        row = "{0},1,3,1,2,10,{1},20,7,5,10,0"
        dump(tmp_path, "ETHUSDT-1m-2024-08-08", row.format(DAY_MS, DAY_MS + 59_999))
        later = 1_754_697_600_000_000
        dump(tmp_path, "ETHUSDT-1m-2025-08-09", row.format(later, later + 59_999_999))
        assert [
            Bar(ETH, ts, ts - 60 * 10**9, 1.0, 3.0, 1.0, 2.0, 10.0, 7)
            for ts in ((DAY_MS + 60_000) * 10**6, (later + 60_000_000) * 10**3)
        ] == read(dump_plugin, tmp_path, "bars")

    def test_quotes_and_grouped_trades_of_futures(self, tmp_path: Path) -> None:
        """A header is passed over; the last column may lack."""
        dump(
            tmp_path,
            "ETHUSDT-bookTicker-2024-08-08",
            "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
            f"9,100.5,2,100.6,3,{DAY_MS},{DAY_MS + 5}",
        )
        assert [Quote(ETH, DAY_MS * 10**6, 100.5, 100.6, 2.0, 3.0)] == read(dump_plugin, tmp_path)
        dump(tmp_path, "ETHUSDT-aggTrades-2024-08", f"4,100,0.5,7,9,{DAY_MS},false")
        (grouped,) = read(dump_plugin, tmp_path, "trades")
        assert (4, "buy") == (grouped.trade_id, grouped.aggressor)

    def test_two_symbols_are_never_one_history(self, tmp_path: Path) -> None:
        """The instrument's own files are taken; where none is of it, all must be of one series."""
        dump(tmp_path, "BTCUSDT-trades-2024-08-08", trade(1, DAY_MS, "60000"))
        dump(tmp_path, "ETHUSDT-trades-2024-08-09", trade(2, DAY_MS + 86_400_000, "2600"))
        assert [2600.0] == [one.price for one in read(dump_plugin, tmp_path, "trades")]
        other = {"instrument": InstrumentId("SOLUSDT.sim")}
        with pytest.raises(DataError, match=r"more than one series: BTCUSDT.*ETHUSDT.*files = "):
            read(dump_plugin, tmp_path, "trades", **other)
        found = read(dump_plugin, tmp_path, "trades", options={"files": "BTC*"}, **other)
        assert [60000.0] == [one.price for one in found]

    def test_two_lengths_of_bars_are_never_one_history(self, tmp_path: Path) -> None:
        """Nor are trades and the same trades grouped."""
        row = f"{DAY_MS},1,3,1,2,10,{DAY_MS + 59_999},20,7,5,10,0"
        dump(tmp_path, "ETHUSDT-1m-2024-08-08", row)
        dump(tmp_path, "ETHUSDT-1h-2024-08-08", row)
        with pytest.raises(DataError, match="more than one series"):
            read(dump_plugin, tmp_path, "bars")
        assert 1 == len(read(dump_plugin, tmp_path, "bars", options={"files": "*-1m-*"}))

    def test_a_month_and_a_day_of_it_overlap(self, tmp_path: Path) -> None:
        """Both were downloaded: it is said."""
        rows = [trade(1, DAY_MS), trade(2, DAY_MS + 86_400_000)]
        dump(tmp_path, "ETHUSDT-trades-2024-08", *rows)
        dump(tmp_path, "ETHUSDT-trades-2024-08-08", rows[0], trade(9, DAY_MS + 5))
        with pytest.raises(DataError, match="must not overlap"):
            read(dump_plugin, tmp_path, "trades")

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([trade(1, DAY_MS), trade(2, DAY_MS - 1)], "line 2: its time .* sort the file"),
            ([trade(1, DAY_MS), "2,100,0.5,50,x,true,true"], 'line 2: time is "x"'),
            ([trade(1, DAY_MS), "2,100,0.5,50,5,perhaps,true"], 'line 2: buyer_maker is "perhaps"'),
            ([trade(1, DAY_MS), "2,100,0.5"], "line 2: has 3 fields, not 7"),
            (["1,2,3"], "line 1: has 3 fields; 7 are expected"),
            ([trade(1, DAY_MS // 1000)], "line 1: time 1723075200 looks like seconds"),
        ],
    )
    def test_a_bad_line(self, tmp_path: Path, rows: list[str], said: str) -> None:
        """It is named in the file that it is in."""
        dump(tmp_path, "ETHUSDT-trades-2024-08-08", *rows)
        with pytest.raises(DataError, match=rf"ETHUSDT-trades-2024-08-08\.zip: {said}"):
            read(dump_plugin, tmp_path, "trades")

    def test_a_zip_that_is_cut_off(self, tmp_path: Path) -> None:
        """Or damaged in its midst, which its checksum tells: neither is a short history."""
        name = "ETHUSDT-trades-2024-08-08"
        rows = [trade(number, DAY_MS + number) for number in range(5_000)]
        dump(tmp_path, name, *rows)
        path = tmp_path / f"{name}.zip"
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        with pytest.raises(DataError, match="cannot be read"):
            read(dump_plugin, path, "trades")
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        with pytest.raises(DataError, match=r"\.zip: "):
            read(dump_plugin, path, "trades")


class TestLean:
    """Days of bars."""

    def test_prices_are_scaled_and_days_are_local(self, tmp_path: Path) -> None:
        """LEAN's equities: in ten-thousandths, of New York, in a zip in a folder `minute`."""
        folder = tmp_path / "minute"
        folder.mkdir()
        with zipfile.ZipFile(folder / "20240808_trade.zip", "w") as archive:
            archive.writestr(
                "20240808_spy_minute_trade.csv", "34200000,10000,30000,10000,20000,7\n"
            )
        options = {"scale": 10_000, "tz": "America/New_York"}
        ends_ns = (DAY_MS + (4 + 9) * 3_600_000 + 31 * 60_000) * 10**6
        assert [Bar(ETH, ends_ns, ends_ns - 60 * 10**9, 1.0, 3.0, 1.0, 2.0, 7.0, 0)] == read(
            lean_plugin, folder, "bars", options=options
        )
        with pytest.raises(DataError, match="No time zone found"):
            read(lean_plugin, folder, "bars", options={"tz": "Mars/Olympus"})

    def test_a_bar_without_a_length_is_refused(self, tmp_path: Path) -> None:
        """Its name does not say, and nobody else does."""
        path = tmp_path / "20240808_trade.csv"
        path.write_text("0,1,3,1,2,7\n")
        with pytest.raises(DataError, match="bar_secs = 60"):
            read(lean_plugin, path, "bars")

    @pytest.mark.recorded
    def test_days_of_two_instruments_are_told_apart(self) -> None:
        """The pattern says which; sizes of 0 stand for unknown ones, which the table can give."""
        folder = recorded("market_data/lean")
        with pytest.raises(DataError, match="more than one series"):
            read(lean_plugin, folder)
        options = {"files": "*eurusd*", "size": 1_000_000}
        quotes = read(lean_plugin, folder, options=options)
        assert 2_585 == len(quotes)
        assert (1_398_902_460_000_000_000, 1.38686, 1.38697, 1e6) == (
            quotes[0].ts_ns,
            quotes[0].bid,
            quotes[0].ask,
            quotes[0].bid_size,
        )


VENUES = {"sim": {"kind": "paper"}}


def events(path: Path, kind: str = "quotes", **more: Any) -> list[Any]:
    """What a backtest of this one history is given."""
    backtest = {"data": [{"instrument": str(ETH), "kind": kind, "path": str(path), **more}]}
    settings = Settings.from_mapping({"venues": VENUES, "backtest": backtest})
    return list(chain.from_iterable(open_histories(settings, Plugins())))


class TestChoice:
    """Which format a file is of, where the table does not say."""

    def test_by_the_whole_name_before_the_ending(self, tmp_path: Path) -> None:
        """A dump that was unpacked ends like any table."""
        path = tmp_path / "ETHUSDT-trades-2024-08-08.csv"
        path.write_text(trade(1, DAY_MS) + "\n")
        assert [1] == [one.trade_id for one in events(path, "trades")]
        assert [T0] == [one.ts_ns for one in events(csv_of(tmp_path, f"{T0},1,2,3,4"))]

    def test_a_folder_by_what_is_in_it(self, tmp_path: Path) -> None:
        """Of one format alone; checksums and notes are no matter."""
        dump(tmp_path, "ETHUSDT-trades-2024-08-08", trade(1, DAY_MS))
        (tmp_path / "ETHUSDT-trades-2024-08-08.zip.CHECKSUM").write_text("0")
        assert [1] == [one.trade_id for one in events(tmp_path, "trades")]
        csv_of(tmp_path, f"{T0},1,2,buy", head="ts_ns,price,quantity,aggressor")
        with pytest.raises(ConfigError, match=r"more than one format.* binance_dump, csv"):
            events(tmp_path, "trades")

    def test_what_no_name_tells(self, tmp_path: Path) -> None:
        """The formats that could are named."""
        with pytest.raises(
            ConfigError, match=r"ticks\.txt does not tell its format.* name one that has quotes"
        ):
            events(tmp_path / "ticks.txt")


BOOK = "ts_ns,side,price,quantity,snapshot"


class TestBookStart:
    """A book whose history begins in its midst."""

    def test_the_past_comes_first_as_one_book(self, tmp_path: Path) -> None:
        """Else a change would change nothing."""
        rows = [
            f"{T0},bid,100,1,true",
            f"{T0 + 1},bid,101,2,false",
            f"{T0 + 1},bid,100,0,false",
            f"{T0 + 10},ask,102,3,false",
        ]
        path = csv_of(tmp_path, *rows, head=BOOK)
        settings = Settings.from_mapping(
            {
                "venues": VENUES,
                "backtest": {
                    "start": "2023-11-14T22:13:20.000000000Z",
                    "data": [{"instrument": str(ETH), "kind": "book", "path": str(path)}],
                },
            }
        )
        assert 3 == len(list(chain.from_iterable(open_histories(settings, Plugins()))))
        changes = [BookLevels(ETH, T0, 1, ((Decimal(100), Decimal(1)),), (), True)]
        changes += [
            BookLevels(ETH, T0 + n, n + 1, (), ((Decimal(200 + n), Decimal(1)),)) for n in (1, 9)
        ]
        ((opening, change),) = book_from(T0 + 5, iter([changes]))
        assert isinstance(opening, BookLevels)
        assert (True, T0 + 5, 2) == (opening.snapshot, opening.ts_ns, opening.update_id)
        assert (((Decimal(201), Decimal(1)),), changes[2]) == (opening.asks, change)

    def test_a_start_before_the_book_changes_nothing(self) -> None:
        """It begins with its own."""
        whole = BookLevels(ETH, T0, 1, ((Decimal(100), Decimal(1)),), (), True)
        assert [[whole]] == list(book_from(T0 - 1, iter([[whole]])))
        assert [] == list(book_from(T0 + 1, iter([[whole]])))


class TestRecordings:
    """The streams of Binance as they were recorded."""

    @pytest.mark.recorded
    def test_the_book_agrees_with_the_quotes(self) -> None:
        """It is never crossed, and at an update id that both tell its best is the quote's."""
        path = recorded(ETHUSDT)
        quotes = {quote.update_id: quote for quote in read(recording_plugin, path)}
        book, agreed = OrderBook(ETH), 0
        for change in read(recording_plugin, path, "book"):
            assert book.apply(change)
            quote = quotes.get(change.update_id)
            if quote is not None and book.best_bid and book.best_ask:
                agreed += 1
                assert (quote.bid, quote.ask) == (
                    float(book.best_bid[0]),
                    float(book.best_ask[0]),
                )
        assert agreed > 500

    @pytest.mark.recorded
    def test_a_start_in_the_midst_gives_the_same_book(self) -> None:
        """Whether it was followed from the beginning or taken up later."""
        path = recorded(ETHUSDT)
        changes = read(recording_plugin, path, "book")
        whole, later = OrderBook(ETH), OrderBook(ETH)
        for change in changes:
            whole.apply(change)
        for change in chain.from_iterable(book_from(changes[1_700].ts_ns, iter([changes]))):
            assert isinstance(change, BookLevels)
            later.apply(change)
        assert (whole.bids(10**6), whole.asks(10**6)) == (later.bids(10**6), later.asks(10**6))

    @pytest.mark.recorded
    def test_snapshots_of_a_sibling_file(self) -> None:
        """Another recorder keeps them apart; each symbol is a history of its own."""
        path = recorded(FOUR_SYMBOLS)
        first, *rest = read(recording_plugin, path, "book", instrument=InstrumentId("NKNUSDT.sim"))
        assert first.snapshot
        assert rest
        assert not any(change.snapshot for change in rest)
        with pytest.raises(DataError, match="has no quotes of XYZ"):
            read(recording_plugin, path, instrument=InstrumentId("XYZ.sim"))

    @pytest.mark.parametrize("kind", ["quotes", "trades", "book"])
    @pytest.mark.recorded
    def test_it_is_read_to_the_end_that_is_wanted(self, kind: str) -> None:
        """What comes later is not told, nor does it have to be whole; the end itself is later."""
        events = read(recording_plugin, recorded(ETHUSDT), kind)
        start_ns, end_ns = events[len(events) // 4].ts_ns, events[len(events) // 2].ts_ns
        wanted = [event for event in events if start_ns <= event.ts_ns < end_ns]
        assert wanted == read(
            recording_plugin, recorded(ETHUSDT), kind, start_ns=start_ns, end_ns=end_ns
        )

    def test_damage_behind_the_end_is_not_met(self, tmp_path: Path) -> None:
        """A recording that was cut off is good for what comes before."""
        path = tmp_path / "r.jsonl"
        frame = '{"stream":"ethusdt@bookTicker","data":{"u":%d,"b":"1","B":"1","a":"2","A":"1"}}'
        lines = [f"{T0 + n} {frame % n}" for n in range(50)]
        path.write_text("\n".join([*lines, "damage", *lines]) + "\n")
        assert 20 == len(read(recording_plugin, path, end_ns=T0 + 20))
        assert [] == read(recording_plugin, path, end_ns=T0)
        with pytest.raises(DataError, match="line 51"):
            read(recording_plugin, path)

    def test_it_has_no_options(self, tmp_path: Path) -> None:
        """One that is written there was meant to do something."""
        with pytest.raises(DataError, match="a recording has no options, got duplicates"):
            read(recording_plugin, tmp_path / "r.jsonl", options={"duplicates": "drop"})

    def test_a_recording_that_is_cut_off(self, tmp_path: Path) -> None:
        """It is said, with how to save what is whole."""
        path = tmp_path / "r.jsonl.gz"
        frame = '{"stream":"ethusdt@bookTicker","data":{"u":%d,"b":"1","B":"1","a":"2","A":"1"}}'
        lines = "\n".join(f"{T0 + n} {frame % n}" for n in range(5_000))
        path.write_bytes(gzip.compress(lines.encode())[:-50])
        with pytest.raises(DataError, match="cut short or damaged"):
            read(recording_plugin, path)


@pytest.mark.parametrize(
    "module", ["trade_runtime", "trade_runtime.cli.run", "trade_runtime.histories.layouts"]
)
def test_only_a_backtest_pays_for_arrow(module: str) -> None:
    """A live run imports neither it nor numpy, and a format imports it when it reads."""
    code = f"import sys, {module}; sys.exit(bool({{'pyarrow', 'numpy'}} & set(sys.modules)))"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_a_header_alone_is_no_history(tmp_path: Path) -> None:
    """Nor is an empty file: a backtest over nothing would look like one that did nothing."""
    for text, said in (("", "is empty"), (f"{HEAD}\n\n", "has no rows")):
        path = tmp_path / "ticks.csv"
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            events(path)
