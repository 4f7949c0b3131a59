"""Trade requests on the simulated terminal: what is executed, to the cent, and what is refused, with which code."""

from __future__ import annotations

from decimal import Decimal

import pytest

from simulator.money import commission, profit
from tests.sim_builders import (
    MORNING,
    buy,
    deal,
    make_symbol,
    make_world,
    minute_path,
    moment,
    mt5,
    sell,
    shown,
    stops,
)

CLOSED = (moment("2026-01-06T00:00"), moment("2026-01-07T00:00"))
RISING = {"BTCUSD": minute_path(50_000.0, 50_500.0, 51_000.0)}


@pytest.fixture
def desk():
    """A connected hedging account of 100,000 at 1:10; BTCUSD is 50,000 / 50,010 all the time."""
    with shown(make_world(closed=[CLOSED])) as world:
        yield world


def money():
    return mt5.account_info().balance


def only_position():
    (position,) = mt5.positions_get()
    return position


def last_deal():
    return mt5.history_deals_get(0, 2**33)[-1]


def test_a_buy_fills_at_the_ask_pays_commission_and_takes_margin(desk):
    result = buy(1.0, magic=7, comment="first", sl=49_000.0, tp=52_000.0)

    assert (result.retcode, result.volume, result.price) == (mt5.TRADE_RETCODE_DONE, 1.0, 50_010.0)
    assert (result.bid, result.ask, result.comment) == (50_000.0, 50_010.0, "Request executed")
    position = only_position()
    assert (position.ticket, position.identifier) == (result.order, result.order)
    assert (position.type, position.volume, position.price_open) == (mt5.POSITION_TYPE_BUY, 1.0, 50_010.0)
    assert (position.sl, position.tp, position.magic, position.comment) == (49_000.0, 52_000.0, 7, "first")
    assert (position.price_current, position.profit) == (50_000.0, -10.0)
    info = mt5.account_info()
    # 4 bps of 50,010 is 20.004; a tenth of 50,010 is margin
    assert (info.balance, info.profit, info.equity) == (99_980.0, -10.0, 99_970.0)
    assert (info.margin, info.margin_free) == (5_001.0, 94_969.0)
    assert info.margin_level == pytest.approx(99_970 / 5_001 * 100)


def test_a_sell_fills_at_the_bid_and_would_close_at_the_ask(desk):
    assert sell(0.5).price == 50_000.0
    assert only_position().price_current == 50_010.0
    assert only_position().profit == -5.0


def test_partial_closes_by_ticket_realise_their_share():
    with shown(make_world(RISING)) as world:
        ticket = buy(1.0).order
        world.after(minutes=1)
        first = sell(0.4, position=ticket)
        # 0.4 x 490 = 196.00, less 4 bps of 20,200 = 8.08
        assert money() == pytest.approx(99_980.0 + 196.0 - 8.08, abs=1e-9)
        booked = last_deal()
        assert (booked.entry, booked.profit, booked.commission) == (mt5.DEAL_ENTRY_OUT, 196.0, -8.08)
        assert (booked.position_id, booked.order, booked.ticket) == (ticket, first.order, first.deal)
        assert only_position().volume == 0.6
        sell(0.6, position=ticket)
        assert mt5.positions_get() == ()
        assert money() == pytest.approx(100_449.80, abs=1e-9)


def test_an_opposite_deal_without_the_ticket_opens_a_second_position(desk):
    buy(1.0)
    sell(1.0)
    assert [p.type for p in mt5.positions_get()] == [mt5.POSITION_TYPE_BUY, mt5.POSITION_TYPE_SELL]


def test_margin_of_hedged_volume_is_that_of_the_larger_side(desk):
    buy(1.0)
    sell(0.4)
    assert mt5.account_info().margin == 5_001.0
    sell(1.6)
    assert mt5.account_info().margin == 10_000.0


