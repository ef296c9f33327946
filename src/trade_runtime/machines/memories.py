"""What strategies saved, folded: the latest state of each, and the fills that came after it.

A strategy whose state is kept is owed every fill that the journal has and the state does not know:
those that were found while nothing ran, or after it had ended. They are told at the next start,
before anything else. So the state and the fills, taken together, never part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from trade_runtime.machines.images import MemoryImage
from trade_runtime.model.events import Fill
from trade_runtime.model.ids import StrategyName
from trade_runtime.model.records import StateFormat, StrategySaved

MAX_OWED_FILLS = 10_000
"""Fills after the state of a strategy that are kept to be told to it. A strategy that is owed more
does not start."""


class Memory:
    """What one strategy saved last.

    Attributes:
        saved: its state.
        owed: the fills since then, oldest first, the first `MAX_OWED_FILLS` of them.
        behind: how many there are.
    """

    __slots__ = ("behind", "owed", "saved")

    def __init__(self, saved: StrategySaved) -> None:
        self.saved = saved
        self.owed: list[Fill] = []
        self.behind = 0

    @property
    def empty(self) -> bool:
        """Its state is to be kept, and it has saved none yet."""
        return self.saved.format is StateFormat.NONE


class Memories:
    """The memory of each strategy whose state is kept."""

    def __init__(self) -> None:
        self.kept: dict[StrategyName, Memory] = {}
        """By the strategy; empty where no state was ever kept."""
        self.on_owed: Callable[[StrategyName], None] | None = None
        """Told of each fill that no state knows yet. Set by the keeper of states."""

    def __iter__(self) -> Iterator[StrategyName]:
        return iter(self.kept)

    def get(self, strategy: StrategyName) -> Memory | None:
        """Return what a strategy saved, or None where its state was never kept."""
        return self.kept.get(strategy)

    def save(self, event: StrategySaved) -> None:
        """Take a state; it knows every fill so far."""
        self.kept[event.strategy] = Memory(event)

    def filled(self, strategy: StrategyName, fill: Fill) -> None:
        """Take a fill that the state of its strategy does not know yet."""
        memory = self.kept.get(strategy)
        if memory is not None:
            if self.on_owed is not None:
                self.on_owed(strategy)
            memory.behind += 1
            if len(memory.owed) < MAX_OWED_FILLS:
                memory.owed.append(fill)

    def image(self) -> list[MemoryImage]:
        """Return all of it as plain values."""
        return [MemoryImage(m.saved, list(m.owed), m.behind) for m in self.kept.values()]

    @classmethod
    def of(cls, images: Sequence[MemoryImage]) -> Memories:
        """Return what images were made of."""
        memories = cls()
        for image in images:
            memories.save(image.saved)
            memory = memories.kept[image.saved.strategy]
            memory.owed, memory.behind = list(image.owed), image.behind
        return memories

    def lines(self) -> Iterator[str]:
        """Give what the hash of the trading state covers of it."""
        for name in sorted(self.kept):
            memory = self.kept[name]
            owed = [fill.trade_id for fill in memory.owed]
            yield f"{memory.saved!r} {memory.behind} {owed}"
