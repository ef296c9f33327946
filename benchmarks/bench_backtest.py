"""A backtest against NautilusTrader: the same ticks, the same strategy, and the same fills.

    python benchmarks/bench_backtest.py --peers FOLDER

FOLDER has an environment of its own for each version, `v1` and `v2`; `--install` makes those that
are missing, with `--python`. Without peers, ours alone is measured. Each run is a process of its
own, in turns, and reports the time of its event loop alone. Ends with exit code 1 where the engines
do not come to the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from harness.backtests import VERSIONS, Run, Task, interpreters, ours, peers_own
from harness.measure import US, figure, spread
from harness.oracle import agrees, compared
from harness.report import parser, progress, run
from harness.ticks import write_ticks

ORDERS = (0, 1_000, 2_000, 4_000, 20_000)
"""Orders for each `PER_QUOTES` quotes."""
PER_QUOTES = 100_000
IN_TURN = ("0.01", "-0.01")
"""Buy, sell: the position opens and closes."""
FLIPS = ("0.01", "0.02", "-0.05", "0.03", "-0.02", "-0.04", "0.06", "-0.01")
"""The position grows, shrinks, and turns from long to short and back; eight orders make it flat."""
FLIPS_ORDERS = 4_000
RESTING_TICKS = (1, 7, 40)
"""How far from the market orders with a limit rest."""
SEVERAL = ("ours", "v2")
"""Who can be compared where one quote reaches several orders. In NautilusTrader 1 a fill moves the
market to its price until the next quote, and so hides it from orders that lie farther.
"""
SLOW_SECS = 60.0
"""A run that takes longer is not repeated."""
GROWTH = (1_000, 10_000, 100_000, 1_000_000)
"""Orders of one run of ours."""
GROWTH_EVERY = 5

Engines = Mapping[str, Callable[[Task], Run]]


def measure(tiny: bool, given: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    quotes, rounds = (2_000, 1) if tiny else (given.quotes, given.rounds)
    installer = given.python if given.install else None
    peers = {
        name: partial(peers_own, python, name)
        for name, python in interpreters(given.peers, install=installer).items()
    }
    engines: Engines = {"ours": partial(ours, fills=bool(peers)), **peers}
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        ticks = Path(made) / "ticks.parquet"
        write_ticks(ticks, quotes)
        points = [_point(engines, ticks, orders, rounds) for orders in ORDERS]
        for point in points:
            point["us_per_order"] = _us_per_order(point, points[0])
        flips = _flips(engines, ticks) if peers else {}
        resting = [
            _resting(engines, ticks, away, alone)
            for away in (RESTING_TICKS if peers else ())
            for alone in (True, False)
        ]
        growth = [_growth(Path(made), orders, rounds) for orders in _sizes(tiny, given.growth)]
    return {
        "versions": {name: VERSIONS[name] for name in peers},
        "quotes": quotes,
        "points": points,
        "flips": flips,
        "resting": resting,
        "growth": growth,
    }


def _point(engines: Engines, ticks: Path, orders: int, rounds: int) -> dict[str, Any]:
    """Time every engine at so many orders, in turns, and compare the first run of each."""
    task = Task(ticks, PER_QUOTES // orders if orders else 0, IN_TURN)
    runs: dict[str, list[Run]] = {name: [] for name in engines}
    for number in range(rounds):
        for name, engine in engines.items():
            if number and runs[name][0].secs > SLOW_SECS:
                continue
            progress(f"{orders} orders for {PER_QUOTES} quotes, {name}, {number + 1} of {rounds}")
            runs[name].append(engine(task))
    times = {name: [one.us_per_quote for one in found] for name, found in runs.items()}
    mine = median(times["ours"])
    return {
        "orders_per_100000": orders,
        "rounds": {name: len(found) for name, found in times.items()},
        "us_per_quote": {name: figure(median(found)) for name, found in times.items()},
        "least_us_per_quote": {name: figure(min(found)) for name, found in times.items()},
        "spread": {name: spread(found) for name, found in times.items()},
        "times_as_fast": {
            n: figure(median(found) / mine) for n, found in times.items() if n != "ours"
        },
        "against": _against({name: found[0] for name, found in runs.items()}),
    }


def _us_per_order(point: Mapping[str, Any], idle: Mapping[str, Any]) -> dict[str, float]:
    """Return what an order adds to what the quotes take."""
    orders = point["orders_per_100000"]
    if not orders:
        return {}
    return {
        name: figure((took - idle["us_per_quote"][name]) * PER_QUOTES / orders)
        for name, took in point["us_per_quote"].items()
    }


def _flips(engines: Engines, ticks: Path) -> dict[str, Any]:
    """Compare orders that make the position grow, shrink and turn."""
    task = Task(ticks, PER_QUOTES // FLIPS_ORDERS, FLIPS)
    progress("a position that grows, shrinks and turns")
    return _against({name: engine(task) for name, engine in engines.items()})


def _resting(engines: Engines, ticks: Path, away: int, alone: bool) -> dict[str, Any]:
    """Compare orders with a limit that rest until the market reaches them."""
    task = Task(ticks, PER_QUOTES // FLIPS_ORDERS, FLIPS, away, alone)
    progress(f"{'one order rests' if alone else 'orders rest'} {away} ticks away")
    runs = {name: engine(task) for name, engine in engines.items() if alone or name in SEVERAL}
    return {"ticks_away": away, "alone": alone, "against": _against(runs)}


def _against(runs: Mapping[str, Run]) -> dict[str, Any]:
    return {n: compared(runs["ours"], theirs) for n, theirs in runs.items() if n != "ours"}


def _sizes(tiny: bool, most: int) -> list[int]:
    return [min(GROWTH) // 10] if tiny else [orders for orders in GROWTH if orders <= most]


def _growth(folder: Path, orders: int, rounds: int) -> dict[str, Any]:
    """Time so many orders in one run of ours."""
    ticks = folder / "growth.parquet"
    write_ticks(ticks, orders * GROWTH_EVERY)
    times, peaks = [], []
    for number in range(rounds):
        progress(f"{orders} orders in one run, {number + 1} of {rounds}")
        busy = ours(Task(ticks, GROWTH_EVERY, IN_TURN), fills=False)
        idle = ours(Task(ticks, 0, IN_TURN), fills=False)
        times.append((busy.secs - idle.secs) / busy.orders * US)
        peaks.append(busy.peak_mib)
    return {
        "orders": orders,
        "us_per_order": figure(median(times)),
        "least_us_per_order": figure(min(times)),
        "spread": spread(times),
        "peak_mib": figure(median(peaks)),
    }


def _disagreements(found: Mapping[str, Any]) -> list[str]:
    """Return where the engines do not come to the same."""
    every = [(f"{p['orders_per_100000']} orders", p["against"]) for p in found["points"]]
    resting = [
        (f"{r['ticks_away']} ticks away, alone: {r['alone']}", r["against"])
        for r in found["resting"]
    ]
    return [
        f"{where}, {name}: {against[name]}"
        for where, against in (*every, ("flips", found["flips"]), *resting)
        for name in against
        if not agrees(against[name])
    ]


def main() -> None:
    """Read the command line, measure, and judge."""
    options = parser()
    options.add_argument("--peers", type=Path, metavar="FOLDER", help="environments v1 and v2")
    options.add_argument("--install", action="store_true", help="make those that are missing")
    options.add_argument("--python", default="python3.12", help="what --install makes them with")
    options.add_argument("--quotes", type=int, default=PER_QUOTES, help="of a run")
    options.add_argument("--rounds", type=int, default=5, help="each engine runs so often")
    options.add_argument("--growth", type=int, default=max(GROWTH), help="most orders of a run")
    given = options.parse_args()
    off: list[str] = []

    def measured(tiny: bool) -> dict[str, Any]:
        found = measure(tiny, given)
        off.extend(_disagreements(found))
        return found

    run("backtest", measured, tiny=given.tiny)
    for line in off:
        progress(f"differs: {line}")
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
