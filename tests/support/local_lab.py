"""A local exchange as the test exchange of `check_venue`, by its control endpoints alone."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from tests.exchange_world import Quiet, World, exchange
from trade_runtime.lifecycle.clock import SystemClock
from trade_runtime.model.ids import ClientOrderId, InstrumentId, VenueName
from trade_runtime.protocols import Environment, Venue, VenuePlugin
from trade_runtime.testing import VenueLab

QUANTITY = Decimal("0.01")


@attrs.frozen
class LocalKind:
    """An adapter, and the local exchange that speaks its wire.

    Attributes:
        face: the name of the exchange's face.
        plugin: the adapter.
        symbol: what is traded.
        settings: makes the adapter's settings, from where the exchange is: `http` and `ws` URLs.
        secret: of the account.
        rest_secs: between two checks, for the limits of the venue.
    """

    face: str
    plugin: VenuePlugin
    symbol: str
    settings: Callable[[str, str], Any]
    secret: str = "test-secret"
    rest_secs: float = 0.0


@asynccontextmanager
async def local_lab(kind: LocalKind) -> AsyncIterator[VenueLab]:
    """Serve the exchange, with a market that stands still unless an order is to be filled."""
    async with exchange(kind.face, api_secret=kind.secret, symbols=(kind.symbol,)) as world:
        await world.market(paused=True)
        lab = _Lab(kind, world)
        async with lab.open() as venue:
            found = await venue.instruments([kind.symbol])  # type: ignore[attr-defined]
        rules = attrs.evolve(found[kind.symbol], id=InstrumentId(f"{kind.symbol}.x"))
        lab.mark = Decimal(str((await world.state())["quotes"][kind.symbol]["bid"]))
        yield VenueLab(
            open=lab.open,
            instrument=rules,
            quantity=QUANTITY,
            low=rules.round_price(lab.mark * Decimal("0.97"), up=False),
            high=rules.round_price(lab.mark * Decimal("1.03"), up=True),
            too_much=Decimal(4_000),
            wait_secs=5.0,
            rest_secs=kind.rest_secs,
            fill=lab.fill,
            lose_answer=lab.lose_answer,
            duplicate=lab.duplicate,
            cut=lab.cut,
            resting=lab.resting,
        )


class _Lab:
    def __init__(self, kind: LocalKind, world: World) -> None:
        self.mark = Decimal(0)
        self._kind = kind
        self._world = world

    def open(self) -> AbstractAsyncContextManager[Venue]:
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Any]:
        kind, world = self._kind, self._world
        env = Environment(SystemClock(), random.Random(1), Path(), Quiet())
        settings = kind.settings(world.url, world.ws_url)
        async with kind.plugin.open(VenueName("x"), settings, env) as venue:
            await venue.instruments([kind.symbol])  # as the prices layer does at each start
            yield venue

    async def fill(self, order_id: ClientOrderId) -> None:
        (order,) = [one for one in (await self._state()) if one["client_id"] == order_id]
        beyond = Decimal("0.999") if order["side"] == "buy" else Decimal("1.001")
        price = (Decimal(order["price"]) * beyond).quantize(Decimal("0.1"))
        await self._world.market(symbol=self._kind.symbol, price=str(price))

        async def gone() -> bool:
            return order_id not in await self.resting()

        await self._world.until(gone)
        await self._world.market(symbol=self._kind.symbol, price=str(self.mark))

    async def lose_answer(self) -> None:
        await self._world.fault("drop_after_accept:count=1")

    async def duplicate(self) -> None:
        await self._world.fault("duplicate_events:count=1")

    async def cut(self) -> None:
        await self._world.fault("cut_sockets")

    async def resting(self) -> list[ClientOrderId]:
        return [ClientOrderId(one["client_id"]) for one in await self._state()]

    async def _state(self) -> list[dict[str, Any]]:
        return list((await self._world.state())["open_orders"])
