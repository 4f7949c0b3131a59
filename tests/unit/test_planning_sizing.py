from __future__ import annotations

from decimal import Decimal

import pytest

from execution.planning.orders import MarginMode
from execution.planning.portfolio import (
    CapitalRule,
    ModelPosition,
    capital_per_asset,
    combine,
    effective_capital,
    equal_weights,
)
from execution.planning.sizing import (
    BELOW_ONE_STEP,
    BELOW_ONE_TENTH,
    BELOW_SMALLEST,
    CAPPED,
    NO_CAPITAL,
    NOTHING_WANTED,
    SizingRules,
    contract_value,
    size_target,
)
from tests.execution_builders import D, make_account, make_spec


def model(position_pct: float) -> ModelPosition:
    return ModelPosition(strategy="trend", variant="a", version="1", position_pct=position_pct)


def size(position_pct: float, *, price="76347", capital="3333.33", rules=None, **spec):
    symbol = make_spec(**spec)
    return size_target(
        position_pct,
        spec=symbol,
        contract_value=contract_value(symbol, D(price)),
        capital_per_asset=D(capital),
        rules=rules,
    )


def test_the_worked_example_of_the_design():
    sizing = size(0.2)
    assert round(sizing.all_in_lots, 5) == D("0.04366")
    assert sizing.tenths == D("0.2")
    assert round(sizing.raw_lots, 5) == D("0.00873")
    assert sizing.lots_by_precision == sizing.lots_by_step == sizing.target_lots == D("0.01")
    assert not sizing.capped
    assert sizing.reason == ""


def test_a_short_position_mirrors_a_long_one():
    assert size(-0.2).target_lots == -size(0.2).target_lots


@pytest.mark.parametrize("position_pct", [0.1, 0.25, 0.34, 0.5, 0.77, 1.0, -0.4, -1.0])
def test_lots_are_the_formula_of_the_source_done_in_floats(position_pct):
    for price in range(20_000, 120_000, 997):
        expected = round(round(position_pct * 10) / 10 * (3333.33 / price), 2)
        if abs(expected) * price > 3333.33:
            expected = round(expected - 0.01 if expected > 0 else expected + 0.01, 2)
        assert size(position_pct, price=str(price)).target_lots == D(expected), price


def test_one_step_fewer_when_rounding_went_above_the_largest_position():
    # 3,333.33 / 72,000 = 0.0463 lots: to the nearest 0.05, worth 3,600.
    sizing = size(1.0, price="72000")
    assert (sizing.lots_by_step, sizing.target_lots) == (D("0.05"), D("0.04"))
    assert sizing.capped
    assert sizing.reason == CAPPED


def test_rounding_up_is_left_alone_within_the_largest_position():
    sizing = size(0.6, price="55000")  # 0.0364 lots, to 0.04 worth 2,200 of 3,333.33
    assert sizing.target_lots == D("0.04")
    assert not sizing.capped


def test_a_largest_position_between_two_tenths_still_holds():
    # 0.35 is rounded to 0.4; at 10 lots for everything that is half a lot too much.
    rules = SizingRules(max_position_pct=D("0.35"))
    assert size(0.35, price="1", capital="10", rules=rules).target_lots == D("3.5")


def test_a_step_finer_than_the_precision_is_capped_on_the_coarser_of_the_two():
    sizing = size(1.0, price="72000", volume_step="0.001", volume_min="0.001")
    assert sizing.target_lots == D("0.04")


def test_a_coarse_step_rounds_towards_zero():
    assert size(1.0, price="10", capital="10.9", volume_step="0.5", volume_min="0.5").target_lots == D("1")


@pytest.mark.parametrize(
    ("position_pct", "tenths"), [(0.25, "0.2"), (0.35, "0.4"), (0.05, "0"), (-0.25, "-0.2"), (0.449, "0.4")]
)
def test_tenths_are_rounded_as_python_rounds(position_pct, tenths):
    assert size(position_pct).tenths == D(tenths)


