"""The Binance USD-M futures adapter at the simulated exchange, in one-way and in hedge mode."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from execution.brokers import connect
from execution.brokers.base import Protection, Reduction
from execution.brokers.binance_futures import FuturesTerms
from execution.brokers.binance_http import HttpReply, NoAnswerError
from execution.brokers.binance_ids import magic_of
from execution.errors import ConfigError
from execution.planning.orders import CashKind, Side
from execution.safety.binance_outcomes import Venue
from execution.safety.outcomes import Outcome
from simulator.binance.rows import Order
from tests.binance_harness import open_binance, options
from tests.broker_conformance import MAGIC, OTHER_MAGIC, close, entered, held, level, lots, permit, ticket

pytestmark = pytest.mark.slow

D = Decimal


@pytest.fixture(params=["one-way", "hedge"])
def desk(request, tmp_path):
    with open_binance("binance_futures", request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def one_way(tmp_path):
    with open_binance("binance_futures", "one-way", tmp_path) as opened:
        yield opened


def protected(desk, stop="0.9", target="1.1"):
    (position,) = held(desk)
    if position.side is Side.SELL:
        stop, target = target, stop
    levels = [None if factor is None else level(desk, factor) for factor in (stop, target)]
    where = {"symbol": desk.symbol, "side": position.side, "ticket": position.ticket}
    return desk.broker.protect(Protection(**where, stop=levels[0], target=levels[1]), permit(desk))


def requests_of(desk):
    """Return the list that every further request of the adapter is written into."""
    seen, place = [], desk.wire.call

    def look(endpoint, parameters=None):
        seen.append((endpoint, dict(parameters or {})))
        return place(endpoint, parameters)

    desk.wire.call = look
    return seen


def answer(desk, endpoint, *replies):
    """Let the next calls of an endpoint be answered with these, one each."""
    left, place = list(replies), desk.wire.call

    def reply(name, parameters=None):
        return left.pop(0) if name == endpoint and left else place(name, parameters)

    desk.wire.call = reply


def refusal(code: int, words: str) -> HttpReply:
    return HttpReply(status=400, body=words, value={"code": code, "msg": words}, is_json=True)


# --- stops and targets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
def test_stop_and_target_are_two_closing_orders_of_their_own(desk, side):
    entered(desk, side=side)
    seen = requests_of(desk)
    assert protected(desk).outcome is Outcome.OK
    sent = [parameters for endpoint, parameters in seen if endpoint == "fapiPrivatePostAlgoOrder"]
    assert [one["type"] for one in sent] == ["STOP_MARKET", "TAKE_PROFIT_MARKET"]  # the stop comes first
    assert {(one["closePosition"], one["side"]) for one in sent} == {("true", side.opposite.name)}
    assert not any("quantity" in one or "reduceOnly" in one for one in sent)
    ids = [one["clientAlgoId"] for one in sent]
    assert len(set(ids)) == 2
    assert {magic_of(one) for one in ids} == {MAGIC}
    assert all(1 <= len(one) <= 36 for one in ids)


def test_conditional_orders_are_working_orders_of_the_position(desk):
    entered(desk)
    protected(desk)
    (position,) = held(desk)
    orders = desk.broker.working_orders()
    assert len(orders) == 2
    assert {(o.magic, o.position_ticket, o.side) for o in orders} == {(MAGIC, position.ticket, Side.SELL)}
    assert all(order.order_id < 0 for order in orders)


def test_the_new_stop_is_placed_before_the_old_one_is_taken_back(one_way):
    entered(one_way)
    protected(one_way, target=None)
    taken = {"algoId": 7, "clientAlgoId": "bd-1-s1", "orderType": "STOP_MARKET", "symbol": "BTCUSDT", "side": "SELL"}
    placed = HttpReply(status=200, body="", value=taken | {"triggerPrice": "1", "createTime": 1}, is_json=True)
    answer(one_way, "fapiPrivatePostAlgoOrder", placed)
    seen = requests_of(one_way)
    assert protected(one_way, stop="0.8", target=None).outcome is Outcome.OK
    writes = [endpoint for endpoint, _ in seen if "Post" in endpoint or "Delete" in endpoint]
    assert writes == ["fapiPrivatePostAlgoOrder", "fapiPrivateDeleteAlgoOrder"]


def test_a_new_stop_that_is_refused_leaves_the_old_one(one_way):
    entered(one_way)
    protected(one_way)
    before = [(p.stop, p.target) for p in held(one_way)]
    answer(one_way, "fapiPrivatePostAlgoOrder", refusal(-2021, "Order would immediately trigger."))
    assert protected(one_way, stop="0.8").outcome is Outcome.REJECT
    assert [(p.stop, p.target) for p in held(one_way)] == before


def test_where_the_venue_takes_no_second_closing_order_the_old_one_goes_first(one_way):
    entered(one_way)
    protected(one_way, target=None)
    answer(one_way, "fapiPrivatePostAlgoOrder", refusal(-4130, "An open stop order with closePosition is existing."))
    assert protected(one_way, stop="0.8", target=None).outcome is Outcome.OK
    assert [p.stop for p in held(one_way)] == [level(one_way, "0.8")]
    assert len(one_way.broker.working_orders()) == 1


def test_and_is_put_back_if_the_new_one_is_refused_again(one_way):
    entered(one_way)
    protected(one_way, target=None)
    exists = refusal(-4130, "An open stop order with closePosition is existing.")
    answer(one_way, "fapiPrivatePostAlgoOrder", exists, refusal(-2021, "Order would immediately trigger."))
    assert protected(one_way, stop="0.8", target=None).outcome is Outcome.REJECT
    assert [p.stop for p in held(one_way)] == [level(one_way, "0.9")]


def test_a_stop_that_triggers_is_a_fill_of_the_intent_that_set_it(one_way):
    entered(one_way)
    protected(one_way, stop="0.999", target="1.001")
    for _ in range(60):
        one_way.pass_time(timedelta(hours=1))
        if not held(one_way):
            break
    opened, closed = one_way.broker.fills_since(one_way.begin)
    assert (opened.magic, closed.magic) == (MAGIC, MAGIC)
    assert (closed.side, closed.volume) == (Side.SELL, opened.volume)


# --- reductions ------------------------------------------------------------------------------------------------------


def test_a_reduction_is_marked_so_that_it_cannot_open(desk):
    entered(desk, lots(desk, 2))
    (position,) = held(desk)
    seen = requests_of(desk)
    assert close(desk, position, lots(desk)).outcome is Outcome.OK
    (sent,) = [parameters for endpoint, parameters in seen if endpoint == "fapiPrivatePostOrder"]
    assert sent.get("reduceOnly") == "true" or sent.get("positionSide") == "LONG"


def test_a_whole_close_takes_the_levels_away(desk):
    entered(desk)
    protected(desk)
    (position,) = held(desk)
    assert close(desk, position, position.volume).outcome is Outcome.OK
    assert (held(desk), desk.broker.working_orders()) == ((), ())


def test_a_part_that_is_closed_leaves_the_levels(desk):
    entered(desk, lots(desk, 2))
    protected(desk)
    (position,) = held(desk)
    close(desk, position, lots(desk))
    assert [(p.stop, p.target) for p in held(desk)] == [(position.stop, position.target)]


def test_latched_the_kill_cancels_both_kinds_of_orders_and_closes(desk):
    entered(desk)
    protected(desk)
    desk.rest_order(magic=OTHER_MAGIC)
    desk.broker.latch()
    orders = desk.broker.working_orders()
    assert len(orders) == 3
    assert {desk.broker.cancel(order.order_id, permit(desk)).outcome for order in orders} == {Outcome.OK}
    (position,) = held(desk)
    assert close(desk, position, position.volume).outcome is Outcome.OK
    assert (held(desk), desk.broker.working_orders(), desk.net_lots()) == ((), (), 0)
    assert not [one for one in desk.server.venue.books.select(Order, venue="algo") if one.is_open]


def test_in_hedge_mode_each_side_is_a_position_of_its_own(tmp_path):
    with open_binance("binance_futures", "hedge", tmp_path) as desk:
        entered(desk, lots(desk, 2))
        desk.broker.submit(ticket(desk, side=Side.SELL, magic=OTHER_MAGIC), permit(desk))
        long, short = sorted(held(desk), key=lambda p: p.side)
        assert (long.side, long.volume, long.magic) == (Side.BUY, lots(desk, 2), MAGIC)
        assert (short.side, short.volume, short.magic) == (Side.SELL, lots(desk), OTHER_MAGIC)
        done = desk.broker.reduce(Reduction(position=short, volume=short.volume, magic=MAGIC), permit(desk))
        assert done.outcome is Outcome.OK
        assert [(p.side, p.volume) for p in held(desk)] == [(Side.BUY, lots(desk, 2))]


# --- how the account is set ----------------------------------------------------------------------------------------


def reconnected(desk, **terms):
    given = options(Venue.FUTURES, "one-way", desk.server, desk.world.config.state_dir)
    return connect("binance_futures", **given | {"terms": FuturesTerms(**terms)})


@pytest.mark.parametrize("is_hedge", [True, False])
def test_a_position_mode_that_was_not_meant_is_refused_at_connecting(tmp_path, is_hedge):
    refused = pytest.raises(ConfigError, match=r"the account is in .* mode, it must be in .* mode")
    with open_binance("binance_futures", "hedge" if is_hedge else "one-way", tmp_path) as desk, refused:
        reconnected(desk, leverage=20, is_hedge=not is_hedge)


@pytest.mark.parametrize("terms", [{"leverage": 19}, {"leverage": 20, "is_isolated": True}])
def test_leverage_and_margin_type_that_were_not_meant_stop_entries_and_no_close(one_way, terms):
    entered(one_way)
    broker = reconnected(one_way, **terms)
    heard = one_way.heard()
    refused = broker.submit(ticket(one_way), permit(one_way))
    assert (refused.outcome, one_way.heard()) == (Outcome.HALT, heard)
    assert "is set to 20x crossed" in refused.message
    (position,) = held(one_way)
    leave = permit(one_way)
    assert broker.reduce(Reduction(position=position, volume=position.volume, magic=MAGIC), leave).outcome is Outcome.OK
    broker.disconnect()


def test_funding_is_a_charge_and_the_balance_adds_up(one_way):
    entered(one_way, lots(one_way, 20))
    one_way.pass_time(timedelta(hours=9))
    moved = one_way.broker.cash_since(one_way.begin)
    assert {one.kind for one in moved} == {CashKind.CASH, CashKind.CHARGE}
    fills = one_way.broker.fills_since(one_way.begin)
    traded = sum(fill.profit + fill.commission for fill in fills)
    assert one_way.broker.account().balance == traded + sum(one.amount for one in moved)


def test_an_answer_without_its_trades_is_still_a_fill(one_way):
    unread = HttpReply(status=503, body="", value=None, is_json=False)
    answer(one_way, "fapiPrivateGetUserTrades", *[unread] * 2)
    result = one_way.broker.submit(ticket(one_way), permit(one_way))
    assert (result.outcome, result.volume, result.deal_id) == (Outcome.OK, lots(one_way), 0)


def test_a_venue_that_falls_silent_after_a_close_does_not_make_it_undone(one_way):
    entered(one_way)
    protected(one_way)
    (position,) = held(one_way)
    order, leave = Reduction(position=position, volume=position.volume, magic=MAGIC), permit(one_way)
    place, sent = one_way.wire.call, []

    def silent_afterwards(endpoint, parameters=None):
        if sent:
            raise NoAnswerError("silence")
        sent.extend([endpoint] if endpoint == "fapiPrivatePostOrder" else [])
        return place(endpoint, parameters)

    one_way.wire.call = silent_afterwards
    result = one_way.broker.reduce(order, leave)
    assert (result.outcome, result.volume, one_way.net_lots()) == (Outcome.OK, position.volume, 0)


def test_whatever_fails_after_an_order_was_taken_leaves_the_outcome_open(one_way, monkeypatch):
    def fail(*_):
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(one_way.broker, "_with_deal", fail)
    result = one_way.broker.submit(ticket(one_way), permit(one_way))
    assert (result.outcome, one_way.net_lots()) == (Outcome.AMBIGUOUS, lots(one_way))


def test_a_margin_refusal_is_final_and_a_duplicate_is_in_doubt(one_way):
    for code, words, expected in (
        (-2019, "Margin is insufficient.", Outcome.REJECT),
        (-4116, "ClientOrderId is duplicated.", Outcome.AMBIGUOUS),
    ):
        answer(one_way, "fapiPrivatePostOrder", refusal(code, words))
        assert one_way.broker.submit(ticket(one_way), permit(one_way)).outcome is expected


def test_after_a_429_nothing_is_sent_until_its_time_has_passed(one_way):
    banned = replace(refusal(-1003, "Too many requests"), status=429)
    carry = one_way.wire.session.request

    def limited(method, url, **given):
        reply = carry(method, url, **given)
        if "bookTicker" in url:
            reply.status_code, reply._content = banned.status, b'{"code": -1003, "msg": "Too many requests"}'
            reply.headers["Retry-After"] = "30"
        return reply

    leave, order = permit(one_way), ticket(one_way)
    one_way.wire.session.request = limited
    assert one_way.broker.submit(order, leave).outcome is Outcome.LATER
    one_way.wire.session.request = carry
    assert one_way.broker.submit(order, leave).outcome is Outcome.LATER
    one_way.wire._wall = lambda: time.time() + 31
    assert one_way.broker.submit(order, permit(one_way)).outcome is Outcome.OK
