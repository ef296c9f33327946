"""What the project is tried with, for everyone: the sweep, repeatable runs, conformance suites.

- `sweep`: stop a scenario in every way at every scheduling step, restart it, judge from outside.
- `run_deterministically`: run an async function so that one seed gives one schedule.
- `check_store`: what every store must do, for a store of one's own.
- `check_venue`: what every adapter must do, at a test exchange, for an adapter of one's own.
"""

from trade_runtime.testing.runner import run_deterministically
from trade_runtime.testing.stores import check_store
from trade_runtime.testing.sweep import SweepResult, Violation, sweep
from trade_runtime.testing.venue_lab import VenueLab
from trade_runtime.testing.venues import VenueResult, check_venue

__all__ = [
    "SweepResult",
    "VenueLab",
    "VenueResult",
    "Violation",
    "check_store",
    "check_venue",
    "run_deterministically",
    "sweep",
]
