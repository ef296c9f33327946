"""What the adapters of real exchanges share: connections, payloads, and the rules of safe order
entry.

It knows no exchange by name. An adapter brings what is its exchange's own (a codec without I/O, how
a request is signed, what an answer means); what must never be wrong, whatever the exchange, is here
once.

    payload     text that came over a wire: decoded with care, shown with care
    http        one bounded request at a time, and whether a failed one may have arrived
    link        one WebSocket connection, with its time limits
    budget      what an exchange lets us send, and who goes first (no I/O)
    sending     requests on their way, and what is made of their outcome
    together    works of one connection: the first that fails ends them all
    checks      settings that several adapters have
"""
