"""The equity panel: the day's equity and balance with the limit lines, and the drawdown under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from tradingsite.pages import charts
from tradingsite.pages.charts import Scale, Tick, Value
from tradingsite.pages.frame_data import Freshness
from tradingsite.templatetags.desk import money, pct, signed_pct, unit

HEIGHT = 208.0  # px of the plot
WATER_HEIGHT = 48.0  # px of the drawdown plot
PADDING = 10.0  # px above and below the extremes
BUCKETS = 150  # at most 600 points a line: more than the plot has pixels to tell apart
LEAST_WATER = 0.005  # the drawdown's axis reaches at least 0.5 %, so that a quiet day looks quiet
LABEL_FITS_UNTIL = 58.0  # % of the plot: further right what stands beside the last point would leave a phone's plot
TABLE_STEPS = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1), timedelta(days=7))
TABLE_ROWS = 26  # one an hour, also on the day of 25 hours


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityLevel:
    """A line across the chart."""

    kind: str  # "start", "soft" or "limit"
    label: str
    value: float


class EquityPoint(NamedTuple):
    """One reading; None where there was none."""

    at: datetime
    equity: Value
    balance: Value


class EquityRow(NamedTuple):
    """One row of the table that says what the chart shows."""

    at: datetime
    equity: Value
    balance: Value
    drawdown: Value


@dataclass(frozen=True, slots=True)
class LevelLine:
    """A level with its place and the place of its label, which may have been moved off another's."""

    kind: str
    label: str
    y: float
    label_y: float


@dataclass(frozen=True, slots=True)
class LastPoint:
    """Where the line ends; ``x`` is in per cent of the plot's width, for what must not be stretched."""

    x: float
    y: float
    balance_y: float | None
    label_y: float
    near_end: bool
    unrealised: Value


@dataclass(frozen=True, slots=True)
class EquityChart:
    """All places of the chart; see ``charts`` for their units."""

    height: float
    equity: str
    balance: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    levels: tuple[LevelLine, ...]
    last: LastPoint
    water: str
    water_height: float
    water_ticks: tuple[Tick, ...]
    water_last: Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityData:
    """Panel ``equity``; ``points`` are in time order, inside ``[start_at, end_at]``."""

    fresh: Freshness
    start_at: datetime
    end_at: datetime
    points: tuple[EquityPoint, ...] = ()
    levels: tuple[EquityLevel, ...] = ()
    currency: str = "USD"
    title: str = "Equity today"
    empty: str = "No reading of the account yet today."

    @property
    def chart(self) -> EquityChart | None:
        """Return the chart's geometry, None without a single reading."""
        return equity_chart(self) if any(point.equity is not None for point in self.points) else None

    @property
    def drawdowns(self) -> list[Value]:
        return drawdowns([point.equity for point in self.points])

    @property
    def summary(self) -> str:
        """Return the chart in one sentence, for who does not see it."""
        known = [point.equity for point in self.points if point.equity is not None]
        if not known:
            return self.empty
        low = min(value for value in self.drawdowns if value is not None)
        limits = "".join(f" {level.label} {money(level.value)}." for level in self.levels)
        return (
            f"Equity from {money(known[0])} to {unit(money(known[-1]), self.currency)}, lowest {money(min(known))}, "
            f"largest drawdown {unit(pct(low, 2), '%')}.{limits}"
        )

    @property
    def rows(self) -> tuple[EquityRow, ...]:
        """Return the last reading of each hour (or a longer step) as a table."""
        span = self.end_at - self.start_at
        step = next((s for s in TABLE_STEPS if span / s <= TABLE_ROWS), TABLE_STEPS[-1])
        latest: dict[int, EquityRow] = {}
        for point, drawdown in zip(self.points, self.drawdowns, strict=True):
            latest[int((point.at - self.start_at) / step)] = EquityRow(*point, drawdown)
        return tuple(latest.values())


