"""Reads the steps of the matching core: what happened to which order, in order, in our words."""

from __future__ import annotations

from collections.abc import MutableMapping
from decimal import Decimal
from typing import Any, Final

import attrs

from trade_runtime.exchange.clock import ExchangeClock
from trade_runtime.exchange.views import Change, Execution, Order, Update, What, Why
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import symbol_of
from trade_runtime.model.orders import ReportStatus
from trade_runtime.venues.paper import checks
from trade_runtime.venues.paper.desk import NO_FUNDS
from trade_runtime.venues.paper.margin import REDUCES_NOTHING
from trade_runtime.venues.paper.record import HistoryRow, Step

_WHY: Final = {
    NO_FUNDS: Why.NO_FUNDS,
    REDUCES_NOTHING: Why.REDUCES_NOTHING,
    checks.NO_MARKET: Why.NO_MARKET,
    checks.TOO_MANY: Why.TOO_MANY,
    checks.WOULD_TAKE: Why.WOULD_TAKE,
    checks.WOULD_TRIGGER: Why.WOULD_TRIGGER,
    checks.UNKNOWN_INSTRUMENT: Why.UNKNOWN_SYMBOL,
    checks.OTHER_GROUP: Why.FORM,
    checks.NOT_WAITING: Why.FORM,
    checks.FULL_GROUP: Why.FORM,
    checks.PAST_DATE: Why.FORM,
}

_WHAT: Final = {
    "accept": What.ACCEPTED,
    "trigger": What.TRIGGERED,
    "fill": What.FILLED,
    "amend": What.AMENDED,
    "cancel": What.CANCELLED,
    "expire": What.EXPIRED,
    "reject": What.REJECTED,
}

_ENDS: Final = {
    "cancel": ReportStatus.CANCELLED,
    "expire": ReportStatus.EXPIRED,
    "reject": ReportStatus.REJECTED,
}

_IN_GROUP: Final = "group "


def why_of(reason: str) -> Why:
    """Return the kind of a reason that the matching core gives in words."""
    if reason in _WHY:
        return _WHY[reason]
    if "not offered" in reason or " order with" in reason or "post-only" in reason:
        return Why.FORM
    if reason.startswith(("unknown order", "order is ")):
        return Why.UNKNOWN_ORDER
    return Why.BAD_NUMBERS


class History:
    """Keeps the orders in step with the matching core.

    Args:
        orders: by the exchange's id; changed in place.
        clock: the exchange's. The core keeps true time; what is told is what this clock says.
    """

    def __init__(self, orders: MutableMapping[int, Order], clock: ExchangeClock) -> None:
        self._clock = clock
        self._orders = orders
        self.ending: dict[int, tuple[str, bool]] = {}
        """Orders that are being cancelled: why, and whether they are said to have expired."""

    def read(self, step: Step) -> tuple[Update, list[dict[str, Any]]]:
        """Take a step in; return what there is to tell of it, and to write."""
        fills = iter(step.fills)
        changes: list[Change] = []
        lines: list[dict[str, Any]] = []
        ts_ns = 0
        skew_ns = self._clock.skew_ns
        for told in step.history:
            ts_ns = told.ts_ns + skew_ns
            row = attrs.evolve(told, ts_ns=ts_ns)
            order = self._orders.get(int(row.client_order_id or 0))
            if order is not None and str(row.detail.get("by", "")).startswith(_IN_GROUP):
                continue  # venues end the others of a group, which is told when it is done
            if order is None:
                lines.append({"event": row.event, "ts_ns": ts_ns, "detail": row.detail})
                continue
            fill = next(fills) if row.event == "fill" else None
            after, execution = self._after(order, row, fill)
            self._orders[order.order_id] = after
            what = _WHAT.get(row.event)
            if what is What.CANCELLED and after.status is ReportStatus.EXPIRED:
                what = What.EXPIRED
            if what is not None:
                changes.append(Change(what, after, ts_ns, execution))
            lines.append(_line(row, after, execution, what))
        update = Update(
            tuple(changes),
            {str(name): held for name, held in step.balances.items()},
            {symbol_of(one): held for one, held in step.positions.items()},
            ts_ns,
        )
        return update, lines

    def _after(
        self, order: Order, row: HistoryRow, fill: Fill | None
    ) -> tuple[Order, Execution | None]:
        if fill is not None:
            return _filled(order, fill, row.ts_ns)
        detail = row.detail
        if row.event == "trigger":
            return attrs.evolve(order, triggered=True, updated_ns=row.ts_ns), None
        if row.event in ("amend", "trail"):
            return _amended(order, row), None
        if row.event in _ENDS:
            told = str(detail["reason"] or "")
            by_itself = (told, told.startswith(_IN_GROUP))
            reason, expires = self.ending.pop(order.order_id, by_itself)
            status = ReportStatus.EXPIRED if expires else _ENDS[row.event]
            ended = attrs.evolve(order, status=status, reason=reason, updated_ns=row.ts_ns)
            return ended, None
        if row.event == "accept":
            return attrs.evolve(order, created_ns=row.ts_ns, updated_ns=row.ts_ns), None
        return order, None


def _amended(order: Order, row: HistoryRow) -> Order:
    def number(name: str, before: Decimal | None) -> Decimal | None:
        value = row.detail.get(name, before)
        return None if value is None else Decimal(str(value))

    return attrs.evolve(
        order,
        quantity=number("quantity", order.quantity) or order.quantity,
        price=number("price", order.price),
        trigger_price=number("trigger_price", order.trigger_price),
        updated_ns=row.ts_ns,
    )


def _filled(order: Order, fill: Fill, ts_ns: int) -> tuple[Order, Execution]:
    filled = order.filled + fill.quantity
    status = ReportStatus.FILLED if filled >= order.quantity else ReportStatus.OPEN
    after = attrs.evolve(
        order,
        filled=filled,
        cost=order.cost + fill.quantity * fill.price * fill.multiplier,
        status=status,
        updated_ns=ts_ns,
    )
    execution = Execution(
        int(fill.trade_id),
        order.order_id,
        order.client_id,
        order.symbol,
        fill.side,
        fill.quantity,
        fill.price,
        fill.fee,
        str(fill.fee_currency),
        fill.maker,
        ts_ns,
    )
    return after, execution


def _line(
    row: HistoryRow, order: Order, execution: Execution | None, what: What | None
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "event": str(what) if what in (What.EXPIRED, What.CANCELLED) else row.event,
        "ts_ns": row.ts_ns,
        "order_id": order.order_id,
        "client_id": order.client_id,
        "symbol": order.symbol,
        "side": str(order.asked.side),
        "status": str(order.status),
        "filled": order.filled,
    }
    if execution is not None:
        line["trade_id"] = execution.trade_id
        line["fee_currency"] = execution.fee_currency
    line.update((name, value) for name, value in row.detail.items() if name != "instrument")
    if order.reason:
        line["reason"] = order.reason
    return line
