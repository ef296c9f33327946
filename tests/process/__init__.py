"""Real processes, real signals, real kills, real files, judged from outside.

Everything here runs `python -m trade_runtime` as a trader does and then looks at what it left: the
exit status, the log, the stop report, the journal through `verify`, and the paper venue's own
record. Nothing of the runtime's memory is asked.
"""
