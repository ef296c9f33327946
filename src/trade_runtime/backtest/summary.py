"""What a backtest came to, in a few lines and as one line of JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from trade_runtime.backtest.result import Result
from trade_runtime.model.instrument import text


def as_json(result: Result) -> dict[str, Any]:
    """Return the figures that `backtest --json` ends with; money as exact text."""
    return {
        "outcome": result.outcome,
        "events": result.events,
        "orders": result.orders,
        "refused": result.refused,
        "rejected": result.rejected,
        "fills": len(result.fills),
        "engine_secs": round(result.engine_secs, 6),
        "us_per_event": round(result.us_per_event, 3),
        "positions": {name: text(held) for name, held in result.positions.items()},
        "realised_pnl": {name: text(amount) for name, amount in result.realised_pnl.items()},
        "unrealised_pnl": {name: text(amount) for name, amount in result.unrealised_pnl.items()},
        "fees": {name: text(amount) for name, amount in result.fees.items()},
        "balances": {name: text(amount) for name, amount in result.balances.items()},
    }


def json_line(result: Result) -> str:
    """Return the same as one line."""
    return json.dumps(as_json(result))


def shown(number: Decimal) -> str:
    """Return a number as people read it: with 8 decimals at most."""
    return text(round(number, 8))


def summary_lines(result: Result) -> list[str]:
    """Return what a person wants to know first."""
    lines = [
        f"{result.outcome}: {result.reason}",
        _line("history", f"{_when(result.started_ns)} to {_when(result.ended_ns)}"),
        _line(
            "events",
            f"{result.events:,} in {result.engine_secs:.2f} s"
            f" ({result.us_per_event:.2f} us each), loaded in {result.loading_secs:.2f} s",
        ),
        _line(
            "orders",
            f"{result.orders:,} placed, {len(result.fills):,} fills,"
            f" {result.rejected:,} rejected, {result.refused:,} refused",
        ),
    ]
    for currency, realised in result.realised_pnl.items():
        fees = result.fees.get(currency, Decimal(0))
        lines.append(
            _line(
                f"P&L {currency}",
                f"{shown(result.net_pnl(currency))} = realised {shown(realised)}"
                f" + unrealised {shown(result.unrealised_pnl[currency])} - fees {shown(fees)};"
                f" largest fall {result.max_drawdown(currency):.8g}",
            )
        )
    lines += [
        _line("position", f"{text(held)} {instrument}")
        for instrument, held in result.positions.items()
        if held
    ]
    lines += [
        _line("strategy", f"{one.name}: {one.outcome}" + (f": {one.detail}" if one.detail else ""))
        for one in result.strategies
    ]
    if result.latch:
        lines.append(_line("latch", result.latch))
    return lines


def _line(title: str, words: str) -> str:
    return f"  {title:<10} {words}"


def _when(ts_ns: int) -> str:
    moment = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}" if ts_ns else "-"
