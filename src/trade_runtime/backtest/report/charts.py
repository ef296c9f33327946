"""The charts of a report: equity, drawdown, positions, fills on the price. Data for Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trade_runtime.backtest.result import BookedFill, Result
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.orders import Side

MAX_MARKERS: Final = 2_000
"""Fills that are marked on a price chart at most; beyond, every nth is, and the page says so."""

BLUE, ORANGE, RED, GREY = "#3d7dd8", "#d97904", "#d1495b", "#8a94a6"
"""Blue and orange are told apart by everybody, on white and on black."""

Figure = dict[str, Any]


def charts(result: Result) -> list[tuple[str, str, Figure]]:
    """Return every chart: a title, what is to be said of it, and what Plotly draws."""
    found: list[tuple[str, str, Figure]] = []
    for currency in result.realised_pnl:
        found.append((f"Profit in {currency}, after fees", "", _equity(result, currency)))
        found.append((f"Fall from the highest profit, in {currency}", "", _fall(result, currency)))
    for instrument in result.positions:
        own = [booked for booked in result.fills if booked.fill.instrument == instrument]
        shown = thinned(own)
        note = (
            ""
            if len(shown) == len(own)
            else f"{len(shown):,} of {len(own):,} fills are marked: one in"
            f" {-(-len(own) // MAX_MARKERS)}. All are in trades.parquet."
        )
        found.append((f"{instrument}: price and fills", note, _price(result, instrument, shown)))
        found.append((f"{instrument}: position", "", _position(result, instrument)))
    return found


def thinned(fills: Sequence[BookedFill]) -> Sequence[BookedFill]:
    """Return at most `MAX_MARKERS` of the fills, evenly."""
    step = -(-len(fills) // MAX_MARKERS)
    return fills[:: max(step, 1)]


def _times(result: Result) -> list[float]:
    return [sample.ts_ns / 1e6 for sample in result.samples]


def _line(x: list[float], y: list[Any], colour: str, name: str, **more: Any) -> Figure:
    line = {"color": colour, "width": 1.6, **more.pop("line", {})}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "line": line, **more}


def _equity(result: Result, currency: Currency) -> Figure:
    pnl = [sample.pnl.get(currency, 0.0) for sample in result.samples]
    return {"data": [_line(_times(result), pnl, BLUE, currency)]}


def _fall(result: Result, currency: Currency) -> Figure:
    peak, falls = 0.0, []
    for sample in result.samples:
        peak = max(peak, sample.pnl.get(currency, 0.0))
        falls.append(sample.pnl.get(currency, 0.0) - peak)
    fill = {"fill": "tozeroy", "fillcolor": "rgba(209,73,91,0.18)"}
    return {"data": [_line(_times(result), falls, RED, currency, **fill)]}


def _position(result: Result, instrument: InstrumentId) -> Figure:
    held = [sample.positions.get(instrument, 0.0) for sample in result.samples]
    steps = {"line": {"shape": "hv"}}
    return {"data": [_line(_times(result), held, BLUE, str(instrument), **steps)]}


def _price(result: Result, instrument: InstrumentId, fills: Sequence[BookedFill]) -> Figure:
    mids = [sample.prices.get(instrument) for sample in result.samples]
    data = [_line(_times(result), mids, GREY, "price")]
    for side, colour, symbol in (
        (Side.BUY, BLUE, "triangle-up"),
        (Side.SELL, ORANGE, "triangle-down"),
    ):
        own = [booked.fill for booked in fills if booked.fill.side is side]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{side}s",
                "x": [fill.ts_ns / 1e6 for fill in own],
                "y": [float(fill.price) for fill in own],
                "text": [
                    f"order {fill.client_order_id}<br>{fill.quantity} at {fill.price}"
                    f"<br>fee {fill.fee} {fill.fee_currency}"
                    for fill in own
                ],
                "hovertemplate": f"{side} %{{text}}<extra></extra>",
                "marker": {"color": colour, "symbol": symbol, "size": 7, "opacity": 0.8},
            }
        )
    return {"data": data, "legend": True}
