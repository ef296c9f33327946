"""Whole runtimes on local exchanges that speak real venues' wires, over real sockets.

Judged from the exchange's own record alone: entries that rest, positions that are bare, orders that
were sent twice, fills that the journal has not.
"""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.process import judge
from tests.process.exchange_world import KINDS, KRAKEN, SPOT, USDM, Exchange, ExchangeWorld, Kind
from tests.process.support import BUDGET_SECS, FULL, NOISE_SECS, Run, share, strategy

pytestmark = pytest.mark.process

CORE = {
    "drop_after_accept:p=0.5": SPOT,
    "error_after_accept:p=0.5": KRAKEN,
    "delay_events:300": USDM,
    "duplicate_events": KRAKEN,
    "reorder_events": SPOT,
    "cut_sockets:0.5": USDM,
    "silent_socket": KRAKEN,
    "clock_skew:700": USDM,
    "clock_skew:-700": SPOT,
    "maintenance:2": USDM,
}
"""What goes wrong from before the stop until it is over, and the venue that every run of the tests
tries it on; with the full numbers each is tried on all.
"""

BY_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])

BENIGN = ("delay_events", "duplicate_events", "reorder_events", "clock_skew")
"""Faults under which a stop still ends clean."""

N = 12
"""Entries of a grid."""

GRID = strategy("grid", "Grid", n=N, at=0.98)
"""As far from the market as every venue lets an order be."""

SIZES = {"binance_spot": "0.1", "binance_usdm": "1", "kraken_spot": "0.1"}
LARGE = {"kraken_spot": {"tier": "pro"}}
"""Kraken lets smaller accounts have 60 or 80 open orders in a pair."""

EMPTY = strategy("grid", "Grid", n=0)


def rests(exchange: Exchange, n: int) -> bool:
    """Whether so many entries rest."""
    return exchange.counts()[0] >= n


def until_grid(exchange: Exchange, run: Run, n: int = N) -> None:
    """Wait until the grid's entries rest, and the stop of its position."""
    run.until(lambda: exchange.counts() == (n, 1), f"{n} entries and a stop")


@BY_KIND
def test_a_signal_stops_it_clean(tmp_path: Path, kind: Kind) -> None:
    """Entries are cancelled, the stop-loss rests, and the report says what the exchange's record
    says; the next start finds all of it, and changes nothing.
    """
    world = ExchangeWorld(tmp_path, kind)
    with world.exchange() as exchange:
        world.trade(exchange, GRID)
        with world.run() as run:
            until_grid(exchange, run)
            run.send(signal.SIGTERM)
            assert run.end() == 0, run
            assert run.took_secs < BUDGET_SECS + NOISE_SECS
        judge.check_clean(world, run, world.evidence())
        (stop,) = exchange.open_orders()
        world.trade(exchange, EMPTY)
        with world.run() as run:
            run.until_log("Market data flows")
            run.send(signal.SIGTERM)
            assert run.end() == 0, run
        judge.check_clean(world, run, world.evidence())
        assert [stop["order_id"]] == [order["order_id"] for order in exchange.open_orders()]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(fault, kind, id=f"{fault}-{kind}")
        for fault in CORE
        for kind in KINDS
        if FULL or CORE[fault] is kind
    ],
)
def test_a_stop_under_a_fault(tmp_path: Path, fault: str, kind: Kind) -> None:
    """Whatever the exchange does: nothing is sent twice, no fill is made up or doubled, the report
    is truthful, and once the exchange is well a start and a stop leave it in order.
    """
    for number in range(share(1, 20)):
        world = ExchangeWorld(tmp_path / str(number), kind)
        with (
            world.exchange() as exchange
        ):  # each time a new one: a real one's limits are a minute's
            world.trade(exchange, GRID, strategy("churn", "Churn", every=2))
            with world.run() as run:
                run.until(partial(rests, exchange, N), "entries")
                exchange.fault(fault)
                time.sleep(0.3)
                run.send(signal.SIGTERM)
                code = run.end()
            exchange.mend()
            found = judge.check_crash(world, run, world.evidence())
            report = run.report()
            assert report["exit_code"] == code
            if fault.partition(":")[0] in BENIGN:
                assert code == 0, run
            left = set(report["orders"]["left_open"])
            assert code == 3 or not found.entries(), run
            assert set(found.entries()) <= left, run
            heal(world, exchange)


