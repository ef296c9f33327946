"""`[venues.NAME]` with `kind = "binance_spot"`: the settings, each checked as it is read."""

from __future__ import annotations

from typing import Final

import attrs

from trade_runtime.venues.wire.checks import base_url, whole_number

MAX_DEPTH_LIMIT: Final = 5000
"""The most levels a side that Binance gives in one snapshot."""


@attrs.frozen
class BinanceSpotSettings:
    """Where Binance is, and how deep a snapshot of the book goes.

    Attributes:
        ws_url: base URL of the streams, `wss://` or `ws://`; a closing slash makes no difference.
        rest_url: base URL of the REST API, `https://` or `http://`; the same.
        depth_limit: levels a side in a snapshot of the book, 1 to 5000. More cost more of the
            request weight: 50 at 1000, 250 above.
    """

    ws_url: str = attrs.field(
        default="wss://stream.binance.com:9443", validator=base_url("wss", "ws")
    )
    rest_url: str = attrs.field(
        default="https://api.binance.com", validator=base_url("https", "http")
    )
    depth_limit: int = attrs.field(default=1000, validator=whole_number(1, MAX_DEPTH_LIMIT))
