"""Shares of any portfolio: none below 0, all of the capital, equal risk, and blind to units, order and the future."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.research.allocation import (
    ALLOCATIONS,
    allocate,
    annual_volatility,
    volatility_scale,
    window_returns,
)

pytestmark = pytest.mark.slow

ESTIMATED = [method for method in ALLOCATIONS if method != "fixed"]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=30, deadline=None)
every_estimate = pytest.mark.parametrize("method", ESTIMATED)


@st.composite
def portfolios(draw) -> pd.DataFrame:
    """Return returns of symbols that share some factors, with volatilities of an hour from 1e-5 to 0.1."""
    n_symbols, n_factors = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    own = 10.0 ** draw(st.floats(-3, 1))  # how much each moves on its own: little makes them nearly singular
    rng = np.random.default_rng(draw(SEEDS))
    shared = rng.standard_normal((150, n_factors)) @ rng.standard_normal((n_factors, n_symbols))
    values = shared + own * rng.standard_normal((150, n_symbols))
    scaled = values / values.std(axis=0) * 10.0 ** rng.uniform(-5, -1, n_symbols)
    return pd.DataFrame(scaled, columns=[f"S{n}" for n in range(n_symbols)])


def shares(method: str, returns: pd.DataFrame) -> pd.Series:
    return allocate(method, returns, pd.Series(0.1, index=returns.columns))


@every_estimate
@few
@given(returns=portfolios())
def test_shares_are_not_negative_and_sum_to_one(method, returns):
    weights = shares(method, returns)

    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)


@few
@given(returns=portfolios())
def test_risk_parity_means_equal_parts_of_the_variance(returns):
    weights = shares("risk_parity", returns).to_numpy()
    parts = weights * (np.atleast_2d(np.cov(returns.to_numpy(), rowvar=False)) @ weights)

    assert parts / parts.sum() == pytest.approx(np.full(len(weights), 1 / len(weights)), abs=1e-6)


@few
@given(returns=portfolios())
def test_inverse_volatility_is_what_its_name_says(returns):
    inverse = 1.0 / returns.std()

    assert shares("inverse_volatility", returns).to_numpy() == pytest.approx(inverse / inverse.sum(), rel=1e-9)


@every_estimate
@few
@given(returns=portfolios(), unit=st.floats(1e-3, 1e3), seed=SEEDS)
def test_units_and_order_do_not_matter(method, returns, unit, seed):
    order = np.random.default_rng(seed).permutation(returns.columns)

    assert shares(method, returns[order] * unit)[returns.columns].to_numpy() == pytest.approx(
        shares(method, returns).to_numpy(), rel=1e-5, abs=1e-9
    )


@few
@given(returns=portfolios(), target=st.floats(0.01, 2.0), max_scale=st.floats(0.1, 3.0))
def test_the_scaled_past_has_the_target_volatility_or_the_largest_scale(returns, target, max_scale):
    held = shares("inverse_volatility", returns)
    scale = volatility_scale(annual_volatility(returns, held), target=target, max_scale=max_scale)
    reached = annual_volatility(returns * scale, held)

    assert 0 < scale <= max_scale
    assert reached == pytest.approx(target, rel=1e-9) if scale < max_scale else reached <= target * (1 + 1e-9)


@few
@given(seed=SEEDS, lookback=st.integers(20, 60), missing=st.floats(0.0, 0.5))
def test_returns_compound_to_the_change_over_the_window_and_never_look_ahead(seed, lookback, missing):
    rng = np.random.default_rng(seed)
    hours = pd.date_range(BEGIN, periods=200, freq="h", unit="ms")
    closes = pd.Series(np.exp(np.cumsum(rng.normal(0, 0.02, 200))), index=hours)[rng.random(200) >= missing]
    until = hours[int(rng.integers(120, 200))]
    returns = window_returns(closes, until=until, lookback=lookback)

    first = closes.asof(until - pd.Timedelta(hours=lookback))
    assert (1.0 + returns).prod() == pytest.approx(closes.asof(until) / first, rel=1e-9)
    later = closes.index > until
    rewritten = closes.where(~later, rng.uniform(1e-3, 1e3, len(closes)))
    pd.testing.assert_series_equal(window_returns(rewritten, until=until, lookback=lookback), returns)
