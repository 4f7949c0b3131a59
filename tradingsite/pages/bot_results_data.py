"""What the setup bot's page shows of results: what trades came to, how the filter does, and what it did in the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradingsite.pages import charts
from tradingsite.pages.charts import Rect, Scale, Tick
from tradingsite.pages.frame_data import Freshness
from tradingsite.pages.overview_data import Level
from tradingsite.templatetags.desk import money, pct, signed, signed_pct, unit

TRADES_BOX = {"width": 300.0, "height": 44.0}
FULL_R_AT_LEAST = 1.0  # a trade of one R fills half the height, unless there was a larger one
HEIGHT, PADDING = 200.0, 8.0  # px
BUCKETS = 60
TABLE_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountResult:
    """What the closed trades of one account came to, costs included."""

    name: str
    currency: str
    n_trades: int
    win_rate: float
    mean_r: float | None
    result: Decimal
    profit_factor: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """One closed trade in the chart."""

    key: str
    url: str
    symbol: str
    closed_at: datetime | None
    reason: str
    r: float
    result: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForegoneRow:
    """What setups that were not traded would have come to."""

    name: str  # "rejected by the filter"
    n: int
    n_won: int
    r: float  # sum, costs included

    @property
    def win_rate(self) -> float | None:
        return self.n_won / self.n if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsData:
    """Panel ``bot-results``."""

    fresh: Freshness
    accounts: tuple[AccountResult, ...] = ()
    exits: tuple[tuple[str, int], ...] = ()
    trades: tuple[ClosedTrade, ...] = ()  # the last ones, oldest first
    foregone: tuple[ForegoneRow, ...] = ()  # first what the filter rejected

    @property
    def scale(self) -> float:
        """Return how many R fill half the chart's height."""
        return max(charts.largest([trade.r for trade in self.trades]), FULL_R_AT_LEAST)

    @property
    def bars(self) -> tuple[Rect, ...]:
        labels = [f"{trade.symbol} {trade.reason}: {unit(signed(trade.r), 'R')}" for trade in self.trades]
        return charts.signed_bars([trade.r for trade in self.trades], limit=self.scale, labels=labels, **TRADES_BOX)

    @property
    def newest_first(self) -> tuple[ClosedTrade, ...]:
        return self.trades[::-1]

    @property
    def filter_words(self) -> str:
        """Return in a sentence what the filter cost or saved, empty while it has rejected nothing that ended."""
        if not self.foregone or not self.foregone[0].n:
            return ""
        judged = self.foregone[0]
        verb = "saved" if judged.r < 0 else "cost"
        return f"Its refusals {verb} {unit(money(abs(judged.r)), 'R')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version of a filter that waits or watches."""

    name: str  # "v4"
    status: str  # "candidate", "shadow"
    trained_at: datetime
    auc: float | None
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRow:
    """The filter of one symbol and interval; figures of the training are on setups that it had not seen."""

    symbol: str
    interval: str
    version: str = ""  # "v3"; empty: none is active
    missing: str = ""  # why none is
    trained_at: datetime | None = None
    fit_from: datetime | None = None
    fit_to: datetime | None = None
    auc: float | None = None
    base_rate: float | None = None
    threshold: float | None = None  # of today's settings
    words: tuple[str, ...] = ()  # what a person should know, first how many it approves
    n_setups: int = 0  # judged live in the last days
    n_outcomes: int = 0
    expected: float | None = None
    succeeded: float | None = None
    state: str = ""  # the monitor's verdict in words
    level: Level = Level.UNKNOWN
    others: tuple[VersionRow, ...] = ()
    url: str = ""  # of the active version in the admin, empty without the permission


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterData:
    """Panel ``bot-filter``."""

    fresh: Freshness
    rows: tuple[FilterRow, ...] = ()
    days: int = 30  # that live figures are of
    admin_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRow:
    """One figure of a backtest, with the filter and without it; texts, as they are shown."""

    name: str
    with_filter: str
    without_filter: str


@dataclass(frozen=True, slots=True)
class CurveChart:
    """Both equity curves; see ``charts`` for the units."""

    height: float
    with_filter: str
    without_filter: str
    start_y: float
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Both accounts at one bar."""

    at: datetime
    with_filter: float
    without_filter: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRow:
    """One walk-forward backtest of the filter."""

    key: str
    symbol: str
    interval: str
    since: datetime
    until: datetime
    made_at: datetime
    figures: tuple[FigureRow, ...] = ()
    words: tuple[str, ...] = ()
    auc: float | None = None
    base_rate: float | None = None
    threshold: float | None = None
    points: tuple[CurvePoint, ...] = ()

    @property
    def chart(self) -> CurveChart | None:
        """Return the chart's geometry, None with fewer than two points."""
        return curve_chart(self.points) if len(self.points) > 1 else None

    @property
    def summary(self) -> str:
        """Return the chart in one sentence, for who does not see it."""
        if not self.points:
            return "No curve was kept."
        first, last = self.points[0], self.points[-1]
        return (
            f"Equity from {money(first.with_filter)} to {money(last.with_filter)} with the filter, "
            f"to {money(last.without_filter)} taking every setup."
        )

    @property
    def table(self) -> tuple[CurvePoint, ...]:
        """Return some of the points, the first and the last among them."""
        n = len(self.points)
        kept = sorted({round(i * (n - 1) / (TABLE_ROWS - 1)) for i in range(TABLE_ROWS)}) if n else []
        return tuple(self.points[place] for place in kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestsData:
    """Panel ``bot-backtest``."""

    fresh: Freshness
    rows: tuple[BacktestRow, ...] = ()
    symbol: str = ""  # for the words on how to make one


def curve_chart(points: Sequence[CurvePoint]) -> CurveChart:
    """Return where the two curves of at least two points are drawn, on one scale."""
    values = [value for point in points for value in (point.with_filter, point.without_filter)]
    low, high = min(values), max(values)
    scale = Scale(low, high, PADDING, HEIGHT - PADDING) if high > low else Scale(low - 1, high + 1, PADDING, HEIGHT)
    ticks = charts.nice_ticks(scale.low, scale.high, 5)
    start, end = points[0].at, points[-1].at
    return CurveChart(
        height=HEIGHT,
        with_filter=_path(points, [point.with_filter for point in points], scale),
        without_filter=_path(points, [point.without_filter for point in points], scale),
        start_y=scale.y(points[0].with_filter),
        y_ticks=tuple(Tick(scale.y(v), text) for v, text in zip(ticks, charts.tick_labels(ticks), strict=True)),
        x_ticks=tuple(Tick(tick.at / 10, tick.label) for tick in charts.time_ticks(start, end, 6)),
    )


def _path(points: Sequence[CurvePoint], values: Sequence[float], scale: Scale) -> str:
    start, end = points[0].at, points[-1].at
    kept = charts.thin(values, BUCKETS)
    return charts.line_path([(charts.across(points[i].at, start, end), scale.y(values[i])) for i in kept])


def percent(value: float | None, places: int = 1) -> str:
    """Write a fraction as per cent with its unit."""
    return unit(pct(value, places), "%")


def signed_percent(value: float | None, places: int = 1) -> str:
    """Write a changing fraction as per cent with sign and unit."""
    return unit(signed_pct(value, places), "%")
