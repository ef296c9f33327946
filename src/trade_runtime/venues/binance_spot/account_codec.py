"""What the account holds and did, over Binance's REST API, without any I/O."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_runtime.errors import VenueError
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, TradeId
from trade_runtime.model.orders import Side
from trade_runtime.venues.binance.answers import BINANCE
from trade_runtime.venues.binance.numbers import Id, Ms
from trade_runtime.venues.binance.streams import NS_PER_MS
from trade_runtime.venues.binance_spot.fees import fee_in_base


class _Balance(msgspec.Struct):
    asset: str
    free: Decimal
    locked: Decimal


class _Account(msgspec.Struct):
    balances: list[_Balance]


class _Restrictions(msgspec.Struct):
    enableWithdrawals: bool  # noqa: N815


class OwnTrade(msgspec.Struct):
    """A trade of the account, as `/api/v3/myTrades` tells it: it names the order by Binance's own
    id alone.
    """

    symbol: str
    id: Id
    order_id: Id = msgspec.field(name="orderId")
    price: Decimal
    quantity: Decimal = msgspec.field(name="qty")
    fee: Decimal = msgspec.field(name="commission")
    fee_asset: str = msgspec.field(name="commissionAsset")
    time_ms: Ms = msgspec.field(name="time")
    buyer: bool = msgspec.field(name="isBuyer")
    maker: bool = msgspec.field(name="isMaker")

    def fill(self, client_order_id: ClientOrderId, instrument: InstrumentId) -> Fill:
        """Return it as a fill of an order."""
        side = Side.BUY if self.buyer else Side.SELL
        return Fill(
            client_order_id,
            instrument,
            TradeId(str(self.id)),
            side,
            self.quantity,
            self.price,
            self.fee,
            Currency(self.fee_asset),
            self.maker,
            self.time_ms * NS_PER_MS,
            fee_in_base=fee_in_base(instrument, side, self.fee_asset),
        )


_account = msgspec.json.Decoder(_Account)
_restrictions = msgspec.json.Decoder(_Restrictions)
_trades = msgspec.json.Decoder(list[OwnTrade])


def decode_balances(body: bytes) -> dict[Currency, Decimal]:
    """Decode the answer of `/api/v3/account`: what is held, free and locked; none that is 0.

    Raises:
        VenueError: it made no sense.
    """
    held: dict[Currency, Decimal] = {}
    for raw in BINANCE.decode(_account, body, "account").balances:
        BINANCE.check_exact("balance", raw.free, raw.locked)
        if whole := raw.free + raw.locked:
            held[Currency(raw.asset)] = whole
    return held


def decode_own_trades(body: bytes, symbol: str) -> list[OwnTrade]:
    """Decode the answer of `/api/v3/myTrades`, oldest first.

    Raises:
        VenueError: it made no sense, or is about another symbol.
    """
    trades = BINANCE.decode(_trades, body, "list of own trades")
    for one in trades:
        BINANCE.check_exact("trade", one.price, one.quantity, one.fee.copy_abs())
        if one.symbol != symbol or not one.price or not one.quantity or one.id < 0:
            raise VenueError(f"Binance sent a trade of {symbol} that cannot be")
    return sorted(trades, key=lambda one: one.id)


def decode_withdraws(body: bytes) -> bool:
    """Decode the answer of `/sapi/v1/account/apiRestrictions`: whether the key may withdraw.

    Raises:
        VenueError: it made no sense.
    """
    return BINANCE.decode(_restrictions, body, "list of a key's rights").enableWithdrawals
