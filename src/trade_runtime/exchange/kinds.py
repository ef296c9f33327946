"""What of the exchange differs by venue beside its wire: what it lists, and what it begins with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

import attrs

from trade_runtime.exchange.floor import Face, Floor
from trade_runtime.exchange.market import Market
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.instrument import Instrument
from trade_runtime.protocols import Clock
from trade_runtime.venues.paper.settings import FeeIn

BASES: Final = ("BTC", "ETH", "BNB", "SOL", "LTC", "XRP", "ADA", "DOT", "LINK", "AVAX")
"""What is traded where nothing else is asked for."""

TICK: Final = Decimal("0.01")
LOT: Final = Decimal("0.0001")


class Source(Protocol):
    """What moves a market, until it is cancelled."""

    async def run(self, market: Market) -> None:
        """Push events into `market`; at the end of a recording keep silent. Never returns."""

    def move(self, symbol: str, price: Decimal) -> bool:
        """Let the price of a symbol jump; False where the market cannot be moved at will."""

    def pause(self, paused: bool) -> None:
        """Hold the market still, or let it go on."""


@attrs.frozen
class Kind:
    """One venue's face, and what it is put in front of.

    Attributes:
        name: of the venue, as in `kind = "..."` of the configuration.
        symbols: what is listed where nothing else is asked for.
        instrument: what it says of a symbol; None where it does not read as one.
        balances: what the account holds at first, where nothing else is asked for.
        fees_bps: of a maker and of a taker.
        fee_in: what the fee of a spot fill is taken in: the `quote` or what was `received`.
        leverage: how much notional of contracts a unit of equity carries.
        face: makes the face.
        recording: makes the source of a recording, from the file, the symbols and the clock.
        recorded_symbols: says what a recording has, with its tick and lot.
    """

    name: str
    symbols: tuple[str, ...]
    instrument: Callable[[str], Instrument | None]
    balances: Mapping[str, Decimal]
    fees_bps: tuple[Decimal, Decimal]
    leverage: Decimal
    face: Callable[[Floor], Face]
    recording: Callable[[Path, Collection[str], Clock], Source] | None = None
    recorded_symbols: Callable[[Path], Mapping[str, Instrument]] | None = None
    fee_in: FeeIn = "quote"


def spot(symbol: str, base: str, quote: str) -> Instrument:
    """Return an instrument of a spot venue."""
    return Instrument(
        InstrumentId(f"{symbol}.exchange"),
        Currency(base),
        Currency(quote),
        tick=TICK,
        lot=LOT,
        min_quantity=LOT,
        max_quantity=Decimal(9_000),
        min_notional=Decimal(5),
        max_price=Decimal(1_000_000),
    )


def linear(symbol: str, base: str, quote: str) -> Instrument:
    """Return a contract whose profit is paid in the quote currency."""
    return attrs.evolve(spot(symbol, base, quote), kind="linear")
