from __future__ import annotations

from dataclasses import replace

import pytest

from execution.planning.adjust import Plan, plan_adjustment, plan_open_after_close
from execution.planning.orders import Leg, MarginMode, Scene, Side
from tests.execution_builders import D, make_position, make_spec

HEDGING, NETTING = MarginMode.HEDGING, MarginMode.NETTING
both = pytest.mark.parametrize("mode", [HEDGING, NETTING])


def plan(target, *positions, mode=HEDGING, band="0", **spec):
    return plan_adjustment(
        target_lots=D(target), positions=positions, spec=make_spec(**spec), margin_mode=mode, band=D(band)
    )


def legs_of(plan: Plan) -> list[tuple[str, int | None]]:
    return [(f"{leg.signed_volume.normalize():f}", leg.ticket) for leg in plan.legs]


@both
@pytest.mark.parametrize(
    ("held", "target", "scene", "legs"),
    [
        (None, "0.3", Scene.NEW, [("0.3", None)]),
        (None, "-0.3", Scene.NEW, [("-0.3", None)]),
        ("0.2", "0.3", Scene.INCREASE, [("0.1", None)]),
        ("-0.2", "-0.3", Scene.INCREASE, [("-0.1", None)]),
        ("0.3", "0.1", Scene.REDUCE, [("-0.2", 1)]),
        ("-0.3", "-0.1", Scene.REDUCE, [("0.2", 1)]),
        ("0.3", "0", Scene.CLOSE, [("-0.3", 1)]),
        ("-0.3", "0", Scene.CLOSE, [("0.3", 1)]),
        ("0.3", "-0.2", Scene.REVERSE, [("-0.3", 1), ("-0.2", None)]),
        ("-0.3", "0.2", Scene.REVERSE, [("0.3", 1), ("0.2", None)]),
        ("0.3", "0.3", Scene.HOLD, []),
        (None, "0", Scene.HOLD, []),
    ],
)
def test_each_scene_has_its_legs(mode, held, target, scene, legs):
    positions = [make_position(held)] if held else []
    made = plan(target, *positions, mode=mode)
    assert (made.scene, legs_of(made)) == (scene, legs)


@both
def test_what_closes_says_that_it_reduces_and_what_opens_does_not(mode):
    made = plan("-0.2", make_position("0.3"), mode=mode)
    assert [leg.reduces for leg in made.legs] == [True, False]
    assert [leg.sequence for leg in made.legs] == [0, 1]
    assert (made.closing_legs, made.opening_legs) == (made.legs[:1], made.legs[1:])


def test_hedging_closes_the_oldest_ticket_first_and_the_last_in_part():
    young, middle, old = (make_position("0.1", ticket=ticket, age_h=ticket) for ticket in (1, 2, 3))
    assert legs_of(plan("0.15", young, middle, old)) == [("-0.1", 3), ("-0.05", 2)]


def test_on_a_netting_account_no_order_is_larger_than_the_position():
    made = plan("-0.5", make_position("0.2"), mode=NETTING)
    assert [leg.volume for leg in made.legs] == [D("0.2"), D("0.5")]


@both
def test_orders_above_the_largest_volume_are_split(mode):
    made = plan("-1", make_position("2.5"), mode=mode, volume_max="1")
    assert legs_of(made) == [("-1", 1), ("-1", 1), ("-0.5", 1), ("-1", None)]


@both
def test_changes_of_size_below_the_band_are_left_alone(mode):
    assert plan("0.33", make_position("0.3"), mode=mode, band="0.05").scene is Scene.HOLD
    assert plan("0.35", make_position("0.3"), mode=mode, band="0.05").scene is Scene.INCREASE


@both
@pytest.mark.parametrize("target", ["0", "-0.01"])
def test_the_band_never_keeps_a_position_that_should_be_gone(mode, target):
    made = plan(target, make_position("0.03"), mode=mode, band="0.05")
    assert legs_of(made)[0] == ("-0.03", 1)


