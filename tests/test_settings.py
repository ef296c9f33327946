"""What a right configuration becomes, and what it never shows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from trade_runtime.errors import ConfigError
from trade_runtime.settings import (
    RiskSettings,
    Settings,
    ShutdownConfig,
    StoreSettings,
    StrategySettings,
    VenueTable,
    masked_url,
    structure,
)

CONTRACT = """
[runtime]
name = "demo"
data_dir = "./state"
[shutdown]
timeout_secs = 30.0
order_timeout_secs = 2.0
price_timeout_secs = 1.0
state_timeout_secs = 2.0
cancel_orders = true
verify_stop_losses = true
flush_cache = true
[log]
level = "INFO"
format = "auto"
[store]
url = "sqlite:///journal.sqlite"
durability = "process"
[venues.binance]
kind = "binance_spot"
ws_url = "wss://stream.binance.com:9443"
rest_url = "https://api.binance.com"
[venues.paper]
kind = "paper"
market_data = "binance"
latency_ms = 20
fee_bps = 10
balances = { USDT = "10000", ETH = "5" }
[risk]
max_order_notional = "5000"
max_position = { "ETHUSDT.paper" = "3" }
max_open_orders = 100
max_position_secs = 3600
[protection]
required = "all"
stop_pct = 5.0
[[strategies]]
name = "maker"
class = "examples/maker.py:Maker"
instruments = ["ETHUSDT.paper"]
params = { size = "0.05", spread_bps = 8 }
"""


def test_the_configuration_people_write_today_is_read(tmp_path: Path) -> None:
    """The published example, key by key where the value changes its type."""
    file = tmp_path / "config.toml"
    file.write_text(CONTRACT)
    settings = Settings.from_toml(file)
    assert settings.runtime.name == "demo"
    assert settings.runtime.data_dir == tmp_path / "state"
    assert settings.shutdown == ShutdownConfig()
    assert (settings.store.scheme, settings.store.location) == ("sqlite", "journal.sqlite")
    assert settings.venues["paper"].kind == "paper"
    assert dict(settings.venues["paper"].options["balances"]) == {"USDT": "10000", "ETH": "5"}
    assert settings.risk.max_order_notional == Decimal(5000)
    assert dict(settings.risk.max_position) == {"ETHUSDT.paper": Decimal(3)}
    assert settings.risk.max_position_secs == 3600.0
    assert settings.protection.stop_pct == Decimal("5.0")
    assert settings.strategies == (
        StrategySettings(
            "maker", "examples/maker.py:Maker", ["ETHUSDT.paper"], {"size": "0.05", "spread_bps": 8}
        ),
    )
    assert not (tmp_path / "state").exists()


def test_an_empty_file_is_all_defaults() -> None:
    """Everything may be left out; an embedding program gets the same from `Settings()`."""
    assert attrs.evolve(Settings.from_mapping({}), base_dir=".") == Settings()


def test_what_was_read_cannot_be_changed() -> None:
    """Not even what is nested: two parts of the runtime never see two configurations."""
    options = {"balances": {"USDT": "1"}, "faults": [1]}
    settings = Settings(venues={"paper": VenueTable("paper", options)})
    options["balances"] = {}
    table: Any = settings.venues["paper"].options
    assert table["balances"]["USDT"] == "1"
    assert table["faults"] == (1,)
    with pytest.raises(TypeError):
        table["balances"]["USDT"] = "2"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        settings.shutdown.timeout_secs = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "expected"),
    [(0.1, "0.1"), ("0.10", "0.10"), (3, "3"), ("1e-8", "1E-8"), (1e-7, "1E-7")],
)
def test_a_decimal_is_what_was_written(written: object, expected: str) -> None:
    """Digit by digit, with no trace of a binary float."""
    risk = structure(RiskSettings, {"max_order_notional": written}, "risk")
    assert str(risk.max_order_notional) == expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///journal.sqlite", "sqlite:///journal.sqlite"),
        ("postgresql://bob:hunter2@db/x", "postgresql://bob:***@db/x"),
        ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
        ("postgresql://bob:hun/ter@2@db/x", "postgresql://bob:***@db/x"),
        ("postgresql://db/x?password=hunter2&ssl=on", "postgresql://db/x?password=***&ssl=on"),
        ("wss://stream:9443/ws?token=hunter2", "wss://stream:9443/ws?token=***"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Of the user, or in the query; anything else stays readable."""
    assert masked_url(url) == shown


