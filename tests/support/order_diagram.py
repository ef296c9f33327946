"""The picture of `docs/reference/order-lifecycle.md`: every way from a state to another.

The arrows come from the machine's table; only where a state stands on the picture is written here.
"""

from __future__ import annotations

from trade_runtime.machines.order import LIVE_STATES, TRANSITIONS, OrderInput, OrderState

_S = OrderState
PLACES = {
    _S.HELD: (60, 170),
    _S.PENDING: (230, 170),
    _S.SENT: (390, 60),
    _S.UNKNOWN: (390, 280),
    _S.OPEN: (570, 170),
    _S.FILLED: (800, 50),
    _S.CANCELLED: (800, 130),
    _S.EXPIRED: (800, 210),
    _S.REJECTED: (800, 290),
    _S.DROPPED: (390, 390),
}
"""The middle of each state's box."""

WIDTH, HEIGHT = 92, 34
SIZE = 880, 430

STYLE = """
svg { background: #fff; color: #1d2129; font: 13px system-ui, sans-serif; }
rect { fill: #fff; stroke: currentColor; stroke-width: 1.2; rx: 7px; }
.live rect { fill: #e3f0e6; stroke-width: 2; }
text { fill: currentColor; text-anchor: middle; dominant-baseline: central; }
.why { font-size: 11px; paint-order: stroke; stroke: #fff; stroke-width: 4px; }
path { fill: none; stroke: currentColor; stroke-width: 1.2; marker-end: url(#head); }
.late path { stroke-dasharray: 4 4; opacity: 0.55; }
marker path { fill: currentColor; stroke: none; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171c; color: #d6dae0; }
  rect { fill: #14171c; }
  .live rect { fill: #1e3a28; }
  .why { stroke: #14171c; }
}
""".strip()


HEAD = (
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
    ' orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker>'
)
"""The point of an arrow."""


def moves() -> dict[tuple[OrderState, OrderState], list[OrderInput]]:
    """What leads from one state to another; what leaves a state as it is is left out."""
    found: dict[tuple[OrderState, OrderState], list[OrderInput]] = {}
    for (before, what), after in TRANSITIONS.items():
        if after is not before:
            found.setdefault((before, after), []).append(what)
    return found


def picture() -> str:
    """The whole picture as SVG."""
    arrows = [_arrow(*ends, whats) for ends, whats in moves().items()]
    boxes = [_box(state) for state in OrderState]
    width, height = SIZE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            "<title>The states of an order, and what leads from one to another</title>",
            f"<style>\n{STYLE}\n</style>",
            HEAD,
            *arrows,
            *boxes,
            "</svg>\n",
        ]
    )


def _box(state: OrderState) -> str:
    x, y = PLACES[state]
    kind = "live" if state in LIVE_STATES else "ended"
    return (
        f'<g class="{kind}"><rect x="{x - WIDTH // 2}" y="{y - HEIGHT // 2}" width="{WIDTH}"'
        f' height="{HEIGHT}"/><text x="{x}" y="{y}">{state}</text></g>'
    )


def _arrow(before: OrderState, after: OrderState, whats: list[OrderInput]) -> str:
    """Draw one way; what is called like the state that it leads to needs no words."""
    (x1, y1), (x2, y2) = PLACES[before], PLACES[after]
    kind = "late" if before is OrderState.DROPPED else "way"
    if abs(x2 - x1) < WIDTH:  # above each other
        down = 1 if y2 > y1 else -1
        start, end = (x1, y1 + down * HEIGHT // 2), (x2, y2 - down * HEIGHT // 2)
        bend = 60 if abs(y2 - y1) > 250 else 0  # around what stands between
        curve = f"C{x1 - bend} {start[1]} {x2 - bend} {end[1]}"
        if bend:
            start, end = (x1 - WIDTH // 2, y1), (x2 - WIDTH // 2, y2)
            curve = f"C{start[0] - bend} {y1} {end[0] - bend} {y2}"
    else:
        ahead = 1 if x2 > x1 else -1
        start, end = (x1 + ahead * WIDTH // 2, y1), (x2 - ahead * WIDTH // 2, y2)
        half = (start[0] + end[0]) // 2
        curve = f"C{half} {y1} {half} {y2}"
    words = ", ".join(what for what in whats if what != str(after))
    label = ""
    if words and kind != "late":  # by the same words as from unknown
        at = (start[0] + end[0]) // 2, (start[1] + end[1]) // 2
        label = f'<text class="why" x="{at[0]}" y="{at[1]}">{words}</text>'
    path = f'<path d="M{start[0]} {start[1]} {curve} {end[0]} {end[1]}"/>'
    return f'<g class="{kind}">{path}{label}</g>'
