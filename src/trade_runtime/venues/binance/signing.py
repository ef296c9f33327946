"""How a request to Binance is signed, without any I/O, and the one place that holds the secret.

Binance knows three kinds of keys: HMAC-SHA256 (the secret is a text), Ed25519 and RSA (the secret
is a private key in PEM). Which one a secret is, its own content says. A signature is over the query
as it is sent, so a REST query is percent-encoded before it is signed; the WebSocket API signs its
parameters sorted and as they are.

Guarantees that no repr, log line or error of this module shows a secret, nor the key beside it.

Source: "SIGNED request examples",
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urlencode

from trade_runtime.errors import ConfigError

PEM: Final = "-----BEGIN "
"""How a private key in PEM begins; anything else is the secret of an HMAC key."""


class Signer:
    """Holds an API key and signs with its secret.

    Args:
        api_key: sent with every request of the account.
        secret: of the HMAC key, or an Ed25519 or RSA private key in PEM, without a passphrase.

    Raises:
        ConfigError: the secret is none of these. The text repeats nothing of it.
    """

    __slots__ = ("_sign", "api_key", "kind")

    def __init__(self, api_key: str, secret: str) -> None:
        if not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
            raise ConfigError("api_key: must be a line of ASCII without blanks around it")
        self.api_key = api_key
        self.kind: str
        """`hmac`, `ed25519` or `rsa`."""
        self._sign: Callable[[bytes], str]
        if PEM in secret:
            self.kind, self._sign = _by_private_key(secret)
        elif secret.strip():
            self.kind, self._sign = "hmac", _by_hmac(secret.strip())
        else:
            raise ConfigError("api_secret: must not be empty")

    def __repr__(self) -> str:
        return f"Signer(kind={self.kind!r}, api_key=***, secret=***)"

    def sign(self, payload: str) -> str:
        """Return the signature of `payload`: hex for HMAC, base64 for the others."""
        return self._sign(payload.encode())

    def signed_query(self, params: Mapping[str, str]) -> str:
        """Return the query of a REST request, percent-encoded, with its signature at the end."""
        query = encoded(params)
        signature = quote(self.sign(query), safe="")
        return f"{query}&signature={signature}" if query else f"signature={signature}"

    def signed_params(self, params: Mapping[str, str | int]) -> dict[str, str | int]:
        """Return the parameters of a request to the WebSocket API, with key and signature."""
        whole: dict[str, str | int] = {**params, "apiKey": self.api_key}
        payload = "&".join(f"{name}={whole[name]}" for name in sorted(whole))
        return {**whole, "signature": self.sign(payload)}


def encoded(params: Mapping[str, str]) -> str:
    """Return a query, percent-encoded as Binance reads it: a space is %20."""
    return urlencode(params, quote_via=quote, safe="")


def _by_hmac(secret: str) -> Callable[[bytes], str]:
    key = secret.encode()
    return lambda payload: hmac.new(key, payload, hashlib.sha256).hexdigest()


def _by_private_key(pem: str) -> tuple[str, Callable[[bytes], str]]:
    # Imported here: who signs by HMAC, or not at all, does not wait for it to load.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
    )

    try:
        key = load_pem_private_key(pem.strip().encode(), password=None)
    except TypeError:
        raise ConfigError("api_secret: the private key has a passphrase; give it without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError("api_secret: the PEM in it is no private key that can be read") from None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519", lambda payload: base64.b64encode(key.sign(payload)).decode()
    if isinstance(key, rsa.RSAPrivateKey):
        how, digest = padding.PKCS1v15(), SHA256()
        return "rsa", lambda payload: base64.b64encode(key.sign(payload, how, digest)).decode()
    raise ConfigError("api_secret: the private key must be Ed25519 or RSA")
