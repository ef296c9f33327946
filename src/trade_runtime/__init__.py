"""trade_runtime: a trading runtime that cannot be stopped wrong.

Write a `Strategy`; run it with `python -m trade_runtime run CONFIG`, or inside your own Trio
program with `open_runtime`. However it stops, no order is orphaned, no position is left without its
stop-loss, no fill is lost, a report says so, and it starts again where it was.
"""

from __future__ import annotations

from importlib import import_module

# As of `typing`, which would be one more import before the command line can see to signals.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from trade_runtime.cli.signals import handle_signals
    from trade_runtime.errors import (
        ConfigError,
        OrderRefused,
        StoreError,
        TradeRuntimeError,
        VenueError,
    )
    from trade_runtime.lifecycle.report import StopReport
    from trade_runtime.machines.ledger import Position
    from trade_runtime.machines.order import Order, OrderUpdate
    from trade_runtime.machines.order_book import OrderBook
    from trade_runtime.model.events import Fill
    from trade_runtime.model.instrument import Instrument
    from trade_runtime.model.market import Bar, Quote, Trade
    from trade_runtime.model.orders import Side
    from trade_runtime.runtime import Runtime, open_runtime, serve
    from trade_runtime.settings import Settings, ShutdownConfig
    from trade_runtime.strategy import Strategy
    from trade_runtime.version import __version__

_HOMES = {
    "__version__": "trade_runtime.version",
    "Bar": "trade_runtime.model.market",
    "ConfigError": "trade_runtime.errors",
    "Fill": "trade_runtime.model.events",
    "handle_signals": "trade_runtime.cli.signals",
    "Instrument": "trade_runtime.model.instrument",
    "open_runtime": "trade_runtime.runtime",
    "Order": "trade_runtime.machines.order",
    "OrderBook": "trade_runtime.machines.order_book",
    "OrderRefused": "trade_runtime.errors",
    "OrderUpdate": "trade_runtime.machines.order",
    "Position": "trade_runtime.machines.ledger",
    "Quote": "trade_runtime.model.market",
    "Runtime": "trade_runtime.runtime",
    "serve": "trade_runtime.runtime",
    "Settings": "trade_runtime.settings",
    "ShutdownConfig": "trade_runtime.settings",
    "Side": "trade_runtime.model.orders",
    "StopReport": "trade_runtime.lifecycle.report",
    "StoreError": "trade_runtime.errors",
    "Strategy": "trade_runtime.strategy",
    "Trade": "trade_runtime.model.market",
    "TradeRuntimeError": "trade_runtime.errors",
    "VenueError": "trade_runtime.errors",
}
"""Where each name is from. It is looked up when it is first asked for, so that the command line can
see to signals before anything takes its time.
"""


def __getattr__(name: str) -> object:
    """Return a public name, the first time that it is asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    """Return the public names, looked up or not."""
    return sorted(globals().keys() | _HOMES.keys())


__all__ = [
    "Bar",
    "ConfigError",
    "Fill",
    "Instrument",
    "Order",
    "OrderBook",
    "OrderRefused",
    "OrderUpdate",
    "Position",
    "Quote",
    "Runtime",
    "Settings",
    "ShutdownConfig",
    "Side",
    "StopReport",
    "StoreError",
    "Strategy",
    "Trade",
    "TradeRuntimeError",
    "VenueError",
    "__version__",
    "handle_signals",
    "open_runtime",
    "serve",
]