def test_no_secret_is_in_a_repr() -> None:
    """Not of the store's URL, a venue's options, at any depth, or a strategy's parameters."""
    secret = "hunter2"
    settings = Settings(
        store=StoreSettings(url=f"postgresql://bob:{secret}@db/x"),
        venues={
            "x": VenueTable(
                "x",
                {
                    "api_key": secret,
                    "api_secret": secret,
                    "db_password": secret,
                    "nested": {"list": [{"token": secret}], "url": f"wss://a:{secret}@b"},
                },
            )
        },
        strategies=(StrategySettings("a", "a.py:A", ["B.x"], {"token": secret, "size": 7}),),
    )
    assert secret not in repr(settings)
    assert secret not in str(settings.venues["x"].options)
    assert "'size': 7" in repr(settings)


def _short(_: object, field: attrs.Attribute[Any], value: str) -> None:
    if len(value) > 4:
        raise ValueError(f"{field.name}: {value} is too long")


@attrs.frozen
class PluginSettings:
    """What a venue's plug-in might declare."""

    api_key: str = attrs.field(repr=False, validator=_short, default="")
    url: str = "wss://example.org"
    mode: Literal["fast", "safe"] = "safe"
    fee_bps: Decimal = attrs.field(default=Decimal(10), validator=attrs.validators.ge(Decimal(0)))
    balances: dict[str, int] | None = attrs.field(default=None, metadata={"key": None})


def test_a_plug_in_reads_its_own_options() -> None:
    """A venue's table is read by the plug-in's class, with the same errors and the same paths."""
    settings = Settings.from_mapping(
        {"venues": {"x": {"kind": "x", "fee_bps": 7.5}, "y": {"kind": "x", "fee_bps": -1}}}
    )
    assert settings.venue_options("x", PluginSettings).fee_bps == Decimal("7.5")
    with pytest.raises(ConfigError, match=r"^venues\.y\.fee_bps: must be >= 0: -1$"):
        settings.venue_options("y", PluginSettings)
    with pytest.raises(ConfigError, match=r"^venues\.z: there is no table \[venues\.z\]"):
        settings.venue_options("z", PluginSettings)


@pytest.mark.parametrize("secret", ["hunter2", ["hunter2"], 20202020.5])
def test_no_secret_is_in_an_error(secret: object) -> None:
    """Neither where its type is wrong nor where a validator repeats it."""
    with pytest.raises(ConfigError) as caught:
        structure(PluginSettings, {"api_key": secret}, "venues.x")
    assert str(caught.value).startswith("venues.x.api_key: ")
    assert "hunter2" not in str(caught.value)
    assert "2020" not in str(caught.value)


def test_a_plug_in_that_would_show_a_secret_is_refused() -> None:
    """The mistake is the plug-in's author's, and is told before any key was read."""

    @attrs.frozen
    class Leaky:
        api_secret: str = ""

    with pytest.raises(TypeError, match=r"Leaky\.api_secret holds a secret: declare it repr=False"):
        structure(Leaky, {})


def test_a_reference_to_a_venue_names_the_nearest() -> None:
    """What a venue's own options refer to is checked by who knows the kinds, with this."""
    settings = Settings(venues={"binance": VenueTable("binance_spot")})
    assert settings.venue("binance", "venues.paper.market_data").kind == "binance_spot"
    with pytest.raises(ConfigError) as caught:
        settings.venue("binanc", "venues.paper.market_data")
    assert str(caught.value) == (
        'venues.paper.market_data: there is no table [venues.binanc]; did you mean "binance"?'
    )
