"""What the simulated server refuses, with which code, and what never leaves the terminal."""

from __future__ import annotations

import pytest

from tests.sim_builders import (
    MORNING,
    buy,
    deal,
    make_symbol,
    make_world,
    minute_path,
    moment,
    mt5,
    pending,
    sell,
    shown,
    stops,
)

CLOSED = (moment("2026-01-06T00:00"), moment("2026-01-07T00:00"))


@pytest.fixture
def desk():
    """A connected hedging account of 100,000 at 1:10; BTCUSD is 50,000 / 50,010 all the time."""
    with shown(make_world(closed=[CLOSED])) as world:
        yield world


def only_position():
    (position,) = mt5.positions_get()
    return position


def refused(result):
    """Return a refusal's code, after checking that nothing was executed."""
    assert (result.deal, result.order, result.volume, result.price) == (0, 0, 0.0, 0.0)
    return result.retcode


@pytest.mark.parametrize("volume", [0.0, -1.0, 0.009, 0.015, 0.1 + 0.2, 100.01, float("nan"), float("inf")])
def test_10014_a_volume_off_the_grid(desk, volume):
    assert refused(buy(volume)) == mt5.TRADE_RETCODE_INVALID_VOLUME
    assert refused(pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, volume)) == mt5.TRADE_RETCODE_INVALID_VOLUME


def test_10014_a_volume_on_the_grid_but_below_the_least():
    with shown(make_world(symbols=[make_symbol(volume_min=0.05)])):
        assert refused(buy(0.04)) == mt5.TRADE_RETCODE_INVALID_VOLUME
        assert buy(0.05).retcode == mt5.TRADE_RETCODE_DONE


@pytest.mark.parametrize("fields", [{"action": 99}, {"action": 0}, {"symbol": "DOGEUSD"}, {"symbol": ""}])
def test_10013_an_action_or_symbol_that_does_not_exist(desk, fields):
    assert refused(buy(1.0, **fields)) == mt5.TRADE_RETCODE_INVALID


def test_10013_a_ticket_that_is_not_the_other_side_of_this_symbol(desk):
    ticket = buy(1.0).order
    assert refused(buy(1.0, position=ticket)) == mt5.TRADE_RETCODE_INVALID
    other = {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": ticket, "position_by": ticket}
    assert refused(mt5.order_send(other)) == mt5.TRADE_RETCODE_INVALID
    for action in (mt5.TRADE_ACTION_REMOVE, mt5.TRADE_ACTION_MODIFY):
        assert refused(mt5.order_send({"action": action, "order": 5})) == mt5.TRADE_RETCODE_INVALID


def test_10013_close_by_on_a_netting_account():
    with shown(make_world(margin_mode="netting")):
        request = {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": 1, "position_by": 2}
        assert refused(mt5.order_send(request)) == mt5.TRADE_RETCODE_INVALID


@pytest.mark.parametrize(
    ("order_type", "price"),
    [
        (mt5.ORDER_TYPE_BUY_LIMIT, 50_009.01),  # 0.99 below the ask: nearer than the stops level
        (mt5.ORDER_TYPE_BUY_LIMIT, 50_020.0),
        (mt5.ORDER_TYPE_BUY_STOP, 50_010.99),
        (mt5.ORDER_TYPE_BUY_STOP, 49_000.0),
        (mt5.ORDER_TYPE_SELL_LIMIT, 50_000.99),
        (mt5.ORDER_TYPE_SELL_STOP, 49_999.01),
        (mt5.ORDER_TYPE_SELL_STOP, 49_000.005),
        (mt5.ORDER_TYPE_BUY_LIMIT, 0.0),
        (mt5.ORDER_TYPE_BUY_LIMIT, float("nan")),
        (mt5.ORDER_TYPE_BUY_STOP_LIMIT, 51_000.0),  # without its limit
    ],
)
def test_10015_a_pending_price_the_market_does_not_allow(desk, order_type, price):
    assert refused(pending(order_type, price)) == mt5.TRADE_RETCODE_INVALID_PRICE


def test_a_pending_price_exactly_at_the_stops_level_is_allowed(desk):
    assert pending(mt5.ORDER_TYPE_BUY_LIMIT, 50_009.0).retcode == mt5.TRADE_RETCODE_DONE
    assert pending(mt5.ORDER_TYPE_SELL_STOP, 49_999.0).retcode == mt5.TRADE_RETCODE_DONE


@pytest.mark.parametrize(
    ("side", "sl", "tp"),
    [
        (mt5.ORDER_TYPE_BUY, 49_999.01, 0.0),  # measured from the bid, where a long position closes
        (mt5.ORDER_TYPE_BUY, 50_005.0, 0.0),
        (mt5.ORDER_TYPE_BUY, 0.0, 50_000.99),
        (mt5.ORDER_TYPE_SELL, 50_010.99, 0.0),
        (mt5.ORDER_TYPE_SELL, 0.0, 50_009.01),
        (mt5.ORDER_TYPE_BUY, 49_000.001, 0.0),
        (mt5.ORDER_TYPE_BUY, -1.0, 0.0),
        (mt5.ORDER_TYPE_BUY, 0.0, float("nan")),
    ],
)
def test_10016_stops_too_near_on_the_wrong_side_or_off_the_grid(desk, side, sl, tp):
    assert refused(mt5.order_send(deal(side, 1.0, sl=sl, tp=tp))) == mt5.TRADE_RETCODE_INVALID_STOPS
    assert mt5.positions_get() == ()


def test_stops_exactly_at_the_stops_level_are_allowed(desk):
    assert buy(1.0, sl=49_999.0, tp=50_001.0).retcode == mt5.TRADE_RETCODE_DONE
    assert sell(1.0, sl=50_011.0, tp=50_009.0).retcode == mt5.TRADE_RETCODE_DONE


def test_10016_stops_of_a_pending_order_are_measured_from_its_price(desk):
    assert refused(pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, sl=48_999.5)) == mt5.TRADE_RETCODE_INVALID_STOPS
    assert pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, sl=48_999.0).retcode == mt5.TRADE_RETCODE_DONE


