"""The strategies that the processes run: some trade, some misbehave, each in one way."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import trio

from trade_runtime import Fill, OrderRefused, OrderUpdate, Quote, Strategy


class Grid(Strategy):
    """Rests `n` entries far below the market, from `at` of its price downwards, and holds one unit
    with a stop-loss of its own.
    """

    begun = False

    def on_quote(self, quote: Quote) -> None:
        if self.begun:
            return
        self.begun = True
        own = self.trader.open_orders(quote.instrument)
        entries = [order for order in own if not order.spec.protective]
        rules = self.trader.instrument(quote.instrument)
        at = float(self.params.get("at", 0.7))
        for step in range(int(self.params.get("n", 50)) - len(entries)):
            price = rules.round_price(quote.bid * (at - 0.001 * step), up=False)
            self.trader.limit(quote.instrument, "buy", self.params.get("size", "0.01"), price)
        if self.trader.position(quote.instrument).quantity == 0:
            self.trader.market(quote.instrument, "buy", "1")

    def on_order(self, event: OrderUpdate) -> None:
        position = self.trader.position(event.order.instrument)
        stops = [o for o in self.trader.open_orders() if o.spec.protective]
        if event.order.side == "buy" and event.order.ended and position.quantity and not stops:
            rules = self.trader.instrument(event.order.instrument)
            trigger = rules.round_price(position.average_price * Decimal("0.8"), up=False)
            self.trader.stop_loss(event.order.instrument, "sell", position.quantity, trigger)


class Churn(Strategy):
    """Never rests: takes, rests, cancels, turns, with orders larger than what is displayed.

    It begins `quiet_secs` after the start, so that until then what a start does can be seen alone.
    """

    quotes = 0
    began_ns = 0

    def on_start(self) -> None:
        self.began_ns = self.trader.now_ns()

    def on_quote(self, quote: Quote) -> None:
        quiet_ns = float(self.params.get("quiet_secs", 0)) * 1e9
        if self.trader.now_ns() - self.began_ns < quiet_ns:
            return
        self.quotes += 1
        if self.quotes % int(self.params.get("every", 3)):
            return
        own = [o for o in self.trader.open_orders(quote.instrument) if not o.spec.protective]
        held = self.trader.position(quote.instrument).quantity
        rules = self.trader.instrument(quote.instrument)
        step = self.quotes // int(self.params.get("every", 3))
        try:
            if len(own) >= 6:
                self.trader.cancel(own[0])
            elif step % 7 == 0:
                far = rules.round_price(quote.bid * 0.9, up=False)
                self.trader.limit(quote.instrument, "buy", "0.05", far, post_only=True)
            elif held < 3 and step % 3:
                at = rules.round_price(quote.ask, up=True)
                self.trader.limit(quote.instrument, "buy", "0.8", at)
            elif held > 1:
                at = rules.round_price(quote.bid, up=False)
                self.trader.limit(quote.instrument, "sell", "0.7", at, reduce_only=True)
            else:
                self.trader.market(quote.instrument, "buy", "0.3")
        except OrderRefused:
            pass

    def on_fill(self, fill: Fill) -> None:
        stops = [o for o in self.trader.open_orders(fill.instrument) if o.spec.protective]
        held = self.trader.position(fill.instrument).quantity
        if held > 0 and not stops and self.params.get("own_stops", True):
            rules = self.trader.instrument(fill.instrument)
            trigger = rules.round_price(fill.price * Decimal("0.9"), up=False)
            with contextlib.suppress(OrderRefused):
                self.trader.stop_loss(fill.instrument, "sell", held, trigger)


class Counting(Churn):
    """Churns, and keeps as its state how many fills it was ever told of."""

    fills = 0

    def on_save(self) -> dict[str, Any]:
        return {"fills": self.fills}

    def on_load(self, state: Any) -> None:
        self.fills = state["fills"]

    def on_start(self) -> None:
        super().on_start()
        self.trader.log.info("counts", fills=self.fills)

    def on_fill(self, fill: Fill) -> None:
        self.fills += 1
        super().on_fill(fill)


class Hoarding(Churn):
    """Churns, and keeps with each fill a state that fills the disk."""

    def on_save(self) -> dict[str, Any]:
        return {"quotes": self.quotes, "ballast": "x" * 40_000}

    def on_load(self, state: Any) -> None:
        pass


class Bad(Strategy):
    """Rests three entries, then misbehaves in the way and at the place that `how` says."""

    begun = False

    def on_quote(self, quote: Quote) -> None:
        if not self.begun:
            self.begun = True
            rules = self.trader.instrument(quote.instrument)
            for step in range(3):
                price = rules.round_price(quote.bid * (0.6 - 0.01 * step), up=False)
                self.trader.limit(quote.instrument, "buy", "0.01", price)
        resting = [o for o in self.trader.open_orders(quote.instrument) if o.state == "open"]
        if len(resting) < 3:
            return
        match self.params["how"]:
            case "quote_spins":
                self.spin("on_quote spins")
            case "quote_exits":
                raise SystemExit(5)
            case "quote_raises":
                raise ValueError("on_quote is broken")
            case "quote_interrupts":
                raise KeyboardInterrupt

    def on_stop(self, reason: str) -> Awaitable[None] | None:
        match self.params["how"]:
            case "stop_raises":
                raise ValueError("on_stop is broken")
            case "stop_exits":
                raise SystemExit(5)
            case "stop_awaits":
                return trio.sleep_forever()  # noqa: ASYNC105 - the host awaits it
            case "stop_sleeps":
                time.sleep(1_000)
            case "stop_spins":
                self.spin("on_stop spins")
            case "stop_spins_stubbornly":
                self.spin_stubbornly()
            case "stop_is_deaf":
                # As a library does that waits in C, with the signals of this thread held back.
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                self.spin_stubbornly()
        return None

    def spin(self, what: str) -> None:
        self.trader.log.info(what)
        while True:
            pass

    def spin_stubbornly(self) -> None:
        """Swallow whatever is raised to get the loop back."""
        self.trader.log.info("spins stubbornly")
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass


class Shielded(Strategy):
    """Its own task refuses to be cancelled, and never ends."""

    async def run(self) -> None:
        self.trader.log.info("shields itself")
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()


class Watch(Strategy):
    """Trades nothing; counts what it sees and tells at the stop."""

    quotes = trades = stale = 0

    def on_quote(self, quote: Quote) -> None:
        self.quotes += 1

    def on_trade(self, trade: Any) -> None:
        self.trades += 1

    def on_stale(self, instrument: str) -> None:
        self.stale += 1
        self.trader.log.info("told stale")

    def on_stop(self, reason: str) -> None:
        self.trader.log.info("counted", quotes=self.quotes, trades=self.trades, stale=self.stale)


class Threaded(Strategy):
    """Leaves a thread that never ends, and that Python would wait for."""

    def on_start(self) -> None:
        threading.Thread(target=threading.Event().wait, name="never-ends").start()


class Bracketed(Strategy):
    """Has one bracket: `do` says whether to place it, or to have the market meet an order of it."""

    begun = False

    def on_quote(self, quote: Quote) -> None:
        if self.begun:
            return
        self.begun = True
        own = self.trader.open_orders(quote.instrument)
        self.trader.log.info("knows " + " ".join(f"{o.side}:{o.type}:{o.state}" for o in own))
        rules = self.trader.instrument(quote.instrument)
        match self.params["do"]:
            case "place":
                self.trader.bracket(
                    quote.instrument,
                    "buy",
                    "1",
                    price=rules.round_price(quote.bid * 0.98, up=False),
                    stop=rules.round_price(quote.bid * 0.9, up=False),
                    target=rules.round_price(quote.bid * 1.1, up=True),
                )
            case "enter":
                (entry,) = (o for o in own if o.side == "buy")
                self.trader.amend(entry, price=rules.round_price(quote.ask * 1.01, up=True))
            case "leave":
                (target,) = (o for o in own if not o.spec.protective)
                self.trader.amend(target, price=rules.round_price(quote.bid * 0.99, up=False))


class Many(Strategy):
    """Rests `n` entries in each of its instruments, `per_sec` of them a second."""

    began_ns = 0
    placed = 0

    def on_quote(self, quote: Quote) -> None:
        self.began_ns = self.began_ns or self.trader.now_ns()
        secs = (self.trader.now_ns() - self.began_ns) / 1e9
        due = int(secs * float(self.params["per_sec"]))
        own = len(self.trader.open_orders(quote.instrument))
        rules = self.trader.instrument(quote.instrument)
        while self.placed < due and own < int(self.params["n"]):
            price = rules.round_price(quote.bid * (0.99 - 0.0002 * own), up=False)
            with contextlib.suppress(OrderRefused):
                self.trader.limit(quote.instrument, "buy", self.params.get("size", "0.01"), price)
            self.placed += 1
            own += 1
