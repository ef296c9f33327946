#!/usr/bin/env python3
"""Try a stop by hand: start the demo, send it the signals you choose, and look at what is left.

    python scripts/try_a_stop.py                      # SIGINT, as Ctrl-C sends it
    python scripts/try_a_stop.py TERM                 # as `docker stop` and `kill` do
    python scripts/try_a_stop.py INT INT              # the second one forces the exit
    python scripts/try_a_stop.py KILL                 # nothing of it runs any more
    python scripts/try_a_stop.py HUP --after 20       # the terminal is gone

It prints the log of the stop, the exit status, the stop report, what rests in the paper venue's own
record, and what `verify` says of the journal. Where the stop was none (a kill, a forced exit) it
then starts the demo once more, so that the recovery can be seen, and stops it in order.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SIGNALS = ("INT", "TERM", "HUP", "KILL")
GAP_SECS = 0.01
START_SECS = 30.0
END_SECS = 60.0

EXIT_CODES = {
    0: "stopped clean, and verified",
    1: "forced exit",
    2: "bad usage or configuration",
    3: "stopped, but not clean: the report says what is left",
    4: "a part failed; the stop that followed was clean",
}


def main() -> int:
    """Try one stop; return 0 if everything was as it should be in the end."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog=f"SIGNAL is one of {', '.join(SIGNALS)}; several are sent 10 ms apart.",
    )
    parser.add_argument("signals", nargs="*", metavar="SIGNAL", default=["INT"])
    parser.add_argument("--after", type=float, default=8.0, help="seconds of trading before it")
    parser.add_argument("--data-dir", type=Path, help="a folder to keep; default: a temporary one")
    options = parser.parse_args()
    names = [name.upper().removeprefix("SIG") for name in options.signals]
    if unknown := [name for name in names if name not in SIGNALS]:
        parser.error(f"unknown signal {unknown[0]}; there are {', '.join(SIGNALS)}")
    with contextlib.ExitStack() as stack:
        folder = options.data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        numbers = [signal.Signals[f"SIG{name}"] for name in names]
        code = one_life(folder / "demo", folder, numbers, options.after)
        if code not in (0, 3):
            heading("The next start recovers, and is stopped in order")
            code = one_life(folder / "demo", folder, [signal.SIGINT], 3.0)
        return code


def one_life(data_dir: Path, folder: Path, signals: Sequence[signal.Signals], secs: float) -> int:
    """Run the demo, end it, and show what it left; return its exit status."""
    log, report = folder / "log.txt", folder / "report.json"
    report.unlink(missing_ok=True)
    demo = [sys.executable, "-m", "trade_runtime", "--data-dir", str(data_dir)]
    with log.open("wb") as stderr:
        process = subprocess.Popen([*demo, "--report", str(report)], stderr=stderr)
    try:
        until_running(process, log)
        print(f"pid {process.pid} trades for {secs:g} s ...", flush=True)
        time.sleep(secs)
        before = len(log.read_text())
        began = time.monotonic()
        for index, number in enumerate(signals):
            time.sleep(GAP_SECS if index else 0)
            if process.poll() is None:
                process.send_signal(number)
        code = process.wait(END_SECS)
        took = time.monotonic() - began
    finally:
        process.kill()
        process.wait()
    heading("What the log says since " + ", ".join(number.name for number in signals))
    print(log.read_text()[before:].rstrip() or "nothing: it had no chance to")
    meaning = EXIT_CODES.get(code, f"killed by {signal.Signals(-code).name}" if code < 0 else "?")
    heading(f"Exit status {code} after {took:.2f} s: {meaning}")
    print(report.read_text().rstrip() if report.exists() else "no report: it had no chance to")
    show_venue(data_dir)
    heading("What verify says of the journal")
    config = folder / "verify.toml"
    config.write_text(f"[runtime]\ndata_dir = {json.dumps(str(data_dir.absolute()))}\n")
    subprocess.run([*demo[:3], "verify", str(config)], check=False)
    return code


def until_running(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until strategies trade."""
    end = time.monotonic() + START_SECS
    while "Market data flows" not in log.read_text():
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"the demo did not start:\n{log.read_text()}")
        time.sleep(0.05)


def show_venue(data_dir: Path) -> None:
    """Print what rests at the venue, by its own record."""
    heading("What rests in the venue's own record")
    query = (
        "SELECT client_order_id, instrument, side, type, quantity, price, trigger_price"
        " FROM orders WHERE status = 'open' ORDER BY seq"
    )
    record = data_dir / "paper.paper.sqlite"
    with contextlib.closing(sqlite3.connect(record)) as db:
        rows = db.execute(query).fetchall()
    for row in rows:
        print("  ".join("" if value is None else str(value) for value in row))
    if not rows:
        print("nothing")


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n--- {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
