"""The promises of an adapter, one check for each. `venues` runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Final

import trio

from trade_runtime.errors import VenueDown, VenueError
from trade_runtime.model.events import (
    AmendRejected,
    CancelRejected,
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderClosed,
    OrderRejected,
)
from trade_runtime.model.ids import ClientOrderId
from trade_runtime.model.orders import ZERO, OrderReport, OrderSpec, OrderType, ReportStatus, Side
from trade_runtime.protocols import CancelsAll, DeadMansSwitch
from trade_runtime.testing.venue_lab import Bench, Lacking, Session, closing, ours, session

CANCEL_SECS: Final = 1.0
"""How long what was cancelled may take to end: a polite farewell, and no shield."""

COARSE_NS: Final = 1_000_000_000
"""A query may tell times less finely than the stream does."""

LONGEST_SWITCH_SECS: Final = 10.0
"""A dead-man's switch that is set to more is not waited for."""


def _same(order: OrderSpec, report: OrderReport) -> None:
    told = (report.client_order_id, report.instrument, report.side, report.type)
    asked = (order.client_order_id, order.instrument, order.side, order.type)
    assert asked == told, f"a report tells the order as it was placed: {told}, not {asked}"
    numbers = (report.quantity, report.price, report.trigger_price)
    wanted = (order.quantity, order.price, order.trigger_price)
    assert wanted == numbers, f"a report tells its exact numbers: {numbers}, not {wanted}"
    assert all(n is None or isinstance(n, Decimal) for n in numbers), "numbers are decimals"


async def check_order_life(bench: Bench) -> None:
    """An order rests, is found in every way, is cancelled, and stays known."""
    async with session(bench.lab) as s:
        for side in Side:
            order = await bench.rest(s, bench.spec(side))
            accepted = s.of(order.client_order_id, OrderAccepted)[0]
            assert accepted.venue_order_id, "the venue's own id is told"
            assert accepted.ts_ns > 10**18, "times are nanoseconds since the Unix epoch"
            found = await bench.resting(s)
            assert order.client_order_id in found, "open_orders tells what rests"
            _same(order, found[order.client_order_id])
            report = await bench.until_query(s, order, ReportStatus.OPEN, "order() finds it open")
            _same(order, report)
            closed = await bench.end(s, order)
            assert closed.status is ReportStatus.CANCELLED, f"a cancel is told as one: {closed}"
            assert closed.filled == ZERO, f"nothing of it was filled: {closed}"
            report = await bench.until_query(
                s, order, ReportStatus.CANCELLED, "order() knows an order that has ended"
            )
            assert order.client_order_id not in await bench.resting(s), "what ended does not rest"


async def check_stops(bench: Bench) -> None:
    """Each type that waits, and that the venue claims to hold, rests with its trigger."""
    async with session(bench.lab) as s:
        kinds = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
        held = [kind for kind in kinds if kind in s.venue.capabilities.types]
        if not held:
            raise Lacking("it holds no stops")
        for kind in held:
            order = await bench.rest(s, bench.spec(Side.SELL, kind))
            _same(order, (await bench.resting(s))[order.client_order_id])
            await bench.until_query(s, order, ReportStatus.OPEN, "order() finds a stop that sleeps")
            closed = await bench.end(s, order)
            assert closed.status is ReportStatus.CANCELLED, f"a stop is cancelled as any: {closed}"


