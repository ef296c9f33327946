"""The account at Binance USD-M Futures: balances, positions, and what can be set of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from trade_runtime.exchange.faces.binance.errors import Rejected
from trade_runtime.exchange.faces.binance.params import Params
from trade_runtime.exchange.faces.binance_usdm.listing import listed
from trade_runtime.exchange.floor import Floor
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO

MAX_LEVERAGE: Final = 125
"""Binance's own."""

MAX_COUNTDOWN_MS: Final = 86_400_000
_MOST: Final = Decimal(1_000_000)


class Account:
    """What the account has.

    Args:
        floor: where.
    """

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._leverage: dict[str, int] = {}
        self._hedge = floor.options.get("hedge_mode") == "true"

    def balances(self, _: Params) -> list[dict[str, Any]]:
        """List the wallets."""
        return [
            {
                "accountAlias": "local",
                "asset": name,
                "balance": text(held.total),
                "crossWalletBalance": text(held.total),
                "crossUnPnl": text(self._unrealised(name)),
                "availableBalance": text(held.total - held.locked),
                "maxWithdrawAmount": text(held.total - held.locked),
                "marginAvailable": True,
                "updateTime": self._floor.clock.now_ms(),
            }
            for name, held in self._floor.exchange.balances().items()
        ]

    def positions(self, params: Params) -> list[dict[str, Any]]:
        """List the positions."""
        return [
            self._position(symbol)
            for symbol, held in self._floor.exchange.positions().items()
            if params.text("symbol", symbol) == symbol and held.quantity
        ]

    def _position(self, symbol: str) -> dict[str, Any]:
        held = self._floor.exchange.positions()[symbol]
        mark = self._floor.market.tapes[symbol].mid
        entry = held.average_price or ZERO
        profit = (mark - entry) * held.quantity if mark else ZERO
        margin = abs(held.quantity * mark) / self._leverage.get(symbol, 20)
        return {
            "symbol": symbol,
            "positionSide": "BOTH",
            "positionAmt": text(held.quantity),
            "entryPrice": text(entry),
            "breakEvenPrice": text(entry),
            "markPrice": text(mark),
            "unRealizedProfit": text(profit),
            "unrealizedProfit": text(profit),
            "liquidationPrice": "0",
            "leverage": str(self._leverage.get(symbol, 20)),
            "maxNotionalValue": text(_MOST),
            "marginType": "cross",
            "isolatedMargin": "0",
            "isAutoAddMargin": "false",
            "isolated": False,
            "isolatedWallet": "0",
            "notional": text(held.quantity * mark),
            "marginAsset": str(self._floor.exchange.instruments[symbol].quote),
            "initialMargin": text(margin),
            "maintMargin": "0",
            "positionInitialMargin": text(margin),
            "openOrderInitialMargin": "0",
            "adl": 0,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": self._floor.clock.now_ms(),
        }

    def _unrealised(self, currency: str) -> Decimal:
        exchange, total = self._floor.exchange, ZERO
        for symbol, held in exchange.positions().items():
            mark = self._floor.market.tapes[symbol].mid
            if str(exchange.instruments[symbol].quote) == currency and held.quantity and mark:
                total += (mark - (held.average_price or ZERO)) * held.quantity
        return total

    def account(self, params: Params) -> dict[str, Any]:
        """Tell everything of the account."""
        assets = []
        totals = {"wallet": ZERO, "profit": ZERO, "free": ZERO}
        for name, held in self._floor.exchange.balances().items():
            profit = self._unrealised(name)
            totals["wallet"] += held.total
            totals["profit"] += profit
            totals["free"] += held.total - held.locked
            assets.append(
                {
                    "asset": name,
                    "walletBalance": text(held.total),
                    "unrealizedProfit": text(profit),
                    "marginBalance": text(held.total + profit),
                    "maintMargin": "0",
                    "initialMargin": text(held.locked),
                    "positionInitialMargin": text(held.locked),
                    "openOrderInitialMargin": "0",
                    "crossWalletBalance": text(held.total),
                    "crossUnPnl": text(profit),
                    "availableBalance": text(held.total - held.locked),
                    "maxWithdrawAmount": text(held.total - held.locked),
                    "marginAvailable": True,
                    "updateTime": self._floor.clock.now_ms(),
                }
            )
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": False,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "totalInitialMargin": "0",
            "totalMaintMargin": "0",
            "totalWalletBalance": text(totals["wallet"]),
            "totalUnrealizedProfit": text(totals["profit"]),
            "totalMarginBalance": text(totals["wallet"] + totals["profit"]),
            "totalPositionInitialMargin": "0",
            "totalOpenOrderInitialMargin": "0",
            "totalCrossWalletBalance": text(totals["wallet"]),
            "totalCrossUnPnl": text(totals["profit"]),
            "availableBalance": text(totals["free"]),
            "maxWithdrawAmount": text(totals["free"]),
            "assets": assets,
            "positions": self.positions(params),
        }

    def mode(self, _: Params) -> dict[str, Any]:
        """Tell whether a symbol has one position or two."""
        return {"dualSidePosition": self._hedge}

    def set_mode(self, params: Params) -> dict[str, Any]:
        """Change that: only from hedge mode to one-way mode is offered here."""
        if params.flag("dualSidePosition"):
            raise Rejected(-4068, "Position side cannot be changed if there exists position.")
        if not self._hedge:
            raise Rejected(-4059, "No need to change position side.")
        self._hedge = False
        return {"code": 200, "msg": "success"}

    def set_leverage(self, params: Params) -> dict[str, Any]:
        """Keep the leverage that is wanted for a contract; what the exchange lends stays."""
        symbol, leverage = params.needed("symbol"), params.whole("leverage")
        listed(self._floor, symbol)
        if not 1 <= leverage <= MAX_LEVERAGE:
            raise Rejected(-4028, f"Leverage {leverage} is not valid")
        self._leverage[symbol] = leverage
        return {"leverage": leverage, "maxNotionalValue": text(_MOST), "symbol": symbol}

    def set_margin_type(self, params: Params) -> dict[str, Any]:
        """Refuse what is so already: all positions are cross here."""
        listed(self._floor, params.needed("symbol"))
        if params.choice("marginType", ("CROSSED", "ISOLATED"), -4051) == "CROSSED":
            raise Rejected(-4046, "No need to change margin type.")
        raise Rejected(-4047, "Margin type cannot be changed if there exists open orders.")

    def multi_assets(self, _: Params) -> dict[str, Any]:
        """Tell that each contract is margined in its own currency."""
        return {"multiAssetsMargin": False}

    def commission(self, params: Params) -> dict[str, Any]:
        """Tell the fees of a contract."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        return {
            "symbol": symbol,
            "makerCommissionRate": self._floor.options.get("maker_rate", "0.000200"),
            "takerCommissionRate": self._floor.options.get("taker_rate", "0.000500"),
            "rpiCommissionRate": "0",
        }

    def brackets(self, params: Params) -> list[dict[str, Any]]:
        """List how much leverage how large a position may have."""
        bracket = {
            "bracket": 1,
            "initialLeverage": MAX_LEVERAGE,
            "notionalCap": int(_MOST),
            "notionalFloor": 0,
            "maintMarginRatio": 0.004,
            "cum": 0.0,
        }
        return [
            {"symbol": symbol, "brackets": [bracket]}
            for symbol in self._floor.exchange.instruments
            if params.text("symbol", symbol) == symbol
        ]

    def income(self, _: Params) -> list[dict[str, Any]]:
        """List what was booked beside trades: nothing is."""
        return []

    def coins(self, _: Params) -> list[dict[str, Any]]:
        """List the currencies of the account beside this one: none can be moved from here."""
        return [
            {
                "coin": name,
                "name": name,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "free": "0",
                "locked": "0",
                "trading": True,
                "isLegalMoney": False,
                "networkList": [],
            }
            for name in self._floor.exchange.balances()
        ]

    def no_margin(self, _: Params) -> list[dict[str, Any]]:
        """List the pairs of Spot for margin trading: there are none."""
        return []

    def countdown(self, params: Params) -> dict[str, Any]:
        """Start, restart or stop the countdown of a contract."""
        symbol, wanted_ms = params.needed("symbol"), params.whole("countdownTime")
        listed(self._floor, symbol)
        if wanted_ms > MAX_COUNTDOWN_MS:
            raise Rejected(-1130, "Data sent for parameter 'countdownTime' is not valid.")
        self._floor.switches.arm(symbol, wanted_ms / 1000)
        return {"symbol": symbol, "countdownTime": str(wanted_ms)}

    def symbol_config(self, params: Params) -> list[dict[str, Any]]:
        """List what is set for each contract."""
        return [
            {
                "symbol": symbol,
                "marginType": "CROSSED",
                "isAutoAddMargin": False,
                "leverage": self._leverage.get(symbol, 20),
                "maxNotionalValue": text(_MOST),
            }
            for symbol in self._floor.exchange.instruments
            if params.text("symbol", symbol) == symbol
        ]
