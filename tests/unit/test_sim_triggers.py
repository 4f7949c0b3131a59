"""What happens between calls: stops, targets, pending orders, expirations, swap and stop-outs, in the path's order."""

from __future__ import annotations

import pytest

from tests.sim_builders import MORNING, buy, make_symbol, make_world, minute_path, moment, mt5, pending, sell, shown

EVENING = moment("2026-01-05T21:59")  # 23:59 on the server's clock


def path(*bids: float, **config):
    return shown(make_world({"BTCUSD": minute_path(*bids)}, **config))


def deals():
    return mt5.history_deals_get(0, 2**33)[1:]  # without the deposit


def test_a_stop_at_the_level_fills_at_the_level():
    with path(50_000.0, 49_500.0, 49_000.0, 48_000.0) as world:
        ticket = buy(1.0, sl=49_000.0, magic=7).order
        world.after(hours=1)
        (closed,) = deals()[1:]
        assert (closed.price, closed.reason, closed.magic) == (49_000.0, mt5.DEAL_REASON_SL, 7)
        assert (closed.entry, closed.position_id, closed.comment) == (mt5.DEAL_ENTRY_OUT, ticket, "[sl 49000.0]")
        assert (closed.profit, closed.commission) == (-1_010.0, -19.6)
        assert closed.time == MORNING // 1000 + 7_200 + 120
        (order,) = mt5.history_orders_get(ticket=closed.order)
        assert (order.reason, order.state, order.type) == (mt5.ORDER_REASON_SL, 4, mt5.ORDER_TYPE_SELL)
        assert mt5.positions_get() == ()


def test_a_stop_that_the_price_jumps_over_fills_worse():
    with path(50_000.0, 48_000.0, 49_500.0) as world:
        buy(1.0, sl=49_000.0)
        world.after(hours=1)
        assert deals()[-1].price == 48_000.0


def test_a_target_that_the_price_jumps_over_fills_better():
    with path(50_000.0, 52_000.0, 50_000.0) as world:
        buy(1.0, tp=51_000.0)
        world.after(hours=1)
        assert (deals()[-1].price, deals()[-1].reason, deals()[-1].comment) == (52_000.0, 5, "[tp 51000.0]")


def test_a_long_stop_looks_at_the_bid_and_a_short_one_at_the_ask():
    with path(50_000.0, 50_989.0, 50_990.0) as world:
        buy(1.0, sl=49_995.0)
        short = sell(1.0, sl=51_000.0).order
        world.after(minutes=1)  # ask 50,999
        assert len(mt5.positions_get()) == 2
        world.after(minutes=1)
        assert (deals()[-1].position_id, deals()[-1].price) == (short, 51_000.0)


def test_a_short_target_looks_at_the_ask():
    with path(50_000.0, 49_000.0, 48_990.0) as world:
        sell(1.0, tp=49_000.0)
        world.after(minutes=1)  # ask 49,010
        assert len(mt5.positions_get()) == 1
        world.after(minutes=1)
        assert deals()[-1].price == 49_000.0


@pytest.mark.parametrize(("bids", "reason"), [((49_000.0, 51_000.0), 4), ((51_000.0, 49_000.0), 5)])
def test_the_path_decides_which_of_stop_and_target_comes_first(bids, reason):
    with path(50_000.0, *bids) as world:
        buy(1.0, sl=49_000.0, tp=51_000.0)
        world.after(hours=1)
        assert [d.reason for d in deals()] == [mt5.DEAL_REASON_EXPERT, reason]


@pytest.mark.parametrize(
    ("order_type", "price", "bids", "filled"),
    [
        (mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, (48_991.0, 48_990.0), 49_000.0),
        (mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, (48_991.0, 48_000.0), 48_010.0),
        (mt5.ORDER_TYPE_BUY_STOP, 51_000.0, (50_989.0, 50_990.0), 51_000.0),
        (mt5.ORDER_TYPE_BUY_STOP, 51_000.0, (50_989.0, 52_000.0), 52_010.0),
        (mt5.ORDER_TYPE_SELL_LIMIT, 51_000.0, (50_999.0, 51_000.0), 51_000.0),
        (mt5.ORDER_TYPE_SELL_LIMIT, 51_000.0, (50_999.0, 52_000.0), 52_000.0),
        (mt5.ORDER_TYPE_SELL_STOP, 49_000.0, (49_001.0, 49_000.0), 49_000.0),
        (mt5.ORDER_TYPE_SELL_STOP, 49_000.0, (49_001.0, 48_000.0), 48_000.0),
    ],
)
def test_pending_orders_fill_at_the_first_tick_at_or_beyond_their_price(order_type, price, bids, filled):
    with path(50_000.0, *bids) as world:
        ticket = pending(order_type, price, magic=9, sl=0.0).order
        world.after(minutes=1)
        assert mt5.positions_get() == ()
        assert mt5.orders_total() == 1
        world.after(minutes=1)
        (position,) = mt5.positions_get()
        assert (position.price_open, position.ticket, position.magic) == (filled, ticket, 9)
        assert mt5.orders_total() == 0
        (order,) = mt5.history_orders_get(ticket=ticket)
        assert (order.state, order.type, order.time_done - order.time_setup) == (4, order_type, 120)


