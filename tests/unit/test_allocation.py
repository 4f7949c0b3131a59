"""Shares of a portfolio against closed forms and the authors' own example, and the returns that they are made from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from strategies.errors import InsufficientHistoryError, ParameterError
from strategies.research.allocation import (
    ALLOCATIONS,
    allocate,
    annual_volatility,
    volatility_scale,
    window_returns,
)
from strategies.research.errors import ReturnsError

UNTIL = datetime(2026, 3, 2, 7, tzinfo=UTC)
ESTIMATED = [method for method in ALLOCATIONS if method != "fixed"]
every_estimate = pytest.mark.parametrize("method", ESTIMATED)


def covariance(volatilities, *pairs) -> np.ndarray:
    """Return a covariance of these volatilities; ``pairs`` are correlations of the upper triangle, row by row."""
    n = len(volatilities)
    correlation = np.eye(n)
    correlation[np.triu_indices(n, 1)] = pairs
    correlation = np.maximum(correlation, correlation.T) + np.minimum(correlation, correlation.T) - np.eye(n)
    return correlation * np.outer(volatilities, volatilities)


def returns_of(wanted: np.ndarray, *, n_hours: int = 300, seed: int = 0) -> pd.DataFrame:
    """Return noise whose sample covariance (ddof=1) is the wanted one, to rounding."""
    noise = np.random.default_rng(seed).standard_normal((n_hours, len(wanted)))
    noise -= noise.mean(axis=0)
    noise = np.linalg.solve(np.linalg.cholesky(np.atleast_2d(np.cov(noise, rowvar=False))), noise.T).T
    values, vectors = np.linalg.eigh(wanted)  # of a singular one too
    return named(noise @ (vectors * np.sqrt(np.maximum(values, 0.0))).T)


def named(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, columns=list("ABCDEFGH"[: values.shape[1]]))


def shares(method: str, returns: pd.DataFrame) -> np.ndarray:
    return allocate(method, returns, pd.Series(1.0 / returns.shape[1], index=returns.columns)).to_numpy()


def risk_parts(weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return what each symbol brings to the variance, as shares of it."""
    parts = weights * (wanted @ weights)
    return parts / parts.sum()


# --- shares ---------------------------------------------------------------------------------------------------------


def test_fixed_shares_are_those_that_were_given_whatever_their_sum():
    given = pd.Series({"A": 0.5, "B": 0.2, "C": 0.0})

    pd.testing.assert_series_equal(allocate("fixed", pd.DataFrame(), given), given)


def test_half_the_volatility_is_twice_the_share():
    returns = returns_of(covariance([0.01, 0.02, 0.04], 0.3, -0.2, 0.6))

    assert shares("inverse_volatility", returns) == pytest.approx([4 / 7, 2 / 7, 1 / 7], rel=1e-9)


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 0.95])
def test_two_symbols_of_equal_risk_are_weighted_by_one_over_their_volatility_however_they_correlate(correlation):
    returns = returns_of(covariance([0.003, 0.012], correlation))

    assert shares("risk_parity", returns) == pytest.approx([0.8, 0.2], rel=1e-9)


@every_estimate
def test_symbols_that_do_not_correlate_are_weighted_by_one_over_their_volatility(method):
    returns = returns_of(np.diag([0.01, 0.02, 0.03, 0.06]) ** 2)

    assert shares(method, returns) == pytest.approx(np.array([6, 3, 2, 1]) / 12, rel=1e-9)


@every_estimate
@pytest.mark.parametrize("correlation", [-0.3, 0.2, 0.9])
def test_symbols_that_correlate_equally_are_weighted_by_one_over_their_volatility(method, correlation):
    equal = returns_of(covariance([0.02] * 3, *[correlation] * 3))
    unequal = returns_of(covariance([0.01, 0.02, 0.04], *[correlation] * 3))

    assert shares(method, equal) == pytest.approx([1 / 3] * 3, rel=1e-9)
    assert shares(method, unequal) == pytest.approx([4 / 7, 2 / 7, 1 / 7], rel=1e-9)


