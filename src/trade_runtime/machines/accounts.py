"""What the venues' accounts hold by their own word, as the journal has it from them.

A fold beside the trading state, which it is a part of: nothing in it decides what is traded. It is
what the next start holds the venues' word against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from trade_runtime.machines.images import AccountsImage
from trade_runtime.model.ids import Currency, InstrumentId, VenueName, venue_of
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO
from trade_runtime.model.records import BalancesTold, OthersHold, VenueUsed

if TYPE_CHECKING:
    from trade_runtime.machines.trading_state import TradingState


class Accounts:
    """The account at each venue."""

    def __init__(self) -> None:
        self.balances: dict[VenueName, BalancesTold] = {}
        """What each venue told last."""
        self.others: dict[VenueName, OthersHold] = {}
        """What each account held that is not from our fills, at the last start that agreed."""
        self.used: dict[VenueName, VenueUsed] = {}
        """Where the orders of each table of a real exchange go, in this journal."""

    def news(
        self, venue: VenueName, told: Mapping[Currency, Decimal], now_ns: int
    ) -> BalancesTold | None:
        """Return what is to be recorded of balances that a venue told; None where nothing is new.

        A currency that it names no more has come to 0.
        """
        before = self.balances.get(venue)
        held = {} if before is None else before.balances
        total = dict.fromkeys(held, ZERO) | dict(told)
        if before is not None and held == total:
            return None
        return BalancesTold(venue, dict(sorted(total.items())), now_ns)

    def image(self) -> AccountsImage:
        """Return all of it as plain values."""
        return AccountsImage(
            list(self.balances.values()), list(self.others.values()), list(self.used.values())
        )

    @classmethod
    def of(cls, image: AccountsImage) -> Accounts:
        """Return what an image was made of."""
        accounts = cls()
        accounts.balances = {event.venue: event for event in image.balances}
        accounts.others = {event.venue: event for event in image.others}
        accounts.used = {event.venue: event for event in image.used}
        return accounts

    def lines(self) -> Iterator[str]:
        """Give what the hash of the trading state covers of it."""
        for balances in sorted(self.balances.values(), key=lambda one: one.venue):
            yield f"{balances.venue} {balances.ts_ns} {_plain(balances.balances)}"
        for others in sorted(self.others.values(), key=lambda one: one.venue):
            yield f"others {others.venue} {others.ts_ns} {_plain(others.quantities)}"
        for used in sorted(self.used.values(), key=lambda one: one.venue):
            yield f"used {used.venue} {used.account}"


def left_open(state: TradingState) -> list[InstrumentId]:
    """Return the instruments in which a position is open or an order live."""
    found = [position.instrument for position in state.ledger.open()]
    found += [order.instrument for order in state.live()]
    return list(dict.fromkeys(found))


def has_traded(state: TradingState, venue: VenueName) -> bool:
    """Whether anything was ever traded, or is in mind, at a venue."""
    return venue in state.last_fill_ns or any(
        venue_of(one.instrument) == venue for one in (*state.ledger, *state.orders.values())
    )


def _plain(amounts: Mapping[Currency, Decimal] | Mapping[InstrumentId, Decimal]) -> str:
    return " ".join(f"{name}={text(amount)}" for name, amount in sorted(amounts.items()))


def _balances(state: TradingState, event: BalancesTold) -> None:
    state.accounts.balances[event.venue] = event


def _others(state: TradingState, event: OthersHold) -> None:
    state.accounts.others[event.venue] = event


def _used(state: TradingState, event: VenueUsed) -> None:
    state.accounts.used[event.venue] = event


HANDLERS: Final[dict[type, Callable[[Any, Any], None]]] = {
    BalancesTold: _balances,
    OthersHold: _others,
    VenueUsed: _used,
}
