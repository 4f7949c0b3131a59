"""Entries and their levels where one step more or less, or a default, would have sent something else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execution.errors import RiskRefusedError
from execution.planning.entries import NO_COSTS, EntryPlan, EntryWish, loss_at, plan_entry, wished
from execution.planning.orders import Side
from mlfilter.setups import Costs
from mlfilter.sizing import RiskRules
from tests.execution_builders import D, make_quote, make_spec

LONG = wished(Side.BUY, entry=D(100), stop=D("98.5"), target=D(102))
SHORT = wished(Side.SELL, entry=D(100), stop=D("101.5"), target=D(98))
HALF_A_PERCENT = RiskRules(risk_per_trade=0.005, max_risk_per_trade=0.01)


def planned(wish: EntryWish = LONG, *, equity="100000", bid="60000", ask="60000", **changes) -> EntryPlan:
    spec, rules = make_spec(**changes.pop("spec", {})), changes.pop("rules", HALF_A_PERCENT)
    return plan_entry(wish, equity=D(equity), spec=spec, quote=make_quote(bid, ask), rules=rules, **changes)


# --- wishes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "stop_distance", "target_distance"),
    [(Side.BUY, "0.99", "1.5"), (Side.BUY, "0.01", "1"), (Side.SELL, "1.5", "0.99"), (Side.SELL, "1", "0.01")],
)
def test_a_level_above_the_entry_may_be_as_far_as_it_likes(side, stop_distance, target_distance):
    wish = EntryWish(side=side, stop_distance=D(stop_distance), target_distance=D(target_distance))
    assert (wish.stop_distance, wish.target_distance) == (D(stop_distance), D(target_distance))


@pytest.mark.parametrize(
    ("side", "stop_distance", "target_distance"),
    [(Side.BUY, "1", "0.02"), (Side.BUY, "1.01", "0.02"), (Side.SELL, "0.02", "1"), (Side.SELL, "0.02", "1.01")],
)
def test_a_level_below_the_entry_is_above_nothing(side, stop_distance, target_distance):
    with pytest.raises(ValueError, match="a level below the entry must be above 0"):
        EntryWish(side=side, stop_distance=D(stop_distance), target_distance=D(target_distance))


def test_what_is_wished_and_planned_cannot_be_changed_on_the_way():
    with pytest.raises(AttributeError):
        LONG.side = Side.SELL
    plan = planned()
    with pytest.raises(AttributeError):
        plan.lots = D(1)


# --- what is lost ----------------------------------------------------------------------------------------------------


def test_an_entry_costs_nothing_beside_its_spread_unless_somebody_says_so():
    assert (NO_COSTS.half_spread, NO_COSTS.slippage, NO_COSTS.fee) == (0, 0, 0)
    assert planned().risk == D("0.55") * 900


@pytest.mark.parametrize(("side", "stop"), [(Side.BUY, "99.99"), (Side.SELL, "100.01")])
def test_a_stop_a_tick_on_the_losing_side_loses_that_tick(side, stop):
    # Two lots of which each gains 3 when the price rises by 1.
    assert loss_at(side, D(2), price=D(100), stop=D(stop), unit=D(3), costs=NO_COSTS) == D("0.06")


def test_a_stop_at_the_entry_loses_no_costs_either_because_it_protects_nothing():
    costs = Costs(half_spread=0.0, slippage=0.0, fee=0.001)
    assert loss_at(Side.BUY, D(2), price=D(100), stop=D(100), unit=D(1), costs=costs) == 0


# --- the size --------------------------------------------------------------------------------------------------------


def test_lots_are_worth_what_the_rate_says_and_one_without_a_rate():
    # 500 / 1.5 % = 33,333.33; a lot is worth 60,000, and at a rate of 2 twice that.
    assert (planned().lots, planned(rate=D(2)).lots) == (D("0.55"), D("0.27"))


def test_the_loss_keeps_two_hundredths_of_its_bound_free_for_drift():
    # 1 % of 90,000 less two hundredths of it is 882, which at 900 a lot is 0.98; without room it would be 1.
    rules = replace(HALF_A_PERCENT, leverage=10)
    plan = planned(equity="90000", rules=rules)
    assert (plan.lots, plan.risk) == (D("0.98"), 882)


def test_where_next_to_nothing_may_be_lost_no_room_is_kept():
    # The smallest bound is a ten-thousandth: of 9,000,000 that is 900, what a lot loses.
    rules = RiskRules(risk_per_trade=0.0001, max_risk_per_trade=0.0001, leverage=10)
    assert planned(equity="9000000", rules=rules).lots == 1


def test_the_largest_order_is_on_the_grid():
    plan = planned(spec={"volume_max": "0.205", "volume_step": "0.01"})
    assert (plan.lots, plan.reason, plan.risk) == (D("0.20"), "reduced to the largest order", 180)


def test_a_size_at_the_largest_order_was_not_reduced_to_it():
    assert planned(spec={"volume_max": "0.55"}).reason == ""


def test_the_smallest_order_is_an_order():
    # 540 * 0.5 % / 1.5 % = 180 of 60,000 are 0.003 lots.
    grid = {"volume_min": "0.003", "volume_step": "0.001"}
    assert planned(equity="540", spec=grid).lots == D("0.003")
    with pytest.raises(RiskRefusedError, match=r"the smallest order is 0\.003"):
        planned(equity="539", spec=grid)


# --- levels ----------------------------------------------------------------------------------------------------------


# 1.5 % and 2 % of 60,001: 59,100.985 and 61,201.02 of a long, 60,901.015 and 58,800.98 of a short.
@pytest.mark.parametrize(("wish", "stop", "target"), [(LONG, 59_101, 61_201), (SHORT, 60_901, 58_801)])
def test_levels_lie_on_the_symbols_own_grid_of_prices_and_never_further_away(wish, stop, target):
    plan = planned(wish, bid="60001", ask="60001", spec={"digits": 0, "point": "1"})
    assert (plan.stop, plan.target) == (stop, target)


def test_levels_may_lie_less_than_one_from_the_price():
    # 33,333.33 of 1,000 a lot; a lot loses 15 at the stop.
    plan = planned(bid="1", ask="1", spec={"digits": 4, "point": "0.0001", "contract_size": "1000"})
    assert (plan.stop, plan.target, plan.lots, plan.risk) == (D("0.985"), D("1.02"), D("33.33"), D("499.95"))


@pytest.mark.parametrize("wish", [LONG, SHORT])
def test_a_target_that_the_grid_puts_at_the_entry_is_refused_beside_a_stop_that_is_apart(wish):
    near = replace(wish, stop_distance=D("0.1"), target_distance=D("0.001"))
    with pytest.raises(RiskRefusedError, match="leaves nothing between") as refused:
        planned(near, bid="100", ask="100", spec={"digits": 0, "point": "1"})
    assert refused.value.codes == ("entry:stops",)


@pytest.mark.parametrize("wish", [LONG, SHORT])
def test_a_stop_that_the_grid_puts_at_the_entry_is_refused_beside_a_target_that_is_apart(wish):
    near = replace(wish, stop_distance=D("0.001"), target_distance=D("0.1"))
    with pytest.raises(RiskRefusedError, match="leaves nothing between") as refused:
        planned(near, bid="100", ask="100", spec={"digits": 0, "point": "1"})
    assert refused.value.codes == ("entry:stops",)