@pytest.mark.parametrize(
    ("mode", "buying", "selling"),
    [
        (mt5.SYMBOL_TRADE_MODE_DISABLED, 10017, 10017),
        (mt5.SYMBOL_TRADE_MODE_LONGONLY, 10009, 10042),
        (mt5.SYMBOL_TRADE_MODE_SHORTONLY, 10043, 10009),
        (mt5.SYMBOL_TRADE_MODE_CLOSEONLY, 10044, 10044),
    ],
)
def test_trade_modes_forbid_what_they_name(desk, mode, buying, selling):
    mt5.mounted_account().trade_modes["BTCUSD"] = mode
    assert mt5.symbol_info("BTCUSD").trade_mode == mode
    assert (buy(1.0).retcode, sell(1.0).retcode) == (buying, selling)


def test_close_only_still_closes(desk):
    ticket = buy(1.0).order
    mt5.mounted_account().trade_modes["BTCUSD"] = mt5.SYMBOL_TRADE_MODE_CLOSEONLY
    assert sell(1.0, position=ticket).retcode == mt5.TRADE_RETCODE_DONE


def test_netting_close_only_reduces_but_does_not_reverse():
    with shown(make_world(margin_mode="netting")):
        buy(1.0)
        mt5.mounted_account().trade_modes["BTCUSD"] = mt5.SYMBOL_TRADE_MODE_CLOSEONLY
        assert refused(sell(1.5)) == mt5.TRADE_RETCODE_CLOSE_ONLY
        assert sell(1.0).retcode == mt5.TRADE_RETCODE_DONE


def test_10018_a_closed_market_refuses_everything(desk):
    ticket = buy(1.0).order
    order = pending(mt5.ORDER_TYPE_BUY_LIMIT, 40_000.0).order
    desk.go(CLOSED[0])
    results = [
        buy(1.0),
        sell(1.0, position=ticket),
        pending(mt5.ORDER_TYPE_BUY_LIMIT, 41_000.0),
        stops(ticket, sl=49_000.0),
        mt5.order_send({"action": mt5.TRADE_ACTION_REMOVE, "order": order}),
    ]
    assert {refused(r) for r in results} == {mt5.TRADE_RETCODE_MARKET_CLOSED}
    desk.go(CLOSED[1])
    assert sell(1.0, position=ticket).retcode == mt5.TRADE_RETCODE_DONE


