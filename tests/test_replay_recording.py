"""Reading recordings: every format, every blemish, and one clear message where it cannot go on."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.recorded import ETHUSDT, FOUR_SYMBOLS, recorded
from tests.replay_world import frame, small_recording
from trade_runtime.errors import ConfigError
from trade_runtime.replay.facts import Facts, read_facts
from trade_runtime.venues.binance_spot.recording import Recording

TRADE = frame("ethusdt@trade", {"e": "trade", "t": 1, "p": "2.5", "q": "0.10", "T": 5, "m": True})
SNAPSHOT = '{"lastUpdateId":%d,"bids":[["99.00","1"]],"asks":[["101.00","1"]]}'


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


def change(symbol: str, first: int, last: int) -> str:
    data = {"e": "depthUpdate", "U": first, "u": last, "b": [["99.50", "2"]], "a": []}
    return frame(f"{symbol}@depth@100ms", data)


async def facts_of(path: Path) -> Facts:
    return await read_facts(Recording(path))


@pytest.mark.parametrize(
    "stamp",
    [
        "1723161254024619568",
        "1723161254.024619568",
        "1723161254.024619568:",
        "1723161254024.619568",
        "1723161254024619.568",
    ],
)
def test_a_time_may_be_in_any_unit(tmp_path: Path, stamp: str) -> None:
    """Seconds with a fraction, milli-, micro- or nanoseconds: its size tells."""
    (row,) = Recording(written(tmp_path / "r", f"{stamp} {TRADE}")).rows()
    assert row.at_ns == 1723161254024619568
    assert (row.number, row.stream, row.body) == (1, "ethusdt@trade", TRADE.encode())


def test_lines_keep_their_order_and_their_numbers(tmp_path: Path) -> None:
    """Blank lines count, jitter of the clock does not reorder, other JSON is passed over."""
    lines = (f"30 {TRADE}", "", f"20 {TRADE}", '25 {"result":null,"id":1}', "  ", f"40 {TRADE}")
    rows = list(Recording(written(tmp_path / "r", *lines)).rows())
    assert [(row.number, row.at_ns // 10**9) for row in rows] == [(1, 30), (3, 20), (6, 40)]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    """Whatever the file is called."""
    path = tmp_path / "plain-name"
    path.write_bytes(gzip.compress(f"30 {TRADE}\n".encode() * 3))
    assert len(list(Recording(path).rows())) == 3


async def test_a_last_line_that_was_cut_is_left_out(tmp_path: Path) -> None:
    """The recorder was killed in the middle of it; what is before it is whole."""
    for cut in (f"31 {TRADE[:-30]}", f"31 {TRADE[:25]}", "31", "17231"):
        recording = Recording(written(tmp_path / "r", f"30 {TRADE}", cut))
        facts = await read_facts(recording)
        assert (facts.rows, recording.end_line) == (1, 2)
        assert len(list(recording.rows())) == 1


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (f"31 {TRADE[:-30]}", "not the JSON of a stream"),
        ("hello", "not `TIME JSON`"),
        (f"yesterday {TRADE}", "does not begin with a time"),
        (f"31 {frame('ethusdt@trade', {'t': 'x'})}", "not a frame of ethusdt@trade"),
        ('31 {"lastUpdateId":5}', "not a frame of snapshot"),
        (f"{'9' * 30} {TRADE}", "does not begin with a time"),
    ],
)
async def test_a_line_in_the_middle_that_makes_no_sense_is_named(
    tmp_path: Path, bad: str, why: str
) -> None:
    """File, line, reason and mend, in one message."""
    path = written(tmp_path / "r.jsonl", f"30 {TRADE}", "", bad, f"32 {TRADE}", f"33 {TRADE}")
    with pytest.raises(ConfigError) as caught:
        await facts_of(path)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert why in str(caught.value)
    assert "mend" in str(caught.value)


async def test_gzip_that_is_cut_or_damaged_is_named(tmp_path: Path) -> None:
    """With the command that saves what is whole."""
    whole = gzip.compress("".join(f"{n} {TRADE}\n" for n in range(1, 20_000)).encode())
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 0xFF
    path = tmp_path / "r.jsonl.gz"
    for content in (whole[:-200], whole[: len(whole) // 2], bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"r\.jsonl\.gz, ") as caught:
            await facts_of(path)
        assert "line" in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n\n", '1 {"result":null}\n', "wss://host <-> 1\n"])
async def test_a_file_without_a_stream_is_refused(tmp_path: Path, content: str) -> None:
    """And told what a line should look like."""
    path = tmp_path / "r"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"no line is a frame.*ethusdt@trade"):
        await facts_of(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A folder is none either, and the file of snapshots is not the recording."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match="no such file"):
            Recording(path)
    with pytest.raises(ConfigError, match=r"name the \.ws\.log beside it"):
        Recording(tmp_path / "a.http.log")


async def test_decimals_and_ids_are_taken_from_the_numbers(tmp_path: Path) -> None:
    """The finest price and quantity anywhere make tick and lot."""
    facts = (await facts_of(small_recording(tmp_path / "r"))).symbols["ETHUSDT"]
    assert (facts.price_places, facts.quantity_places) == (2, 2)
    assert (facts.first_id, facts.last_id, facts.first_depth_id) == (1000, 1599, 1000)
    assert (facts.first_trade_id, facts.last_trade_id) == (500, 559)
    opening = facts.opening()
    assert opening is not None
    assert opening.lastUpdateId == 1029


async def test_a_snapshot_without_a_symbol_goes_to_the_nearest_ids(tmp_path: Path) -> None:
    """Several symbols share a file and the snapshot line names none."""
    lines = (
        f"10 {SNAPSHOT % 5003}",
        f"11 {change('ausdt', 101, 105)}",
        f"12 {change('busdt', 5001, 5005)}",
        f"13 {SNAPSHOT % 103}",
    )
    facts = await facts_of(written(tmp_path / "r", *lines))
    assert facts.snapshot_symbols == {1: "BUSDT", 4: "AUSDT"}
    openings = {name: known.opening() for name, known in facts.symbols.items()}
    assert {name: o.lastUpdateId for name, o in openings.items() if o} == {
        "AUSDT": 103,
        "BUSDT": 5003,
    }


@pytest.mark.parametrize(
    ("lines", "opens_at"),
    [
        ((f"10 {SNAPSHOT % 50}", f"11 {change('ausdt', 101, 105)}"), 100),
        ((f"11 {change('ausdt', 101, 105)}",), 100),
        ((f"11 {change('ausdt', 101, 105)}", f"12 {SNAPSHOT % 103}"), 103),
        ((f"10 {SNAPSHOT % 100}", f"11 {change('ausdt', 101, 105)}"), 100),
        ((f"10 {change('ausdt', 101, 105)}", f"100 {SNAPSHOT % 103}"), 100),
        (
            (
                f"10 {SNAPSHOT % 50}",
                f"11 {change('ausdt', 101, 105)}",
                f"12 {SNAPSHOT % 104}",
                f"13 {SNAPSHOT % 105}",
            ),
            104,
        ),
    ],
    ids=["stale", "none", "good", "just before", "a minute late", "stale, then two good"],
)
async def test_a_book_opens_with_the_first_snapshot_that_a_client_could_use(
    tmp_path: Path, lines: tuple[str, ...], opens_at: int
) -> None:
    """A stale one is passed over, a late one would show the future; without any it opens empty."""
    facts = await facts_of(written(tmp_path / "r", *lines))
    opening = facts.symbols["AUSDT"].opening()
    assert opening is not None
    assert opening.lastUpdateId == opens_at


def test_snapshots_come_from_the_sibling_file(tmp_path: Path) -> None:
    """In between the frames, by the recorder's clock; what is no snapshot is passed over."""
    path = written(
        tmp_path / "x.ws.log", "wss://host <-> 1", f"10.5: {TRADE}", f"12.5: {TRADE}", ""
    )
    written(
        tmp_path / "x.http.log",
        'https://host/api/v3/exchangeInfo -> 10.0: {"symbols":[]}',
        f"https://host/api/v3/depth?symbol=AUSDT&limit=5 -> 11.5: {SNAPSHOT % 7}",
        "https://host/api/v3/depth?symbol=AUSDT -> 12.0: <html>",
        f"https://host/api/v3/depth?symbol=BUSDT -> 13.5: {SNAPSHOT % 8}",
    )
    rows = list(Recording(path).rows())
    assert [(r.number, r.symbol) for r in rows] == [(2, ""), (0, "AUSDT"), (3, ""), (0, "BUSDT")]


@pytest.mark.recorded
async def test_the_facts_of_the_real_recordings() -> None:
    """One with a snapshot among its lines, one with four in the sibling file."""
    eth = await facts_of(recorded(ETHUSDT))
    assert (eth.rows, eth.lines, list(eth.symbols)) == (33_617, 33_618, ["ETHUSDT"])
    assert eth.symbols["ETHUSDT"].last_trade_id == 1520538925 + 6106 - 1
    four = await facts_of(recorded(FOUR_SYMBOLS))
    assert sorted(four.symbols) == ["BLZETH", "LRCBTC", "NKNUSDT", "RUNEEUR"]
    assert all(known.snapshot is not None for known in four.symbols.values())
