"""Geometry of the small charts: places are worked out by hand from the scales."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from tests.pages_builders import make_equity
from tradingsite.pages import charts
from tradingsite.pages.charts import Scale
from tradingsite.pages.equity_data import EquityLevel, EquityPoint, drawdowns, equity_chart

DAY = datetime(2025, 8, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "n", "step"), [(5000, 6, 1000), (100, 5, 20), (7, 5, 2), (0.03, 3, 0.01), (1, 1, 1), (1200, 6, 200)]
)
def test_steps_are_one_two_or_five_times_a_power_of_ten(span, n, step):
    assert charts.nice_step(span, n) == pytest.approx(step)


def test_ticks_are_the_round_values_inside():
    assert charts.nice_ticks(95_857, 101_040) == (96_000, 97_000, 98_000, 99_000, 100_000, 101_000)
    assert charts.nice_ticks(-0.1, 0.1, 4) == (-0.1, -0.05, 0.0, 0.05, 0.1)
    assert charts.nice_ticks(3, 3) == (3,)


def test_tick_labels_have_the_decimals_that_tell_them_apart():
    assert charts.tick_labels((96_000.0, 97_000.0)) == ["96\u202f000", "97\u202f000"]
    assert charts.tick_labels((0.0, 0.05)) == ["0.00", "0.05"]


def test_a_scale_puts_the_greater_value_higher_up():
    scale = Scale(low=0, high=100, top=10, bottom=110)
    assert [scale.y(value) for value in (0, 25, 100)] == [110, 85, 10]


def test_a_day_is_marked_every_four_hours():
    ticks = charts.time_ticks(DAY, DAY + timedelta(days=1))
    assert [tick.label for tick in ticks] == ["00", "04", "08", "12", "16", "20", "00"]
    assert [tick.at for tick in ticks][:2] == [0.0, pytest.approx(166.7)]


def test_a_day_that_starts_at_22_is_marked_at_round_hours():
    start = DAY - timedelta(hours=2)
    ticks = charts.time_ticks(start, start + timedelta(days=1))
    assert [tick.label for tick in ticks] == ["00", "04", "08", "12", "16", "20"]
    assert ticks[0].at == pytest.approx(1000 * 2 / 24, abs=0.05)


def test_a_month_is_marked_on_mondays():
    labels = [tick.label for tick in charts.time_ticks(DAY, DAY + timedelta(days=30))]
    assert labels == ["25 Aug", "01 Sep", "08 Sep", "15 Sep"]


def test_a_gap_in_the_readings_is_a_gap_in_the_line():
    assert charts.line_path([(0, 1), (10, 2), (20, None), (30, 4), (40, 5)]) == "M0 1 L10 2 M30 4 L40 5"


def test_a_step_holds_its_value_until_the_next_reading():
    assert charts.step_path([(0, 5), (10, 5), (20, 8)]) == "M0 5 H10 V5 H20 V8"
    assert charts.step_path([(0, 5), (10, None), (20, 8)]) == "M0 5 M20 8"


def test_an_area_is_closed_on_its_base_on_both_sides_of_a_gap():
    path = charts.area_path([(0, 3), (10, 4), (20, None), (30, 5), (40, 6)], base=1)
    assert path == "M0 1 L0 3 L10 4 L10 1 Z M30 1 L30 5 L40 6 L40 1 Z"


def test_thinning_keeps_the_ends_and_every_extreme():
    values = [math.sin(index / 50) for index in range(10_000)]
    values[4321], values[7000] = 9.0, -9.0
    kept = charts.thin(values, 100)
    assert len(kept) <= 400
    assert {0, 4321, 7000, 9999} <= set(kept)
    assert kept == sorted(kept)


def test_thinning_keeps_gaps():
    values: list[float | None] = [1.0] * 1000
    values[500:510] = [None] * 10
    assert any(values[index] is None for index in charts.thin(values, 20))


def test_few_values_are_all_drawn():
    assert charts.thin([1.0, 2.0, 3.0], 10) == [0, 1, 2]


def test_labels_that_would_cover_each_other_are_moved_apart():
    assert charts.spread([100, 20, 105], gap=14) == [100, 20, 114]
    assert charts.spread([10, 10, 10], gap=5) == [10, 15, 20]


def test_bars_go_up_and_down_from_the_middle():
    up, down, missing = charts.signed_bars([0.5, -1.0, None], limit=1.0, width=30, height=44)
    assert (up.kind, up.y, up.height) == ("up", 11.5, 10.5)  # half of 22 - 1
    assert (down.kind, down.y, down.height) == ("down", 22, 21)
    assert missing.kind == "none"
    assert (up.x, down.x, missing.x) == (0, 10, 20)


def test_a_flat_model_is_still_to_be_seen():
    assert charts.signed_bars([0.0], limit=1.0, width=10, height=44)[0].height == 1
    assert charts.signed_bars([0.0, 0.0], limit=0.0, width=10, height=44)[1].height == 1


def test_what_is_beyond_the_limit_ends_at_it():
    assert charts.signed_bars([5.0], limit=1.0, width=10, height=44)[0].y == 1
    assert charts.across_bar(-3.0, 1.0).x == 0


def test_a_bar_across_grows_from_the_middle():
    right, left = charts.across_bar(0.25, 1.0), charts.across_bar(-0.5, 1.0)
    assert (right.x, right.width, right.kind) == (50, 12.5, "up")
    assert (left.x, left.width, left.kind) == (25, 25, "down")
    assert charts.across_bar(None, 1.0).width == 0


def test_a_sparkline_spans_its_box_and_shows_where_zero_is():
    spark = charts.sparkline([-1.0, 0.0, 1.0], height=24)
    assert spark.path == "M0 22 L500 12 L1000 2"
    assert spark.zero == 12


def test_one_reading_makes_no_line():
    assert charts.sparkline([1.0]).path == ""
    assert charts.sparkline([None, 2.0, math.nan]).path == ""


def test_drawdown_is_measured_from_the_highest_so_far():
    assert drawdowns([100.0, 110.0, 99.0, None, 121.0, 60.5]) == [
        0,
        0,
        pytest.approx(-0.1),
        None,
        0,
        pytest.approx(-0.5),
    ]


def make_day(*equity: float | None, balance: float = 1000.0):
    points = tuple(EquityPoint(DAY + timedelta(hours=i), value, balance) for i, value in enumerate(equity))
    return make_equity(
        start_at=DAY,
        end_at=DAY + timedelta(days=1),
        points=points,
        levels=(EquityLevel(kind="limit", label="daily limit", value=900.0),),
    )


def test_the_limit_is_always_inside_the_chart():
    chart = equity_chart(make_day(1000.0, 1001.0))
    assert chart.levels[0].y == chart.height - 10
    assert chart.last.y == 10  # the highest value: ten pixels below the top


def test_the_last_point_says_what_is_not_realised():
    last = equity_chart(make_day(1000.0, 1001.0, None)).last
    assert last.unrealised == pytest.approx(1.0)
    assert last.x == pytest.approx(100 / 24, abs=0.01)
    assert not last.near_end


def test_a_flat_day_has_a_chart():
    chart = equity_chart(make_equity(points=(EquityPoint(DAY, 5.0, 5.0),), levels=(), start_at=DAY))
    assert chart.equity == "M0 104"  # in the middle of 10 .. 198


def test_a_day_without_a_reading_has_no_chart_but_words():
    data = make_day(None, None)
    assert data.chart is None
    assert data.summary == data.empty


def test_the_table_has_the_last_reading_of_each_hour():
    rows = make_equity().rows
    assert len(rows) == 17  # 22:00 to 14:03
    assert rows[-1].equity == make_equity().points[-1].equity
    assert all(row.drawdown <= 0 for row in rows if row.drawdown is not None)


def test_the_summary_says_what_the_chart_shows():
    summary = make_day(1000.0, 1010.0, 989.8).summary
    assert summary.startswith(
        "Equity from 1\u202f000.00 to 989.80\u00a0USD, lowest 989.80, largest drawdown \u22122.00\u00a0%."
    )
    assert "daily limit 900.00" in summary
