"""The private stream of Binance USD-M Futures, without any I/O: frames in, events of orders out.

What is told of an ordinary order that was a conditional one carries our name for that. Binance may
tell of such a fill before it says whose it was; so what is told of orders whose origin is not known
is remembered for a while, and told once more under the right name when that comes. Doubles do no
harm: a fill is known by its trade id.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.events import (
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    VenueEvent,
)
from trade_runtime.model.ids import ClientOrderId, Currency, TradeId, VenueName, VenueOrderId
from trade_runtime.model.orders import ZERO, ReportStatus
from trade_runtime.protocols.world import Log
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.numbers import Id, Ms
from trade_runtime.venues.binance.streams import NS_PER_MS
from trade_runtime.venues.binance_usdm.orders import (
    algo_status_of,
    checked,
    instrument_of,
    order_number,
    positive,
    side_of,
    status_of,
)
from trade_runtime.venues.binance_usdm.twins import Twins

MAX_STRANGERS: Final = 256
"""Updates of orders of unknown origin that are remembered."""


class _Order(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    client_id: str = msgspec.field(name="c")
    side: str = msgspec.field(name="S")
    order_id: Id = msgspec.field(name="i")
    what: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    quantity: Decimal = msgspec.field(name="q")
    filled: Decimal = msgspec.field(name="z")
    price: Decimal = msgspec.field(name="p", default=ZERO)
    last_quantity: Decimal = msgspec.field(name="l", default=ZERO)
    last_price: Decimal = msgspec.field(name="L", default=ZERO)
    fee: Decimal | None = msgspec.field(name="n", default=None)
    fee_asset: str | None = msgspec.field(name="N", default=None)
    time_ms: Ms = msgspec.field(name="T", default=0)
    trade_id: Id = msgspec.field(name="t", default=0)
    maker: bool = msgspec.field(name="m", default=False)


class _Algo(msgspec.Struct):
    name: str = msgspec.field(name="caid")
    algo_id: Id = msgspec.field(name="aid")
    status: str = msgspec.field(name="X")
    actual: str | int | None = msgspec.field(name="ai", default=None)
    reason: str = msgspec.field(name="rm", default="")


class _OrderUpdate(msgspec.Struct):
    order: _Order = msgspec.field(name="o")


class _AlgoUpdate(msgspec.Struct):
    time_ms: Ms = msgspec.field(name="T")
    algo: _Algo = msgspec.field(name="o")


class _Rejected(msgspec.Struct):
    symbol: str = msgspec.field(name="s", default="")
    order_id: Id = msgspec.field(name="i", default=0)
    reason: str = msgspec.field(name="r", default="")


class _TriggerReject(msgspec.Struct):
    rejected: _Rejected = msgspec.field(name="or")


class _Frame(msgspec.Struct):
    e: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class _Name(msgspec.Struct):
    e: str = ""


_frame = msgspec.json.Decoder(_Frame)
_name = msgspec.json.Decoder(_Name)
_order_update = msgspec.json.Decoder(_OrderUpdate)
_algo_update = msgspec.json.Decoder(_AlgoUpdate)
_trigger_reject = msgspec.json.Decoder(_TriggerReject)


class PrivateDecoder:
    """Decodes the frames of the private stream.

    Args:
        venue: whose instruments the events name.
        twins: the ordinary orders that were conditional ones; what is learned is kept there.
        currency_of: the currency that a symbol's fees are in where a fill names none.
        log: takes what a trader has to know.

    Attributes:
        ignored: how many events told nothing of orders, by their names.
    """

    def __init__(
        self,
        venue: VenueName,
        twins: Twins,
        currency_of: Callable[[str], Currency],
        log: Log,
    ) -> None:
        self.ignored: Counter[str] = Counter()
        self._venue = venue
        self._twins = twins
        self._currency_of = currency_of
        self._log = log
        self._strangers: deque[_Order] = deque(maxlen=MAX_STRANGERS)

    def decode(self, frame: str | bytes) -> list[VenueEvent]:
        """Return what a frame tells of orders.

        Raises:
            VenueError: it made no sense, or says that the stream ends.
        """
        envelope = BINANCE.decode(_frame, frame, "private frame")
        payload: str | bytes = frame
        name = envelope.e
        if not name and bytes(envelope.data)[:1] == b"{":
            payload = bytes(envelope.data)
            name = BINANCE.decode(_name, payload, "private event").e
        if name == "ORDER_TRADE_UPDATE":
            return self._on_order(BINANCE.decode(_order_update, payload, name).order)
        if name == "ALGO_UPDATE":
            return self._on_algo(BINANCE.decode(_algo_update, payload, name))
        if name in ("listenKeyExpired", "serverShutdown"):
            raise VenueError(f"Binance ended the private stream ({name}): connect again")
        if name == "CONDITIONAL_ORDER_TRIGGER_REJECT":
            rejected = BINANCE.decode(_trigger_reject, payload, name).rejected
            self._log.error(
                "A conditional order woke and was refused: it protects nothing any more",
                symbol=rejected.symbol[:40],
                order=rejected.order_id,
                reason=rejected.reason[:200],
            )
        elif name == "MARGIN_CALL":
            self._log.error("Margin call: the exchange is about to close positions")
        # A frame of no name of ours is an answer to nothing that we asked; only few names are kept.
        self.ignored[name if name in _KNOWN else "other"] += 1
        return []

    # --- inside --------------------------------------------------------------------------------

    def _on_order(self, raw: _Order) -> list[VenueEvent]:
        if not self._twins.knows(raw.order_id):
            self._strangers.append(raw)
        return self._told(raw, self._twins.name_of(raw.order_id, raw.client_id))

    def _on_algo(self, update: _AlgoUpdate) -> list[VenueEvent]:
        raw, ts_ns = update.algo, update.time_ms * NS_PER_MS
        name = ClientOrderId(raw.name)
        actual = order_number(raw.actual)
        if actual is not None:
            return self._learn(actual, name)
        status = algo_status_of(raw.status)
        if raw.status == "NEW":
            return [OrderAccepted(name, VenueOrderId(str(raw.algo_id)), ts_ns)]
        if status in (None, ReportStatus.OPEN):
            return []  # what it becomes is told as an order of its own
        if raw.status != "CANCELED":
            self._log.error(
                "A conditional order has ended without having become an order",
                order=name[:40],
                status=raw.status,
                reason=raw.reason[:200],
            )
        assert status is not None
        return [OrderClosed(name, status, ZERO, ts_ns, raw.reason[:200])]

    def _learn(self, order_id: int, name: ClientOrderId) -> list[VenueEvent]:
        if not self._twins.learn(order_id, name):
            return []
        told: list[VenueEvent] = []
        for raw in [one for one in self._strangers if one.order_id == order_id]:
            self._strangers.remove(raw)
            if raw.client_id != name:
                told += self._told(raw, name)
        return told

    def _told(self, raw: _Order, name: ClientOrderId) -> list[VenueEvent]:
        status, filled = status_of(raw.status), checked(raw.filled)
        ts_ns = raw.time_ms * NS_PER_MS
        told: list[VenueEvent] = []
        if raw.what == "NEW":
            told.append(OrderAccepted(name, VenueOrderId(str(raw.order_id)), ts_ns))
        elif raw.what == "AMENDMENT":
            quantity, price = positive(raw.quantity), positive(raw.price)
            told.append(OrderAmended(name, quantity, price, None, ts_ns))
        elif raw.what in ("TRADE", "CALCULATED") and checked(raw.last_quantity):
            told.append(self._fill(raw, name, ts_ns))
        if raw.what == "CALCULATED":
            self._log.error(
                "The exchange closed a position by itself (liquidation or deleveraging)",
                symbol=raw.symbol[:40],
                order=raw.client_id[:40],
            )
        if status is not ReportStatus.OPEN:
            if status is ReportStatus.REJECTED:
                status = ReportStatus.EXPIRED  # it rested before: see `orders`
            told.append(OrderClosed(name, status, filled, ts_ns))
        return told

    def _fill(self, raw: _Order, name: ClientOrderId, ts_ns: int) -> Fill:
        fee = ZERO if raw.fee is None else raw.fee
        if not (fee.is_finite() and raw.last_price.is_finite() and raw.last_price > 0):
            raise VenueError("Binance sent a fill with a price or a fee that is none")
        checked(fee.copy_abs())
        return Fill(
            name,
            instrument_of(raw.symbol, self._venue),
            TradeId(str(raw.trade_id)),
            side_of(raw.side),
            raw.last_quantity,
            positive(raw.last_price),
            fee,
            Currency(raw.fee_asset) if raw.fee_asset else self._currency_of(raw.symbol),
            raw.maker,
            ts_ns,
        )


_KNOWN: Final = frozenset(
    (
        "ACCOUNT_CONFIG_UPDATE",
        "ACCOUNT_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT",
        "MARGIN_CALL",
        "STRATEGY_UPDATE",
        "TRADE_LITE",  # it tells nothing that an ORDER_TRADE_UPDATE does not
    )
)
"""Events that are counted by their own names."""
