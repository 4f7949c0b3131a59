"""What every broker must not do: send what is late, replaced, latched or off the grid, or end without a result."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial

import pytest

from execution.brokers.base import Protection, Reduction, SendResult
from execution.planning.orders import Position, Side
from execution.safety.outcomes import Outcome
from tests.broker_conformance import MAGIC, entered, held, level, permit, ready, state, ticket

pytestmark = pytest.mark.slow

WRITES = ("submit", "reduce", "protect", "cancel")
ADDING = ("submit", "protect")  # what the latch keeps out


@pytest.mark.parametrize("name", WRITES)
def test_after_its_time_nothing_is_executed(desk, name):
    write = ready(desk, name)
    assert_nothing_happens(desk, write, permit(desk, ahead_s=-1.0), Outcome.LATER)


@pytest.mark.parametrize("name", WRITES)
def test_a_trader_that_was_replaced_is_refused(desk, name):
    write = ready(desk, name)
    desk.broker.submit(ticket(desk), permit(desk, fence=6))
    assert_nothing_happens(desk, write, permit(desk, fence=5), Outcome.HALT)


@pytest.mark.parametrize("name", WRITES)
def test_latched_only_reductions_pass(desk, name):
    write = ready(desk, name)
    desk.broker.latch()
    if name in ADDING:
        assert_nothing_happens(desk, write, permit(desk), Outcome.HALT)
    else:
        assert write(permit(desk)).outcome is Outcome.OK


def assert_nothing_happens(desk, write, leave, outcome) -> None:
    """Write, and see that the venue heard nothing of it."""
    before, heard = state(desk), desk.heard()
    result = write(leave)
    assert (result.outcome, state(desk), desk.heard()) == (outcome, before, heard), result
    assert_can_be_journalled(result)


def test_no_volume_off_the_grid_reaches_the_venue(desk):
    spec = desk.broker.spec(desk.symbol)
    for volume in (spec.volume_step / 2, spec.smallest_order + spec.volume_step / 10, spec.volume_max * 2):
        order = ticket(desk, volume)
        assert_nothing_happens(desk, partial(desk.broker.submit, order), permit(desk), Outcome.REJECT)
    entered(desk)
    half = Reduction(position=held(desk)[0], volume=spec.volume_step / 2, magic=MAGIC)
    assert_nothing_happens(desk, partial(desk.broker.reduce, half), permit(desk), Outcome.REJECT)


def test_a_stop_on_the_wrong_side_is_not_sent(desk):
    order = ticket(desk, stop=level(desk, "1.1"))
    assert_nothing_happens(desk, partial(desk.broker.submit, order), permit(desk), Outcome.REJECT)


def test_a_stop_between_two_prices_is_refused_or_brought_to_one(desk):
    spec = desk.broker.spec(desk.symbol)
    stop = level(desk, "0.9") + spec.point / 4
    result = desk.broker.submit(ticket(desk, stop=stop), permit(desk))
    stops = [position.stop for position in held(desk)]
    assert (result.outcome, stops) in ((Outcome.OK, [round(stop, spec.digits)]), (Outcome.REJECT, []))


# --- every end is a result -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("broken", ["lose_answer", "cut_wire"])
@pytest.mark.parametrize("name", WRITES)
def test_a_write_without_an_answer_is_in_doubt(desk, name, broken, executed):
    write, leave = ready(desk, name), permit(desk)
    before = state(desk)
    with getattr(desk, broken)(executed=executed):
        result = write(leave)
    assert (result.outcome, result.volume) == (Outcome.AMBIGUOUS, 0)
    assert result.sent_mono <= leave.not_after
    assert_can_be_journalled(result)
    desk.broker.connect()
    assert (state(desk) != before) is executed


@pytest.mark.parametrize("name", WRITES)
def test_while_the_venue_answers_nothing_nothing_is_sent(desk, name):
    write, leave = ready(desk, name), permit(desk)
    before, heard = state(desk), desk.heard()
    with desk.mute():
        result = write(leave)
    assert (result.outcome, state(desk), desk.heard()) == (Outcome.LATER, before, heard)


def test_what_no_venue_knows_is_a_result_too(desk):
    nowhere = Position(
        ticket=1, symbol="NO SUCH", side=Side.BUY, volume=Decimal(1), price_open=Decimal(1), opened_at=desk.now()
    )
    level_of_it = Protection(symbol="NO SUCH", side=Side.BUY, ticket=1, stop=Decimal(1))
    for write in (
        partial(desk.broker.submit, ticket(desk, symbol="NO SUCH")),
        partial(desk.broker.reduce, Reduction(position=nowhere, volume=Decimal(1), magic=MAGIC)),
        partial(desk.broker.protect, level_of_it),
        partial(desk.broker.cancel, 987_654_321),
    ):
        result = write(permit(desk))
        assert not result.outcome.may_have_executed
        assert_can_be_journalled(result)


def test_more_than_the_account_can_pay_is_refused_and_nothing_is_held(desk):
    result = desk.broker.submit(ticket(desk, desk.broker.spec(desk.symbol).volume_max), permit(desk))
    assert (result.outcome, result.volume, held(desk)) == (Outcome.REJECT, 0, ())
    assert_can_be_journalled(result)


def assert_can_be_journalled(result: SendResult) -> None:
    assert isinstance(result, SendResult)
    assert isinstance(result.outcome, Outcome)
    assert isinstance(result.volume, Decimal)
    assert result.retcode_name
    json.dumps(dict(result.raw), allow_nan=False)
