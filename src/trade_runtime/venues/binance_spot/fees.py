"""Whether a fee was taken out of the base currency that was traded, by what a fill itself says."""

from __future__ import annotations

from typing import Final

from trade_runtime.model.ids import InstrumentId
from trade_runtime.model.orders import Side

DISCOUNT_ASSET: Final = "BNB"
"""What an account may have its fees taken in, whatever is traded."""


def fee_in_base(instrument: InstrumentId, side: Side, asset: str) -> bool:
    """Tell whether a fee in `asset` makes the position smaller.

    Binance takes it out of what is received, so of a buy out of the base currency, or else in BNB.
    Its symbols are base and quote without a mark between: a base is what the symbol begins with.
    Of a sale the asset is the quote currency, which a symbol may begin with too (ETHFIETH).
    """
    begins = bool(asset) and instrument.startswith(asset)
    return begins and (side is Side.BUY or asset == DISCOUNT_ASSET)
