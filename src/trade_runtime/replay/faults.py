"""Faults that the replay server makes on request, and the words that ask for them.

    drop:at=1000,secs=3     a word is KIND, or KIND:NAME=VALUE,NAME=VALUE

`KINDS` is the whole vocabulary; `docs/reference/replay.md` explains it. A fault is tied to a line
of the recording, not to a moment, so a run with faults can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from trade_runtime.errors import ConfigError

MAX_SECS: Final = 86_400.0
MAX_NUMBER: Final = 10**12


@attrs.frozen
class Fault:
    """A fault to make.

    Attributes:
        kind: a key of `KINDS`.
        at: the line of the recording, from 1, at which it happens; 0 for the beginning. A client's
            lines go on counting where the recording starts over.
        depth: for `skip`, the number of the book change, from 1, instead of a line.
        secs: how long it lasts; None for ever.
        ms: for `slow_rest`, how long each answer is held.
        count: for `stale_snapshot`, how many answers.
        times: how often it happens in a run of the server; None for every time.
    """

    kind: str
    at: int = 0
    depth: int = 0
    secs: float | None = None
    ms: int = 0
    count: int = 1
    times: int | None = 1

    @property
    def in_stream(self) -> bool:
        """It happens in a client's stream, not in the answers of REST."""
        return self.kind in ("drop", "silent", "skip", "garbage")


@attrs.frozen
class _Kind:
    takes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    example: str = ""


KINDS: Final[dict[str, _Kind]] = {
    "drop": _Kind(("at", "secs", "times"), ("at",), "drop:at=1000"),
    "silent": _Kind(("at", "secs", "times"), ("at",), "silent:at=1000,secs=30"),
    "skip": _Kind(("at", "depth", "times"), (), "skip:depth=100"),
    "garbage": _Kind(("at", "times"), ("at",), "garbage:at=1000"),
    "stale_snapshot": _Kind(("at", "count"), (), "stale_snapshot:count=2"),
    "rest_down": _Kind(("at", "secs"), (), "rest_down:at=1000,secs=5"),
    "slow_rest": _Kind(("at", "ms", "secs"), ("ms",), "slow_rest:ms=500"),
}


def parse_fault(word: str) -> Fault:
    """Return the fault that a word asks for.

    Raises:
        ConfigError: there is no such fault; the message shows one that there is.
    """
    name, _, rest = word.strip().partition(":")
    kind = KINDS.get(name)
    if kind is None:
        raise ConfigError(f"fault {word!r}: the kind must be one of {', '.join(KINDS)}")
    values: dict[str, float | None] = {}
    for pair in filter(None, (part.strip() for part in rest.split(","))):
        key, _, text = (part.strip() for part in pair.partition("="))
        if key not in kind.takes:
            takes = ", ".join(f"{k}=" for k in kind.takes)
            raise ConfigError(f"fault {word!r}: {name} takes {takes} as in {kind.example}")
        values[key] = _value(word, key, text)
    missing = [key for key in kind.needs if key not in values]
    if missing or (name == "skip" and ("at" in values) == ("depth" in values)):
        which = " and ".join(f"{key}=" for key in missing) or "either at= or depth="
        raise ConfigError(f"fault {word!r}: {name} needs {which} as in {kind.example}")
    times = values.get("times", 1.0)
    return Fault(
        kind=name,
        at=int(values.get("at") or 0),
        depth=int(values.get("depth") or 0),
        secs=values.get("secs", 0.0 if name == "drop" else None),
        ms=int(values.get("ms") or 0),
        count=int(values.get("count") or 1),
        times=None if times is None else int(times),
    )


def _value(word: str, key: str, text: str) -> float | None:
    if key == "times" and text == "all":
        return None
    try:
        number = float(text) if key == "secs" else float(int(text))
    except (ValueError, OverflowError):
        number = math.nan
    least, most = (0.0, MAX_SECS) if key == "secs" else (1.0, float(MAX_NUMBER))
    if not least <= number <= most:
        what = "seconds" if key == "secs" else "a whole number"
        or_all = " or all" if key == "times" else ""
        raise ConfigError(
            f"fault {word!r}: {key} must be {what} from {least:g} to {most:.0f}{or_all},"
            f" got {text!r}"
        )
    return number


class FaultPlan:
    """The faults of a run, and how often each is still to happen.

    Args:
        faults: what was asked for.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        self._left = [fault.times for fault in faults]

    def in_stream(self) -> Iterator[tuple[int, Fault]]:
        """Return the faults of streams that are still to happen, each with its index."""
        for index, fault in enumerate(self.faults):
            if fault.in_stream and self._left[index] != 0:
                yield index, fault

    def use(self, index: int) -> bool:
        """Count one happening; return whether there was one left to happen."""
        left = self._left[index]
        if left is None:
            return True
        self._left[index] = max(left - 1, 0)
        return left > 0

    def of_kind(self, kind: str) -> Iterable[tuple[int, Fault]]:
        """Return the faults of a kind, each with its index."""
        return ((i, fault) for i, fault in enumerate(self.faults) if fault.kind == kind)


class ClientFaults:
    """The faults of one client's stream, in the order in which it reaches them."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        waiting = sorted(plan.in_stream(), key=lambda entry: entry[1].at)
        self._by_line = [entry for entry in waiting if not entry[1].depth]
        self._by_depth = [entry for entry in waiting if entry[1].depth]
        self._changes = 0
        self._skips = 0

    def reached(self, line: int) -> Iterator[Fault]:
        """Return the faults that happen before a line is sent."""
        while self._by_line and self._by_line[0][1].at <= line:
            index, fault = self._by_line.pop(0)
            if not self._plan.use(index):
                continue
            if fault.kind == "skip":
                self._skips += 1
            else:
                yield fault

    @property
    def next_line(self) -> float:
        """The next line at which something happens, or infinity."""
        return self._by_line[0][1].at if self._by_line else math.inf

    def skips_change(self) -> bool:
        """Count a book change of the client's streams; return whether it is left out."""
        self._changes += 1
        for index, fault in self._by_depth:
            if fault.depth == self._changes and self._plan.use(index):
                return True
        if self._skips:
            self._skips -= 1
            return True
        return False
