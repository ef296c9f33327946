"""Reduce-only orders: refused unless they make the position smaller."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.schedule import virtual
from tests.support.values import ETH
from tests.support.world import Hand, World, until
from trade_runtime.errors import OrderRefused


@virtual
async def test_a_reduce_only_order_cannot_open_or_turn_a_position(tmp_path: Path) -> None:
    """Flat, on the wrong side or for too much: refused, and nothing is recorded. Else it closes."""
    world, hand = World(tmp_path), Hand()
    async with world.open(hand):
        await until(lambda: hand.trader.quote(ETH) is not None)
        with pytest.raises(OrderRefused, match="beyond the open 0"):
            hand.trader.market(ETH, "sell", "1", reduce_only=True)
        hand.trader.market(ETH, "buy", "1")
        await until(lambda: hand.trader.position(ETH).quantity == 1)
        for side, quantity in (("buy", "1"), ("sell", "2")):
            with pytest.raises(OrderRefused, match="reduce-only"):
                hand.trader.market(ETH, side, quantity, reduce_only=True)

        hand.trader.market(ETH, "sell", "1", reduce_only=True)
        await until(lambda: hand.trader.position(ETH).quantity == 0)

    assert 2 == len(world.intents())
