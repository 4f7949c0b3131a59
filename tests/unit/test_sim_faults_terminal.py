"""Faults of the connection, the account, the contract and the prices, as the simulated module shows them."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.faults import FaultPlan, Rule, read_log, switch_off, switch_on
from tests.sim_builders import MORNING, buy, make_world, moment, mt5, shown

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
SERVER_MS = 2 * HOUR_MS  # the server's clock is two hours ahead of UTC in winter
# Every five minutes a tick, from two days before to a day after; 10.00 more each time.
PATH = [(MORNING + 5 * MINUTE_MS * i, 50_000.0 + 10 * i) for i in range(-576, 288)]


@pytest.fixture
def world(tmp_path):
    (tmp_path / "sim").mkdir()
    with shown(make_world({"BTCUSD": PATH}, state_dir=tmp_path)) as world:
        yield world


@pytest.fixture
def meets(world):
    """Have the next call of a fault's kind meet it."""

    def meets(fault: str, **more: Any) -> None:
        fields = {name: more.pop(name) for name in ("call", "symbol", "nth", "lasts_s") if name in more}
        rule = Rule(fault=fault, times=1, parameters=more, **fields)
        switch_on(world.config.sim_dir, FaultPlan(rules=(rule,)))

    return meets


def calls_logged(world) -> list[str]:
    return [line["call"] for line in read_log(world.config.sim_dir)]


READS = {
    "account_info": lambda: mt5.account_info(),
    "terminal_info": lambda: mt5.terminal_info(),
    "symbol_info": lambda: mt5.symbol_info("BTCUSD"),
    "symbols_get": lambda: mt5.symbols_get(),
    "symbol_info_tick": lambda: mt5.symbol_info_tick("BTCUSD"),
    "positions_get": lambda: mt5.positions_get(),
    "orders_get": lambda: mt5.orders_get(),
    "history_deals_get": lambda: mt5.history_deals_get(0, 2**33),
    "history_orders_get": lambda: mt5.history_orders_get(0, 2**33),
    "copy_rates_from_pos": lambda: bars(),
    "copy_rates_range": lambda: mt5.copy_rates_range("BTCUSD", mt5.TIMEFRAME_H1, 0, 2**33),
    "copy_rates_from": lambda: mt5.copy_rates_from("BTCUSD", mt5.TIMEFRAME_H1, 2**33, 10),
}


def bars(n: int = 10, start: int = 0) -> Any:
    return mt5.copy_rates_from_pos("BTCUSD", mt5.TIMEFRAME_H1, start, n)


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize(("fault", "error"), [("M56", (1, "Success")), ("M04", (-10002, "IPC recv failed"))])
def test_a_read_that_fails_is_none_and_no_empty_tuple(world, meets, fault, error, call):
    meets(fault, call=call)

    assert READS[call]() is None
    assert mt5.last_error() == error
    mt5.initialize()
    assert READS[call]() is not None
    assert calls_logged(world) == [call]


@pytest.mark.parametrize("executed", [False, True])
def test_a_pipe_that_breaks_during_a_send_stays_broken_until_initialize(world, meets, executed):
    meets("M04", call="order_send", executed=executed, code=-10001)

    assert (buy(1.0), mt5.last_error()[0]) == (None, -10001)
    assert (mt5.positions_get(), mt5.last_error()[0]) == (None, -10004)
    assert mt5.initialize()
    assert len(mt5.positions_get()) == executed


def test_a_terminal_that_is_absent_cannot_be_initialised(world, meets):
    meets("M01")

    assert not mt5.initialize()
    assert mt5.last_error()[0] == -10003
    assert mt5.initialize()


@pytest.mark.parametrize("executed", [False, True])
def test_a_call_that_hangs_ends_as_a_timeout_whatever_the_venue_did(world, meets, executed):
    meets("M03", call="order_send", executed=executed, seconds=0.05)
    began = time.monotonic()

    assert (buy(1.0), mt5.last_error()) == (None, (-10005, "IPC timeout"))
    assert time.monotonic() - began >= 0.05
    assert len(mt5.positions_get()) == executed


def test_a_mute_terminal_holds_its_caller(world, meets):
    meets("M02", seconds=0.05)
    began = time.monotonic()

    assert (mt5.initialize(), mt5.last_error()[0]) == (False, -10005)
    assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize(
    ("fault", "read", "field", "shown_as", "usual"),
    [
        ("M05", "terminal_info", "connected", False, True),
        ("M06", "terminal_info", "trade_allowed", False, True),
        ("M07", "account_info", "trade_expert", False, True),
        ("M08", "account_info", "login", 100_002, 100_001),
        ("M35", "account_info", "margin_free", 0.0, 100_000.0),
    ],
)
def test_a_flag_is_other_for_a_while(world, meets, fault, read, field, shown_as, usual):
    meets(fault, lasts_s=30.0)

    assert getattr(READS[read](), field) == shown_as
    world.after(seconds=29)
    assert getattr(READS[read](), field) == shown_as
    world.after(seconds=2)
    assert getattr(READS[read](), field) == usual
    assert calls_logged(world) == [read]


