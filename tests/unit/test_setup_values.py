"""Setups, outcomes and terms hold what must be true of them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from mlfilter.setups import Barriers, Costs, Direction, ExitReason, TradeOutcome, TradeSetup, make_setup

BAR_AT = datetime(2026, 1, 5, 10, 15, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def setup(direction: Direction = Direction.LONG, **judged) -> TradeSetup:
    entry = judged.pop("entry", 100.1)
    return make_setup(
        "ETHUSDT", BAR_AT, direction=direction, entry=entry, barriers=Barriers(), **{"threshold": 0.65, **judged}
    )


def outcome(**changed) -> TradeOutcome:
    usual = {
        "symbol": "ETHUSDT",
        "bar_at": BAR_AT,
        "direction": Direction.LONG,
        "entry_at": BAR_AT + QUARTER,
        "exit_at": BAR_AT + 4 * QUARTER,
        "entry_price": Decimal(100),
        "exit_price": Decimal(102),
        "quantity": Decimal("0.5"),
        "exit_reason": ExitReason.TARGET,
        "pnl": Decimal("0.9"),
        "r": 1.2,
        "fees": Decimal("0.1"),
        "slippage": Decimal("-0.01"),
    }
    return TradeOutcome(**{**usual, **changed})


def test_a_long_setup_has_its_stop_below_and_its_target_above_in_exact_decimals():
    made = setup()
    assert (made.entry, made.stop, made.target) == (Decimal("100.1"), Decimal("98.5985"), Decimal("102.102"))
    assert made.stop_distance == Decimal("1.5015")


def test_a_short_setup_is_the_mirror():
    made = setup(Direction.SHORT)
    assert (made.stop, made.target) == (Decimal("101.6015"), Decimal("98.098"))
    assert made.stop_distance == Decimal("1.5015")
    assert (Direction.LONG.sign, Direction.SHORT.sign) == (1, -1)


@pytest.mark.parametrize(
    ("direction", "changed"),
    [
        (Direction.LONG, {"stop": Decimal(101)}),
        (Direction.LONG, {"target": Decimal(100)}),
        (Direction.LONG, {"stop": Decimal("100.1")}),
        (Direction.SHORT, {"stop": Decimal(100)}),
        (Direction.SHORT, {"target": Decimal(101)}),
    ],
)
def test_stop_entry_and_target_are_in_their_order(direction, changed):
    with pytest.raises(ValueError, match=f"a {direction} setup needs"):
        replace(setup(direction), **changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"symbol": ""}, "needs a symbol"),
        ({"bar_at": datetime(2026, 1, 5)}, "bar_at must be an aware UTC time"),  # noqa: DTZ001
        ({"bar_at": BAR_AT.astimezone(timezone(timedelta(hours=2)))}, "bar_at must be an aware UTC time"),
        ({"entry": Decimal("NaN")}, "entry must be finite and above 0"),
        ({"stop": Decimal(-1)}, "stop must be finite and above 0"),
        ({"threshold": 65}, "threshold must be within 0..1, was 65"),
        ({"threshold": float("nan")}, "threshold must be within 0..1"),
        ({"confidence": 1.1}, "confidence must be within 0..1, was 1.1"),
    ],
)
def test_a_setup_with_something_else_in_it_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(setup(), **changed)


def test_nothing_is_approved_below_its_threshold_or_unjudged():
    assert setup(confidence=0.65, approved=True).approved
    for confidence in (0.649, None, 0.0):
        with pytest.raises(ValueError, match=r"at least its threshold 0\.65"):
            setup(confidence=confidence, approved=True)
    with pytest.raises(ValueError, match="confidence must be within"):
        setup(confidence=float("nan"), approved=True)


def test_a_setup_keeps_its_own_copy_and_can_be_written_down():
    signals = {"rsi_14": 22.0}
    made = setup(signals=signals, context={"atr_pct": 0.01}, reasons=("far from its mean",))
    signals["rsi_14"] = 99.0
    assert made.signals == {"rsi_14": 22.0}
    assert asdict(made)["context"] == {"atr_pct": 0.01}
    with pytest.raises(FrozenInstanceError):
        made.approved = True


def test_an_outcome_knows_whether_it_won_and_how_long_it_took():
    assert outcome().is_win
    assert not outcome(pnl=Decimal(0)).is_win
    assert outcome().held == 3 * QUARTER


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"entry_at": BAR_AT}, "entered after its bar opened"),
        ({"exit_at": BAR_AT}, "entered after its bar opened"),
        ({"quantity": Decimal(0)}, "quantity must be finite and above 0"),
        ({"exit_price": Decimal("Infinity")}, "exit_price must be finite"),
        ({"pnl": Decimal("NaN")}, "pnl, slippage and r must be finite"),
        ({"r": float("inf")}, "pnl, slippage and r must be finite"),
        ({"fees": Decimal(-1)}, "fees must be at least 0"),
        ({"exit_at": datetime(2026, 1, 5, 12)}, "exit_at must be an aware UTC time"),  # noqa: DTZ001
    ],
)
def test_an_outcome_with_something_else_in_it_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        outcome(**changed)


def test_an_outcome_may_end_in_the_moment_of_its_entry():
    assert outcome(exit_at=BAR_AT + QUARTER).held == timedelta(0)


def test_exit_reasons_are_those_of_the_rows():
    assert [str(reason) for reason in ExitReason] == ["stop", "target", "timeout", "manual", "kill"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Barriers(stop_pct=0.0009), r"stop_pct must be within 0.001..0.2, was 0.0009"),
        (lambda: Barriers(stop_pct=1.5), "stop_pct must be within"),
        (lambda: Barriers(target_pct=0.51), "target_pct must be within"),
        (lambda: Barriers(horizon=0), "horizon must be a whole number within 1..10000, was 0"),
        (lambda: Barriers(horizon=2.5), "horizon must be a whole number"),
        (lambda: Barriers(horizon=True), "horizon must be a whole number"),
        (lambda: Costs(fee=-0.001), "fee must be within 0..0.05"),
        (lambda: Costs(slippage=0.5), "slippage must be within"),
    ],
)
def test_terms_outside_what_they_may_be_are_refused(made, message):
    with pytest.raises(ValueError, match=message):
        made()


def test_a_fill_costs_all_three():
    assert Costs(half_spread=0.0001, slippage=0.0002, fee=0.001).rate == pytest.approx(0.0013)
