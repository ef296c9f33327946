"""The faults of the exchange, on command: what goes wrong, with what, how often and for how long.

A fault is written `NAME`, `NAME:VALUE` or `NAME:VALUE,name=value,...`; `KINDS` is the list of names
with what the value means. Each draws from the one seeded stream of the exchange.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, TypeVar

import attrs
import trio

from trade_runtime.errors import ConfigError
from trade_runtime.exchange.record import Record
from trade_runtime.serving import Cut
from trade_runtime.spelling import did_you_mean

KINDS: Final = {
    "drop_after_accept": "the request is carried out, and the connection cut instead of an answer",
    "error_after_accept": "the request is carried out, and a server error answered",
    "error_before_accept": "a server error is answered, and nothing done",
    "slow_answers": "MS: every answer comes so much later",
    "late_queries": "MS: queries do not know an order yet that is younger",
    "reject_orders": "REASON: orders are refused",
    "delay_events": "MS: events of private streams come so much later",
    "duplicate_events": "events of private streams come twice",
    "reorder_events": "an event of a private stream comes after the next one",
    "cut_sockets": "SECS: all WebSockets are cut so often; without it once, now",
    "silent_socket": "WebSockets stay open, and nothing comes: no events, answers or pongs",
    "clock_skew": "MS: the exchange's clock is ahead by so much; below 0 behind",
    "server_shutdown": "SECS: WebSockets are told that the server ends, and closed so much later",
    "maintenance": "SECS: WebSockets are closed and requests answered with 503 for so long",
}
"""Every fault, and what it does."""

MAX_FAULTS: Final = 100
"""At a time."""

MAX_VALUE: Final = 1e9
"""Of a fault's number, in its own unit."""

SOON_SECS: Final = 2.0
"""Within this an event that is to come after the next one comes by itself, where none follows."""

_OPTIONS: Final = ("p", "count", "on", "after", "for")
_NEEDS_VALUE: Final = (
    "slow_answers",
    "late_queries",
    "delay_events",
    "clock_skew",
    "maintenance",
    "server_shutdown",
)
_TEXT_VALUE: Final = ("reject_orders",)


class About(StrEnum):
    """What a request is about: a fault may be of some of these only."""

    ORDER = "order"
    CANCEL = "cancel"
    AMEND = "amend"
    QUERY = "query"
    SWITCH = "switch"
    PUBLIC = "public"


_ABOUT: Final = {
    "drop_after_accept": frozenset((About.ORDER,)),
    "error_after_accept": frozenset((About.ORDER,)),
    "error_before_accept": frozenset((About.ORDER,)),
}


class ServerError(Exception):
    """The face answers with its venue's server error. `unknown`: the request may be done."""


class Maintenance(Exception):
    """The face answers as its venue does in maintenance."""


@attrs.frozen
class Fault:
    """What is to go wrong.

    Attributes:
        name: one of `KINDS`.
        value: its number, or None.
        reason: of `reject_orders`.
        probability: of each occasion, 0 to 1.
        count: how often at most; None for no end.
        on: what a request must be about.
        after_secs: from when on.
        for_secs: for how long after that; infinity for no end.
        text: as it was written.
    """

    name: str
    value: float | None = None
    reason: str = "refused, as was asked for"
    probability: float = 1.0
    count: int | None = None
    on: frozenset[About] = frozenset(About)
    after_secs: float = 0.0
    for_secs: float = math.inf
    text: str = ""


def parse_fault(text: str) -> Fault:
    """Read a fault as it is written on the command line.

    Raises:
        ConfigError: it makes no sense.
    """
    name, _, rest = text.partition(":")
    if name not in KINDS:
        raise ConfigError(f"fault {text!r}: there is no {name!r}{did_you_mean(name, KINDS)}")
    value: float | None = None
    reason = ""
    options: dict[str, str] = {}
    for index, part in enumerate(rest.split(",") if rest else ()):
        key, equals, word = part.partition("=")
        if equals and key in _OPTIONS:
            options[key] = word
        elif index == 0 and name in _TEXT_VALUE:
            reason = part
        elif index == 0:
            value = _number(text, part, -MAX_VALUE if name == "clock_skew" else 0, MAX_VALUE)
        else:
            raise ConfigError(f"fault {text!r}: {part!r} is none of {'=, '.join(_OPTIONS)}=")
    if name in _NEEDS_VALUE and value is None:
        raise ConfigError(f"fault {text!r}: it needs a number: {KINDS[name]}")
    for_secs = _number(text, options["for"], 0, MAX_VALUE) if "for" in options else math.inf
    if name == "maintenance" and value is not None:
        for_secs = min(for_secs, value)
    return Fault(
        name,
        value,
        reason or "refused, as was asked for",
        _number(text, options.get("p", "1"), 0, 1),
        int(_number(text, options["count"], 1, MAX_VALUE)) if "count" in options else None,
        _about(text, options["on"]) if "on" in options else _ABOUT.get(name, frozenset(About)),
        _number(text, options.get("after", "0"), 0, MAX_VALUE),
        for_secs,
        text,
    )


