"""Pure state machines: events in, state and commands out. No clock, no I/O, nothing to await.

The same objects run live, in virtual time and in a backtest. An event that a machine's table does
not know raises and changes nothing.
"""
