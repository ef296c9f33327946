"""The page on the cache and what is really there cannot drift apart: the page is parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.caches import MemoryCache
from tests.support.valkey import Valkey
from tests.test_cache_faults import Bench
from tests.test_manager_cache import World
from trade_runtime.managers.cache import TABLES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cache.md"
TEXT = PAGE.read_text("utf-8")


def documented() -> dict[str, list[str]]:
    """The fields of the page, by table."""
    sections = re.split(r"^### `(\w+)`$", TEXT, flags=re.MULTILINE)
    return {
        name: re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE)
        for name, body in zip(sections[1::2], sections[2::2], strict=True)
    }


def found(cache: MemoryCache) -> Mapping[str, set[str]]:
    """The fields that are there, by table."""
    fields = {"status": set(cache.status)}
    for table in TABLES:
        if table != "status":
            fields[table] = {key for value in cache.values(table).values() for key in value}
    fields["stream"] = {key for entry in cache.stream.values() for key in entry.fields}
    return fields


async def test_the_fields_are_the_documented_ones(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """One that is missing or left over, on the page or in the cache, fails."""
    world = World(tmp_path)
    async with world.open():
        await trio.sleep(5)
    assert {name: set(fields) for name, fields in documented().items()} == found(world.cache)
    assert set(documented()) == {*TABLES, "stream"}


async def test_the_example_reads_what_is_there(
    tmp_path: Path, valkey: Valkey, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a reader copies works."""
    bench = Bench(tmp_path, valkey)
    async with bench.open():
        await bench.traded()
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    example = example.replace("redis://localhost:6379/0", valkey.url)
    names: dict[str, Any] = {}
    capsys.readouterr()
    exec(example.replace("trade_runtime:demo", "tr:bench"), names)
    names["client"].close()
    lines = capsys.readouterr().out.splitlines()
    assert ["stopped", "pinger:ETHUSDT.paper 1"] == lines[:2]
    assert lines[2].startswith("pinger buy ")
    assert json.loads(names["value"])["strategy"] == "pinger"
