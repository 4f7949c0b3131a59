"""What a simulated account amounts to, on accounts of a few hours that can be worked out by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from strategies.backtesting.comparing import differences
from strategies.backtesting.fast import Simulated
from strategies.backtesting.keeping import hash_of
from strategies.backtesting.measuring import figures, luck, n_trades, returns_of, samples, split
from strategies.backtesting.requests import BacktestRequest, BacktestRequestError
from strategies.backtesting.windowed import sample_of
from tests.backtest_builders import hours

HOUR = timedelta(hours=1)


def equity(*values: float, start: str = "2024-01-01") -> pd.Series:
    return pd.Series(values, index=hours(len(values), start), dtype="float64")


def fills(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=["at", "symbol", "lots", "price"])
    return table.assign(at=pd.to_datetime(table["at"], utc=True))


def simulated(**changes) -> Simulated:
    known = {"engine": "fast", "config": {}, "costs": {}, "fitted_to": None, "fills": fills()}
    return Simulated(**known | changes)


def test_returns_are_of_the_equity_before_and_nothing_once_all_is_lost():
    assert returns_of(equity(100.0, 110.0, 99.0, 0.0, 0.0)).tolist() == pytest.approx([0.1, -0.1, -1.0, 0.0])


def test_a_trade_is_an_opening_from_nothing_or_by_turning_round():
    table = fills(
        ("2024-01-01T01", "A", 0.1, 1.0),  # opens
        ("2024-01-01T02", "A", 0.2, 1.0),  # adds
        ("2024-01-01T02", "B", -1.0, 1.0),  # opens
        ("2024-01-01T03", "A", -0.5, 1.0),  # turns round
        ("2024-01-01T04", "A", 0.2, 1.0),  # closes: 0.1 + 0.2 - 0.5 + 0.2 is not quite 0 in floats
        ("2024-01-01T05", "A", 0.1, 1.0),  # opens
    )
    assert n_trades(table) == 4


def test_turnover_and_exposure_are_worth_over_equity():
    # Two coins of one symbol are held over the second and third hour, at closes of 10 and 20; a lot is two coins.
    run = simulated(
        equity=equity(100.0, 100.0, 100.0, 120.0, 120.0),
        closes=pd.DataFrame({"A": [10.0, 10.0, 10.0, 20.0, 20.0]}, index=hours(5)),
        fills=fills(("2024-01-01T01:00:45", "A", 1.0, 10.0), ("2024-01-01T03:00:45", "A", -1.0, 20.0)),
    )

    metrics = figures(run, {"A": 2.0})

    assert metrics["time_in_market"] == 2 / 4
    assert metrics["exposure"] == pytest.approx((20 / 100 + 40 / 120) / 4)
    assert metrics["turnover"] == pytest.approx((2 * 10 + 2 * 20) / 108 / (4 / 24))
    assert (metrics["fills"], metrics["trades"], metrics["n_bars"]) == (2, 1, 4)
    assert metrics["total_return"] == pytest.approx(0.2)


def test_an_account_that_never_traded_has_metrics():
    metrics = figures(simulated(equity=equity(5.0, 5.0, 5.0), closes=pd.DataFrame({"A": [1.0]}, index=hours(1))), {})
    assert (metrics["total_return"], metrics["sharpe"], metrics["exposure"], metrics["trades"]) == (0.0, None, 0.0, 0)


def test_a_step_is_out_of_sample_when_it_begins_at_the_close_of_the_last_fitted_bar():
    curve = equity(1.0, 1.1, 1.2, 1.3, 1.4)  # closes of the bars that open at -1, 0, 1, 2, 3
    fitted_to = curve.index[1].to_pydatetime()  # the bar that opens at 1 and closes at 2

    inside, outside = split(curve, fitted_to)

    assert list(inside.index.hour) == [1, 2]
    assert list(outside.index.hour) == [3, 4]
    assert samples(curve, fitted_to)["split_at"] == "2024-01-01T02:00:00+00:00"


def test_a_slot_that_acts_after_the_close_has_its_own_hour_before_it_in_sample():
    # As a replay has them: 45 seconds after the hour, and before the break at 21:55:45.
    times = pd.DatetimeIndex(
        ["2024-01-01T19:00:45", "2024-01-01T20:00:45", "2024-01-01T21:00:45", "2024-01-01T21:55:45"]
    )
    curve = pd.Series([1.0, 2.0, 3.0, 4.0], index=times.tz_localize("UTC"))

    inside, outside = split(curve, datetime(2024, 1, 1, 19, tzinfo=UTC))

    assert (len(inside), len(outside)) == (1, 2)
    assert outside.index[0].hour == 21


def test_what_was_never_fitted_on_is_all_out_of_sample():
    found = samples(equity(1.0, 1.1, 1.0), None)
    assert (found["split_at"], found["in_sample"]) == (None, None)
    assert found["out_of_sample"]["n_bars"] == 2


def test_the_luck_of_a_single_trial_is_that_of_its_sharpe_ratio():
    returns = np.random.default_rng(0).normal(0.001, 0.01, 500)
    curve = equity(*np.cumprod([1.0, *(1 + returns)]))

    got = luck(curve, [1.0])

    seen = returns_of(curve)
    sharpe = seen.mean() / seen.std(ddof=1)
    skewness, kurtosis = ((seen - seen.mean()) ** 3).mean() / seen.std(ddof=0) ** 3, seen.kurt() + 3
    spread = math.sqrt(1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2)
    assert got == pytest.approx(1 - norm.cdf(sharpe * math.sqrt(499) / spread), abs=1e-3)


def test_more_trials_make_luck_likelier_and_one_that_never_moved_counts():
    returns = np.random.default_rng(0).normal(0.001, 0.01, 500)
    curve = equity(*np.cumprod([1.0, *(1 + returns)]))
    assert luck(curve, [1.0]) < luck(curve, [1.0, None]) < luck(curve, [1.0, None, 3.0, -2.0])
    assert luck(equity(1.0, 1.0, 1.0), [0.0]) is None


def test_a_configuration_has_one_hash_whatever_the_order_of_its_names():
    assert hash_of({"a": 1, "b": {"c": 2, "d": 3}}) == hash_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert hash_of({"a": 1}) != hash_of({"a": 2})


def test_differences_are_named_by_their_path():
    ours, theirs = {"a": 1, "b": {"c": 2, "d": [3]}}, {"a": 1, "b": {"c": 5, "d": [3]}, "e": 6}
    assert differences([ours, theirs]) == {"b.c": [2, 5], "e": [None, 6]}


@pytest.mark.parametrize(("n_hours", "size", "taken"), [(5, 48, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (1, 48, [0])])
def test_a_sample_is_evenly_spread_over_all(n_hours, size, taken):
    index = hours(n_hours)
    assert list(sample_of(index, size)) == [index[place] for place in taken]


NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"symbols": ()}, "at least one symbol"),
        ({"end": NOON}, "must begin before it ends"),
        ({"begin": NOON + timedelta(minutes=1)}, "begin must be a whole hour in UTC"),
        ({"end": datetime(2024, 1, 2)}, "end must be a whole hour in UTC"),  # noqa: DTZ001 (that is what is refused)
        ({"begin": NOON.replace(hour=22)}, "begin must not be at 22:00"),
        ({"source": "hope"}, "no source 'hope'; known: active, plan"),
        ({"refit_hours": 0}, "refit_hours must be at least 1, was 0"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes, words):
    known = {"symbols": ("BTCUSD",), "begin": NOON, "end": NOON + 48 * HOUR}
    with pytest.raises(BacktestRequestError, match=words):
        BacktestRequest(**known | changes)


def test_the_same_symbols_in_any_order_are_the_same_request():
    ends = {"begin": NOON, "end": NOON + HOUR}
    ours = BacktestRequest(symbols=("ETHUSD", "BTCUSD", "ETHUSD"), **ends)
    assert ours.symbols == ("BTCUSD", "ETHUSD")
    assert ours.as_config() == BacktestRequest(symbols=("BTCUSD", "ETHUSD"), **ends, note="again").as_config()
