"""What bars a strategy is given: a value that the configuration, the live runtime and a backtest
share.
"""

from __future__ import annotations

from typing import Literal

import attrs

BarKind = Literal["time", "trades", "volume"]
"""What ends a bar: so much time, so many trades, so much traded volume."""

BarSource = Literal["trades", "quotes"]
"""What bars are made of: trades, or the mid prices of quotes where there are no trades."""


@attrs.frozen
class BarPlan:
    """The bars of one strategy, the same for each of its instruments.

    Attributes:
        kind: what ends a bar.
        size: when: seconds, a number of trades (of quotes, where bars are made of these), or a
            quantity of the base currency.
        source: what they are made of.
        warmup: how many bars of each instrument it is to be given before it may trade.
    """

    kind: BarKind = "time"
    size: float = 60.0
    source: BarSource = "trades"
    warmup: int = 0
