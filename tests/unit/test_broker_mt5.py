"""The MetaTrader 5 adapter connects and reads: what the terminal did not say is unknown, never nothing."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from execution.brokers import BROKERS, Broker, connect
from execution.brokers.mt5 import Mt5Broker
from execution.errors import BrokerUnavailableError, ConfigError
from execution.planning.orders import CashKind, FillEntry, MarginMode, OrderKind, Side
from market.terminal.errors import TerminalUnavailableError
from simulator import structs
from tests.execution_builders import NOON, D
from tests.scripted_terminal import (
    LOGIN,
    Pauses,
    ScriptedTerminal,
    account_info,
    make_broker,
    server_s,
    struct,
    symbol_info,
    tick,
    to_utc,
    trade_deal,
    trade_position,
)


def test_an_attached_terminal_is_not_initialised_again():
    terminal = ScriptedTerminal()
    broker: Broker = make_broker(terminal)  # the type checker holds the adapter to the protocol
    broker = connect("mt5", terminal=terminal, login=LOGIN, to_utc=to_utc, now=lambda: NOON, sleep=Pauses())
    assert isinstance(broker, Mt5Broker)
    assert "initialize" not in [function for function, _, _ in terminal.calls]


def test_connecting_tries_again_with_growing_pauses():
    absent = TerminalUnavailableError("not running")
    terminal = ScriptedTerminal(account_info=[absent, absent, account_info()], initialize=absent)
    pauses = Pauses()
    make_broker(terminal, sleep=pauses).connect()
    assert pauses == [1.0, 2.0]


def test_connecting_gives_up_after_its_last_pause():
    absent = TerminalUnavailableError("not running")
    pauses = Pauses()
    with pytest.raises(BrokerUnavailableError, match="not running"):
        make_broker(ScriptedTerminal(account_info=absent, initialize=absent), sleep=pauses).connect()
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_credentials_reach_the_terminal_and_nothing_else():
    terminal = ScriptedTerminal(account_info=[None, account_info()], initialize=True)
    broker = make_broker(terminal)
    broker.connect()
    assert ("initialize", (), {"login": 1001, "server": "Broker-Demo", "password": "secret-word"}) in terminal.calls
    assert "secret-word" not in repr(LOGIN)


@pytest.mark.parametrize("code", [-2, -5, -6, -8])
def test_a_refused_login_is_not_tried_again(code):
    terminal = ScriptedTerminal(account_info=None, initialize=False)
    terminal.last_error = (code, "Authorization failed")
    pauses = Pauses()
    with pytest.raises(ConfigError, match="Authorization failed"):
        make_broker(terminal, sleep=pauses).connect()
    assert pauses == []


@pytest.mark.parametrize("other", [{"login": 2002}, {"server": "Broker-Live"}])
def test_another_account_is_refused_without_telling_its_number(other):
    terminal = ScriptedTerminal(account_info=account_info(**other), initialize=True)
    with pytest.raises(ConfigError, match="must be ours") as caught:
        make_broker(terminal).connect()
    assert "2002" not in str(caught.value)


def test_a_terminal_without_its_server_is_waited_for():
    offline = SimpleNamespace(connected=False, trade_allowed=True, tradeapi_disabled=False)
    pauses = Pauses()
    with pytest.raises(BrokerUnavailableError, match="not connected"):
        make_broker(ScriptedTerminal(terminal_info=offline), sleep=pauses).connect()
    assert len(pauses) == 4


@pytest.mark.parametrize("switched_off", [{"trade_allowed": False}, {"tradeapi_disabled": True}])
def test_a_terminal_that_may_not_trade_is_a_persons_business_unless_it_is_only_read(switched_off):
    flags = {"connected": True, "trade_allowed": True, "tradeapi_disabled": False} | switched_off
    terminal = ScriptedTerminal(terminal_info=SimpleNamespace(**flags))
    with pytest.raises(ConfigError, match="may not trade"):
        make_broker(terminal).connect()
    make_broker(terminal, for_trading=False).connect()


def test_an_unknown_broker_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match=f"no broker 'nonsense'; known: {', '.join(BROKERS)}"):
        connect("nonsense")


def test_structures_become_our_values():
    order = struct(
        structs.TradeOrder,
        ticket=6,
        symbol="ETHUSD",
        type=3,
        volume_current=0.5,
        price_open=2_500.5,
        time_setup=server_s(NOON),
    )
    terminal = ScriptedTerminal(positions_get=(trade_position(),), orders_get=(order,))
    broker = make_broker(terminal)
    (position,) = broker.positions()
    (working,) = broker.working_orders()
    assert (position.ticket, position.side, position.volume, position.magic) == (5, Side.BUY, D("0.3"), 77)
    assert (position.stop, position.target, position.opened_at) == (D("59000"), None, NOON)
    assert (working.side, working.kind, working.price) == (Side.SELL, OrderKind.LIMIT, D("2500.5"))
    assert broker.quote("BTCUSD").at == NOON
    account = broker.account()
    assert (account.equity, account.margin_mode) == (D("100000.10"), MarginMode.HEDGING)
    assert broker.spec("BTCUSD").volume_step == D("0.01")


@pytest.mark.parametrize("code", [0, 1])
def test_accounts_that_net_are_netting_accounts(code):
    assert make_broker(ScriptedTerminal(account_info=account_info(margin_mode=code))).account().margin_mode == (
        MarginMode.NETTING
    )


READS = [
    ("account_info", lambda broker: broker.account()),
    ("positions_get", lambda broker: broker.positions()),
    ("orders_get", lambda broker: broker.working_orders()),
    ("history_deals_get", lambda broker: broker.fills_since(NOON)),
    ("history_deals_get", lambda broker: broker.cash_since(NOON)),
    ("symbol_info", lambda broker: broker.spec("BTCUSD")),
    ("symbol_info_tick", lambda broker: broker.quote("BTCUSD")),
]


@pytest.mark.parametrize(("function", "read"), READS)
@pytest.mark.parametrize("last_error", [(1, "Success"), (-10005, "IPC timeout")])
def test_none_is_never_nothing(function, read, last_error):
    terminal = ScriptedTerminal(**{function: None})
    terminal.last_error = last_error
    with pytest.raises(BrokerUnavailableError, match=f"{function} answered None: {last_error[1]}") as caught:
        read(make_broker(terminal))
    assert caught.value.code == last_error[0]


@pytest.mark.parametrize("function", ["positions_get", "orders_get", "history_deals_get"])
def test_an_empty_tuple_is_nothing(function):
    read = dict(READS)[function]
    assert read(make_broker(ScriptedTerminal(**{function: ()}))) == ()


@pytest.mark.parametrize(("function", "read"), READS)
@pytest.mark.parametrize("answer", [42, (object(),), "text", False])
def test_an_answer_that_cannot_be_understood_is_no_answer(function, read, answer):
    with pytest.raises(BrokerUnavailableError, match=function):
        read(make_broker(ScriptedTerminal(**{function: answer})))


@pytest.mark.parametrize(
    "broken", [{"volume": float("nan")}, {"type": 7}, {"volume": 0.0}, {"price_open": float("inf")}]
)
def test_one_absurd_position_makes_the_whole_read_fail(broken):
    terminal = ScriptedTerminal(positions_get=(trade_position(), trade_position(**broken)))
    with pytest.raises(BrokerUnavailableError, match="positions_get"):
        make_broker(terminal).positions()


@pytest.mark.parametrize("broken", [{"bid": 0.0}, {"ask": 59_999.0}, {"bid": float("nan")}, {"ask": float("inf")}])
def test_a_tick_without_sensible_prices_is_no_quote(broken):
    with pytest.raises(BrokerUnavailableError, match="symbol_info_tick"):
        make_broker(ScriptedTerminal(symbol_info_tick=tick(**broken))).quote("BTCUSD")


def test_a_symbol_is_selected_before_it_is_used():
    terminal = ScriptedTerminal(symbol_info=[symbol_info(select=False), symbol_info()], symbol_select=True)
    make_broker(terminal).spec("BTCUSD")
    assert ("symbol_select", ("BTCUSD", True), {}) in terminal.calls


def test_a_symbol_that_cannot_be_selected_is_unavailable():
    with pytest.raises(BrokerUnavailableError, match="symbol_select answered False"):
        make_broker(ScriptedTerminal(symbol_info=symbol_info(select=False), symbol_select=False)).spec("BTCUSD")


def test_a_similar_symbol_is_not_taken_for_ours():
    with pytest.raises(ConfigError, match="'BTCUSDm'"):
        make_broker(ScriptedTerminal(symbol_info=symbol_info(name="BTCUSDm"))).spec("BTCUSD")


def test_fills_are_what_traded_from_the_moment_on_in_order():
    deals = (
        trade_deal(ticket=11, type=1, entry=1),
        trade_deal(ticket=10, type=0, entry=0),
        trade_deal(ticket=3, time=server_s(NOON - timedelta(seconds=1))),
        trade_deal(ticket=12, type=2, symbol="", volume=0.0, price=0.0, profit=500.0),
    )
    fills = make_broker(ScriptedTerminal(history_deals_get=deals)).fills_since(NOON)
    assert [(fill.deal_id, fill.side, fill.entry) for fill in fills] == [
        (10, Side.BUY, FillEntry.IN),
        (11, Side.SELL, FillEntry.OUT),
    ]


@pytest.mark.parametrize(
    ("type_", "kind"),
    [(2, CashKind.CASH), (6, CashKind.CASH), (4, CashKind.CHARGE), (8, CashKind.CHARGE), (17, CashKind.CHARGE)],
)
def test_what_moves_the_balance_without_a_trade_is_cash_or_a_charge(type_, kind):
    deals = (
        trade_deal(ticket=14, type=type_, symbol="", volume=0.0, price=0.0, profit=-500.25, commission=0.0),
        trade_deal(ticket=10, type=0, entry=0),
        trade_deal(ticket=12, type=3, symbol="", volume=0.0, price=0.0, profit=700.0),
        trade_deal(ticket=3, type=2, time=server_s(NOON - timedelta(seconds=1))),
    )
    (movement,) = make_broker(ScriptedTerminal(history_deals_get=deals)).cash_since(NOON)
    assert (movement.deal_id, movement.kind, movement.amount) == (14, kind, D("-500.25"))


@pytest.mark.parametrize("offset_h", [-12, 0, 2, 3, 14])
def test_history_is_asked_for_widely_enough_for_any_servers_clock(offset_h):
    terminal = ScriptedTerminal(history_deals_get=())
    make_broker(terminal).fills_since(NOON)
    (_, (first, last), _) = terminal.calls[-1]
    shown = NOON + timedelta(hours=offset_h)
    assert first <= shown <= last
