"""What a plug-in must be: a source of market data, a venue, a store. No defaults, no helpers.

A plug-in is found by an entry point: `trade_runtime.venues` by the `kind` of a `[venues.NAME]`
table, `trade_runtime.stores` by the scheme of `[store] url`. The entry point names a `VenuePlugin`
or a `StorePlugin`. Plug-ins import this module, `model` and `errors`, and nothing else of the core.

Rules for every plug-in:

- Errors that leave it are of `trade_runtime.errors`; a foreign error never leaks.
- It never shields: the layer that calls it owns the one shield and the deadline, and an inner
  shield would hide that deadline. Cancellation leaves no task, socket or file behind.
- It reads no clock, makes no randomness and no ids of its own: `Environment` brings them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs

from trade_runtime.model.events import Fill, VenueEvent
from trade_runtime.model.ids import ClientOrderId, Currency, InstrumentId, VenueName
from trade_runtime.model.instrument import Instrument
from trade_runtime.model.market import Bar, BookLevels, Quote, Trade
from trade_runtime.model.orders import OrderReport, OrderSpec, OrderType, TimeInForce


class Clock(Protocol):
    """Tells the time of day. Deadlines use trio's clock, never this one."""

    def now_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""


class Log(Protocol):
    """A structlog logger: an event in words, and key-value pairs."""

    def debug(self, event: str, **fields: object) -> None: ...  # noqa: D102
    def info(self, event: str, **fields: object) -> None: ...  # noqa: D102
    def warning(self, event: str, **fields: object) -> None: ...  # noqa: D102
    def error(self, event: str, **fields: object) -> None: ...  # noqa: D102


@attrs.frozen
class Environment:
    """What a plug-in is given of the world.

    Attributes:
        clock: the time of day; under a mock clock it is virtual.
        rng: seeded randomness, for jitter, simulated markets and faults; the plug-in's own stream.
        data_dir: where it may keep files of its own; it exists once the state layer is open.
        log: bound to the plug-in's name.
    """

    clock: Clock
    rng: random.Random
    data_dir: Path
    log: Log


# --- market data


class MarketSink(Protocol):
    """Where market data goes. Plain calls: they return when every strategy has seen the event."""

    def on_quote(self, quote: Quote) -> None:
        """Take a new best bid and ask."""

    def on_trade(self, trade: Trade) -> None:
        """Take a trade. Each trade id is to come once; the price layer drops what comes again."""

    def on_book(self, levels: BookLevels) -> None:
        """Take a snapshot, or the next change in sequence after it."""

    def on_book_lost(self, instrument: InstrumentId) -> None:
        """Learn that a change was missed: the book is worth nothing until the next snapshot."""


class MarketSession(Protocol):
    """One connection to a stream of market data."""

    async def run(self) -> None:
        """Hand events to the sink until the connection ends.

        Raises:
            VenueError: the connection ended, whoever ended it, or what came made no sense.
        """

    async def ping(self) -> None:
        """Send a keep-alive ping and return when its pong is here. The caller sets the deadline."""


class MarketData(Protocol):
    """A source of market data: streams, and polling where a stream is down."""

    async def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Return what the venue says of those of `symbols` that it has.

        The ids carry the venue's own name; a venue that trades on this data gives its own.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """

    def connect(
        self, symbols: Mapping[str, InstrumentId], sink: MarketSink
    ) -> AbstractAsyncContextManager[MarketSession]:
        """Open a stream of `symbols`; events carry the instrument id that each symbol maps to.

        Entering raises VenueError where no connection comes about. Leaving closes the socket,
        politely if the deadline of the caller's scope allows, else at once.
        """

    async def poll(self, symbols: Mapping[str, InstrumentId], sink: MarketSink) -> None:
        """Ask once, without the stream, for the quotes and latest trades of `symbols`.

        Raises:
            VenueError: it cannot be reached, or its answer made no sense.
        """


