"""A paper exchange in a test's hands: a clock that stands still, one market, short orders."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import attrs
from msgspec.structs import replace

from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderAmended,
    OrderClosed,
    OrderRejected,
    VenueEvent,
)
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, StrategyName, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import OrderSpec, OrderType, Side, TimeInForce
from trade_runtime.protocols import Clock, Environment
from trade_runtime.venues.paper import ExchangeRecord, MemoryRecord, PaperExchange, PaperSettings

PAPER = VenueName("paper")
ETH = InstrumentId("ETHUSDT.paper")
ETHUSDT = Instrument(
    InstrumentId("ETHUSDT.binance"),
    Currency("ETH"),
    Currency("USDT"),
    tick=Decimal("0.01"),
    lot=Decimal("0.0001"),
    min_notional=Decimal(5),
)
BALANCES = {"USDT": Decimal(10_000), "ETH": Decimal(5)}


class StillClock:
    """A clock that moves when a test moves it."""

    def __init__(self, now_ns: int = 1_000) -> None:
        self.now = now_ns

    def now_ns(self) -> int:
        return self.now


class Notes:
    """A log that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def debug(self, event: str, **fields: object) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: object) -> None:
        self.lines.append(("error", event, fields))


def environment(clock: Clock, data_dir: Path = Path("nowhere"), seed: int = 1) -> Environment:
    return Environment(clock, random.Random(seed), data_dir, Notes())


def order_id(name: str) -> ClientOrderId:
    return ClientOrderId(name)


def placed(name: str) -> OrderSpec:
    """An order of that id; a paper venue goes by the id alone."""
    return spec(name, Side.BUY, "1", "1")


def spec(
    name: str,
    side: Side,
    quantity: str,
    price: str | None = None,
    *,
    trigger: str | None = None,
    tif: TimeInForce = TimeInForce.GTC,
    post_only: bool = False,
    profit: bool = False,
    trail: str | None = None,
    expires: int = 0,
    oco: str = "",
    reduce_only: bool = False,
    instrument: InstrumentId = ETH,
) -> OrderSpec:
    """An order whose type follows from which prices it has; with `profit` a take-profit."""
    kind = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.TAKE_PROFIT if profit else OrderType.STOP_MARKET,
        (True, True): OrderType.TAKE_PROFIT_LIMIT if profit else OrderType.STOP_LIMIT,
    }[price is not None, trigger is not None]
    if trail is not None:
        kind = OrderType.TRAILING_STOP
    return OrderSpec(
        client_order_id=order_id(name),
        strategy=StrategyName("test"),
        instrument=instrument,
        side=side,
        type=kind,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        trigger_price=None if trigger is None else Decimal(trigger),
        tif=TimeInForce.GTD if expires else tif,
        post_only=post_only,
        reduce_only=reduce_only,
        expire_ns=expires,
        trail=None if trail is None else Decimal(trail),
        oco=oco,
    )


def quote(bid: float, ask: float, bid_size: float = 1.0, ask_size: float = 1.0) -> Quote:
    return Quote(ETH, 0, bid, ask, bid_size, ask_size)


def trade(price: float, quantity: float, aggressor: Side) -> Trade:
    return Trade(ETH, 0, price, quantity, aggressor, 1)


@attrs.define
class World:
    """An exchange, its record and its clock; `reopen` is what a restart makes of the record."""

    record: ExchangeRecord = attrs.field(factory=MemoryRecord)
    clock: StillClock = attrs.field(factory=StillClock)
    settings: PaperSettings = attrs.field(factory=lambda: PaperSettings(balances=BALANCES))
    instrument: Instrument = ETHUSDT
    exchange: PaperExchange = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reopen()
        self.exchange.adopt([self.instrument])

    def reopen(self) -> None:
        self.exchange = PaperExchange(PAPER, self.record, self.clock, self.settings)

    def sees(self, bid: float, ask: float, bid_size: float = 1.0, ask_size: float = 1.0) -> str:
        return told(self.exchange.on_quote(quote(bid, ask, bid_size, ask_size)))

    def trades(self, price: float, quantity: float, aggressor: Side) -> str:
        return told(self.exchange.on_trade(trade(price, quantity, aggressor)))

    def buy(self, name: str, quantity: str, price: str | None = None, **more: object) -> str:
        return told(self.exchange.submit(spec(name, Side.BUY, quantity, price, **more)))  # type: ignore[arg-type]

    def sell(self, name: str, quantity: str, price: str | None = None, **more: object) -> str:
        return told(self.exchange.submit(spec(name, Side.SELL, quantity, price, **more)))  # type: ignore[arg-type]

    def told_of(self, order: OrderSpec, **changes: object) -> str:
        """What comes of an order with a few fields changed, where they do not go together."""
        return told(self.exchange.submit(replace(order, **changes)))

    def cancel(self, name: str) -> str:
        return told(self.exchange.cancel(order_id(name)))

    def amend(
        self, name: str, quantity: str, price: str | None = None, trigger: str | None = None
    ) -> str:
        return told(
            self.exchange.amend(
                order_id(name),
                quantity=Decimal(quantity),
                price=None if price is None else Decimal(price),
                trigger_price=None if trigger is None else Decimal(trigger),
            )
        )

    def at(self, now_ns: int) -> str:
        """Let the time come, and the exchange see to what has a date."""
        self.clock.now = now_ns
        return told(self.exchange.expire(now_ns))

    def trigger(self, name: str) -> Decimal | None:
        report = self.exchange.order(order_id(name))
        assert report is not None
        return report.trigger_price

    def free(self, currency: str) -> Decimal:
        """What of a currency the record says is not locked."""
        assert isinstance(self.record, MemoryRecord)
        held = self.record.balances[Currency(currency)]
        return held.total - held.locked

    @property
    def resting(self) -> list[str]:
        return [order.client_order_id for order in self.exchange.open_orders()]

    @property
    def usdt(self) -> Decimal:
        return self.exchange.balances()[Currency("USDT")]

    @property
    def eth(self) -> Decimal:
        return self.exchange.balances()[Currency("ETH")]


def told(events: Sequence[VenueEvent]) -> str:
    """Events as one line: `a accepted; a took 1 @ 100; a filled 1`."""
    return "; ".join(f"{event.client_order_id} {_words(event)}" for event in events)


def _words(event: VenueEvent) -> str:
    match event:
        case Fill(quantity=quantity, price=price, maker=maker):
            return f"{'made' if maker else 'took'} {short(quantity)} @ {short(price)}"
        case OrderClosed(status=status, filled=filled, reason=reason):
            return f"{status} {short(filled)}" + (f" ({reason})" if reason else "")
        case OrderRejected(reason=reason):
            return f"rejected ({reason})"
        case OrderAmended(quantity=quantity, price=price, trigger_price=trigger):
            numbers = [short(number) for number in (quantity, price, trigger) if number is not None]
            return f"amended {' '.join(numbers)}"
        case AmendRejected(reason=reason):
            return f"amend rejected ({reason})"
        case CancelRejected(reason=reason):
            return f"cancel rejected ({reason})"
        case _:
            return "accepted"


def short(number: Decimal) -> str:
    return f"{number.normalize():f}"
