"""Connecting to the simulated terminal, and choosing positions, orders, deals and symbols."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import get_type_hints

import pytest

from simulator.market import Market
from tests.sim_builders import buy, make_world, moment, mt5, pending, shown

NOON = moment("2026-02-03T12:30:00")  # 14:30 on the server's clock


@pytest.fixture(scope="module")
def market():
    """Five synthetic symbols with years of history."""
    return Market.synthetic(7)


@pytest.fixture
def desk(market):
    """A connected terminal on the synthetic market, at 14:30 on the server's clock."""
    with shown(make_world(market=market, now_ms=NOON)) as world:
        yield world


def server(text: str) -> int:
    """Return a time on the server's clock as the package writes it: seconds, as if it were UTC."""
    return moment(text) // 1000


def test_as_dict_is_shallow(desk):
    assert isinstance(buy(0.01)._asdict()["request"], mt5.TradeRequest)


def test_after_shutdown_calls_fail_again_and_the_world_stays(desk):
    assert mt5.shutdown() is True
    assert mt5.account_info() is None
    assert mt5.last_error()[0] == -10004
    assert mt5.initialize()
    assert mt5.account_info().login == 100001


def test_a_success_clears_the_last_error(desk):
    assert mt5.symbol_info("NOPE") is None
    assert mt5.last_error() == (-4, "Terminal: Not found")
    mt5.account_info()
    assert mt5.last_error() == (1, "Success")


@pytest.mark.parametrize(
    "credentials",
    [
        {"login": 5},
        {"password": "wrong"},
        {"password": "prévu"},
        {"server": "Other-Live"},
        {"login": 100001, "password": "wrong"},
    ],
)
def test_wrong_credentials_do_not_connect(credentials):
    mt5.mount(make_world())
    assert mt5.initialize(**credentials) is False
    assert mt5.last_error() == (-6, "Terminal: Authorization failed")
    assert mt5.account_info() is None
    mt5.unmount()


def test_the_right_credentials_connect(desk):
    password = mt5.mounted_account().row.password
    mt5.shutdown()
    assert mt5.initialize("any/path", login=100001, password=password, server="SimDesk-Demo", timeout=1, portable=True)
    assert mt5.login(100001, password=password, server="SimDesk-Demo")
    assert mt5.login(100001, password="wrong") is False
    assert mt5.account_info().server == "SimDesk-Demo"


def test_account_and_terminal_say_what_they_are(desk):
    info = mt5.account_info()
    assert (info.login, info.currency, info.leverage, info.balance) == (100001, "USD", 10, 100_000.0)
    assert info.margin_mode == mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
    assert (info.trade_mode, info.trade_allowed, info.trade_expert) == (mt5.ACCOUNT_TRADE_MODE_DEMO, True, True)
    terminal = mt5.terminal_info()
    assert (terminal.connected, terminal.trade_allowed, terminal.tradeapi_disabled) == (True, True, False)
    assert mt5.version()[0] == 500


def test_fields_have_the_documented_types(desk):
    buy(0.01)
    pending(mt5.ORDER_TYPE_BUY_LIMIT, 1_000.0)
    structs = [
        mt5.account_info(),
        mt5.terminal_info(),
        mt5.symbol_info("BTCUSD"),
        mt5.symbol_info_tick("BTCUSD"),
        mt5.positions_get()[0],
        mt5.orders_get()[0],
        mt5.history_orders_get(0, 2**33)[0],
        mt5.history_deals_get(0, 2**33)[1],
        mt5.order_check({"action": 1}),
        buy(0.01),
        buy(0.01).request,
    ]
    for struct in structs:
        for name, kind in get_type_hints(type(struct)).items():
            assert type(getattr(struct, name)) is kind, f"{type(struct).__name__}.{name}"