def drawdowns(equity: Sequence[Value]) -> list[Value]:
    """Return each reading's distance from the highest so far, as a fraction of it, never above 0."""
    seen = [float("-inf") if value is None else value for value in equity]
    peaks = accumulate(seen, max)
    return [None if value is None else value / peak - 1.0 for value, peak in zip(equity, peaks, strict=True)]


def equity_chart(data: EquityData) -> EquityChart:
    """Return where everything is drawn."""
    shown = [data.points[index] for index in charts.thin([point.equity for point in data.points], BUCKETS)]
    xs = [charts.across(point.at, data.start_at, data.end_at) for point in shown]
    scale = _scale(data)
    ticks = charts.nice_ticks(scale.low, scale.high)
    water, water_ticks, water_last = _water(data)
    return EquityChart(
        height=HEIGHT,
        equity=charts.line_path([(x, _y(scale, p.equity)) for x, p in zip(xs, shown, strict=True)]),
        balance=charts.step_path([(x, _y(scale, p.balance)) for x, p in zip(xs, shown, strict=True)]),
        y_ticks=tuple(Tick(scale.y(v), text) for v, text in zip(ticks, charts.tick_labels(ticks), strict=True)),
        x_ticks=tuple(Tick(t.at / 10, t.label) for t in charts.time_ticks(data.start_at, data.end_at)),
        levels=_levels(data, scale),
        last=_last(data, scale),
        water=water,
        water_height=WATER_HEIGHT,
        water_ticks=water_ticks,
        water_last=water_last,
    )


def _y(scale: Scale, value: Value) -> Value:
    return None if value is None else scale.y(value)


def _scale(data: EquityData) -> Scale:
    """Return the scale that shows every reading and every limit: the distance to a limit is the point."""
    values = [value for point in data.points for value in (point.equity, point.balance) if value is not None]
    values += [level.value for level in data.levels]
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - 1.0, high + 1.0
    return Scale(low, high, PADDING, HEIGHT - PADDING)


def _levels(data: EquityData, scale: Scale) -> tuple[LevelLine, ...]:
    places = [scale.y(level.value) for level in data.levels]
    moved = charts.spread(places)
    return tuple(
        LevelLine(level.kind, level.label, y, label_y)
        for level, y, label_y in zip(data.levels, places, moved, strict=True)
    )


def _last(data: EquityData, scale: Scale) -> LastPoint:
    at, equity, balance = next((p.at, p.equity, p.balance) for p in reversed(data.points) if p.equity is not None)
    x, y = charts.across(at, data.start_at, data.end_at) / 10, scale.y(equity)
    balance_y = _y(scale, balance)
    unrealised = None if balance is None else equity - balance
    near_end = x > LABEL_FITS_UNTIL
    label_y = _beside_y(y, balance_y, is_left=near_end)
    return LastPoint(round(x, 2), y, balance_y, label_y, near_end, unrealised)


def _beside_y(y: float, balance_y: Value, *, is_left: bool) -> float:
    """Return the label's baseline: level with the last point; left of it below the lines, or above at the bottom."""
    other = y if balance_y is None else balance_y
    top, bottom = min(y, other), max(y, other)
    if not is_left:
        return round((top + bottom) / 2 + 4, 1)
    return round(bottom + 18 if bottom + 18 < HEIGHT else top - 8, 1)


def _water(data: EquityData) -> tuple[str, tuple[Tick, ...], Tick]:
    """Return the drawdown's area, its axis and its last value."""
    values = data.drawdowns
    low = min(-LEAST_WATER, min(value for value in values if value is not None))
    scale = Scale(low, 0.0, 4.0, WATER_HEIGHT - 4.0)
    kept = charts.thin(values, BUCKETS)
    points = [(charts.across(data.points[i].at, data.start_at, data.end_at), _y(scale, values[i])) for i in kept]
    last = next(value for value in reversed(values) if value is not None)
    ticks = (Tick(scale.y(0.0), "0\u00a0%"), Tick(scale.y(low), unit(signed_pct(low), "%")))
    return charts.area_path(points, scale.y(0.0)), ticks, Tick(scale.y(last), unit(signed_pct(last, 2), "%"))
