"""What a venue says the account holds, held against what the journal explains.

Stands beside the reconciler, which has booked the fills before. Balances are noted, for people: of
them nothing can be concluded, since deposits, fees and others move them too. Positions, where a
venue tells them, are compared at a start: what the account holds beyond our fills may not have
changed since the last start that agreed, unless others traded the instrument meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TypeVar

import structlog
import trio

from trade_runtime.errors import VenueError
from trade_runtime.managers.outcomes import Journal
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import InstrumentId, VenueName, venue_of
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO
from trade_runtime.model.records import OthersHold
from trade_runtime.protocols import Clock, TellsPositions, Venue

log = structlog.get_logger("reconcile")

T = TypeVar("T")

QUERY_TIMEOUT_SECS = 2.0
"""How long one query of a venue may take."""

FILL_LOOKBACK_NS = 120 * 10**9
"""How far before a known moment fills are asked for: one may have been told out of order, and the
venue's clock is not ours."""

RENEW_NS = 24 * 3600 * 10**9
"""What is beyond our fills is noted again by a start after this, though it is the same: where it is
not, all fills since then are asked for."""

MOST_TOLD = 5
"""Differences that one error names; `reconcile` tells all."""

Quantities = dict[InstrumentId, Decimal]


async def ask(name: VenueName, query: Callable[[], Awaitable[T]]) -> T:
    """Return a venue's answer.

    Raises:
        VenueError: it did not come in time, or made no sense.
    """
    with trio.move_on_after(QUERY_TIMEOUT_SECS):
        return await query()
    raise VenueError(f"venue {name!r} gave no answer within {QUERY_TIMEOUT_SECS} s")


class Account:
    """The account at one venue.

    Args:
        name: of the venue.
        venue: to ask.
        state: where it is noted.
        clock: the time of day.
        compares: positions are asked for, where the venue tells them.
    """

    def __init__(
        self,
        name: VenueName,
        venue: Venue,
        state: Journal,
        clock: Clock,
        *,
        compares: bool = True,
    ) -> None:
        self._name = name
        self._venue = venue
        self._state = state
        self._clock = clock
        self._compares = compares

    async def note_balances(self) -> None:
        """Ask for the balances, and record what is new. No answer is no harm, nor is a defect of
        the plug-in: no order and no stop-loss hangs on it.
        """
        try:
            told = await ask(self._name, self._venue.balances)
        except VenueError as error:
            log.debug("Balances are not known", venue=self._name, error=str(error))
            return
        except Exception as error:
            log.error("Balances cannot be told", venue=self._name, exc_info=error)
            return
        news = self._state.trading.accounts.news(self._name, told, self._clock.now_ns())
        if news is not None and self._state.failed is None:
            self._state.record(news)

    async def positions(self) -> Mapping[InstrumentId, Decimal] | None:
        """Return what the venue says of positions; None where it tells none.

        Raises:
            VenueError: no answer.
        """
        if not self._compares or not isinstance(self._venue, TellsPositions):
            return None
        return await ask(self._name, self._venue.positions)

    def beyond(self, held: Mapping[InstrumentId, Decimal]) -> Quantities:
        """Return what an account holds that is not from our fills: what is not 0, by instrument."""
        rest = dict(held)
        for position in self._state.trading.ledger:
            one = position.instrument
            if venue_of(one) == self._name:
                rest[one] = rest.get(one, ZERO) - position.quantity
        return {one: quantity for one, quantity in sorted(rest.items()) if quantity}

    def agreed(self, beyond: Quantities) -> None:
        """Note what is beyond our fills, for the next start to hold the venue's word against."""
        noted, now_ns = self._state.trading.accounts.others.get(self._name), self._clock.now_ns()
        if noted is None or noted.quantities != beyond or now_ns - noted.ts_ns > RENEW_NS:
            self._state.record(OthersHold(self._name, beyond, now_ns))

    async def changed(
        self, held: Mapping[InstrumentId, Decimal], strange: Sequence[Fill]
    ) -> list[str]:
        """Return what has changed of what the account holds beyond our fills, and nobody explains;
        `strange` fills are told of in their own words.

        Where others traded an instrument since, what is whose cannot be told: it is left alone. So
        it is where no start noted anything yet: all that is there was there before us.

        Raises:
            VenueError: no answer.
        """
        noted = self._state.trading.accounts.others.get(self._name)
        if noted is None:
            return []
        explained = dict(held)
        for fill in strange:
            change = fill.change
            explained[fill.instrument] = explained.get(fill.instrument, ZERO) - change
        beyond, before = self.beyond(explained), noted.quantities
        moved = {
            one: beyond.get(one, ZERO) - before.get(one, ZERO)
            for one in sorted(beyond.keys() | before.keys())
            if beyond.get(one, ZERO) != before.get(one, ZERO)
        }
        if not moved:
            return []
        since = max(noted.ts_ns - FILL_LOOKBACK_NS, 0)
        fills = await ask(self._name, partial(self._venue.fills, since))
        others = {f.instrument for f in fills if not self._ours(f)}
        for one in moved.keys() & others:
            log.warning("Others trade on this account", instrument=one, change=text(moved[one]))
        return [
            f"the position in {one} is {text(held.get(one, ZERO))} at the venue, which is"
            f" {text(abs(change))} {'more' if change > 0 else 'less'} than journal and fills"
            " explain"
            for one, change in moved.items()
            if one not in others
        ]

    def strange(self, fills: Sequence[Fill]) -> list[Fill]:
        """Return those of orders with our ids that the journal cannot know."""
        trading = self._state.trading
        return [f for f in fills if self._ours(f) and trading.never_intended(f.client_order_id)]

    def _ours(self, fill: Fill) -> bool:
        return self._state.trading.is_ours(fill.client_order_id)


def stranger(fill: Fill) -> str:
    """Return what is wrong with a fill of an order that was never intended."""
    return (
        f"fill {fill.trade_id} ({fill.side} {text(fill.quantity)} {fill.instrument}) is of order"
        f" {fill.client_order_id}, of which the journal has no intent"
    )


def told(name: VenueName, differences: Sequence[str]) -> str:
    """Return the sentence that says what is wrong, and what to do."""
    more = len(differences) - MOST_TOLD
    rest = f"; and {more} more" if more > 0 else ""
    return (
        f"venue {name!r} and the journal do not agree: {'; '.join(differences[:MOST_TOLD])}{rest}."
        " Nothing is traded. See what there is with"
        " `python -m trade_runtime reconcile CONFIG --dry-run`; with `--accept-venue` the journal"
        " takes it as the venue holds it"
    )
