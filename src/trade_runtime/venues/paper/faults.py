"""What goes wrong between a runtime and the paper exchange: decided here, done by `venue.py`.

Plain and synchronous. Every decision is drawn from the randomness that is passed in, in the order
of the occasions and, for each occasion, in the order of the configuration: the same seed and the
same occasions give the same faults.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from math import inf
from typing import Literal, get_args

import attrs

from trade_runtime.venues.paper.settings import FaultSettings

Occasion = Literal["submit", "cancel", "amend", "query", "event"]


@attrs.frozen
class Mishap:
    """What happens to one request, query or event.

    Attributes:
        drop: it never arrives.
        twice: it arrives twice.
        refuse: the venue refuses it.
        delay_secs: it arrives that much later.
    """

    drop: bool = False
    twice: bool = False
    refuse: bool = False
    delay_secs: float = 0.0

    @property
    def delay_ns(self) -> int:
        """The delay in nanoseconds."""
        return round(self.delay_secs * 1e9)


NO_MISHAP = Mishap()


class Faults:
    """The configured faults of one venue, by trio's clock.

    Args:
        faults: what is configured.
        rng: seeded randomness.
        opened: when the venue was opened, in trio's time.
    """

    def __init__(self, faults: Iterable[FaultSettings], rng: random.Random, opened: float) -> None:
        every = tuple(faults)
        self._rng = rng
        self._opened = opened
        self._down_until = -inf
        timed = [fault for fault in every if (fault.kind, fault.on) == ("disconnect", "any")]
        self._outages = sorted(
            (opened + fault.after_secs, opened + fault.after_secs + (fault.for_secs or inf))
            for fault in timed
            if self._strikes(fault)
        )
        rest = [fault for fault in every if fault not in timed]
        occasions: Sequence[Occasion] = get_args(Occasion)
        self._by_occasion = {
            one: tuple(fault for fault in rest if fault.on in (one, "any")) for one in occasions
        }

    @property
    def most_delay_secs(self) -> float:
        """The longest that faults can hold a submit back."""
        submits = self._by_occasion["submit"]
        return sum(fault.delay_ms / 1000 for fault in submits if fault.kind == "delay")

    def down(self, now: float) -> bool:
        """Tell whether the venue is away at `now`."""
        return now < self._down_until or any(begin <= now < end for begin, end in self._outages)

    def next_outage(self, now: float) -> float:
        """Return when the venue goes away by the clock alone, after `now`; infinity for never."""
        return min((begin for begin, _ in self._outages if begin > now), default=inf)

    def of(self, occasion: Occasion, now: float) -> Mishap:
        """Decide what happens to a request, query or event; a disconnect shows in `down`."""
        faults = self._by_occasion[occasion]
        if not faults:
            return NO_MISHAP
        drop = twice = refuse = False
        delay = 0.0
        for fault in faults:
            begin = self._opened + fault.after_secs
            lasting = fault.for_secs or inf
            over = fault.kind != "disconnect" and now >= begin + lasting
            if now < begin or over or not self._strikes(fault):
                continue
            if fault.kind == "disconnect":
                self._down_until = max(self._down_until, now + lasting)
            elif fault.kind == "delay":
                delay += fault.delay_ms / 1000
            drop |= fault.kind == "drop"
            twice |= fault.kind == "duplicate"
            refuse |= fault.kind == "reject"
        return Mishap(drop, twice, refuse, delay)

    def arrives(self) -> bool:
        """Decide whether a request that was under way at a disconnect still arrives."""
        return self._rng.random() < 0.5

    def _strikes(self, fault: FaultSettings) -> bool:
        return fault.probability >= 1 or self._rng.random() < fault.probability
