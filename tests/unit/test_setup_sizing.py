"""The source's formula, the table of the docs, and a cap that no setting lifts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mlfilter.setups import Costs
from mlfilter.sizing import (
    BELOW_SMALLEST,
    BY_CAPITAL,
    BY_LOSS,
    BY_RISK,
    HARD_CEILING,
    Grid,
    RiskRules,
    Sizing,
    loss_at_stop,
    position_size,
    quantity,
    size_trade,
)
from tests.docs_reader import DOCS, section, table

COSTS = Costs(half_spread=0.0005, slippage=0.0002, fee=0.0003)


def size(*, capital: str = "10000", entry: str = "100", stop: str = "98", step: str = "0.01", **others) -> Sizing:
    smallest, unit = (Decimal(others.pop(name, usual)) for name, usual in (("smallest", "0"), ("unit", "1")))
    costs = others.pop("costs", COSTS)
    grid = Grid(step=Decimal(step), smallest=smallest, unit=unit)
    prices = {"entry": Decimal(entry), "stop": Decimal(stop)}
    return size_trade(Decimal(capital), **prices, grid=grid, rules=RiskRules(**others), costs=costs)


def test_the_formula_is_the_sources():
    # 10,000 * 0.005 / 0.015 * 1, and thrice that.
    assert position_size(9_000, 0.005, 0.015) == 3000
    assert position_size(Decimal(9_000), 0.005, Decimal("0.015"), 3) == 9000


def test_the_table_of_the_docs_is_what_comes_out():
    for row in table(section(DOCS / "mlfilter.md", "Size")):
        leverage, position, wanted, one, by_loss, by_capital, expected, loss = map(Decimal, row)
        sized = size(leverage=float(leverage))
        assert (sized.position_size, sized.wanted, sized.quantity) == (position, wanted, expected)
        assert sized.loss_at_stop == loss
        assert loss_at_stop(Decimal(1), entry=Decimal(100), stop=Decimal(98), costs=COSTS) == one
        assert (sized.largest_loss / one).quantize(Decimal("0.01")) in (by_loss, by_loss + Decimal("0.01"))
        assert 10_000 * leverage / 100 == by_capital
        assert sized.reason == (BY_RISK if leverage == 1 else BY_LOSS)


def test_fees_spread_and_slippage_count_towards_the_cap():
    # Without costs the stop loses 2 a unit, and 50 units lose the 100 that may be lost.
    free = Costs(half_spread=0, slippage=0, fee=0)
    assert size(leverage=2.0, costs=free).quantity == 50
    assert size(leverage=2.0).quantity < 46


def test_a_short_pays_its_exit_on_the_higher_price():
    assert loss_at_stop(Decimal(10), entry=Decimal(100), stop=Decimal(102), costs=COSTS) == Decimal("22.02")
    assert size(stop="102", leverage=2.0).quantity == Decimal("45.41")  # 100 / 2.202 = 45.413


def test_a_stop_next_to_the_entry_buys_no_more_than_the_capital_pays_for():
    sized = size(stop="99.9", risk_per_trade=0.005)
    assert sized.wanted == 500
    assert (sized.quantity, sized.reason) == (100, BY_CAPITAL)
    assert size(stop="99.9", leverage=1.5, max_risk_per_trade=0.02).quantity == 150


def test_quantities_go_down_to_the_step_and_to_nothing_below_the_smallest():
    assert size(step="1").quantity == 25
    assert size(step="10").quantity == 20
    too_small = size(step="0.01", smallest="25.01")
    assert (too_small.quantity, too_small.loss_at_stop, too_small.reason) == (0, 0, BELOW_SMALLEST)
    assert size(step="30").reason == BELOW_SMALLEST


def test_lots_are_counted_in_what_they_move():
    # A lot of ten coins: a tenth of the quantity, the same loss.
    sized = size(unit="10", step="0.01")
    assert sized.quantity == Decimal("2.50")
    assert sized.loss_at_stop == size().loss_at_stop


def test_a_stop_that_was_rounded_to_the_grid_of_prices_is_still_one():
    nearer = size(stop="99.905", leverage=20.0, max_risk_per_trade=0.02)
    assert nearer.loss_at_stop <= nearer.largest_loss == 200
    assert size(stop="79.9").quantity == Decimal("2.48")  # 50 / 20.1 = 2.4875


def test_nothing_is_bought_of_nothing():
    assert size(capital="0").quantity == 0


def test_the_quantity_alone_is_that_of_the_sizing():
    grid = Grid(step=Decimal("0.01"))
    assert quantity(Decimal(10_000), entry=Decimal(100), stop=Decimal(98), grid=grid, costs=COSTS) == 25


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: RiskRules(max_risk_per_trade=0.0201), "max_risk_per_trade must be within 0.0001..0.02, was 0.0201"),
        (lambda: RiskRules(risk_per_trade=0.03), "risk_per_trade must be within"),
        (lambda: RiskRules(risk_per_trade=0), "risk_per_trade must be within"),
        (lambda: RiskRules(leverage=0.5), "leverage must be within 1..20"),
        (lambda: position_size(10_000, 0.005, 0.0005), "stop_loss_pct must be within 0.001..0.2, was 0.0005"),
        (lambda: position_size(10_000, 0.005, 1.5), "stop_loss_pct must be within"),
        (lambda: position_size(-1, 0.005, 0.015), "capital must be finite and at least 0, was -1"),
        (lambda: position_size(Decimal("NaN"), 0.005, 0.015), "capital must be finite"),
        (lambda: position_size(1, 0.05, 0.015), "risk_per_trade must be within 0..0.02"),
        (lambda: size(stop="70"), "stop_loss_pct must be within 0.0009..0.22, was 0.3"),
        (lambda: size(stop="100"), "stop_loss_pct must be within"),
        (lambda: size(entry="0"), "entry must be finite and above 0"),
        (lambda: Grid(step=Decimal(0)), "step must be finite and above 0"),
        (lambda: Grid(step=Decimal(1), smallest=Decimal(-1)), "smallest must be finite and at least 0"),
    ],
)
def test_what_cannot_be_sized_is_refused_with_what_is_allowed(made, message):
    with pytest.raises(ValueError, match=message):
        made()


def test_the_ceiling_is_two_per_cent():
    assert HARD_CEILING == 0.02
    assert RiskRules().max_risk_per_trade == 0.01
