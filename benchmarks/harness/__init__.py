"""What the benchmarks share: a way to measure, a way to report, and worlds to measure in.

    measure     medians, percentiles, memory
    report      the command line of a benchmark, and the JSON that it prints
    market      made-up quotes, and a market whose stream is a function of the benchmark's
    orders      a venue that only takes orders, and a store that remembers what was committed
    raw         commits of such a store, made by nothing but the database's own driver
    servers     a PostgreSQL server to measure on, and databases of it
    journals    a made-up journal, as long as is wanted
    opening     opens a journal as a start does, in a process of its own
    world       a runtime made of these
    wire        a made-up recording, and the programs that serve it
    processes   what a process came to, and the memory that it had
    ticks       a made-up history, as a file
    backtests   a backtest in a process of its own, ours or a peer's
    oracle      holds what two of these came to against each other

A later benchmark is a file `bench_NAME.py` with a function `measure(tiny)` that returns a mapping.
"""
