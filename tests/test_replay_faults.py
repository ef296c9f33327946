"""The words that ask for faults and paces: each is understood exactly or refused with a mend."""

from __future__ import annotations

import math

import pytest

from trade_runtime.errors import ConfigError
from trade_runtime.replay import KINDS, Fault, parse_fault, parse_speed
from trade_runtime.replay.faults import ClientFaults, FaultPlan


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("drop:at=1000", Fault("drop", at=1000, secs=0.0)),
        ("drop:at=1000,secs=2.5,times=all", Fault("drop", at=1000, secs=2.5, times=None)),
        ("silent:at=7", Fault("silent", at=7, secs=None)),
        (" silent:at=7, secs=3 ", Fault("silent", at=7, secs=3.0)),
        ("skip:depth=5", Fault("skip", depth=5)),
        ("skip:at=5,times=3", Fault("skip", at=5, times=3)),
        ("garbage:at=1", Fault("garbage", at=1)),
        ("stale_snapshot", Fault("stale_snapshot")),
        ("stale_snapshot:count=3,at=9", Fault("stale_snapshot", at=9, count=3)),
        ("rest_down", Fault("rest_down")),
        ("rest_down:secs=5", Fault("rest_down", secs=5.0)),
        ("slow_rest:ms=250", Fault("slow_rest", ms=250)),
    ],
)
def test_a_word_is_a_fault(word: str, fault: Fault) -> None:
    """KIND, or KIND:NAME=VALUE,NAME=VALUE."""
    assert parse_fault(word) == fault


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_example_that_works(kind: str) -> None:
    """The error messages show it."""
    assert parse_fault(KINDS[kind].example).kind == kind


@pytest.mark.parametrize(
    ("word", "mend"),
    [
        ("", "must be one of drop, silent"),
        ("drip:at=1", "must be one of drop, silent"),
        ("drop", "drop needs at= as in drop:at=1000"),
        ("drop:when=5", "drop takes at=, secs=, times= as in drop:at=1000"),
        ("drop:at=0", "at must be a whole number from 1"),
        ("drop:at=-5", "at must be a whole number"),
        ("drop:at=1.5", "at must be a whole number"),
        ("drop:at=", "at must be a whole number"),
        ("drop:at", "at must be a whole number"),
        ("drop:at=5,secs=nan", "secs must be seconds from 0"),
        ("drop:at=5,secs=inf", "secs must be seconds"),
        ("drop:at=5,times=none", "times must be a whole number from 1 to 1000000000000 or all"),
        ("skip", "skip needs either at= or depth="),
        ("skip:at=1,depth=2", "skip needs either at= or depth="),
        ("slow_rest", "slow_rest needs ms="),
        ("rest_down:ms=5", "rest_down takes at=, secs="),
    ],
)
def test_a_word_that_is_none_is_refused_with_its_mend(word: str, mend: str) -> None:
    """The message repeats the word and shows one that would do."""
    with pytest.raises(ConfigError) as caught:
        parse_fault(word)
    assert str(caught.value).startswith(f"fault {word!r}: ")
    assert mend in str(caught.value)


def test_paces() -> None:
    """`real`, a multiple, or as fast as it goes."""
    assert [parse_speed(word) for word in ("real", "2", "0.5", 10.0)] == [1.0, 2.0, 0.5, 10.0]
    assert parse_speed("max") == math.inf


@pytest.mark.parametrize("word", ["", "fast", "0", "-1", "nan", "inf", "1x"])
def test_a_pace_that_is_none_is_refused(word: str) -> None:
    """With the three that there are."""
    with pytest.raises(ConfigError, match="must be real, max, or a multiple"):
        parse_speed(word)


def kinds_at(client: ClientFaults, line: int) -> list[str]:
    return [fault.kind for fault in client.reached(line)]


def test_a_fault_happens_once_in_a_run() -> None:
    """The client that comes after it has reached the line is spared."""
    plan = FaultPlan([parse_fault("drop:at=5")])
    first, second = ClientFaults(plan), ClientFaults(plan)
    assert first.next_line == 5
    assert kinds_at(first, 4) == []
    assert kinds_at(first, 6) == ["drop"]
    assert kinds_at(second, 6) == []
    assert ClientFaults(plan).next_line == math.inf


def test_a_fault_can_be_asked_for_more_often() -> None:
    """A number of times, or every time; once for each client."""
    plan = FaultPlan([parse_fault("drop:at=5,times=2"), parse_fault("garbage:at=6,times=all")])
    seen = [kinds_at(ClientFaults(plan), 9) for _ in range(3)]
    assert seen == [["drop", "garbage"], ["drop", "garbage"], ["garbage"]]


def test_the_change_that_is_skipped_is_named_by_line_or_by_number() -> None:
    """By line it is the first change at or after it."""
    by_number = ClientFaults(FaultPlan([parse_fault("skip:depth=2")]))
    assert [by_number.skips_change() for _ in range(4)] == [False, True, False, False]
    by_line = ClientFaults(FaultPlan([parse_fault("skip:at=10")]))
    assert not by_line.skips_change()
    assert kinds_at(by_line, 11) == []
    assert [by_line.skips_change() for _ in range(2)] == [True, False]
