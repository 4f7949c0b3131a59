"""Programmes against an oracle that is written from the rules' texts: it asks every deal and every day, each time."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.safety.risk import LossBudget, LossKind, evaluate
from execution.safety.risk.balances import Booking, KnownBalance, midnight_balance
from execution.safety.risk.course import first_breach, loss_days
from execution.safety.risk.days import day_begin, loss_day, next_reset
from execution.safety.risk.objectives import OBJECTIVES, Judged
from execution.safety.risk.programme import MaxLossKind, Standing, programme_budgets
from tests.execution_builders import make_account, make_context, make_request
from tests.programme_builders import INITIAL, one_step, two_step

pytestmark = pytest.mark.slow

PRAGUE = ZoneInfo("Europe/Prague")
CENT = Decimal("0.01")
MINUTE = timedelta(minutes=1)
N_DAYS = 5
# Courses of five days that begin here have a day of 23 hours, one of 25, or none such.
BEGINS = [
    datetime(2026, 3, 27, 9, tzinfo=UTC),
    datetime(2026, 10, 23, 22, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
]

begins = st.sampled_from(BEGINS)
offsets = st.integers(0, N_DAYS * 24 * 60).map(lambda n: n * MINUTE)
amounts = st.integers(-700_000, 700_000).map(lambda cents: Decimal(cents) / 100)
programmes = st.sampled_from([two_step(), one_step()])
nudges = st.sampled_from([-CENT, Decimal(0), CENT])


def local_day(at: datetime) -> date:
    """Return the date on a clock in Prague."""
    return at.astimezone(PRAGUE).date()


@st.composite
def courses(draw) -> tuple[datetime, list[Booking]]:
    """Return a begin and deals of five days; every day has some at its very midnight's minute, too."""
    begin = draw(begins)
    midnights = [offset for offset in _midnights(begin) if offset >= timedelta(0)]
    moments = draw(st.lists(offsets | st.sampled_from(midnights), max_size=12).map(sorted))
    deals = [
        Booking(at=begin + offset, amount=draw(amounts), is_cash=draw(st.booleans()), opens=draw(st.booleans()))
        for offset in moments
    ]
    return begin, deals


def _midnights(begin: datetime) -> list[timedelta]:
    """Return when the clock in Prague shows 00:00, found by looking at it each hour."""
    hours = [timedelta(hours=n) for n in range(N_DAYS * 24)]
    return [hour for hour in hours if (begin + hour).astimezone(PRAGUE).hour == 0]


def oracle_floors(rules, begin: datetime, deals: list[Booking], at: datetime) -> tuple[Decimal, Decimal]:
    """Return the day's floor and the floor in all, from the texts.

    "Balance at midnight less a share of the initial capital; the first day uses the initial capital", with what was
    paid in or out since; "initial less a share", or "the highest end-of-day balance, at least the initial".
    """
    today = local_day(at)

    def balance_at_midnight(day: date) -> Decimal:
        return INITIAL + sum(d.amount for d in deals if local_day(d.at) < day)

    start = balance_at_midnight(today)
    cash = sum(d.amount for d in deals if d.is_cash and local_day(d.at) == today and d.at <= at)
    highest = INITIAL
    day = local_day(begin) + timedelta(days=1)
    while day <= today:
        highest = max(highest, balance_at_midnight(day))
        day += timedelta(days=1)
    base = INITIAL if rules.max_loss_kind is MaxLossKind.STATIC else highest
    return start + cash - rules.daily_loss * INITIAL, base - rules.max_loss * INITIAL


@settings(max_examples=150, deadline=None)
@given(courses(), programmes, st.lists(st.tuples(offsets, amounts, nudges, st.booleans()), max_size=8))
def test_the_first_breach_is_the_first_look_below_a_floor_of_the_texts(course, rules, looks):
    """Some looks are at a floor exactly, a cent above or a cent below."""
    begin, deals = course
    path = []
    for offset, amount, nudge, is_near in sorted(looks):
        floors = oracle_floors(rules, begin, deals, begin + offset)
        path.append((begin + offset, max(floors) + nudge if is_near else INITIAL + amount))
    expected = next((at for at, equity in path if equity < max(oracle_floors(rules, begin, deals, at))), None)

    days = loss_days(INITIAL, begin, deals, begin + timedelta(days=N_DAYS))
    found = first_breach(rules, INITIAL, days, path)

    assert (found.at if found else None) == expected


@settings(max_examples=150, deadline=None)
@given(courses(), programmes, offsets)
def test_floors_at_any_moment_are_those_of_the_texts(course, rules, offset):
    begin, deals = course
    at = begin + offset
    days = loss_days(INITIAL, begin, deals, at)
    standing = days[-1].standing(INITIAL, at)
    known = [deal for deal in deals if deal.at <= at]

    daily, total = programme_budgets(rules, standing, at)[:2]

    assert (daily.floor, total.floor) == oracle_floors(rules, begin, known, at)
    assert standing.balance == INITIAL + sum(deal.amount for deal in known)


@settings(max_examples=150, deadline=None)
@given(courses(), programmes, offsets)
def test_what_is_projected_is_what_the_next_midnight_brings(course, rules, offset):
    """Without a deal until then, tomorrow's floors are today's projection."""
    begin, deals = course
    at = begin + offset
    known = [deal for deal in deals if deal.at <= at]
    standing = loss_days(INITIAL, begin, known, at)[-1].standing(INITIAL, at)

    projected = programme_budgets(rules, standing.after_reset(), at)[:2]

    assert tuple(b.floor for b in projected) == oracle_floors(rules, begin, known, next_reset(at))


