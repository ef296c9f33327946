"""What an exchange is started with."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.exchange.faults import Fault
from trade_runtime.exchange.floor import PING_SECS, SOCKET_LIFE_SECS

MAX_PORT: Final = 65_535


@attrs.frozen
class ExchangeSettings:
    """What it lists, holds and does wrong. What is left empty is the kind's own.

    Attributes:
        api_key: of the one account.
        api_secret: what its requests are signed with, or the PEM of a key that verifies them.
        port: where it listens; 0 takes a free one.
        symbols: what is traded.
        balances: what the account holds at first, by currency.
        recording: what moves the market, instead of a made-up one.
        quotes_per_sec: of a made-up market.
        volatility_bps: how far its price moves in a second, in hundredths of a percent.
        seed: of the made-up market and of the faults.
        faults: those that hold from the beginning on.
        options: what the face alone knows.
        ping_secs, socket_life_secs: of WebSockets.
    """

    api_key: str
    api_secret: str = attrs.field(repr=False)
    port: int = attrs.field(default=0)
    symbols: tuple[str, ...] = ()
    balances: Mapping[str, Decimal] = attrs.field(factory=dict)
    recording: Path | None = None
    quotes_per_sec: float = 10.0
    volatility_bps: float = 1.0
    seed: int = 1
    faults: tuple[Fault, ...] = ()
    options: Mapping[str, str] = attrs.field(factory=dict)
    ping_secs: float = PING_SECS
    socket_life_secs: float = SOCKET_LIFE_SECS

    @port.validator
    def _open(self, _: attrs.Attribute[Any], port: int) -> None:
        if not 0 <= port <= MAX_PORT:
            raise ConfigError(f"port {port}: must be from 0, for a free one, to {MAX_PORT}")
