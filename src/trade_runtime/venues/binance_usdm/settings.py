"""`[venues.NAME]` with `kind = "binance_usdm"`: the settings, each checked as it is read."""

from __future__ import annotations

from typing import Any, Final, Literal

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.secret import Secret
from trade_runtime.venues.wire.checks import base_url, whole_number

DEPTH_LIMITS: Final = (5, 10, 20, 50, 100, 500, 1000)
"""Levels a side that a snapshot of the book can be asked for."""

MAX_SWITCH_SECS: Final = 86_400
"""The longest countdown of the dead-man's switch: a day."""

MAX_RECV_WINDOW_MS: Final = 60_000
"""What Binance allows at most."""

LIVE_URLS: Final = ("https://fapi.binance.com", "wss://fstream.binance.com")
TEST_URLS: Final = ("https://testnet.binancefuture.com", "wss://fstream.binancefuture.com")


def _depth(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or value not in DEPTH_LIMITS:
        known = ", ".join(map(str, DEPTH_LIMITS))
        raise ConfigError(f"{field.name}: must be one of {known}, got {value!r}")


def _one_of(*choices: str) -> Any:
    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if value not in choices:
            raise ConfigError(f"{field.name}: must be one of {', '.join(choices)}, got {value!r}")

    return check


@attrs.frozen
class BinanceUsdmSettings:
    """Where Binance USD-M Futures is, who we are there, and how it is used.

    Attributes:
        rest_url: base URL of the REST API, `https://` or `http://`; a closing slash makes no
            difference. Without it: Binance's own, of the testnet where `testnet` is set.
        ws_url: base URL of the streams, `wss://` or `ws://`; the routes `/public` and `/market` are
            added to it. Without it: as for `rest_url`.
        ws_private_url: the same of the private stream, with the route `/private`; without it:
            `ws_url`.
        depth_limit: levels a side in a snapshot of the book: 5, 10, 20, 50, 100, 500 or 1000.
        api_key: of the account; None for market data alone.
        api_secret: the secret of an HMAC key, or the private key of an Ed25519 or RSA one, in PEM.
        live: real orders. Without it the runtime trades on paper.
        testnet: the testnet's addresses instead of Binance's own.
        dead_mans_switch_secs: after how many seconds of silence Binance cancels the orders of every
            instrument that is traded; 0 for off.
        recv_window_ms: for how long after its timestamp Binance still takes a request.
        trigger_by: the price that stops and take-profits watch: the last trade (`contract`), or the
            mark price (`mark`).
    """

    rest_url: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(base_url("https", "http"))
    )
    ws_url: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(base_url("wss", "ws"))
    )
    ws_private_url: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(base_url("wss", "ws"))
    )
    depth_limit: int = attrs.field(default=1000, validator=_depth)
    api_key: Secret | None = None
    api_secret: Secret | None = None
    live: bool = False
    testnet: bool = False
    dead_mans_switch_secs: int = attrs.field(default=0, validator=whole_number(0, MAX_SWITCH_SECS))
    recv_window_ms: int = attrs.field(default=5000, validator=whole_number(1, MAX_RECV_WINDOW_MS))
    trigger_by: Literal["contract", "mark"] = attrs.field(
        default="contract", validator=_one_of("contract", "mark")
    )

    @property
    def _urls(self) -> tuple[str, str]:
        return TEST_URLS if self.testnet else LIVE_URLS

    @property
    def rest(self) -> str:
        """Where requests go."""
        return (self.rest_url or self._urls[0]).rstrip("/")

    @property
    def streams(self) -> str:
        """Where market data comes from, without its route."""
        return (self.ws_url or self._urls[1]).rstrip("/")

    @property
    def private_streams(self) -> str:
        """Where the account's events come from, without its route.

        It follows `ws_url`, so that who trades on an exchange of his own never listens to another.
        """
        return (self.ws_private_url or self.ws_url or self._urls[1]).rstrip("/")
