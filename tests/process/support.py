"""A trader's folder, and runtimes that run there as processes of their own.

A test waits for what it needs to see (a line of the log, orders in the venue's record) and never
for a time to pass; every wait has an end that fails the test with the log in hand.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

STRATEGIES = Path(__file__).with_name("strategies.py")

ETH = "ETHUSDT.paper"

FULL = bool(os.environ.get("TRADE_RUNTIME_FULL"))
"""Try the full numbers instead of the share that every run of the tests takes."""

SEED = int(os.environ.get("TRADE_RUNTIME_SEED", "1"))
"""Of the random moments: another one tries other moments."""

PATIENCE_SECS = 40.0
"""How long anything that must come may take, on a slow and busy machine."""

BUDGET_SECS = 5.0
"""Within which a stop with the default budgets is over."""

NOISE_SECS = 3.0
"""What a busy machine may add to a bound that the runtime keeps by itself."""

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \[(\w+) *\] ")
"""How each record of the text log begins."""


def share(few: int, many: int) -> int:
    """Return how often to repeat: few times as a rule, many where the full numbers are asked."""
    return many if FULL else few


def toml(table: Mapping[str, Any], path: str = "") -> str:
    """Return a configuration as TOML: of what JSON knows, which writes scalars the same way."""
    own, rest = "", ""
    for key, value in table.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and path in ("", "venues"):
            rest += toml(value, name)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for item in value:
                rest += f"[[{name}]]\n" + "".join(
                    f"{json.dumps(k)} = {_value(v)}\n" for k, v in item.items()
                )
        else:
            own += f"{json.dumps(key)} = {_value(value)}\n"
    return (f"[{path}]\n{own}" if own else "") + rest


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def strategy(name: str, cls: str, **params: Any) -> dict[str, Any]:
    """Return the table of one strategy of `strategies.py`."""
    return {
        "name": name,
        "class": f"{STRATEGIES}:{cls}",
        "instruments": [ETH],
        "params": params,
    }


def grid(n: int = 50, size: str = "0.01") -> dict[str, Any]:
    """Return a strategy that rests `n` entries and holds one protected position."""
    return strategy("grid", "Grid", n=n, size=size)


class World:
    """A trader's folder: a configuration, and what runtimes leave there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.config = folder / "config.toml"
        self.data_dir = folder / "state"
        self.venue = self.data_dir / "paper.paper.sqlite"
        self.journal = self.data_dir / "journal.sqlite"
        self.postgres_url = ""
        """Where the journal is instead, if it is in PostgreSQL."""
        self._runs = 0

    def configure(
        self,
        *strategies: Mapping[str, Any],
        market: Mapping[str, Any] | None = None,
        venue: Mapping[str, Any] | None = None,
        faults: Sequence[Mapping[str, Any]] = (),
        **sections: Mapping[str, Any],
    ) -> None:
        """Write the configuration.

        Args:
            strategies: their tables.
            market: instead of the synthetic market at full speed.
            venue: over what the paper venue is otherwise given.
            faults: of the paper venue.
            sections: others, or over those there are.
        """
        paper: dict[str, Any] = {
            "kind": "paper",
            "market_data": "sim",
            "latency_ms": 5,
            "balances": {"USDT": "10000000", "ETH": "1000"},
            **(venue or {}),
        }
        if faults:
            paper["faults"] = list(faults)
        tables: dict[str, Any] = {
            "runtime": {"name": "world", "data_dir": "./state"},
            "venues": {
                "sim": market or {"kind": "synthetic", "speed": "max"},
                "paper": paper,
            },
            "protection": {"stop_pct": 5.0, "grace_secs": 0.2},
            "strategies": list(strategies),
        }
        for name, table in sections.items():
            tables[name] = {**tables.get(name, {}), **table}
        self.config.write_text(toml(tables))

    @contextlib.contextmanager
    def run(self, *args: str, **how: Any) -> Iterator[Run]:
        """Start a runtime; it is killed if the test leaves it behind.

        Args:
            args: for `run CONFIG`.
            how: for Popen.
        """
        self._runs += 1
        base = self.folder / f"run-{self._runs}"
        report = base.with_suffix(".report.json")
        command = ["run", str(self.config), "--report", str(report), *args]
        with start(base, "-m", "trade_runtime", *command, **how) as run:
            run.report_path = report
            yield run

    def verify(self) -> dict[str, Any]:
        """Have the journal proven by the command line; it must be sound."""
        done = command("verify", self.config)
        assert done.returncode == 0, done.stdout + done.stderr
        verdict: dict[str, Any] = json.loads(done.stdout)
        assert verdict["ok"] is True
        return verdict

    def live(self, query: str) -> list[Any]:
        """Ask the venue's record while a runtime writes it; nothing where there is none yet."""
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{self.venue}?mode=ro", uri=True, timeout=5)
            ) as db:
                return db.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []

    def entries_open(self) -> int:
        """Count the entry orders that rest, while a runtime runs."""
        rows = self.live("SELECT count(*) FROM orders WHERE status='open' AND type='limit'")
        return rows[0][0] if rows else 0

    def stops_open(self) -> int:
        """Count the stops that rest, while a runtime runs."""
        rows = self.live("SELECT count(*) FROM orders WHERE status='open' AND type='stop_market'")
        return rows[0][0] if rows else 0

    def until_grid(self, run: Run, n: int = 50, stops: int = 1) -> None:
        """Wait until the grid's entries and the stop of its position rest at the venue."""
        run.until(
            lambda: self.entries_open() >= n and self.stops_open() >= stops,
            f"{n} entries and {stops} stops at the venue",
        )

    def leftovers(self) -> list[str]:
        """Name the files of an open database that are still there."""
        found = self.data_dir.rglob("*")
        return sorted(p.name for p in found if p.name.endswith(("-wal", "-shm", ".lock", ".part")))


