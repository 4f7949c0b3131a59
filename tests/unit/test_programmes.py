"""A programme's floors, budgets and objectives, at their boundaries, and FTMO's own examples."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from execution.safety.risk import LossKind
from execution.safety.risk.course import first_breach, loss_days
from execution.safety.risk.objectives import OBJECTIVES, Judged, ObjectiveState, objectives
from execution.safety.risk.programme import (
    Lines,
    Programme,
    Standing,
    binding_floor,
    daily_floor,
    max_loss_floor,
    programme_budgets,
)
from tests.execution_builders import D
from tests.programme_builders import INITIAL, deal, one_step, prague, two_step

CENT = D("0.01")
BEGIN = "2026-05-04T09:00"
NOON = prague("2026-05-06T12:00")


def standing(**changes) -> Standing:
    values = dict.fromkeys(("initial", "day_start", "highest_close", "balance"), INITIAL)
    return Standing(**values | {name: D(value) for name, value in changes.items()})


def judged(*deals, programme: Programme | None = None, equity: str = "100000", n_positions: int = 0, **changes):
    days = loss_days(INITIAL, prague(BEGIN), deals, NOON)
    return Judged(
        programme=programme or two_step(),
        standing=standing(**changes),
        equity=D(equity),
        days=days,
        n_positions=n_positions,
    )


def stands(code: str, by: Judged) -> tuple[ObjectiveState, Decimal, Decimal]:
    found = OBJECTIVES[code](by)
    return found.state, found.value, found.left


def test_the_official_example_of_a_float_over_midnight_breaks_the_new_day():
    """200,000: +4,000 closed leave 14,000 for the day; a float of -13,000 is inside, and breaks at midnight."""
    evening = Standing(initial=D(200_000), day_start=D(200_000), highest_close=D(200_000), balance=D(204_000))
    equity = D(204_000) - 13_000

    assert equity - daily_floor(two_step(), evening) == 1_000
    assert D(204_000) - daily_floor(two_step(), evening) == 14_000
    assert equity - daily_floor(two_step(), evening.after_reset()) == -3_000


def test_the_daily_floor_is_of_the_initial_balance_below_the_one_at_midnight():
    assert daily_floor(two_step(), standing(day_start=120_000)) == 115_000
    assert daily_floor(one_step(), standing(day_start=120_000)) == 117_000


def test_a_static_floor_stays_and_a_trailing_one_follows_the_highest_midnight():
    won = standing(highest_close=108_000, balance=112_000)

    assert max_loss_floor(two_step(), won) == 90_000
    assert max_loss_floor(one_step(), won) == 98_000
    assert max_loss_floor(one_step(), won.after_reset()) == 102_000
    assert max_loss_floor(one_step(), replace(won, balance=D(99_000)).after_reset()) == 98_000


def test_the_higher_floor_binds():
    assert binding_floor(two_step(), standing(day_start=94_000)) == 90_000
    assert binding_floor(two_step(), standing(day_start=96_000)) == 91_000


# Of 5,000 a day, 80 per cent are 4,000 and 90 per cent 4,500; the equity at a line is past it, at the floor inside.
@pytest.mark.parametrize(
    ("equity", "state"),
    [
        ("96000.01", ObjectiveState.OK),
        ("96000.00", ObjectiveState.SOFT),
        ("95999.99", ObjectiveState.SOFT),
        ("95500.01", ObjectiveState.SOFT),
        ("95500.00", ObjectiveState.HARD),
        ("95499.99", ObjectiveState.HARD),
        ("95000.01", ObjectiveState.HARD),
        ("95000.00", ObjectiveState.HARD),
        ("94999.99", ObjectiveState.BREACHED),
    ],
)
def test_a_daily_loss_at_each_line(equity, state):
    assert stands("daily_loss", judged(equity=equity)) == (state, INITIAL - D(equity), D(equity) - 95_000)


@pytest.mark.parametrize(
    ("equity", "state"),
    [
        ("92000.01", ObjectiveState.OK),
        ("92000.00", ObjectiveState.SOFT),
        ("91000.01", ObjectiveState.SOFT),
        ("91000.00", ObjectiveState.HARD),
        ("90000.00", ObjectiveState.HARD),
        ("89999.99", ObjectiveState.BREACHED),
    ],
)
def test_a_loss_in_all_at_each_line(equity, state):
    assert stands("max_loss", judged(equity=equity))[0] is state


def test_what_the_next_midnight_would_leave_is_told_before_it():
    """The day began with 100,000; 3,000 are won and 1,900 float: of tomorrow's 5,000 are 3,100 left."""
    state, _, left = stands("after_reset", judged(equity="101100", balance=103_000))
    assert (state, left) == (ObjectiveState.OK, 3_100)
    state, _, left = stands("after_reset", judged(equity="97900", balance=103_000))
    assert (state, left) == (ObjectiveState.HARD, -100)


@pytest.mark.parametrize(
    ("won", "n_positions", "state", "left"),
    [
        ("9999.99", 0, ObjectiveState.OPEN, CENT),
        ("10000", 0, ObjectiveState.MET, D(0)),
        ("10000.01", 0, ObjectiveState.MET, D(0)),
        ("10000.01", 1, ObjectiveState.OPEN, D(0)),
    ],
)
def test_a_target_is_of_closed_profit_with_everything_closed(won, n_positions, state, left):
    by = judged(deal("2026-05-05T12:00", won), n_positions=n_positions)
    assert stands("profit_target", by) == (state, D(won), left)


