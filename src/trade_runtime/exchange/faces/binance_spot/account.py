"""The account of Binance Spot: balances, fees, the rights of its key, the use of its limits."""

from __future__ import annotations

from typing import Any, Final

from trade_runtime.exchange.faces.binance.calls import usage_of
from trade_runtime.exchange.faces.binance.params import Params, text8
from trade_runtime.exchange.faces.binance_spot.listing import listed
from trade_runtime.exchange.floor import Floor
from trade_runtime.exchange.limits import Limits
from trade_runtime.model.instrument import text
from trade_runtime.model.orders import ZERO

UID: Final = 354_937_868
RATE: Final = "0.00100000"


class Account:
    """The account.

    Args:
        floor: whose.
        limits: of which it says what is used.
    """

    def __init__(self, floor: Floor, limits: Limits) -> None:
        self._floor = floor
        self._limits = limits

    def account(self, params: Params) -> dict[str, Any]:
        """Tell what the account holds."""
        omit = params.flag("omitZeroBalances")
        held = self._floor.exchange.balances()
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": _rates(RATE),
            "canTrade": True,
            "canWithdraw": self._withdraws,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._floor.clock.now_ms(),
            "accountType": "SPOT",
            "balances": [
                {"asset": name, "free": text8(one.total - one.locked), "locked": text8(one.locked)}
                for name, one in sorted(held.items())
                if one.total or not omit
            ],
            "permissions": ["SPOT"],
            "uid": UID,
        }

    @property
    def _withdraws(self) -> bool:
        return self._floor.options.get("withdrawals", "") == "true"

    def commission(self, params: Params) -> dict[str, Any]:
        """Tell what a fill costs."""
        symbol = params.needed("symbol")
        listed(self._floor, symbol)
        none = "0.00000000"
        return {
            "symbol": symbol,
            "standardCommission": _rates(RATE),
            "specialCommission": _rates(none),
            "taxCommission": _rates(none),
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": none,
            },
        }

    def fees(self, params: Params) -> list[dict[str, Any]]:
        """List what a fill costs, by symbol."""
        wanted = [params.text("symbol")] if "symbol" in params else self._floor.exchange.instruments
        return [
            {"symbol": one, "makerCommission": "0.001", "takerCommission": "0.001"}
            for one in wanted
        ]

    def restrictions(self, _: Params) -> dict[str, Any]:
        """Tell what the key may do."""
        return {
            "ipRestrict": False,
            "createTime": 1_698_645_219_000,
            "enableReading": True,
            "enableSpotAndMarginTrading": True,
            "enableWithdrawals": self._withdraws,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enablePortfolioMarginTrading": False,
        }

    def coins(self, _: Params) -> list[dict[str, Any]]:
        """List the currencies."""
        held = self._floor.exchange.balances()
        return [
            {
                "coin": name,
                "name": name,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "free": text(one.total - one.locked),
                "locked": text(one.locked),
                "freeze": "0",
                "withdrawing": "0",
                "ipoing": "0",
                "ipoable": "0",
                "storage": "0",
                "isLegalMoney": False,
                "trading": True,
                "networkList": [],
            }
            for name, one in sorted(held.items())
        ]

    def no_margin(self, _: Params) -> list[dict[str, Any]]:
        """List the pairs for margin trading: there are none."""
        return []

    def order_limits(self, _: Params) -> list[dict[str, Any]]:
        """Tell how many orders were placed."""
        return [one for one in usage_of(self._limits) if one["rateLimitType"] == "ORDERS"]


def _rates(rate: str) -> dict[str, str]:
    none = text8(ZERO)
    return {"maker": rate, "taker": rate, "buyer": none, "seller": none}
