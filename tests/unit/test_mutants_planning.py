"""Plans, sizes and roundings where one step more or less, or a default, would have made another order."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest

from execution.planning.adjust import Plan, plan_adjustment, plan_open_after_close
from execution.planning.orders import (
    MarginMode,
    Scene,
)
from execution.planning.portfolio import (
    CapitalRule,
    ModelPosition,
    capital_per_asset,
    combine,
    effective_capital,
    equal_weights,
)
from execution.planning.rounding import (
    is_on_step,
    money_from_float_half_even,
    round_down_to_step,
    split_by_max,
    volume_from_float_half_even,
)
from execution.planning.sizing import CAPPED, SizingRules, contract_value, size_target
from tests.execution_builders import D, make_account, make_position, make_spec

HEDGING, NETTING = MarginMode.HEDGING, MarginMode.NETTING
ELSEWHERE = datetime(2025, 3, 3, 13, tzinfo=timezone(timedelta(hours=1)))
NAIVE = datetime(2025, 3, 3, 12)  # noqa: DTZ001 (what is refused)


def plan(target, *positions, mode=HEDGING, band=None, **spec) -> Plan:
    more = {} if band is None else {"band": D(band)}
    return plan_adjustment(target_lots=D(target), positions=positions, spec=make_spec(**spec), margin_mode=mode, **more)


def legs_of(made: Plan) -> list[tuple[str, int | None]]:
    return [(f"{leg.signed_volume.normalize():f}", leg.ticket) for leg in made.legs]


def size(position_pct: float, *, value="10", capital="100", rules=None, **spec):
    return size_target(
        position_pct, spec=make_spec(**spec), contract_value=D(value), capital_per_asset=D(capital), rules=rules
    )


@pytest.mark.parametrize(
    ("volume", "step", "is_on"), [("0.03", "0.01", True), ("0", "0.01", True), ("0.5", "0.2", False)]
)
def test_a_multiple_is_on_the_grid(volume, step, is_on):
    assert is_on_step(D(volume), D(step)) is is_on


def test_the_smallest_step_is_a_step():
    assert round_down_to_step(D(1), D("0.00000001")) == 1


def test_a_split_fits_the_largest_order_exactly():
    assert split_by_max(D("3"), D("3"), D("1")) == (D("3"),)
    assert split_by_max(D("0.1"), D("0.1"), D("0.1")) == (D("0.1"),)
    assert split_by_max(D("1.1"), D("1"), D("0.1"), volume_min=D("0.1")) == (D("1"), D("0.1"))


def test_a_split_tops_up_its_last_piece_from_the_one_before_alone():
    # 0.3 short of 0.4: 1 + 1 + 0.1 becomes 1 + 0.7 + 0.4.
    assert split_by_max(D("2.1"), D("1"), D("0.1"), volume_min=D("0.4")) == (D("1"), D("0.7"), D("0.4"))


def test_the_second_of_two_pieces_is_topped_up_from_the_first():
    assert split_by_max(D("1.05"), D("1"), D("0.01"), volume_min=D("0.1")) == (D("0.95"), D("0.1"))


def test_one_piece_that_is_too_small_stays_as_it_is():
    assert split_by_max(D("0.1"), D("1"), D("0.1"), volume_min=D("0.4")) == (D("0.1"),)


@pytest.mark.parametrize("volume", ["0", "-1", "0.15"])
def test_only_a_volume_on_the_grid_is_split(volume):
    with pytest.raises(ValueError, match=r"must be above 0 and a multiple of 0\.1"):
        split_by_max(D(volume), D("1"), D("0.1"))


def test_the_largest_order_is_at_least_one_step():
    with pytest.raises(ValueError, match=r"at least one step of 0\.1, was 0\.09"):
        split_by_max(D("1"), D("0.09"), D("0.1"))


def test_money_has_two_places_and_a_volume_eight():
    assert str(money_from_float_half_even(1.0)) == "1.00"
    assert str(money_from_float_half_even(1.0, 3)) == "1.000"
    assert volume_from_float_half_even(0.123456785) == D("0.12345678")
    assert str(volume_from_float_half_even(0.25)) == "0.25"


def test_the_largest_position_is_the_capital_and_lots_have_two_places_unless_rules_say_otherwise():
    rules = SizingRules()
    assert (rules.max_position_pct, rules.lot_precision) == (1, 2)
    assert SizingRules(max_position_pct=D(0)).max_position_pct == 0
    with pytest.raises(ValueError, match="max_position_pct"):
        SizingRules(max_position_pct=D("-0.01"))


def test_one_lot_is_worth_its_contract_in_the_accounts_currency():
    assert contract_value(make_spec(contract_size="10"), D(5)) == 50
    for changes in ({"price": D(0)}, {"rate": D(0)}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            contract_value(make_spec(), **{"price": D(1)} | changes)


def test_a_position_at_the_largest_is_not_capped():
    sizing = size(1.0)
    assert (sizing.target_lots, sizing.capped, sizing.reason) == (10, False, "")
    assert (sizing.contract_value, sizing.capital_per_asset, sizing.all_in_lots) == (10, 100, 10)
    assert (sizing.raw_lots, sizing.lots_by_precision, sizing.lots_by_step) == (10, 10, 10)


def test_a_short_position_is_capped_on_its_own_side():
    sizing = size(-0.35, rules=SizingRules(max_position_pct=D("0.35")))
    assert (sizing.lots_by_step, sizing.target_lots, sizing.reason) == (-4, D("-3.5"), CAPPED)


def test_a_target_at_the_smallest_volume_is_one():
    assert size(0.1, volume_min="1").target_lots == 1
    assert size(-0.1, volume_min="1").target_lots == -1
    assert size(0.1, volume_min="1.01").target_lots == 0


def test_lots_are_cut_to_a_step_that_is_coarser_than_the_precision():
    # Of 10 lots a largest position of 0.35 allows 3.5, and a grid of twos 2.
    rules = SizingRules(max_position_pct=D("0.35"))
    assert size(0.35, rules=rules, volume_step="2", volume_min="2").target_lots == 2
    # A precision of one place allows 3.5 of 3.55, whatever finer step the venue has.
    rules = SizingRules(max_position_pct=D("0.355"), lot_precision=1)
    assert size(0.4, rules=rules, volume_step="0.01").target_lots == D("3.5")


def test_a_share_of_the_capital_reaches_from_nothing_to_all():
    assert (capital_per_asset(D(100), D(0)), capital_per_asset(D(100), D(1))) == (0, 100)
    for weight in ("-0.01", "1.01"):
        with pytest.raises(ValueError, match="between 0 and 1"):
            capital_per_asset(D(100), D(weight))


def test_each_symbol_counts_once():
    assert equal_weights(["BTCUSD", "ETHUSD", "BTCUSD"]) == {"BTCUSD": D("0.5"), "ETHUSD": D("0.5")}
    assert equal_weights([]) == {}


def model(position_pct: float) -> ModelPosition:
    return ModelPosition(strategy="trend", variant="a", version="1", position_pct=position_pct)


@pytest.mark.parametrize("largest", [-0.01, math.nan, math.inf])
def test_a_largest_position_that_is_none_is_refused(largest):
    with pytest.raises(ValueError, match="max_position_pct must be finite and at least 0"):
        combine([model(0.5)], largest)


def test_a_largest_position_of_nothing_holds_nothing():
    assert combine([model(0.5)], 0.0).clipped_pct == 0
    assert combine([model(0.5)], 1.0).clipped_pct == 0.5
    assert combine([model(-0.5)], 1.0).clipped_pct == -0.5


def test_capital_at_the_equity_is_no_warning():
    capital = effective_capital(CapitalRule.FIXED, fixed=D(100), account=make_account(equity="100"))
    assert (capital.amount, capital.asked, capital.warning) == (100, 100, "")
    short = effective_capital(CapitalRule.BALANCE, fixed=D(1), account=make_account(balance="100", equity="99"))
    assert (short.amount, short.asked, short.rule) == (99, 100, CapitalRule.BALANCE)
    with pytest.raises(ValueError, match="sizing_capital"):
        effective_capital(CapitalRule.FIXED, fixed=D(0), account=make_account())


def test_a_target_at_the_smallest_volume_may_be_planned():
    assert legs_of(plan("0.1", volume_min="0.1")) == [("0.1", None)]
    assert legs_of(plan("-0.1", volume_min="0.1")) == [("-0.1", None)]
    with pytest.raises(ValueError, match="0 or a multiple"):
        plan("-0.05", volume_min="0.1")


def test_a_change_of_one_step_is_made_without_a_band():
    assert legs_of(plan("0.31", make_position("0.3"))) == [("0.01", None)]
    assert legs_of(plan("0.29", make_position("0.3"))) == [("-0.01", 1)]


def test_a_reduction_below_the_band_is_left_alone_and_one_at_the_band_is_not():
    assert plan("0.26", make_position("0.3"), band="0.05").scene is Scene.HOLD
    assert "0.04 lots are within the band" in plan("0.26", make_position("0.3"), band="0.05").reason
    assert legs_of(plan("0.25", make_position("0.3"), band="0.05")) == [("-0.05", 1)]
    with pytest.raises(ValueError, match="band"):
        plan("0", band="-0.01")


@pytest.mark.parametrize("target", ["0.04", "-0.04"])
def test_the_band_keeps_nothing_new_away(target):
    assert legs_of(plan(target, band="0.05")) == [(target, None)]
    assert plan("0.01", make_position("-0.01"), band="0.05").scene is Scene.REVERSE


@pytest.mark.parametrize("target", ["1", "-1"])
def test_a_whole_lot_is_a_change_too(target):
    assert legs_of(plan(target)) == [(target, None)]


def test_nothing_wanted_of_nothing_held_is_on_target():
    assert plan("0").reason == "on target"


def test_on_target_says_so_and_holds():
    held = plan("0.3", make_position("0.3"))
    assert (held.scene, held.reason, held.delta_lots, held.current_lots) == (Scene.HOLD, "on target", 0, D("0.3"))
    made = plan("0.1", make_position("0.3"))
    assert (made.target_lots, made.delta_lots, made.reason) == (
        D("0.1"),
        D("-0.2"),
        "0.3 lots are held, 0.1 are wanted",
    )


def test_of_both_sides_the_heavier_is_closed_first_whichever_it_is():
    long, short = make_position("0.1", ticket=1), make_position("-0.3", ticket=2)
    assert legs_of(plan("0", long, short)) == [("0.3", 2), ("-0.1", 1)]
    # Both sides held: the wrong one is closed whole before the right one is brought to its target.
    assert legs_of(plan("-0.2", long, short)) == [("0.1", 2), ("-0.1", 1)]
    assert legs_of(plan("-0.5", long, short)) == [("-0.1", 1), ("-0.2", None)]


def test_of_positions_of_one_moment_the_lower_ticket_is_closed_first():
    first, second = make_position("0.1", ticket=1), make_position("0.1", ticket=2)
    assert legs_of(plan("0.1", second, first)) == [("-0.1", 1)]


def test_a_part_at_the_smallest_order_is_sent_and_leaves_one():
    assert legs_of(plan("0.1", make_position("0.2"), volume_min="0.1")) == [("-0.1", 1)]
    # 0.05 of 0.15 is too small, and 0.1 of it would leave 0.05: nothing can be sent.
    assert plan("0.1", make_position("0.15"), volume_min="0.1").scene is Scene.HOLD
    # Closing 0.25 of 0.3 would leave 0.05: 0.2 is what can go.
    assert legs_of(plan("0.1", make_position("0.3"), volume_min="0.1")) == [("-0.2", 1)]


def test_what_one_position_cannot_give_the_next_one_does():
    # 0.15 of surplus: the first gives 0.1 and keeps 0.1; 0.05 of the second is too small to send.
    old, young = make_position("0.2", ticket=1, age_h=2), make_position("0.2", ticket=2)
    assert legs_of(plan("0.2", old, young, volume_min="0.1")) == [("-0.2", 1)]
    assert legs_of(plan("0.1", old, young, volume_min="0.1")) == [("-0.2", 1), ("-0.1", 2)]


def test_an_opening_below_the_smallest_order_waits():
    assert plan("0.15", make_position("0.1"), volume_min="0.1").scene is Scene.HOLD
    assert legs_of(plan("0.2", make_position("0.1"), volume_min="0.1")) == [("0.1", None)]


def test_an_opening_above_the_largest_order_is_split_and_numbered():
    made = plan("2.5", volume_max="1")
    assert legs_of(made) == [("1", None), ("1", None), ("0.5", None)]
    assert [(leg.sequence, leg.reduces, leg.symbol, leg.scene) for leg in made.legs] == [
        (number, False, "BTCUSD", Scene.NEW) for number in range(3)
    ]


def test_one_position_of_a_netting_account_is_as_it_should_be():
    assert legs_of(plan("0", make_position("0.1"), mode=NETTING)) == [("-0.1", 1)]
    assert len(plan("0", make_position("0.1"), make_position("0.1", ticket=2)).legs) == 2


def test_after_a_close_the_plan_is_as_it_was_where_nothing_is_left_to_close():
    reopened = plan_open_after_close(target_lots=D("0.2"), positions=(), spec=make_spec(), margin_mode=HEDGING)
    assert reopened == plan("0.2")
    positions = (make_position("0.1"), make_position("0.2", ticket=2))
    left = plan_open_after_close(target_lots=D("-0.2"), positions=positions, spec=make_spec(), margin_mode=HEDGING)
    assert left.reason == "0.30 lots are still to be closed"


# Stops. The market is 99 to 101; two spreads are 4.