def test_a_stop_limit_becomes_its_limit_and_then_fills():
    with path(50_000.0, 50_990.0, 50_490.0, 50_480.0) as world:
        pending(mt5.ORDER_TYPE_BUY_STOP_LIMIT, 51_000.0, stoplimit=50_490.0)
        world.after(minutes=1)
        (order,) = mt5.orders_get()
        assert (order.type, order.price_open, order.price_stoplimit) == (mt5.ORDER_TYPE_BUY_LIMIT, 50_490.0, 0.0)
        world.after(minutes=1)
        assert mt5.positions_total() == 0
        world.after(minutes=1)
        assert mt5.positions_get()[0].price_open == 50_490.0


def test_a_filled_order_carries_its_stop_into_the_same_advance():
    with path(50_000.0, 48_990.0, 48_500.0) as world:
        pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, sl=48_500.0)
        world.after(hours=1)
        assert [(d.price, d.reason) for d in deals()] == [(49_000.0, 3), (48_500.0, 4)]


def test_a_netting_pending_order_reduces_the_position():
    with path(50_000.0, 51_000.0, margin_mode="netting") as world:
        buy(1.0)
        pending(mt5.ORDER_TYPE_SELL_LIMIT, 51_000.0, 0.4)
        world.after(minutes=1)
        assert mt5.positions_get()[0].volume == 0.6
        assert deals()[-1].profit == 396.0  # 0.4 x 990


def test_a_pending_order_that_the_account_cannot_carry_is_rejected():
    with path(50_000.0, 48_990.0, balance=1_000.0) as world:
        ticket = pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0).order
        world.after(minutes=1)
        (order,) = mt5.history_orders_get(ticket=ticket)
        assert (order.state, order.volume_current) == (mt5.ORDER_STATE_REJECTED, 1.0)
        assert mt5.positions_get() == ()


def test_a_full_hedging_account_can_still_fill_its_waiting_orders():
    with path(50_000.0, 48_990.0) as world:
        mt5.mounted_account().limit_orders = 1
        pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0)
        world.after(minutes=1)
        assert mt5.positions_total() == 1


