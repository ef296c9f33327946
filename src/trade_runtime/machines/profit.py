"""What limits on losses count from, as a fold of the journal: so a restart forgets no loss.

The profit itself is not kept: it is the ledger's realised profit and fees, and what is open at the
market's price. Kept are the marks that it is compared with, and the round trips that lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from trade_runtime.machines.images import ProfitImage
from trade_runtime.machines.ledger import Position
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import Currency, InstrumentId, StrategyName
from trade_runtime.model.orders import ZERO
from trade_runtime.model.records import InstrumentListed, ProfitMarked


class Profits:
    """Marks, and the streak of losing round trips. A round trip is a position from its first fill
    to the fill that closes it or turns it over.
    """

    def __init__(self) -> None:
        self.listed: dict[InstrumentId, InstrumentListed] = {}
        self.marks: dict[Currency, ProfitMarked] = {}
        self.streak = 0
        """Round trips in a row that lost; one that neither won nor lost ends no streak."""
        self._trips: dict[tuple[StrategyName, InstrumentId], Decimal] = {}

    def filled(self, position: Position, fill: Fill, before: Decimal, gained: Decimal) -> None:
        """Take a fill that the position has.

        Args:
            position: after it.
            fill: whose fee counts where it was taken in the quote currency.
            before: the position's quantity before it.
            gained: the profit that it realised, before fees.
        """
        key = position.strategy, position.instrument
        listed = self.listed.get(position.instrument)
        if listed is not None and fill.fee_currency == listed.quote:
            gained -= fill.fee
        result = self._trips.get(key, ZERO) + gained
        if before and before * position.quantity <= 0:
            self._trips.pop(key, None)
            if result:
                self.streak = self.streak + 1 if result < 0 else 0
        else:
            self._trips[key] = result

    def image(self) -> ProfitImage:
        """Return all of it as plain values."""
        return ProfitImage(
            listed=list(self.listed.values()),
            marks=list(self.marks.values()),
            streak=self.streak,
            trips=[(*key, result) for key, result in self._trips.items()],
        )

    @classmethod
    def of(cls, image: ProfitImage) -> Profits:
        """Return what an image was made of."""
        made = cls()
        made.listed = {one.instrument: one for one in image.listed}
        made.marks = {one.currency: one for one in image.marks}
        made.streak = image.streak
        made._trips = {(s, i): result for s, i, result in image.trips}
        return made

    def begin_anew(self) -> None:
        """Count from now on: somebody saw what was lost, and let trading go on."""
        self.marks.clear()
        self.streak = 0

    def lines(self) -> Iterator[str]:
        """Give what has to be equal where two states are."""
        yield f"{self.streak} {sorted(self._trips.items())}"
        yield from (f"{self.marks[currency]}" for currency in sorted(self.marks))
        yield from (f"{self.listed[instrument]}" for instrument in sorted(self.listed))
