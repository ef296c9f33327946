"""The command line: the only place with `trio.run`, signal handlers, log set-up and exit codes."""