@pytest.mark.parametrize("correlation", [-0.8, 0.4, 0.9, 1.0])
def test_equal_risk_of_a_pair_and_a_third_that_moves_on_its_own(correlation):
    """Of equal volatility, the pair's ``a`` and the third's ``b`` solve ``a^2 (1 + rho) = b^2``."""
    returns = returns_of(covariance([0.01] * 3, correlation, 0.0, 0.0))
    a, b = 1.0, np.sqrt(1.0 + correlation)

    assert shares("risk_parity", returns) == pytest.approx(np.array([a, a, b]) / (2 * a + b), rel=1e-7)


@pytest.mark.parametrize("unit", [1e-4, 1.0, 100.0])
def test_every_symbol_brings_the_same_part_of_the_variance(unit):
    volatilities = np.array([0.002, 0.004, 0.01, 0.05, 0.3]) * unit
    pairs = [0.9, 0.5, -0.2, 0.0, 0.6, -0.1, 0.1, 0.3, 0.2, -0.4]
    wanted = covariance(volatilities, *pairs)

    assert np.linalg.eigvalsh(wanted).min() > 0
    assert risk_parts(shares("risk_parity", returns_of(wanted)), wanted) == pytest.approx([0.2] * 5, abs=1e-6)


def test_the_authors_example_of_minimum_correlation():
    """Correlations and volatilities of the paper's example, weights of the spreadsheet that came with it."""
    returns = returns_of(covariance([0.14, 0.18, 0.22], 0.90, 0.85, 0.70))

    assert shares("minimum_correlation", returns) == pytest.approx([0.21059807, 0.30878663, 0.4806153], abs=5e-9)


@every_estimate
def test_one_symbol_has_it_all(method):
    assert shares(method, returns_of(np.array([[0.01**2]]))) == pytest.approx([1.0])


@every_estimate
def test_symbols_keep_their_own_share_in_any_order(method):
    returns = returns_of(covariance([0.14, 0.18, 0.22], 0.90, 0.85, 0.70))
    forth, back = (allocate(method, r, pd.Series(0.5, index=r.columns)) for r in (returns, returns[["C", "A", "B"]]))

    assert back[forth.index].to_numpy() == pytest.approx(forth.to_numpy(), rel=1e-9)


@every_estimate
def test_the_same_returns_give_the_same_shares_to_the_last_bit(method):
    returns = returns_of(covariance([0.14, 0.18, 0.22], 0.90, 0.85, 0.70))

    assert shares(method, returns).tobytes() == shares(method, returns.copy()).tobytes()


# --- what cannot be estimated ---------------------------------------------------------------------------------------


@every_estimate
def test_no_more_hours_than_symbols_are_too_few(method):
    returns = returns_of(np.eye(3), n_hours=10)
    assert shares(method, returns.iloc[:4]).sum() == pytest.approx(1.0)

    with pytest.raises(
        InsufficientHistoryError, match="3 symbols need returns of more than 3 hours, there are 3"
    ) as few:
        shares(method, returns.iloc[:3])
    assert (few.value.count, few.value.needed) == (3, 4)
    with pytest.raises(InsufficientHistoryError, match="0 symbols"):
        allocate(method, returns, pd.Series(dtype=np.float64))


@every_estimate
@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (np.nan, "the returns of B must be finite numbers, 1 of 300 were not"),
        (np.inf, "the returns of B must be finite numbers, 1 of 300 were not"),
        (slice(None), "the returns of B must differ, all were 0.0"),
    ],
)
def test_a_symbol_that_says_nothing_is_named(method, wrong, problem):
    returns = returns_of(np.eye(3))
    if isinstance(wrong, slice):
        returns["B"] = 0.0
    else:
        returns.loc[17, "B"] = wrong

    with pytest.raises(ReturnsError, match=problem):
        shares(method, returns)


