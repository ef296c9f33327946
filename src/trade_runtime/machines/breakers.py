"""The breakers: limits on what was lost, and on how often a venue refuses, that stop trading.

Theory of operation: for each quote currency that has a limit the profit of all strategies is kept
up to date with each quote, as a float: a market signal that costs two multiplications. Only when it
leaves the band between the nearest limit and the next thing to write down is it added up exactly,
from the ledger and the last quotes; that sum alone decides. What it is compared with is in the
journal (`profit`), so that a restart goes on counting where the last process stood.

A position is valued at what it could be closed at: a long one at the bid, a short one at the ask.
A currency in which a position is open that has had no quote yet waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from math import inf

import attrs

from trade_runtime.machines.pace import DAY_NS, SECOND_NS, Window
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.ids import Currency, InstrumentId
from trade_runtime.model.instrument import Instrument, exact
from trade_runtime.model.market import Quote
from trade_runtime.model.orders import ZERO
from trade_runtime.model.records import InstrumentListed, ProfitMarked

PEAK_STEPS = 20
"""A higher peak is written down when it rose by this part of `max_drawdown`: so after a restart it
is lower than it was by less than that, and a rally makes few records."""

MARGIN = 1e-9
"""By what part a float may be off: within it of a limit the exact sum is asked."""

_ROUNDING = Context(prec=18)
"""An average price may have no end (a third): what its 28th digit is off by must not decide."""


@attrs.frozen(kw_only=True)
class BreakerLimits:
    """What trips a breaker; None and an empty table mean no limit.

    Attributes:
        max_daily_loss: by quote currency, the loss since 00:00 UTC.
        max_drawdown: by quote currency, the loss from the highest profit.
        max_loss_streak: round trips in a row that lost, over all strategies.
        max_rejects: orders that venues reject within `rejects_window_secs`.
        rejects_window_secs: within how long.
    """

    max_daily_loss: Mapping[Currency, Decimal] = attrs.field(factory=dict)
    max_drawdown: Mapping[Currency, Decimal] = attrs.field(factory=dict)
    max_loss_streak: int | None = None
    max_rejects: int | None = None
    rejects_window_secs: float = 60.0

    @property
    def currencies(self) -> list[Currency]:
        """The quote currencies whose profit is watched, and with it every quote."""
        return sorted({*self.max_daily_loss, *self.max_drawdown})

    @property
    def any(self) -> bool:
        """Whether there is any limit at all."""
        return bool(self.currencies or self.max_loss_streak or self.max_rejects)


class _Account:
    """The profit in one quote currency, as a float, and the band in which nothing is to be done."""

    __slots__ = ("currency", "day_low", "drawdown", "high", "low", "peak", "profit", "written_at")

    def __init__(self, currency: Currency, drawdown: Decimal | None) -> None:
        self.currency = currency
        self.drawdown = inf if drawdown is None else float(drawdown)
        self.profit = 0.0
        self.low = inf  # whatever comes first is added up exactly
        self.high = inf
        self.day_low = -inf
        self.peak = -inf
        self.written_at = inf

    def set_low(self) -> None:
        """Put the lower end of the band where the nearest limit is, or a hair above it."""
        low = max(self.day_low, self.peak - self.drawdown)
        self.low = low + MARGIN * max(abs(low), 1.0) if low > -inf else low

    def highest(self, mark: ProfitMarked, profit: Decimal) -> Decimal:
        """Return the highest profit that is known: written down, seen since, or now."""
        seen = exact(self.peak) if self.peak > -inf else profit
        return max(mark.peak, profit, seen)

    def rest(self) -> None:
        """Look no more at quotes: it tripped, and only a resume begins anew."""
        self.low, self.high = -inf, inf


class _Line:
    """What is open of one instrument, as floats: the one thing that a quote touches."""

    __slots__ = ("_crossed", "account", "long", "open", "quote", "short", "value")

    def __init__(self, account: _Account, crossed: Callable[[_Account], None]) -> None:
        self.account = account
        self.quote: Quote | None = None
        self.open = False
        self.long = self.short = self.value = 0.0
        self._crossed = crossed

    def on_quote(self, quote: Quote) -> None:
        """Take a quote; nothing more where no position is open."""
        self.quote = quote
        if not self.open:
            return
        account = self.account
        value = self.long * quote.bid + self.short * quote.ask
        profit = account.profit = account.profit + value - self.value
        self.value = value
        if not account.low < profit < account.high:
            self._crossed(account)


class Breakers:
    """Watches profit, losing round trips and rejections.

    Args:
        limits: what trips.
        trading: the fold of the journal; the ledger is up to date when `on_fill` is called.
        record: writes a mark into the journal, which folds it into `trading`.
        trip: called with the reason, in words that name the limit and the value; it may be called
            again until trading is resumed.
    """

    def __init__(
        self,
        limits: BreakerLimits,
        trading: TradingState,
        record: Callable[[InstrumentListed | ProfitMarked], object],
        trip: Callable[[str], None],
    ) -> None:
        self._limits = limits
        self._trading = trading
        self._record = record
        self._trip = trip
        self._accounts = {
            currency: _Account(currency, limits.max_drawdown.get(currency))
            for currency in limits.currencies
        }
        self._lines: dict[InstrumentId, _Line] = {}
        self._day = 0
        self._rejects = None
        if limits.max_rejects is not None:
            window_ns = round(limits.rejects_window_secs * SECOND_NS)
            self._rejects = Window(limits.max_rejects, window_ns)

    def watch(self, instruments: Mapping[InstrumentId, Instrument]) -> None:
        """Learn the instruments, before anything fills; those that are new go into the journal."""
        listed = self._trading.profits.listed
        for instrument, rules in instruments.items():
            known = InstrumentListed(instrument, rules.quote)
            if listed.get(instrument) != known:
                self._record(known)
            account = self._accounts.get(rules.quote)
            if account is not None:
                self._lines[instrument] = _Line(account, self._crossed)

    def tap(self, instrument: InstrumentId) -> Callable[[Quote], None] | None:
        """Return what is to be told of each quote of an instrument; None where nobody cares."""
        line = self._lines.get(instrument)
        return None if line is None else line.on_quote

    def step(self, now_ns: int) -> None:
        """Let time pass: a new day begins its own count. The first call begins the watch."""
        day = now_ns // DAY_NS
        if day > self._day:
            self._day = day
            self.look()

    def on_fill(self, now_ns: int) -> None:
        """Look again after a fill: positions, profit and fees changed."""
        self.step(now_ns)
        self.look()

    def on_reject(self, now_ns: int) -> None:
        """Count an order that a venue rejected."""
        if self._rejects is None:
            return
        self._rejects.add(now_ns)
        if self._rejects.full(now_ns):
            self._trip(
                f"venues rejected {self._rejects.limit} orders within"
                f" {self._limits.rejects_window_secs:g} s: max_rejects {self._rejects.limit}"
            )

    def resumed(self) -> None:
        """Count from now on: the marks of before are gone from the journal's fold."""
        if self._rejects is not None:
            self._rejects.clear()
        for account in self._accounts.values():
            account.peak = -inf
        self.look()

    def look(self) -> None:
        """Look at everything that a fill may have changed."""
        most, streak = self._limits.max_loss_streak, self._trading.profits.streak
        if most is not None and streak >= most:
            self._trip(f"{streak} round trips in a row lost: max_loss_streak {most}")
        for account in self._accounts.values():
            self._add_up(account)

    def profit(self, currency: Currency) -> Decimal | None:
        """Return the exact profit of all strategies in a quote currency, less the fees in it; None
        while something open has had no quote.
        """
        total, listed = ZERO, self._trading.profits.listed
        for position in self._trading.ledger:
            total -= position.fees.get(currency, ZERO)
            known = listed.get(position.instrument)
            if known is None or known.quote != currency:
                continue
            gain = position.realised
            if position.quantity:
                line = self._lines.get(position.instrument)
                if line is None or line.quote is None:
                    return None
                price = line.quote.bid if position.quantity > 0 else line.quote.ask
                gain += position.unrealised(exact(price))
            total += gain
        return _ROUNDING.plus(total)

    def _crossed(self, account: _Account) -> None:
        """Take a profit beyond the band: a new peak moves the band, all else is added up."""
        if account.low < account.profit < account.written_at:
            account.peak = account.high = account.profit
            account.set_low()
        else:
            self._add_up(account)

    def _add_up(self, account: _Account) -> None:
        profit = self.profit(account.currency)
        self._recount(account, ZERO if profit is None else profit)
        if profit is None:  # wait for it: every quote looks again
            account.low = inf
            return
        mark = self._mark(account, profit)
        daily = self._limits.max_daily_loss.get(account.currency)
        drawdown = self._limits.max_drawdown.get(account.currency)
        lost, fallen = mark.opened - profit, ZERO
        account.day_low = -inf if daily is None else float(mark.opened - daily)
        account.high = account.written_at = inf
        if drawdown is not None:
            peak = account.highest(mark, profit)
            fallen = peak - profit
            account.peak = account.high = float(peak)
            account.written_at = float(mark.peak + drawdown / PEAK_STEPS)
        account.set_low()
        if daily is not None and lost >= daily:
            account.rest()
            self._trip(
                f"lost {lost:f} {account.currency} since 00:00 UTC, or since trading was resumed:"
                f" max_daily_loss {daily}"
            )
        if drawdown is not None and fallen >= drawdown:
            account.rest()
            self._trip(
                f"profit fell by {fallen:f} {account.currency} from its highest:"
                f" max_drawdown {drawdown}"
            )

    def _mark(self, account: _Account, profit: Decimal) -> ProfitMarked:
        """Return what the profit is compared with, written down anew where that is due."""
        currency = account.currency
        mark = self._trading.profits.marks.get(currency)
        if mark is None:
            fresh = ProfitMarked(currency, self._day, profit, profit)
        else:
            peak = account.highest(mark, profit)
            drawdown = self._limits.max_drawdown.get(currency)
            rose = drawdown is not None and peak - mark.peak >= drawdown / PEAK_STEPS
            new_day = self._day > mark.day
            if not (rose or new_day):
                return mark
            opened = profit if new_day else mark.opened
            fresh = ProfitMarked(currency, max(self._day, mark.day), opened, peak)
        self._record(fresh)
        return fresh

    def _recount(self, account: _Account, profit: Decimal) -> None:
        """Set the floats from what is exact."""
        account.profit = float(profit)
        lines = [line for line in self._lines.values() if line.account is account]
        for line in lines:
            line.open, line.long, line.short, line.value = False, 0.0, 0.0, 0.0
        for position in self._trading.ledger.open():
            held = self._lines.get(position.instrument)
            if held is not None and held.account is account:
                held.open = True
                size = float(position.quantity * position.multiplier)
                if size > 0:
                    held.long += size
                else:
                    held.short += size
        for line in lines:
            if line.open and line.quote is not None:
                line.value = line.long * line.quote.bid + line.short * line.quote.ask