async def check_fills(bench: Bench) -> None:
    """What fills is told trade by trade, adds up, and is told the same by a query."""
    async with session(bench.lab) as s:
        for side in (Side.BUY, Side.SELL):
            order = bench.spec(side, OrderType.MARKET)
            name = order.client_order_id
            s.venue.submit(order)
            await s.told(name, OrderClosed, "its end is told")
            closed = s.of(name, OrderClosed)[-1]
            assert closed.status is ReportStatus.FILLED, f"a market order is filled: {closed}"
            assert closed.filled == order.quantity, f"with all that was filled: {closed}"

            def whole(name: ClientOrderId = name, size: Decimal = order.quantity) -> bool:
                return _sum(s.of(name, Fill)) == size

            await s.until(whole, "the fills of an order add up to what it filled")
            told = {fill.trade_id: fill for fill in s.of(name, Fill)}
            since = min(fill.ts_ns for fill in told.values()) - COARSE_NS
            asked = [f for f in await _fills(bench, s, name, since) if f.client_order_id == name]
            assert len(asked) == len({f.trade_id for f in asked}), "a query tells each fill once"
            for fill in asked:
                assert fill.side is order.side, f"on the side of its order: {fill}"
                event = told.get(fill.trade_id)
                assert event is not None, f"under the id that the event had: {fill.trade_id}"
                same = (event.quantity, event.price) == (fill.quantity, fill.price)
                assert same, f"with the same numbers: {event}, {fill}"
            assert _sum(asked) == order.quantity, "a query tells all of them"
            times = [fill.ts_ns for fill in await ours(s.venue.fills(since))]
            assert times == sorted(times), "a query tells the oldest first"
        balances = await ours(s.venue.balances())
        assert all(isinstance(held, Decimal) for held in balances.values()), "balances are decimals"
        assert bench.lab.instrument.quote in balances, "the account holds the quote currency"


def _sum(fills: list[Fill]) -> Decimal:
    return sum({fill.trade_id: fill.quantity for fill in fills}.values(), ZERO)


async def _fills(bench: Bench, s: Session, name: ClientOrderId, since_ns: int) -> list[Fill]:
    """Ask for fills until those of an order are told: a query may be behind the events."""
    found: list[Fill] = []
    with trio.move_on_after(bench.lab.wait_secs):
        while True:
            found = list(await ours(s.venue.fills(since_ns)))
            mine = [fill for fill in found if fill.client_order_id == name]
            if _sum(mine) >= bench.placed[name].quantity:
                break
            await trio.sleep(bench.lab.wait_secs / 50)
    return found


async def check_refusals(bench: Bench) -> None:
    """What the exchange refuses is told as rejected, with its reason, and is nowhere."""
    if bench.lab.too_much is None:
        raise Lacking("too_much is not said")
    async with session(bench.lab) as s:
        order = bench.spec(quantity=bench.lab.too_much)
        s.venue.submit(order)
        name = order.client_order_id
        await s.told(name, OrderRejected, "a refusal is told as rejected")
        assert s.of(name, OrderRejected)[0].reason, "with the exchange's own reason"
        assert name not in await bench.resting(s)


async def check_cancels_of_what_is_not_there(bench: Bench) -> None:
    """A cancel that finds nothing is told, and proves nothing."""
    async with session(bench.lab) as s:
        order = await bench.rest(s)
        await bench.end(s, order)
        for gone in (order, bench.spec()):
            name, before = gone.client_order_id, len(s.events)

            def answered(name: ClientOrderId = name, before: int = before) -> bool:
                kinds = (CancelRejected, OrderClosed)
                return any(
                    isinstance(e, kinds) and e.client_order_id == name for e in s.events[before:]
                )

            s.venue.cancel(gone)
            await s.until(answered, "a cancel of what is not there is refused, in an event")
        never = bench.spec()
        assert await ours(s.venue.order(never)) is None, "order() of what never was is None"


async def check_cancel_that_comes_too_late(bench: Bench) -> None:
    """An order that fills while its cancel is under way is filled, not cancelled."""
    if bench.lab.fill is None:
        raise Lacking("fill cannot be done")
    async with session(bench.lab) as s:
        order = await bench.rest(s)
        name = order.client_order_id
        await bench.lab.fill(name)
        s.venue.cancel(order)
        await s.told(name, OrderClosed, "its end is told")
        await trio.sleep(bench.lab.wait_secs / 10)  # the answer to the cancel may be behind it
        wrong = [e for e in s.of(name, OrderClosed) if e.status is not ReportStatus.FILLED]
        assert not wrong, f"a cancel that was refused is no end: {wrong}"
        await s.until(lambda: _sum(s.of(name, Fill)) == order.quantity, "its fill is told")
        await bench.until_query(s, order, ReportStatus.FILLED, "order() says that it was filled")