def test_two_symbols_that_cancel_out_have_no_equal_risk():
    one = returns_of(np.eye(1)).to_numpy()
    with pytest.raises(ReturnsError, match="no shares of equal risk"):
        shares("risk_parity", named(np.hstack([one, -2.0 * one])))


def test_a_method_that_nobody_wrote_is_refused_with_those_that_there_are():
    known = "known: fixed, inverse_volatility, risk_parity, minimum_correlation"
    with pytest.raises(ParameterError, match=f"no weighting 'moonshot'; {known}"):
        shares("moonshot", returns_of(np.eye(2)))


@every_estimate
def test_a_symbol_without_returns_is_refused_by_name(method):
    with pytest.raises(ReturnsError, match="there are no returns of Z"):
        allocate(method, returns_of(np.eye(2)), pd.Series({"A": 0.5, "Z": 0.5}))


# --- returns of a window --------------------------------------------------------------------------------------------


def closes_of(prices, *, until: datetime = UNTIL) -> pd.Series:
    hours = pd.date_range(end=until, periods=len(prices), freq="h", unit="ms")  # as stored bars are read
    return pd.Series(np.array(prices, dtype=np.float64), index=hours)


def test_returns_are_those_of_the_last_hours():
    returns = window_returns(closes_of([100.0, 1.0, 2.0, 3.0, 4.5]), until=UNTIL, lookback=3)

    assert returns.tolist() == [1.0, 0.5, 0.5]
    assert [stamp.to_pydatetime() for stamp in returns.index] == [UNTIL - timedelta(hours=n) for n in (2, 1, 0)]


def test_an_hour_without_a_bar_keeps_the_close_before_it_even_the_first_and_the_last():
    closes = closes_of([1.0, 9.0, 2.0, 9.0, 3.0, 9.0]).drop(
        [pd.Timestamp(UNTIL) - timedelta(hours=n) for n in (4, 2, 0)]
    )

    assert window_returns(closes, until=UNTIL, lookback=4).tolist() == [1.0, 0.0, 0.5, 0.0]


def test_closes_after_the_bar_are_not_read_at_any_cut():
    rng = np.random.default_rng(3)
    closes, other = (closes_of(np.exp(np.cumsum(rng.normal(0, 0.01, 80)))) for _ in range(2))
    for cut in range(20, 80):
        now = closes.index[cut - 1]
        rewritten = pd.concat([closes.iloc[:cut], other.iloc[cut:]])
        whole, cut_off = (window_returns(c, until=now, lookback=15) for c in (rewritten, closes.iloc[:cut]))
        pd.testing.assert_series_equal(whole, cut_off)


def test_history_that_begins_after_the_window_is_too_short():
    closes = closes_of(np.linspace(1.0, 2.0, 10))
    assert len(window_returns(closes, until=UNTIL, lookback=9)) == 9

    with pytest.raises(
        InsufficientHistoryError, match="must reach back 10 hours, to 2026-03-01 21:00: begin at 2026-03"
    ):
        window_returns(closes, until=UNTIL, lookback=10)
    with pytest.raises(InsufficientHistoryError, match="there are none"):
        window_returns(closes.iloc[:0], until=UNTIL, lookback=10)


@pytest.mark.parametrize("from_end", [0, 30])
def test_closes_that_are_missing_for_longer_than_a_long_weekend_are_no_history(from_end):
    closes = closes_of(np.linspace(1.0, 2.0, 300))
    keep = len(closes) - from_end
    weekend = pd.concat([closes.iloc[: keep - 95 - bool(not from_end)], closes.iloc[keep:]])
    longer = pd.concat([closes.iloc[: keep - 97], closes.iloc[keep:]])
    assert len(window_returns(weekend, until=UNTIL, lookback=200)) == 200

    with pytest.raises(InsufficientHistoryError, match="96 hours at most: the one after 2026-02-2"):
        window_returns(longer, until=UNTIL, lookback=200)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (np.nan, "closes must be finite and above 0, was nan at 2026-03-02 05:00"),
        (np.inf, "was inf"),
        (0.0, "was 0.0"),
        (-1.0, "was -1.0"),
    ],
)
def test_a_close_that_is_no_price_is_refused_with_its_time(wrong, problem):
    closes = closes_of([1.0, 2.0, 3.0, 4.0])
    closes.iloc[1] = wrong

    with pytest.raises(ReturnsError, match=problem):
        window_returns(closes, until=UNTIL, lookback=3)


