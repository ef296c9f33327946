"""Order books from rows of levels: each row a price and what rests there.

Rows that stand together and have the same time, update id and `snapshot` are one change, or one
whole book. Guarantees that the first is a whole book, that ids go up, and that no change names a
price twice. A last change is given out when it is known to be whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from trade_runtime.histories.rows import Rows
from trade_runtime.model.market import BookLevels
from trade_runtime.model.orders import SIDES
from trade_runtime.protocols import HistoryQuery, MarketEvent

BID, ASK = range(len(SIDES))
"""A side as it stands in a column: who buys bids."""

FINEST, LARGEST = Decimal("1e-30"), Decimal("1e31")
"""From where on, and up to where, a price or a quantity can be reckoned with."""


class Levels:
    """Makes changes of a book of rows that come in blocks.

    Args:
        query: what is wanted.
    """

    def __init__(self, query: HistoryQuery) -> None:
        self._query = query
        self._key: tuple[int, int | None, bool] | None = None
        self._sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        self._last_id = 0

    def take(self, rows: Rows, columns: Mapping[str, Any]) -> list[MarketEvent]:
        """Take a block whose times are in order; return the changes that it ends.

        Args:
            rows: where the history stands.
            columns: `ts_ns`, `side`, `snapshot` and, where there is one, `update_id` as arrays;
                `price` and `quantity` as lists of `Decimal`.

        Raises:
            DataError: with the file and the row.
        """
        told: list[MarketEvent] = []
        times, ids = columns["ts_ns"].tolist(), columns.get("update_id")
        keys = zip(
            times,
            [None] * len(times) if ids is None else ids.tolist(),
            columns["snapshot"].tolist(),
            strict=True,
        )
        levels = zip(columns["side"].tolist(), columns["price"], columns["quantity"], strict=True)
        for index, (key, (side, price, quantity)) in enumerate(zip(keys, levels, strict=True)):
            if key != self._key:
                told += self.end()
                self._begin(rows, index, key)
            if not (price.is_finite() and FINEST <= price < LARGEST):
                raise rows.error(index, _refusal("price", price))
            if not (quantity.is_finite() and (not quantity or FINEST <= quantity < LARGEST)):
                raise rows.error(index, _refusal("quantity", quantity))
            if price in self._sides[side]:
                raise rows.error(
                    index,
                    f"the price {price} is there twice in one change; give each change its"
                    " update_id, or remove the row",
                )
            self._sides[side][price] = quantity
        return told

    def _begin(self, rows: Rows, index: int, key: tuple[int, int | None, bool]) -> None:
        _, update_id, snapshot = key
        if self._key is None and not snapshot:
            raise rows.error(
                index, "a book begins with a whole one: its rows come first, with snapshot true"
            )
        if update_id is not None:
            if update_id <= self._last_id and not snapshot:
                raise rows.error(
                    index, f"update_id {update_id} is not above the one before, {self._last_id}"
                )
            self._last_id = update_id
        else:
            self._last_id += 1
        self._key = key

    def end(self) -> list[MarketEvent]:
        """Return what the rows so far come to: there are no more of its kind."""
        if self._key is None:
            return []
        ts_ns, _, snapshot = self._key
        bids, asks = (tuple(side.items()) for side in self._sides)
        self._sides = ({}, {})
        start_ns, end_ns = self._query.start_ns, self._query.end_ns
        if (start_ns is not None and ts_ns < start_ns) or (end_ns is not None and ts_ns >= end_ns):
            return []
        return [BookLevels(self._query.instrument, ts_ns, self._last_id, bids, asks, snapshot)]


def _refusal(name: str, number: Decimal) -> str:
    if number.is_finite() and number > 0:
        return f"{name} is {number}: it must be from {FINEST} up to, not including, {LARGEST}"
    rule = "a price must be above 0" if name == "price" else "it must not be below 0"
    return f"{name} is {number}: {rule}"
