"""A runtime inside your own Trio program. Runs offline for a few seconds and prints the report.

    python examples/embedding.py

Your program keeps its signal handlers, its tasks and its scopes: leaving the block, or cancelling
it, is the ordered stop, and the report is there when the block has ended.
"""

import json
import sys
import tempfile

import structlog
import trio

from trade_runtime import Quote, Settings, StopReport, Strategy, open_runtime


class Buyer(Strategy):
    """Buys once; the runtime protects what it holds."""

    def on_quote(self, quote: Quote) -> None:
        """Buy, if there is neither a position nor an order."""
        held = self.trader.closable(quote.instrument)
        if not held and not self.trader.open_orders(quote.instrument):
            self.trader.market(quote.instrument, "buy", "0.25")


def settings(data_dir: str) -> Settings:
    """Return what a TOML file would say: a simulated market and a paper venue on it."""
    return Settings.from_mapping(
        {
            "runtime": {"name": "embedded", "data_dir": data_dir},
            "venues": {
                "sim": {"kind": "synthetic"},
                "paper": {
                    "kind": "paper",
                    "market_data": "sim",
                    "balances": {"USDT": "10000"},
                },
            },
            "protection": {"stop_pct": 2.0},
        }
    )


async def trade(data_dir: str, secs: float) -> StopReport:
    """Trade for some seconds beside a task of this program, and return the report of the stop."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(something_else)
        strategy = Buyer("buyer", ["ETHUSDT.paper"])
        async with open_runtime(settings(data_dir), strategies=[strategy]) as runtime:
            with trio.move_on_after(secs):
                await runtime.stopped()  # only if it stops by itself
        nursery.cancel_scope.cancel()
    assert runtime.report is not None
    return runtime.report


async def something_else() -> None:
    """Whatever else your program does."""
    await trio.sleep_forever()


def main() -> int:
    """Run it, print the report, and end with the exit code that says how the stop went."""
    # The runtime logs through structlog, set up as your program likes it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory() as data_dir:
        report = trio.run(trade, data_dir, 3.0)
    json.dump(report.as_dict(), sys.stdout, indent=2)
    print()
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