def test_a_day_order_ends_at_the_servers_midnight():
    with path(50_000.0) as world:
        ticket = pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, type_time=mt5.ORDER_TIME_DAY).order
        assert mt5.orders_get()[0].time_expiration == moment("2026-01-06T00:00") // 1000
        world.go(EVENING)
        assert mt5.orders_total() == 1
        world.after(minutes=1)
        (order,) = mt5.history_orders_get(ticket=ticket)
        assert (order.state, order.time_done) == (mt5.ORDER_STATE_EXPIRED, moment("2026-01-06T00:00") // 1000)


def test_an_order_with_a_time_ends_then_and_not_before():
    with path(50_000.0, 49_500.0, 48_000.0) as world:
        ends = MORNING // 1000 + 7_200 + 90
        pending(mt5.ORDER_TYPE_BUY_LIMIT, 49_000.0, type_time=mt5.ORDER_TIME_SPECIFIED, expiration=ends)
        world.after(minutes=1)
        assert mt5.orders_total() == 1
        world.after(minutes=1)
        assert mt5.orders_total() == mt5.positions_total() == 0


def test_every_server_midnight_charges_a_360th_of_the_yearly_swap():
    with path(50_000.0) as world:
        buy(1.0)
        sell(1.0)
        world.go(EVENING)
        assert [p.swap for p in mt5.positions_get()] == [0.0, 0.0]
        world.after(minutes=1)
        # 18 % of 50,000 / 360 = 25.00; 9 % of 50,010 / 360 = 12.5025
        assert [p.swap for p in mt5.positions_get()] == [-25.0, -12.5]
        world.after(hours=48)
        assert [p.swap for p in mt5.positions_get()] == [-75.0, -37.5]
        info = mt5.account_info()
        assert info.equity == pytest.approx(100_000 - 20 - 20 - 10 - 10 - 112.5, abs=1e-9)
        assert info.profit == -132.5


def test_a_position_opened_at_midnight_pays_nothing_for_the_night_before():
    with path(50_000.0) as world:
        world.go(EVENING + 60_000)
        buy(1.0)
        world.after(seconds=1)
        assert mt5.positions_get()[0].swap == 0.0


def test_swap_is_realised_in_proportion_on_a_partial_close():
    with path(50_000.0) as world:
        ticket = buy(1.0).order
        world.go(EVENING + 60_000)
        sell(0.33, position=ticket)
        assert (deals()[-1].swap, mt5.positions_get()[0].swap) == (-8.25, -16.75)
        sell(0.67, position=ticket)
        assert deals()[-1].swap == -16.75


def test_the_night_comes_an_hour_earlier_in_american_summer_time():
    day = moment("2026-03-09T12:00")  # the Monday after the switch; Europe switches three weeks later
    with shown(make_world({"BTCUSD": [(day, 50_000.0)]})) as world:
        world.go(day)
        buy(1.0)
        world.go(moment("2026-03-09T20:59"))
        assert mt5.positions_get()[0].swap == 0.0
        world.go(moment("2026-03-09T21:00"))
        assert mt5.positions_get()[0].swap == -25.0


def test_swap_is_charged_and_nothing_triggers_while_the_market_is_closed():
    shut = (EVENING - 3_600_000, EVENING + 3_600_000)
    with path(50_000.0, closed=[shut]) as world:
        buy(1.0, sl=49_000.0)
        world.go(shut[1])
        assert mt5.positions_get()[0].swap == -25.0


@pytest.mark.parametrize(("bid", "left"), [(46_530.51, 1), (46_530.5, 0)])
def test_a_stop_out_comes_at_half_the_margin_to_the_cent(bid, left):
    # balance 6,000 - 20.00; margin 5,001.00; out when 5,980 + bid - 50,010 <= 2,500.50
    with path(50_000.0, bid, balance=6_000.0) as world:
        buy(1.0)
        world.after(minutes=1)
        assert mt5.positions_total() == left
        if not left:
            closed = deals()[-1]
            assert (closed.reason, closed.price, closed.profit) == (mt5.DEAL_REASON_SO, 46_530.5, -3_479.5)
            assert closed.comment == "[so 50.00%]"


def test_a_stop_out_closes_the_largest_loser_first_and_stops_when_it_may():
    bids = {"BTCUSD": minute_path(50_000.0, 46_000.0), "ETHUSD": minute_path(2_000.0, 1_990.0)}
    with shown(make_world(bids, balance=6_500.0)) as world:
        small = buy(1.0, symbol="ETHUSD").order
        large = buy(1.0).order
        world.after(minutes=1)
        assert (deals()[-1].position_id, deals()[-1].reason) == (large, mt5.DEAL_REASON_SO)
        assert [p.ticket for p in mt5.positions_get()] == [small]


def test_a_stop_out_sees_the_other_symbols_price_of_the_same_moment():
    """Each loss alone is carried; both together are not, though no tick carries both."""
    bids = {
        "BTCUSD": minute_path(50_000.0, 48_000.0),
        "ETHUSD": [(MORNING, 2_000.0), (MORNING + 90_000, 1_900.0)],
    }
    # balance 12,000 - 20.00 - 16.08 = 11,963.92; margin 5,001 + 4,020 = 9,021, half of it 4,510.50
    # after BTC: -2,010 and -200; after ETH: -2,010 and -2,200: equity 7,753.92; a third step is needed
    bids["ETHUSD"].append((MORNING + 150_000, 1_735.0))  # 20 x -275 = -5,500: equity 4,453.92
    with shown(make_world(bids, balance=12_000.0)) as world:
        buy(1.0)
        eth = buy(20.0, symbol="ETHUSD").order
        world.after(minutes=2)
        assert mt5.positions_total() == 2
        world.after(minutes=1)
        assert (deals()[-1].position_id, deals()[-1].time) == (eth, MORNING // 1000 + 7_200 + 150)
        assert mt5.positions_total() == 1


def test_a_stop_out_leaves_what_cannot_be_traded():
    with path(50_000.0, 45_000.0, 45_000.0, balance=6_000.0, closed=[(MORNING + 60_000, MORNING + 120_000)]) as world:
        buy(1.0)
        world.after(minutes=1)
        assert mt5.positions_total() == 1
        world.after(minutes=1)
        assert mt5.positions_total() == 0


def test_one_long_advance_is_the_same_as_many_short_ones():
    bids = [50_000.0 + 700 * ((i * 37) % 11 - 5) for i in range(40)]
    results = []
    for minutes in (40, 1, 7):
        with path(*bids) as world:
            buy(1.0, sl=48_000.0, tp=53_000.0)
            pending(mt5.ORDER_TYPE_SELL_LIMIT, 52_800.0, sl=53_600.0, tp=48_500.0)
            pending(mt5.ORDER_TYPE_BUY_STOP, 53_000.0, sl=47_000.0)
            for _ in range(-(-40 // minutes)):
                world.after(minutes=minutes)
            results.append((deals(), mt5.positions_get()))
    assert results[0] == results[1] == results[2]
    assert len(results[0][0]) > 3


def test_an_empty_account_commits_nothing_while_time_passes():
    with path(50_000.0) as world:
        before = mt5.mounted_account().ledger.meta("advanced_ms")
        world.after(hours=30)
        assert mt5.mounted_account().ledger.meta("advanced_ms") == before
        assert mt5.mounted_account().now_ms == world.clock.t_ms


def test_a_swap_is_half_away_from_zero():
    # 18 % of 50.00 / 360 = 0.025
    with shown(make_world({"BTCUSD": minute_path(50.0)}, symbols=[make_symbol()])) as world:
        buy(1.0)
        world.go(EVENING + 60_000)
        assert mt5.positions_get()[0].swap == -0.03