def test_prices_that_never_changed_are_refused():
    with pytest.raises(ReturnsError, match=r"must have changed within 3 hours, all were 5\.0"):
        window_returns(closes_of([4.0, 5.0, 5.0, 5.0, 5.0]), until=UNTIL, lookback=3)


def test_times_out_of_order_are_refused():
    with pytest.raises(ReturnsError, match="strictly increasing"):
        window_returns(closes_of([1.0, 2.0, 3.0])[::-1], until=UNTIL, lookback=2)


def test_one_hour_is_no_window():
    with pytest.raises(ParameterError, match="lookback must be a whole number of at least 2, was 1"):
        window_returns(closes_of([1.0, 2.0, 3.0]), until=UNTIL, lookback=1)


# --- volatility -----------------------------------------------------------------------------------------------------


def test_the_volatility_is_that_of_the_weighted_sum_a_year():
    wanted = covariance([0.01, 0.02], 0.5)
    held = pd.Series({"A": 0.6, "B": 0.3})
    by_hand = np.sqrt(0.36 * 1e-4 + 0.09 * 4e-4 + 2 * 0.18 * 0.5 * 2e-4) * np.sqrt(24 * 365)

    assert annual_volatility(returns_of(wanted), held) == pytest.approx(by_hand, rel=1e-12)
    with pytest.raises(ReturnsError, match="no returns of Z"):
        annual_volatility(returns_of(wanted), pd.Series({"A": 0.5, "Z": 0.5}))


@pytest.mark.parametrize(
    ("volatility", "scale"), [(0.4, 0.5), (0.2, 1.0), (0.16, 1.25), (0.1, 1.5), (0.0, 1.5), (1e-300, 1.5)]
)
def test_the_scale_brings_the_volatility_to_the_target_within_its_maximum(volatility, scale):
    assert volatility_scale(volatility, target=0.2, max_scale=1.5) == pytest.approx(scale)


@pytest.mark.parametrize(
    ("volatility", "target", "max_scale", "name"),
    [
        (-0.1, 0.2, 1.0, "volatility"),
        (np.nan, 0.2, 1.0, "volatility"),
        (0.1, 0.0, 1.0, "target"),
        (0.1, np.nan, 1.0, "target"),
        (0.1, 0.2, 0.0, "max_scale"),
        (0.1, 0.2, np.inf, "max_scale"),
    ],
)
def test_numbers_that_make_no_scale_are_refused(volatility, target, max_scale, name):
    with pytest.raises(ParameterError, match=f"{name} must be a number"):
        volatility_scale(volatility, target=target, max_scale=max_scale)


@pytest.mark.parametrize("seed", range(5))
def test_scaled_by_the_past_the_next_hours_have_the_target_volatility(seed):
    """Of independent normal returns, a deviation over n hours is off by ``1 / sqrt(2 n)``: one over each half."""
    n_hours, target = 6000, 0.25
    wanted = covariance([0.004, 0.006, 0.011], 0.7, 0.2, -0.3)
    drawn = named(np.random.default_rng(seed).multivariate_normal(np.zeros(3), wanted, 2 * n_hours))
    past, future = drawn.iloc[:n_hours], drawn.iloc[n_hours:]
    held = allocate("risk_parity", past, pd.Series(1 / 3, index=drawn.columns))
    scale = volatility_scale(annual_volatility(past, held), target=target, max_scale=10.0)
    realised = (future @ held * scale).std() * np.sqrt(24 * 365)

    assert realised / target == pytest.approx(1.0, abs=4 * np.sqrt(2 / (2 * n_hours)))