async def check_amends(bench: Bench) -> None:
    """An amend is told with the whole new numbers; one of what has ended is refused."""
    async with session(bench.lab) as s:
        if not s.venue.capabilities.amend:
            raise Lacking("it cannot amend")
        order = await bench.rest(s)
        name, price = order.client_order_id, bench.lab.low - bench.lab.instrument.tick
        numbers = {"quantity": order.quantity, "price": price, "trigger_price": None}
        s.venue.amend(order, quantity=order.quantity, price=price, trigger_price=None)
        await s.told(name, OrderAmended, "an amend is told")
        event = s.of(name, OrderAmended)[-1]
        told = {key: getattr(event, key) for key in numbers}
        assert told == numbers, f"with the whole new numbers: {told}"
        assert (await bench.resting(s))[name].price == price, "and it rests with them"
        await bench.end(s, order)
        s.venue.amend(order, quantity=order.quantity, price=price, trigger_price=None)
        await s.told(name, AmendRejected, "an amend of what has ended is refused")


async def check_an_unknown_outcome(bench: Bench) -> None:
    """An order whose answer is lost is neither rejected nor sent again, and is found."""
    if bench.lab.lose_answer is None:
        raise Lacking("lose_answer cannot be done")
    async with session(bench.lab) as s:
        await bench.lab.lose_answer()
        order = bench.spec()
        name = order.client_order_id
        s.venue.submit(order)
        with trio.move_on_after(bench.lab.wait_secs / 2):
            await s.told(name, OrderRejected, "")
        assert not s.of(name, OrderRejected), "what has no outcome is not told as rejected"
        await bench.until_query(s, order, ReportStatus.OPEN, "it is found by its client order id")
        found = [r for r in await ours(s.venue.open_orders()) if r.client_order_id == name]
        assert len(found) == 1, f"one intent is one order: {found}"
        if bench.lab.resting is not None:
            resting = await bench.lab.resting()
            assert resting.count(name) == 1, f"at the exchange, too: {resting}"
        await bench.end(s, order)


async def check_events_that_come_twice(bench: Bench) -> None:
    """Nothing wrong is told; a connection that ends over it comes up again."""
    if bench.lab.duplicate is None:
        raise Lacking("duplicate cannot be done")
    async with session(bench.lab) as s:
        await bench.lab.duplicate()
        order = await bench.rest(s)
        closed = await bench.end(s, order)
        assert closed.status is ReportStatus.CANCELLED, f"told as it was: {closed}"
        assert order.client_order_id not in await bench.resting(s), "and it is so"


async def check_a_lost_connection(bench: Bench) -> None:
    """Its end is an error; nothing is sent while it is down; what was missed can be asked for."""
    async with closing(bench.lab.open(), bench.lab.wait_secs) as venue:
        try:
            venue.submit(bench.spec())
        except VenueDown:
            pass
        else:
            raise AssertionError("before the connection is up a submit raises VenueDown")
    if bench.lab.cut is None:
        raise Lacking("cut cannot be done")
    async with session(bench.lab) as s:
        order = await bench.rest(s)
        name = order.client_order_id
        await bench.lab.cut()
        await s.until(lambda: s.losses, "a connection that was cut ends run with a VenueError")
        await s.until(lambda: s.connects == 2, "and comes up again when it is run again")
        assert name in await bench.resting(s), "what rests can be asked for"
        if bench.lab.fill is not None:
            await bench.lab.fill(name)
            await s.told(name, OrderClosed, "events go on")
        else:
            await bench.end(s, order)


