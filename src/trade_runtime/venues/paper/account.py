"""The account of a paper exchange: what it holds, and what of it live orders have locked.

Plain and synchronous. It guarantees that no total ever goes below zero and that what is locked is
never more than what is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from trade_runtime.model.ids import Currency
from trade_runtime.model.orders import ZERO
from trade_runtime.venues.paper.money import minus, plus


class Account:
    """Totals and locks by currency.

    Args:
        totals: what the account holds, free and locked.
    """

    def __init__(self, totals: Mapping[Currency, Decimal]) -> None:
        self._totals = dict(totals)
        self._locked: dict[Currency, Decimal] = {}

    def totals(self) -> dict[Currency, Decimal]:
        """Return what is held of each currency, free and locked."""
        return dict(self._totals)

    def total(self, currency: Currency) -> Decimal:
        """Return what is held of `currency`, free and locked."""
        return self._totals.get(currency, ZERO)

    def locked(self, currency: Currency) -> Decimal:
        """Return what live orders have locked of `currency`."""
        return self._locked.get(currency, ZERO)

    def free(self, currency: Currency) -> Decimal:
        """Return what a new order could lock or spend of `currency`."""
        total, locked = self._totals.get(currency, ZERO), self._locked.get(currency)
        return minus(total, locked) if locked else total

    def lock(self, currency: Currency, change: Decimal) -> None:
        """Lock `change` more of `currency`, or release it where it is negative."""
        locked = plus(self._locked.get(currency, ZERO), change)
        assert locked >= ZERO, f"{currency}: {locked} locked"
        if locked:
            self._locked[currency] = locked
        else:
            self._locked.pop(currency, None)

    def move(self, currency: Currency, change: Decimal) -> None:
        """Add `change` to what is held of `currency`."""
        total = plus(self._totals.get(currency, ZERO), change)
        assert total >= ZERO, f"{currency}: {total} held"
        self._totals[currency] = total
