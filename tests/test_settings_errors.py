"""Every mistake in a configuration is one line that names the place, what is wrong and the mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trade_runtime.errors import ConfigError
from trade_runtime.settings import Settings, ShutdownConfig

PAPER = {"venues": {"paper": {"kind": "paper"}}}
MAKER = {"name": "maker", "class": "maker.py:Maker", "instruments": ["ETHUSDT.paper"]}


def complaints(mapping: dict[str, Any]) -> list[str]:
    """What reading `mapping` complains of, line by line."""
    with pytest.raises(ConfigError) as caught:
        Settings.from_mapping(mapping)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (
            {"shutdwn": {}},
            'shutdwn: unknown table; did you mean "shutdown"?',
        ),
        (
            {"shutdown": {"order_timeout_sec": 1}},
            'shutdown.order_timeout_sec: unknown key; did you mean "order_timeout_secs"?',
        ),
        (
            {"shutdown": {"timeout_secs": "30"}},
            (
                'shutdown.timeout_secs: expected a finite number, got a string ("30");'
                " write for example 30.0"
            ),
        ),
        (
            {"shutdown": {"timeout_secs": True}},
            (
                "shutdown.timeout_secs: expected a finite number, got a boolean (true);"
                " write for example 30.0"
            ),
        ),
        (
            {"shutdown": {"timeout_secs": float("nan")}},
            (
                "shutdown.timeout_secs: expected a finite number, got a number (nan);"
                " write for example 30.0"
            ),
        ),
        (
            {"shutdown": {"order_timeout_secs": -1}},
            "shutdown.order_timeout_secs: must be a finite number above 0, got -1.0",
        ),
        (
            {"shutdown": {"cancel_orders": 1}},
            (
                "shutdown.cancel_orders: expected true or false, got a number (1);"
                " write for example true"
            ),
        ),
        (
            {"shutdown": {"order_timeout_secs": 20, "state_timeout_secs": 12}},
            (
                "shutdown: order_timeout_secs + price_timeout_secs + state_timeout_secs is 33,"
                " above timeout_secs 30; raise timeout_secs to 33 or lower the budgets"
            ),
        ),
        (
            {"shutdown": 5},
            "shutdown: expected a table, got a number (5)",
        ),
        (
            {"log": {"level": "info"}},
            (
                'log.level: expected one of "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL",'
                ' got a string ("info"); did you mean "INFO"?'
            ),
        ),
        (
            {"runtime": {"name": "My Runtime"}},
            "runtime.name: must be 1 to 32 characters of a-z, 0-9, _ and -, got 'My Runtime'",
        ),
        (
            {"store": {"url": "journal.sqlite"}},
            'store.url: not a URL; write for example "sqlite:///journal.sqlite"',
        ),
        (
            {"store": {"batch_rows": 0}},
            "store.batch_rows: must be a whole number of at least 1, got 0",
        ),
        (
            {"store": {"batch_rows": 1.5}},
            "store.batch_rows: expected a whole number, got a number (1.5); write for example 100",
        ),
        (
            {"risk": {"max_order_notional": "lots"}},
            (
                'risk.max_order_notional: expected a finite number, got a string ("lots");'
                ' write for example "1.5"'
            ),
        ),
        (
            {"risk": {"max_order_notional": "1e999999"}},
            (
                'risk.max_order_notional: expected a finite number, got a string ("1e999999");'
                ' write for example "1.5"'
            ),
        ),
        (
            {**PAPER, "risk": {"max_position": {"ETHUSDT.papr": "3"}}},
            (
                'risk.max_position."ETHUSDT.papr": there is no table [venues.papr];'
                ' did you mean "paper"?'
            ),
        ),
        (
            {"protection": {"stop_pct": 100}},
            "protection.stop_pct: must be above 0 and below 100 percent, got 100",
        ),
        (
            {"supervision": {"backoff_secs": 60}},
            (
                "supervision: backoff_secs 60 is above max_backoff_secs 30;"
                " lower the one or raise the other"
            ),
        ),
        (
            {"venues": {"a.b": {"kind": "paper"}}},
            'venues."a.b": the name of a venue must be 1 to 32 letters, digits, _ and -',
        ),
        (
            {"venues": {"paper": {}}},
            'venues.paper.kind: missing; write for example kind = "paper"',
        ),
        (
            {**PAPER, "strategies": MAKER},
            "strategies: expected an array of tables, got a table; write [[strategies]]",
        ),
        (
            {**PAPER, "strategies": [{**MAKER, "instruments": "ETHUSDT.paper"}]},
            (
                'strategies[0].instruments: expected an array, got a string ("ETHUSDT.paper");'
                ' write for example ["ETHUSDT.paper"]'
            ),
        ),
        (
            {**PAPER, "strategies": [{**MAKER, "instruments": []}]},
            "strategies[0].instruments: name at least one, as SYMBOL.VENUE",
        ),
        (
            {**PAPER, "strategies": [{**MAKER, "instruments": ["ETHUSDT"]}]},
            'strategies[0].instruments: "ETHUSDT" is no instrument; write SYMBOL.VENUE',
        ),
        (
            {**PAPER, "strategies": [{**MAKER, "instruments": ["ETHUSDT.Paper"]}]},
            'strategies[0].instruments: there is no table [venues.Paper]; did you mean "paper"?',
        ),
        (
            {**PAPER, "strategies": [{**MAKER, "instruments": ["A.paper", "A.paper"]}]},
            'strategies[0].instruments: "A.paper" stands there 2 times',
        ),
        (
            {**PAPER, "strategies": [MAKER, MAKER]},
            'strategies: 2 strategies have the name "maker"; give each a name of its own',
        ),
        (
            {**PAPER, "strategies": [{**MAKER, "class": "maker.py"}]},
            'strategies[0].class: expected "FILE.py:CLASS" or "MODULE:CLASS", got "maker.py"',
        ),
    ],
)
def test_a_mistake_is_one_line(mapping: dict[str, Any], expected: str) -> None:
    """The whole line is compared: path, what is wrong, the mend."""
    assert complaints(mapping) == [expected]


def test_all_mistakes_are_told_at_once() -> None:
    """A trader mends the file in one go: wrong values, unknown keys and names that do not exist."""
    found = complaints(
        {
            **PAPER,
            "shutdown": {"timeout_secs": float("inf"), "order_timeout_secs": -1, "cancel": True},
            "log": {"format": "xml"},
            "strategies": [{"class": "x.py:X", "instruments": ["ETHUSDT.papier"]}, MAKER, MAKER],
        }
    )
    places = [line.partition(": ")[0] for line in found]
    assert places == [
        "shutdown.cancel",
        "shutdown.timeout_secs",
        "shutdown.order_timeout_secs",
        "log.format",
        "strategies[0].name",
        "strategies",
    ]


def test_every_line_names_the_file(tmp_path: Path) -> None:
    """With a file, each line begins with its path, so an editor can open it."""
    file = tmp_path / "config.toml"
    file.write_text('[shutdown]\ntimeout_secs = "x"\n[[strategies]]\nname = "a"\n')
    with pytest.raises(ConfigError) as caught:
        Settings.from_toml(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{file}: ") for line in lines)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[runtime]\nname = \n", "line 2, column 8: broken TOML: Invalid value; mend that line"),
        (b"[runtime\n", "line 1, column 9: broken TOML: "),
        (b"a = [1,\n\n", "line 3, column 1: broken TOML: "),
        (b"a = 1\na = 2\n", "line 2, column 6: broken TOML: Cannot overwrite a value"),
        (b"a = 1\nb = '\xff'\n", "line 2, column 6: not UTF-8; save the file as UTF-8"),
        (b"a = " + b"[" * 100_000, "broken TOML: "),
    ],
)
def test_broken_toml_names_line_and_column(tmp_path: Path, content: bytes, expected: str) -> None:
    """The message has the file, the line and the column, and is one line."""
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Settings.from_toml(file)
    assert str(caught.value).startswith(f"{file}: {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """Missing, a folder, or no possible name: one line each."""
    with pytest.raises(ConfigError) as caught:
        Settings.from_toml(tmp_path / name)
    assert repr(str(tmp_path / name))[1:-1] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"timeout_secs": 0},
        {"timeout_secs": float("inf")},
        {"order_timeout_secs": "2"},
        {"price_timeout_secs": True},
        {"state_timeout_secs": 28},
        {"cancel_orders": "yes"},
        {"log_level": "loud"},
    ],
)
def test_an_embedding_program_is_checked_too(fields: dict[str, Any]) -> None:
    """A section built directly refuses the same values, by the same kind of error."""
    with pytest.raises(ConfigError, match=next(iter(fields))):
        ShutdownConfig(**fields)
