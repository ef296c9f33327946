"""The klines that the latest trades of a recording amount to, in Binance's shape.

No I/O. Only what is whole is given: of the kline that the oldest trade kept lies in, the beginning
is not known. A stretch without trades has none, where Binance has a flat one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from typing import Any

from trade_runtime.replay.shapes import Trade


def klines(trades: Iterable[Trade], interval_ms: int, end_ms: int | None) -> list[list[Any]]:
    """Return the klines that open at or before `end_ms`, oldest first; the last may be open.

    Args:
        trades: in the order in which they came.
        interval_ms: of a kline.
        end_ms: None for no end.
    """

    def opens(trade: Trade) -> int:
        return trade.T - trade.T % interval_ms

    grouped = groupby(sorted(trades, key=lambda trade: (trade.T, trade.t)), key=opens)
    next(grouped, None)
    return list(_rows(grouped, interval_ms, end_ms))


def _rows(
    grouped: Iterator[tuple[int, Iterator[Trade]]], interval_ms: int, end_ms: int | None
) -> Iterator[list[Any]]:
    for open_ms, members in grouped:
        if end_ms is not None and open_ms > end_ms:
            return
        inside = list(members)
        prices = sorted((trade.p for trade in inside), key=Decimal)
        bought = [trade for trade in inside if not trade.m]
        yield [
            open_ms,
            inside[0].p,
            prices[-1],
            prices[0],
            inside[-1].p,
            _volume(inside),
            open_ms + interval_ms - 1,
            _turnover(inside),
            len(inside),
            _volume(bought),
            _turnover(bought),
            "0",
        ]


def _volume(trades: Iterable[Trade]) -> str:
    return format(sum((Decimal(trade.q) for trade in trades), Decimal(0)), ".8f")


def _turnover(trades: Iterable[Trade]) -> str:
    total = sum((Decimal(trade.p) * Decimal(trade.q) for trade in trades), Decimal(0))
    return format(total, ".8f")
