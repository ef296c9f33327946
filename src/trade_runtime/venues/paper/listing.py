"""Which instruments the paper exchange trades, under which ids. Values only."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from trade_runtime.errors import VenueError
from trade_runtime.model.ids import InstrumentId, VenueName, symbol_of
from trade_runtime.model.instrument import Instrument

MAX_INSTRUMENTS = 10_000
"""Instruments that an exchange may ever have traded."""


def listed(
    venue: VenueName, known: Mapping[InstrumentId, Instrument], given: Collection[Instrument]
) -> list[Instrument]:
    """Return those of the `given` instruments that are new or have changed, with the venue's ids.

    Raises:
        VenueError: one is known as something else, or there are too many.
    """
    fresh: list[Instrument] = []
    for other in given:
        one = attrs.evolve(other, id=InstrumentId(f"{symbol_of(other.id)}.{venue}"))
        old = known.get(one.id)
        if old is not None and _nature(old) != _nature(one):
            raise VenueError(f"{one.id} is {_nature(one)}, but {_nature(old)} in the record")
        if old != one:
            fresh.append(one)
    if len(known.keys() | {one.id for one in fresh}) > MAX_INSTRUMENTS:
        raise VenueError(f"{venue} trades {MAX_INSTRUMENTS} instruments at most")
    return fresh


def _nature(instrument: Instrument) -> str:
    """Return what of an instrument never changes, in words."""
    pair = f"{instrument.base}/{instrument.quote}"
    if instrument.kind == "spot":
        return pair
    return f"{instrument.kind} {pair} x {instrument.multiplier}"
