"""`[venues.NAME]` with `kind = "kraken_spot"`: the settings, each checked as it is read."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, Literal

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.secret import Secret
from trade_runtime.venues.wire.checks import base_url, whole_number

DEPTHS: Final = (10, 25, 100, 500, 1000)
"""Levels a side that Kraken's `book` channel can be asked for."""

MAX_SWITCH_SECS: Final = 86_400
"""The longest countdown of the dead-man's switch that Kraken takes: a day."""

REST_URL: Final = "https://api.kraken.com"
WS_PRIVATE_URL: Final = "wss://ws-auth.kraken.com"

Tier = Literal["starter", "intermediate", "pro"]


def _one_of(*choices: str) -> Any:
    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if value not in choices:
            raise ConfigError(f"{field.name}: must be one of {', '.join(choices)}, got {value!r}")

    return check


def _depth(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or value not in DEPTHS:
        known = ", ".join(map(str, DEPTHS))
        raise ConfigError(f"{field.name}: must be one of {known}, got {value!r}")


def _no_testnet(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value:
        raise ConfigError(
            f"{field.name}: Kraken has no testnet for spot; trade on the local exchange instead:"
            " `python -m trade_runtime exchange --venue kraken --port N`, and set rest_url, ws_url"
            " and ws_private_url to it"
        )


def _ascii(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, Secret):
        text = value.reveal()
        if not (text.isascii() and text.isprintable() and text.strip() == text != ""):
            raise ConfigError(f"{field.name}: must be a line of ASCII without blanks around it")


def _base64(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Secret):
        return
    try:
        good = bool(base64.b64decode(value.reveal(), validate=True))
    except (binascii.Error, ValueError):
        good = False
    if not good:  # what it is instead is not repeated: it may be a secret all the same
        raise ConfigError(f"{field.name}: Kraken's private keys are base64; this one is not")


@attrs.frozen
class KrakenSpotSettings:
    """Where Kraken is, who we are there, and how it is used.

    Attributes:
        rest_url: base URL of the REST API, `https://` or `http://`; a closing slash makes no
            difference.
        ws_url: base URL of the public WebSocket, `wss://` or `ws://`; `/v2` may be left out.
        ws_private_url: the same of the private one.
        book_depth: levels a side of an order book: 10, 25, 100, 500 or 1000. Kraken's checksum
            covers the first 10 alone.
        api_key: the public half of the key; None for market data alone.
        api_secret: the private half, in base64 as Kraken shows it.
        live: real orders. Without it the runtime trades on paper.
        testnet: refused: Kraken has none.
        dead_mans_switch_secs: after how many seconds of silence Kraken cancels every order of the
            account, stop-losses too; 0 for off.
        tier: of the account, which sets how fast orders may be sent.
        trigger_reference: the price that stops and take-profits watch: the last trade at Kraken, or
            the index of the wider market.
    """

    rest_url: str = attrs.field(default=REST_URL, validator=base_url("https", "http"))
    ws_url: str = attrs.field(default="wss://ws.kraken.com", validator=base_url("wss", "ws"))
    ws_private_url: str = attrs.field(default=WS_PRIVATE_URL, validator=base_url("wss", "ws"))
    book_depth: int = attrs.field(default=10, validator=_depth)
    api_key: Secret | None = attrs.field(default=None, validator=_ascii)
    api_secret: Secret | None = attrs.field(default=None, validator=_base64)
    live: bool = False
    testnet: bool = attrs.field(default=False, validator=_no_testnet)
    dead_mans_switch_secs: int = attrs.field(default=0, validator=whole_number(0, MAX_SWITCH_SECS))
    tier: Tier = attrs.field(
        default="intermediate", validator=_one_of("starter", "intermediate", "pro")
    )
    trigger_reference: Literal["last", "index"] = attrs.field(
        default="last", validator=_one_of("last", "index")
    )

    def __attrs_post_init__(self) -> None:
        """Refuse orders that would go elsewhere than where their events come from."""
        ours = (self.rest_url == REST_URL, self.ws_private_url == WS_PRIVATE_URL)
        if self.live and ours[0] is not ours[1]:
            missing = "rest_url" if ours[0] else "ws_private_url"
            raise ConfigError(
                f"{missing}: missing; the account's orders would go to {self.ws_private_url}, and"
                f" be asked for at {self.rest_url}"
            )

    @property
    def key(self) -> tuple[Secret, Secret] | None:
        """Both halves of the key, or None where there is none."""
        if self.api_key is None or self.api_secret is None:
            return None
        return self.api_key, self.api_secret


def v2(url: str) -> str:
    """Return the URL of a WebSocket from its base URL."""
    return f"{url.rstrip('/').removesuffix('/v2')}/v2"
