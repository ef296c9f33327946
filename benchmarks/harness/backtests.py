"""One backtest in a process of its own: ours by its command, a peer's by its runner.

Each engine reads the same ticks, runs the same strategy and says what it came to: its time, and by
its own books the fills, the position, the profit and the balances.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import attrs
import pyarrow.parquet as pq

from harness.measure import US
from harness.processes import run
from harness.report import progress

VERSIONS = {"v1": "1.231.0", "v2": "2.0.0rc6"}
"""Of NautilusTrader: the last of the line in Cython, and the newest of the one in Rust."""

INSTRUMENT = "BTCUSDT.sim"
PEERS = Path(__file__).resolve().parent.parent / "peers"
CONFIG = """
[runtime]
name = "bench"
seed = 1
[protection]
required = "off"
[risk]
max_order_notional = "1000000"
max_position = {{ "{instrument}" = "100" }}
[venues.sim]
kind = "paper"
latency_ms = 0
maker_fee_bps = 2
taker_fee_bps = 10
balances = {{ USDT = "10000000", BTC = "100" }}
[[backtest.data]]
instrument = "{instrument}"
kind = "quotes"
path = "{ticks}"
[instruments."{instrument}"]
tick = "0.01"
lot = "0.000001"
base = "BTC"
quote = "USDT"
[[strategies]]
name = "cross"
class = "{peers}/cross.py:Cross"
instruments = ["{instrument}"]
params = {{ every = {every}, sizes = {sizes}, away = {away}, alone = {alone} }}
"""


@attrs.frozen
class Task:
    """What to run.

    Attributes:
        ticks: the Parquet file.
        every: so many quotes an order; 0 for none.
        sizes: of the orders, in turn; one below 0 sells.
        away: so many ticks from the market a limit order rests; 0 for market orders.
        alone: no order while another one rests.
    """

    ticks: Path
    every: int
    sizes: Sequence[str]
    away: int = 0
    alone: bool = False


@attrs.frozen
class Traded:
    """A fill, exact."""

    ts_ns: int
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


@attrs.frozen
class Run:
    """What a run came to, by the engine's own books.

    Attributes:
        secs: of the event loop alone.
        quotes: how many it was given.
        orders: how many it placed; 0 where only the fills tell.
        peak_mib: the most memory that its process had.
        fills: oldest first; none of ours where they were not asked for.
        position: at the end.
        net_pnl: realised, less the fees.
        balances: by currency.
    """

    secs: float
    quotes: int
    orders: int
    peak_mib: float
    fills: Sequence[Traded]
    position: Decimal
    net_pnl: Decimal
    balances: Mapping[str, Decimal]

    @property
    def us_per_quote(self) -> float:
        """Microseconds of the event loop a quote."""
        return self.secs / self.quotes * US


def ours(task: Task, *, fills: bool) -> Run:
    """Run our backtest, by its command."""
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        folder = Path(made)
        config = folder / "bench.toml"
        # A list of texts is written in JSON as in TOML.
        config.write_text(
            CONFIG.format(
                instrument=INSTRUMENT,
                ticks=task.ticks,
                peers=PEERS,
                every=task.every,
                sizes=json.dumps(list(task.sizes)),
                away=task.away,
                alone=json.dumps(task.alone),
            ),
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "trade_runtime", "backtest", str(config), "--json"]
        found, peak_mib = run([*command, *(["--report", str(folder)] if fills else [])])
        rows = pq.read_table(folder / "trades.parquet").to_pylist() if fills else []
    return Run(
        secs=found["engine_secs"],
        quotes=found["events"],
        orders=found["orders"],
        peak_mib=peak_mib,
        fills=[_traded(*(row[name] for name in _FILL)) for row in rows],
        position=Decimal(found["positions"][INSTRUMENT]),
        net_pnl=Decimal(found["realised_pnl"]["USDT"]) - Decimal(found["fees"].get("USDT", 0)),
        balances={name: Decimal(held) for name, held in found["balances"].items()},
    )


def peers_own(python: Path, version: str, task: Task) -> Run:
    """Run a peer's backtest, in its own environment."""
    script = PEERS / f"nautilus_{version}.py"
    # Its warnings are between it and its libraries.
    asked = [task.ticks, task.every, ",".join(task.sizes), task.away, int(task.alone)]
    command = [python, "-W", "ignore", script, *asked]
    found, peak_mib = run([str(part) for part in command])
    return Run(
        secs=found["engine_secs"],
        quotes=found["quotes"],
        orders=0,
        peak_mib=peak_mib,
        fills=[_traded(*fill) for fill in found["fills"]],
        position=Decimal(found["position"]),
        net_pnl=Decimal(found["net_pnl"]),
        balances={name: Decimal(held) for name, held in found["balances"].items()},
    )


_FILL = ("ts_ns", "side", "quantity", "price", "fee")


def _traded(ts_ns: int, side: str, quantity: str, price: str, fee: str) -> Traded:
    return Traded(ts_ns, side, Decimal(quantity), Decimal(price), Decimal(fee))


def interpreters(folder: Path | None, *, install: str | None) -> dict[str, Path]:
    """Return the Python of each peer's environment.

    Args:
        folder: has an environment for each of `VERSIONS`; None for no peers.
        install: make those that are missing, with this Python and its pip; None makes none.
    """
    found: dict[str, Path] = {}
    if folder is None:
        return found
    for name, version in VERSIONS.items():
        python = folder.absolute() / name / "bin" / "python"
        if not python.exists() and install:
            progress(f"installing nautilus_trader {version}")
            _install(python, install, f"nautilus_trader=={version}", "pyarrow")
        if python.exists():
            found[name] = python
        else:
            progress(f"no {name} in {folder}: nautilus_trader {version} is left out")
    return found


def _install(python: Path, base: str, *wanted: str) -> None:
    """Make the environment of `python`, whole or not at all: one that is there is used as it is."""
    folder = python.parent.parent
    try:
        subprocess.run([base, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise SystemExit(
            f"{folder} could not be made: {error}; name a Python 3.12 with --python"
        ) from None
