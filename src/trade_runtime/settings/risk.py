"""`[risk]`: what no strategy may exceed, and what stops trading. A section of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import attrs

from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.settings.checks import (
    one_of,
    percent_or_none,
    positive,
    positive_or_none,
    positive_values,
    whole,
    zero_or_more,
)
from trade_runtime.settings.secrets import Table

PositionAction = Literal["report", "close"]
BreakerAction = Literal["halt", "reduce_only"]


def _table() -> Any:
    return attrs.field(factory=Table, converter=Table, validator=positive_values)


def _count_or_none() -> Any:
    return attrs.field(default=None, validator=attrs.validators.optional(whole(least=1)))


@attrs.frozen
class RiskSettings:
    """`[risk]`: what no strategy may exceed. None, an empty table and 0 are no limit.

    Attributes:
        max_order_notional: price times quantity of one order, in the quote currency.
        max_order_quantity: per instrument, the quantity of one order, in the base currency.
        price_collar_pct: how far an order may reach beyond the market on the side that hurts; for
            a market order, how wide the spread may be.
        max_position: per instrument, the largest position either way, in the base currency.
        max_exposure: per quote currency, the sum of the positions of all its instruments at their
            last price, with all that is in flight at its worst.
        max_open_orders: orders that rest or are under way, over all strategies.
        max_orders_per_sec: orders and cancels in a second, over all strategies.
        max_orders_per_min: the same in a minute.
        duplicate_secs: how long an order keeps an identical one out.
        max_quote_age_secs: how old, since it came, a quote may be to trade on.
        max_position_secs: how long a position may be open.
        max_position_action: what happens past that: `report` says so, `close` closes it too.
        max_daily_loss: per quote currency, the loss since 00:00 UTC.
        max_drawdown: per quote currency, the loss from the highest profit.
        max_loss_streak: round trips in a row that lost, over all strategies.
        max_rejects: orders that venues reject within `rejects_window_secs`.
        rejects_window_secs: within how long.
        breaker_action: what happens past one of the last five: `halt` lets only stop-losses leave,
            `reduce_only` also what makes a position smaller; until somebody resumes trading.
    """

    max_order_notional: Decimal | None = attrs.field(default=None, validator=positive_or_none)
    max_order_quantity: Mapping[InstrumentId, Decimal] = _table()
    price_collar_pct: Decimal | None = attrs.field(default=None, validator=percent_or_none)
    max_position: Mapping[InstrumentId, Decimal] = _table()
    max_exposure: Mapping[Currency, Decimal] = _table()
    max_open_orders: int = attrs.field(default=1000, validator=whole(least=1))
    max_orders_per_sec: int | None = _count_or_none()
    max_orders_per_min: int | None = _count_or_none()
    duplicate_secs: float = attrs.field(default=0.0, validator=zero_or_more)
    max_quote_age_secs: float | None = attrs.field(default=None, validator=positive_or_none)
    max_position_secs: float | None = attrs.field(default=None, validator=positive_or_none)
    max_position_action: PositionAction = attrs.field(
        default="report", validator=one_of(PositionAction)
    )
    max_daily_loss: Mapping[Currency, Decimal] = _table()
    max_drawdown: Mapping[Currency, Decimal] = _table()
    max_loss_streak: int | None = _count_or_none()
    max_rejects: int | None = _count_or_none()
    rejects_window_secs: float = attrs.field(default=60.0, validator=positive)
    breaker_action: BreakerAction = attrs.field(default="halt", validator=one_of(BreakerAction))
