"""Serves a recording of market data over the real wire, on loopback; the command `replay` runs it.

Stands beside the plug-ins: it imports `errors` and `protocols` alone, and shares no code with the
venue whose wire it speaks, so that each can be proved by the other.

    recording, facts     reads a recording, and what one pass over it tells
    book, position       the venue's state at a point of it
    turns, faults        playing it over and over; faults on request
    feed, rest           a client's stream, the REST answers
    server               all of it behind one port; `serving` has the wire
"""

from __future__ import annotations

from trade_runtime.replay.faults import KINDS, Fault, parse_fault
from trade_runtime.replay.feed import AtEnd
from trade_runtime.replay.server import Speed, parse_speed, serve_replay

__all__ = ["KINDS", "AtEnd", "Fault", "Speed", "parse_fault", "parse_speed", "serve_replay"]
