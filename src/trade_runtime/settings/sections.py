"""The sections of the configuration, one frozen class each. `docs/reference/configuration.md`
documents every key with its unit; a test keeps the two together.

Stands beside the values: state, venues, prices, orders and strategies all read these and change
none. Every class can be built directly by an embedding program; each refuses bad values with a
ConfigError that names the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from trade_runtime.errors import ConfigError
from trade_runtime.model.bars import BarKind, BarPlan, BarSource
from trade_runtime.model.ids import InstrumentId
from trade_runtime.settings.checks import (
    LogLevel,
    boolean,
    one_of,
    percent_or_none,
    positive,
    positive_or_none,
    runtime_name,
    whole,
)
from trade_runtime.settings.secrets import Table, masked_url

BAR_KINDS: Final[Mapping[str, BarKind]] = {
    "bar_secs": "time",
    "bar_trades": "trades",
    "bar_volume": "volume",
}
"""The keys that say what ends a bar."""

_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)


@attrs.frozen
class RuntimeSettings:
    """`[runtime]`: which runtime this is and where its files are.

    Attributes:
        name: 1 to 32 characters of `a-z`, `0-9`, `_`, `-`; in logs, reports and ids.
        data_dir: the folder of all its files; in a file, relative to that file's folder.
        seed: fixes jitter and ids, for tests; None draws from the operating system.
    """

    name: str = attrs.field(default="trade_runtime", validator=runtime_name)
    data_dir: Path = attrs.field(default=Path("state"), converter=Path)
    seed: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(whole(least=0))
    )


@attrs.frozen
class ShutdownConfig:
    """`[shutdown]`: how long each part of a stop may take, and what a stop does.

    The budgets are of the layers, in the order in which they stop. A layer that is done early
    gives its time to the next; past `timeout_secs` the process is forced to exit.

    Attributes:
        timeout_secs: the cap of the whole stop; at least the sum of the three budgets.
        order_timeout_secs: to halt strategies, cancel entry orders and verify stop-losses.
        price_timeout_secs: to close market data.
        state_timeout_secs: to flush, verify and close the state.
        cancel_orders: cancel every entry order at a stop.
        verify_stop_losses: see to it that every open position has its stop-loss.
        flush_cache: write a last time to the cache that others read. The journal is always
            flushed.
        log_level: from which level on a stop logs its steps.

    Raises:
        ConfigError: a value is not a finite number above 0, or the budgets exceed the cap.
    """

    timeout_secs: float = attrs.field(default=30.0, validator=positive)
    order_timeout_secs: float = attrs.field(default=2.0, validator=positive)
    price_timeout_secs: float = attrs.field(default=1.0, validator=positive)
    state_timeout_secs: float = attrs.field(default=2.0, validator=positive)
    cancel_orders: bool = attrs.field(default=True, validator=boolean)
    verify_stop_losses: bool = attrs.field(default=True, validator=boolean)
    flush_cache: bool = attrs.field(default=True, validator=boolean)
    log_level: LogLevel = attrs.field(default="INFO", validator=one_of(LogLevel))

    @property
    def budgets_secs(self) -> float:
        """The sum of the three budgets."""
        return self.order_timeout_secs + self.price_timeout_secs + self.state_timeout_secs

    def __attrs_post_init__(self) -> None:
        """Refuse budgets that together exceed the cap."""
        total = self.budgets_secs
        if total > self.timeout_secs:
            raise ConfigError(
                f"order_timeout_secs + price_timeout_secs + state_timeout_secs is {total:g},"
                f" above timeout_secs {self.timeout_secs:g};"
                f" raise timeout_secs to {total:g} or lower the budgets"
            )


LogFormat = Literal["auto", "text", "json"]


@attrs.frozen
class LogSettings:
    """`[log]`: from which level on, and how: `auto` is a view on a terminal and text when piped."""

    level: LogLevel = attrs.field(default="INFO", validator=one_of(LogLevel))
    format: LogFormat = attrs.field(default="auto", validator=one_of(LogFormat))


@attrs.frozen
class OwnerSettings:
    """`[owner]`: how this runtime owns its state.

    Attributes:
        standby: where another owns it, wait until that one is gone, and take over.
        lease_secs: how long the lease lasts unless it is renewed, which a third of that does; how
            long it takes until another may take over from one that is gone.
    """

    standby: bool = False
    lease_secs: float = attrs.field(default=5.0, validator=positive)


Durability = Literal["process", "power"]


def _known_url(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not (isinstance(value, str) and _URL.fullmatch(value) and "\0" not in value):
        # Not repeated: where a URL cannot be read, nor can it be known what in it is a password.
        raise ConfigError(f'{field.name}: not a URL; write for example "sqlite:///journal.sqlite"')


@attrs.frozen
class StoreSettings:
    """`[store]`: where the journal is kept, and what an acknowledged record survives.

    Attributes:
        url: `SCHEME:///LOCATION`; a relative location is under `data_dir`. The repr masks its
            password.
        durability: `process` survives `kill -9`, `power` also the loss of power.
        batch_rows: the most records of one transaction.
        commit_secs: how long a record that can be asked of the venue again may wait for company.
        save_secs: how often strategies are asked for their states, besides with their fills.
        snapshot_records: after so many records a snapshot of the state is kept, so that a start
            reads only what came after it.
        keep_records: so many of the newest records are kept at least; older ones are removed, up
            to a snapshot. 0 keeps all.
    """

    url: str = attrs.field(
        default="sqlite:///journal.sqlite",
        validator=_known_url,
        repr=lambda url: repr(masked_url(url)),
    )
    durability: Durability = attrs.field(default="process", validator=one_of(Durability))
    batch_rows: int = attrs.field(default=100, validator=whole(least=1))
    commit_secs: float = attrs.field(default=1.0, validator=positive)
    save_secs: float = attrs.field(default=60.0, validator=positive)
    snapshot_records: int = attrs.field(default=10_000, validator=whole(least=1))
    keep_records: int = attrs.field(default=1_000_000, validator=whole(least=0))

    @property
    def scheme(self) -> str:
        """The part of the URL that names the store plug-in."""
        return self.url.partition("://")[0]

    @property
    def location(self) -> str:
        """The rest of the URL, after `scheme:///` (or `scheme://` where a host follows)."""
        return self.url.partition("://")[2].removeprefix("/")


def _cache_url(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (
        isinstance(value, str) and _URL.fullmatch(value) and "\0" not in value
    ):
        raise ConfigError(f'{field.name}: not a URL; write for example "redis://localhost:6379/0"')


def _cache_prefix(_: object, field: attrs.Attribute[Any], value: object) -> None:
    if not (isinstance(value, str) and _PREFIX.fullmatch(value)):
        raise ConfigError(
            f"{field.name}: must be 1 to 64 characters of A-Z, a-z, 0-9, _, -, . and :,"
            f" got {value!r}"
        )


@attrs.frozen
class CacheSettings:
    """`[cache]`: where other programs read the latest values. Without a URL there is none.

    Attributes:
        url: `redis://HOST:PORT/DB`, or `rediss://` with TLS. The repr masks its password.
        prefix: what every key begins with; after it comes the runtime's name.
        write_secs: between two writes of what has changed.
        quote_secs: between two values of one instrument's quote.
        timeout_secs: an answer that takes longer does not come: the connection is given up.
        heartbeat_secs: how often the status is written when nothing has changed.
        expiry_secs: how long keys stay when a runtime dies; longer than two heartbeats.
        stream_entries: how many entries the stream keeps, about.
    """

    url: str | None = attrs.field(
        default=None,
        validator=_cache_url,
        repr=lambda url: repr(None if url is None else masked_url(url)),
    )
    prefix: str = attrs.field(default="trade_runtime", validator=_cache_prefix)
    write_secs: float = attrs.field(default=0.1, validator=positive)
    quote_secs: float = attrs.field(default=0.25, validator=positive)
    timeout_secs: float = attrs.field(default=1.0, validator=positive)
    heartbeat_secs: float = attrs.field(default=5.0, validator=positive)
    expiry_secs: float = attrs.field(default=30.0, validator=positive)
    stream_entries: int = attrs.field(default=10_000, validator=whole(least=1))

    def __attrs_post_init__(self) -> None:
        """Refuse keys that expire between two heartbeats."""
        if self.expiry_secs < 2 * self.heartbeat_secs:
            raise ConfigError(
                f"expiry_secs {self.expiry_secs:g} is below two heartbeats; raise it to"
                f" {2 * self.heartbeat_secs:g} or lower heartbeat_secs"
            )


@attrs.frozen
class PriceSettings:
    """`[prices]`: when a price is stale, and how the stream is kept alive or replaced.

    Attributes:
        stale_after_secs: when a stream has brought nothing for so long, its instruments are stale.
        poll_secs: between polls while the stream is down.
        ping_secs: between keep-alive pings.
        pong_secs: how long a pong may take before the stream is taken for dead.
    """

    stale_after_secs: float = attrs.field(default=5.0, validator=positive)
    poll_secs: float = attrs.field(default=1.0, validator=positive)
    ping_secs: float = attrs.field(default=10.0, validator=positive)
    pong_secs: float = attrs.field(default=5.0, validator=positive)


@attrs.frozen
class SupervisionSettings:
    """`[supervision]`: how a task that failed is restarted, and when that is given up.

    Attributes:
        max_restarts: consecutive failures that are followed by a restart; one more stops the
            runtime in order.
        backoff_secs: before the first restart; doubled with each failure in a row.
        max_backoff_secs: what the doubling ends at.
        healthy_secs: a run this long makes the count start anew.
    """

    max_restarts: int = attrs.field(default=10, validator=whole(least=0))
    backoff_secs: float = attrs.field(default=0.5, validator=positive)
    max_backoff_secs: float = attrs.field(default=30.0, validator=positive)
    healthy_secs: float = attrs.field(default=30.0, validator=positive)

    def __attrs_post_init__(self) -> None:
        """Refuse a first backoff above the last."""
        if self.backoff_secs > self.max_backoff_secs:
            raise ConfigError(
                f"backoff_secs {self.backoff_secs:g} is above max_backoff_secs"
                f" {self.max_backoff_secs:g}; lower the one or raise the other"
            )


@attrs.frozen
class OrderSettings:
    """`[orders]`: when an order's outcome is unknown, and how often the venue is asked anyway.

    Attributes:
        ack_timeout_secs: without an answer for so long an order's outcome is unknown.
        reconcile_secs: between comparisons of what we know with what the venue says.
    """

    ack_timeout_secs: float = attrs.field(default=2.0, validator=positive)
    reconcile_secs: float = attrs.field(default=30.0, validator=positive)


Required = Literal["all", "declared", "off"]


@attrs.frozen
class ProtectionSettings:
    """`[protection]`: which positions must have a resting stop-loss, and who places a missing one.

    Attributes:
        required: `all` every open position, `declared` those a strategy placed a stop for, `off`.
        stop_pct: percent off the average price at which a missing stop is placed; None only
            reports it.
        grace_secs: how long an open position may be without a stop before the runtime acts.
    """

    required: Required = attrs.field(default="all", validator=one_of(Required))
    stop_pct: Decimal | None = attrs.field(default=None, validator=percent_or_none)
    grace_secs: float = attrs.field(default=1.0, validator=positive)


@attrs.frozen
class VenueTable:
    """`[venues.NAME]`: the kind names the plug-in; the options are the plug-in's own.

    The repr masks secrets among the options.
    """

    kind: str
    options: Mapping[str, Any] = attrs.field(factory=Table, converter=Table)


def _instruments(ids: Iterable[str]) -> tuple[InstrumentId, ...]:
    return tuple(InstrumentId(text) for text in ids)


@attrs.frozen
class StrategySettings:
    """`[[strategies]]`: one strategy and what it is given.

    Attributes:
        name: unique; a position belongs to the strategy of this name.
        factory: (key `class`) `FILE.py:CLASS`, the file relative to the configuration's folder,
            or `MODULE:CLASS`.
        instruments: what it trades: `SYMBOL.VENUE`, at least one.
        params: its own settings, as written; the repr masks secrets.
        bar_secs: the length of the bars that `on_bar` is given, above 0; 60 where no key sets
            another kind. At most one of this and the next two is set.
        bar_trades: a bar ends with every so many trades (quotes, with `bars = "quotes"`).
        bar_volume: a bar ends with every so much volume, in the base currency, above 0.
        bars: what bars are made of: `trades`, or the mid prices of `quotes`.
        warmup_bars: how many bars of each instrument it is given before it may trade.
    """

    name: str = attrs.field(metadata={"sample": '"maker"'})
    factory: str = attrs.field(metadata={"key": "class", "sample": '"examples/maker.py:Maker"'})
    instruments: tuple[InstrumentId, ...] = attrs.field(
        converter=_instruments, metadata={"sample": '["ETHUSDT.paper"]'}
    )
    params: Mapping[str, Any] = attrs.field(factory=Table, converter=Table)
    bar_secs: float | None = attrs.field(default=None, validator=positive_or_none)
    bar_trades: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(whole(least=1))
    )
    bar_volume: float | None = attrs.field(default=None, validator=positive_or_none)
    bars: BarSource = attrs.field(default="trades", validator=one_of(BarSource))
    warmup_bars: int = attrs.field(default=0, validator=whole(least=0))

    def __attrs_post_init__(self) -> None:
        """Refuse bars of two kinds, and bars by volume of quotes, which have none."""
        kinds = [key for key in BAR_KINDS if getattr(self, key) is not None]
        if len(kinds) > 1:
            raise ConfigError(
                f"{' and '.join(kinds)} are set: bars are of one kind; keep one of"
                f" {', '.join(BAR_KINDS)}"
            )
        if self.bars == "quotes" and self.bar_volume is not None:
            raise ConfigError(
                'bar_volume is set with bars = "quotes": quotes have no volume; set bar_trades or'
                " bar_secs"
            )

    @property
    def bar_plan(self) -> BarPlan:
        """The bars that all this asks for."""
        sizes = {kind: getattr(self, key) for key, kind in BAR_KINDS.items()}
        for kind, size in sizes.items():
            if size is not None:
                return BarPlan(kind, float(size), self.bars, self.warmup_bars)
        return BarPlan(source=self.bars, warmup=self.warmup_bars)
