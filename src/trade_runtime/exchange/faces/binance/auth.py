"""Who may ask: keys, signatures, and the time that a request is good for.

HMAC-SHA256 where the account's secret is a text; Ed25519 or RSA (PKCS #1 v1.5) where it is a key
in PEM, public or private. A signature of HTTP is over the query and the body as they were sent;
one of the WebSocket API over the sorted parameters as they are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

from trade_runtime.errors import ConfigError
from trade_runtime.exchange.clock import ExchangeClock
from trade_runtime.exchange.faces.binance.errors import BAD_KEY, BAD_SIGNATURE, Rejected
from trade_runtime.exchange.faces.binance.params import Params

DEFAULT_WINDOW_MS: Final = 5_000
"""How old a request may be, where it does not say."""

MAX_WINDOW_MS: Final = 60_000
"""How old it may be at most."""

AHEAD_MS: Final = 1_000
"""How far ahead of the exchange's clock its timestamp must not be."""

PEM: Final = "-----BEGIN"

Verify = Callable[[bytes, str], bool]


class Verifier:
    """Checks the requests of the one account.

    Args:
        api_key: of the account.
        secret: of its signatures.
        clock: the exchange's.

    Attributes:
        kind: `hmac`, `ed25519` or `rsa`.

    Raises:
        ConfigError: the secret begins as PEM and is no key that can be used.
    """

    def __init__(self, api_key: str, secret: str, clock: ExchangeClock) -> None:
        self._api_key = api_key
        self._clock = clock
        self.kind, self._verify = _by_key(secret) if PEM in secret else ("hmac", _by_hmac(secret))

    def check_key(self, api_key: str) -> None:
        """Refuse a key that is not the account's.

        Raises:
            Rejected: it is not.
        """
        if not api_key:
            raise Rejected(-2014, "API-key format invalid.", 401)
        if not hmac.compare_digest(api_key.encode(), self._api_key.encode()):
            raise Rejected(-2015, BAD_KEY, 401)

    def check_time(self, params: Params) -> None:
        """Refuse a request that is too old, or from the future.

        Raises:
            Rejected: it is.
        """
        window = params.whole("recvWindow", DEFAULT_WINDOW_MS)
        if window > MAX_WINDOW_MS:
            raise Rejected(-1131, f"recvWindow must be less than {MAX_WINDOW_MS}.")
        timestamp, now = params.whole("timestamp"), self._clock.now_ms()
        if timestamp >= now + AHEAD_MS:
            text = "Timestamp for this request was 1000ms ahead of the server's time."
            raise Rejected(-1021, text)
        if now - timestamp > window:
            raise Rejected(-1021, "Timestamp for this request is outside of the recvWindow.")

    def check_signature(self, payload: str, signature: str) -> None:
        """Refuse a signature that is not the account's over `payload`.

        Raises:
            Rejected: it is not.
        """
        if not signature:
            raise Rejected(
                -1102,
                "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.",
            )
        if not self._verify(payload.encode(), signature):
            raise Rejected(-1022, BAD_SIGNATURE)


def sorted_payload(given: Mapping[str, str]) -> str:
    """Return what a request of the WebSocket API signs."""
    return "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "signature")


def _by_hmac(secret: str) -> Verify:
    key = secret.encode()

    def verify(payload: bytes, signature: str) -> bool:
        wanted = hmac.new(key, payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted.encode(), signature.lower().encode())

    return verify


def _by_key(pem: str) -> tuple[str, Verify]:
    # Imported here: an exchange for keys of HMAC does not wait for it to load.
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        if "PRIVATE" in pem:
            private = serialization.load_pem_private_key(pem.encode(), password=None)
            key = private.public_key()
        else:
            key = serialization.load_pem_public_key(pem.encode())
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise ConfigError("api-secret: the PEM in it is no key that can be read") from None

    def verify(payload: bytes, signature: str) -> bool:
        try:
            told = base64.b64decode(signature, validate=True)
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(told, payload)
            elif isinstance(key, rsa.RSAPublicKey):
                key.verify(told, payload, padding.PKCS1v15(), SHA256())
        except (binascii.Error, InvalidSignature):
            return False
        return True

    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519", verify
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa", verify
    raise ConfigError("api-secret: the key must be Ed25519 or RSA")
