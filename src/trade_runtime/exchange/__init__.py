"""The local exchange: one account and one matching core, behind the wire of a real venue.

For bots on trial and for our own tests; the command `exchange` runs it on the loopback. It stands
beside `replay`, above the plug-ins: the adapters know nothing of it and are proved by it.

    views, steps        what goes in and comes out, in no venue's wire
    core, ledger        the account, its orders, the matching core underneath
    market, sources     the market, and what moves it
    faults, switch      what goes wrong on command; the dead-man's switch
    limits              rate limits as a venue enforces them
    record, clock       its own record as JSON lines; its clock, which may be wrong
    floor               all of these together, and what a face must be
    sockets, control    a client's WebSocket under the faults; the control endpoints
    server              all of it behind one port
    kinds, faces        what differs by venue; the wires themselves
"""

from __future__ import annotations
