"""What the accounts hold by the venues' word: what is news, and that nothing of it is lost."""

from __future__ import annotations

from decimal import Decimal

from tests.support.values import ETH
from trade_runtime.machines.snapshot import restore, take
from trade_runtime.machines.trading_state import TradingState
from trade_runtime.model.ids import Currency, InstrumentId, VenueName
from trade_runtime.model.records import BalancesTold, OthersHold

PAPER, ETHER, USDT = VenueName("paper"), Currency("ETH"), Currency("USDT")


def told(state: TradingState, now_ns: int, **balances: str) -> BalancesTold | None:
    """Have a venue tell balances, and take what is news of them."""
    amounts = {Currency(name): Decimal(amount) for name, amount in balances.items()}
    news = state.accounts.news(PAPER, amounts, now_ns)
    if news is not None:
        state.apply(news)
    return news


def test_what_is_told_again_is_no_news() -> None:
    """Not in other digits either; an account that is empty is news, once."""
    state = TradingState()
    assert told(state, 1) is not None
    assert told(state, 2) is None
    assert told(state, 3, ETH="1.5") is not None
    assert told(state, 4, ETH="1.50") is None


def test_a_currency_that_is_named_no_more_has_come_to_nothing() -> None:
    """Not forgotten: its row would tell for ever what is not there."""
    state = TradingState()
    told(state, 1, USDT="7", ETH="1")
    assert BalancesTold(PAPER, {ETHER: Decimal(0), USDT: Decimal(7)}, 2) == told(state, 2, USDT="7")
    assert told(state, 3, USDT="7") is None


def test_they_are_state() -> None:
    """The hash depends on them, and a snapshot has them; without any it is what it was."""
    state = TradingState()
    hashes = [state.hash()]
    told(state, 1, ETH="1")
    hashes.append(state.hash())
    state.apply(OthersHold(PAPER, {InstrumentId(ETH): Decimal(2)}, 1))
    hashes.append(state.hash())
    assert 3 == len(set(hashes))
    again = restore(take(state, 2, 1, ""))
    assert (state.accounts.balances, state.accounts.others) == (
        again.accounts.balances,
        again.accounts.others,
    )
    assert state.hash() == again.hash()
