"""Loss days and programmes where one step more or less would have moved a floor, or met a goal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from execution.planning.orders import MarginMode
from execution.safety.risk import (
    LossKind,
)
from execution.safety.risk.balances import Booking, KnownBalance, booked, cash_only, midnight_balance
from execution.safety.risk.course import LossDay, first_breach, loss_days
from execution.safety.risk.objectives import (
    Judged,
    ObjectiveState,
    after_reset,
    best_day,
    daily_loss,
    min_trading_days,
    profit_target,
)
from execution.safety.risk.programme import (
    Lines,
    MaxLossKind,
    Programme,
    Standing,
    after_reset_budget,
    binding_floor,
    programme_budgets,
)
from tests.execution_builders import D, make_account

NETTING = make_account(margin_mode=MarginMode.NETTING)
MONDAY = datetime(2025, 3, 3, 12, tzinfo=UTC)  # its loss day is from 23:00 UTC of Sunday to 23:00 UTC of Monday
BEGIN = datetime(2025, 3, 2, 23, tzinfo=UTC)
TICK = timedelta(microseconds=1)
RULES_OF_TWO_STEP = {"name": "two-step", "daily_loss": D("0.05"), "max_loss": D("0.1")}


def make_standing(**changes) -> Standing:
    values = {"initial": "100000", "day_start": "101000", "highest_close": "102000", "balance": "103000"}
    return Standing(**{name: D(value) for name, value in (values | changes).items()})


def make_day(day: int, *amounts: str, opens: bool = False) -> LossDay:
    at = MONDAY + timedelta(days=day)
    bookings = tuple(Booking(at=at, amount=D(amount), opens=opens) for amount in amounts)
    return LossDay(day_on=at.date(), start=D(100_000), highest_close=D(100_000), bookings=bookings)


def judged(*days: LossDay, n_positions: int = 0, **rules) -> Judged:
    programme = Programme(**RULES_OF_TWO_STEP | rules)
    standing = make_standing(day_start="100000", highest_close="100000", balance="100000")
    return Judged(programme=programme, standing=standing, equity=D(100_000), days=days, n_positions=n_positions)


def test_a_booking_is_a_result_that_opened_nothing_unless_it_says_so():
    booking = Booking(at=MONDAY, amount=D(1))
    assert (booking.is_cash, booking.opens) == (False, False)


def test_a_programme_has_the_lines_of_the_book_and_no_least_number_of_days():
    programme = Programme(**RULES_OF_TWO_STEP)
    assert (programme.lines.soft, programme.lines.hard, programme.min_trading_days) == (D("0.8"), D("0.9"), 0)


@pytest.mark.parametrize(("soft", "hard"), [("-0.01", "1"), ("0.6", "0.5"), ("0", "1.01"), ("NaN", "1"), ("0", "NaN")])
def test_lines_that_are_out_of_order_are_refused(soft, hard):
    with pytest.raises(ValueError, match="lines must hold 0 <= soft <= hard <= 1"):
        Lines(soft=D(soft), hard=D(hard))


@pytest.mark.parametrize(("soft", "hard"), [("0", "0"), ("0.5", "0.5"), ("1", "1"), ("0", "1")])
def test_lines_may_meet(soft, hard):
    assert Lines(soft=D(soft), hard=D(hard)).hard == D(hard)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"daily_loss": "0.51"}, "daily_loss must be at most 0.5"),
        ({"max_loss": "0.51"}, "max_loss must be at most 0.5"),
        ({"daily_loss": "0"}, "daily_loss must be above 0"),
        ({"profit_target": "0"}, "profit_target must be above 0"),
        ({"best_day_share": "1.01"}, "best_day_share must be at most 1"),
        ({"min_trading_days": "-1"}, "min_trading_days must be at least 0"),
    ],
)
def test_a_programme_that_makes_no_sense_is_refused(rules, words):
    with pytest.raises(ValueError, match=words):
        Programme(**RULES_OF_TWO_STEP | {name: D(value) for name, value in rules.items()})


def test_a_programme_at_its_bounds_is_allowed():
    Programme(name="bounds", daily_loss=D("0.5"), max_loss=D("0.5"), best_day_share=D(1), profit_target=D(2))


def test_the_highest_close_is_at_least_the_initial_balance():
    assert make_standing(highest_close="100000").highest_close == 100_000
    with pytest.raises(ValueError, match="highest_close must be at least the initial balance 100000"):
        make_standing(highest_close="99999.99")


def test_a_booking_counts_from_the_first_moment_until_before_the_last():
    bookings = [Booking(at=BEGIN + shift, amount=D(10**n)) for n, shift in enumerate((-TICK, 0 * TICK, TICK))]
    assert booked(bookings, since=BEGIN) == 110
    assert booked(bookings, since=BEGIN, until=BEGIN + TICK) == 10
    assert booked(bookings, since=BEGIN - TICK, until=BEGIN) == 1


def test_a_midnight_that_is_proved_from_both_sides_is_exact():
    bookings = (Booking(at=BEGIN - TICK, amount=D(50)), Booking(at=BEGIN, amount=D(-20)))
    seen = KnownBalance(at=BEGIN - timedelta(hours=1), balance=D(1000))
    exact = midnight_balance(BEGIN, balance=D(1030), bookings=bookings, seen=seen)
    assert (exact.balance, exact.is_exact) == (1050, True)
    unproved = midnight_balance(BEGIN, balance=D(1040), bookings=bookings, seen=seen)
    assert (unproved.balance, unproved.is_exact) == (1060, False)


def test_cash_is_what_says_so():
    paid = Booking(at=MONDAY, amount=D(5), is_cash=True)
    assert cash_only([paid, Booking(at=MONDAY, amount=D(7))]) == (paid,)


def test_a_day_is_its_results_and_its_cash():
    bookings = (
        Booking(at=MONDAY, amount=D(100)),
        Booking(at=MONDAY + TICK, amount=D(1000), is_cash=True),
        Booking(at=MONDAY + 2 * TICK, amount=D(-30), opens=True),
    )
    day = LossDay(day_on=MONDAY.date(), start=D(5000), highest_close=D(6000), bookings=bookings)
    assert (day.result, day.close, day.is_trading_day) == (70, 6070, True)
    before = day.standing(D(5000), MONDAY)
    assert (before.day_start, before.balance) == (5000, 5100)
    after = day.standing(D(5000), MONDAY + TICK)
    assert (after.day_start, after.balance, after.highest_close) == (6000, 6100, 6000)


def test_a_course_holds_what_was_booked_from_its_begin_until_its_end():
    at = (MONDAY - TICK, MONDAY, MONDAY + timedelta(days=1), MONDAY + timedelta(days=1) + TICK)
    bookings = [Booking(at=moment, amount=D(10**n)) for n, moment in enumerate(at)]
    days = loss_days(D(1000), MONDAY, bookings, at[2])
    assert [(day.start, day.highest_close, day.close) for day in days] == [(1000, 1000, 1010), (1010, 1010, 1110)]
    assert len(loss_days(D(1000), MONDAY, (), MONDAY)) == 1
    with pytest.raises(ValueError, match="a course must end at or after its begin"):
        loss_days(D(1000), MONDAY, (), MONDAY - TICK)


def test_a_touch_of_a_floor_is_no_breach_and_a_cent_below_is():
    days = loss_days(D(100_000), BEGIN, (), MONDAY)
    programme = Programme(**RULES_OF_TWO_STEP)
    later = MONDAY + timedelta(days=9)
    path = [(later, D(0)), (MONDAY, D(95_000)), (MONDAY + TICK, D("94999.99"))]
    breach = first_breach(programme, D(100_000), days, path)
    assert breach is not None
    assert (breach.at, breach.rule, breach.floor) == (MONDAY + TICK, "daily_loss", 95_000)
    assert first_breach(programme, D(100_000), days, path[:2]) is None


def test_cash_of_the_day_moves_its_floor_from_then_on():
    paid = Booking(at=MONDAY, amount=D(10_000), is_cash=True)
    days = loss_days(D(100_000), BEGIN, [paid], MONDAY)
    programme = Programme(**RULES_OF_TWO_STEP)
    assert first_breach(programme, D(100_000), days, [(MONDAY - TICK, D(99_000))]) is None
    breach = first_breach(programme, D(100_000), days, [(MONDAY, D(99_000))])
    assert (breach.floor, breach.rule) == (105_000, "daily_loss")


def test_after_midnight_the_balance_is_the_new_start_and_may_be_the_highest():
    later = make_standing().after_reset()
    assert (later.initial, later.day_start, later.highest_close, later.balance) == (100_000, 103_000, 103_000, 103_000)


@pytest.mark.parametrize(("kind", "total"), [(MaxLossKind.STATIC, 90_000), (MaxLossKind.TRAILING, 92_000)])
def test_the_higher_floor_binds(kind, total):
    programme = Programme(**RULES_OF_TWO_STEP, max_loss_kind=kind)
    assert binding_floor(programme, make_standing()) == 96_000
    assert binding_floor(programme, make_standing(day_start="90000")) == total


@pytest.mark.parametrize(
    ("kind", "later"),
    [
        (MaxLossKind.STATIC, [(103_000, 98_000)]),
        (MaxLossKind.TRAILING, [(103_000, 98_000), (103_000, 93_000)]),
    ],
)
def test_shortly_before_midnight_tomorrows_budgets_bind_too(kind, later):
    programme = Programme(**RULES_OF_TWO_STEP, max_loss_kind=kind)
    midnight = BEGIN + timedelta(days=1)
    budgets = programme_budgets(programme, make_standing(), midnight - timedelta(hours=1))
    start = 102_000 if kind is MaxLossKind.TRAILING else 100_000
    assert [(b.kind, b.start, b.floor) for b in budgets] == [
        (LossKind.DAILY, 101_000, 96_000),
        (LossKind.TOTAL, start, start - 10_000),
        *((LossKind.AFTER_RESET, *bounds) for bounds in later),
    ]
    assert len(programme_budgets(programme, make_standing(), midnight - timedelta(hours=1) - TICK)) == 2


@pytest.mark.parametrize(("minutes", "hard_line"), [(60, None), (15.001, None), (15, D("0.9")), (1, D("0.9"))])
def test_the_hard_line_of_tomorrow_binds_for_a_quarter_of_an_hour(minutes, hard_line):
    at = BEGIN + timedelta(days=1) - timedelta(minutes=minutes)
    (budget,) = after_reset_budget(D(100), D(90), lines=Lines(), at=at, source="two-step")
    assert (budget.soft_line, budget.hard_line, budget.source) == (D("0.8"), hard_line, "two-step")


def test_a_limit_has_its_size_and_what_is_left_of_it():
    today = daily_loss(replace(judged(), equity=D(97_000)))
    assert (today.limit, today.value, today.left, today.floor) == (5000, 3000, 2000, 95_000)
    assert (today.state, today.is_sound) == (ObjectiveState.OK, True)
    broken = daily_loss(replace(judged(), equity=D(94_999)))
    assert (broken.state, broken.is_sound) == (ObjectiveState.BREACHED, False)


def test_what_floats_over_midnight_is_said_in_money():
    standing = make_standing(day_start="100000", highest_close="100000", balance="101000")
    later = after_reset(replace(judged(), standing=standing, equity=D(99_000)))
    assert (later.limit, later.left, later.floor) == (5000, 3000, 96_000)
    assert "-2000.00 is floating; held past midnight, 3000.00 is left" in later.message


def test_a_target_is_met_when_it_is_closed_and_nothing_is_open():
    met = judged(make_day(0, "10000"), profit_target=D("0.1"))
    assert profit_target(met).state is ObjectiveState.MET
    assert (profit_target(met).limit, profit_target(met).left) == (10_000, 0)
    assert (
        profit_target(judged(make_day(0, "10000"), n_positions=1, profit_target=D("0.1"))).state is ObjectiveState.OPEN
    )
    short = profit_target(judged(make_day(0, "9999.99"), profit_target=D("0.1")))
    assert (short.state, short.left) == (ObjectiveState.OPEN, D("0.01"))
    over = profit_target(judged(make_day(0, "12000"), profit_target=D("0.1")))
    assert (over.state, over.left, over.value) == (ObjectiveState.MET, 0, 12_000)
    assert profit_target(judged(make_day(0, "10000"))) is None


def test_trading_days_are_counted_up_to_the_least():
    days = [make_day(n, "1", opens=True) for n in range(3)]
    two = min_trading_days(judged(*days[:2], make_day(5, "1"), min_trading_days=3))
    assert (two.state, two.limit, two.value, two.left) == (ObjectiveState.OPEN, 3, 2, 1)
    three = min_trading_days(judged(*days, min_trading_days=3))
    assert (three.state, three.left) == (ObjectiveState.MET, 0)
    four = min_trading_days(judged(*days, make_day(7, "1", opens=True), min_trading_days=3))
    assert (four.state, four.value, four.left) == (ObjectiveState.MET, 4, 0)
    assert min_trading_days(judged(*days)) is None


def test_the_best_day_is_at_most_its_share_of_the_profit():
    even = best_day(judged(make_day(0, "500"), make_day(1, "500"), best_day_share=D("0.5")))
    assert (even.state, even.limit, even.value, even.left) == (ObjectiveState.MET, 500, 500, 0)
    uneven = best_day(judged(make_day(0, "600"), make_day(1, "400"), best_day_share=D("0.5")))
    assert (uneven.state, uneven.limit, uneven.value, uneven.left) == (ObjectiveState.OPEN, 500, 600, 200)
    assert best_day(judged(make_day(0, "500"))) is None


def test_the_smallest_profit_has_a_best_day():
    days = (make_day(0, "0.02"), make_day(1, "0.02"))
    assert best_day(judged(*days, best_day_share=D("0.5"))).state is ObjectiveState.MET


@pytest.mark.parametrize("days", [(), (make_day(0, "-100"),), (make_day(0, "0"),)])
def test_without_a_profit_there_is_no_best_day(days):
    none = best_day(judged(*days, best_day_share=D("0.5")))
    assert (none.state, none.limit, none.value) == (ObjectiveState.OPEN, 0, 0)
    assert none.left == -sum((day.result for day in days), Decimal(0))
