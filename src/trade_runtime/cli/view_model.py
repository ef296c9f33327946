"""What the live view shows, as plain values: apart from where it comes from and how it is drawn.

A part of the command line.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

Amount = tuple[str, Decimal]
"""A currency, and how much of it."""


@attrs.frozen
class FeedLine:
    """An instrument's market data; `health` is `live`, `polling` or `stale`, and `places` how many
    decimal places its prices have.
    """

    instrument: str
    health: str
    bid: float | None
    ask: float | None
    quotes: int
    trades: int
    reconnects: int
    rest_polls: int
    places: int


@attrs.frozen
class PositionLine:
    """A strategy's position. `protection` is `yes`, `partly`, `no`, `not required`, or empty when
    it is flat.

    Prices and profits are in the quote currency; `mark` is what closing it would bring, and
    `places` the decimal places of the instrument's prices.
    """

    strategy: str
    instrument: str
    quantity: Decimal
    average_price: Decimal
    mark: Decimal | None
    unrealised: Decimal | None
    realised: Decimal
    fees: tuple[Amount, ...]
    protection: str
    triggers: tuple[Decimal, ...]
    places: int


@attrs.frozen
class OrderLine:
    """An order that rests at a venue, or may."""

    id: str
    strategy: str
    instrument: str
    side: str
    type: str
    filled: Decimal
    quantity: Decimal
    price: Decimal | None
    state: str
    protective: bool
    cancelling: bool


@attrs.frozen
class StrategyLine:
    """A strategy and how it fares."""

    name: str
    outcome: str
    detail: str


@attrs.frozen
class StageLine:
    """A stage of the stop; `outcome` is `pending`, `running`, or the stage's own."""

    name: str
    layer: str
    outcome: str
    budget_secs: float
    took_secs: float
    detail: str


@attrs.frozen
class ViewModel:
    """All that is shown.

    Attributes:
        runtime: its name.
        mode: `paper` where every venue that trades lives on market data that others bring, `live`
            where one does not, empty before the venues are open.
        state: `starting`, `running`, `halted`, `stopping` or `stopped`.
        uptime_secs: since it was started.
        reason: why it stops or was halted.
        feeds, positions, strategies: a line each.
        net: by currency, what all positions have won or lost, realised or not, less fees.
        orders: the first of them, entries before protective ones.
        orders_total: how many there are.
        records: of the journal.
        backlog: of these, how many are not yet durable.
        store_error: why nothing more can be recorded.
        stages: of the stop, in order; empty before it begins.
        stop_secs: how long the stop has been under way.
        cap_secs: when the process is forced to exit.
    """

    runtime: str
    mode: str
    state: str
    uptime_secs: float
    reason: str = ""
    feeds: tuple[FeedLine, ...] = ()
    positions: tuple[PositionLine, ...] = ()
    net: tuple[Amount, ...] = ()
    orders: tuple[OrderLine, ...] = ()
    orders_total: int = 0
    strategies: tuple[StrategyLine, ...] = ()
    records: int = 0
    backlog: int = 0
    store_error: str = ""
    stages: tuple[StageLine, ...] = ()
    stop_secs: float = 0.0
    cap_secs: float = 0.0
