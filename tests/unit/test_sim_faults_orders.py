"""Faults of orders on the simulated terminal: what the module answers, and what the ledger truly holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from simulator.faults import FaultPlan, Rule, read_log, switch_on
from tests.sim_builders import buy, deal, make_symbol, make_world, minute_path, mt5, pending, sell, shown, stops

IPC_LOST, IPC_TIMEOUT = (-10002, "IPC recv failed"), (-10005, "IPC timeout")
ASK = 50_010.0


class Venue:
    """A connected terminal whose faults a test chooses, and its books."""

    def __init__(self, world: Any) -> None:
        self.world = world

    def meets(self, fault: str, times: int | None = 1, **more: Any) -> None:
        """Have the next call of the fault's kind meet it."""
        fields = {name: more.pop(name) for name in ("call", "symbol", "nth", "lasts_s") if name in more}
        rule = Rule(fault=fault, times=times, parameters=more, **fields)
        switch_on(self.world.config.sim_dir, FaultPlan(rules=(rule,)))

    @property
    def log(self) -> list[tuple[str, str]]:
        return [(line["id"], line["call"]) for line in read_log(self.world.config.sim_dir)]

    @property
    def ledger(self) -> Any:
        return mt5.mounted_account().ledger

    def lots(self) -> Decimal:
        """Return what is held, in signed lots."""
        return sum(
            (p.volume if p.type == mt5.POSITION_TYPE_BUY else -p.volume for p in self.ledger.positions()), Decimal(0)
        )

    def traded(self) -> list[Decimal]:
        """Return the volumes of all deals."""
        return [deal.volume for deal in self.ledger.deals() if deal.symbol]


@pytest.fixture(params=["hedging", "netting"])
def either(request, tmp_path):
    """A venue of each margin mode; BTCUSD is 50,000 / 50,010 and rises by 500 a minute."""
    path = {"BTCUSD": minute_path(50_000.0, 50_500.0, 51_000.0)}
    with shown(make_world(path, state_dir=_state(tmp_path), margin_mode=request.param)) as world:
        yield Venue(world)


@pytest.fixture
def venue(tmp_path):
    """The same with a hedging account."""
    path = {"BTCUSD": minute_path(50_000.0, 50_500.0, 51_000.0)}
    with shown(make_world(path, state_dir=_state(tmp_path))) as world:
        yield Venue(world)


def _state(folder):
    (folder / "sim").mkdir()
    return folder