@pytest.mark.parametrize(("balance", "code"), [(5_021.0, 10009), (5_020.99, 10019)])
def test_10019_margin_and_commission_must_be_there_to_the_cent(balance, code):
    with shown(make_world(balance=balance)):  # margin 5,001.00 and commission 20.00
        assert buy(1.0).retcode == code


def test_a_close_needs_no_money(desk):
    ticket = buy(19.0).order
    assert buy(5.0).retcode == mt5.TRADE_RETCODE_NO_MONEY
    assert sell(19.0, position=ticket).retcode == mt5.TRADE_RETCODE_DONE


def test_10021_a_symbol_without_a_price_yet():
    bids = {"BTCUSD": minute_path(50_000.0), "ETHUSD": [(MORNING + 3_600_000, 2_000.0)]}
    with shown(make_world(bids)):
        assert mt5.symbol_info_tick("ETHUSD") is None
        assert mt5.symbol_info("ETHUSD").bid == 0.0
        assert refused(buy(1.0, symbol="ETHUSD")) == mt5.TRADE_RETCODE_PRICE_OFF


@pytest.mark.parametrize(
    "fields",
    [
        {"type_time": mt5.ORDER_TIME_SPECIFIED},
        {"type_time": mt5.ORDER_TIME_SPECIFIED, "expiration": MORNING // 1000 + 7_200},  # now, on the server's clock
        {"type_time": mt5.ORDER_TIME_SPECIFIED_DAY, "expiration": MORNING // 1000 - 86_400},
        {"type_time": 9, "expiration": 2**33},
    ],
)
def test_10022_an_expiration_that_is_past_or_of_no_kind(desk, fields):
    assert refused(pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, **fields)) == mt5.TRADE_RETCODE_INVALID_EXPIRATION


def test_10025_nothing_to_change(desk):
    ticket = buy(1.0, sl=49_000.0).order
    assert refused(stops(ticket, sl=49_000.0)) == mt5.TRADE_RETCODE_NO_CHANGES
    order = pending(mt5.ORDER_TYPE_BUY_LIMIT, 48_000.0).order
    same = {"action": mt5.TRADE_ACTION_MODIFY, "order": order, "price": 48_000.0}
    assert refused(mt5.order_send(same)) == mt5.TRADE_RETCODE_NO_CHANGES
    assert mt5.order_send(same | {"price": 48_100.0, "sl": 47_000.0}).retcode == mt5.TRADE_RETCODE_DONE
    (changed,) = mt5.orders_get(ticket=order)
    assert (changed.price_open, changed.sl) == (48_100.0, 47_000.0)


def test_10029_inside_the_freeze_level_nothing_is_touched():
    symbol = make_symbol(freeze_level=500)  # 5.00
    with shown(make_world({"BTCUSD": minute_path(50_000.0, 49_004.99)}, symbols=[symbol])) as world:
        ticket = buy(1.0, sl=49_000.0).order
        order = pending(mt5.ORDER_TYPE_SELL_STOP, 49_000.0).order
        world.after(minutes=1)
        results = [
            stops(ticket, sl=48_000.0),
            sell(1.0, position=ticket),
            mt5.order_send({"action": mt5.TRADE_ACTION_REMOVE, "order": order}),
            mt5.order_send({"action": mt5.TRADE_ACTION_MODIFY, "order": order, "price": 48_000.0}),
        ]
        assert {refused(r) for r in results} == {mt5.TRADE_RETCODE_FROZEN}


@pytest.mark.parametrize("bits", range(8))
@pytest.mark.parametrize("execution", range(4))
def test_10030_filling_by_bits_and_execution(bits, execution):
    """The table of the documentation: FOK and IOC always or by their bit, RETURN unless market execution."""
    with shown(make_world(symbols=[make_symbol(filling_mode=bits, trade_exemode=execution)])):
        instant = execution in (0, 1)
        allowed = {
            mt5.ORDER_FILLING_FOK: instant or bool(bits & 1),
            mt5.ORDER_FILLING_IOC: instant or bool(bits & 2),
            mt5.ORDER_FILLING_RETURN: execution != 2,
            mt5.ORDER_FILLING_BOC: False,
        }
        for filling, fine in allowed.items():
            expected = mt5.TRADE_RETCODE_DONE if fine else mt5.TRADE_RETCODE_INVALID_FILL
            assert buy(1.0, price=50_010.0, type_filling=filling).retcode == expected
        assert pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0).retcode == mt5.TRADE_RETCODE_DONE
        booked_or_cancelled = pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, type_filling=mt5.ORDER_FILLING_BOC).retcode
        assert booked_or_cancelled == (mt5.TRADE_RETCODE_DONE if bits & 4 else mt5.TRADE_RETCODE_INVALID_FILL)