def test_close_by_nets_two_opposite_positions_without_the_spread():
    with shown(make_world(RISING)) as world:
        long = buy(1.0).order
        world.after(minutes=1)
        short = sell(0.4).order
        before = money()
        result = mt5.order_send({"action": mt5.TRADE_ACTION_CLOSE_BY, "position": long, "position_by": short})

        assert (result.retcode, result.volume) == (mt5.TRADE_RETCODE_DONE, 0.4)
        assert only_position().volume == 0.6
        one, other = mt5.history_deals_get(ticket=result.order)
        # bought at 50,010, sold at 50,500: 0.4 x 490; both deals pay 4 bps of 20,200
        assert (one.position_id, one.profit, one.entry) == (long, 196.0, mt5.DEAL_ENTRY_OUT_BY)
        assert (other.position_id, other.profit, other.type) == (short, 0.0, mt5.DEAL_TYPE_BUY)
        assert money() == pytest.approx(before + 196.0 - 2 * 8.08, abs=1e-9)
        (order,) = mt5.history_orders_get(ticket=result.order)
        assert (order.type, order.position_id, order.position_by_id) == (mt5.ORDER_TYPE_CLOSE_BY, long, short)


def test_stops_are_set_and_removed(desk):
    ticket = buy(1.0).order
    assert stops(ticket, sl=49_000.0, tp=51_000.0).retcode == mt5.TRADE_RETCODE_DONE
    assert (only_position().sl, only_position().tp) == (49_000.0, 51_000.0)
    assert stops(ticket, sl=0.0, tp=51_000.0).retcode == mt5.TRADE_RETCODE_DONE
    assert only_position().sl == 0.0


def test_netting_adds_reduces_and_reverses():
    with shown(make_world(RISING, margin_mode="netting")) as world:
        first = buy(1.0).order
        world.after(minutes=1)
        buy(1.0)
        position = only_position()
        assert (position.ticket, position.volume, position.price_open) == (first, 2.0, 50_260.0)
        world.after(minutes=1)
        sell(0.5)
        assert (last_deal().entry, last_deal().profit) == (mt5.DEAL_ENTRY_OUT, 370.0)  # 0.5 x 740
        reverse = sell(2.5)
        position = only_position()
        assert (position.type, position.volume, position.price_open) == (mt5.POSITION_TYPE_SELL, 1.0, 51_000.0)
        assert (position.ticket, position.identifier) == (reverse.order, first)
        assert (last_deal().entry, last_deal().volume, last_deal().profit) == (mt5.DEAL_ENTRY_INOUT, 2.5, 1_110.0)
        # commissions: 20.00 + 20.20 + 10.20 + 51.00
        assert money() == pytest.approx(100_000 + 370 + 1_110 - 101.40, abs=1e-9)
        assert {d.position_id for d in mt5.history_deals_get(0, 2**33)} == {0, first}
        buy(1.0)
        assert mt5.positions_get() == ()


def test_netting_ignores_the_ticket_so_closing_twice_opens_the_other_side():
    with shown(make_world(margin_mode="netting")):
        ticket = buy(1.0).order
        sell(1.0, position=ticket)
        assert sell(1.0, position=ticket).retcode == mt5.TRADE_RETCODE_DONE
        assert only_position().type == mt5.POSITION_TYPE_SELL


def test_netting_average_price_is_finer_than_the_symbol():
    with shown(make_world({"BTCUSD": minute_path(90.0, 90.01)}, margin_mode="netting")) as world:
        buy(1.0)  # at 100.00
        world.after(minutes=1)
        buy(2.0)  # at 100.01
        assert only_position().price_open == pytest.approx(100.02 - 0.04 / 3, abs=1e-8)


