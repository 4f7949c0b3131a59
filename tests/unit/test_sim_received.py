"""The venue's log of the trade requests that reached it, and trades by hand, which are none."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from simulator import hand, mounting
from simulator.faults import FaultPlan, Rule, switch_on
from tests.sim_builders import buy, deal, make_world, mt5, sell, shown

BUY = mt5.ORDER_TYPE_BUY


@pytest.fixture
def world(tmp_path):
    (tmp_path / "sim").mkdir()
    with shown(make_world(state_dir=tmp_path)) as made:
        yield made


def noted() -> list:
    return mounting.mounted_account().ledger.requests()


def test_a_request_is_noted_with_its_answer_and_what_the_books_held(world):
    opened = buy(0.5)
    sell(0.2, position=opened.order)
    first, second = noted()
    assert (first.number, first.action, first.symbol, first.type, first.lots) == (1, "1", "BTCUSD", "0", "0.5")
    assert (first.retcode, first.deal, first.answered) == (10009, opened.deal, "0.5")
    assert json.loads(first.seen)["positions"] == []
    assert second.position == opened.order
    assert second.last_deal == opened.deal
    seen = json.loads(second.seen)
    assert [row[1:4] for row in seen["positions"]] == [["BTCUSD", BUY, "0.5"]]
    assert seen["grid"] == ["0.01", "0.01", "100.0"]
    assert Decimal(seen["equity"]) < 100_000


@pytest.mark.parametrize("volume", [float("nan"), float("inf"), 0.0, -1.0, 0.015, "a lot", None])
def test_what_is_absurd_is_noted_as_it_came(world, volume):
    mt5.order_send(deal(BUY, 1.0) | {"volume": volume})
    [row] = noted()
    assert row.lots == repr(volume)
    assert (row.retcode, row.deal) in {(-1, 0), (10014, 0)}


@pytest.mark.parametrize("request_", [None, {"action": "buy"}, {"magic": 2**70, "symbol": "NONE"}])
def test_what_is_no_request_at_all_is_noted_too(world, request_):
    assert mt5.order_send(request_) is None
    [row] = noted()
    assert row.retcode == -1
    assert row.error == mt5.last_error()[0]


@pytest.mark.parametrize(("executed", "deals"), [(True, 1), (False, 0)])
def test_a_lost_answer_is_noted_as_the_caller_got_it(world, executed, deals):
    fault = "M20" if executed else "M21"
    switch_on(mounting.TERMINAL.player.sim_dir, FaultPlan(rules=(Rule(fault=fault, times=1),)))
    assert buy(0.5) is None
    [row] = noted()
    assert (row.retcode, row.error, row.deal) == (-1, -10002, 0)
    assert len([d for d in mounting.mounted_account().ledger.deals() if d.symbol]) == deals


def test_without_a_world_nothing_is_noted_and_the_answer_is_none():
    assert mt5.order_send(deal(BUY, 1.0)) is None


def test_a_trade_by_hand_is_no_request(world):
    assert hand.trade("BTCUSD", "buy", 0.3) == 10009
    [position] = mt5.positions_get()
    assert (position.volume, position.magic) == (0.3, 0)
    assert hand.trade("BTCUSD", "sell", 0.3, position=position.ticket) == 10009
    assert mt5.positions_get() == ()
    assert noted() == []


def test_a_hand_knows_two_sides(world):
    with pytest.raises(ValueError, match="side is buy or sell, was 'long'"):
        hand.trade("BTCUSD", "long", 0.3)
