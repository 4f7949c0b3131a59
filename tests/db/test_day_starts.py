"""What a loss day began with, from the stored deals and looks, and the budgets that are measured from it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from execution.day_starts import note_day_start
from execution.limits import current_limits, loss_budgets
from execution.models import BrokerState, DayStart, Enrolment, FundedProgramme, LimitRow
from execution.programmes import enrolment_budgets, programme_standing, standing_of
from execution.safety.risk import LossKind
from execution.safety.risk.programme import Programme
from tests.execution_builders import D
from tests.programme_builders import INITIAL, book, enrol, look, make_account, make_programme, one_step, prague

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return make_account()


def budget(account, kind: LossKind, balance: str, at: str):
    found = loss_budgets(account, current_limits(), prague(at), balance=D(balance))
    return [b for b in found if b.kind is kind][-1]


def test_a_day_that_began_while_nobody_watched_starts_with_the_midnights_balance(account):
    """Last seen at 20:00 with 100,000; -2,000 at 22:30 and -1,500 at 00:10; back at 00:30 with 96,500."""
    look(account, "2026-05-05T20:00", 100_000)
    book(account, "2026-05-05T22:30", -2_000)
    book(account, "2026-05-06T00:10", -1_500)

    row = note_day_start(account, D(96_500), prague("2026-05-06T00:30"))

    assert (row.day_on, row.balance, row.is_exact) == (date(2026, 5, 6), 98_000, True)
    assert budget(account, LossKind.DAILY, "96500", "2026-05-06T00:30").floor == 93_000


def test_the_budgets_know_the_day_before_the_sentinel_has_noted_it(account):
    look(account, "2026-05-05T23:59", 104_000)
    assert budget(account, LossKind.DAILY, "104000", "2026-05-06T00:00").floor == 99_000
    assert not DayStart.objects.exists()


def test_every_day_of_a_downtime_gets_its_start(account):
    look(account, "2026-03-27T20:00", 100_000)
    note_day_start(account, D(100_000), prague("2026-03-27T20:00"))
    for at, amount in (
        ("2026-03-28T12:00", 700),
        ("2026-03-29T00:30", 20),  # the first of the 23 hours
        ("2026-03-29T23:30", 5),  # 21:30 in UTC, for it is summer
        ("2026-03-30T00:30", 1),  # 22:30 in UTC, and the next day
    ):
        book(account, at, amount)

    note_day_start(account, D(100_726), prague("2026-03-30T09:00"))

    starts = dict(DayStart.objects.filter(is_exact=True).values_list("day_on", "balance"))
    assert starts == {date(2026, 3, 28): 100_000, date(2026, 3, 29): 100_700, date(2026, 3, 30): 100_725}


def test_what_follows_in_the_day_changes_nothing(account):
    look(account, "2026-05-05T23:59", 100_000)
    for at, balance in (("2026-05-06T00:01", 100_000), ("2026-05-06T12:00", 97_000), ("2026-05-06T18:00", 105_000)):
        assert note_day_start(account, D(balance), prague(at)).balance == 100_000


@pytest.mark.parametrize("amount", [20_000, -20_000])
def test_what_is_paid_in_or_out_moves_the_start_and_is_no_loss(account, amount):
    look(account, "2026-05-05T23:59", 100_000)
    note_day_start(account, D(100_000), prague("2026-05-06T00:01"))
    book(account, "2026-05-06T10:00", amount, entry="cash")
    for _ in range(2):
        row = note_day_start(account, INITIAL + amount, prague("2026-05-06T10:01"))

    assert (row.balance, row.close_before) == (INITIAL + amount, INITIAL)
    assert budget(account, LossKind.DAILY, str(INITIAL + amount), "2026-05-06T10:01").floor == 95_000 + amount


@pytest.mark.parametrize("noted_before", [True, False])
def test_a_charge_is_a_loss(account, noted_before):
    look(account, "2026-05-05T23:59", 100_000)
    if noted_before:
        note_day_start(account, D(100_000), prague("2026-05-06T00:01"))
    book(account, "2026-05-06T10:00", -900, entry="charge")

    assert note_day_start(account, D(99_100), prague("2026-05-06T10:01")).balance == 100_000
    assert budget(account, LossKind.DAILY, "99100", "2026-05-06T10:01").floor == 95_000


def test_two_movements_of_a_day_both_count_once(account):
    look(account, "2026-05-05T23:59", 100_000)
    note_day_start(account, D(100_000), prague("2026-05-06T00:01"))
    for hour, amount, start in ((10, 20_000, 120_000), (11, -5_000, 115_000), (12, 0, 115_000)):
        book(account, f"2026-05-06T{hour}:00", amount, entry="cash")
        assert note_day_start(account, D(start), prague(f"2026-05-06T{hour}:01")).balance == start


def test_cash_counts_on_the_day_on_which_it_moved(account):
    """Nobody looked on the 6th, and 20,000 came in on the 7th: the 6th began with 100,000 and ended with them."""
    look(account, "2026-05-05T12:00", 100_000)
    note_day_start(account, D(100_000), prague("2026-05-05T12:00"))
    book(account, "2026-05-07T08:00", 20_000, entry="cash")
    note_day_start(account, D(120_000), prague("2026-05-07T09:00"))
    starts = DayStart.objects.filter(day_on__gte=date(2026, 5, 6)).order_by("day_on")
    assert [(row.balance, row.close_before) for row in starts] == [(100_000, 100_000), (120_000, 100_000)]


def test_the_newest_look_before_midnight_proves_what_an_older_one_cannot(account):
    """Between the first two looks 700 were lost in a deal that is not known; it says nothing of the midnight after."""
    look(account, "2026-05-04T12:00", 100_000)
    look(account, "2026-05-05T12:00", 99_300)
    book(account, "2026-05-05T18:00", -300)
    row = note_day_start(account, D(99_000), prague("2026-05-06T08:00"))
    assert (row.balance, row.is_exact) == (99_000, True)


def test_without_proof_the_careful_balance_counts_until_the_deals_prove_another(account):
    """The balance is 3,000 lower and no deal says when: it counts as lost today. Then the deal of yesterday comes."""
    look(account, "2026-05-05T20:00", 100_000)
    careful = note_day_start(account, D(97_000), prague("2026-05-06T08:00"))
    assert (careful.balance, careful.is_exact) == (100_000, False)

    book(account, "2026-05-05T21:00", -3_000)
    proved = note_day_start(account, D(97_000), prague("2026-05-06T08:01"))
    assert (proved.balance, proved.is_exact) == (97_000, True)


def test_a_look_in_the_minute_of_a_deal_proves_nothing(account):
    """At 20:05 half of a trade may be booked; the look at 20:00 is clear."""
    look(account, "2026-05-05T20:00", 100_000)
    look(account, "2026-05-05T20:05", 99_950)
    book(account, "2026-05-05T20:05:30", -100)
    row = note_day_start(account, D(99_900), prague("2026-05-06T00:00:01"))
    assert (row.balance, row.is_exact) == (99_900, True)


def test_a_new_account_starts_with_the_higher_of_now_and_then(account):
    book(account, "2026-05-06T07:00", -1_000)
    row = note_day_start(account, D(99_000), prague("2026-05-06T08:00"))
    assert (row.balance, row.is_exact) == (100_000, False)


def test_money_that_is_paid_out_is_no_fall_from_the_highest_equity(account):
    """108,000 at the top, 30,000 paid out: the top is 78,000, and 5,000 paid in make it 83,000."""
    look(account, "2026-05-04T10:00", 100_000)
    look(account, "2026-05-04T12:00", 100_000, 108_000)
    book(account, "2026-05-05T10:00", -30_000, entry="cash")
    look(account, "2026-05-05T10:01", 70_000)
    book(account, "2026-05-06T10:00", 5_000, entry="cash")
    look(account, "2026-05-06T10:01", 75_000)

    assert budget(account, LossKind.DRAWDOWN, "75000", "2026-05-06T12:00").start == 83_000
    assert budget(account, LossKind.TOTAL, "75000", "2026-05-06T12:00").start == 75_000


def test_a_new_top_after_a_movement_is_a_top(account):
    look(account, "2026-05-04T10:00", 100_000)
    book(account, "2026-05-05T10:00", 10_000, entry="cash")
    look(account, "2026-05-05T12:00", 110_000, 117_000)
    assert budget(account, LossKind.DRAWDOWN, "110000", "2026-05-06T12:00").start == 117_000


def test_a_deposit_that_opened_the_account_is_in_its_initial_balance(account):
    book(account, "2026-05-04T09:59", 100_000, entry="cash")
    look(account, "2026-05-04T10:00", 100_000)
    assert budget(account, LossKind.TOTAL, "100000", "2026-05-04T12:00").start == 100_000


def test_tomorrows_floor_of_our_own_limit_binds_before_midnight(account):
    look(account, "2026-05-05T23:59", 100_000)
    kinds = {b.kind for b in loss_budgets(account, current_limits(), prague("2026-05-06T22:59:59"), balance=D(103_000))}
    assert LossKind.AFTER_RESET not in kinds
    near = budget(account, LossKind.AFTER_RESET, "103000", "2026-05-06T23:00")
    assert (near.start, near.floor, near.entry_floor, near.kill_floor) == (103_000, 98_000, 99_000, None)
    assert budget(account, LossKind.AFTER_RESET, "103000", "2026-05-06T23:45").kill_floor == 98_500


def test_a_hard_line_above_the_soft_one_stops_entries_too(account):
    LimitRow.objects.create(name="loss_hard_line", value=D("0.5"))
    daily = budget(account, LossKind.DAILY, "100000", "2026-05-06T12:00")
    assert (daily.entry_floor, daily.kill_floor) == (97_500, 97_500)


# --- programmes ---------------------------------------------------------------------------------------------------


def test_a_programmes_first_day_begins_with_its_capital(account):
    """50,000 were lost before the programme began; they are not its business."""
    look(account, "2026-05-04T08:00", 150_000)
    book(account, "2026-05-04T08:30", -50_000)
    enrolment = enrol(account, "2026-05-04T09:00")
    standing = standing_of(enrolment, D(98_000), prague("2026-05-04T20:00"))
    assert (standing.day_start, standing.highest_close) == (100_000, 100_000)


def test_a_trailing_floor_is_of_the_highest_midnight_also_of_one_that_nobody_watched(account):
    enrolment = enrol(account, "2026-05-04T09:00", one_step())
    look(account, "2026-05-04T09:00", 100_000)
    note_day_start(account, D(100_000), prague("2026-05-04T09:00"))
    book(account, "2026-05-05T12:00", 6_000)
    book(account, "2026-05-06T12:00", -4_000)
    at = prague("2026-05-07T09:00")
    note_day_start(account, D(102_000), at)

    standing = standing_of(enrolment, D(102_000), at)

    assert (standing.day_start, standing.highest_close) == (102_000, 106_000)
    floors = {b.kind: b.floor for b in enrolment_budgets(account, D(102_000), at)}
    assert floors == {LossKind.DAILY: 99_000, LossKind.TOTAL: 96_000}


def test_the_programmes_budget_counts_where_it_is_stricter_than_our_own(account):
    look(account, "2026-05-05T23:59", 100_000)
    assert budget(account, LossKind.DAILY, "100000", "2026-05-06T12:00").source == "limits"
    enrolment = enrol(account, "2026-05-04T09:00", one_step())
    strictest = budget(account, LossKind.DAILY, "100000", "2026-05-06T12:00")
    assert (strictest.source, strictest.floor) == ("one-step", 97_000)

    Enrolment.objects.filter(pk=enrolment.pk).update(ended_at=prague("2026-05-06T10:00"))
    assert budget(account, LossKind.DAILY, "100000", "2026-05-06T12:00").source == "limits"


def test_a_breach_that_is_over_is_still_one(account):
    enrolment = enrol(account, "2026-05-04T09:00")
    look(account, "2026-05-04T10:00", 100_000)
    look(account, "2026-05-04T11:00", 100_000, "94999.99")
    look(account, "2026-05-04T12:00", 100_000)
    found = programme_standing(
        enrolment, balance=INITIAL, equity=INITIAL, n_positions=0, market_at=prague("2026-05-04T13:00")
    )
    assert found.breach is not None
    assert (found.breach.at, found.breach.rule, found.breach.floor) == (
        prague("2026-05-04T11:00"),
        "daily_loss",
        95_000,
    )
    assert not found.is_sound


def test_deals_that_do_not_explain_the_balance_are_told(account):
    enrolment = enrol(account, "2026-05-04T09:00")
    look(account, "2026-05-04T10:00", 100_000)
    book(account, "2026-05-04T11:00", 300)
    found = programme_standing(
        enrolment, balance=D(100_250), equity=D(100_250), n_positions=0, market_at=prague("2026-05-04T13:00")
    )
    assert found.unexplained == -50


def test_an_account_is_held_to_one_programme_at_a_time(account):
    enrol(account, "2026-05-04T09:00")
    with pytest.raises(IntegrityError), transaction.atomic():
        enrol(account, "2026-05-05T09:00", one_step())


@pytest.mark.parametrize(
    "wrong",
    [
        {"daily_loss": D("0.00001")},
        {"daily_loss": D("0.6")},
        {"daily_loss": D(0)},
        {"soft_line": D("0.95")},
        {"profit_target": D(0)},
    ],
)
def test_a_row_of_rules_that_make_no_sense_is_refused(wrong):
    row = make_programme()
    for name, value in wrong.items():
        setattr(row, name, value)
    with pytest.raises(ValidationError):
        row.full_clean()


def test_rows_that_the_site_begins_with_are_the_firms_rules():
    """As FTMO's pages have them, see docs/settings.md."""
    from importlib import import_module

    rows = import_module("execution.migrations.0004_add_programmes").PROGRAMMES
    rules: dict[str, Programme] = {key: FundedProgramme(key=key, **row).rules() for key, row in rows.items()}
    two, one = rules["ftmo-2-step-challenge"], rules["ftmo-1-step-challenge"]
    tenth = Decimal("0.1")
    assert (two.daily_loss, two.max_loss, two.max_loss_kind) == (D("0.05"), tenth, "static")
    assert (two.profit_target, two.min_trading_days, two.best_day_share) == (tenth, 4, None)
    assert (one.daily_loss, one.max_loss, one.max_loss_kind) == (D("0.03"), tenth, "trailing")
    assert (one.profit_target, one.min_trading_days, one.best_day_share) == (tenth, 0, D("0.5"))
    assert rules["ftmo-2-step-verification"].profit_target == D("0.05")
    assert {rules[key].profit_target for key in rules if key.endswith("funded")} == {None}


def test_without_a_balance_the_newest_that_was_seen_counts(account):
    BrokerState.objects.create(account=account, balance=D(104_000), equity=D(104_000), margin=D(0))
    look(account, "2026-05-05T23:59", 104_000)
    found = loss_budgets(account, current_limits(), prague("2026-05-06T12:00"))
    assert [b.start for b in found if b.kind is LossKind.DAILY] == [104_000]