@runtime_checkable
class MarketHistory(Protocol):
    """A source of market data that has bars from before now. Optional: one without it has none."""

    async def bars(
        self, symbols: Mapping[str, InstrumentId], length_secs: float, count: int
    ) -> Sequence[Bar]:
        """Return the last `count` bars of each of `symbols` that have ended, oldest first.

        Bars are of `length_secs`, aligned to the epoch; or of one shorter length that divides it,
        as many as make `count`, from the beginning of the first to the end of the last. A stretch
        without trades has no bar, and a symbol that is younger has fewer. Each carries the
        instrument id that its symbol maps to.

        Raises:
            VenueError: it cannot be reached, its answer made no sense, or it has no bars that
                `length_secs` can be made of.
        """


@runtime_checkable
class MarketDriven(Protocol):
    """A venue that matches its orders against market data that others bring: the paper venue."""

    @property
    def market_data(self) -> VenueName | None:
        """The `[venues.NAME]` table whose data drives it."""

    def on_quote(self, quote: Quote) -> None:
        """Match against a new best bid and ask. Called before the strategies see it."""

    def on_trade(self, trade: Trade) -> None:
        """Match against a trade. Called before the strategies see it."""

    def adopt(self, instruments: Collection[Instrument]) -> None:
        """Learn the instruments it is to trade, under ids of its own."""


# --- order entry


class VenueSink(Protocol):
    """Where a venue's private events go. Plain calls."""

    def on_event(self, event: VenueEvent) -> None:
        """Take an event; it may be late, double or out of order."""


@attrs.frozen
class Capabilities:
    """What a venue holds by itself. What it does not, the runtime emulates or refuses.

    Attributes:
        types: the order types that rest and wake at the venue.
        tifs: how long its orders can rest.
        post_only: it can refuse an order rather than let it take.
        reduce_only: it holds an order to closing a position.
        amend: it can change an order that rests.
        oco: it knows `OrderSpec.oco`: orders of one group share what they lock, and each fill of
            one makes the others smaller by as much.
    """

    types: frozenset[OrderType] = frozenset(OrderType)
    tifs: frozenset[TimeInForce] = frozenset(TimeInForce)
    post_only: bool = True
    reduce_only: bool = True
    amend: bool = True
    oco: bool = False