def _number(text: str, word: str, low: float, high: float) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise ConfigError(f"fault {text!r}: {word!r} is no number from {low:g} to {high:g}")
    return number


def _about(text: str, words: str) -> frozenset[About]:
    if words == "any":
        return frozenset(About)
    try:
        return frozenset(About(word) for word in words.split("+"))
    except ValueError:
        known = ", ".join(About)
        raise ConfigError(f"fault {text!r}: on= takes any, or some of {known}, with +") from None


class _Active:
    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.begins = now + fault.after_secs
        self.ends = self.begins + fault.for_secs
        self.left = math.inf if fault.count is None else fault.count

    def holds(self, now: float) -> bool:
        return self.begins <= now < self.ends and self.left > 0


T = TypeVar("T")


class Faults:
    """The faults that hold now.

    Args:
        rng: seeded; which of the occasions a fault strikes.
        record: where each strike is written.
    """

    def __init__(self, rng: random.Random, record: Record) -> None:
        self._rng = rng
        self._record = record
        self._active: list[_Active] = []
        self._changed = trio.Event()

    def add(self, fault: Fault) -> None:
        """Let a fault hold from now on.

        Raises:
            ConfigError: there are too many.
        """
        now = trio.current_time()
        self._active = [one for one in self._active if now < one.ends and one.left > 0]
        if len(self._active) >= MAX_FAULTS:
            raise ConfigError(f"fault {fault.text!r}: there are {MAX_FAULTS} already")
        self._active.append(_Active(fault, now))
        self._record.write("fault_set", fault=fault.text)
        self._tell()

    def clear(self, name: str = "") -> None:
        """End the faults of a name, or all."""
        self._active = [one for one in self._active if name and one.fault.name != name]
        self._record.write("fault_cleared", fault=name or "all")
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    @property
    def changed(self) -> trio.Event:
        """Set once faults are added or ended."""
        return self._changed

    def listed(self) -> list[str]:
        """Return those that hold now or will, as they were written."""
        now = trio.current_time()
        return [one.fault.text for one in self._active if now < one.ends and one.left > 0]

    def holding(self, name: str) -> Fault | None:
        """Return the fault of a name that holds now, without counting an occasion."""
        now = trio.current_time()
        return next(
            (one.fault for one in self._active if one.fault.name == name and one.holds(now)), None
        )

    def until(self, name: str) -> float | None:
        """Return when the next fault of a name begins or ends, in trio's time, or None."""
        now = trio.current_time()
        moments = (
            moment
            for one in self._active
            if one.fault.name == name and one.left > 0
            for moment in (one.begins, one.ends)
        )
        return min((one for one in moments if now < one < math.inf), default=None)

    def strikes(self, name: str, about: About | None = None) -> Fault | None:
        """Tell whether a fault strikes at this occasion; if so it is counted and written down."""
        now = trio.current_time()
        for one in self._active:
            fault = one.fault
            if fault.name != name or not one.holds(now):
                continue
            if about is not None and about not in fault.on:
                continue
            if fault.probability < 1 and self._rng.random() >= fault.probability:
                continue
            one.left -= 1
            self._record.write("fault", fault=name, about=about and str(about))
            return fault
        return None

    async def around(self, about: About, act: Callable[[], Awaitable[T]]) -> T:
        """Carry a request out under the faults that hold.

        Args:
            about: what it is about.
            act: carries it out.

        Raises:
            Maintenance: it is not to be carried out now.
            ServerError: answer with the venue's server error.
            Cut: close the connection without an answer.
        """
        if self.holding("maintenance"):
            raise Maintenance
        if self.strikes("error_before_accept", about):
            raise ServerError
        told = await act()
        if self.strikes("drop_after_accept", about):
            raise Cut
        if self.strikes("error_after_accept", about):
            raise ServerError
        slow = self.strikes("slow_answers", about)
        if slow is not None:
            await trio.sleep((slow.value or 0) / 1000)
        return told

    def refusal(self) -> str:
        """Return the reason with which an order is to be refused now, or nothing."""
        fault = self.strikes("reject_orders", About.ORDER)
        return fault.reason if fault else ""
