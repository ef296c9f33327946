"""What of `docs/reference/order-lifecycle.md` is made from the machine's table: its own, a picture.

`python -m tests.support.order_page` writes both anew; a test compares.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.order_diagram import picture
from trade_runtime.machines.order import LIVE_STATES, TRANSITIONS, OrderInput, OrderState

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "order-lifecycle.md"
PICTURE = PAGE.with_suffix(".svg")
BEGIN = "<!-- made from machines/order.py: python -m tests.support.order_page -->"
END = "<!-- end of what is made -->"


def table() -> str:
    """One row a state, one column an input; a dot where the pair raises and changes nothing."""
    inputs = list(OrderInput)
    lines = [
        "| state | " + " | ".join(inputs) + " |",
        "|---|" + "---|" * len(inputs),
    ]
    for state in OrderState:
        cells = [TRANSITIONS.get((state, what)) for what in inputs]
        words = [_cell(state, cell) for cell in cells]
        mark = f"**{state}**" if state in LIVE_STATES else str(state)
        lines.append(f"| {mark} | " + " | ".join(words) + " |")
    return "\n".join(lines)


def _cell(state: OrderState, after: OrderState | None) -> str:
    if after is None:
        return "·"
    return "stays" if after is state else str(after)


def made() -> str:
    """What stands between the marks of the page."""
    return f"{BEGIN}\n\n{table()}\n\n{END}"


def rewritten(page: str) -> str:
    """The page with its made part made anew."""
    before, rest = page.split(BEGIN)
    return before + made() + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
