"""Backtest: the strategies, the order path and the risk gate of a live run, driven over history.

Stands above the runtime's layers and below the command line: it gives the same order manager, gate,
guard and strategy hosts another state, venue, market and clock, and calls them one event at a time.
"""
