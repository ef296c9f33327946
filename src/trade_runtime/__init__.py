"""trade_runtime: a trading runtime that cannot be stopped wrong.

Write a `Strategy`; run it with `python -m trade_runtime run CONFIG`, or inside your own Trio
program with `open_runtime`. However it stops, no order is orphaned, no position is left without its
stop-loss, no fill is lost, a report says so, and it starts again where it was.
"""

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
