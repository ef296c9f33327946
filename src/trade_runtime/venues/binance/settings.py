"""`[venues.NAME]` with `kind = "binance_spot"`: the settings, each checked as it is read."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from trade_runtime.errors import ConfigError

MAX_DEPTH_LIMIT: Final = 5000
"""The most levels a side that Binance gives in one snapshot."""


def _url(*schemes: str) -> Any:
    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        wanted = " or ".join(f"{scheme}://HOST[:PORT]" for scheme in schemes)
        if not isinstance(value, str):
            raise ConfigError(f"{field.name}: must be {wanted}, got {value!r}")
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number, a broken IPv6 address
            good, parts = False, None
        if not good or parts is None or not value.isprintable() or " " in value:
            raise ConfigError(f"{field.name}: must be {wanted}, got {value!r}")
        if parts.query or parts.fragment or parts.username is not None:
            raise ConfigError(
                f"{field.name}: must be a plain base URL, without a user, ? or #, got {value!r}"
            )

    return check


def _depth_limit(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_DEPTH_LIMIT:
        raise ConfigError(
            f"{field.name}: must be a whole number from 1 to {MAX_DEPTH_LIMIT}, got {value!r}"
        )


@attrs.frozen
class BinanceSpotSettings:
    """Where Binance is, and how deep a snapshot of the book goes.

    Attributes:
        ws_url: base URL of the streams, `wss://` or `ws://`; a closing slash makes no difference.
        rest_url: base URL of the REST API, `https://` or `http://`; the same.
        depth_limit: levels a side in a snapshot of the book, 1 to 5000. More cost more of the
            request weight: 50 at 1000, 250 above.
    """

    ws_url: str = attrs.field(default="wss://stream.binance.com:9443", validator=_url("wss", "ws"))
    rest_url: str = attrs.field(default="https://api.binance.com", validator=_url("https", "http"))
    depth_limit: int = attrs.field(default=1000, validator=_depth_limit)
