"""Assumed costs, and what our own fills say instead: every number by hand."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.errors import ParameterError
from strategies.research.costs import Costs, CostTotals, ObservedFill, learned_from_fills


def fill(price: float, *, side: int = 1, coins: float = 1.0, commission: float = 0.0, quote=(99.0, 101.0)):
    """Return a fill planned on a bid and an ask."""
    bid, ask = quote
    return ObservedFill(
        side=side,
        price=price,
        coins=coins,
        commission=commission,
        mid=(bid + ask) / 2,
        planned=ask if side == 1 else bid,
    )


def test_totals_add_up():
    totals = CostTotals(spread=1, slippage=2, commission=3, swap=-0.5, funding=0.25)
    assert totals.total == 5.75
    assert list(totals.as_data()) == ["spread", "slippage", "commission", "swap", "funding"]


def test_a_spread_in_points_is_points_times_the_point():
    assert Costs(spread_points=1458, point=0.01).spread_price == pytest.approx(14.58)


@pytest.mark.parametrize(
    "wrong",
    [{"spread_fraction": -0.1}, {"slippage": float("nan")}, {"swap_long": float("inf")}, {"spread_points": 5}],
)
def test_costs_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ParameterError, match=r"costs: (point|" + next(iter(wrong)) + ")"):
        Costs(**wrong)


def test_the_spread_is_what_quotes_show_and_slippage_what_fills_add():
    # Bid 99, ask 101: 2 % of the middle. The buy gets 101.101, the sale 98.901, each 0.1 % worse than its quote.
    learned = learned_from_fills([fill(101.101), fill(98.901, side=-1)])
    assert learned.spread_fraction.value == pytest.approx(0.02)
    assert learned.slippage.value == pytest.approx(0.001)
    assert learned.slippage.count == 2


def test_the_median_forgives_one_bad_quote():
    fills = [fill(101.0) for _ in range(10)] + [fill(101.0, quote=(1.0, 199.0))]
    assert learned_from_fills(fills).spread_fraction.value == pytest.approx(0.02)


def test_quartiles_are_numpys():
    prices = [101.0, 101.1, 101.2, 101.5, 103.0]
    learned = learned_from_fills([fill(price) for price in prices])
    low, high = np.quantile([(price - 101) / 101 for price in prices], [0.25, 0.75])
    assert (learned.slippage.low, learned.slippage.high) == pytest.approx((low, high))
    assert learned.slippage.dispersion == pytest.approx(high - low)


def test_commission_is_all_that_was_paid_over_all_that_was_traded():
    # Rounded to cents, the small one alone says 1 %.
    fills = [fill(100.0, coins=100.0, commission=3.25), fill(100.0, coins=0.01, commission=0.01)]
    assert learned_from_fills(fills).commission_rate.value == pytest.approx(3.26 / 10_001)


def test_fills_without_a_quote_teach_the_commission_alone():
    learned = learned_from_fills([ObservedFill(side=1, price=100, coins=1, commission=0.1)])
    assert learned.spread_fraction is None
    assert learned.slippage is None
    assert learned.commission_rate.count == 1


def test_no_fills_teach_nothing():
    learned = learned_from_fills([])
    assert learned.commission_rate is None
    assert learned.applied_to(Costs(slippage=0.1)) == Costs(slippage=0.1)


def test_what_is_learned_stands_beside_what_is_assumed():
    learned = learned_from_fills([fill(101.0, commission=0.0505)])
    rows = learned.beside(Costs(spread_points=100, point=0.01, commission_rate=0.001), price=100.0)
    assert [(row.name, row.assumed) for row in rows] == [
        ("spread_fraction", 0.01),
        ("slippage", 0.0),
        ("commission_rate", 0.001),
    ]
    assert rows[0].learned.value == pytest.approx(0.02)
    assert rows[2].learned.value == pytest.approx(0.0005)
    with pytest.raises(ParameterError, match="price"):
        learned.beside(Costs(spread_points=100, point=0.01))


def test_enough_fills_take_the_place_of_assumptions_and_better_prices_count_as_none():
    learned = learned_from_fills([fill(100.9, commission=0.1) for _ in range(30)])
    assumed = Costs(spread_points=5, point=0.1, slippage=0.5, commission_rate=0.5, swap_long=-0.18)
    applied = learned.applied_to(assumed)
    assert applied.spread_fraction == pytest.approx(0.02)
    assert applied.spread_points == applied.slippage == 0
    assert applied.commission_rate == pytest.approx(0.1 / 100.9)
    assert applied.swap_long == -0.18
    assert learned.applied_to(assumed, at_least=31) == assumed


@pytest.mark.parametrize("wrong", [{"side": 0}, {"price": 0.0}, {"coins": -1.0}, {"mid": 0.0}, {"commission": np.nan}])
def test_fills_that_cannot_be_are_refused(wrong):
    values = {"side": 1, "price": 100.0, "coins": 1.0, "commission": 0.0, "mid": 100.0, "planned": 100.1}
    with pytest.raises(ParameterError, match="fill: " + next(iter(wrong))):
        ObservedFill(**values | wrong)
