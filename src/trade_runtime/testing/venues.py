"""What every adapter must do, as a test that any adapter can be put to, at a test exchange.

Stands beside the plug-ins and imports what they may import. An adapter that passes keeps the
promises of `protocols.Venue` as far as one account can show them; that its codec bears any input is
for its own tests.

    async def test_my_venue():
        result = await check_venue(VenueLab(open=..., instrument=..., quantity=..., ...))
        assert result.skipped == []
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio

from trade_runtime.lifecycle.clock import fresh_seed
from trade_runtime.lifecycle.tasks import leaves
from trade_runtime.testing.venue_checks import CHECKS
from trade_runtime.testing.venue_lab import Bench, Lacking, VenueLab, ours, session


@attrs.frozen
class VenueResult:
    """What was tried.

    Attributes:
        passed: the checks that were run.
        skipped: those that could not be, each with what it lacked.
    """

    passed: list[str]
    skipped: list[str]


async def check_venue(lab: VenueLab, *, tag: str | None = None) -> VenueResult:
    """Put an adapter to the test.

    It places orders, and cancels what it placed. Run it at a test exchange alone.

    Args:
        lab: the adapter, the exchange and what can be done to it.
        tag: what client order ids begin with, 6 letters or digits; another in each run where None.

    Raises:
        AssertionError: a promise is not kept.
    """
    bench = Bench(lab, f"{fresh_seed():x}"[-6:] if tag is None else tag)
    passed: list[str] = []
    skipped: list[str] = []
    for check in CHECKS:
        name = check.__name__.removeprefix("check_")
        await trio.sleep(lab.rest_secs)
        try:
            with trio.fail_after(max(lab.wait_secs * 10, 60.0)):
                await _plainly(check, bench)
        except Lacking as lacks:
            skipped.append(f"{name}: {lacks}")
        except AssertionError as broken:
            raise AssertionError(f"{name}: {broken}") from broken
        except trio.TooSlowError:
            raise AssertionError(f"{name}: it did not come to an end") from None
        else:
            passed.append(name)
    await _plainly(_check_nothing_is_left, bench)
    return VenueResult(passed, skipped)


async def _check_nothing_is_left(bench: Bench) -> None:
    async with session(bench.lab) as s:
        left = [r for r in await ours(s.venue.open_orders()) if r.client_order_id in bench.placed]
        assert not left, f"what was cancelled is gone: {left}"


async def _plainly(check: Callable[[Bench], Awaitable[None]], bench: Bench) -> None:
    """Run a check; what it says comes out as it is, and not in the groups of nurseries."""
    try:
        await check(bench)
    except BaseExceptionGroup as group:
        for error in leaves(group):
            if isinstance(error, AssertionError | Lacking):
                raise error from group
        raise
