"""What every test gets: the same examples in every run, and a log that costs nothing."""

from __future__ import annotations

import hypothesis
import structlog

# Repeatable: the examples depend on the test alone. No deadline: a busy machine is no failure.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")

# The default renderer draws a box around every local variable of a traceback: far too slow here.
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.processors.KeyValueRenderer()]
)
