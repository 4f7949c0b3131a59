"""The small charts of the Overview: how high a day's bar is, and where the equity's last label stands."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.pages_builders import FRESH, make_equity
from tests.pages_reader import read, render_panel
from tradingsite.pages.equity_data import HEIGHT, EquityLevel, EquityPoint, LastPoint, equity_chart
from tradingsite.pages.overview_data import DayResult, DaysData

HALF = 21  # px of a bar that fills its half of the 44 px
DAY = datetime(2026, 1, 5, tzinfo=UTC)


def days(*fractions: float | None) -> DaysData:
    return DaysData(
        days=tuple(
            DayResult(on=date(2026, 1, 5), pnl=None if f is None else Decimal(str(f * 100_000)), fraction=f)
            for f in fractions
        )
    )


def heights(data: DaysData) -> list[float]:
    return [bar.height for bar in data.bars]


def test_a_first_day_alone_is_as_high_as_its_result_and_no_higher():
    assert heights(days(None, None, 0.0025)) == [2, 2, pytest.approx(HALF / 2)]


def test_a_great_day_fills_its_half_and_the_others_are_measured_by_it():
    assert heights(days(-0.02, 0.01)) == [HALF, pytest.approx(HALF / 2)]


def test_the_panel_says_what_a_full_bar_is():
    assert "full bar 0.5\u00a0%" in " ".join(read(render_panel("days", days(0.001))).text)
    assert "full bar 2.0\u00a0%" in " ".join(read(render_panel("days", days(0.001, -0.02))).text)


def last_of(hour: float, equity: float, balance: float | None, floor: float = 900.0) -> LastPoint:
    points = (EquityPoint(DAY, 1000.0, 1000.0), EquityPoint(DAY + timedelta(hours=hour), equity, balance))
    levels = (EquityLevel(kind="limit", label="daily limit", value=floor),)
    data = make_equity(
        fresh=FRESH, start_at=DAY, end_at=DAY + timedelta(days=1), points=points, levels=levels, currency="USD"
    )
    return equity_chart(data).last


def test_early_in_the_day_the_label_is_level_with_the_point_and_right_of_it():
    last = last_of(6, 990.0, 980.0)
    assert not last.near_end
    assert min(last.y, last.balance_y) < last.label_y < max(last.y, last.balance_y) + 4


@pytest.mark.parametrize(("equity", "balance"), [(990.0, 980.0), (980.0, 990.0), (990.0, None)])
def test_late_in_the_day_the_label_leaves_the_lines_free(equity, balance):
    last = last_of(20, equity, balance)
    assert last.near_end
    lowest = max(last.y, last.y if last.balance_y is None else last.balance_y)
    assert last.label_y - 11 > lowest  # text of 11 px stands on its baseline
    assert last.label_y < HEIGHT


def test_at_the_bottom_of_the_chart_it_stands_above():
    last = last_of(20, 900.0, 905.0)
    assert last.label_y < min(last.y, last.balance_y)
