"""The tests of trade_runtime."""
