"""Charts of research: what is drawn is what the table says, and both are what went in."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from strategies.errors import ParameterError
from strategies.estimators import build
from strategies.research import charts
from strategies.research.charts import ChartError, palette, writing
from strategies.research.charts.calibration import calibration_table
from strategies.research.charts.sharpe import rolling_sharpe
from strategies.research.permutation import permutation_test
from strategies.research.returns import Month
from strategies.research.simulation import LossRules, SimulationPlan, days_of, simulate
from tests.bars_builders import make_bars

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BEGIN = "2025-01-01"


def hourly(values, begin: str = BEGIN) -> pd.Series:
    return pd.Series(values, index=pd.date_range(begin, periods=len(values), freq="h", tz="UTC"), dtype=float)


def random_returns(n: int = 500, seed: int = 0) -> pd.Series:
    return hourly(0.01 * np.random.default_rng(seed).standard_normal(n))


def trace(chart: charts.Chart, name: str):
    [found] = [one for one in chart.figure.data if one.name == name]
    return found


def drawn(chart: charts.Chart, name: str) -> np.ndarray:
    return np.asarray(trace(chart, name).y, dtype=float)


def times(chart: charts.Chart, name: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(np.asarray(trace(chart, name).x), utc=True))


def cells(chart: charts.Chart, column: int) -> list[str]:
    return [row[column].text for row in chart.table().rows]


# Each chart


def test_the_equity_chart_shows_the_equity_and_how_far_it_is_below_its_high():
    equity = hourly([100.0, 110.0, 99.0, 104.5, 121.0])
    chart = charts.equity_chart(equity, currency="EUR")
    np.testing.assert_array_equal(drawn(chart, "equity"), equity)
    np.testing.assert_allclose(drawn(chart, "drawdown"), [0, 0, -0.1, -0.05, 0], atol=1e-15)
    assert (times(chart, "equity") == equity.index).all()
    assert cells(chart, 1) == ["100.00", "110.00", "99.00", "104.50", "121.00"]
    assert cells(chart, 2) == ["0.00\u00a0%", "0.00\u00a0%", "−10.00\u00a0%", "−5.00\u00a0%", "0.00\u00a0%"]
    assert chart.summary == "Equity from 100.00 to 121.00 EUR, lowest 99.00, largest drawdown −10.00\u00a0%."


def test_the_start_counts_as_a_high():
    chart = charts.equity_chart(hourly([100.0, 90.0, 95.0]))
    np.testing.assert_allclose(drawn(chart, "drawdown"), [0, -0.1, -0.05])


def test_the_time_that_was_fitted_on_is_shaded_and_nothing_beyond_the_end():
    equity = hourly([1.0, 2.0, 3.0])
    late = datetime(2030, 1, 1, tzinfo=UTC)
    [shade] = [
        shape
        for shape in charts.equity_chart(equity, fitted_until=late).figure.layout.shapes
        if shape.fillcolor == palette.ink("sunken")
    ][:1]
    assert (pd.Timestamp(shade.x0), pd.Timestamp(shade.x1)) == (equity.index[0], equity.index[-1])


def test_an_equity_curve_needs_two_finite_values():
    for values in ([1.0], [1.0, np.nan, 2.0]):
        with pytest.raises(ChartError, match="at least 2 finite values"):
            charts.equity_chart(hourly(values))


def test_the_rolling_sharpe_ratio_is_that_of_each_window():
    returns = random_returns(60)
    ratio = rolling_sharpe(returns, window=24, bars_per_year=8760)
    assert ratio[:23].isna().all()
    for row in (23, 40, 59):
        window = returns.to_numpy()[row - 23 : row + 1]
        assert ratio.iloc[row] == pytest.approx(window.mean() / window.std(ddof=1) * np.sqrt(8760))
    chart = charts.rolling_sharpe_chart(returns, window=24)
    np.testing.assert_array_equal(drawn(chart, "Sharpe ratio"), ratio)
    np.testing.assert_array_equal(chart.frame["sharpe"], ratio)
    assert cells(chart, 1)[0] == "—"
    assert "1 days, annualised over 365" in chart.title


def test_where_nothing_varies_there_is_no_sharpe_ratio():
    returns = hourly([0.1] * 10 + [0.2] * 3)
    assert rolling_sharpe(returns, window=3).isna().tolist() == [True] * 10 + [False, False, True]
    chart = charts.rolling_sharpe_chart(hourly([0.0] * 5), window=3)
    assert "none of them vary" in chart.summary


def test_a_window_of_one_return_is_refused():
    with pytest.raises(ParameterError, match="window must be a whole number of at least 2"):
        rolling_sharpe(random_returns(10), window=1)


def test_months_are_a_row_a_year_with_the_year_at_its_end():
    months = (Month(2024, 12, 0.1), Month(2025, 1, -0.05), Month(2025, 3, 0.02))
    chart = charts.monthly_chart(months)
    assert list(chart.frame.index) == [2024, 2025]
    assert chart.frame.loc[2024, 12] == 0.1
    assert chart.frame.loc[2025, [1, 3]].tolist() == [-0.05, 0.02]
    assert chart.frame["year"].tolist() == pytest.approx([0.1, 0.95 * 1.02 - 1])
    coloured = np.asarray(chart.figure.data[0].z, dtype=float)
    np.testing.assert_array_equal(coloured[:, :12], chart.frame[list(range(1, 13))])
    assert np.isnan(coloured[:, 12]).all()
    said = {(note.y, note.x): note.text for note in chart.figure.layout.annotations}
    assert (said[0, 11], said[1, 0], said[1, 1], said[0, 12]) == ("+10", "−5.0", "", "+10")
    assert cells(chart, 12) == ["+10.00\u00a0%", "—"]
    assert chart.summary.startswith("2 of 3 months earned something; the best was Dec 2024 with +10.00\u00a0%")


def test_months_of_nothing_are_an_empty_chart():
    chart = charts.monthly_chart(())
    assert chart.frame.empty
    assert chart.summary == "There is no month yet."


def test_up_to_four_symbols_share_a_chart_and_differ_by_dash_and_name():
    index = pd.date_range(BEGIN, periods=3, freq="h", tz="UTC")
    weights = pd.DataFrame({"A": [0.1, 0.2, 0.3], "B": [0.1, np.nan, 0.3], "C": [-0.5, 0, 0.3]}, index=index)
    chart = charts.weights_chart(weights)
    for name in weights:
        np.testing.assert_array_equal(drawn(chart, name), weights[name])
    assert len({trace.line.dash for trace in chart.figure.data}) == 3
    labels = {note.text: note.y for note in chart.figure.layout.annotations}
    assert set(labels) == {"A", "B", "C"}
    assert np.diff(sorted(labels.values())).min() > 0.05
    assert cells(chart, 2) == ["10.00\u00a0%", "—", "30.00\u00a0%"]


def test_more_symbols_than_colours_get_a_small_chart_each():
    index = pd.date_range(BEGIN, periods=3, freq="h", tz="UTC")
    weights = pd.DataFrame({name: [0.1, 0.2, 0.3] for name in "ABCDE"}, index=index)
    chart = charts.weights_chart(weights)
    assert len({trace.yaxis for trace in chart.figure.data}) == 5
    assert {trace.line.color for trace in chart.figure.data} == {palette.ink("text")}


def test_weights_of_nothing_are_refused():
    with pytest.raises(ChartError, match="at least one symbol and one time"):
        charts.weights_chart(pd.DataFrame())


def test_the_anatomy_of_a_strategy_is_its_signal():
    bars = make_bars(n=300)
    strategy = type(build("ema_vol")).small().fit(bars)
    signal = strategy.signal(bars)
    chart = charts.anatomy_chart(bars["close"], signal, strategy="ema_vol")
    for name, column in (("score s", "s"), ("tilt", "tilt"), ("decay", "decay"), ("position", "pos")):
        np.testing.assert_array_equal(drawn(chart, name), signal[column])
        np.testing.assert_array_equal(chart.frame[column], signal[column])
    np.testing.assert_array_equal(drawn(chart, "close"), bars["close"])
    np.testing.assert_allclose(strategy.predict(bars), drawn(chart, "position"))
    assert all(trace.connectgaps is None for trace in chart.figure.data)


def test_an_anatomy_is_of_the_same_bars():
    bars = make_bars(n=300)
    signal = type(build("ema_vol")).small().fit(bars).signal(bars)
    with pytest.raises(ChartError, match="same bars, were of 299 and 300"):
        charts.anatomy_chart(bars["close"].iloc[1:], signal, strategy="ema_vol")


@pytest.fixture(scope="module")
def simulated():
    days = days_of(pd.date_range(BEGIN, periods=240, freq="h", tz="UTC"))
    rules = LossRules(daily_loss=0.02, max_loss=0.05, target=0.04)
    return simulate(random_returns(400) / 5, days, SimulationPlan(n_paths=200, rules=rules), n_points=240)


def test_the_fan_is_the_quantiles_of_the_paths(simulated):
    chart = charts.fan_chart(simulated)
    for name, quantile in (("q05", 0.05), ("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("q95", 0.95)):
        np.testing.assert_allclose(drawn(chart, name), np.quantile(simulated.paths, quantile, axis=0))
    np.testing.assert_allclose(chart.frame["q50"], np.median(simulated.paths, axis=0))
    np.testing.assert_allclose(np.asarray(trace(chart, "median").x, dtype=float), simulated.steps / 24)
    assert chart.frame.index[-1] == 10.0
    lines = {shape.y0 for shape in chart.figure.layout.shapes}
    assert lines == {0.95, 1.04}
    assert writing.percent(simulated.max_loss.value, 1) in chart.summary


def test_a_limit_that_moves_is_no_line(simulated):
    days = np.zeros(48, dtype=np.int64)
    plan = SimulationPlan(n_paths=5, rules=LossRules(is_trailing=True, target=None))
    assert not charts.fan_chart(simulate(random_returns(100), days, plan)).figure.layout.shapes


def test_the_histogram_counts_every_order():
    returns = random_returns(240)
    test = permutation_test(np.sign(random_returns(240, 1)), returns, n_resamples=300)
    chart = charts.permutation_chart(test, n_bins=20)
    bars = chart.figure.data[0]
    np.testing.assert_array_equal(np.asarray(bars.y), chart.frame["count"])
    assert chart.frame["count"].sum() == 300
    for low, (high, count) in zip(chart.frame.index[:-1], chart.frame.to_numpy()[:-1], strict=True):
        assert count == ((test.resampled >= low) & (test.resampled < high)).sum()
    [line] = chart.figure.layout.shapes
    assert line.x0 == test.sharpe
    assert f"p = {test.p_value:.4f}" in chart.summary


def test_orders_in_which_nothing_varied_are_said_and_not_drawn():
    test = permutation_test(np.zeros(100), random_returns(100), n_resamples=10)
    chart = charts.permutation_chart(test)
    assert chart.frame.empty
    assert "In 10 orders nothing varied" in chart.summary
    assert "The real one is —" in chart.summary


def test_calibration_counts_what_happened_by_what_was_said():
    said = [0.05, 0.05, 0.15, 0.62, 0.68, 0.68, 1.0]
    happened = [0, 1, 0, 1, 1, 0, 1]
    chart = charts.calibration_chart(said, happened)
    table = chart.frame
    assert table.index.tolist() == pytest.approx([0.0, 0.1, 0.6, 0.9])
    assert table["count"].tolist() == [2, 1, 3, 1]
    assert table["happened"].tolist() == pytest.approx([0.5, 0.0, 2 / 3, 1.0])
    assert table["said"].tolist() == pytest.approx([0.05, 0.15, 0.66, 1.0])
    np.testing.assert_array_equal(drawn(chart, "happened"), table["happened"])
    np.testing.assert_array_equal(np.asarray(trace(chart, "happened").x), table["said"])
    np.testing.assert_array_equal(drawn(chart, "predictions"), table["count"])


def test_the_interval_of_a_share_is_wilsons():
    rng = np.random.default_rng(0)
    said = rng.random(400)
    table = calibration_table(said, (rng.random(400) < said).astype(float), 5)
    for _, row in table.iterrows():
        k, n = round(row["happened"] * row["count"]), int(row["count"])
        interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert (row["least"], row["most"]) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(
    ("said", "happened", "message"),
    [
        ([], [], "one a prediction"),
        ([0.5], [1, 0], "one a prediction"),
        ([1.5], [1], "from 0 to 1"),
        ([float("nan")], [1], "from 0 to 1"),
        ([0.5], [0.5], "0 or 1"),
    ],
)
def test_what_is_no_prediction_is_refused(said, happened, message):
    with pytest.raises(ChartError, match=message):
        charts.calibration_chart(said, happened)


# All of them


@pytest.fixture(scope="module")
def every_chart(simulated) -> list[charts.Chart]:
    returns, bars = random_returns(3000), make_bars(n=2000)
    index = returns.index
    strategy = type(build("ema_vol")).small().fit(bars)
    return [
        charts.equity_chart(1000 * (1 + returns).cumprod()),
        charts.rolling_sharpe_chart(returns),
        charts.monthly_chart([Month(2024 + n // 12, n % 12 + 1, 0.01 * (n - 7)) for n in range(15)]),
        charts.weights_chart(pd.DataFrame({"A": np.sin(np.arange(3000)), "B": 0.1}, index=index)),
        charts.anatomy_chart(bars["close"], strategy.signal(bars), strategy="ema_vol"),
        charts.fan_chart(simulated),
        charts.permutation_chart(permutation_test(np.sign(random_returns(240, 1)), random_returns(240))),
        charts.calibration_chart(np.linspace(0, 1, 50), np.arange(50) % 2),
    ]


def test_every_chart_can_be_told_from_the_others_and_is_explained(every_chart):
    assert len({chart.key for chart in every_chart}) == len(every_chart) == 8
    for chart in every_chart:
        assert re.fullmatch(r"[a-z-]+", chart.key)
        assert chart.title
        assert chart.summary.endswith(".")
        assert "nan" not in chart.summary.lower()


def test_every_table_has_a_row_for_each_of_the_frame_and_never_says_nan(every_chart):
    for chart in every_chart:
        table = chart.table()
        assert len(table.rows) == len(chart.frame)
        assert len(table.head) == len(chart.frame.columns) + 1
        assert not any(re.search("nan|none|inf", cell.text, re.IGNORECASE) for row in table.rows for cell in row)


def test_the_csv_has_the_frame_in_full_precision(every_chart):
    for chart in every_chart:
        rows = list(csv.reader(io.StringIO(chart.csv())))
        assert len(rows) == len(chart.frame) + 1
        values = [[float(text) if text else np.nan for text in row[1:]] for row in rows[1:]]
        np.testing.assert_array_equal(np.array(values), chart.frame.to_numpy(dtype=float))
    equity = list(csv.reader(io.StringIO(every_chart[0].csv())))
    assert equity[0] == ["at", "equity", "drawdown"]
    assert equity[1][0] == "2025-01-01T00:00:00+00:00"


def test_no_line_has_more_points_than_a_screen(every_chart):
    for chart in every_chart:
        assert len(chart.frame) <= 1500


def test_figures_are_drawn_in_colours_of_the_palette_alone(every_chart):
    known = set(palette.dark_twins()) | {"rgba(0,0,0,0)"}
    for chart in every_chart:
        text = chart.figure.to_json()
        assert set(re.findall(r'"(#[0-9a-fA-F]{3,8}|rgba?\([^)]*\))"', text)) <= known, chart.key


def test_a_dark_figure_has_no_light_colour_left(every_chart):
    light = {one for one in palette.dark_twins() if one not in palette.dark_twins().values()}
    for chart in every_chart:
        dark = json.dumps(palette.darkened(json.loads(chart.figure.to_json())))
        assert not [colour for colour in light if f'"{colour}"' in dark], chart.key