class Run:
    """A process that runs, or ran; its standard streams go to files."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self.report_path = Path()
        self._out, self._err = out, err
        self.began = time.monotonic()
        self.signalled = self.began

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def log(self) -> str:
        return self._err.read_text(errors="replace")

    def __repr__(self) -> str:
        return f"exit {self.process.poll()}\n{self.out[-1500:]}\n{self.log[-6000:]}"

    def until(self, seen: Callable[[], object], what: str, secs: float = PATIENCE_SECS) -> None:
        """Wait until something is to be seen; fail if the process ends or it does not come."""
        end = time.monotonic() + secs
        while not seen():
            ended = self.process.poll() is not None
            if ended and seen():
                return
            assert not ended, f"it ended before there was {what}: {self}"
            assert time.monotonic() < end, f"no {what} within {secs} s: {self}"
            time.sleep(0.01)

    def until_log(self, text: str, secs: float = PATIENCE_SECS) -> None:
        """Wait for a line of the log."""
        self.until(lambda: text in self.log, f"{text!r} in the log", secs)

    def send(self, *signals: signal.Signals, gap_secs: float = 0.01) -> None:
        """Send signals one after the other, as long as the process is there."""
        self.signalled = time.monotonic()
        for index, number in enumerate(signals):
            if index:
                time.sleep(gap_secs)
            if self.process.poll() is None:
                self.process.send_signal(number)

    def kill(self) -> None:
        """End it as the kernel does: nothing of it runs any more."""
        self.process.kill()
        self.process.wait()

    def end(self, secs: float = PATIENCE_SECS) -> int:
        """Wait for its end and return its exit status; fail where it does not come."""
        try:
            return self.process.wait(secs)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {secs} s: {self}") from None

    def end_of_start(self, number: signal.Signals) -> int:
        """As `end`, after a signal in the first moments. Before it has read a line of ours, Python
        raises for Ctrl-C wherever it is, and may be where nobody hears of it: it says so on stderr,
        and whoever pressed Ctrl-C presses it again.
        """
        end = time.monotonic() + PATIENCE_SECS
        while self.process.poll() is None and time.monotonic() < end:
            if "Exception ignored in" in self.log and "\nKeyboardInterrupt" in self.log:
                self.send(number)
                break
            time.sleep(0.01)
        return self.end()

    @property
    def age_secs(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.began

    @property
    def took_secs(self) -> float:
        """Seconds since the last `send`; read it right after `end`."""
        return time.monotonic() - self.signalled

    def report(self) -> dict[str, Any]:
        """Return its stop report."""
        assert self.report_path.exists(), f"it left no report: {self}"
        report: dict[str, Any] = json.loads(self.report_path.read_text())
        return report

    def records(self) -> list[dict[str, Any]]:
        """Return its log, of the JSON format: every line must be a whole record."""
        text = self.log
        assert text.endswith("\n"), f"the last line is torn: {self}"
        records = []
        for line in text.splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                raise AssertionError(f"no whole record: {line!r} in {self}") from None
        return records

    @property
    def unborn(self) -> bool:
        """A signal ended it before it listened: Python was still reading the program.

        What ended it then is the system (a negative status) or Python; it has logged nothing.
        """
        logged = LINE.search(self.log) or self.log.startswith("{")
        return self.process.returncode in (1, -2, -15) and not logged

    def check_text(self) -> None:
        """Check the log, of the text format: every record begins on a line of its own."""
        text = self.log
        assert text.endswith("\n"), f"the last line is torn: {self}"
        assert LINE.match(text), f"it begins with no record: {self}"
        for line in text.splitlines():
            starts = [match.start() for match in LINE.finditer(line)]
            assert starts in ([], [0]), f"two records on a line: {line!r}"

    def check_log(self) -> None:
        """Check that every line is whole, of whichever format the log is."""
        if self.log.startswith("{"):
            self.records()
        else:
            self.check_text()


@contextlib.contextmanager
def start(base: Path, *args: str, **how: Any) -> Iterator[Run]:
    """Start Python with `args`; its streams go to `base` with `.out` and `.err`."""
    out, err = base.with_suffix(".out"), base.with_suffix(".err")
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, *args],
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": stdout,
                "stderr": stderr,
                "start_new_session": True,
                **how,
            },
        )
    try:
        yield Run(process, out, err)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextlib.contextmanager
def replayed(recording: Path, base: Path) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Serve a recording, over and over, as fast as it is read, from a process of its own.

    Gives that process, and the table of a venue that reads there.
    """
    how = ["--port", "0", "--speed", "max", "--at-end", "loop"]
    with start(base, "-m", "trade_runtime", "replay", str(recording), *how) as server:
        server.until(lambda: "http://" in server.out, "a port")
        port = int(server.out.rpartition(":")[2])
        yield server, loopback_market(port)


def loopback_market(port: int) -> dict[str, Any]:
    """Return the table of a source of market data on a port of loopback, whoever is there."""
    return {
        "kind": "binance_spot",
        "ws_url": f"ws://127.0.0.1:{port}",
        "rest_url": f"http://127.0.0.1:{port}",
    }


def command(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "trade_runtime", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECS,
        check=False,
    )


def until_fault(run: Run, after_secs: float) -> None:
    """Wait until a fault of the venue with this `after_secs` has begun.

    Its time counts from the opening of the venue, however long the start took before.
    """
    run.until_log("Private connection is up")
    until_age(run, run.age_secs + after_secs)


def until_age(run: Run, secs: float) -> None:
    """Wait until a process that runs is so old."""
    run.until(lambda: run.age_secs > secs, f"an age of {secs:.3f} s")


STAGES = ["halt", "cancel", "protect", "flush", "close", "verify"]
STAGES_OK = [(name, "ok") for name in STAGES]
