"""Who may trade: Kraken's signatures, its growing nonces, and the tokens of its WebSocket."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import sha256, sha512
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from trade_runtime.errors import ConfigError
from trade_runtime.exchange.faces.kraken_spot.words import ARGUMENTS, NS, Wrong
from trade_runtime.exchange.floor import Floor
from trade_runtime.serving import Request

TOKEN_SECS: Final = 900
"""Within so long a token has to be used; after that it lasts as long as the connection."""

MAX_TOKENS: Final = 10_000
"""Tokens that are remembered; the oldest end."""

_params = msgspec.json.Decoder(dict[str, Any])


class Doorman:
    """Lets requests in.

    Args:
        floor: the key, and the clock.

    Raises:
        ConfigError: the secret is not base64, as Kraken's are.
    """

    def __init__(self, floor: Floor) -> None:
        try:
            self._secret = base64.b64decode(floor.api_secret, validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(
                "--api-secret: Kraken's private keys are base64; try"
                f" {base64.b64encode(b'a secret for trying').decode()}"
            ) from None
        self._floor = floor
        self._last_nonce = -1
        self._tokens: dict[str, tuple[int, bool]] = {}
        self._made = 0

    def params(self, request: Request) -> dict[str, Any]:
        """Return the parameters of a private request, its signature and nonce checked.

        Raises:
            Wrong: it is not let in.
        """
        key = request.headers.get("api-key", "")
        if not hmac.compare_digest(key.encode(), self._floor.api_key.encode()):
            raise Wrong("EAPI:Invalid key")
        body = request.body.decode(errors="replace")
        params = _read(body, request.headers.get("content-type", ""))
        nonce = str(params.get("nonce", ""))
        inner = sha256((nonce + body).encode()).digest()
        digest = hmac.new(self._secret, request.target.encode() + inner, sha512).digest()
        signed = request.headers.get("api-sign", "")
        if not hmac.compare_digest(base64.b64encode(digest), signed.encode()):
            raise Wrong("EAPI:Invalid signature")
        if not nonce.isascii() or not nonce.isdigit() or int(nonce) <= self._last_nonce:
            raise Wrong("EAPI:Invalid nonce")
        self._last_nonce = int(nonce)
        return params

    def new_token(self) -> str:
        """Return a token for the WebSocket."""
        self._made += 1
        text = f"{self._floor.clock.base.now_ns()}/{self._made}"
        token = base64.b64encode(hmac.new(self._secret, text.encode(), sha256).digest()).decode()
        self._tokens[token] = (self._floor.clock.base.now_ns(), False)
        while len(self._tokens) > MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        return token

    def check_token(self, token: object) -> None:
        """Let a request of the WebSocket in.

        Raises:
            Wrong: it is not let in.
        """
        made = self._tokens.get(token) if isinstance(token, str) else None
        if made is None or not isinstance(token, str):
            raise Wrong("ESession:Invalid session")
        at_ns, used = made
        if not used and self._floor.clock.base.now_ns() > at_ns + TOKEN_SECS * NS:
            raise Wrong("ESession:Invalid session")
        self._tokens[token] = (at_ns, True)


def _read(body: str, kind: str) -> dict[str, Any]:
    if "json" not in kind:
        return dict(parse_qsl(body, keep_blank_values=True))
    try:
        return _params.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        raise Wrong(ARGUMENTS) from None
