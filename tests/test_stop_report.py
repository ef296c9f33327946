"""The page on the stop report and a real report cannot drift apart: the page is parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.caches import MemoryCache
from trade_runtime import Quote, Settings, StopReport, Strategy, open_runtime
from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.plugins import Plugins

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "stop-report.md"
ROW = re.compile(r"^\| `(?P<key>[\w\[\].*]+)` \| (?P<type>[\w ]+) \|", re.MULTILINE)

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "array of strings": (list,),
    "object": (dict,),
    "string or null": (str, type(None)),
    "boolean or null": (bool, type(None)),
    "integer or null": (int, type(None)),
    "object or null": (dict, type(None)),
}


class BuyOnce(Strategy):
    """Holds a position, which is protected, and an order that rests."""

    def on_quote(self, quote: Quote) -> None:
        if not self.trader.position(quote.instrument).quantity and not self.trader.open_orders():
            self.trader.market(quote.instrument, "buy", "1")
            self.trader.limit(quote.instrument, "buy", "1", "1000")


async def real_report(folder: Path, size: float = 2.0) -> StopReport:
    """The report of a run with an order, a position and a stop; `size` is what the market shows."""
    settings = Settings.from_mapping(
        {
            "runtime": {"data_dir": str(folder), "seed": 1},
            "store": {"url": "memory:///report"},
            "venues": {
                "sim": {"kind": "synthetic", "seed": 1, "size": size},
                "paper": {"kind": "paper", "market_data": "sim"},
            },
            "protection": {"stop_pct": 2},
            "cache": {"url": "memory:///"},
        }
    )
    plugins = Plugins(caches={"memory": MemoryCache().plugin})
    strategy = BuyOnce("buyer", ["ETHUSDT.paper"])
    async with open_runtime(
        settings, strategies=[strategy], plugins=plugins, clock=TrioClock()
    ) as runtime:
        await trio.sleep(10)
    assert runtime.report is not None
    return runtime.report


def keys_of(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a report as the page writes it, with its value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            # Instruments are keys, too: the page writes a star for them.
            name = "*" if path == "market_data" else key
            here = f"{path}.{name}" if path else name
            if name != "*":
                yield here, inner
            yield from keys_of(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner, f"{path}[]")


def documented() -> dict[str, str]:
    """The keys of the page, with their types."""
    return {match["key"]: match["type"] for match in ROW.finditer(PAGE.read_text("utf-8"))}


async def test_a_real_report_has_exactly_the_documented_keys(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A key that is missing, left over or of another type, on the page or in the report, fails."""
    report = await real_report(tmp_path)
    found = dict(keys_of(json.loads(json.dumps(report.as_dict()))))
    assert found.keys() == documented().keys()
    for key, kind in documented().items():
        assert type(found[key]) in TYPES[kind], key


@pytest.mark.parametrize("size", [20.0, 0.3], ids=["one fill", "several fills"])
async def test_a_quantity_is_told_in_one_way(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, size: float
) -> None:
    """The sum of fills of 0.3123 and 0.6877 is 1.0000 by its digits: the report says 1, as ever."""
    report = await real_report(tmp_path, size)
    assert ["1"] == [position["quantity"] for position in report.positions]


async def test_the_report_is_left_on_the_disk(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """What is in the folder is what the host is given, and only its owner may read it."""
    report = await real_report(tmp_path)
    (path,) = (tmp_path / "reports").iterdir()
    assert json.loads(path.read_text("utf-8")) == json.loads(json.dumps(report.as_dict()))
    assert path.stat().st_mode & 0o077 == 0


def test_the_example_on_the_page_has_the_documented_keys() -> None:
    """What the page shows is what it describes."""
    example = re.search(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert example is not None
    assert dict(keys_of(json.loads(example[1]))).keys() == documented().keys()


@pytest.mark.parametrize("outcome", ["clean", "incomplete", "forced", "failed"])
def test_every_outcome_is_explained(outcome: str) -> None:
    """The page on exit codes names each outcome that a report can have."""
    page = PAGE.with_name("exit-codes.md").read_text("utf-8")
    assert f"`{outcome}`" in page
