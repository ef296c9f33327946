"""`python -m trade_runtime`, and the command `trade-runtime`."""

from __future__ import annotations

import signal

# Until the guard takes over, nothing is open and Ctrl-C ends the process at once. Python's own
# handler would raise in the midst of some import, where it may get lost.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from trade_runtime.cli.main import main

if __name__ == "__main__":
    main()
