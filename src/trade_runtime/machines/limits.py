"""What the risk gate holds orders to, and what it asks of the markets for that."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

import attrs

from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import Side
from trade_runtime.settings import RiskSettings


@attrs.frozen(kw_only=True)
class RiskLimits:
    """What an order must keep to; None, an empty table and 0 mean no limit.

    Attributes:
        max_order_notional: price times quantity of one order, in the quote currency.
        max_order_quantity: by instrument, the quantity of one order, in the base currency.
        price_collar_pct: how far, in per cent, an order may reach beyond the market on the side
            that hurts.
        max_position: by instrument, the largest long or short position that the fills of all live
            orders together could lead to, in the base currency.
        max_exposure: by quote currency, the sum of those positions of all its instruments, at
            their last price.
        max_open_orders: live orders of the whole runtime.
        max_orders_per_sec: orders and cancels of the whole runtime in a second.
        max_orders_per_min: the same in a minute.
        duplicate_secs: how long an order keeps an identical one out.
        max_quote_age_secs: how old, since it came, a quote may be to trade on.
    """

    max_order_notional: Decimal | None = None
    max_order_quantity: Mapping[InstrumentId, Decimal] = attrs.field(factory=dict)
    price_collar_pct: Decimal | None = None
    max_position: Mapping[InstrumentId, Decimal] = attrs.field(factory=dict)
    max_exposure: Mapping[Currency, Decimal] = attrs.field(factory=dict)
    max_open_orders: int | None = None
    max_orders_per_sec: int | None = None
    max_orders_per_min: int | None = None
    duplicate_secs: float = 0.0
    max_quote_age_secs: float | None = None

    @classmethod
    def of(cls, settings: RiskSettings) -> RiskLimits:
        """Return the limits that `[risk]` sets; its tables as dicts, which answer fastest."""
        limits = {field.name: getattr(settings, field.name) for field in attrs.fields(cls)}
        tables = {name: dict(table) for name, table in limits.items() if isinstance(table, Mapping)}
        return cls(**limits | tables)


class Markets(Protocol):
    """What the gate asks of the markets, by plain calls."""

    @property
    def instruments(self) -> Mapping[InstrumentId, Instrument]:
        """The rules of everything that may be traded or is held."""

    def market_price(self, instrument: InstrumentId, side: Side) -> Decimal | None:
        """Return what an order of `side` would trade at now, or None without a fresh quote."""

    def last_price(self, instrument: InstrumentId) -> Decimal | None:
        """Return the ask of the last quote, fresh or not; None before the first."""

    def quote_age_secs(self, instrument: InstrumentId) -> float | None:
        """Return how long ago the last quote came; None before the first."""
