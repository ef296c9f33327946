"""The paper venue: an exchange in its own right that fills orders at a market made by others.

A plug-in of the runtime: below it `protocols`, `model` and `errors` alone. `exchange` matches,
`record` and `sqlite` remember, `venue` is the wire between a runtime and the exchange.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trade_runtime.model.ids import VenueName
from trade_runtime.protocols import Clock, Environment, VenuePlugin
from trade_runtime.venues.paper.exchange import PaperExchange
from trade_runtime.venues.paper.record import ExchangeRecord, MemoryRecord, NullRecord
from trade_runtime.venues.paper.settings import FaultSettings, PaperSettings
from trade_runtime.venues.paper.sqlite import SqliteRecord
from trade_runtime.venues.paper.venue import PaperVenue
from trade_runtime.venues.paper.wire import Request

RECORD_SUFFIX = ".paper.sqlite"
"""The record of the venue `paper` is `paper.paper.sqlite` in the data directory."""


def make_exchange(
    name: VenueName, settings: PaperSettings, record: ExchangeRecord, env: Environment
) -> PaperExchange:
    """Return the exchange of `record`, a new account with the configured balances if it is new.

    Raises:
        StoreError: the record cannot be read or written.
    """
    saved = record.load()
    exchange = PaperExchange(name, record, env.clock, settings)
    if saved.seq and saved.deposit != settings.balances:
        env.log.warning(
            "the account exists already; its record wins over the configured balances",
            configured={name: str(held) for name, held in sorted(settings.balances.items())},
            held={name: str(held) for name, held in sorted(exchange.balances().items())},
        )
    return exchange


def simulate(name: VenueName, settings: PaperSettings, clock: Clock) -> PaperExchange:
    """Return the exchange of a backtest: a new account, and no record of what is past.

    Faults are for live runs: here there are none.
    """
    return PaperExchange(name, NullRecord(), clock, settings)


@asynccontextmanager
async def open_paper(
    name: VenueName, settings: PaperSettings, env: Environment
) -> AsyncIterator[PaperVenue]:
    """Open the paper venue `name` on its record in the data directory.

    Leaving lets what is still on the wire reach the exchange, for it has left the runtime, and
    closes the record. A killed process leaves an exchange that the next one finds as it was.

    Raises:
        StoreError: the record cannot be opened, read or made.
    """
    record = SqliteRecord(env.data_dir / f"{name}{RECORD_SUFFIX}")
    try:
        venue = PaperVenue(make_exchange(name, settings, record, env), settings, env)
        try:
            yield venue
        finally:
            venue.land_all()
    finally:
        record.close()


plugin = VenuePlugin(
    settings=PaperSettings, open=open_paper, trades=True, streams=False, simulate=simulate
)

__all__ = [
    "RECORD_SUFFIX",
    "ExchangeRecord",
    "FaultSettings",
    "MemoryRecord",
    "NullRecord",
    "PaperExchange",
    "PaperSettings",
    "PaperVenue",
    "Request",
    "SqliteRecord",
    "make_exchange",
    "open_paper",
    "plugin",
    "simulate",
]
