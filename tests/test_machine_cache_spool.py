"""What a cache is still to be told: nothing is forgotten, nothing grows, whatever fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trade_runtime.machines.cache_spool import Spool, Taken

FIELDS = st.sampled_from([("orders", "a"), ("orders", "b"), ("positions", "a"), ("quotes", "x")])
ANY = 10**9


def spool(limit: int = 100) -> Spool[Any, str]:
    """One that a first write has reset."""
    made: Spool[Any, str] = Spool(limit)
    made.take(10, ANY)
    made.done()
    return made


class TestFields:
    """A field is written by its latest."""

    def test_the_first_write_takes_away_what_was_there(self) -> None:
        """Another run left it."""
        made: Spool[Any, str] = Spool(10)
        made.put("orders", "a", 1)
        assert Taken({("orders", "a"): 1}, (), True) == made.take(10, ANY)

    def test_many_changes_are_one_write(self) -> None:
        """However often it changed."""
        made = spool()
        for value in range(100):
            made.put("orders", "a", value)
        assert 1 == made.waiting
        assert {("orders", "a"): 99} == made.take(10, ANY).fields

    def test_one_that_went_is_taken_away(self) -> None:
        """And one that was never there is no change."""
        made = spool()
        made.put("orders", "a", 1)
        made.remove("orders", "a")
        made.remove("orders", "b")
        assert {("orders", "a"): None} == made.take(10, ANY).fields

    def test_a_change_during_a_write_is_written_next(self) -> None:
        """The write under way has the value before."""
        made = spool()
        made.put("orders", "a", 1)
        made.take(10, ANY)
        made.put("orders", "a", 2)
        assert 1 == made.waiting
        made.done()
        assert {("orders", "a"): 2} == made.take(10, ANY).fields

    def test_after_a_failure_all_are_written_anew(self) -> None:
        """The server may have been started again, and be empty."""
        made = spool()
        made.put("orders", "a", 1)
        made.take(10, ANY)
        made.done()
        made.put("orders", "b", 2)
        made.take(10, ANY)
        made.failed()
        taken = made.take(10, ANY)
        assert taken.reset
        assert {("orders", "a"): 1, ("orders", "b"): 2} == taken.fields

    def test_only_the_first_part_resets(self) -> None:
        """What is written in parts is not taken away again by the next part."""
        made: Spool[Any, str] = Spool(10)
        for name in "abc":
            made.put("orders", name, name)
        first = made.take(2, ANY)
        made.done()
        second = made.take(2, ANY)
        assert (True, 2, False, 1) == (
            first.reset,
            len(first.fields),
            second.reset,
            len(second.fields),
        )


class TestEvents:
    """Events wait in a bounded row."""

    def test_none_goes_before_it_is_durable(self) -> None:
        """Those after one that is not wait, too."""
        made = spool()
        for seq in (1, 2, 3):
            made.add(seq, str(seq))
        assert ((1, "1"), (2, "2")) == made.take(10, 2).events
        made.done()
        assert ((3, "3"),) == made.take(10, 3).events

    def test_the_oldest_give_way(self) -> None:
        """And are counted."""
        made = spool(2)
        for seq in range(1, 6):
            made.add(seq, str(seq))
        assert 3 == made.dropped
        assert ((4, "4"), (5, "5")) == made.take(10, ANY).events

    def test_those_under_way_count_and_come_back(self) -> None:
        """In their order, and never more than the bound."""
        made = spool(3)
        for seq in (1, 2):
            made.add(seq, str(seq))
        made.take(10, ANY)
        for seq in (3, 4):
            made.add(seq, str(seq))
        made.failed()
        assert 1 == made.dropped
        assert ((1, "1"), (2, "2"), (4, "4")) == made.take(10, ANY).events


def test_a_write_is_answered_before_the_next() -> None:
    """Two at once would lose one."""
    made = spool()
    made.take(1, ANY)
    with pytest.raises(AssertionError, match="under way"):
        made.take(1, ANY)


@dataclass
class Server:
    """What a server holds: fields, and events by their number."""

    fields: dict[tuple[str, str], int] = field(default_factory=dict)
    events: dict[int, str] = field(default_factory=dict)

    def write(self, taken: Taken[int, str]) -> None:
        if taken.reset:
            self.fields.clear()
        for key, value in taken.fields.items():
            self.fields.pop(key, None)
            if value is not None:
                self.fields[key] = value
        for seq, event in taken.events:
            self.events.setdefault(seq, event)


class AnyFaults(RuleBasedStateMachine):
    """Any changes, writes in parts, failures that were written or not, a server that forgets."""

    @initialize(limit=st.integers(1, 5))
    def begin(self, limit: int) -> None:
        self.spool: Spool[int, str] = Spool(limit)
        self.server = Server()
        self.truth: dict[tuple[str, str], int] = {}
        self.seq = 0

    @rule(key=FIELDS, value=st.integers(0, 9))
    def put(self, key: tuple[str, str], value: int) -> None:
        self.truth[key] = value
        self.spool.put(*key, value)

    @rule(key=FIELDS)
    def remove(self, key: tuple[str, str]) -> None:
        self.truth.pop(key, None)
        self.spool.remove(*key)

    @rule()
    def happen(self) -> None:
        self.seq += 1
        self.spool.add(self.seq, f"event {self.seq}")

    @rule(most=st.integers(1, 3))
    def write(self, most: int) -> None:
        self.server.write(self.spool.take(most, ANY))
        self.spool.done()

    @rule(most=st.integers(1, 3), key=FIELDS, arrived=st.booleans(), forgets=st.booleans())
    def fail(self, most: int, key: tuple[str, str], arrived: bool, forgets: bool) -> None:
        taken = self.spool.take(most, ANY)
        self.put(key, 7)
        self.happen()
        if arrived:
            self.server.write(taken)
        if forgets:
            self.server.fields.clear()
        self.spool.failed()

    @invariant()
    def what_waits_is_bounded(self) -> None:
        if hasattr(self, "spool"):
            assert self.spool.waiting <= 4 + self.spool.limit

    @precondition(lambda self: hasattr(self, "spool"))
    @rule()
    def heal(self) -> None:
        while True:
            taken = self.spool.take(2, ANY)
            self.server.write(taken)
            self.spool.done()
            if not taken:
                break
        assert 0 == self.spool.waiting
        assert self.truth == self.server.fields
        assert list(self.server.events) == sorted(self.server.events)
        assert self.seq <= len(self.server.events) + self.spool.dropped

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.heal()


TestAnyFaults = AnyFaults.TestCase


@given(st.integers(1, 20), st.integers(0, 100))
def test_what_is_dropped_and_what_is_written_are_all(limit: int, count: int) -> None:
    """Without failures every event is one or the other."""
    made: Spool[int, str] = Spool(limit)
    for seq in range(1, count + 1):
        made.add(seq, "")
    written = len(made.take(ANY, ANY).events)
    assert (min(limit, count), count) == (written, written + made.dropped)
