"""Frames of Binance's WebSocket API, without any I/O: the answer to a request, and user data.

Guarantees, whatever comes: a fill is booked only where its id, quantity and price are there and fit
its order; a word that we do not know books nothing, is counted, and told of once; where an order's
end is certain that is told all the same, and what filled of it is asked for then. A frame that
cannot be understood is a `VenueError`.

Source: https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

import attrs
import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.events import (
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    TradeId,
    VenueName,
    VenueOrderId,
)
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.orders import ZERO, ReportStatus
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.numbers import Id, Ms
from trade_runtime.venues.binance.streams import NS_PER_MS
from trade_runtime.venues.binance_spot.fees import fee_in_base
from trade_runtime.venues.binance_spot.spelling import SIDE_OF, STATUS_OF, TYPE_OF
from trade_runtime.venues.wire.payload import excerpt

MAX_KINDS: Final = 100
"""Kinds of what we do not know that are told apart; what comes beyond is counted as one."""

_ENDS: Final[Mapping[str, str]] = {
    "serverShutdown": "Binance is about to shut this server down: connect again",
    "eventStreamTerminated": "Binance ended the stream of the account's events: subscribe again",
}

_SILENT: Final = frozenset(
    {"outboundAccountPosition", "balanceUpdate", "listStatus", "externalLockUpdate"}
)
"""Events that tell no order anything: balances are asked for, and of a list's orders each has an
event of its own."""


class _Report(msgspec.Struct):
    """An `executionReport`, as far as we need it."""

    symbol: str = msgspec.field(name="s")
    client_order_id: str = msgspec.field(name="c")
    side: str = msgspec.field(name="S")
    type: str = msgspec.field(name="o")
    quantity: Decimal = msgspec.field(name="q")
    execution: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    order_id: Id = msgspec.field(name="i")
    filled: Decimal = msgspec.field(name="z")
    time_ms: Ms = msgspec.field(name="T")
    price: Decimal = msgspec.field(name="p", default=ZERO)
    trigger_price: Decimal = msgspec.field(name="P", default=ZERO)
    original: str = msgspec.field(name="C", default="")
    reason: str = msgspec.field(name="r", default="NONE")
    last_quantity: Decimal = msgspec.field(name="l", default=ZERO)
    last_price: Decimal = msgspec.field(name="L", default=ZERO)
    fee: Decimal = msgspec.field(name="n", default=ZERO)
    fee_asset: str | None = msgspec.field(name="N", default=None)
    trade_id: Id = msgspec.field(name="t", default=-1)
    maker: bool = msgspec.field(name="m", default=False)


class _Event(msgspec.Struct):
    e: str = ""


class _Data(msgspec.Struct):
    retryAfter: Ms = 0  # noqa: N815


class _Error(msgspec.Struct):
    code: int = 0
    msg: str = ""
    data: _Data | None = None


class _Frame(msgspec.Struct):
    id: str | int | None = None
    status: int = 0
    error: _Error | None = None
    event: msgspec.Raw = msgspec.Raw(b"")
    e: str = ""


_frame = msgspec.json.Decoder(_Frame)
_event = msgspec.json.Decoder(_Event)
_report = msgspec.json.Decoder(_Report)


@attrs.frozen
class Response:
    """The answer to a request of ours.

    Attributes:
        id: of the request.
        status: 200 where it was carried out.
        code: Binance's own of an error, or 0.
        text: what it says of that.
        retry_ms: when it wants to be asked again, by its own clock; 0 where it does not say.
    """

    id: str
    status: int
    code: int = 0
    text: str = ""
    retry_ms: int = 0


class UserDecoder:
    """Decodes the frames of a connection to the WebSocket API.

    Args:
        venue: the name that instruments carry.
        instruments: by symbol, as far as they are known.
        strange: told once of each kind of thing that we do not know.
    """

    def __init__(
        self,
        venue: VenueName,
        instruments: Mapping[str, Instrument],
        strange: Callable[[str], None],
    ) -> None:
        self.unknown: dict[str, int] = {}
        """How often each kind of thing came that we do not know."""
        self._venue = venue
        self._instruments = instruments
        self._strange = strange

    def decode(self, frame: str | bytes) -> Response | list[VenueEvent]:
        """Return the answer to a request, or what a frame tells of orders.

        Raises:
            VenueError: it is malformed, or says that the connection or the stream ends.
        """
        raw = BINANCE.decode(_frame, frame, "frame")
        if raw.id is not None:
            error = raw.error or _Error()
            retry_ms = 0 if error.data is None else error.data.retryAfter
            text = excerpt(error.msg)
            return Response(excerpt(str(raw.id)), raw.status, error.code, text, retry_ms)
        payload: msgspec.Raw | str | bytes = raw.event if bytes(raw.event) else frame
        kind = raw.e or BINANCE.decode(_event, payload, "event").e
        if kind == "executionReport":
            return self._told(BINANCE.decode(_report, payload, kind))
        if kind in _ENDS:
            raise VenueError(_ENDS[kind])
        if raw.error is not None:
            raise VenueError(f"Binance: {raw.error.code} {excerpt(raw.error.msg)}")
        if kind not in _SILENT:
            self._note(f"event {excerpt(kind)!r}")
        return []

    def _told(self, raw: _Report) -> list[VenueEvent]:
        BINANCE.check_exact(
            "executionReport",
            raw.quantity,
            raw.filled,
            raw.price,
            raw.trigger_price,
            raw.last_quantity,
            raw.last_price,
            raw.fee.copy_abs(),
        )
        # Of a cancel `c` is the cancel's own id, and `C` the order's.
        own = ClientOrderId(raw.original or raw.client_order_id)
        ts_ns = raw.time_ms * NS_PER_MS
        execution, status = raw.execution, STATUS_OF.get(raw.status)
        if status is None:
            self._note(f"order status {excerpt(raw.status)!r}")
            return []
        told: list[VenueEvent] = []
        if execution == "NEW" and status is ReportStatus.OPEN:
            told.append(OrderAccepted(own, VenueOrderId(str(raw.order_id)), ts_ns))
        elif execution == "TRADE":
            told += self._fill(raw, own, ts_ns)
        elif execution == "REPLACED":
            told += self._amended(raw, own, ts_ns)
        elif execution == "REJECTED" and status is ReportStatus.REJECTED and not raw.filled:
            return [OrderRejected(own, excerpt(raw.reason), ts_ns)]
        elif execution not in ("NEW", "CANCELED", "EXPIRED", "TRADE_PREVENTION", "REJECTED"):
            self._note(f"execution type {excerpt(execution)!r}")
        if status is ReportStatus.REJECTED:
            self._note(f"order status REJECTED with execution type {excerpt(execution)!r}")
        elif status is not ReportStatus.OPEN:
            reason = "" if raw.reason == "NONE" else excerpt(raw.reason)
            told.append(OrderClosed(own, status, raw.filled, ts_ns, reason))
        return told

    def _fill(self, raw: _Report, own: ClientOrderId, ts_ns: int) -> list[VenueEvent]:
        side = SIDE_OF.get(raw.side)
        fits = (
            side is not None
            and 0 < raw.last_quantity <= raw.filled <= raw.quantity
            and raw.last_price > 0
            and raw.trade_id >= 0
        )
        if side is None or not fits or (raw.fee and not raw.fee_asset):
            self._note("a fill that lacks its id, side, quantity, price or the asset of its fee")
            return []
        return [
            Fill(
                own,
                InstrumentId(f"{raw.symbol}.{self._venue}"),
                TradeId(str(raw.trade_id)),
                side,
                raw.last_quantity,
                raw.last_price,
                raw.fee,
                Currency(raw.fee_asset) if raw.fee_asset else self._quote(raw.symbol),
                raw.maker,
                ts_ns,
                fee_in_base=fee_in_base(InstrumentId(raw.symbol), side, raw.fee_asset or ""),
            )
        ]

    def _amended(self, raw: _Report, own: ClientOrderId, ts_ns: int) -> list[VenueEvent]:
        kind = TYPE_OF.get(raw.type)
        if kind is None or not raw.quantity:
            self._note(f"a replaced order of type {excerpt(raw.type)!r}")
            return []
        return [
            OrderAmended(
                own,
                raw.quantity,
                _price(raw.price, has=kind.has_price),
                _price(raw.trigger_price, has=kind.waits),
                ts_ns,
            )
        ]

    def _quote(self, symbol: str) -> Currency:
        """Return the currency of a fee of 0 that names none."""
        known = self._instruments.get(symbol)
        return Currency(symbol) if known is None else known.quote

    def _note(self, what: str) -> None:
        if what not in self.unknown and len(self.unknown) >= MAX_KINDS:
            what = "others"
        seen = self.unknown.get(what, 0)
        self.unknown[what] = seen + 1
        if not seen:
            self._strange(what)


def _price(number: Decimal, *, has: bool) -> Decimal | None:
    return number if has and number else None


def encode_request(name: str, method: str, params: Mapping[str, str | int]) -> str:
    """Return a request to the WebSocket API; `name` comes back as the `id` of its answer."""
    return msgspec.json.encode({"id": name, "method": method, "params": params}).decode()
