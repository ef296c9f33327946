"""`python -m trade_runtime`."""

from trade_runtime.cli.main import main

main()
