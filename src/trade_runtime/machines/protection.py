"""What a position needs so that it is never without its stop-loss.

`plan` looks at one position and its protective stops and says what to place and what to cancel. It
only ever names a cancel that leaves the position covered by what rests at the venue, so carrying a
plan out, in any order and stopped at any point, never takes protection away. Called again after
each outcome, it converges: covered exactly, nothing superfluous.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs

from trade_runtime.machines.order import Order, OrderState
from trade_runtime.model.orders import ZERO, Side

MAX_STOPS = 4
"""Stops that one position keeps; beyond that one for its whole size replaces them. Venues bound how
many stops may rest: Binance Spot five for a symbol (its filter MAX_NUM_ALGO_ORDERS)."""


@attrs.frozen
class ProtectionPlan:
    """What to do for one position.

    Attributes:
        place: the quantity of a further stop, 0 for none.
        cancel: stops that can go while the position stays covered.
        resting: the quantity that rests at the venue now; only this counts as protection.
        needed: the quantity that has to.
        overlaps: the position is covered, and `place` only makes room for others to go: until they
            have, more rests than the position needs, and all of it may fill.
    """

    place: Decimal
    cancel: tuple[Order, ...]
    resting: Decimal
    needed: Decimal
    overlaps: bool = False

    @property
    def covered(self) -> bool:
        """What rests at the venue is enough."""
        return self.resting >= self.needed


def plan(quantity: Decimal, needed: Decimal, stops: Sequence[Order]) -> ProtectionPlan:
    """Plan the protection of a position.

    Args:
        quantity: the position, signed, in the base currency.
        needed: how much of it has to be covered, at most its size.
        stops: its live protective orders, whatever side they are on.
    """
    side = Side.SELL if quantity > 0 else Side.BUY
    useful = [s for s in stops if s.side is side and quantity and not s.cancel_requested]
    useless = [s for s in stops if s.side is not side or not quantity]
    resting = sum((s.remaining for s in useful if s.state is OrderState.OPEN), ZERO)
    # Under way is a stop, or what one is to grow by: neither is to be placed a second time.
    coming = sum((s.outstanding for s in useful), ZERO) - resting
    cancel = [s for s in useless if not s.cancel_requested]
    place, overlaps = ZERO, False
    if resting + coming < needed:
        place = needed - resting - coming
    elif not coming:
        size = abs(quantity)
        keep = resting
        kept = []
        # The oldest go first: the newest carries the price that was wanted last.
        for stop in useful:
            if keep - stop.remaining >= size:
                keep -= stop.remaining
                cancel.append(stop)
            else:
                kept.append(stop)
        if keep > size and needed == size:
            # None of them can go without uncovering a part: that part is placed first. Then the
            # oldest is superfluous, and the next plan cancels it.
            place, overlaps = size - (keep - kept[0].remaining), True
        elif len(kept) > MAX_STOPS and needed == size:
            # One for all: then each of the others is superfluous.
            place, overlaps = size, True
    return ProtectionPlan(place, tuple(cancel), resting, needed, overlaps)


def stop_trigger(
    side: Side, average_price: Decimal, distance_pct: Decimal, market: Decimal | None
) -> Decimal:
    """Return where a stop is to wake: `distance_pct` off the average price.

    Where the market is already beyond that, a venue would refuse it as triggering at once: then it
    is put the same distance off the market, which is the nearest protection there is.

    Args:
        side: of the stop: sell protects a long position.
        average_price: of the position.
        distance_pct: in per cent, above 0 and below 100.
        market: the price that wakes it: the best bid for a sell, the best ask for a buy.
    """
    share = distance_pct / 100
    factor = 1 - share if side is Side.SELL else 1 + share
    trigger = average_price * factor
    if market is not None:
        beyond = trigger >= market if side is Side.SELL else trigger <= market
        if beyond:
            trigger = market * factor
    return trigger