def test_netting_stops_of_an_added_order_replace_the_old_ones():
    with shown(make_world(margin_mode="netting")):
        buy(1.0, sl=49_000.0, tp=51_000.0)
        buy(1.0, sl=49_500.0)
        assert (only_position().sl, only_position().tp) == (49_500.0, 51_000.0)
        sell(0.5, sl=50_500.0)
        assert (only_position().sl, only_position().tp) == (49_500.0, 51_000.0)
        assert stops(0, sl=49_100.0).retcode == mt5.TRADE_RETCODE_DONE
        assert (only_position().sl, only_position().tp) == (49_100.0, 0.0)


def test_money_is_rounded_half_away_from_zero():
    symbol = make_symbol()
    assert commission(symbol, Decimal(1), 12.5) == Decimal("-0.01")  # exactly half a cent
    assert profit(symbol, mt5.POSITION_TYPE_BUY, Decimal("0.5"), price_open=1.0, price_close=1.01) == Decimal("0.01")
    assert profit(symbol, mt5.POSITION_TYPE_SELL, Decimal("0.5"), price_open=1.0, price_close=1.01) == Decimal("-0.01")


def test_calculators_agree_with_what_trades_cost(desk):
    assert mt5.order_calc_margin(mt5.ORDER_TYPE_BUY, "BTCUSD", 1.0, 50_010.0) == 5_001.0
    assert mt5.order_calc_profit(mt5.ORDER_TYPE_SELL, "BTCUSD", 0.5, 50_000.0, 49_000.0) == 500.0
    assert mt5.order_calc_margin(mt5.ORDER_TYPE_BUY_LIMIT, "BTCUSD", 1.0, 50_010.0) is None
    assert mt5.last_error() == (-2, 'Invalid "action" argument')


def test_order_check_predicts_the_account_and_changes_nothing(desk):
    result = mt5.order_check(deal(mt5.ORDER_TYPE_BUY, 1.0))
    assert (result.retcode, result.comment) == (0, "Done")
    assert mt5.positions_get() == ()
    buy(1.0)
    info = mt5.account_info()
    assert (result.balance, result.equity, result.margin) == (info.balance, info.equity, info.margin)
    assert (result.margin_free, result.margin_level) == (info.margin_free, info.margin_level)


def test_order_check_gives_the_refusal_of_order_send(desk):
    request = deal(mt5.ORDER_TYPE_BUY, 0.001)
    assert mt5.order_check(request).retcode == mt5.order_send(request).retcode == mt5.TRADE_RETCODE_INVALID_VOLUME


def test_history_tells_who_ordered_and_when(desk):
    result = buy(1.0, magic=2**53, comment="why")
    (order,) = mt5.history_orders_get(ticket=result.order)
    assert (order.state, order.volume_initial, order.volume_current) == (mt5.ORDER_STATE_FILLED, 1.0, 0.0)
    assert (order.reason, order.magic, order.comment) == (mt5.ORDER_REASON_EXPERT, 2**53, "why")
    assert order.time_setup == order.time_done == MORNING // 1000 + 2 * 3600
    (booked,) = mt5.history_deals_get(position=result.order)
    assert (booked.ticket, booked.entry, booked.time_msc) == (result.deal, mt5.DEAL_ENTRY_IN, MORNING + 7_200_000)


def test_helpers_send_no_filling_mode_so_market_execution_refuses_them(desk):
    assert mt5.Buy("BTCUSD", 1.0).retcode == mt5.TRADE_RETCODE_INVALID_FILL
    buy(1.0)
    assert mt5.Close("BTCUSD") is False


def test_helpers_trade_where_return_is_allowed():
    with shown(make_world(symbols=[make_symbol(trade_exemode=mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE)])):
        assert mt5.Buy("BTCUSD", 1.0, comment="h").retcode == mt5.TRADE_RETCODE_DONE
        assert mt5.Sell("BTCUSD", 0.5, 50_000.0).retcode == mt5.TRADE_RETCODE_DONE
        assert mt5.Close("BTCUSD") is True
        assert mt5.positions_get() == ()
        assert mt5.Close("BTCUSD") is False
