"""Mutants: the runtime broken on purpose, one named promise at a time.

A sweep that does not find each of them has a hole. A mutant is a patch of the real code for the
length of one life; the oracle judges with the code as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import attrs
import trio

from trade_runtime.errors import OrderRefused
from trade_runtime.lifecycle import ladder, layer
from trade_runtime.lifecycle.ladder import StageResult
from trade_runtime.machines.order import Order
from trade_runtime.machines.risk import RiskGate
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.managers.cancelling import Canceller
from trade_runtime.managers.held import HeldOrders
from trade_runtime.managers.orders import OrderManager
from trade_runtime.managers.protect import ProtectionGuard
from trade_runtime.managers.reconcile import Reconciler
from trade_runtime.managers.state import StateManager
from trade_runtime.managers.strategies import StrategyHost
from trade_runtime.managers.trading import Trading
from trade_runtime.model.events import Fill
from trade_runtime.model.records import TradingHalted

Patch = Callable[[], AbstractContextManager[Any]]


@attrs.frozen
class Mutant:
    """A runtime that breaks a promise.

    Attributes:
        about: what it does wrong.
        patch: makes it so, within a block.
        scenario: in which it shows.
    """

    about: str
    patch: Patch
    scenario: str


MUTANTS: dict[str, Mutant] = {}
"""Every mutant by its name."""


def _mutant(name: str, about: str, scenario: str = "smoke") -> Callable[[Patch], Patch]:
    def register(function: Patch) -> Patch:
        MUTANTS[name] = Mutant(about, function, scenario)
        return function

    return register


@_mutant("send_before_journal", "an order leaves before its intent is durable")
@contextmanager
def _send_before_journal() -> Iterator[None]:
    place = OrderManager.place

    def hasty(self: OrderManager, *args: Any, **kwargs: Any) -> Order:
        order = place(self, *args, **kwargs)
        self.send_durable(self._state.seq)
        return order

    with patch.object(OrderManager, "place", hasty):
        yield


@_mutant("ack_before_commit", "records are told durable before the store has committed them")
@contextmanager
def _ack_before_commit() -> Iterator[None]:
    commit = StateManager._commit

    async def boastful(self: StateManager) -> None:
        if self._queue:
            self.on_durable(self._queue[-1].seq)
        await commit(self)

    with patch.object(StateManager, "_commit", boastful):
        yield


@_mutant("state_after_its_fill", "a strategy's state is saved in a later commit than its fill")
@contextmanager
def _state_after_its_fill() -> Iterator[None]:
    commit = StateManager._commit

    async def late(self: StateManager) -> None:
        save, self.before_commit = self.before_commit, lambda: None
        await commit(self)
        self.before_commit = save
        save()

    with patch.object(StateManager, "_commit", late):
        yield


@_mutant("missed_fills_untold", "a restarted strategy never hears of fills that its state lacks")
@contextmanager
def _missed_fills_untold() -> Iterator[None]:
    def on_owed(self: StrategyHost, fill: Fill) -> None: ...

    with patch.object(StrategyHost, "on_owed", on_owed):
        yield


@_mutant("unshielded_close", "the stages of a stop see the cancellation that began it")
@contextmanager
def _unshielded_close() -> Iterator[None]:
    def scope(*, shield: bool, deadline: float) -> trio.CancelScope:
        return trio.CancelScope(deadline=deadline)

    with patch.object(ladder, "trio", _trio_with(CancelScope=scope)):
        yield


@_mutant("plain_nurseries", "a layer's tasks are cancelled together with the body that uses them")
@contextmanager
def _plain_nurseries() -> Iterator[None]:
    def scope(*, shield: bool) -> trio.CancelScope:
        return trio.CancelScope()

    with patch.object(layer, "trio", _trio_with(CancelScope=scope)):
        yield


def _trio_with(**replaced: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(trio), **replaced})


@_mutant("halt_gate_open", "the halt is recorded, and orders leave all the same")
@contextmanager
def _halt_gate_open() -> Iterator[None]:
    def halt(self: OrderManager, reason: str) -> None:
        self._state.record(TradingHalted(reason), urgent=True)

    with patch.object(OrderManager, "halt", halt):
        yield


@_mutant("cancel_stops_first", "a stop cancels everything, stop-losses of open positions too")
@contextmanager
def _cancel_stops_first() -> Iterator[None]:
    cancel = Canceller.run

    async def sweeping(self: Canceller, result: StageResult) -> None:
        for order in list(self._orders.trading.live()):
            self._orders.cancel(order, "the runtime stops")
        await cancel(self, result)

    with patch.object(Canceller, "run", sweeping):
        yield


@_mutant("resend_unknown", "an order of unknown outcome is sent again under a new id")
@contextmanager
def _resend_unknown() -> Iterator[None]:
    mark = OrderManager.mark_unknown

    def again(self: OrderManager, order: Order, reason: str) -> None:
        mark(self, order, reason)
        spec = order.spec
        try:
            self.place(
                spec.strategy,
                spec.instrument,
                spec.side,
                spec.type,
                spec.quantity,
                price=spec.price,
                trigger_price=spec.trigger_price,
                tif=spec.tif,
                protective=spec.protective,
            )
        except OrderRefused:
            return

    with patch.object(OrderManager, "mark_unknown", again):
        yield


@_mutant("no_fill_dedup", "a fill that is told twice is booked twice")
@contextmanager
def _no_fill_dedup() -> Iterator[None]:
    apply_fill = Order.apply_fill

    def forgetful(self: Order, fill: Fill) -> bool:
        self.trade_ids.discard(fill.trade_id)
        return apply_fill(self, fill)

    def knows_fill(self: TradingState, fill: Fill) -> bool:
        return fill.client_order_id not in self.orders

    with (
        patch.object(Order, "apply_fill", forgetful),
        patch.object(TradingState, "knows_fill", knows_fill),
    ):
        yield


@_mutant("flush_skipped", "the stop neither waits for the last records nor reads them back")
@contextmanager
def _flush_skipped() -> Iterator[None]:
    async def nothing(self: StateManager) -> None:
        await trio.lowlevel.checkpoint()

    with (
        patch.object(StateManager, "flush", nothing),
        patch.object(StateManager, "verify", nothing),
    ):
        yield


@_mutant("fills_not_asked_for", "fills that were missed are never asked for")
@contextmanager
def _fills_not_asked_for() -> Iterator[None]:
    async def nothing(self: Reconciler) -> None:
        await trio.lowlevel.checkpoint()

    with patch.object(Reconciler, "_book_fills", nothing):
        yield


@_mutant("ids_from_one", "a restart counts its order ids from one again")
@contextmanager
def _ids_from_one() -> Iterator[None]:
    counts: dict[int, int] = {}

    def next_order_id(self: TradingState) -> str:
        first = counts.setdefault(id(self), self.intents)
        return f"{self.tag}-{self.intents - first + 1}"

    with patch.object(TradingState, "next_order_id", next_order_id):
        yield


@_mutant("limits_ignored", "the risk gate lets every size pass")
@contextmanager
def _limits_ignored() -> Iterator[None]:
    def check(self: RiskGate, *args: Any) -> None: ...

    with patch.object(RiskGate, "_check_limits", check):
        yield


@_mutant("cancels_unproven", "a stop trusts that what it cancelled is gone")
@contextmanager
def _cancels_unproven() -> Iterator[None]:
    async def trusting(self: Canceller, result: StageResult) -> None:
        for order in self._orders.trading.entries():
            self._orders.cancel(order, "the runtime stops")
        await trio.lowlevel.checkpoint()

    with patch.object(Canceller, "run", trusting):
        yield


@_mutant("guard_asleep", "a position without its stop-loss is left to itself while trading")
@contextmanager
def _guard_asleep() -> Iterator[None]:
    def asleep(self: ProtectionGuard, now_ns: int) -> None:
        pass

    with patch.object(ProtectionGuard, "_look_at_all", asleep):
        yield


@_mutant("protect_skipped", "a stop takes it for granted that positions are covered")
@contextmanager
def _protect_skipped() -> Iterator[None]:
    async def trusting(self: Trading, result: StageResult) -> None:
        await trio.lowlevel.checkpoint()

    with patch.object(Trading, "protect_positions", trusting):
        yield


@_mutant(
    "siblings_left",
    "an exit stays as it is when the other has filled",
    scenario="bracket_no_groups",
)
@contextmanager
def _siblings_left() -> Iterator[None]:
    def leave(self: HeldOrders, order: Order, *, due: bool = False) -> None: ...

    with patch.object(HeldOrders, "_make_room", leave):
        yield


@_mutant(
    "amend_before_journal",
    "a change of an order leaves before its record is durable",
    scenario="bracket",
)
@contextmanager
def _amend_before_journal() -> Iterator[None]:
    amend = OrderManager.amend

    def hasty(self: OrderManager, order: Order, **numbers: Any) -> None:
        amend(self, order, **numbers)
        self.send_durable(self._state.seq)

    with patch.object(OrderManager, "amend", hasty):
        yield