@pytest.mark.parametrize(
    ("position_pct", "changes", "reason"),
    [
        (0.0, {}, NOTHING_WANTED),
        (0.5, {"capital": "0"}, NO_CAPITAL),
        (0.04, {}, BELOW_ONE_TENTH),
        (0.1, {}, BELOW_ONE_STEP),
        (0.2, {"volume_min": "0.1"}, BELOW_SMALLEST),
    ],
)
def test_a_target_of_zero_says_why(position_pct, changes, reason):
    sizing = size(position_pct, **changes)
    assert (sizing.target_lots, sizing.reason) == (0, reason)


def test_contract_value_goes_through_the_profit_currency():
    spec = make_spec(contract_size="10", currency_profit="EUR")
    assert contract_value(spec, D("50"), rate=D("1.1")) == D("550")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_no_size_comes_from_a_position_that_is_no_number(bad):
    with pytest.raises(ValueError, match="finite"):
        size(bad)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_no_contract_value_comes_from_a_bad_price(price):
    with pytest.raises(ValueError, match="price"):
        contract_value(make_spec(), D(price))


@pytest.mark.parametrize("capital", ["-1", "NaN"])
def test_no_size_comes_from_a_bad_capital(capital):
    with pytest.raises(ValueError, match="capital_per_asset"):
        size(0.5, capital=capital)


def test_models_add_up_and_the_sum_is_clipped():
    target = combine([model(0.8), model(0.7), model(-0.2)], 1.0)
    assert target.position_pct == pytest.approx(1.3)
    assert target.clipped_pct == 1.0
    assert combine([model(-3.0)], 1.0).clipped_pct == -1.0


def test_the_sum_does_not_depend_on_the_order_of_the_models():
    parts = [0.1] * 10 + [1e16, -1e16]
    forwards = combine([model(part) for part in parts], 2.0)
    backwards = combine([model(part) for part in reversed(parts)], 2.0)
    assert forwards.position_pct == backwards.position_pct == 1.0


def test_no_model_at_all_is_not_a_wish_to_be_flat():
    with pytest.raises(ValueError, match="at least one model"):
        combine([], 1.0)


def test_a_model_that_answers_nan_is_refused_by_name():
    with pytest.raises(ValueError, match="trend a version 1"):
        model(float("nan"))


def test_weights_are_equal_by_default():
    weights = equal_weights(["BTCUSD", "ETHUSD", "BNBUSD"])
    assert round(capital_per_asset(D("10000"), weights["ETHUSD"]), 2) == D("3333.33")


@pytest.mark.parametrize("weight", ["-0.1", "1.1"])
def test_a_weight_is_a_fraction(weight):
    with pytest.raises(ValueError, match="between 0 and 1"):
        capital_per_asset(D("10000"), D(weight))


def test_capital_is_fixed_or_the_balance():
    account = make_account(balance="50000", equity="60000")
    assert effective_capital(CapitalRule.FIXED, fixed=D("10000"), account=account).amount == 10_000
    assert effective_capital(CapitalRule.BALANCE, fixed=D("10000"), account=account).amount == 50_000


def test_capital_is_never_above_equity_and_says_so():
    capital = effective_capital(CapitalRule.FIXED, fixed=D("10000"), account=make_account(equity="8000"))
    assert capital.amount == 8_000
    assert "8000" in capital.warning


@pytest.mark.parametrize("equity", ["0", "-5"])
def test_nothing_is_sized_from_an_empty_account(equity):
    with pytest.raises(ValueError, match="equity"):
        effective_capital(CapitalRule.FIXED, fixed=Decimal(10_000), account=make_account(equity=equity))


def test_an_account_read_with_nan_is_refused_at_once():
    with pytest.raises(ValueError, match="equity"):
        make_account(equity="NaN", margin_mode=MarginMode.NETTING)
