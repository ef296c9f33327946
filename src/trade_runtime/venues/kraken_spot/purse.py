"""Kraken's `balances` channel, without any I/O: what the account holds, as it was told.

Source: https://docs.kraken.com/api/docs/websocket-v2/balances
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trade_runtime.model.ids import Currency
from trade_runtime.venues.kraken_spot.codec import KRAKEN, check_digits


class _Wallet(msgspec.Struct):
    type: str
    id: str
    balance: Decimal


class _Row(msgspec.Struct):
    asset: str
    balance: Decimal
    wallets: list[_Wallet] | None = None
    wallet_type: str = "spot"
    wallet_id: str = "main"


_rows = msgspec.json.Decoder(list[_Row])


class Purse:
    """What the main wallet holds, free and locked; what is held to earn is not in it."""

    def __init__(self) -> None:
        self.held: dict[Currency, Decimal] | None = None
        """By currency; None before the first word."""

    def take(self, payload: msgspec.Raw, *, snapshot: bool) -> None:
        """Take rows in.

        Raises:
            VenueError: they made no sense.
        """
        found: dict[Currency, Decimal] = {}
        for row in KRAKEN.decode(_rows, payload, "balance"):
            main = [w.balance for w in row.wallets or () if (w.type, w.id) == ("spot", "main")]
            check_digits("balance", row.balance, *main)
            if row.wallets is not None:
                found[Currency(row.asset)] = sum(main, Decimal(0))
            elif (row.wallet_type, row.wallet_id) == ("spot", "main"):
                found[Currency(row.asset)] = row.balance
        if snapshot:
            self.held = found
        elif self.held is not None:
            self.held |= found