def test_positional_arguments_are_refused_where_the_package_refuses_them(desk):
    for function in (mt5.positions_get, mt5.orders_get, mt5.symbols_get):
        assert function("BTCUSD") is None
        assert mt5.last_error() == (-2, "Unnamed arguments not allowed")


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("*", ["BTCUSD", "ETHUSD", "BNBUSD", "SOLUSD", "ADAUSD"]),
        ("BTC*", ["BTCUSD"]),
        ("*USD,!*B*", ["ETHUSD", "SOLUSD", "ADAUSD"]),
        ("!*B*,*", ["BTCUSD", "ETHUSD", "BNBUSD", "SOLUSD", "ADAUSD"]),
        ("ETHUSD, SOL*", ["ETHUSD", "SOLUSD"]),
        ("ETH", []),
        ("E.H*", []),
    ],
)
def test_group_masks_are_applied_from_left_to_right(desk, group, names):
    assert [s.name for s in mt5.symbols_get(group=group)] == names


def test_positions_are_chosen_by_symbol_group_or_ticket(desk):
    btc, eth = buy(0.01).order, buy(0.01, symbol="ETHUSD").order
    assert [p.ticket for p in mt5.positions_get()] == [btc, eth]
    assert [p.ticket for p in mt5.positions_get(symbol="ETHUSD")] == [eth]
    assert [p.ticket for p in mt5.positions_get(group="*,!BTC*")] == [eth]
    assert [p.ticket for p in mt5.positions_get(symbol="BTCUSD", ticket=eth)] == [eth]
    assert mt5.positions_get(ticket=1) == mt5.positions_get(symbol="NOPE") == ()
    assert mt5.positions_total() == 2


def test_history_is_chosen_by_server_time_position_or_ticket(desk):
    first = buy(0.01)
    desk.after(hours=1)
    second = buy(0.01, symbol="ETHUSD")
    span = (server("2026-02-03T15:30"), server("2026-02-03T15:30"))
    assert [d.ticket for d in mt5.history_deals_get(*span)] == [second.deal]
    as_dates = [datetime.fromtimestamp(t, UTC) for t in span]
    assert [o.ticket for o in mt5.history_orders_get(*as_dates)] == [second.order]
    assert mt5.history_deals_total(0, span[1]) == 3  # with the deposit
    assert mt5.history_orders_total(0, span[0] - 1) == 1
    assert [d.order for d in mt5.history_deals_get(position=first.order)] == [first.order]
    assert [d.ticket for d in mt5.history_deals_get(ticket=first.order)] == [first.deal]
    assert [d.ticket for d in mt5.history_deals_get(0, span[1], group="*,!BTC*,!")] == [second.deal]
    assert mt5.history_deals_get() is None
    assert mt5.last_error() == (-2, 'Invalid "date_from" argument')


def test_symbols_leave_market_watch_unless_they_are_held(desk):
    assert mt5.symbol_select("ETHUSD", False)
    assert mt5.symbol_info("ETHUSD").select is False
    assert mt5.symbol_info_tick("ETHUSD") is None
    assert mt5.symbol_select("ETHUSD")
    assert mt5.symbol_info_tick("ETHUSD").bid > 0
    buy(0.01)
    assert mt5.symbol_select("BTCUSD", False) is False
    assert mt5.symbol_select("NOPE", True) is False


def test_what_a_thread_starts_another_finishes_one_at_a_time(desk):
    with ThreadPoolExecutor(8) as pool:
        orders = [r.order for r in pool.map(lambda _: buy(0.01), range(40))]
    assert len(set(orders)) == 40
    assert mt5.positions_total() == 40


def test_initialize_unmounted_takes_the_world_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("SIM_BALANCE", "5000")
    monkeypatch.setenv("SIM_MARGIN_MODE", "netting")
    assert mt5.mounted() is None
    try:
        assert mt5.initialize()
        assert mt5.account_info().balance == 5_000.0
        assert mt5.account_info().margin_mode == mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING
        assert (tmp_path / "sim" / "ledger.sqlite3").exists()
    finally:
        mt5.unmount()
