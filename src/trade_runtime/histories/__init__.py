"""Histories: the formats that a backtest's data comes in.

Plug-ins of the runtime, found by entry points: below them `protocols`, `model` and `errors` alone.
Each gives events in chunks of bounded size and in the order of their times, or one error that names
the file and the row. Nothing is skipped in silence.
"""
