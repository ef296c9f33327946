"""Files as they should not be: each is one error with the place and the mend, or has its rule."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.history_world import HEAD, T0, csv_of, read
from trade_runtime.errors import DataError
from trade_runtime.histories.layouts import lean_plugin
from trade_runtime.histories.table import csv_plugin, parquet_plugin

GOOD = f"{T0},1,2,3,4"
BARS = "ts_ns,open,high,low,close,volume"
BOOK = "ts_ns,side,price,quantity,snapshot"
TRADES = "ts_ns,price,quantity,aggressor,trade_id"


def refusal(path: Path, kind: str = "quotes", **more: Any) -> str:
    """What is said of a file: one line, that names it."""
    plugin = parquet_plugin if path.suffix == ".parquet" else csv_plugin
    with pytest.raises(DataError) as caught:
        read(plugin, path, kind, **more)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said


class TestOffsets:
    """Times of one column with more than one offset from UTC."""

    def test_clocks_that_are_put_back(self, tmp_path: Path) -> None:
        """Each text says when it was: an hour that comes twice is no riddle."""
        times = ["2024-10-27T02:59:59+02:00", "2024-10-27T02:00:00+01:00", "2024-10-27T01:00:01Z"]
        path = csv_of(tmp_path, *(f"{time},1,2,3,{size}" for size, time in enumerate(times)))
        first = 1_729_990_799 * 10**9
        expected = [first, first + 10**9, first + 2 * 10**9]
        assert expected == [quote.ts_ns for quote in read(csv_plugin, path)]
        table = {name: [1.0, 1.0, 1.0] for name in HEAD.split(",")[1:]}
        table["bid_size"] = [1.0, 2.0, 3.0]
        pq.write_table(pa.table({"ts_ns": times, **table}), tmp_path / "p.parquet")
        quotes = read(parquet_plugin, tmp_path / "p.parquet")
        assert expected == [quote.ts_ns for quote in quotes]

    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            ("2024-10-27T02:59:59+02:00", "2024-10-27T02:00:00", "has no offset from UTC"),
            ("2024-10-27T02:59:59Z", "2024-10-28", "has no offset from UTC"),
            ("2024-10-27T02:59:59", "2024-10-27T02:00:00+01:00", "has an offset from UTC"),
        ],
    )
    def test_a_time_of_no_offset_among_others(
        self, tmp_path: Path, first: str, second: str, said: str
    ) -> None:
        """It may be of any zone: two sources were mixed."""
        path = csv_of(tmp_path, f"{first},1,2,3,4", f"{second},1,2,3,5")
        assert f'line 3: the time "{second}" {said}, unlike those above' in refusal(path)

    def test_it_holds_for_a_whole_file(self, tmp_path: Path) -> None:
        """However far apart the two are."""
        count = 70_000
        rows = [f"2024-10-27T02:59:59Z,1,2,3,{n}" for n in range(count)]
        path = csv_of(tmp_path, *rows, "2024-10-27T03:00:00,1,2,3,4")
        assert f"line {count + 2}: the time" in refusal(path)

    @pytest.mark.parametrize("other", ["1730000000000000000", "soon", "1730000000.5"])
    def test_what_is_no_date_among_dates(self, tmp_path: Path, other: str) -> None:
        """It is said to be none, and not to be of another zone."""
        path = csv_of(tmp_path, "2024-10-27T02:59:59Z,1,2,3,4", f"{other},1,2,3,5")
        assert f'line 3: the time "{other}" is no date in ISO 8601' in refusal(path)


class TestNumbers:
    """Numbers that are none, or too many digits."""

    @pytest.mark.parametrize(
        ("kind", "head", "row", "said"),
        [
            ("quotes", HEAD, f"{9 * 10**19},1,2,3,4", "the time is "),
            ("trades", TRADES, f"{T0},1,2,buy,{9 * 10**19}", "trade_id is "),
        ],
    )
    def test_more_than_64_bits(
        self, tmp_path: Path, kind: str, head: str, row: str, said: str
    ) -> None:
        """The line is named."""
        told = refusal(csv_of(tmp_path, row, head=head), kind)
        assert f'line 2: {said}"{9 * 10**19}", which is no whole number of 64 bits' in told

    def test_a_trade_of_an_id_below_0(self, tmp_path: Path) -> None:
        """A feed takes such a trade for an old one, and would leave it out."""
        path = csv_of(tmp_path, f"{T0},1,2,buy,-1", head=TRADES)
        assert "line 2: trade_id is -1: it must not be below 0" in refusal(path, "trades")
        path = csv_of(tmp_path, f"{T0},1,1,1,1,1,-3", head=f"{BARS},trades")
        said = refusal(path, "bars", options={"bar_secs": 60})
        assert "line 2: trades is -3: it must not be below 0" in said

    @pytest.mark.parametrize("price", ["1e999999999", "1e31", "1e-31"])
    def test_a_price_of_a_book_beyond_all_markets(self, tmp_path: Path, price: str) -> None:
        """Nothing could be reckoned with it."""
        path = csv_of(tmp_path, f"{T0},bid,{price},1,true", head=BOOK)
        assert "line 2: price is 1E" in refusal(path, "book")

    @pytest.mark.parametrize("secs", [1e300, 1e10, 1e-12])
    def test_a_bar_of_no_length_or_of_many_years(self, tmp_path: Path, secs: float) -> None:
        """Its beginning could not be told."""
        path = csv_of(tmp_path, f"{T0},1,1,1,1,1", head=BARS)
        said = refusal(path, "bars", options={"bar_secs": secs})
        assert "the option bar_secs must be from 1e-09 to 31622400" in said

    def test_a_day_of_lean_has_its_length(self, tmp_path: Path) -> None:
        """What counts from midnight is within the day that the file is named by."""
        path = tmp_path / "20240808_minute_trade.csv"
        path.write_text(f"60000,1,1,1,1,1\n{10**17},1,1,1,1,1\n")
        with pytest.raises(DataError, match=r"line 2: 1\d+ ms since midnight .* not of one day"):
            read(lean_plugin, path, "bars")

    @pytest.mark.parametrize(
        ("side", "said"),
        [
            (pa.array([b"\xff"]), "row 1: side is"),
            (pa.array([[1]]), "column side is of type list"),
            (pa.array([{"a": 1}]), "column side is of type struct"),
        ],
    )
    def test_sides_of_a_strange_type(self, tmp_path: Path, side: Any, said: str) -> None:
        """Parquet can hold anything."""
        table = {"ts_ns": [T0], "price": [1.0], "quantity": [1.0], "snapshot": [True]}
        pq.write_table(pa.table({**table, "side": side}), tmp_path / "p.parquet")
        assert "side" in refusal(tmp_path / "p.parquet", "book")


class TestText:
    """Bytes that are no CSV as it is meant."""

    @pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
    def test_another_encoding_is_told(self, tmp_path: Path, encoding: str) -> None:
        """With the line that shows it."""
        path = tmp_path / "ticks.csv"
        path.write_bytes(f"{HEAD},note\n{GOOD},é\n".encode(encoding))
        line = 2 if encoding == "latin-1" else 1
        assert f"line {line}: is not in UTF-8; save the file as UTF-8" in refusal(path)

    @pytest.mark.parametrize(("sign", "written"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
    def test_another_delimiter_is_proposed(self, tmp_path: Path, sign: str, written: str) -> None:
        """Where the header has one column, it is most often that."""
        path = tmp_path / "ticks.csv"
        path.write_text(f"{HEAD}\n{GOOD}\n".replace(",", sign))
        assert f'write options = {{ delimiter = "{written}" }}' in refusal(path)
        assert 1 == len(read(csv_plugin, path, options={"delimiter": sign}))

    @pytest.mark.parametrize("sign", ["\n", '"', "é", "", ";;"])
    def test_what_cannot_be_a_delimiter(self, tmp_path: Path, sign: str) -> None:
        """It is the option that is at fault, not the columns."""
        said = refusal(csv_of(tmp_path, GOOD), options={"delimiter": sign})
        assert "delimiter must be one character" in said

    def test_lines_of_an_old_macintosh(self, tmp_path: Path) -> None:
        """Some programs still write them."""
        path = tmp_path / "ticks.csv"
        path.write_bytes(f"{HEAD}\r{GOOD}\r".encode())
        assert "its lines end with a carriage return alone; save it with line feeds" in refusal(
            path
        )


class TestPlaces:
    """Paths that lead to no history."""

    def test_a_column_that_one_file_of_a_folder_lacks(self, tmp_path: Path) -> None:
        """The file is named, not the folder."""
        (tmp_path / "1.csv").write_text(f"{HEAD}\n{GOOD}\n")
        (tmp_path / "2.csv").write_text(f"ts_ns,bid\n{T0 + 1},1\n")
        with pytest.raises(DataError, match=r'2\.csv: no column "ask"'):
            read(csv_plugin, tmp_path)

    def test_a_link_to_nowhere(self, tmp_path: Path) -> None:
        """It is not proposed in its own place."""
        (tmp_path / "ticks.csv").symlink_to(tmp_path / "nowhere")
        said = refusal(tmp_path / "ticks.csv")
        assert "is a link to what does not exist; name another" in said

    @pytest.mark.parametrize("name", ["x" * 300, "a\0b", "ticks.csv/deep.csv"])
    def test_a_name_that_no_file_has(self, tmp_path: Path, name: str) -> None:
        """The system's own reason, and that another is to be named."""
        csv_of(tmp_path, GOOD)
        for suffix in ("", ".parquet"):
            assert refusal(tmp_path / (name + suffix)).endswith("; name another")

    @pytest.mark.skipif(os.name == "nt", reason="POSIX special files")
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        """A history is read more than once; nobody may ever write into it."""
        os.mkfifo(tmp_path / "ticks.csv")
        assert "is no file; name a file or a folder" in refusal(tmp_path / "ticks.csv")

    @pytest.fixture
    def locked(self) -> Iterator[Path]:
        """A folder that this user may not read, of files that he may."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o755)
            (folder / "shut").mkdir()
            for place in (folder, folder / "shut"):
                csv_of(place, GOOD)
            (folder / "ticks.csv").chmod(0)
            (folder / "shut").chmod(0)
            user = os.geteuid()
            if user == 0:
                os.seteuid(65534)
            try:
                yield folder
            finally:
                os.seteuid(user)
                (folder / "shut").chmod(0o755)

    @pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
    @pytest.mark.parametrize("place", ["ticks.csv", "shut", "shut/ticks.csv", "shut/t.parquet"])
    def test_what_may_not_be_read(self, locked: Path, place: str) -> None:
        """A file, a folder, a file in it."""
        assert refusal(locked / place).endswith(": cannot be read: Permission denied; name another")
