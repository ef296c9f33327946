"""What is due when, by the runtime's clock: live a task waits for it, a backtest steps to it.

Everything of the order path that happens by time alone goes through here, so that a run in virtual
time and a backtest do it in the same nanosecond, and in the same order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

NEVER = 2**63 - 1
"""Later than any moment that 64 bits of nanoseconds can tell."""


class Alarms:
    """Calls, each with the moment that it is due; those of one moment in the order they were
    set.
    """

    def __init__(self) -> None:
        self.next_ns = NEVER
        """When the earliest is due."""
        self.on_earlier: Callable[[], object] | None = None
        """Told when an alarm was set that is due before all others. Set by who waits."""
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._set = 0

    def set(self, due_ns: int, call: Callable[[int], None]) -> None:
        """Have `call` called at `due_ns`, with the time it then is. It cannot be taken back: what
        is called looks whether there is still something to do.
        """
        self._set += 1
        heapq.heappush(self._heap, (due_ns, self._set, call))
        if due_ns < self.next_ns:
            self.next_ns = due_ns
            if self.on_earlier is not None:
                self.on_earlier()

    def ring(self, now_ns: int) -> None:
        """Make every call that is due by now; those that they set for now, too."""
        heap = self._heap
        while heap and heap[0][0] <= now_ns:
            call = heapq.heappop(heap)[2]
            self.next_ns = heap[0][0] if heap else NEVER
            call(now_ns)
        self.next_ns = heap[0][0] if heap else NEVER


def on_the_beat(now_ns: int, beat_ns: int) -> int:
    """Return the next whole multiple of `beat_ns` on the clock: what looks from time to time looks
    at the same moments whenever it began.
    """
    return (now_ns // beat_ns + 1) * beat_ns
