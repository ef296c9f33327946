"""`[venues.NAME]` with `kind = "binance_spot"`: the settings, each checked as it is read."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.secret import Secret
from trade_runtime.venues.binance.signing import Signer
from trade_runtime.venues.wire.checks import base_url, whole_number

MAX_DEPTH_LIMIT: Final = 5000
"""The most levels a side that Binance gives in one snapshot."""

MIN_RECV_WINDOW_MS: Final = 500
MAX_RECV_WINDOW_MS: Final = 60_000
"""How long Binance lets a request be under way at the most."""

API_PATH: Final = "/ws-api/v3"
"""Where the WebSocket API is, where its URL names no path."""


@attrs.frozen
class _Urls:
    """Where one of Binance's networks is."""

    ws: str
    rest: str
    ws_api: str


# Source: https://developers.binance.com/docs/binance-spot-api-docs/testnet/general-info
_LIVE: Final = _Urls(
    "wss://stream.binance.com:9443",
    "https://api.binance.com",
    f"wss://ws-api.binance.com:443{API_PATH}",
)
_TESTNET: Final = _Urls(
    "wss://stream.testnet.binance.vision:9443",
    "https://testnet.binance.vision",
    f"wss://ws-api.testnet.binance.vision:443{API_PATH}",
)


def _preset(testnet: bool) -> _Urls:
    return _TESTNET if testnet else _LIVE


def _none(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != 0:
        raise ConfigError(
            f"{field.name}: must be 0, got {value!r}: Binance Spot has no dead-man's switch"
        )


@attrs.frozen
class BinanceSpotSettings:
    """Where Binance is, whose account it is, and how deep a snapshot of the book goes.

    Attributes:
        live: orders go to the exchange; else they go to paper, and no key is needed.
        testnet: the URLs below are by default those of the testnet.
        api_key: of the account.
        api_secret: of that key: the text of an HMAC key, or an Ed25519 or RSA private key in PEM.
        ws_url: base URL of the streams, `wss://` or `ws://`; a closing slash makes no difference.
        rest_url: base URL of the REST API, `https://` or `http://`; the same.
        ws_api_url: URL of the WebSocket API, `wss://` or `ws://`; without a path, `/ws-api/v3`.
        depth_limit: levels a side in a snapshot of the book, 1 to 5000. More cost more of the
            request weight: 50 at 1000, 250 above.
        recv_window_ms: for how long after it was sent Binance may still take a request: what comes
            later is refused there. A new order of which nothing is known is in doubt for that long.
        dead_mans_switch_secs: 0, for there is none.
    """

    live: bool = False
    testnet: bool = False
    api_key: Secret | None = None
    api_secret: Secret | None = None
    ws_url: str = attrs.field(
        default=attrs.Factory(lambda self: _preset(self.testnet).ws, takes_self=True),
        validator=base_url("wss", "ws"),
    )
    rest_url: str = attrs.field(
        default=attrs.Factory(lambda self: _preset(self.testnet).rest, takes_self=True),
        validator=base_url("https", "http"),
    )
    ws_api_url: str = attrs.field(
        default=attrs.Factory(lambda self: _preset(self.testnet).ws_api, takes_self=True),
        validator=base_url("wss", "ws"),
    )
    depth_limit: int = attrs.field(default=1000, validator=whole_number(1, MAX_DEPTH_LIMIT))
    recv_window_ms: int = attrs.field(
        default=3000, validator=whole_number(MIN_RECV_WINDOW_MS, MAX_RECV_WINDOW_MS)
    )
    dead_mans_switch_secs: float = attrs.field(default=0.0, validator=_none)

    def __attrs_post_init__(self) -> None:
        """Refuse a key that cannot sign, and orders that would go elsewhere than their events."""
        if not self.live:
            return
        if self.api_key is not None and self.api_secret is not None:
            self.signer()
        preset = _preset(self.testnet)
        rest_is_given, api_is_given = (
            self.rest_url != preset.rest,
            self.ws_api_url != preset.ws_api,
        )
        if rest_is_given is not api_is_given and _site(self.rest_url) != _site(self.ws_api_url):
            missing = "rest_url" if api_is_given else "ws_api_url"
            raise ConfigError(
                f"{missing}: missing; orders would go to {_site(self.rest_url)}, and what becomes"
                f" of them would be heard from {_site(self.ws_api_url)}"
            )

    def signer(self) -> Signer:
        """Return what signs for the account; both keys are there.

        Raises:
            ConfigError: the secret cannot sign.
        """
        assert self.api_key is not None
        assert self.api_secret is not None
        return Signer(self.api_key.reveal(), self.api_secret.reveal())

    @property
    def ws_api(self) -> str:
        """The whole URL of the WebSocket API."""
        bare = self.ws_api_url.rstrip("/")
        return bare if urlsplit(bare).path else f"{bare}{API_PATH}"


def _site(url: str) -> str:
    """Return whose host it is: `binance.com` of `api.binance.com`."""
    host = urlsplit(url).hostname or ""
    return host if host.replace(".", "").isdigit() else ".".join(host.split(".")[-2:])
