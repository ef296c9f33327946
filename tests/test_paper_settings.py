"""The paper venue's configuration: what it understands, and one clear sentence for each mistake."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trade_runtime.errors import ConfigError
from trade_runtime.model.orders import OrderType
from trade_runtime.settings import structure
from trade_runtime.venues.paper import FaultSettings, PaperSettings


def test_reads_the_whole_table() -> None:
    """As TOML gives it: numbers or strings for what is exact."""
    read = structure(
        PaperSettings,
        {
            "market_data": "binance",
            "latency_ms": 20,
            "fee_bps": 7.5,
            "maker_fee_bps": -1,
            "taker_fee_bps": "4",
            "queue": "back",
            "leverage": 5,
            "order_types": ["market", "trailing_stop"],
            "amend": False,
            "oco": False,
            "balances": {"USDT": "10000", "ETH": 5},
            "seed": 3,
            "faults": [{"kind": "delay", "on": "submit", "delay_ms": 100}],
        },
        "venues.paper",
    )
    assert read == PaperSettings(
        market_data="binance",
        latency_ms=20.0,
        fee_bps=Decimal("7.5"),
        maker_fee_bps=Decimal(-1),
        taker_fee_bps=Decimal(4),
        queue="back",
        leverage=Decimal(5),
        order_types=(OrderType.MARKET, OrderType.TRAILING_STOP),
        amend=False,
        oco=False,
        balances={"USDT": Decimal(10_000), "ETH": Decimal(5)},
        seed=3,
        faults=(FaultSettings(kind="delay", on="submit", delay_ms=100.0),),
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"latency_ms": -1}, "venues.paper.latency_ms: must be a finite number from 0 to 60000"),
        ({"fee_bps": -1}, "venues.paper.fee_bps: must be from 0 up to, not including, 10000"),
        ({"fee_bps": 10_000}, "venues.paper.fee_bps: must be from 0"),
        ({"maker_fee_bps": -10_000}, "venues.paper.maker_fee_bps: must be above -10000 and below"),
        ({"taker_fee_bps": "x"}, "venues.paper.taker_fee_bps"),
        ({"leverage": "0.5"}, "venues.paper.leverage: must be from 1 to 1000, got 0.5"),
        ({"queue": "middle"}, 'venues.paper.queue: expected one of "front", "back", got a'),
        ({"order_types": ["stop"]}, "venues.paper.order_types"),
        ({"order_types": "market"}, "venues.paper.order_types"),
        ({"amend": "yes"}, "venues.paper.amend"),
        ({"balances": {"ETH": "-1"}}, "venues.paper.balances: ETH must be at least 0, got -1"),
        ({"market_dat": "x"}, 'unknown key; did you mean "market_data"?'),
        ({"seed": "x"}, "venues.paper.seed"),
        ({"faults": [{"kind": "explode"}]}, "venues.paper.faults[0].kind"),
        ({"faults": [{"kind": "drop", "on": "order"}]}, "venues.paper.faults[0].on"),
        ({"faults": [{"kind": "drop", "probability": 2}]}, "faults[0].probability: must be a"),
        ({"faults": [{"kind": "reject", "on": "event"}]}, 'has no meaning on "event"'),
        ({"faults": [{"kind": "drop"}] * 101}, "faults: at most 100, got 101"),
    ],
)
def test_a_mistake_is_told_with_its_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        structure(PaperSettings, table, "venues.paper")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
