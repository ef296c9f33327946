"""A backtest against NautilusTrader: the same ticks, the same strategy, and the same fills.

    python benchmarks/bench_backtest.py --peers FOLDER

FOLDER has an environment of its own for each version, `v1` and `v2`; `--install` makes those that
are missing, with Python 3.12 and the versions named here. Without peers, ours alone is measured.
Each run is a process of its own, in turns, and reports the time of its event loop alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from harness.measure import figure, spread
from harness.report import main, progress
from harness.ticks import write_ticks

HERE = Path(__file__).resolve().parent
VERSIONS = {"v1": "1.231.0", "v2": "2.0.0rc6"}
ORDERS = (0, 1_000, 2_000, 4_000, 20_000)
"""Orders for each 100,000 quotes."""
SLOW_ORDERS = {"v1": 4_000}
"""The most that a peer is asked for: beyond, a run takes minutes."""
FLAT = (1_000, 10_000, 100_000, 1_000_000)

CONFIG = """
[runtime]
name = "bench"
seed = 1
[protection]
required = "off"
[risk]
max_order_notional = "1000000"
max_position = {{ "BTCUSDT.sim" = "100" }}
[venues.sim]
kind = "paper"
latency_ms = 0
fee_bps = 10
balances = {{ USDT = "10000000", BTC = "100" }}
[[backtest.data]]
instrument = "BTCUSDT.sim"
kind = "quotes"
path = "{ticks}"
[instruments."BTCUSDT.sim"]
tick = "0.01"
lot = "0.000001"
base = "BTC"
quote = "USDT"
[[strategies]]
name = "cross"
class = "{strategy}:Cross"
instruments = ["BTCUSDT.sim"]
params = {{ every = {every} }}
"""

Run = dict[str, Any]


def ours(folder: Path, ticks: Path, every: int, *, fills: bool) -> Run:
    """Run our backtest, by its command, and return its figures and, if asked for, its fills."""
    config = folder / "bench.toml"
    strategy = HERE / "peers" / "cross.py"
    config.write_text(CONFIG.format(ticks=ticks, strategy=strategy, every=every), encoding="utf-8")
    more = ["--report", str(folder / "report")] if fills else []
    command = [sys.executable, "-m", "trade_runtime", "backtest", str(config), "--json", *more]
    run: Run = json.loads(_output(command).splitlines()[-1])
    if fills:
        import pyarrow.parquet as pq  # noqa: PLC0415 - only this needs it

        rows = pq.read_table(folder / "report" / "trades.parquet").to_pylist()
        run["fills"] = [[r["ts_ns"], r["side"], r["quantity"], r["price"], r["fee"]] for r in rows]
    return run


def peer(python: Path, version: str, ticks: Path, every: int) -> Run:
    """Run the peer's backtest in its own environment."""
    script = HERE / "peers" / f"nautilus_{version}.py"
    run: Run = json.loads(_output([str(python), str(script), str(ticks), str(every)]))
    run["us_per_event"] = run["engine_secs"] / run["quotes"] * 1e6
    return run


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2_000:]}")
    return done.stdout.strip().splitlines()[-1]


def compared(mine: Run, theirs: Run) -> dict[str, Any]:
    """Hold the fills of two engines against each other, each number as an exact decimal."""
    own = [(f[0], f[1], *map(Decimal, f[2:5])) for f in mine["fills"]]
    other = [
        (f[0], f[1], Decimal(f[2]), Decimal(f[3]), Decimal(f[4].split()[0]))
        for f in theirs["fills"]
    ]
    return {
        "fills": [len(own), len(other)],
        "fills_equal": sum(a[:4] == b[:4] for a, b in zip(own, other, strict=False)),
        "fees_equal": sum(a[4] == b[4] for a, b in zip(own, other, strict=False)),
        "largest_fee_difference": float(
            max((abs(a[4] - b[4]) for a, b in zip(own, other, strict=False)), default=Decimal(0))
        ),
        "realised": [str(_realised(own)), str(_realised(other))],
        "position": [str(_position(own)), str(_position(other))],
    }


