"""A folder with a configuration and a strategy file, as a trader has it, and what is done to it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import trio
import trio.testing

from trade_runtime.lifecycle.clock import TrioClock
from trade_runtime.runtime import open_runtime
from trade_runtime.settings import Settings

CONFIG = """\
[runtime]
name = "world"
data_dir = "./state"
seed = 1
[venues.sim]
kind = "synthetic"
seed = 3
[venues.paper]
kind = "paper"
market_data = "sim"
balances = { USDT = "100000", ETH = "5" }
[protection]
stop_pct = 5.0
[[strategies]]
name = "buyer"
class = "buyer.py:Buyer"
instruments = ["ETHUSDT.paper"]
"""

STRATEGY = '''\
"""Buys once, and keeps a bid far below."""
from trade_runtime import Strategy

class Buyer(Strategy):
    def on_quote(self, quote):
        if not self.trader.open_orders() and not self.trader.position(quote.instrument).quantity:
            self.trader.market(quote.instrument, "buy", "0.5")
            self.trader.limit(quote.instrument, "buy", "0.1", "1000")
'''


@attrs.frozen
class World:
    """A trader's folder."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def journal(self) -> Path:
        return self.folder / "state" / "journal.sqlite"

    def write(self, change: Callable[[str], str] = lambda text: text) -> None:
        (self.folder / "buyer.py").write_text(STRATEGY)
        self.config.write_text(change(CONFIG))

    def trade(self, secs: float = 3.0) -> Settings:
        """Run it for some virtual seconds, and stop it in order."""
        settings = Settings.from_toml(self.config)

        async def main() -> None:
            async with open_runtime(settings, clock=TrioClock()):
                await trio.sleep(secs)

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
        return settings

    def digest(self) -> dict[str, str]:
        """What is there: every name, its kind and mode, every byte, every time of change."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            facts = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            digest = hashlib.sha256(content).hexdigest()[:16]
            found[str(path)] = f"{facts.st_mode:o} {facts.st_mtime_ns} {digest}"
        return found


def command(*args: str | Path, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "trade_runtime", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
