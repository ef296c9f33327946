"""Strategies from a configuration: made, named and given what is theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trade_runtime.errors import ConfigError
from trade_runtime.loading import load_strategies
from trade_runtime.settings import Settings

SOURCE = '''
from trade_runtime.strategy import Strategy


class Maker(Strategy):
    """One that needs nothing."""


class Needy(Strategy):
    def __init__(self, secret):
        super().__init__()


class Broken(Strategy):
    def __init__(self):
        raise RuntimeError("no licence")
'''


def settings(folder: Path, *tables: dict[str, Any]) -> Settings:
    """A configuration beside a file with three classes."""
    (folder / "mine.py").write_text(SOURCE, encoding="utf-8")
    venues = {"sim": {"kind": "synthetic"}, "paper": {"kind": "paper", "market_data": "sim"}}
    return Settings.from_mapping({"venues": venues, "strategies": list(tables)}, folder)


def table(name: str, cls: str, **more: Any) -> dict[str, Any]:
    """A `[[strategies]]` table."""
    return {"name": name, "class": f"mine.py:{cls}", "instruments": ["ETHUSDT.paper"], **more}


def test_each_table_makes_one(tmp_path: Path) -> None:
    """Two of one class are two, each with its own name, instruments and params, in order."""
    one, two = load_strategies(
        settings(
            tmp_path,
            table("b", "Maker", params={"size": "0.1"}),
            table("a", "Maker", instruments=["BTCUSDT.paper", "ETHUSDT.paper"]),
        )
    )
    assert ("b", ("ETHUSDT.paper",), {"size": "0.1"}) == (
        one.name,
        tuple(one.instruments),
        dict(one.params),
    )
    assert ("a", ("BTCUSDT.paper", "ETHUSDT.paper"), {}) == (
        two.name,
        tuple(two.instruments),
        dict(two.params),
    )
    assert type(one) is type(two)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (
            "Makre",
            r'strategies\[1\]\.class: .*has no class "Makre"; did you mean "Maker"',
        ),
        ("Needy", r"strategies\[1\]\.class: .*Needy cannot be made without arguments: TypeError"),
        ("Broken", r"strategies\[1\]\.class: .*without arguments: RuntimeError: no licence"),
    ],
)
def test_what_cannot_be_made_is_named_by_its_table(tmp_path: Path, cls: str, message: str) -> None:
    """Which of the tables, and what is wrong with it, in one line."""
    with pytest.raises(ConfigError, match=message) as caught:
        load_strategies(settings(tmp_path, table("fine", "Maker"), table("other", cls)))
    assert 1 == len(str(caught.value).splitlines())


def test_no_tables_no_strategies(tmp_path: Path) -> None:
    """An embedding program brings its own."""
    assert [] == load_strategies(settings(tmp_path))
