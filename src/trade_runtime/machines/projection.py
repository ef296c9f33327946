"""What the records change in the tables that people query.

A fold beside the trading state: it notes which orders, positions and balances an event changed,
and gives their rows as they then stand, once for many events.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_runtime.machines.ledger import Position
from trade_runtime.machines.order import Order
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, InstrumentId, StrategyName, VenueName
from trade_runtime.model.instrument import text
from trade_runtime.model.records import BalancesTold, JournalEvent, PositionAdjusted, RuntimeStarted
from trade_runtime.model.tables import BALANCES, FILLS, ORDERS, POSITIONS, Row, Rows

_encode = msgspec.json.Encoder().encode


class Projection:
    """The rows that changed since they were last asked for.

    Args:
        trading: whose events are noted; it tells this of its fills.
    """

    def __init__(self, trading: TradingState) -> None:
        self._trading = trading
        self._orders: dict[ClientOrderId, Order] = {}
        self._positions: dict[tuple[StrategyName, InstrumentId], Position] = {}
        self._fills: list[Row] = []
        self._balances: dict[VenueName, BalancesTold] = {}
        trading.on_fill = self._filled

    def note(self, event: JournalEvent, order: Order | None) -> None:
        """Note an event that was folded in, and the order that it was about."""
        if order is not None:
            self._orders[order.id] = order
        elif type(event) is RuntimeStarted:  # what was under way is unknown from then on
            self._orders.update(self._trading.orders)
        elif type(event) is PositionAdjusted:
            key = event.strategy, event.instrument
            self._positions[key] = self._trading.ledger.position(*key)
        elif type(event) is BalancesTold:
            self._balances[event.venue] = event

    def _filled(self, fill: Fill, order: Order, position: Position, realised: Decimal) -> None:
        self._positions[position.strategy, position.instrument] = position
        self._fills.append(fill_row(fill, order, realised))

    def changed(self) -> tuple[Rows, list[Order]]:
        """Return the rows of all that changed, and the orders among it, and begin anew."""
        orders, positions, fills = self._orders, self._positions, self._fills
        balances, self._balances = self._balances, {}
        rows: Rows = {
            ORDERS.name: [order_row(order) for order in orders.values()],
            FILLS.name: fills,
            POSITIONS.name: [position_row(position) for position in positions.values()],
            BALANCES.name: [row for told in balances.values() for row in balance_rows(told)],
        }
        self._orders, self._positions, self._fills = {}, {}, []
        return rows, list(orders.values())


def order_row(order: Order) -> Row:
    """Return the row of an order as it stands."""
    spec = order.spec
    return (
        order.id,
        order.strategy,
        order.instrument,
        str(spec.side),
        str(spec.type),
        str(spec.tif),
        order.quantity,
        order.price,
        order.trigger_price,
        order.filled,
        order.average_price,
        str(order.state),
        order.is_live,
        order.reason,
        spec.protective,
        spec.reduce_only,
        spec.parent,
        spec.oco,
        order.venue_order_id,
        spec.created_ns,
    )


def fill_row(fill: Fill, order: Order, realised: Decimal) -> Row:
    """Return the row of a fill; `realised` is the profit that it made, before fees."""
    return (
        fill.client_order_id,
        fill.trade_id,
        order.strategy,
        fill.instrument,
        str(fill.side),
        fill.quantity,
        fill.price,
        fill.fee,
        fill.fee_currency,
        fill.maker,
        realised,
        fill.ts_ns,
    )


def position_row(position: Position) -> Row:
    """Return the row of a position as it stands; its fees are JSON, an amount by currency."""
    return (
        position.strategy,
        position.instrument,
        position.quantity,
        position.average_price,
        position.realised,
        _encode({currency: text(fee) for currency, fee in position.fees.items()}).decode(),
        position.opened_ns,
    )


def balance_rows(told: BalancesTold) -> list[Row]:
    """Return the rows of what a venue told of its account."""
    return [(told.venue, currency, total, told.ts_ns) for currency, total in told.balances.items()]