def test_10030_a_market_order_without_a_filling_mode_asks_for_return(desk):
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "BTCUSD", "volume": 1.0, "type": mt5.ORDER_TYPE_BUY}
    assert refused(mt5.order_send(request)) == mt5.TRADE_RETCODE_INVALID_FILL


@pytest.mark.parametrize(
    ("price", "deviation", "code"),
    [(50_010.0, 0, 10009), (50_009.0, 100, 10009), (50_009.0, 99, 10004), (0.0, 10**9, 10015), (50_010.001, 9, 10015)],
)
def test_10004_instant_execution_holds_to_the_price_within_the_deviation(price, deviation, code):
    with shown(make_world(symbols=[make_symbol(trade_exemode=mt5.SYMBOL_TRADE_EXECUTION_INSTANT)])):
        result = buy(1.0, price=price, deviation=deviation)
        assert (result.retcode, result.ask) == (code, 50_010.0)


def test_market_execution_ignores_price_and_deviation(desk):
    assert buy(1.0, price=1.0, deviation=0).price == 50_010.0


def test_10033_and_10040_limits_of_orders_and_positions(desk):
    account = mt5.mounted_account()
    account.limit_orders = 2
    buy(1.0)
    pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0)
    assert refused(buy(1.0)) == mt5.TRADE_RETCODE_LIMIT_POSITIONS
    account.limit_orders = 1
    assert refused(pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0)) == mt5.TRADE_RETCODE_LIMIT_ORDERS


@pytest.mark.parametrize("order_type", [2, 3, 4, 5, 6, 7, 8, 9])
def test_10035_a_market_order_of_another_type(desk, order_type):
    assert refused(mt5.order_send(deal(order_type, 1.0))) == mt5.TRADE_RETCODE_INVALID_ORDER


@pytest.mark.parametrize("order_type", [0, 1, 8, 9])
def test_10035_a_pending_order_of_another_type(desk, order_type):
    assert refused(pending(order_type, 49_000.0)) == mt5.TRADE_RETCODE_INVALID_ORDER


def test_10036_a_position_that_is_gone_is_never_opened_the_other_way(desk):
    ticket = buy(1.0).order
    sell(1.0, position=ticket)
    assert refused(sell(1.0, position=ticket)) == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert refused(stops(ticket, sl=49_000.0)) == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert mt5.positions_get() == ()


def test_10038_more_than_the_position_has(desk):
    ticket = buy(1.0).order
    assert refused(sell(1.01, position=ticket)) == mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME
    assert only_position().volume == 1.0


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"comment": "c" * 32}, "comment"),
        ({"comment": "naïve"}, "comment"),
        ({"comment": None}, "comment"),
        ({"volume": "1.0"}, "volume"),
        ({"magic": -1}, "magic"),
        ({"magic": 1.5}, "magic"),
        ({"magic": 2**63}, "magic"),
        ({"sl": None}, "sl"),
        ({"lots": 1.0}, "lots"),
    ],
)
def test_a_malformed_request_never_leaves_the_terminal(desk, fields, name):
    assert buy(**({"volume": 1.0} | fields)) is None
    assert mt5.last_error() == (-2, f'Invalid "{name}" argument')
    assert mt5.positions_get() == ()


def test_a_comment_of_31_characters_is_kept(desk):
    buy(1.0, comment="c" * 31)
    assert only_position().comment == "c" * 31


def test_a_request_has_to_be_a_dict(desk):
    assert mt5.order_send(None) is None
    assert mt5.last_error()[0] == mt5.RES_E_INVALID_PARAMS


def test_the_request_comes_back_as_it_was_understood(desk):
    request = buy(1.0, magic=3, comment="x").request
    assert request._asdict()["type_filling"] == mt5.ORDER_FILLING_IOC
    assert (request.magic, request.comment, request.sl, request.position) == (3, "x", 0.0, 0)
    assert [buy(0.01).request_id for _ in range(2)] == [2, 3]