class Venue(Protocol):
    """Order entry at one venue: commands go in by plain calls, events come out through the sink.

    An outcome may never come. Who called decides by its own deadline that it is unknown, and asks
    `order()`; the same intent is never submitted again.
    """

    @property
    def settle_secs(self) -> float:
        """For how long after a submit "no such order" proves nothing."""

    @property
    def capabilities(self) -> Capabilities:
        """What it holds by itself."""

    def submit(self, order: OrderSpec) -> None:
        """Send a new order. The outcome comes as OrderAccepted, OrderRejected or a fill, or never.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """

    def cancel(self, client_order_id: ClientOrderId) -> None:
        """Ask for a cancel. The outcome comes as OrderClosed or CancelRejected, or never.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """

    def amend(
        self,
        client_order_id: ClientOrderId,
        *,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> None:
        """Ask for an order to be changed to these numbers; one whose type has none gets None.

        The outcome comes as OrderAmended, AmendRejected or OrderClosed, or never. A quantity at or
        below what is filled ends the order.

        Raises:
            VenueDown: there is no connection; nothing has left this process.
        """

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return every order that rests at the venue on this account, whoever placed it.

        Raises:
            VenueError: no answer, or one that made no sense.
        """

    async def order(self, client_order_id: ClientOrderId) -> OrderReport | None:
        """Return the venue's view of an order, or None where it knows none of that id.

        Raises:
            VenueError: no answer, or one that made no sense.
        """

    async def fills(self, since_ns: int) -> Sequence[Fill]:
        """Return this account's fills from `since_ns` on (venue time), oldest first.

        Raises:
            VenueError: no answer, or one that made no sense.
        """

    async def balances(self) -> Mapping[Currency, Decimal]:
        """Return what the account holds, in full (free and locked).

        Raises:
            VenueError: no answer, or one that made no sense.
        """

    async def run(self, sink: VenueSink, connected: Callable[[], None]) -> None:
        """Hold the private connection: call `connected` once it is up, then hand events to `sink`.

        Raises:
            VenueError: the connection ended. Who supervises it calls again, after asking for what
                was missed.
        """


@attrs.frozen
class VenuePlugin:
    """What an entry point of `trade_runtime.venues` names.

    Attributes:
        settings: a frozen attrs class that the `[venues.NAME]` table (less `kind`) is read into;
            its fields, types and validators are the documented configuration.
        open: makes the thing from its name, its settings and the environment; entering may open
            files and pools but must not need the network. It is a `MarketData`, a `Venue`, or both.
        trades: it is a `Venue`.
        streams: it is a `MarketData`.
    """

    settings: type[Any]
    open: Callable[[VenueName, Any, Environment], AbstractAsyncContextManager[Any]]
    trades: bool
    streams: bool


# --- history

MarketEvent = Quote | Trade | Bar | BookLevels
"""One thing that a history tells."""


@attrs.frozen
class HistoryQuery:
    """What is wanted of a history.

    Attributes:
        path: a file, or a folder of files where the format has such.
        kind: `quotes`, `trades`, `bars` or `book`.
        instrument: what the events are to be of.
        start_ns: events before this are left out; None for none.
        end_ns: events at this and after are left out; None for none.
        options: what else the `[[backtest.data]]` table says, as the format understands it.
    """

    path: Path
    kind: str
    instrument: InstrumentId
    start_ns: int | None = None
    end_ns: int | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)


class ReadHistory(Protocol):
    """The call signature of `HistoryPlugin.read`."""

    def __call__(self, query: HistoryQuery) -> Iterator[Sequence[MarketEvent]]:
        """Give the events in chunks of bounded size, in the order of their times.

        Raises:
            DataError: a file is missing, or is not what it should be; with file and row. What came
                before was as it should be.
        """


@attrs.frozen
class HistoryPlugin:
    """What an entry point of `trade_runtime.histories` names: a format that history comes in.

    Attributes:
        read: gives the events.
        kinds: the kinds of events it can give.
        suffixes: the endings of file names that it is chosen by; none where it must be named.
    """

    read: ReadHistory
    kinds: frozenset[str]
    suffixes: tuple[str, ...] = ()


# --- stores


@attrs.frozen
class Record:
    """One line of the journal as a store keeps it.

    Attributes:
        seq: 1, 2, 3, ... without a gap.
        ts_ns: when it was made.
        kind: what it is; the core knows the kinds, a store does not.
        payload: JSON.
        digest: hex digest over the previous digest and all of the above; the core makes it.
    """

    seq: int
    ts_ns: int
    kind: str
    payload: bytes
    digest: str


class Store(Protocol):
    """Keeps the journal. It is held by one owner at a time."""

    async def read(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to `limit` records with `seq > after`, in order.

        Raises:
            StoreDamaged: what is there cannot be read as records.
            StoreError: it cannot be read now.
        """

    async def append(self, records: Sequence[Record]) -> None:
        """Write `records` in one transaction; on return they survive what `durability` names.

        Cancellation leaves all or none of them written, and the caller must read to know which.

        Raises:
            StoreError: nothing was written, or it is not known whether it was.
        """

    async def check(self) -> None:
        """Check the store's own integrity.

        Raises:
            StoreDamaged: it is not what was written; the message says where and how to mend it.
        """


class OpenStore(Protocol):
    """The call signature of `StorePlugin.open`."""

    def __call__(
        self, location: str, data_dir: Path, *, durability: str, read_only: bool, env: Environment
    ) -> AbstractAsyncContextManager[Store]:
        """Open the store."""


@attrs.frozen
class StorePlugin:
    """What an entry point of `trade_runtime.stores` names.

    Attributes:
        open: makes the store from the rest of the URL (after `scheme:///`), the data directory and
            the durability ("process" or "power"). With `read_only` nothing is created or changed,
            no ownership is taken, and a store that does not exist reads as empty.
            Entering raises StoreBusy where another owner holds it, StoreDamaged where it is not
            what was written. Leaving closes it for good and seals what is there.
    """

    open: OpenStore
