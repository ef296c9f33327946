"""The frames and snapshots of a recording that the server itself has to understand.

Quotes, trades, changes and snapshots of books; all other streams are handed on unread. Numbers
stay the texts that they are. What does not fit raises the JSON library's own error, which
`facts.read_facts` turns into one that names the line.
"""

from __future__ import annotations

import msgspec

Texts = tuple[tuple[str, str], ...]


class Quote(msgspec.Struct):
    """`bookTicker`."""

    u: int
    b: str
    B: str
    a: str
    A: str
    E: int = 0
    T: int = 0


class Trade(msgspec.Struct):
    """`trade`."""

    t: int
    p: str
    q: str
    T: int
    m: bool = False
    E: int = 0


class Depth(msgspec.Struct):
    """`depth`."""

    U: int
    u: int
    b: Texts
    a: Texts
    E: int = 0
    T: int = 0
    pu: int = 0


class Snapshot(msgspec.Struct):
    """The answer of `/api/v3/depth`."""

    lastUpdateId: int  # noqa: N815
    bids: Texts
    asks: Texts


class _Frame(msgspec.Struct):
    data: msgspec.Raw


_frame = msgspec.json.Decoder(_Frame)
_quote = msgspec.json.Decoder(Quote)
_trade = msgspec.json.Decoder(Trade)
_depth = msgspec.json.Decoder(Depth)
_snapshot = msgspec.json.Decoder(Snapshot)


def decode_quote(body: bytes) -> Quote:
    """Decode a frame of `bookTicker`."""
    return _quote.decode(_frame.decode(body).data)


def decode_trade(body: bytes) -> Trade:
    """Decode a frame of `trade`."""
    return _trade.decode(_frame.decode(body).data)


def decode_depth(body: bytes) -> Depth:
    """Decode a frame of `depth`."""
    return _depth.decode(_frame.decode(body).data)


def payload_of(body: bytes) -> bytes:
    """Return the payload of a frame of a combined stream."""
    return bytes(_frame.decode(body).data)


def decode_snapshot(body: bytes) -> Snapshot:
    """Decode a recorded snapshot."""
    return _snapshot.decode(body)


def kind_of(stream: str) -> tuple[str, str]:
    """Return the symbol and the kind of a stream: `quote`, `trade`, `depth` or `other`."""
    name, _, rest = stream.partition("@")
    if rest == "depth" or rest.startswith("depth@"):
        return name.upper(), "depth"
    return name.upper(), {"bookTicker": "quote", "trade": "trade"}.get(rest, "other")