async def check_fills_that_were_missed(bench: Bench) -> None:
    """What filled while no connection was up is told by a query."""
    if bench.lab.fill is None:
        raise Lacking("fill cannot be done")
    async with session(bench.lab) as s:
        order = await bench.rest(s)
        since = s.of(order.client_order_id, OrderAccepted)[0].ts_ns
    await bench.lab.fill(order.client_order_id)
    async with session(bench.lab) as s:
        found = await _fills(bench, s, order.client_order_id, since - 60 * 10**9)
        mine = [fill for fill in found if fill.client_order_id == order.client_order_id]
        assert _sum(mine) == order.quantity, f"fills that were missed are told: {mine}"
        await bench.until_query(s, order, ReportStatus.FILLED, "and so is the end of the order")


async def check_cancel_all(bench: Bench) -> None:
    """One request ends all that rests in the instrument, each with an event of its own."""
    async with session(bench.lab) as s:
        if not isinstance(s.venue, CancelsAll):
            raise Lacking("it does not cancel all by one request")
        orders = [await bench.rest(s, bench.spec(side)) for side in Side]
        s.venue.cancel_all(orders[0])
        for order in orders:
            await s.told(order.client_order_id, OrderClosed, "the end of each is told")
        assert not (await bench.resting(s)).keys() & {o.client_order_id for o in orders}


async def check_the_switch(bench: Bench) -> None:
    """Unheard of for its countdown, the exchange cancels; disarmed, it does not."""
    async with session(bench.lab) as s:
        venue = s.venue
        if not isinstance(venue, DeadMansSwitch) or not venue.switch_secs > 0:
            raise Lacking("it has no dead-man's switch, or none in use")
        if venue.switch_secs > LONGEST_SWITCH_SECS:
            raise Lacking(f"its switch is set to more than {LONGEST_SWITCH_SECS:g} s")
        order = await bench.rest(s)
        name = order.client_order_id
        await ours(venue.arm())
        await ours(venue.disarm())
        await trio.sleep(venue.switch_secs * 1.5)
        assert name in await bench.resting(s), "disarmed, it takes nothing"
        await ours(venue.arm())
        await trio.sleep(venue.switch_secs * 1.5)
        await s.told(name, OrderClosed, "what it took is told")
        assert name not in await bench.resting(s), "unheard of, it takes what rests"
        await ours(venue.disarm())


async def check_cancellation(bench: Bench) -> None:
    """Whatever is under way ends at once when it is cancelled, and the adapter goes on."""
    for delay in (0.0, 0.001, 0.02):
        async with closing(bench.lab.open(), bench.lab.wait_secs) as venue:
            idle = Session(venue, bench.lab.wait_secs)
            await _ends(idle.hold, delay, "run")
    async with session(bench.lab) as s:
        order = await bench.rest(s)
        queries: dict[str, Callable[[], Awaitable[object]]] = {
            "open_orders": s.venue.open_orders,
            "order": lambda: s.venue.order(order),
            "fills": lambda: s.venue.fills(0),
            "balances": s.venue.balances,
        }
        for name, query in queries.items():
            for delay in (0.0, 0.001):
                await _ends(query, delay, name)
            await ours(query())  # and the next one has its own answer
        await bench.end(s, order)


async def _ends(call: Callable[[], Awaitable[object]], delay: float, name: str) -> None:
    began = trio.current_time()
    with trio.move_on_after(delay), suppress(VenueError):
        await ours(call())
    took = trio.current_time() - began
    assert took <= delay + CANCEL_SECS, f"{name} does not shield: cancelled, it ends ({took:g} s)"


CHECKS: Final[tuple[Callable[[Bench], Awaitable[None]], ...]] = (
    check_order_life,
    check_stops,
    check_fills,
    check_refusals,
    check_cancels_of_what_is_not_there,
    check_cancel_that_comes_too_late,
    check_amends,
    check_an_unknown_outcome,
    check_events_that_come_twice,
    check_a_lost_connection,
    check_fills_that_were_missed,
    check_cancel_all,
    check_the_switch,
    check_cancellation,
)