def test_a_hedge_of_our_own_is_unwound_even_when_the_net_is_on_target():
    made = plan("0.2", make_position("0.3", ticket=1), make_position("-0.1", ticket=2))
    assert (made.scene, made.current_lots, made.delta_lots) == (Scene.REDUCE, D("0.2"), 0)
    # The heavier side first: the net goes 0.2, 0.1, 0.2 and never above.
    assert legs_of(made) == [("-0.1", 1), ("0.1", 2)]


def test_closing_everything_closes_both_sides():
    made = plan("0", make_position("0.3", ticket=1), make_position("-0.1", ticket=2))
    assert legs_of(made) == [("-0.3", 1), ("0.1", 2)]


def test_a_balanced_hedge_is_not_flat():
    made = plan("0", make_position("0.1", ticket=1), make_position("-0.1", ticket=2))
    assert made.scene is Scene.CLOSE
    assert len(made.legs) == 2


def test_a_part_that_is_too_small_to_send_stays():
    made = plan("0.25", make_position("0.3"), volume_min="0.1")
    assert made.scene is Scene.HOLD
    assert "too small" in made.reason


def test_no_rest_is_left_that_could_not_be_closed_later():
    # 0.15 of 0.2 would leave 0.05, below the smallest order.
    positions = make_position("0.2", ticket=1, age_h=2), make_position("0.3", ticket=2)
    assert legs_of(plan("0.35", *positions, volume_min="0.1")) == [("-0.1", 1)]


def test_dust_off_the_grid_is_named_and_left():
    made = plan("0", make_position("0.005"))
    assert made.scene is Scene.HOLD
    assert "0.005" in made.reason


@both
def test_nothing_is_opened_while_dust_is_left_on_the_other_side(mode):
    assert legs_of(plan("-0.1", make_position("0.025"), mode=mode)) == [("-0.02", 1)]


@both
def test_the_opening_leg_is_planned_from_what_is_really_left(mode):
    def reopened(*positions):
        return plan_open_after_close(target_lots=D("-0.2"), positions=positions, spec=make_spec(), margin_mode=mode)

    assert legs_of(reopened()) == [("-0.2", None)]
    # The close was filled in part: opening now would flip, or hedge.
    left = reopened(make_position("0.1"))
    assert (left.scene, left.legs) == (Scene.HOLD, ())
    assert "0.10 lots are still to be closed" in left.reason
    # A late fill of an earlier attempt has opened half of it already.
    assert legs_of(reopened(make_position("-0.1"))) == [("-0.1", None)]


@pytest.mark.parametrize("target", ["0.015", "0.005", "NaN", "Infinity"])
def test_a_target_off_the_grid_is_refused(target):
    with pytest.raises(ValueError, match="target"):
        plan(target)


def test_a_target_below_the_smallest_volume_is_refused():
    with pytest.raises(ValueError, match=r"from 0\.1"):
        plan("0.05", volume_min="0.1")


def test_another_symbols_position_is_refused():
    with pytest.raises(ValueError, match="must be one of BTCUSD, was one of ETHUSD"):
        plan("0", make_position("0.1", symbol="ETHUSD"))


def test_two_positions_of_a_netting_account_are_refused():
    with pytest.raises(ValueError, match="at most 1 position"):
        plan("0", make_position("0.1"), make_position("0.1", ticket=2), mode=NETTING)


def test_a_plan_without_legs_holds_and_one_with_legs_does_not():
    with pytest.raises(ValueError, match="no legs"):
        replace(plan("0"), scene=Scene.CLOSE)


@pytest.mark.parametrize("changes", [{"volume": D("0")}, {"volume": D("NaN")}, {"ticket": 7}, {"scene": Scene.HOLD}])
def test_a_leg_that_makes_no_sense_cannot_be_made(changes):
    values = {"scene": Scene.NEW, "symbol": "BTCUSD", "side": Side.BUY, "volume": D("1")}
    with pytest.raises(ValueError, match=r"must|carries"):
        Leg(**{**values, "reduces": False, "sequence": 0, **changes})
