"""The tables of `docs/reference/order-lifecycle.md`, made from the machine's own table.

`python -m tests.support.order_page` writes them into the page anew; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path

from trade_runtime.machines.order import LIVE_STATES, TRANSITIONS, OrderInput, OrderState

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "order-lifecycle.md"
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


def diagram() -> str:
    """Every way out of a state, as plain text."""
    width = max(len(state) for state in OrderState)
    lines = ["```text"]
    for state in OrderState:
        ways: dict[OrderState, list[str]] = {}
        for what in OrderInput:
            after = TRANSITIONS.get((state, what))
            if after is not None and after is not state:
                ways.setdefault(after, []).append(what)
        if not ways:
            lines.append(f"{state:<{width}}  (the end)")
        for number, (after, names) in enumerate(ways.items()):
            head = str(state) if not number else ""
            lines.append(f"{head:<{width}}  --> {after:<{width}}  on {', '.join(names)}")
    return "\n".join([*lines, "```"])


def made() -> str:
    """What stands between the marks of the page."""
    return f"{BEGIN}\n\n{table()}\n\n{diagram()}\n\n{END}"


def rewritten(page: str) -> str:
    """The page with its made part made anew."""
    before, rest = page.split(BEGIN)
    return before + made() + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
