"""Names and ids, each of its own type so that one is never passed for another."""

from __future__ import annotations

from functools import lru_cache
from typing import NewType

VenueName = NewType("VenueName", str)
"""The name of a `[venues.NAME]` table."""

InstrumentId = NewType("InstrumentId", str)
"""A symbol and the venue that trades it: `ETHUSDT.paper`."""

StrategyName = NewType("StrategyName", str)
"""The `name` of a `[[strategies]]` table; unique in a runtime."""

FOREIGN = StrategyName("foreign")
"""Whose orders of others are, once a runtime took them over. No strategy has this name."""

Currency = NewType("Currency", str)

ClientOrderId = NewType("ClientOrderId", str)
"""Our id of an order. At most 18 characters of `[a-z0-9-]`: the shortest limit of a known venue."""

VenueOrderId = NewType("VenueOrderId", str)
TradeId = NewType("TradeId", str)
"""The venue's id of a fill, unique for an instrument at that venue."""


@lru_cache(maxsize=4096)  # it is asked several times for every order
def venue_of(instrument: InstrumentId) -> VenueName:
    """Return the venue's part of an instrument id."""
    return VenueName(instrument.rpartition(".")[2])


def symbol_of(instrument: InstrumentId) -> str:
    """Return the symbol's part of an instrument id, as the venue spells it."""
    return instrument.rpartition(".")[0]
