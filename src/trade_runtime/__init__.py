"""trade_runtime: a trading runtime that cannot be stopped wrong."""
