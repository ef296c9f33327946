"""Every adapter keeps the promises of one, over real sockets at the local exchange of its venue."""

from __future__ import annotations

import base64

import attrs
import pytest

from tests.exchange_world import KEY, SECRET
from tests.support.local_lab import LocalKind, local_lab
from trade_runtime.exchange.faces.binance_usdm import endpoints, face
from trade_runtime.exchange.faces.kraken_spot import rates
from trade_runtime.model.secret import Secret
from trade_runtime.testing import check_venue
from trade_runtime.venues import binance_spot, binance_usdm, kraken_spot
from trade_runtime.venues.kraken_spot import rest

KRAKEN_SECRET = base64.b64encode(b"a secret of a test").decode()

SPOT = LocalKind(
    "binance_spot",
    binance_spot.plugin,
    "BTCUSDT",
    lambda http, ws: binance_spot.BinanceSpotSettings(
        live=True,
        api_key=Secret(KEY),
        api_secret=Secret(SECRET),
        rest_url=http,
        ws_url=ws,
        ws_api_url=ws,
    ),
)

KRAKEN = LocalKind(
    "kraken_spot",
    kraken_spot.plugin,
    "BTC/USD",
    lambda http, ws: kraken_spot.KrakenSpotSettings(
        live=True,
        api_key=Secret(KEY),
        api_secret=Secret(KRAKEN_SECRET),
        rest_url=http,
        ws_url=ws,
        ws_private_url=ws,
        tier="pro",
        dead_mans_switch_secs=1,
    ),
    secret=KRAKEN_SECRET,
)


USDM = LocalKind(
    "binance_usdm",
    binance_usdm.plugin,
    "BTCUSDT",
    lambda http, ws: binance_usdm.BinanceUsdmSettings(
        live=True,
        api_key=Secret(KEY),
        api_secret=Secret(SECRET),
        rest_url=http,
        ws_url=ws,
        dead_mans_switch_secs=1,
    ),
)


# httpx leaves the body of a request that was cancelled while it was sent to the collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object ByteStream")
@pytest.mark.parametrize(
    ("kind", "skipped"),
    [
        pytest.param(SPOT, {"amends", "the_switch"}, id="binance_spot"),
        pytest.param(USDM, set(), id="binance_usdm"),
        pytest.param(KRAKEN, set(), id="kraken_spot"),
    ],
)
async def test_an_adapter_keeps_every_promise(
    kind: LocalKind, skipped: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that can be tried is: what is left out is what the venue has not."""
    # The suite asks more than the venues let one ask in so short a time: with their own limits it
    # would take minutes. The limits have their own tests.
    for module in (rates, rest):
        monkeypatch.setitem(module.CALLS, "pro", (10_000.0, 1_000.0))
    wide = tuple(attrs.evolve(one, limit=100_000) for one in endpoints.WINDOWS)
    for module in (endpoints, face):
        monkeypatch.setattr(module, "WINDOWS", wide)
    async with local_lab(kind) as lab:
        result = await check_venue(lab)
    assert skipped == {one.partition(":")[0] for one in result.skipped}
