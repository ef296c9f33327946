"""What only history needs: `[backtest]`, its data, and instruments that no venue describes.

Stands beside the values, as the other sections do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.instrument import Instrument, InstrumentKind
from trade_runtime.settings.checks import one_of, positive, positive_or_none, whole
from trade_runtime.settings.secrets import Table

DataKind = Literal["quotes", "trades", "bars", "book"]


def _moment(value: object) -> datetime | None:
    """Take a TOML date or date-time, or its ISO 8601 text; one without an offset is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigError(f'"{value}" is no date; write for example 2024-08-08') from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value is None or isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value
    raise ConfigError(f"{value!r} is no date; write for example 2024-08-08")


def _nanoseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000


@attrs.frozen
class DataSettings:
    """`[[backtest.data]]`: one history of one instrument.

    Attributes:
        instrument: whose.
        kind: what it tells.
        path: a file or a folder; in a file, relative to that file's folder.
        format: how it is written; `auto` goes by the ending of the file's name.
        options: what else the format understands.
    """

    instrument: InstrumentId = attrs.field(metadata={"sample": '"BTCUSDT.sim"'})
    kind: DataKind = attrs.field(validator=one_of(DataKind), metadata={"sample": '"quotes"'})
    path: Path = attrs.field(converter=Path, metadata={"sample": '"ticks.parquet"'})
    format: str = "auto"
    options: Mapping[str, Any] = attrs.field(factory=Table, converter=Table)


def _several(items: Iterable[DataSettings]) -> tuple[DataSettings, ...]:
    return tuple(items)


@attrs.frozen
class BacktestSettings:
    """`[backtest]`: what history a backtest runs over. A live run ignores it.

    Attributes:
        data: the histories; they are merged by time.
        start: events before this are left out; None for none.
        end: events at this and after are left out; None for none.
        samples: how many points of the equity curve are kept at most.
    """

    data: tuple[DataSettings, ...] = attrs.field(default=(), converter=_several)
    start: Any = attrs.field(default=None, converter=_moment)
    end: Any = attrs.field(default=None, converter=_moment)
    samples: int = attrs.field(default=4_000, validator=whole(least=16))

    def __attrs_post_init__(self) -> None:
        """Refuse a stretch of no length."""
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ConfigError(f"start {self.start} must be before end {self.end}")

    @property
    def start_ns(self) -> int | None:
        """`start` in nanoseconds since the Unix epoch."""
        return _nanoseconds(self.start)

    @property
    def end_ns(self) -> int | None:
        """`end` in nanoseconds since the Unix epoch."""
        return _nanoseconds(self.end)


@attrs.frozen
class InstrumentSettings:
    """`[instruments."SYMBOL.VENUE"]`: the rules of an instrument that no venue describes.

    Attributes:
        tick: the smallest step of a price.
        lot: the smallest step of a quantity.
        base: what is bought and sold.
        quote: what it is paid with.
        min_quantity: the smallest quantity of an order.
        max_quantity: the largest; None for none.
        min_notional: the smallest price times quantity.
        max_price: the largest price; None for none.
        kind: `spot`, or `linear` for a contract whose profit is paid in the quote currency.
        multiplier: how much of the base currency one unit of a contract stands for.
    """

    tick: Decimal = attrs.field(validator=positive, metadata={"sample": '"0.01"'})
    lot: Decimal = attrs.field(validator=positive, metadata={"sample": '"0.00001"'})
    base: Currency = attrs.field(metadata={"sample": '"BTC"'})
    quote: Currency = attrs.field(metadata={"sample": '"USDT"'})
    min_quantity: Decimal = Decimal(0)
    max_quantity: Decimal | None = attrs.field(default=None, validator=positive_or_none)
    min_notional: Decimal = Decimal(0)
    max_price: Decimal | None = attrs.field(default=None, validator=positive_or_none)
    kind: InstrumentKind = attrs.field(default="spot", validator=one_of(InstrumentKind))
    multiplier: Decimal = attrs.field(default=Decimal(1), validator=positive)

    def describe(self, instrument: InstrumentId) -> Instrument:
        """Return the instrument that is meant.

        Raises:
            ValueError: its numbers cannot be carried exactly.
        """
        return Instrument(instrument, **attrs.asdict(self))
