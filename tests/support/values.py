"""Short ways to say orders, fills and what a venue tells."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from trade_runtime.machines.order import Order, OrderInput, OrderState
from trade_runtime.model.events import Fill, OrderAccepted, OrderClosed, OrderRejected
from trade_runtime.model.ids import (
    ClientOrderId,
    Currency,
    InstrumentId,
    StrategyName,
    TradeId,
    VenueOrderId,
)
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderSpec, OrderType, ReportStatus, Side, TimeInForce

ETH = InstrumentId("ETHUSDT.paper")
BTC = InstrumentId("BTCUSDT.paper")
USDT = Currency("USDT")
BUY, SELL = Side.BUY, Side.SELL

RULES = Instrument(
    ETH,
    Currency("ETH"),
    USDT,
    tick=Decimal("0.01"),
    lot=Decimal("0.0001"),
    min_quantity=Decimal("0.0001"),
    max_quantity=Decimal(1_000),
    min_notional=Decimal(5),
)


def spec(
    order_id: str = "t-1",
    side: Side = BUY,
    quantity: str | Decimal = "1",
    price: str | Decimal | None = "100",
    *,
    trigger: str | Decimal | None = None,
    strategy: str = "maker",
    instrument: InstrumentId = ETH,
    protective: bool = False,
) -> OrderSpec:
    """What a strategy asked for; `protective` makes a stop-loss of it, woken at `trigger`."""
    if protective:
        trigger, price = trigger if trigger is not None else "90", None
    kinds = {
        (True, False): OrderType.LIMIT,
        (False, False): OrderType.MARKET,
        (False, True): OrderType.STOP_MARKET,
        (True, True): OrderType.STOP_LIMIT,
    }
    return OrderSpec(
        client_order_id=ClientOrderId(order_id),
        strategy=StrategyName(strategy),
        instrument=instrument,
        side=side,
        type=kinds[price is not None, trigger is not None],
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        trigger_price=None if trigger is None else Decimal(trigger),
        tif=TimeInForce.GTC,
        reduce_only=protective,
        protective=protective,
        created_ns=1,
    )


def order(asked: OrderSpec, state: OrderState = OrderState.OPEN) -> Order:
    """An order in a state, by the shortest way there."""
    if state is OrderState.HELD:
        asked = replace(asked, parent=ClientOrderId("t-0"))
    made = Order(asked)
    ways = {
        OrderState.HELD: [],
        OrderState.PENDING: [],
        OrderState.SENT: [OrderInput.SENT],
        OrderState.UNKNOWN: [OrderInput.SENT, OrderInput.UNKNOWN],
        OrderState.OPEN: [OrderInput.SENT, OrderInput.ACCEPTED],
        OrderState.FILLED: [OrderInput.SENT, OrderInput.FILLED],
        OrderState.CANCELLED: [OrderInput.SENT, OrderInput.CANCELLED],
        OrderState.EXPIRED: [OrderInput.SENT, OrderInput.EXPIRED],
        OrderState.REJECTED: [OrderInput.SENT, OrderInput.REJECTED],
        OrderState.DROPPED: [OrderInput.DROPPED],
    }
    for step in ways[state]:
        made.apply(step)
    assert state is made.state
    return made


def fill(
    order_id: str = "t-1",
    quantity: str | Decimal = "1",
    price: str | Decimal = "100",
    *,
    trade_id: str | int = "1",
    side: Side = BUY,
    instrument: InstrumentId = ETH,
    fee: str | Decimal = "0",
    ts_ns: int = 10,
) -> Fill:
    """A part of an order, executed."""
    return Fill(
        ClientOrderId(order_id),
        instrument,
        TradeId(str(trade_id)),
        side,
        Decimal(quantity),
        Decimal(price),
        Decimal(fee),
        USDT,
        maker=False,
        ts_ns=ts_ns,
    )


def accepted(order_id: str = "t-1", ts_ns: int = 5) -> OrderAccepted:
    """The venue holds the order."""
    return OrderAccepted(ClientOrderId(order_id), VenueOrderId(f"v-{order_id}"), ts_ns)


def rejected(order_id: str = "t-1", reason: str = "no funds", ts_ns: int = 5) -> OrderRejected:
    """The venue refused the order."""
    return OrderRejected(ClientOrderId(order_id), reason, ts_ns)


def closed(
    order_id: str = "t-1",
    status: ReportStatus = ReportStatus.CANCELLED,
    filled: str | Decimal = "0",
    ts_ns: int = 20,
) -> OrderClosed:
    """The order rests no more."""
    return OrderClosed(ClientOrderId(order_id), status, Decimal(filled), ts_ns)


def quote(
    bid: float = 100.0,
    ask: float = 100.1,
    *,
    size: float = 10.0,
    update_id: int = 0,
    instrument: InstrumentId = ETH,
) -> Quote:
    """The best bid and ask, `size` on either side."""
    return Quote(instrument, 0, bid, ask, size, size, update_id)


def trade(
    price: float,
    quantity: float = 1.0,
    *,
    trade_id: int = 1,
    ts_ns: int = 0,
    aggressor: Side = BUY,
    instrument: InstrumentId = ETH,
) -> Trade:
    """A trade between others."""
    return Trade(instrument, ts_ns, price, quantity, aggressor, trade_id)
