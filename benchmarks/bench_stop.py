"""From SIGTERM to the exit of a real process, by how many orders rest when it is told to stop.

The process is the command line's own, with the paper venue at 20 ms and a synthetic market. Beside
it, in turns, a bare Trio program shows what ending costs a Python process that has nothing to end.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from harness.measure import figure, spread
from harness.report import main, progress

ORDERS = (0, 100, 1_000)
LATENCY_MS = 20.0
HARNESS = Path(__file__).parent / "harness"

CONFIG = """\
[runtime]
name = "bench"
data_dir = "./state"
[venues.sim]
kind = "synthetic"
seed = 1
quotes_per_sec = 100
[venues.paper]
kind = "paper"
market_data = "sim"
latency_ms = {latency_ms}
balances = {{ USDT = "10000000", ETH = "5" }}
[risk]
max_open_orders = 5000
[[strategies]]
name = "resting"
class = "{strategy}:Resting"
instruments = ["ETHUSDT.paper"]
params = {{ orders = {orders} }}
"""


def time_to_exit(command: list[str], folder: Path) -> tuple[float, int]:
    """Start a program, wait until it is ready, and time its end; return its exit code too."""
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            process.kill()
            raise RuntimeError((folder / "log.txt").read_text(encoding="utf-8"))
        began = perf_counter()
        process.send_signal(signal.SIGTERM)
        process.stdout.read()  # to its end: the process closes it as it exits
        code = process.wait()
        return perf_counter() - began, code


def stop_once(orders: int) -> dict[str, Any]:
    """Time one stop with so many resting orders."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config, report = folder / "config.toml", folder / "report.json"
        config.write_text(
            CONFIG.format(
                latency_ms=LATENCY_MS, orders=orders, strategy=(HARNESS / "resting.py").as_posix()
            ),
            encoding="utf-8",
        )
        run = ["-m", "trade_runtime", "run", str(config), "--log-format", "text"]
        secs, code = time_to_exit([sys.executable, *run, "--report", str(report)], folder)
        told = json.loads(report.read_text(encoding="utf-8"))
    return {
        "secs": secs,
        "exit_code": code,
        "cancelled": told["orders"]["cancelled"],
        "report_secs": told["duration_secs"],
        "stages": {stage["name"]: stage["took_secs"] for stage in told["stages"]},
    }


def bare_once() -> float:
    """Time one stop of the bare program."""
    with tempfile.TemporaryDirectory() as name:
        return time_to_exit([sys.executable, str(HARNESS / "bare_stop.py")], Path(name))[0]


def summary(stops: list[dict[str, Any]], bare: float) -> dict[str, Any]:
    """Return what the stops with one number of orders come to."""
    secs = median(stop["secs"] for stop in stops)
    return {
        "exit_ms": figure(secs * 1e3),
        "latencies": figure(secs * 1e3 / LATENCY_MS),
        "latencies_beyond_bare": figure((secs - bare) * 1e3 / LATENCY_MS),
        "spread": spread([stop["secs"] for stop in stops]),
        "report_ms": figure(median(stop["report_secs"] for stop in stops) * 1e3),
        "stages_ms": {
            name: figure(median(stop["stages"][name] for stop in stops) * 1e3)
            for name in stops[0]["stages"]
        },
        "exit_codes": sorted({stop["exit_code"] for stop in stops}),
        "cancelled": sorted({stop["cancelled"] for stop in stops}),
    }


def measure(tiny: bool) -> dict[str, Any]:
    """Measure every number of orders, in turns."""
    rounds, numbers = (1, (0, 5)) if tiny else (7, ORDERS)
    bare: list[float] = []
    stops: dict[int, list[dict[str, Any]]] = {orders: [] for orders in numbers}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        bare.append(bare_once())
        for orders in numbers:
            stops[orders].append(stop_once(orders))
    nothing = median(bare)
    return {
        "latency_ms": LATENCY_MS,
        "bare_exit_ms": figure(nothing * 1e3),
        "open_orders": {str(orders): summary(stops[orders], nothing) for orders in numbers},
    }


if __name__ == "__main__":
    main("stop", measure)
