"""The suite that any adapter can be put to: the paper venue passes, and broken ones are caught."""

from __future__ import annotations

import attrs
import pytest

from tests.support import venue_lab as bench
from tests.support.schedule import virtual
from trade_runtime.testing import check_venue
from trade_runtime.testing.venue_checks import CHECKS


@virtual
async def test_the_paper_venue_keeps_every_promise() -> None:
    """All checks are run, none is left out."""
    result = await check_venue(bench.Bench().lab, tag="abc123")
    assert [] == result.skipped
    assert len(CHECKS) == len(result.passed)


@virtual
async def test_what_cannot_be_done_is_skipped_and_told() -> None:
    """A test exchange without powers still tries what it can."""
    lab = attrs.evolve(
        bench.Bench().lab, fill=None, cut=None, lose_answer=None, duplicate=None, resting=None
    )
    result = await check_venue(lab)
    assert "an_unknown_outcome: lose_answer cannot be done" in result.skipped
    assert {"order_life", "fills", "cancellation"} < set(result.passed)


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        (bench.Resends, "what has no outcome is not told as rejected"),
        (bench.Shields, "open_orders does not shield"),
        (bench.Leaks, "errors that leave an adapter"),
        (bench.Returns, "run returned"),
        (bench.Sends, "a submit raises VenueDown"),
        (bench.TrustsRefusals, "a cancel that was refused is no end"),
        (bench.Forgets, "a query tells all of them"),
        (bench.Floats, "exact numbers"),
    ],
)
@virtual
async def test_a_broken_adapter_is_caught(adapter: type[bench.Adapter], says: str) -> None:
    """Each by the promise that it breaks."""
    ground = bench.Bench()
    ground.adapter = adapter
    with pytest.raises(AssertionError, match=says):
        await check_venue(ground.lab)
