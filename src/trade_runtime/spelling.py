"""What a mistyped name was probably meant to be: the one place that says "did you mean".

Stands at the bottom, beside the errors, so that the configuration and the plug-ins say it alike.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LIKENESS = 0.6
"""From which likeness on a name is taken for a mistyped one: 0 is none, 1 the same."""

MAX_TOLD = 20
"""Names that are told where none is near, at most: a folder may hold thousands."""


def nearest(name: str, choices: Iterable[str], likeness: float = LIKENESS) -> str | None:
    """Return the choice that is nearest to `name`, in either case; None where none is near."""
    folded = {choice.lower(): choice for choice in sorted(choices)}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=likeness)
    return folded[near[0]] if near else None


def did_you_mean(name: str, choices: Iterable[str], likeness: float = LIKENESS) -> str:
    """Return `; did you mean "x"?` with the choice nearest to `name`; nothing if none is near."""
    near = nearest(name, choices, likeness)
    return "" if near is None else f'; did you mean "{near}"?'


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return `; did you mean "x"?` with the choice nearest to `name`, else what there is."""
    known = sorted(choices)
    if meant := did_you_mean(name, known):
        return meant
    if not known:
        return "; there are none"
    more = f" and {len(known) - MAX_TOLD} more" if len(known) > MAX_TOLD else ""
    return "; there are " + ", ".join(f'"{choice}"' for choice in known[:MAX_TOLD]) + more
