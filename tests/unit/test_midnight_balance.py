"""The balance at a midnight that nobody watched: from the deals around it, and from the careful side without proof."""

from __future__ import annotations

from decimal import Decimal

import pytest

from execution.safety.risk.balances import KnownBalance, Midnight, midnight_balance
from tests.execution_builders import D
from tests.programme_builders import deal, prague

MIDNIGHT = prague("2026-05-06T00:00")


def at_midnight(balance: str, *deals, seen: str | None = None, seen_at: str = "2026-05-05T20:00") -> Midnight:
    known = KnownBalance(at=prague(seen_at), balance=D(seen)) if seen else None
    return midnight_balance(MIDNIGHT, balance=D(balance), bookings=deals, seen=known)


EVENING, NIGHT = deal("2026-05-05T22:30", -2_000), deal("2026-05-06T00:10", -1_500)


def test_deals_before_and_after_midnight_are_told_apart():
    """Seen at 20:00 with 100,000; -2,000 at 22:30, -1,500 at 00:10: 98,000 at midnight, 96,500 at 00:30."""
    assert at_midnight("96500", EVENING, NIGHT, seen="100000") == Midnight(balance=D(98_000), is_exact=True)


@pytest.mark.parametrize(
    ("second", "expected"),
    [("2026-05-05T23:59:59", 99_000), ("2026-05-06T00:00:00", 100_000), ("2026-05-06T00:00:01", 100_000)],
)
def test_a_deal_at_midnight_itself_is_the_new_days(second, expected):
    assert at_midnight("99000", deal(second, -1_000), seen="100000") == Midnight(balance=D(expected), is_exact=True)


def test_the_last_look_before_midnight_is_never_taken_as_it_is():
    """It showed 100,000, and 2,000 were lost after it and before midnight."""
    assert at_midnight("98000", EVENING, seen="100000").balance == D(98_000)


def test_a_deal_that_is_not_known_leaves_the_highest_candidate():
    """The balance is 500 lower than the deals say: it was lost before midnight, or after."""
    assert at_midnight("96000", EVENING, NIGHT, seen="100000") == Midnight(balance=D(98_000), is_exact=False)
    assert at_midnight("97000", EVENING, NIGHT, seen="100000") == Midnight(balance=D(98_500), is_exact=False)


def test_without_an_earlier_look_the_higher_of_now_and_then_counts():
    assert at_midnight("98500", NIGHT) == Midnight(balance=D(100_000), is_exact=False)
    assert at_midnight("101500", deal("2026-05-06T00:10", 1_500)) == Midnight(balance=D(101_500), is_exact=False)


def test_cash_after_midnight_was_not_there_at_midnight():
    paid_in = deal("2026-05-06T08:00", 50_000, is_cash=True)
    assert at_midnight("148500", NIGHT, paid_in, seen="100000") == Midnight(balance=D(100_000), is_exact=True)
    assert at_midnight("50000", paid_in).balance == Decimal(0)
