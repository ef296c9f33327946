"""Signing: against the exchange's own published vector, and keys that are never shown."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl, unquote

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.recorded import recorded
from trade_runtime.errors import ConfigError
from trade_runtime.venues.binance.signing import Signer

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RSA = rsa.generate_private_key(65537, 2048)


def pem(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | dsa.DSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.recorded
def test_the_published_vector_is_signed_as_published() -> None:
    """Binance's own example, key and all."""
    vector = json.loads(recorded("signature_vectors.json").read_text())["binance_rest_hmac"]
    signer = Signer("key", vector["secretKey"])
    assert vector["signature_hex"] == signer.sign(vector["payload"])
    query = signer.signed_query(dict(parse_qsl(vector["payload"])))
    assert f"{vector['payload']}&signature={vector['signature_hex']}" == query


def test_a_query_is_percent_encoded_before_it_is_signed() -> None:
    """What is signed is what is sent: the bytes between the question mark and the signature."""
    signer = Signer("key", SECRET)
    query = signer.signed_query({"symbol": "币安人生", "newClientOrderId": "a b+c&d=e"})
    sent, _, signature = query.rpartition("&signature=")
    assert "symbol=%E5%B8%81%E5%AE%89" in sent
    assert "newClientOrderId=a%20b%2Bc%26d%3De" in sent
    assert signer.sign(sent) == signature


def test_an_ed25519_key_is_known_by_its_pem() -> None:
    """Its signature is base64, and percent-encoded in a query."""
    signer = Signer("key", "\n" + pem(ED25519))
    assert signer.kind == "ed25519"
    sent, _, signature = signer.signed_query({"symbol": "BTCUSDT"}).rpartition("&signature=")
    assert signature.isascii()
    assert not set(signature) & set("+/=")
    ED25519.public_key().verify(base64.b64decode(unquote(signature)), sent.encode())
    with pytest.raises(InvalidSignature):
        ED25519.public_key().verify(base64.b64decode(unquote(signature)), b"symbol=ETHUSDT")


def test_an_rsa_key_is_known_by_its_pem() -> None:
    """PKCS#1 v1.5 over SHA-256, in base64."""
    signer = Signer("key", pem(RSA))
    assert signer.kind == "rsa"
    signature = base64.b64decode(signer.sign("timestamp=1"))
    RSA.public_key().verify(signature, b"timestamp=1", padding.PKCS1v15(), SHA256())


def test_parameters_of_the_websocket_api_are_signed_sorted_and_as_they_are() -> None:
    """Not percent-encoded; with the key among them."""
    signer = Signer("the/key", SECRET)
    signed = signer.signed_params({"timestamp": 1668481559918, "recvWindow": 100})
    payload = "apiKey=the/key&recvWindow=100&timestamp=1668481559918"
    assert signed == {
        "timestamp": 1668481559918,
        "recvWindow": 100,
        "apiKey": "the/key",
        "signature": signer.sign(payload),
    }


def test_nothing_shows_a_key() -> None:
    """Neither its repr nor its text, whatever the kind."""
    for secret in (SECRET, pem(ED25519), pem(RSA)):
        signer = Signer("public-part", secret)
        for shown in (repr(signer), str(signer), f"{[signer]}"):
            assert "public-part" not in shown
            assert secret not in shown
            assert secret[30:50] not in shown


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "must not be empty"),
        (" \n", "must not be empty"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----", "no private key"),
        (
            ED25519.public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "no private key",
        ),
        (
            ED25519.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
            ).decode(),
            "passphrase",
        ),
        (pem(dsa.generate_private_key(1024)), "must be Ed25519 or RSA"),
    ],
    ids=["empty", "blank", "broken", "public", "encrypted", "dsa"],
)
def test_a_secret_that_cannot_sign_is_refused_without_being_repeated(
    secret: str, said: str
) -> None:
    """The text names the setting, and nothing of what stands in it."""
    with pytest.raises(ConfigError, match=f"^api_secret: .*{said}") as caught:
        Signer("key", secret)
    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize("key", ["", " key", "kéy", "key\n", "k\x00y"])
def test_a_key_that_is_no_header_is_refused(key: str) -> None:
    """It could end the header, and is not repeated either."""
    with pytest.raises(ConfigError, match=r"^api_key: must be a line"):
        Signer(key, SECRET)
