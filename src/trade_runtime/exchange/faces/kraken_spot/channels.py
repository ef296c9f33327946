"""What one connection of Kraken's WebSocket v2 is subscribed to, and the frames it gets of it."""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from trade_runtime.exchange.faces.kraken_spot import events
from trade_runtime.exchange.faces.kraken_spot.listing import Listing, Pair
from trade_runtime.exchange.faces.kraken_spot.words import NS, Wrong, order_name
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.market import DepthChange, Levels
from trade_runtime.exchange.sockets import Socket
from trade_runtime.exchange.views import Change, Order, Update, What
from trade_runtime.model.market import Quote, Trade
from trade_runtime.model.orders import ZERO

DEPTHS: Final = (10, 25, 100, 500, 1000)
SNAP_TRADES: Final = 50
"""Fills, and public trades, that a snapshot has at most."""

PUBLIC: Final = ("ticker", "trade", "book")
PRIVATE: Final = ("executions", "balances")

NOT_SUBSCRIBED: Final = "Subscription Not Found"


class _Book:
    """A book as one client has it by what it was sent."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids: Levels = ()
        self.asks: Levels = ()


class Channels:
    """The subscriptions of a connection: a `MarketListener` and a listener of the exchange.

    Args:
        socket: where frames go.
        floor: the market and the account.
        listing: the pairs.
    """

    def __init__(self, socket: Socket, floor: Floor, listing: Listing) -> None:
        self._socket = socket
        self._floor = floor
        self._listing = listing
        self._tickers: dict[str, str] = {}
        self._trades: set[str] = set()
        self._books: dict[str, _Book] = {}
        self._executions = False
        self._balances = False
        self._sequence = {name: count(1) for name in PRIVATE}

    # --- subscriptions

    def subscribe(self, params: dict[str, Any], symbol: str | None) -> dict[str, Any]:
        """Subscribe to a channel, of one symbol where it is of symbols; return what is confirmed.

        Raises:
            Wrong: it cannot be.
        """
        channel = params.get("channel")
        told: dict[str, Any] = {"channel": channel, "snapshot": params.get("snapshot", True)}
        if channel in PRIVATE:
            if channel == "executions":
                self._executions = True
            else:
                self._balances = True
            return told
        if channel == "instrument":
            return told
        pair = self._pair(channel, symbol)
        told["symbol"] = pair.symbol
        if channel == "book":
            depth = params.get("depth", 10)
            if depth not in DEPTHS or isinstance(depth, bool):
                raise Wrong("Depth not supported")
            if pair.symbol in self._books:
                raise Wrong("Already subscribed")
            self._books[pair.symbol] = _Book(depth)
            told["depth"] = depth
        elif channel == "ticker":
            self._tickers[pair.symbol] = str(params.get("event_trigger", "trades"))
            told["event_trigger"] = self._tickers[pair.symbol]
        else:
            self._trades.add(pair.symbol)
        return told

    def _pair(self, channel: object, symbol: str | None) -> Pair:
        if channel not in PUBLIC:
            raise Wrong("Channel not supported")
        pair = self._listing.pairs.get(symbol or "")
        if pair is None:
            raise Wrong(f"Currency pair not supported {symbol}")
        return pair

    def unsubscribe(self, params: dict[str, Any], symbol: str | None) -> dict[str, Any]:
        """End a subscription; return what is confirmed.

        Raises:
            Wrong: there was none.
        """
        channel = params.get("channel")
        if channel in PRIVATE:
            if channel == "executions":
                self._executions = False
            else:
                self._balances = False
            return {"channel": channel}
        pair = self._pair(channel, symbol)
        if channel == "book":
            if self._books.pop(pair.symbol, None) is None:
                raise Wrong(NOT_SUBSCRIBED)
            return {"channel": channel, "symbol": pair.symbol, "depth": params.get("depth", 10)}
        if channel == "ticker":
            self._tickers.pop(pair.symbol, None)
        else:
            self._trades.discard(pair.symbol)
        return {"channel": channel, "symbol": pair.symbol}

    def snapshot(self, params: dict[str, Any], symbol: str | None) -> None:
        """Send what stands at the moment of a subscription, after it was confirmed."""
        channel = params.get("channel")
        if channel == "executions":
            self._snap_executions(params)
        elif channel == "balances":
            rows = events.balance_rows(self._floor.exchange.balances())
            self._private("balances", "snapshot", rows)
        elif channel == "instrument":
            self._public("instrument", "snapshot", events.instruments(self._listing))
        elif symbol is not None and (params.get("snapshot", True) or channel == "book"):
            self._snap_market(str(channel), symbol, self._listing.pairs[symbol])

    def _snap_market(self, channel: str, symbol: str, pair: Pair) -> None:
        tape = self._floor.market.tapes[symbol]
        if channel == "book":
            book = self._books[symbol]
            book.bids, book.asks = tape.depth(book.depth)
            crc = events.checksum(pair, book.bids, book.asks)
            now_ns = self._floor.clock.now_ns()
            rows = events.book_rows(pair, book.bids, book.asks, crc, now_ns)
            self._public("book", "snapshot", rows)
        elif channel == "ticker" and tape.quote is not None:
            self._public("ticker", "snapshot", events.ticker_rows(pair, tape.quote, tape))
        elif channel == "trade" and tape.trades:
            newest = list(tape.trades)[-SNAP_TRADES:]
            rows = [events.trade_row(pair, trade) for trade in newest]
            self._public("trade", "snapshot", rows)

    def _snap_executions(self, params: dict[str, Any]) -> None:
        exchange, rows = self._floor.exchange, []
        if params.get("snap_orders", True):
            for order in exchange.open_orders():
                pair = self._listing.pairs[order.symbol]
                rows.append(events.order_row(order, pair, order.updated_ns, "new"))
        if params.get("snap_trades", False):
            for fill in exchange.fills()[-SNAP_TRADES:]:
                found = exchange.order(fill.order_id)
                if found is not None:
                    pair = self._listing.pairs[fill.symbol]
                    rows.append(events.trade_event(found, fill, pair, fill.ts_ns))
        self._private("executions", "snapshot", rows)

    # --- the market

    def on_quote(self, symbol: str, quote: Quote) -> None:
        """Tell of a best bid and ask, where each is asked for."""
        if self._tickers.get(symbol) == "bbo":
            self._tick(symbol, quote)

    def on_trade(self, symbol: str, trade: Trade) -> None:
        """Tell of a trade."""
        if symbol in self._trades:
            self._public("trade", "update", [events.trade_row(self._listing.pairs[symbol], trade)])
        quote = self._floor.market.tapes[symbol].quote
        if quote is not None and self._tickers.get(symbol, "bbo") != "bbo":
            self._tick(symbol, quote)

    def _tick(self, symbol: str, quote: Quote) -> None:
        tape = self._floor.market.tapes[symbol]
        rows = events.ticker_rows(self._listing.pairs[symbol], quote, tape)
        self._public("ticker", "update", rows)

    def on_depth(self, change: DepthChange) -> None:
        """Tell of a change of a book, as far as it is within the depth."""
        book = self._books.get(change.symbol)
        if book is None:
            return
        pair, tape = self._listing.pairs[change.symbol], self._floor.market.tapes[change.symbol]
        bids, asks = tape.depth(book.depth)
        # What fell out of the depth is still there: its client cuts it off by itself.
        told_bids = _difference(book.bids, bids, tape.bids)
        told_asks = _difference(book.asks, asks, tape.asks)
        book.bids, book.asks = bids, asks
        if told_bids or told_asks:
            crc = events.checksum(pair, bids, asks)
            rows = events.book_rows(pair, told_bids, told_asks, crc, change.ts_ns)
            self._public("book", "update", rows)

    # --- the account

    def on_update(self, update: Update) -> None:
        """Tell what one request or one move of the market changed."""
        if self._executions:
            for change in update.changes:
                for row in events.rows_of(change, self._listing.pairs[change.order.symbol]):
                    self._private("executions", "update", [row])
        if self._balances:
            for name, held in update.balances.items():
                self._private("balances", "update", [self._ledger_row(name, held.total, update)])

    def _ledger_row(self, name: str, total: Any, update: Update) -> dict[str, Any]:
        reason = _filled(update.changes)
        return {
            "asset": name,
            "asset_class": "currency",
            "type": "trade",
            "category": "trade",
            "wallet_type": "spot",
            "wallet_id": "main",
            "amount": 0,
            "fee": 0,
            "balance": events.number(f"{total:f}"),
            "ref_id": order_name(reason.order_id) if reason is not None else "",
            "timestamp": f"{update.ts_ns // NS}",
        }

    # --- out

    def _public(self, channel: str, kind: str, data: list[Any] | dict[str, Any]) -> None:
        self._socket.tell(events.frame(channel, kind, data))

    def _private(self, channel: str, kind: str, data: list[Any]) -> None:
        sequence = next(self._sequence[channel])
        message = events.frame(channel, kind, data, sequence=sequence)
        self._socket.tell(message, private=True)


def _difference(before: Levels, now: Levels, whole: Any) -> Levels:
    was, stays = dict(before), dict(now)
    fresh = tuple((price, size) for price, size in now if was.get(price) != size)
    gone = tuple((price, ZERO) for price in was if price not in stays and price not in whole)
    return (*gone, *fresh)


def _filled(changes: tuple[Change, ...]) -> Order | None:
    return next((one.order for one in changes if one.what is What.FILLED), None)
