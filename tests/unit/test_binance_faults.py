"""The Binance adapters under the faults of the catalogue, judged on the simulated exchange's own ledger."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from decimal import Decimal

import pytest

from execution.brokers.base import Protection
from execution.brokers.magic import Family, encode_magic
from execution.errors import BrokerUnavailableError
from execution.planning.orders import Side
from execution.safety.binance_outcomes import Venue
from execution.safety.outcomes import Outcome
from market.feeds.pause import Pause
from simulator.faults import FaultPlan, Rule, switch_off, switch_on
from tests.binance_harness import open_binance
from tests.broker_conformance import close, held, level, lots, permit, ticket

UNSURE, LATER, HALT, REJECT = Outcome.AMBIGUOUS, Outcome.LATER, Outcome.HALT, Outcome.REJECT
ORDER = {Venue.SPOT: "POST /api/v3/order", Venue.FUTURES: "POST /fapi/v1/order"}
STOPS = {Venue.SPOT: "POST /api/v3/orderList/oco", Venue.FUTURES: "POST /fapi/v1/algoOrder"}
MAGICS = (encode_magic(Family.SETUP, number) for number in itertools.count(1))


@pytest.fixture(scope="module", params=["binance_spot", "binance_futures"])
def desk(request, tmp_path_factory):
    with open_binance(request.param, "fee elsewhere", tmp_path_factory.mktemp("faults")) as opened:
        yield opened


@contextmanager
def fault(desk, name: str, call: str, **parameters: object):
    switch_on(
        desk.world.config.sim_dir, FaultPlan(rules=(Rule(fault=name, call=call, times=1, parameters=parameters),))
    )
    try:
        yield
    finally:
        switch_off(desk.world.config.sim_dir)
        desk.wire._pause = Pause()  # what an earlier case was told to wait for


def bought_under(desk, name: str, **parameters: object):
    """Buy under a fault, and return what was said of it, and what the ledger shows."""
    order, leave, before = ticket(desk, magic=next(MAGICS)), permit(desk), desk.net_lots()
    with fault(desk, name, ORDER[desk.venue], **parameters):
        result = desk.broker.submit(order, leave)
    return result, desk.net_lots() - before


def some_position(desk):
    """Return what earlier cases have left, or a new position."""
    if not held(desk):
        desk.broker.submit(ticket(desk, lots(desk, 2), magic=next(MAGICS)), permit(desk))
    (position,) = held(desk)
    return position


# (fault, its parameters, what it means on spot, on futures); the ids are the catalogue's.
CASES = [
    ("B01", {"seconds": 0.01, "executed": True}, UNSURE, UNSURE),
    ("B01", {"seconds": 0.01, "executed": False}, UNSURE, UNSURE),
    ("B02", {"body": "html", "executed": True}, UNSURE, UNSURE),
    ("B02", {"body": "unknown", "executed": True}, UNSURE, UNSURE),
    ("B02", {"body": "unknown", "executed": False}, UNSURE, UNSURE),
    ("B02", {"body": "unavailable", "executed": False}, UNSURE, LATER),
    ("B02", {"body": "internal", "executed": False}, UNSURE, LATER),
    ("B02", {"body": "throttled", "executed": False}, UNSURE, LATER),
    ("B03", {"status": 500, "executed": True}, UNSURE, UNSURE),
    ("B03", {"status": 504, "executed": False}, UNSURE, UNSURE),
    ("B04", {"code": -1006, "executed": True}, UNSURE, UNSURE),
    ("B04", {"code": -1007, "executed": True}, UNSURE, UNSURE),
    ("B04", {"code": -1000, "executed": False}, UNSURE, UNSURE),
    ("B07", {"executed": True}, UNSURE, UNSURE),
    ("B08", {}, LATER, LATER),
    ("B09", {}, HALT, HALT),
    ("B11", {"off_ms": 8000}, LATER, LATER),
    ("B13", {"filter": "LOT_SIZE"}, REJECT, REJECT),
    ("B36", {"status": 451}, HALT, HALT),
    ("B36", {"status": 403}, HALT, HALT),
    ("B37", {}, HALT, HALT),
    ("B38", {"how": "truncated"}, UNSURE, UNSURE),
    ("B40", {"code": -9999}, UNSURE, UNSURE),
]


@pytest.mark.parametrize(("name", "parameters", "on_spot", "on_futures"), CASES)
def test_what_is_said_of_an_order_is_never_more_than_the_ledger_bears_out(desk, name, parameters, on_spot, on_futures):
    result, bought = bought_under(desk, name, **parameters)
    assert result.outcome is (on_spot if desk.venue is Venue.SPOT else on_futures), result
    assert result.volume == 0
    if not result.outcome.may_have_executed:
        assert bought == 0
    if parameters.get("executed"):
        assert bought > 0


def test_without_a_fault_the_same_order_is_executed(desk):
    order, before = ticket(desk, magic=next(MAGICS)), desk.net_lots()
    result = desk.broker.submit(order, permit(desk))
    assert (result.outcome, desk.net_lots() - before) == (Outcome.OK, order.volume)


def test_a_redirect_is_not_followed_and_leaves_the_outcome_open(desk):
    result, bought = bought_under(desk, "B39")
    assert (result.outcome, bought) == (UNSURE, 0)


@pytest.mark.parametrize("name", ["B18", "B21"])
def test_a_stop_that_is_refused_is_said_to_be(desk, name):
    position = some_position(desk)
    where = {"symbol": desk.symbol, "side": Side.BUY, "ticket": position.ticket}
    wanted = Protection(**where, stop=level(desk, "0.9"), target=level(desk, "1.1"))
    leave = permit(desk)
    with fault(desk, name, STOPS[desk.venue]):
        result = desk.broker.protect(wanted, leave)
    assert result.outcome is REJECT
    (after,) = held(desk)
    assert (after.stop, after.volume) == (None, position.volume)


@pytest.mark.parametrize("status", ["HALT", "BREAK", "CANCEL_ONLY", "SOMETHING_NEW"])
def test_a_symbol_that_stands_still_is_not_entered(desk, status):
    rules = {Venue.SPOT: "GET /api/v3/exchangeInfo", Venue.FUTURES: "GET /fapi/v1/exchangeInfo"}[desk.venue]
    order, leave, heard = ticket(desk, magic=next(MAGICS)), permit(desk), desk.heard()
    desk.broker._rules_at = None
    with fault(desk, "B34", rules, status=status):
        result = desk.broker.submit(order, leave)
    desk.broker._rules_at = None
    assert (result.outcome, desk.heard()) == (REJECT, heard)


def test_a_clock_that_has_run_away_is_read_again_for_a_read(desk):
    desk.wire._clock = (desk.wire.sync() - 60_000, desk.wire._mono())
    assert desk.broker.account().balance > 0


def test_a_read_under_a_ban_is_no_empty_answer(desk):
    call = {Venue.SPOT: "GET /api/v3/account", Venue.FUTURES: "GET /fapi/v3/positionRisk"}[desk.venue]
    with fault(desk, "B09", call), pytest.raises(BrokerUnavailableError):
        desk.broker.positions()


def test_reduce_only_that_is_refused_is_not_in_doubt(desk):
    if desk.venue is Venue.SPOT:
        pytest.skip("spot has no reduce-only orders")
    position = some_position(desk)
    with fault(desk, "B22", ORDER[desk.venue], code=-4118):
        result = close(desk, position, position.volume)
    assert (result.outcome, result.volume) == (REJECT, Decimal(0))