def heal(world: ExchangeWorld, exchange: Exchange) -> None:
    """Have a runtime without a will of its own start and stop: all is in order after that."""
    world.trade(exchange, EMPTY, strategy("churn", "Churn", every=10**9))
    with world.run() as run:
        run.until_log("Market data flows")
        run.send(signal.SIGTERM)
        assert run.end() == 0, run
    judge.check_clean(world, run, world.evidence())


@BY_KIND
def test_killed_again_and_again(tmp_path: Path, kind: Kind) -> None:
    """After each kill: every order had its intent and was sent once, no fill is doubled or made up;
    in the end exchange and journal are equal, and all is covered.
    """
    world = ExchangeWorld(tmp_path, kind)
    with world.exchange() as exchange:
        world.trade(exchange, GRID, strategy("churn", "Churn", every=2))
        for number in range(share(2, 30)):
            with world.run() as run:
                run.until_log("Market data flows")
                time.sleep(0.2 + 0.37 * number % 1.1)
                run.kill()
            judge.check_crash(world, run, world.evidence())
        heal(world, exchange)


@pytest.mark.parametrize("kind", [USDM, KRAKEN], ids=["binance_usdm", "kraken_spot"])
def test_killed_with_the_switch_armed(tmp_path: Path, kind: Kind) -> None:
    """The exchange itself takes the entries away within the countdown; a restart protects again
    what the switch stripped, and says so.
    """
    world = ExchangeWorld(tmp_path, kind)
    with world.exchange() as exchange:
        world.trade(exchange, GRID, venue={"dead_mans_switch_secs": kind.switch_secs})
        with world.run() as run:
            until_grid(exchange, run)
            run.until(lambda: exchange.ask("state")["switches"], "an armed switch")
            run.kill()
        killed = time.monotonic()
        while exchange.counts()[0] and time.monotonic() < killed + kind.switch_secs + NOISE_SECS:
            time.sleep(0.02)
        gone_secs = time.monotonic() - killed
        assert exchange.counts()[0] == 0
        judge.check_crash(world, run, world.evidence())
        heal(world, exchange)
        assert exchange.counts() == (0, 1)
        print(f"{kind.name}: entries gone {gone_secs:.2f} s after the kill")


@BY_KIND
def test_a_stop_with_many_orders(tmp_path: Path, kind: Kind) -> None:
    """Over ten instruments, under the venue's own limits: none is left, in the time that any stop
    has, with few requests. With the full numbers they are a thousand.
    """
    world = ExchangeWorld(tmp_path, kind)
    with world.exchange() as exchange:
        symbols = sorted(exchange.ask("state")["quotes"])[:10]
        assert len(symbols) == 10
        world.instruments = [f"{symbol}.venue" for symbol in symbols]
        each = share(4, 100)
        many = strategy("many", "Many", n=each, per_sec=share(20, 6), size=SIZES[kind.name])
        world.trade(exchange, many, venue=LARGE.get(kind.name, {}))
        with world.run() as run:
            run.until(lambda: exchange.counts()[0] >= 10 * each, "all orders", share(60, 400))
            run.send(signal.SIGTERM)
            began = time.time_ns()
            assert run.end() == 0, run
            took_secs = run.took_secs
        assert exchange.open_orders() == []
        judge.check_clean(world, run, world.evidence())
        asked = [
            line
            for line in exchange.lines()
            if line["at_ns"] >= began and line["event"] in ("request", "message")
        ]
        report = run.report()
        print(
            f"{kind.name}: {report['orders']['cancelled']} orders cancelled, {len(asked)} requests,"
            f" the stop took {report['duration_secs']:.2f} s, the process {took_secs:.2f} s"
        )
        assert report["orders"]["cancelled"] >= 10 * each
        assert len(asked) <= 20 * len(symbols)  # however many orders there are
