"""Every number, time and age on a page is written by one of these filters."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tradingsite.templatetags import desk

FILTERS = (desk.money, desk.price, desk.lots, desk.signed, desk.pct, desk.signed_pct, desk.bps)
NNBSP, NBSP, MINUS = "\u202f", "\u00a0", "\u2212"


@pytest.mark.parametrize("write", FILTERS)
@pytest.mark.parametrize(
    "value", [None, math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("Infinity"), "12", True]
)
def test_what_is_not_a_finite_number_is_a_dash(write, value):
    assert write(value) == "—"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("100489.51"), f"100{NNBSP}489.51"),
        (1234567.891, f"1{NNBSP}234{NNBSP}567.89"),
        (999, "999.00"),
        (-367.94, f"{MINUS}367.94"),
        (0, "0.00"),
        (Decimal("-0.004"), "0.00"),
        (-0.0, "0.00"),
    ],
)
def test_money_is_grouped_with_a_narrow_space_and_has_a_true_minus(value, shown):
    assert desk.money(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(353.45, "+353.45"), (-9.99, f"{MINUS}9.99"), (0, "0.00"), (0.004, "0.00"), (0.006, "+0.01")]
)
def test_a_change_has_a_sign_unless_it_reads_zero(value, shown):
    assert desk.signed(value) == shown


def test_a_price_has_its_symbols_digits():
    assert desk.price(Decimal("61204.1"), 2) == f"61{NNBSP}204.10"
    assert desk.price(1.1, 5) == "1.10000"
    assert desk.price(149, 0) == "149"


@pytest.mark.parametrize(
    ("value", "places", "shown"), [(0.926412, 1, "92.6"), (-0.003648, 2, f"{MINUS}0.36"), (1.0, 0, "100")]
)
def test_a_fraction_is_written_in_per_cent(value, places, shown):
    assert desk.pct(value, places) == shown


def test_a_signed_fraction_keeps_its_plus():
    assert desk.signed_pct(0.31) == "+31.0"
    assert desk.signed_pct(-0.0651) == f"{MINUS}6.5"


def test_basis_points_are_ten_thousandths():
    assert desk.bps(0.0004) == "4.0"
    assert desk.bps(Decimal("-0.00125"), 2) == f"{MINUS}12.50"


def test_what_is_unknown_has_no_unit():
    assert desk.unit("92.6", "%") == f"92.6{NBSP}%"
    assert desk.unit("—", "%") == "—"
    assert desk.unit("12", "") == "12"


@pytest.mark.parametrize(
    ("value", "arrow", "style"),
    [
        (1, "▲", "gain"),
        (-1, "▼", "loss"),
        (0, "", "flat"),
        (-0.004, "", "flat"),
        (None, "", "flat"),
        (math.nan, "", "flat"),
    ],
)
def test_arrow_and_class_agree_with_what_is_read(value, arrow, style):
    assert desk.arrow(value) == arrow
    assert desk.sign_class(value) == style


def test_a_small_fraction_has_an_arrow_when_asked_for_its_places():
    assert desk.arrow(-0.003648, 2) == ""
    assert desk.arrow(-0.003648, 4) == "▼"


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (0.83, f"0.8{NBSP}s"),
        (9.96, f"9{NBSP}s"),
        (22.9, f"22{NBSP}s"),
        (89.9, f"89{NBSP}s"),
        (131, f"2{NBSP}min"),
        (5399, f"89{NBSP}min"),
        (5400, f"1{NBSP}h"),
        (172_800, f"2{NBSP}d"),
        (timedelta(hours=3, minutes=59), f"3{NBSP}h"),
        (-4, f"0.0{NBSP}s"),
        (None, "—"),
        (math.inf, "—"),
    ],
)
def test_an_age_is_rounded_down_so_that_it_never_looks_older_than_it_is(age, shown):
    assert desk.ago(age) == shown


@pytest.mark.parametrize(
    ("left", "shown"),
    [
        (3398, "56:38"),
        (59.9, "0:59"),
        (28_598, "7:56:38"),
        (3600, "1:00:00"),
        (172_799, "47:59:59"),
        (187_200, f"2{NBSP}d 4{NBSP}h"),
        (timedelta(minutes=11, seconds=43), "11:43"),
        (-5, "0:00"),
        (None, "—"),
    ],
)
def test_a_countdown_shows_hours_only_when_there_are_some(left, shown):
    assert desk.countdown(left) == shown


def test_moments_are_written_in_utc():
    prague = datetime(2025, 8, 22, 16, 3, 22, tzinfo=timezone(timedelta(hours=2)))
    assert desk.utc(prague) == "14:03:22"
    assert desk.utc(prague, "full") == "2025-08-22 14:03:22 UTC"
    assert desk.utc(prague, "minute") == "14:03"
    assert desk.iso(prague) == "2025-08-22T14:03:22.000Z"


def test_an_unknown_moment_is_a_dash_for_people_and_empty_for_machines():
    assert desk.utc(None) == "—"
    assert desk.iso(None) == ""


def test_a_naive_moment_is_refused_because_nobody_knows_what_it_means():
    naive = datetime(2025, 8, 22, 14, 3, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="must be aware"):
        desk.utc(naive)
