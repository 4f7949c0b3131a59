"""What a lot is worth in the account's currency."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from market.contract_value import get_contract_value
from market.errors import FeedReplyError, FeedUnavailableError
from market.terminal.errors import TerminalUnavailableError
from tests.market_builders import WrittenTerminal

QUOTES = {
    "BTCUSD": (99_990.0, 100_010.0),
    "BTCEUR": (90_000.0, 90_010.0),
    "EURUSD": (1.1, 1.1),
    "USDJPY": (150.0, 150.0),
}


def make_terminal(*, profit="USD", account="USD", size=1.0, quotes=QUOTES) -> WrittenTerminal:
    terminal = WrittenTerminal()
    terminal.replies = {
        "symbol_info": SimpleNamespace(trade_contract_size=size, currency_profit=profit),
        "account_info": SimpleNamespace(currency=account),
        "symbol_select": lambda symbol, enable: symbol in quotes,
        "symbol_info_tick": lambda symbol: SimpleNamespace(bid=quotes[symbol][0], ask=quotes[symbol][1]),
    }
    return terminal


def test_a_lot_is_worth_its_size_times_the_middle_price():
    assert get_contract_value("BTCUSD", make_terminal(size=0.1)) == Decimal("10000.0")


def test_another_profit_currency_is_converted_at_its_pair():
    assert get_contract_value("BTCEUR", make_terminal(profit="EUR")) == Decimal("90005.0") * Decimal("1.1")


def test_a_pair_that_is_quoted_the_other_way_round_is_turned():
    assert get_contract_value("BTCUSD", make_terminal(profit="JPY", size=3.0)) == Decimal("300000.0") / Decimal(150)


def test_no_pair_is_an_error_that_names_both():
    with pytest.raises(FeedReplyError, match="neither CHFUSD nor USDCHF"):
        get_contract_value("BTCUSD", make_terminal(profit="CHF"))


@pytest.mark.parametrize("quote", [(0.0, 0.0), (100.0, 99.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_a_price_that_is_none_is_refused(quote):
    with pytest.raises(FeedReplyError):
        get_contract_value("BTCUSD", make_terminal(quotes={"BTCUSD": quote}))


def test_a_size_that_is_none_is_refused():
    with pytest.raises(FeedReplyError, match="contract size of BTCUSD must be above 0, was 0"):
        get_contract_value("BTCUSD", make_terminal(size=0.0))


def test_a_symbol_without_a_tick_is_an_error_with_the_terminals_reason():
    terminal = make_terminal()
    terminal.replies["symbol_info_tick"] = None

    with pytest.raises(FeedReplyError, match="error -4 Not found"):
        get_contract_value("BTCUSD", terminal)


def test_a_terminal_that_does_not_answer_is_unavailable():
    terminal = make_terminal()

    def fail(*args):
        raise TerminalUnavailableError("gone")

    terminal.replies["symbol_info"] = fail
    with pytest.raises(FeedUnavailableError, match="gone"):
        get_contract_value("BTCUSD", terminal)
