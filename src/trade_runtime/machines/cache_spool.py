"""What a cache is still to be told: the latest value of each field, and a bounded row of events.

Theory of operation: a field holds the object that its value is made from, and the value is made
only when it is written, so that a hundred changes of an order are one write. `take` gives what is
to be written next; `done` or `failed` answers it. After a failure nobody knows what the cache
holds, so all fields are written anew, and what waits for that is one value a field however long it
takes. Events have no latest value: they wait in a row of at most `limit`, and the oldest give way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import Generic, TypeVar

import attrs

Source = TypeVar("Source")
Event = TypeVar("Event")

Field = tuple[str, str]
"""A table, and a field of it."""


@attrs.frozen
class Taken(Generic[Source, Event]):
    """What is to be written next.

    Attributes:
        fields: what they hold now; None where the field is to be taken away.
        events: in order, each with its number.
        reset: take away what the cache held before.
    """

    fields: Mapping[Field, Source | None]
    events: tuple[tuple[int, Event], ...]
    reset: bool

    def __bool__(self) -> bool:
        return bool(self.fields or self.events or self.reset)


class Spool(Generic[Source, Event]):
    """Fields that changed, and events that wait.

    Args:
        limit: how many events may wait, those that were taken included.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.dropped = 0
        """Events that gave way and will never be written."""
        self._held: dict[Field, Source] = {}
        self._changed: dict[Field, None] = {}
        self._events: deque[tuple[int, Event]] = deque()
        self._taken: Taken[Source, Event] | None = None
        self._reset = True

    @property
    def waiting(self) -> int:
        """How many values and events are not known to be written."""
        taken = self._taken
        under_way = 0 if taken is None else len(taken.events)
        if taken is not None:
            under_way += sum(field not in self._changed for field in taken.fields)
        return len(self._changed) + len(self._events) + under_way

    def put(self, table: str, field: str, source: Source) -> None:
        """Have a field hold what `source` says at the time of the write."""
        key = table, field
        self._held[key] = source
        self._changed[key] = None

    def remove(self, table: str, field: str) -> None:
        """Have a field go."""
        key = table, field
        if self._held.pop(key, None) is not None:
            self._changed[key] = None

    def add(self, seq: int, event: Event) -> None:
        """Queue an event."""
        self._events.append((seq, event))
        under_way = 0 if self._taken is None else len(self._taken.events)
        while self._events and len(self._events) + under_way > self.limit:
            self._events.popleft()
            self.dropped += 1

    def renew(self) -> None:
        """Have every field written anew, since nobody knows what the cache holds."""
        assert self._taken is None, "a write is under way"
        self._changed = dict.fromkeys(self._held)
        self._reset = True

    def take(self, most: int, up_to: int) -> Taken[Source, Event]:
        """Return what to write next: at most so many fields and events, and no event beyond a
        number.

        What it returns, be it empty, is under way until `done` or `failed`.
        """
        assert self._taken is None, "a write is under way"
        fields = {key: self._held.get(key) for key in islice(self._changed, most)}
        for key in fields:
            del self._changed[key]
        events: list[tuple[int, Event]] = []
        while self._events and len(events) < most and self._events[0][0] <= up_to:
            events.append(self._events.popleft())
        self._taken = Taken(fields, tuple(events), self._reset)
        return self._taken

    def done(self) -> None:
        """What was taken is written."""
        assert self._taken is not None, "nothing is under way"
        self._taken = None
        self._reset = False

    def failed(self) -> None:
        """What was taken may be written or not, and the cache may have lost the rest."""
        taken, self._taken = self._taken, None
        if taken is not None:
            self._events.extendleft(reversed(taken.events))
        self.renew()
