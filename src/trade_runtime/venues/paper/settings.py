"""What a `[venues.NAME]` table of `kind = "paper"` may say.

Values only. A validator that refuses raises ConfigError in one sentence that names the field.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, get_args

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.instrument import exact
from trade_runtime.model.orders import OrderType
from trade_runtime.protocols import Capabilities

FaultKind = Literal["drop", "delay", "duplicate", "disconnect", "reject"]
FaultOn = Literal["submit", "cancel", "amend", "query", "event", "any"]

Queue = Literal["front", "back"]
FeeIn = Literal["quote", "received"]

MAX_FAULTS = 100

MAX_LEVERAGE = 1_000
"""More than any venue offers."""

_SENSELESS = {("duplicate", "query"), ("reject", "event")}


def _choice(choices: Any) -> Any:
    known = get_args(choices)

    def check(_: object, field: attrs.Attribute[Any], value: object) -> None:
        if value not in known:
            raise ConfigError(
                f"{field.name}: must be one of {', '.join(map(repr, known))}, got {value!r}"
            )

    return check


def _between(low: float, high: float = math.inf) -> Any:
    def check(_: object, field: attrs.Attribute[Any], value: float) -> None:
        if not (low <= value <= high and math.isfinite(value)):
            bound = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise ConfigError(f"{field.name}: must be a finite number {bound}, got {value}")

    return check


def _exact_balances(balances: Mapping[str, Any]) -> Mapping[str, Decimal]:
    return {str(name): exact(value) for name, value in balances.items()}


def _exact_or_none(value: Any) -> Decimal | None:
    return None if value is None else exact(value)


def _types(items: Iterable[Any]) -> tuple[OrderType, ...]:
    return tuple(OrderType(item) for item in items)


def _several(faults: Iterable[FaultSettings]) -> tuple[FaultSettings, ...]:
    return tuple(faults)


def _held(_: object, field: attrs.Attribute[Any], value: Mapping[str, Decimal]) -> None:
    for currency, amount in value.items():
        if amount < 0:
            raise ConfigError(f"{field.name}: {currency} must be at least 0, got {amount}")


@attrs.frozen
class FaultSettings:
    """One `[[venues.NAME.faults]]` table: what goes wrong, with what, how often and when.

    Attributes:
        kind: `drop` loses it; `delay` holds it back; `duplicate` delivers it twice; `reject` has
            the venue refuse it; `disconnect` ends the connection.
        on: a `submit`, a `cancel`, an `amend`, a `query`, an `event` (what the venue tells back:
            dropping one is a lost acknowledgement), or `any` of them. A disconnect on `any` needs
            no occasion: it comes at `after_secs`.
        probability: of each occasion, 0 to 1.
        after_secs: from when on, counted from the opening of the venue.
        for_secs: until how long after that; 0 is for ever. For a disconnect: how long the venue
            stays away.
        delay_ms: how long a `delay` holds back.
    """

    kind: FaultKind = attrs.field(validator=_choice(FaultKind))
    on: FaultOn = attrs.field(default="any", validator=_choice(FaultOn))
    probability: float = attrs.field(default=1.0, validator=_between(0, 1))
    after_secs: float = attrs.field(default=0.0, validator=_between(0))
    for_secs: float = attrs.field(default=0.0, validator=_between(0))
    delay_ms: float = attrs.field(default=500.0, validator=_between(0, 3_600_000))

    def __attrs_post_init__(self) -> None:
        """Refuse what could never happen."""
        if (self.kind, self.on) in _SENSELESS:
            raise ConfigError(f'on: a fault of kind "{self.kind}" has no meaning on "{self.on}"')


@attrs.frozen
class PaperSettings:
    """The settings of a paper venue.

    Attributes:
        market_data: the `[venues.NAME]` table whose quotes and trades drive it; None: none does.
        latency_ms: how long a request is under way to the exchange; what it tells comes at once.
        fee_bps: the fee on each fill, in hundredths of a percent of its notional.
        maker_fee_bps: that of a fill that made liquidity, if it is another; below 0 for a rebate.
        taker_fee_bps: that of a fill that took it, if it is another.
        fee_in: what currency of a spot instrument the fee is taken in: the `quote` currency, or
            what was `received`, as many spot venues do: the base currency for a buy.
        queue: where a resting order stands among those displayed at its price: at the `front`, or
            at the `back`.
        leverage: how much notional of contracts (instruments of kind `linear`) a unit of the
            account's equity carries.
        order_types: what it holds; less imitates a venue that holds less.
        amend: it changes orders that rest.
        oco: it holds groups of orders.
        balances: what the account holds when its record is new; an existing record wins.
        seed: of the faults' randomness; 0 takes the runtime's own seeded stream.
        faults: what goes wrong.
    """

    market_data: str | None = None
    latency_ms: float = attrs.field(default=20.0, validator=_between(0, 60_000))
    fee_bps: Decimal = attrs.field(default=Decimal(10), converter=exact)
    maker_fee_bps: Decimal | None = attrs.field(default=None, converter=_exact_or_none)
    taker_fee_bps: Decimal | None = attrs.field(default=None, converter=_exact_or_none)
    fee_in: FeeIn = attrs.field(default="quote", validator=_choice(FeeIn))
    queue: Queue = attrs.field(default="front", validator=_choice(Queue))
    leverage: Decimal = attrs.field(default=Decimal(1), converter=exact)
    order_types: tuple[OrderType, ...] = attrs.field(default=tuple(OrderType), converter=_types)
    amend: bool = True
    oco: bool = True
    balances: Mapping[str, Decimal] = attrs.field(
        factory=lambda: {"USDT": Decimal(10_000)}, converter=_exact_balances, validator=_held
    )
    seed: int = attrs.field(default=0, validator=attrs.validators.instance_of(int))
    faults: tuple[FaultSettings, ...] = attrs.field(default=(), converter=_several)

    @fee_bps.validator
    def _fee(self, _: object, value: Decimal) -> None:
        if not 0 <= value < 10_000:
            raise ConfigError(f"fee_bps: must be from 0 up to, not including, 10000, got {value}")

    @leverage.validator
    def _carried(self, _: object, value: Decimal) -> None:
        if not 1 <= value <= MAX_LEVERAGE:
            raise ConfigError(f"leverage: must be from 1 to {MAX_LEVERAGE}, got {value}")

    @maker_fee_bps.validator
    @taker_fee_bps.validator
    def _own_fee(self, field: attrs.Attribute[Any], value: Decimal | None) -> None:
        if value is not None and not -10_000 < value < 10_000:
            raise ConfigError(f"{field.name}: must be above -10000 and below 10000, got {value}")

    @property
    def fees_bps(self) -> tuple[Decimal, Decimal]:
        """The fees of a maker and of a taker."""
        maker, taker = self.maker_fee_bps, self.taker_fee_bps
        return (
            self.fee_bps if maker is None else maker,
            self.fee_bps if taker is None else taker,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What it holds by itself."""
        return Capabilities(types=frozenset(self.order_types), amend=self.amend, oco=self.oco)

    @property
    def latency_ns(self) -> int:
        """The latency in nanoseconds."""
        return round(self.latency_ms * 1e6)

    @faults.validator
    def _few(self, _: object, value: tuple[FaultSettings, ...]) -> None:
        if len(value) > MAX_FAULTS:
            raise ConfigError(f"faults: at most {MAX_FAULTS}, got {len(value)}")