def test_what_is_paid_in_is_no_profit():
    by = judged(deal("2026-05-05T12:00", 10_000, is_cash=True), programme=one_step())
    assert stands("profit_target", by) == (ObjectiveState.OPEN, 0, 10_000)
    assert stands("best_day", by)[0] is ObjectiveState.OPEN


@pytest.mark.parametrize(("n_days", "state"), [(1, ObjectiveState.OPEN), (2, ObjectiveState.MET)])
def test_a_trading_day_is_one_that_opened_a_position(n_days, state):
    """Two entries of a day count once, a close does not; half past midnight is the next day, before midnight in UTC."""
    opened = [deal("2026-05-04T10:00", 0, opens=True), deal("2026-05-04T23:30", 0, opens=True)]
    opened += [deal("2026-05-06T00:30", 0, opens=True)] if n_days == 2 else []
    by = judged(*opened, deal("2026-05-05T10:00", 50), programme=two_step(min_trading_days=2))
    assert stands("min_trading_days", by) == (state, n_days, 2 - n_days)


@pytest.mark.parametrize(
    ("other", "state", "left"),
    [("1999.99", ObjectiveState.OPEN, CENT), ("2000", ObjectiveState.MET, D(0)), ("2000.01", ObjectiveState.MET, D(0))],
)
def test_the_best_day_is_at_most_half_of_the_profit(other, state, left):
    """The official example: 5,000 on one day need another 5,000."""
    deals = [deal("2026-05-04T12:00", 5_000), deal("2026-05-05T12:00", 3_000), deal("2026-05-06T11:00", other)]
    by = judged(*deals, programme=one_step())
    assert stands("best_day", by) == (state, D(5_000), left)


def test_a_programme_has_only_the_objectives_that_it_names():
    codes = [objective.code for objective in objectives(judged(programme=two_step(profit_target=None)))]
    assert codes == ["daily_loss", "max_loss", "after_reset", "min_trading_days"]
    assert [o.code for o in objectives(judged(programme=one_step()))][3:] == ["profit_target", "best_day"]


@pytest.mark.parametrize(
    ("at", "kinds", "hard"),
    [
        ("2026-05-06T22:59:59", ["daily", "total"], []),
        ("2026-05-06T23:00:00", ["daily", "total", "after_reset"], [None]),
        ("2026-05-06T23:44:59", ["daily", "total", "after_reset"], [None]),
        ("2026-05-06T23:45:00", ["daily", "total", "after_reset"], [D("103500.00")]),
        ("2026-05-07T00:00:00", ["daily", "total"], []),
    ],
)
def test_tomorrows_budget_binds_entries_from_23_and_the_hard_line_from_23_45(at, kinds, hard):
    budgets = programme_budgets(two_step(), standing(balance=108_000), prague(at))
    assert [budget.kind for budget in budgets] == kinds
    assert [b.kill_floor for b in budgets if b.kind is LossKind.AFTER_RESET] == hard


def test_budgets_carry_the_programmes_own_lines():
    daily, total = programme_budgets(two_step(lines=Lines(soft=D("0.5"), hard=D("0.6"))), standing(), NOON)
    assert (daily.entry_floor, daily.kill_floor, daily.floor) == (97_500, 97_000, 95_000)
    assert (total.entry_floor, total.kill_floor, total.floor) == (95_000, 94_000, 90_000)
    assert {daily.source, total.source} == {"two-step"}


def test_a_trailing_floor_of_tomorrow_binds_too():
    near = prague("2026-05-06T23:50")
    budgets = programme_budgets(one_step(), standing(balance=104_000), near)
    assert [b.floor for b in budgets if b.kind is LossKind.AFTER_RESET] == [101_000, 94_000]


@pytest.mark.parametrize(
    ("equity", "rule"), [("96000.00", None), ("95999.99", "daily_loss"), ("89999.99", "daily_loss")]
)
def test_a_touch_is_no_breach_and_a_cent_below_is(equity, rule):
    """1,000 were won on the day before: the floor of the day is 96,000."""
    days = loss_days(INITIAL, prague(BEGIN), [deal("2026-05-05T12:00", 1_000)], NOON)
    found = first_breach(two_step(), INITIAL, days, [(prague("2026-05-06T00:00"), D(equity))])
    assert (found.rule if found else None) == rule


def test_the_first_day_begins_with_the_initial_balance():
    days = loss_days(INITIAL, prague(BEGIN), [deal("2026-05-04T08:59:59", -7_000)], NOON)
    assert days[0].start == INITIAL
    assert days[0].result == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"daily_loss": D(0)},
        {"daily_loss": D("0.51")},
        {"max_loss": D("NaN")},
        {"profit_target": D(0)},
        {"best_day_share": D("1.01")},
        {"min_trading_days": -1},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        two_step(**wrong)


@pytest.mark.parametrize(("soft", "hard"), [("0.9", "0.8"), ("-0.1", "0.5"), ("0.5", "1.01"), ("NaN", "0.9")])
def test_lines_are_in_order(soft, hard):
    with pytest.raises(ValueError, match="lines must hold"):
        Lines(soft=D(soft), hard=D(hard))


@pytest.mark.parametrize(
    ("equity", "stops", "flattens"),
    [
        ("96000.01", False, False),
        ("96000.00", True, False),
        ("95500.01", True, False),
        ("95500.00", True, True),
        ("0", True, True),
    ],
)
def test_a_budget_acts_at_its_lines_and_not_before(equity, stops, flattens):
    daily = programme_budgets(two_step(), standing(), NOON)[0]
    assert (daily.stops_entries(D(equity)), daily.flattens(D(equity))) == (stops, flattens)
    assert not replace(daily, hard_line=None).flattens(D(equity))
