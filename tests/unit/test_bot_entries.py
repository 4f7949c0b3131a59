"""An entry's size and levels, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from execution.errors import RiskRefusedError
from execution.planning.entries import loss_at, plan_entry, wished
from execution.planning.orders import Side
from execution.sessions.bot_slots import BotSlot, newest_closed_bar, slot_at, slot_named
from mlfilter.setups import Costs
from mlfilter.sizing import RiskRules
from tests.execution_builders import D, make_quote, make_spec

QUARTER = timedelta(minutes=15)
LONG = wished(Side.BUY, entry=D(100), stop=D("98.5"), target=D(102))
SHORT = wished(Side.SELL, entry=D(100), stop=D("101.5"), target=D(98))


def planned(wish=LONG, **changes):
    values = {
        "equity": D(100_000),
        "spec": make_spec(),
        "quote": make_quote("59990", "60000"),
        "rules": RiskRules(risk_per_trade=0.005, max_risk_per_trade=0.01),
    }
    return plan_entry(wish, **values | changes)


def test_a_setups_levels_are_kept_as_fractions_of_its_entry():
    assert (LONG.stop_distance, LONG.target_distance) == (D("0.015"), D("0.02"))
    assert (SHORT.stop_distance, SHORT.target_distance) == (D("0.015"), D("0.02"))


@pytest.mark.parametrize(("stop", "target"), [("101", "102"), ("98", "99"), ("100", "102"), ("98", "100")])
def test_levels_on_the_wrong_side_are_refused(stop, target):
    with pytest.raises(ValueError, match="_distance must be"):
        wished(Side.BUY, entry=D(100), stop=D(stop), target=D(target))


def test_a_short_whose_target_is_at_nothing_is_refused():
    with pytest.raises(ValueError, match="target must be"):
        wished(Side.SELL, entry=D(100), stop=D(101), target=D(0))


def test_a_long_is_measured_from_the_ask():
    # 100,000 * 0.5 % / 1.5 % = 33,333.33 worth of 60,000 a lot are 0.5555 lots, on the grid 0.55.
    plan = planned()
    assert (plan.price, plan.stop, plan.target) == (D(60_000), D(59_100), D(61_200))
    assert (plan.lots, plan.risk, plan.reason) == (D("0.55"), D("495.00"), "")


def test_a_short_is_measured_from_the_bid():
    plan = planned(SHORT, quote=make_quote("60000", "60010"))
    assert (plan.price, plan.stop, plan.target) == (D(60_000), D(60_900), D(58_800))
    assert plan.risk == D("0.55") * 900


def test_levels_off_the_grid_are_rounded_towards_a_nearer_exit():
    quote = make_quote("59990.33", "60000.33")  # 1.5 % below: 59,100.32505; 2 % above: 61,200.3366
    plan = planned(quote=quote)
    assert (plan.stop, plan.target) == (D("59100.33"), D("61200.33"))


def test_costs_of_both_fills_are_part_of_the_risk():
    # 900 from entry to stop, and a thousandth of both prices: 60 and 59.1.
    plan = planned(costs=Costs(half_spread=0.0, slippage=0.0004, fee=0.0006))
    assert plan.risk == D("0.55") * D("1019.1")


def test_the_size_gives_way_until_the_stop_loses_no_more_than_it_may():
    # Ten times the size would lose 4,995; 1 % of the equity, less room for drift, is 980: 980 / 900 = 1.0888.
    plan = planned(rules=RiskRules(risk_per_trade=0.005, max_risk_per_trade=0.01, leverage=10))
    assert plan.lots == D("1.08")
    assert plan.risk <= 1000
    assert plan.reason != ""


def test_a_rate_turns_the_profit_currency_into_the_accounts():
    plan = planned(rate=D("1.25"))  # 33,333.33 / 75,000
    assert plan.lots == D("0.44")
    assert plan.risk == D("0.44") * 900 * D("1.25")


def test_the_largest_order_bounds_the_size():
    plan = planned(spec=make_spec(volume_max="0.2"))
    assert (plan.lots, plan.reason) == (D("0.2"), "reduced to the largest order")


def test_what_is_below_the_smallest_order_is_refused_with_a_code():
    with pytest.raises(RiskRefusedError, match="the smallest order is") as refused:
        planned(equity=D(1000))
    assert refused.value.codes == ("entry:too_small",)


def test_levels_that_the_venue_would_not_take_are_refused_with_a_code():
    with pytest.raises(RiskRefusedError, match="the stop of a buy") as refused:
        planned(spec=make_spec(stops_distance="1000"))
    assert refused.value.codes == ("entry:stops",)


def test_a_stop_that_the_grid_of_prices_puts_at_the_entry_is_refused():
    with pytest.raises(RiskRefusedError, match="leaves nothing between") as refused:
        planned(quote=make_quote("0.05", "0.05"))
    assert refused.value.codes == ("entry:stops",)


@pytest.mark.parametrize("stop", ["99.99", "70"])
def test_a_stop_nearer_or_further_than_any_that_was_learned_from_is_refused(stop):
    with pytest.raises(RiskRefusedError, match="stop_loss_pct must be within") as refused:
        planned(wished(Side.BUY, entry=D(100), stop=D(stop), target=D(150)), quote=make_quote("60000", "60000"))
    assert refused.value.codes == ("entry:stops",)


@pytest.mark.parametrize(("side", "stop"), [(Side.BUY, "101"), (Side.BUY, "100"), (Side.SELL, "99")])
def test_a_stop_on_the_winning_side_protects_nothing(side, stop):
    assert loss_at(side, D(1), price=D(100), stop=D(stop), unit=D(1), costs=Costs()) == 0


# --- slots -----------------------------------------------------------------------------------------------------------


def test_the_newest_closed_bar_is_the_one_before_the_one_that_forms():
    bar = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    assert newest_closed_bar(bar + QUARTER, QUARTER) == bar
    assert newest_closed_bar(bar + 2 * QUARTER - timedelta(microseconds=1), QUARTER) == bar
    assert newest_closed_bar(bar + 2 * QUARTER, QUARTER) == bar + QUARTER


def test_a_slot_is_found_again_by_its_key():
    slot = slot_at(datetime(2026, 1, 5, 8, 20, tzinfo=UTC), "15m", QUARTER)
    assert slot.key == "15m:2026-01-05T08:00"
    assert slot_named(slot.key, QUARTER) == slot
    assert slot.at == datetime(2026, 1, 5, 8, 15, 5, tzinfo=UTC)


def test_a_slot_is_too_late_as_soon_as_a_newer_bar_has_closed():
    bar = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    slot = BotSlot(interval="15m", length=QUARTER, bar_at=bar)
    assert not slot.is_too_late(bar + 2 * QUARTER - timedelta(seconds=1))
    assert slot.is_too_late(bar + 2 * QUARTER)
