"""The Binance spot adapter at the simulated exchange, its fee taken out of what is bought."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import requests

from execution.brokers.base import Protection, Reduction
from execution.brokers.binance_http import NoAnswerError
from execution.brokers.binance_ids import magic_of
from execution.planning.orders import OrderKind, Side
from execution.safety.outcomes import Outcome
from simulator.binance.rows import Order
from tests.binance_harness import open_binance
from tests.broker_conformance import MAGIC, close, entered, held, level, lots, permit, ticket

D = Decimal
FEE = D("0.001")


@pytest.fixture
def desk(tmp_path):
    with open_binance("binance_spot", "fee in base", tmp_path) as opened:
        yield opened


def protected(desk, stop="0.9", target="1.1"):
    (position,) = held(desk)
    levels = [None if factor is None else level(desk, factor) for factor in (stop, target)]
    where = {"symbol": desk.symbol, "side": Side.BUY, "ticket": position.ticket}
    return desk.broker.protect(Protection(**where, stop=levels[0], target=levels[1]), permit(desk))


def on_grid(desk, volume: Decimal) -> Decimal:
    return volume - volume % desk.broker.spec(desk.symbol).volume_step


def resting_orders(desk) -> list[Order]:
    return [one for one in desk.server.venue.books.select(Order, venue="spot") if one.is_open]


# --- the fee ------------------------------------------------------------------------------------------------------


def test_what_is_held_is_what_was_filled_less_the_fee(desk):
    result = entered(desk)
    (position,), (fill,) = held(desk), desk.broker.fills_since(desk.begin)
    left = lots(desk) * (1 - FEE)
    assert desk.net_lots() == left
    assert position.volume == fill.volume == result.volume == on_grid(desk, left) < left
    assert fill.commission == -lots(desk) * FEE * fill.price


def test_fills_add_up_to_the_balance_to_the_last_digit(desk):
    paid_in = sum(one.amount for one in desk.broker.cash_since(desk.begin))
    for times in (3, 1):
        entered(desk, lots(desk, times))
    (position,) = held(desk)
    assert close(desk, position, lots(desk)).outcome is Outcome.OK
    fills = desk.broker.fills_since(desk.begin)
    money = sum(fill.profit + fill.commission for fill in fills)
    cash = desk.server.venue.books.balance("spot", "USDT")
    cost = desk.broker.account().balance - cash
    assert abs(paid_in + money - cash - cost) < D("1e-7")
    assert sum(fill.signed_volume for fill in fills) == held(desk)[0].volume == on_grid(desk, desk.net_lots())


def test_a_whole_close_sells_what_the_grid_allows_and_carries_the_dust(desk):
    entered(desk)
    (position,) = held(desk)
    dust = desk.net_lots() - position.volume
    assert 0 < dust < desk.broker.spec(desk.symbol).volume_step
    result = close(desk, position, position.volume)
    assert (result.outcome, result.volume) == (Outcome.OK, position.volume)
    assert (desk.net_lots(), held(desk)) == (dust, ())
    account = desk.broker.account()
    assert account.balance == account.equity


# --- the OCO --------------------------------------------------------------------------------------------------------


def test_protect_rests_one_oco_over_what_can_be_sold(desk):
    entered(desk)
    assert protected(desk).outcome is Outcome.OK
    (position,) = held(desk)
    assert (position.stop, position.target) == (level(desk, "0.9"), level(desk, "1.1"))
    orders = desk.broker.working_orders()
    assert {order.kind for order in orders} == {OrderKind.STOP, OrderKind.LIMIT}
    assert {(o.side, o.volume_left, o.magic, o.position_ticket) for o in orders} == {
        (Side.SELL, position.volume, MAGIC, position.ticket)
    }
    assert len({one.list_id for one in resting_orders(desk)}) == 1


def test_every_order_of_ours_bears_its_intent_in_an_id_that_binance_takes(desk):
    entered(desk)
    protected(desk)
    ids = [one.client_id for one in desk.server.venue.books.select(Order, venue="spot")]
    assert {magic_of(one) for one in ids} == {MAGIC}
    assert all(1 <= len(one) <= 36 for one in ids)
    assert len(set(ids)) == len(ids)


def test_new_levels_that_are_refused_leave_the_old_ones_resting(desk):
    entered(desk)
    protected(desk)
    before = [(p.stop, p.target) for p in held(desk)]
    place = desk.wire.call

    def refuse_first_list(endpoint, parameters=None):
        if endpoint == "privatePostOrderListOco":
            desk.wire.call = place
            parameters = dict(parameters) | {"belowStopPrice": parameters["abovePrice"]}
        return place(endpoint, parameters)

    desk.wire.call = refuse_first_list
    result = protected(desk, stop="0.8", target="1.2")
    assert result.outcome is Outcome.REJECT, result
    assert [(p.stop, p.target) for p in held(desk)] == before


def test_a_level_on_the_wrong_side_touches_nothing(desk):
    entered(desk)
    protected(desk)
    heard = desk.heard()
    assert protected(desk, stop="1.05").outcome is Outcome.REJECT
    assert desk.heard() == heard


def test_a_reduction_lifts_the_oco_and_puts_it_back_on_what_is_left(desk):
    entered(desk, lots(desk, 3))
    protected(desk)
    (position,) = held(desk)
    result = close(desk, position, lots(desk))
    assert (result.outcome, result.volume) == (Outcome.OK, lots(desk))
    (left,) = held(desk)
    assert (left.volume, left.stop, left.target) == (position.volume - lots(desk), position.stop, position.target)
    assert {one.volume_left for one in desk.broker.working_orders()} == {left.volume}


def test_a_whole_close_leaves_nothing_resting(desk):
    entered(desk)
    protected(desk)
    (position,) = held(desk)
    assert close(desk, position, position.volume).outcome is Outcome.OK
    assert (held(desk), desk.broker.working_orders()) == ((), ())


def test_a_sale_that_is_refused_leaves_the_position_protected(desk):
    entered(desk)
    protected(desk)
    (before,) = held(desk)
    place = desk.wire.call

    def refuse_sale(endpoint, parameters=None):
        if endpoint == "privatePostOrder" and parameters["type"] == "MARKET":
            parameters = dict(parameters) | {"quantity": "0.0000000001"}
        return place(endpoint, parameters)

    desk.wire.call = refuse_sale
    assert close(desk, before, before.volume).outcome is Outcome.REJECT
    (after,) = held(desk)
    assert (after.stop, after.target, after.volume) == (before.stop, before.target, before.volume)


def test_a_sale_of_less_than_was_asked_for_because_the_rest_is_bound_is_partial(desk):
    entered(desk, lots(desk, 2))
    (position,) = held(desk)
    order = {"symbol": desk.symbol, "side": "SELL", "type": "LIMIT", "timeInForce": "GTC"}
    far = {"price": str(level(desk, "1.3")), "quantity": str(lots(desk))}
    desk.wire.sync()
    assert desk.wire.call("privatePostOrder", order | far).is_success  # by hand: not ours to cancel
    result = close(desk, position, position.volume)
    assert (result.outcome, result.volume) == (Outcome.PARTIAL, position.volume - lots(desk))


def test_a_venue_that_falls_silent_after_a_sale_does_not_make_it_undone(desk):
    entered(desk, lots(desk, 2))
    protected(desk)
    (position,) = held(desk)
    part = lots(desk)
    order, leave = Reduction(position=position, volume=part, magic=MAGIC), permit(desk)
    place, sold = desk.wire.call, []

    def silent_afterwards(endpoint, parameters=None):
        if sold:
            raise NoAnswerError("silence")
        sold.extend([endpoint] if (parameters or {}).get("type") == "MARKET" else [])
        return place(endpoint, parameters)

    desk.wire.call = silent_afterwards
    result = desk.broker.reduce(order, leave)
    assert (result.outcome, result.volume) == (Outcome.OK, part)


def test_a_position_that_changed_in_between_is_not_sold(desk):
    entered(desk)
    (seen,) = held(desk)
    entered(desk)
    heard = desk.heard()
    assert close(desk, seen, seen.volume).outcome is Outcome.REJECT
    assert desk.heard() == heard


def test_the_kill_s_way_cancels_the_list_first_and_then_sells(desk):
    entered(desk)
    protected(desk)
    desk.broker.latch()
    outcomes = [desk.broker.cancel(one.order_id, permit(desk)).outcome for one in desk.broker.working_orders()]
    assert outcomes == [Outcome.OK, Outcome.REJECT]  # the second leg went with the first
    (position,) = held(desk)
    assert close(desk, position, position.volume).outcome is Outcome.OK
    assert desk.broker.submit(ticket(desk), permit(desk)).outcome is Outcome.HALT


# --- what the adapter is asked for and cannot ----------------------------------------------------------------------


def test_a_sale_that_would_open_a_short_is_refused_before_it_is_sent(desk):
    result = desk.broker.submit(ticket(desk, side=Side.SELL), permit(desk))
    assert (result.outcome, desk.heard()) == (Outcome.REJECT, 0)
    assert "cannot go short" in result.message


def test_an_answer_about_another_order_proves_nothing(desk):
    place = desk.wire.call

    def mixed_up(endpoint, parameters=None):
        reply = place(endpoint, parameters)
        return replace(reply, value=reply.value | {"clientOrderId": "bd-1"}) if "Post" in endpoint else reply

    desk.wire.call = mixed_up
    assert desk.broker.submit(ticket(desk), permit(desk)).outcome is Outcome.AMBIGUOUS


def test_an_answer_that_is_cut_short_leaves_the_outcome_open(desk):
    carry = desk.wire.session.request

    def cut(method, url, **options):
        reply = carry(method, url, **options)
        if method == "POST":
            reply._content = reply.content[:-9]
        return reply

    desk.wire.session.request = cut
    assert desk.broker.submit(ticket(desk), permit(desk)).outcome is Outcome.AMBIGUOUS


def test_a_request_that_never_left_is_not_in_doubt(desk):
    carry = desk.wire.session.request

    def unreachable(method, url, **options):
        if method == "POST":
            raise requests.ConnectTimeout("timed out")
        return carry(method, url, **options)

    desk.wire.session.request = unreachable
    result = desk.broker.submit(ticket(desk), permit(desk))
    assert (result.outcome, result.retcode_name, desk.heard()) == (Outcome.LATER, "NOT_SENT", 0)


def test_what_is_signed_is_older_than_the_permit_and_dies_with_it(desk):
    seen = []
    place = desk.wire.call

    def look(endpoint, parameters=None):
        seen.append((endpoint, dict(parameters or {})))
        return place(endpoint, parameters)

    desk.wire.call = look
    leave = permit(desk)
    desk.broker.submit(ticket(desk), leave)
    ((_, sent),) = [call for call in seen if "Post" in call[0]]
    assert sent["timestamp"] + 5000 == desk.wire.ms_at(leave.not_after)
    at_stamp_ms = desk.world.clock.now_ms()  # it stands still here; a permit lives two seconds from its stamp
    assert 0 <= at_stamp_ms + 2000 - (sent["timestamp"] + 5000) < 1000


def test_the_venue_itself_refuses_what_arrives_after_the_permit(desk):
    leave = permit(desk)
    place = desk.wire.call

    def pause_before_sending(endpoint, parameters=None):
        if "Post" in endpoint:
            desk.pass_time(timedelta(seconds=2, milliseconds=1))
        return place(endpoint, parameters)

    desk.wire.call = pause_before_sending
    result = desk.broker.submit(ticket(desk), leave)
    assert (result.outcome, result.retcode, desk.net_lots()) == (Outcome.LATER, -1021, 0)