def test_the_button_can_be_told_as_an_error_of_the_terminal(world, meets):
    meets("M06", reply=-8)
    assert (buy(), mt5.last_error()[0], mt5.positions_get()) == (None, -8, ())


def test_a_terminal_that_restarts_is_away_and_comes_back(world, meets):
    meets("M09", lasts_s=180.0)

    assert (mt5.account_info(), mt5.last_error()[0]) == (None, -10004)
    assert (mt5.initialize(), mt5.last_error()[0]) == (False, -10003)
    world.after(seconds=181)
    assert (mt5.account_info(), mt5.last_error()[0]) == (None, -10004)
    assert mt5.initialize()
    assert mt5.account_info() is not None


def test_a_module_can_take_its_process_with_it(world, meets, monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    meets("M09", exit=True, call="account_info")
    mt5.account_info()

    assert ended == [86]
    assert calls_logged(world) == ["account_info"]


@pytest.mark.parametrize(("shows", "equity"), [("none", None), ("0", 0.0), ("nan", math.nan)])
def test_an_account_can_be_without_sums(world, meets, shows, equity):
    meets("M10", shows=shows)
    info = mt5.account_info()

    assert info is None if equity is None else info.equity == pytest.approx(equity, nan_ok=True)
    assert mt5.last_error() == (1, "Success")
    assert mt5.account_info().equity == 100_000.0


@pytest.mark.parametrize("fails", [False, True])
def test_the_last_error_can_be_of_another_threads_call(world, meets, fails):
    meets("M11", call="account_info", fails=fails)

    assert (mt5.account_info() is None) == fails
    assert mt5.last_error() == (-10001, "IPC send failed")
    mt5.account_info()
    assert mt5.last_error() == (1, "Success")


def test_a_symbol_that_looks_like_ours_has_another_contract(world, meets):
    meets("M48")

    sizes = {row.name: row.trade_contract_size for row in mt5.symbols_get()}
    assert sizes == {"BTCUSD": 1.0, "BTCUSDm": 100.0}
    assert mt5.symbol_info("BTCUSDm").trade_contract_size == 100.0
    assert mt5.symbol_info("EURUSD") is None


def test_a_contract_can_be_shown_that_is_not_the_one_dealt_in(world, meets):
    meets("M49", trade_contract_size=100.0, currency_profit="EUR")
    info = mt5.symbol_info("BTCUSD")

    assert (info.trade_contract_size, info.currency_profit) == (100.0, "EUR")
    buy(1.0)
    # a lot is still one coin: the ask of 50,010 less the bid of 50,000
    assert mt5.positions_get()[0].profit == -10.0


@pytest.mark.parametrize(
    ("fault", "parameters", "fields"),
    [
        ("M28", {"filling_mode": 5, "trade_exemode": 3}, {"filling_mode": 5, "trade_exemode": 3}),
        ("M29", {"volume_min": 0.5, "volume_step": 0.25}, {"volume_min": 0.5, "volume_step": 0.25}),
        ("M29", {"volume_limit": 3.0}, {"volume_limit": 3.0, "volume_min": 0.01}),
        ("M30", {}, {"volume_step": 0.03}),
        ("M31", {"stops_level": 77}, {"trade_stops_level": 77}),
        ("M32", {"freeze_level": 78}, {"trade_freeze_level": 78}),
        ("M39", {"mode": "close only"}, {"trade_mode": mt5.SYMBOL_TRADE_MODE_CLOSEONLY}),
        ("M39", {"mode": "disabled"}, {"trade_mode": mt5.SYMBOL_TRADE_MODE_DISABLED}),
    ],
)
def test_a_changed_contract_is_shown(world, meets, fault, parameters, fields):
    usual = mt5.symbol_info("BTCUSD")
    meets(fault, **parameters)
    info = mt5.symbol_info("BTCUSD")

    assert {name: getattr(info, name) for name in fields} == fields
    switch_off(world.config.sim_dir)
    assert mt5.symbol_info("BTCUSD") == usual


def test_a_symbol_can_drop_out_of_market_watch(world, meets):
    meets("M50", call="symbol_info_tick")

    assert (mt5.symbol_info_tick("BTCUSD"), mt5.last_error()[0]) == (None, -4)
    assert not mt5.symbol_info("BTCUSD").select
    assert mt5.symbol_select("BTCUSD")
    assert mt5.symbol_info_tick("BTCUSD") is not None


def test_a_tick_can_stand_still_while_the_market_goes_on(world, meets):
    meets("M64", lasts_s=900.0)
    first = mt5.symbol_info_tick("BTCUSD")
    world.after(minutes=10)

    assert mt5.symbol_info_tick("BTCUSD") == first
    assert (mt5.symbol_info("BTCUSD").bid, buy(0.1).price) == (50_020.0, 50_030.0)
    world.after(minutes=6)
    assert mt5.symbol_info_tick("BTCUSD").bid == 50_030.0


@pytest.mark.parametrize(
    ("how", "bid", "ask"),
    [
        ("zero", 0.0, 0.0),
        ("negative", -50_000.0, -50_010.0),
        ("nan", math.nan, math.nan),
        ("crossed", 50_010.0, 50_000.0),
        ("spike", 150_000.0, 150_030.0),
        ("spread", 50_000.0, 50_040.0),
    ],
)
def test_a_tick_can_be_impossible_and_orders_are_dealt_at_the_true_one(world, meets, how, bid, ask):
    meets("M67", how=how, factor=3.0, call="symbol_info_tick")
    tick = mt5.symbol_info_tick("BTCUSD")

    assert (tick.bid, tick.ask) == pytest.approx((bid, ask), nan_ok=True)
    assert buy(0.1).price == 50_010.0


def test_a_closed_bar_can_have_impossible_prices(world, meets):
    usual = bars()
    for how, factor in (("zero", 0.0), ("spike", 3.0), ("nan", math.nan)):
        meets("M67", how=how, factor=3.0, call="copy_rates_from_pos")
        shown_bars = bars()

        np.testing.assert_array_equal(shown_bars["close"][-2], usual["close"][-2] * factor)
        np.testing.assert_array_equal(np.delete(shown_bars, -2), np.delete(usual, -2))


@pytest.mark.parametrize(("fault", "hours"), [("M61", 3), ("M62", -1)])
def test_the_servers_clock_can_be_off(world, meets, fault, hours):
    usual_tick, usual = mt5.symbol_info_tick("BTCUSD"), bars()
    meets(fault, hours=hours)

    tick = mt5.symbol_info_tick("BTCUSD")
    assert tick.time_msc - usual_tick.time_msc == hours * HOUR_MS
    np.testing.assert_array_equal(bars()["time"] - usual["time"], hours * 3600)
    assert tick.bid == usual_tick.bid


def test_the_forming_bar_can_change_or_stand_in_a_closed_ones_place(world, meets):
    forming, closed = bars(1)[0], bars(2, start=1)
    meets("M60", how="changed", factor=1.5)
    assert bars(3)[-1]["close"] == forming["close"] * 1.5

    meets("M60", how="shown as closed")
    assert bars(2, start=1).tolist() == [closed[-1].tolist(), forming.tolist()]
    assert bars(2, start=1).tolist() == closed.tolist()


@pytest.mark.parametrize(
    ("fault", "parameters", "rows"),
    [
        ("M63", {"how": "missing", "back": 2}, [0, 1, 2, 3, 4, 5, 6, 8, 9]),
        ("M63", {"how": "twice", "back": 2}, [0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9]),
        ("M63", {"how": "out of order", "back": 2}, [0, 1, 2, 3, 4, 5, 7, 6, 8, 9]),
        ("M65", {"n": 3, "back": 2}, [0, 1, 2, 3, 4, 8, 9]),
        ("M65", {"n": 2, "back": 0}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("M66", {"keep": 4}, [6, 7, 8, 9]),
    ],
)
def test_bars_can_be_missing_repeated_or_disordered(world, meets, fault, parameters, rows):
    usual = bars()
    meets(fault, **parameters)

    assert bars().tolist() == usual[rows].tolist()


def test_history_can_be_there_not_at_all(world, meets):
    meets("M66", keep=0)
    assert (bars(), mt5.last_error()[0]) == (None, -1)


def test_history_can_be_rewritten(world, meets):
    usual = bars()
    meets("M68", n=2, back=3, factor=1.01)
    shown_bars = bars()

    changed = np.flatnonzero(shown_bars["close"] != usual["close"])
    assert changed.tolist() == [5, 6]
    np.testing.assert_allclose(shown_bars["close"][5:7], usual["close"][5:7] * 1.01, rtol=1e-12)


def test_a_comment_that_is_too_long_is_refused_without_any_plan(world):
    """M45 needs none."""
    assert (buy(comment="x" * 32), mt5.last_error()[0]) == (None, -2)


def test_a_day_order_can_end_before_it_began(world, meets):
    mt5.order_send(
        {
            "action": mt5.TRADE_ACTION_PENDING,
            "symbol": "BTCUSD",
            "volume": 0.1,
            "type": mt5.ORDER_TYPE_BUY_LIMIT,
            "price": 49_000.0,
            "type_time": mt5.ORDER_TIME_DAY,
        }
    )
    meets("M54", call="orders_get")
    [order] = mt5.orders_get()

    assert order.time_expiration < order.time_setup
    assert mt5.mounted_account().ledger.orders()[0].expiration_ms == moment("2026-01-05T22:00")


def test_the_log_lies_beside_the_clock(world, meets):
    meets("M56", call="account_info")
    mt5.account_info()

    [line] = read_log(world.config.sim_dir)
    assert (Path(world.config.sim_dir) / "faults.jsonl").is_file()
    assert {name: line[name] for name in ("id", "at", "call", "symbol")} == {
        "id": "M56",
        "at": "2026-01-05T08:00:00+00:00",
        "call": "account_info",
        "symbol": None,
    }