@pytest.mark.parametrize("fault", ["M20", "M21"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [(-10001, (-10001, "IPC send failed")), (-10002, IPC_LOST), (-10005, IPC_TIMEOUT), (1, (1, "Success"))],
)
def test_an_answer_that_is_lost_is_none_whether_or_not_the_order_was_executed(either, fault, reply, error):
    either.meets(fault, reply=reply)

    assert buy(1.0) is None
    assert mt5.last_error() == error
    assert either.traded() == ([Decimal(1)] if fault == "M20" else [])
    assert buy(0.5).retcode == mt5.TRADE_RETCODE_DONE
    assert either.log == [(fault, "order_send")]


@pytest.mark.parametrize(("fault", "held"), [("M20", Decimal(1)), ("M21", Decimal(0))])
@pytest.mark.parametrize("retcode", [mt5.TRADE_RETCODE_TIMEOUT, mt5.TRADE_RETCODE_CONNECTION, mt5.TRADE_RETCODE_ERROR])
def test_a_lost_answer_can_be_a_retcode_without_a_deal(either, fault, held, retcode):
    either.meets(fault, reply=retcode)
    result = buy(1.0)

    assert (result.retcode, result.deal, result.order, result.volume) == (retcode, 0, 0, 0.0)
    assert mt5.last_error() == (1, "Success")
    assert either.lots() == held


def test_a_late_fill_comes_at_its_time_and_at_the_price_of_then(venue):
    venue.meets("M22", after_s=90.0)

    assert (buy(1.0, magic=7), mt5.last_error()) == (None, IPC_TIMEOUT)
    venue.world.after(seconds=89)
    assert (mt5.positions_get(), venue.traded()) == ((), [])
    venue.world.after(seconds=121)
    [position] = mt5.positions_get()
    # 90 s on, the bid is 50,500 since half a minute
    assert (position.magic, position.volume, position.price_open) == (7, 1.0, 50_510.0)
    assert position.time_msc - venue.world.clock.t_ms == 2 * 3_600_000 - 120_000
    assert venue.log == [("M22", "order_send"), ("M22", "later")]


@pytest.mark.parametrize(("how", "shown_times"), [("shows late", 0), ("shows twice", 2)])
def test_a_fill_can_be_reported_late_or_twice(venue, how, shown_times):
    venue.meets("M22", how=how, after_s=60.0)
    assert buy(1.0) is None
    assert venue.lots() == 1

    bought = [deal for deal in mt5.history_deals_get(0, 2**33) if deal.symbol]
    assert len(bought) == shown_times
    assert len(mt5.positions_get()) == (how == "shows twice")
    venue.world.after(seconds=61)
    assert len([deal for deal in mt5.history_deals_get(0, 2**33) if deal.symbol]) == 1
    assert len(mt5.positions_get()) == 1


@pytest.mark.parametrize(("then", "held", "working"), [("fill", 1, 0), ("reject", 0, 0), ("stay", 0, 1)])
def test_a_market_order_can_be_placed_and_end_later(either, then, held, working):
    either.meets("M23", then=then, after_s=30.0)
    result = buy(1.0)

    assert (result.retcode, result.deal, result.volume) == (mt5.TRADE_RETCODE_PLACED, 0, 1.0)
    assert [order.ticket for order in mt5.orders_get()] == [result.order]
    assert either.lots() == 0
    either.world.after(seconds=31)
    assert (either.lots(), len(mt5.orders_get())) == (held, working)
    ended = [(row.ticket, row.state) for row in mt5.history_orders_get(ticket=result.order)]
    states = {"fill": mt5.ORDER_STATE_FILLED, "reject": mt5.ORDER_STATE_REJECTED}
    assert ended == ([] if then == "stay" else [(result.order, states[then])])


def test_a_placed_close_fills_against_its_position(either):
    bought = buy(1.0)
    either.meets("M23", after_s=5.0)
    sell(1.0, position=bought.order)
    either.world.after(seconds=6)

    assert either.lots() == 0
    assert mt5.orders_get() == ()


@pytest.mark.parametrize("retcode", [mt5.TRADE_RETCODE_DONE_PARTIAL, mt5.TRADE_RETCODE_DONE])
def test_a_partial_fill_cancels_the_rest(either, retcode):
    either.meets("M24", fraction=0.35, retcode=retcode)
    result = buy(1.0)

    assert (result.retcode, result.volume, result.request.volume) == (retcode, 0.35, 1.0)
    [order] = mt5.history_orders_get(ticket=result.order)
    assert (order.volume_initial, order.volume_current) == (1.0, 0.65)
    assert either.traded() == [Decimal("0.35")]
    assert mt5.orders_get() == ()


def test_a_partial_fill_can_leave_the_rest_working(tmp_path):
    exchange = make_symbol(trade_exemode=mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE)
    with shown(make_world(symbols=[exchange], state_dir=_state(tmp_path))) as world:
        Venue(world).meets("M25")
        assert buy(0.5).volume == 0.5  # IOC leaves nothing
        result = buy(1.0, magic=7, type_filling=mt5.ORDER_FILLING_RETURN)
        orders = mt5.orders_get()

    assert (result.retcode, result.volume) == (mt5.TRADE_RETCODE_DONE_PARTIAL, 0.5)
    [rest] = orders
    # one hundredth below the fill at 50,010
    assert (rest.volume_current, rest.magic, rest.type, rest.price_open) == (0.5, 7, mt5.ORDER_TYPE_BUY_LIMIT, 49_509.9)
    assert rest.ticket != result.order


@pytest.mark.parametrize("volume", [0.02, 0.03, 1.0, 0.37])
def test_no_part_of_a_fill_is_off_the_grid(venue, volume):
    venue.meets("M24", fraction=0.5)
    result = buy(volume)

    assert 0 < result.volume < volume
    assert Decimal(str(result.volume)) % Decimal("0.01") == 0


def test_the_smallest_order_is_filled_whole(venue):
    venue.meets("M24")
    assert buy(0.01).retcode == mt5.TRADE_RETCODE_DONE
    assert venue.log == []


def test_one_order_can_become_several_positions(venue):
    venue.meets("M55", positions=3, ticket_off=50)
    result = buy(1.0, magic=7)

    positions = mt5.positions_get()
    assert (result.retcode, result.volume) == (mt5.TRADE_RETCODE_DONE, 1.0)
    assert [(p.volume, p.magic) for p in positions] == [(0.33, 7), (0.33, 7), (0.34, 7)]
    assert result.order not in {p.ticket for p in positions}


@pytest.mark.parametrize(("send", "price"), [(buy, 52_510.5), (sell, 47_500.0)])
def test_slippage_is_adverse_and_true(venue, send, price):
    venue.meets("M47", fraction=0.05)
    result = send(1.0)

    assert result.price == price  # 5 % beyond 50,010 or below 50,000
    assert [d.price for d in venue.ledger.deals() if d.symbol] == [price]


@pytest.mark.parametrize("executed", [False, True])
def test_an_unknown_retcode_says_nothing_of_what_was_done(venue, executed):
    venue.meets("M53", executed=executed)
    result = buy(1.0)

    assert result.retcode > 10_046
    assert (result.deal, result.volume) == (0, 0.0)
    assert venue.lots() == executed


def open_long() -> int:
    return buy(1.0, sl=45_000.0).order


REFUSALS = [
    ("M05", {}, lambda t: buy(), 10031),
    ("M06", {}, lambda t: buy(), 10027),
    ("M07", {}, lambda t: buy(), 10026),
    ("M07", {"retcode": 10017}, lambda t: buy(), 10017),
    ("M26", {}, lambda t: buy(), 10004),
    ("M26", {"retcode": 10020}, lambda t: sell(position=t), 10020),
    ("M26", {"retcode": 10021}, lambda t: buy(), 10021),
    ("M27", {}, lambda t: buy(), 10004),
    ("M28", {"filling_mode": 1}, lambda t: buy(type_filling=mt5.ORDER_FILLING_IOC), 10030),
    ("M28", {"trade_exemode": 3, "filling_mode": 0}, lambda t: buy(type_filling=mt5.ORDER_FILLING_FOK), 10030),
    ("M29", {"volume_min": 2.0}, lambda t: buy(1.0), 10014),
    ("M29", {"volume_min": None, "volume_max": 0.5}, lambda t: buy(1.0), 10014),
    ("M29", {"volume_min": None, "volume_limit": 1.5}, lambda t: buy(1.0), 10034),
    ("M30", {}, lambda t: buy(0.1), 10014),
    ("M31", {}, lambda t: buy(sl=45_000.0), 10016),
    ("M32", {}, lambda t: sell(position=t), 10029),
    ("M32", {}, lambda t: stops(t, sl=44_000.0), 10029),
    ("M35", {}, lambda t: buy(0.01), 10019),
    ("M36", {}, lambda t: buy(), 10018),
    ("M37", {}, lambda t: buy(), 10024),
    ("M38", {}, lambda t: stops(t, sl=44_000.0), 10025),
    ("M39", {}, lambda t: buy(), 10044),
    ("M39", {"mode": "long only"}, lambda t: sell(), 10042),
    ("M39", {"mode": "short only"}, lambda t: buy(), 10043),
    ("M39", {"mode": "disabled"}, lambda t: sell(position=t), 10017),
    ("M43", {}, lambda t: sell(), 10046),
    ("M43", {"retcode": 10045}, lambda t: sell(position=t), 10045),
    ("M44", {}, lambda t: sell(position=t), 10039),
    ("M44", {"retcode": 10028}, lambda t: sell(position=t), 10028),
    ("M54", {}, lambda t: pending(2, 49_000.0, type_time=mt5.ORDER_TIME_DAY), 10022),
]


@pytest.mark.parametrize(("fault", "parameters", "send", "retcode"), REFUSALS)
def test_a_refusal_has_its_code_and_executes_nothing(venue, fault, parameters, send, retcode):
    ticket = open_long()
    venue.meets(fault, **parameters)
    before = venue.ledger.positions(), venue.ledger.orders(), venue.traded()
    result = send(ticket)

    assert (result.retcode, result.deal, result.order) == (retcode, 0, 0)
    assert mt5.last_error() == (1, "Success")
    assert (venue.ledger.positions(), venue.ledger.orders(), venue.traded()) == before
    assert venue.log == [(fault, "order_send")]


@pytest.mark.parametrize("fault", ["M35", "M36", "M39", "M29"])
def test_a_check_says_what_the_order_would_be_told(venue, fault):
    venue.meets(fault)
    request = deal(mt5.ORDER_TYPE_BUY, 0.5)

    assert mt5.order_check(request).retcode == mt5.order_send(request).retcode != mt5.TRADE_RETCODE_DONE


def test_what_only_reduces_passes_where_only_what_adds_is_forbidden(venue):
    ticket = open_long()
    for fault in ("M39", "M35"):
        venue.meets(fault)
        assert buy(0.1).retcode != mt5.TRADE_RETCODE_DONE
        assert sell(0.1, position=ticket).retcode == mt5.TRADE_RETCODE_DONE


def test_too_many_requests_are_counted_and_forgotten_after_a_while(venue):
    venue.meets("M37", free=2, lasts_s=60)

    assert [buy(0.1).retcode for _ in range(4)] == [10009, 10009, 10024, 10024]
    venue.world.after(seconds=61)
    assert buy(0.1).retcode == mt5.TRADE_RETCODE_DONE


def test_a_stop_can_be_lost_with_the_order_or_later(venue):
    venue.meets("M33")
    result = buy(1.0, sl=45_000.0, tp=60_000.0)
    assert (result.retcode, result.request.sl) == (mt5.TRADE_RETCODE_DONE, 45_000.0)
    [position] = mt5.positions_get()
    assert (position.sl, position.tp) == (0.0, 0.0)

    stops(position.ticket, sl=45_000.0)
    venue.meets("M34")
    assert [p.sl for p in mt5.positions_get()] == [0.0]
    assert [p.sl for p in venue.ledger.positions()] == [0.0]


@pytest.mark.parametrize(("by", "reason"), [("stop", mt5.ORDER_REASON_SL), ("stop-out", mt5.ORDER_REASON_SO)])
def test_a_position_can_be_gone_when_its_close_arrives(venue, by, reason):
    ticket = open_long()
    venue.meets("M40", by=by)

    assert sell(1.0, position=ticket).retcode == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert venue.traded() == [Decimal(1), Decimal(1)]
    assert mt5.history_orders_get(0, 2**33)[-1].reason == reason


def test_on_a_netting_account_the_close_of_what_is_gone_opens_the_other_side(tmp_path):
    with shown(make_world(state_dir=_state(tmp_path), margin_mode="netting")) as world:
        venue, ticket = Venue(world), open_long()
        venue.meets("M40")

        assert sell(1.0, position=ticket).retcode == mt5.TRADE_RETCODE_DONE
        assert venue.lots() == -1


def test_a_position_can_shrink_before_its_close_arrives(venue):
    ticket = open_long()
    venue.meets("M42", fraction=0.4)

    assert sell(1.0, position=ticket).retcode == mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME
    assert venue.lots() == Decimal("0.6")


def test_a_close_without_a_ticket_opens_a_second_position_without_any_plan(venue):
    """M41 needs none."""
    open_long()
    assert sell(1.0).retcode == mt5.TRADE_RETCODE_DONE
    assert len(mt5.positions_get()) == 2


def test_a_broker_can_rewrite_comments(venue):
    venue.meets("M46", comment="broker's own")
    result = buy(1.0, comment="ours", magic=7)

    assert result.request.comment == "ours"
    rows = (*mt5.positions_get(), *mt5.history_orders_get(0, 2**33), *mt5.history_deals_get(0, 2**33)[1:])
    assert {(row.comment, row.magic) for row in rows} == {("broker's own", 7)}


@pytest.mark.parametrize("kind", ["position", "order"])
def test_somebody_else_can_trade_on_the_account(venue, kind):
    venue.meets("M51", kind=kind, traded="BTCUSD", volume=0.05, side="sell")
    positions, orders = mt5.positions_get(), mt5.orders_get()

    rows = positions if kind == "position" else orders
    assert [(row.magic, row.symbol) for row in rows] == [(0, "BTCUSD")]
    assert (len(positions), len(orders)) == ((1, 0) if kind == "position" else (0, 1))


@pytest.mark.parametrize("kind", ["balance", "credit", "commission", "interest"])
def test_money_can_come_and_go_without_a_trade(venue, kind):
    before = mt5.account_info().balance
    venue.meets("M52", kind=kind, amount=-250.5)

    assert mt5.account_info().balance == before - 250.5
    assert venue.ledger.deals()[-1].profit == Decimal("-250.5")
    assert venue.traded() == []