def _realised(fills: list[Any]) -> Decimal:
    """Return what round trips of one buy and one sell realised: the strategy makes no others."""
    return sum((f[3] * f[2] * (1 if f[1] == "sell" else -1) for f in fills), Decimal(0)).normalize()


def _position(fills: list[Any]) -> Decimal:
    return sum((f[2] * (1 if f[1] == "buy" else -1) for f in fills), Decimal(0)).normalize()


def interpreters(peers: Path | None, *, install: bool) -> dict[str, Path]:
    """Return the Python of each peer's environment; make what is missing, if told to."""
    found: dict[str, Path] = {}
    if peers is None:
        return found
    for name, version in VERSIONS.items():
        python = peers / name / "bin" / "python"
        if not python.exists() and install:
            progress(f"installing nautilus_trader {version}")
            subprocess.run(["python3.12", "-m", "venv", str(peers / name)], check=True)
            wanted = [f"nautilus_trader=={version}", "pyarrow"]
            subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
        if python.exists():
            found[name] = python
    return found


def measure(tiny: bool) -> Mapping[str, Any]:
    """Measure."""
    arguments = ARGUMENTS
    pythons = interpreters(arguments.peers, install=arguments.install)
    quotes, rounds = (2_000, 1) if tiny else (arguments.quotes, arguments.rounds)
    by_orders: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        folder = Path(made)
        ticks = folder / "ticks.parquet"
        write_ticks(ticks, quotes)
        for orders in ORDERS:
            every = 100_000 // orders if orders else 0
            by_orders[str(orders)] = _point(folder, ticks, every, orders, pythons, rounds)
        flat = {} if tiny else _flatness(folder, arguments.flat)
    return {"quotes": quotes, "orders_per_100000_quotes": by_orders, "flatness": flat}


def _point(
    folder: Path, ticks: Path, every: int, orders: int, pythons: Mapping[str, Path], rounds: int
) -> dict[str, Any]:
    asked = {name: p for name, p in pythons.items() if orders <= SLOW_ORDERS.get(name, orders)}
    times: dict[str, list[float]] = {"ours": [], **{name: [] for name in asked}}
    oracle: dict[str, Any] = {}
    for number in range(rounds):
        progress(f"{orders} orders, round {number + 1} of {rounds}")
        run = ours(folder, ticks, every, fills=not number and bool(orders))
        times["ours"].append(run["us_per_event"])
        for name, python in asked.items():
            theirs = peer(python, name, ticks, every)
            times[name].append(theirs["us_per_event"])
            if not number and orders:
                oracle[name] = compared(run, theirs)
    mine = median(times["ours"])
    return {
        "us_per_quote": {name: figure(median(found)) for name, found in times.items()},
        "spread": {name: spread(found) for name, found in times.items()},
        "times_as_fast": {n: figure(median(f) / mine) for n, f in times.items() if n != "ours"},
        "against": oracle,
    }


def _flatness(folder: Path, most: int) -> dict[str, float]:
    """Return microseconds an order, beyond what the quotes take, for more and more orders."""
    ticks = folder / "many.parquet"
    found: dict[str, float] = {}
    for orders in (count for count in FLAT if count <= most):
        quotes = orders * 5
        progress(f"{orders} orders in one run")
        write_ticks(ticks, quotes)
        with_orders = ours(folder, ticks, 5, fills=False)
        without = ours(folder, ticks, 0, fills=False)
        beyond = with_orders["engine_secs"] - without["engine_secs"]
        found[str(orders)] = figure(beyond / with_orders["orders"] * 1e6)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--quotes", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flat", type=int, default=100_000)
    known, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    return known


if __name__ == "__main__":
    ARGUMENTS = _arguments()
    main("backtest", measure)
