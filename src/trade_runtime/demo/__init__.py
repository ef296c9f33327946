"""The demo: a simulated market, a paper venue, a journal in SQLite, and strategies that trade.

What `python -m trade_runtime` runs. It needs no configuration and no network, and keeps its state
in a folder, so that the next demo goes on from where this one was stopped, in whatever way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from trade_runtime.settings import Settings

_STRATEGIES: Final = "trade_runtime.demo.strategies"

CONFIGURATION: Final[dict[str, Any]] = {
    "runtime": {"name": "demo"},
    "store": {"url": "sqlite:///journal.sqlite"},
    "venues": {
        # A market that moves fast enough for something to happen while one looks at it.
        "sim": {
            "kind": "synthetic",
            "quotes_per_sec": 10,
            "volatility_bps": 4,
            "trade_probability": 0.4,
        },
        "paper": {
            "kind": "paper",
            "market_data": "sim",
            "latency_ms": 20,
            "fee_bps": 1,
            "balances": {"USDT": "1000000", "BTC": "5", "ETH": "50", "SOL": "500"},
        },
    },
    "risk": {
        "max_order_notional": "25000",
        "max_position": {"ETHUSDT.paper": "12", "BTCUSDT.paper": "1", "SOLUSDT.paper": "20"},
        "max_open_orders": 50,
    },
    "protection": {"required": "all", "stop_pct": 1.0, "grace_secs": 0.5},
    "strategies": [
        {
            "name": "maker",
            "class": f"{_STRATEGIES}:Maker",
            "instruments": ["ETHUSDT.paper"],
            "params": {"size": "1", "levels": 3, "spread_bps": 6, "max_position": "8"},
        },
        {
            "name": "trend",
            "class": f"{_STRATEGIES}:Trend",
            "instruments": ["BTCUSDT.paper"],
            "params": {"size": "0.3", "fast": 20, "slow": 60, "stop_pct": "0.5"},
        },
        {
            "name": "scalper",
            "class": f"{_STRATEGIES}:Trend",
            "instruments": ["SOLUSDT.paper"],
            "params": {"size": "6", "fast": 8, "slow": 24, "stop_pct": "0.2"},
        },
    ],
}
"""The configuration of the demo, as a TOML file would have it."""


def demo_settings(data_dir: Path) -> Settings:
    """Return the settings of the demo; nothing is created.

    Args:
        data_dir: the folder of its state.
    """
    runtime = {**CONFIGURATION["runtime"], "data_dir": str(data_dir)}
    return Settings.from_mapping({**CONFIGURATION, "runtime": runtime}, Path.cwd())