@settings(max_examples=200, deadline=None)
@given(begins, st.integers(0, N_DAYS * 24 * 3600), programmes)
def test_the_projection_binds_by_the_clock_in_prague(begin, seconds, rules):
    at = begin + timedelta(seconds=seconds)
    wall = at.astimezone(PRAGUE).time()
    standing = Standing(initial=INITIAL, day_start=INITIAL, highest_close=INITIAL, balance=INITIAL)

    ahead = [b for b in programme_budgets(rules, standing, at) if b.kind is LossKind.AFTER_RESET]

    assert bool(ahead) == (wall.hour == 23)
    assert any(b.hard_line is not None for b in ahead) == (wall.hour == 23 and wall.minute >= 45)


@settings(max_examples=100, deadline=None)
@given(st.dates(date(2015, 1, 1), date(2035, 12, 31)))
def test_days_follow_each_other_without_a_gap_on_the_clock_in_prague(day):
    begin, end = day_begin(day), day_begin(day + timedelta(days=1))
    n_hours = int((end - begin) / timedelta(hours=1))
    dates = Counter(local_day(begin + timedelta(hours=n)) for n in range(-3, n_hours + 3))

    assert n_hours in (23, 24, 25)
    assert dates[day] == n_hours
    assert next_reset(begin) == end
    assert loss_day(end - timedelta(microseconds=1)) == day


@settings(max_examples=150, deadline=None)
@given(courses(), programmes)
def test_goals_are_those_of_the_texts(course, rules):
    begin, deals = course
    end = begin + timedelta(days=N_DAYS)
    days = loss_days(INITIAL, begin, deals, end)
    standing = days[-1].standing(INITIAL, end)
    judged = Judged(programme=rules, standing=standing, equity=standing.balance, days=days, n_positions=0)
    won: Counter[date] = Counter()
    for deal in deals:
        won[local_day(deal.at)] += 0 if deal.is_cash else deal.amount
    profit = sum(won.values(), Decimal(0))

    assert OBJECTIVES["profit_target"](judged).state == ("met" if profit >= rules.profit_target * INITIAL else "open")
    if rules.min_trading_days:
        opened = len({local_day(deal.at) for deal in deals if deal.opens})
        assert OBJECTIVES["min_trading_days"](judged).value == opened
    if rules.best_day_share:
        best = max([*won.values(), Decimal(0)])
        is_met = profit > 0 and best * 2 <= profit
        assert (OBJECTIVES["best_day"](judged).state == "met") == is_met
        assert (OBJECTIVES["best_day"](judged).left == 0) == (best * 2 <= profit)


@settings(max_examples=200, deadline=None)
@given(courses(), st.integers(1, N_DAYS - 1), st.sampled_from(["all", "before", "after"]), st.data())
def test_a_midnight_is_exact_when_all_deals_are_known_and_never_too_low_when_one_side_is_not(course, n, known, data):
    """Whoever was away over midnight, seen last at the begin, knows all deals, or lacks some of one side."""
    begin, deals = course
    midnight = day_begin(loss_day(begin) + timedelta(days=n))
    truth = INITIAL + sum(d.amount for d in deals if d.at < midnight)
    now = INITIAL + sum(d.amount for d in deals)
    hidden_side = {
        "all": [],
        "before": [d for d in deals if d.at < midnight],
        "after": [d for d in deals if d.at >= midnight],
    }
    hidden = [d for d in hidden_side[known] if data.draw(st.booleans())]
    stored = tuple(d for d in deals if not any(d is one for one in hidden))

    found = midnight_balance(midnight, balance=now, bookings=stored, seen=KnownBalance(at=begin, balance=INITIAL))

    assert found.balance >= truth
    if not hidden:
        assert (found.balance, found.is_exact) == (truth, True)
    if found.is_exact:
        assert found.balance == truth


budgets = st.builds(
    lambda kind, start, size, soft: LossBudget(
        kind=kind, start=Decimal(start), floor=Decimal(start - size), soft_line=Decimal(soft) / 100
    ),
    st.sampled_from(LossKind),
    st.integers(95_000, 105_000),
    st.integers(0, 10_000),
    st.integers(0, 95),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(budgets, max_size=4), st.integers(90_000, 106_000), st.integers(0, 2_000))
def test_an_entry_is_refused_exactly_where_a_budget_of_its_kind_stops_entries(some, equity, worst_loss):
    """A kind without a budget refuses too, but for the next midnight's, which binds only shortly before it."""
    context = make_context(budgets=tuple(some), account=make_account(equity=str(equity)))
    request = make_request(worst_loss=Decimal(worst_loss))
    refused = {verdict.rule for verdict in evaluate(request, context) if not verdict.ok}
    rules = {"daily_loss": "daily", "total_loss": "total", "drawdown": "drawdown", "after_reset": "after_reset"}

    for rule, kind in rules.items():
        mine = [budget for budget in some if budget.kind == kind]
        is_stopped = any(equity - worst_loss <= b.start - b.soft_line * (b.start - b.floor) for b in mine)
        assert (rule in refused) == (is_stopped or (not mine and rule != "after_reset"))
