"""What the panels of the Overview show. Plain values; None is unknown and reads ``—``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from tradingsite.pages import charts
from tradingsite.pages.charts import Rect
from tradingsite.pages.frame_data import NOT_DUE, Due, Freshness
from tradingsite.templatetags.desk import signed, signed_pct, unit

STRIP = {"width": 288.0, "height": 44.0}
DAYS = {"width": 300.0, "height": 44.0}
FULL_DAY_AT_LEAST = 0.005  # of the balance: a quiet month, or a first day alone, must not look like a storm


class Level(StrEnum):
    """How near a limit is, or how bad a thing is; its value is its style and its icon."""

    OK = "ok"
    WARN = "warn"
    CRIT = "crit"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRoom:
    """Money left until a loss limit. Fractions are of ``limit``: 0.2 left is 80 % used."""

    limit: Decimal | None
    left: Decimal | None
    floor: Decimal | None  # the equity at which it breaks
    soft_left: float = 0.2  # entries are blocked from here on
    hard_left: float = 0.1  # all is closed from here on
    resets: Due = NOT_DUE

    @property
    def left_fraction(self) -> float | None:
        return None if self.left is None or not self.limit else float(self.left / self.limit)

    @property
    def level(self) -> Level:
        left = self.left_fraction
        if left is None:
            return Level.UNKNOWN
        return Level.CRIT if left <= self.hard_left else Level.WARN if left <= self.soft_left else Level.OK

    @property
    def words(self) -> str:
        """Return what the level means, in words that do not need its colour."""
        left = self.left_fraction
        if left is None:
            return "unknown: entries are blocked"
        if left <= 0:
            return "limit breached"
        return {Level.OK: "", Level.WARN: "soft stop: entries blocked", Level.CRIT: "hard stop"}.get(self.level, "")

    @property
    def bar(self) -> tuple[float, float, float]:
        """Return the widths of the bar and of its soft and hard mark, in per cent of the whole."""
        left = min(max(self.left_fraction or 0.0, 0.0), 1.0)
        return round(left * 100, 1), round(self.soft_left * 100, 1), round(self.hard_left * 100, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountData:
    """Panel ``account``: the four headline numbers. ``today = realised + unrealised_today`` to the cent."""

    fresh: Freshness
    currency: str = "USD"
    equity: Decimal | None = None
    balance: Decimal | None = None
    unrealised: Decimal | None = None
    today: Decimal | None = None
    today_fraction: float | None = None  # of ``day_start``
    realised_today: Decimal | None = None
    day_start: Decimal | None = None  # balance at the last reset
    daily: LossRoom | None = None  # None: no limit is set
    maximum: LossRoom | None = None
    n_positions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionItem:
    """One open alert."""

    key: str
    level: Level
    title: str
    detail: str = ""
    at: datetime | None = None
    count: int = 1
    url: str = ""  # where to look, with its label
    url_label: str = ""
    acknowledge_url: str = ""  # POST


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionData:
    """Panel ``attention``, the worst first."""

    items: tuple[AttentionItem, ...] = ()
    can_operate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """One open position; ``lots`` is positive, ``side`` says the direction."""

    key: str  # ticket
    symbol: str
    side: str  # "long" or "short"
    lots: Decimal
    entry: Decimal | None
    now: Decimal | None
    digits: int = 2
    weight: float | None = None  # signed notional, as a fraction of equity
    move: float | None = None  # of the price since the entry, in the position's direction, fraction
    swap: Decimal | None = None
    pnl: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    family: str = ""  # "rebalance" or "setup"
    is_ours: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsData:
    """Panel ``positions``."""

    fresh: Freshness
    rows: tuple[PositionRow, ...] = ()
    currency: str = "USD"
    swap: Decimal | None = None
    pnl: Decimal | None = None
    next_decision: Due = NOT_DUE


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBar:
    """What one model holds, as a fraction of capital."""

    name: str
    position: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRow:
    """One symbol: where it should be and where it is. ``drift`` is actual less target, a difference of fractions."""

    symbol: str
    target: float | None
    actual: float | None
    models: tuple[ModelBar, ...] = ()
    verdict: str = ""
    level: Level = Level.OK

    @property
    def drift(self) -> float | None:
        return None if self.target is None or self.actual is None else self.actual - self.target

    @property
    def summary(self) -> str:
        known = [m.position for m in self.models if m.position is not None]
        n_long, n_short = sum(p > 0 for p in known), sum(p < 0 for p in known)
        missing = len(self.models) - len(known)
        tail = f", {missing} missing" if missing else ""
        return f"{self.symbol}: {n_long} long, {n_short} short, {len(known) - n_long - n_short} flat{tail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsData:
    """Panel ``signals``: what the models want at the newest closed bar."""

    fresh: Freshness
    rows: tuple[SignalRow, ...] = ()
    bar_open_at: datetime | None = None
    bar_close_at: datetime | None = None

    @property
    def n_models(self) -> int:
        return max((len(row.models) for row in self.rows), default=0)

    @property
    def scale(self) -> float:
        """Return the position that fills half of every strip, so that rows can be compared."""
        return charts.largest([model.position for row in self.rows for model in row.models])

    @property
    def lines(self) -> tuple[tuple[SignalRow, tuple[Rect, ...]], ...]:
        """Return each row with its strip of models."""
        return tuple((row, _strip(row.models, self.scale)) for row in self.rows)


def _strip(models: tuple[ModelBar, ...], scale: float) -> tuple[Rect, ...]:
    labels = [f"{model.name}: {unit(signed_pct(model.position), '%')}" for model in models]
    return charts.signed_bars([model.position for model in models], limit=scale, labels=labels, **STRIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextEvent:
    """Something that happens at a known market time."""

    name: str
    due: Due


@dataclass(frozen=True, slots=True, kw_only=True)
class NextData:
    """Panel ``next``, the soonest first."""

    events: tuple[NextEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One decision in a line."""

    key: str
    at: datetime  # market time
    symbol: str
    text: str  # "hold 0.50: inside the band"
    level: Level = Level.OK
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionsData:
    """Panel ``decisions``, the newest first."""

    rows: tuple[DecisionRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One symbol from one source."""

    symbol: str
    source: str  # "MT5 1h", "Binance 1h"
    last_bar_at: datetime | None
    level: Level
    words: str  # "ok", "6 min late (limit 5)", "2 gaps"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """One process or queue and its last sign of life."""

    name: str
    level: Level
    words: str  # "running", "no beat", "3 waiting"
    fresh: Freshness = field(default_factory=Freshness)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataHealth:
    """Panel ``data``, the worst first in both lists."""

    fresh: Freshness
    sources: tuple[SourceRow, ...] = ()
    processes: tuple[ProcessRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DayResult:
    """The result of one day, None when nothing was recorded."""

    on: date
    pnl: Decimal | None
    fraction: float | None = None  # of that day's starting balance


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysData:
    """Panel ``days``: the last thirty days, oldest first."""

    days: tuple[DayResult, ...] = ()
    currency: str = "USD"
    total_fraction: float | None = None  # of the balance thirty days ago
    won_fraction: float | None = None  # of the days with a result
    max_drawdown: float | None = None  # fraction, <= 0

    @property
    def scale(self) -> float:
        """Return the day's result, as a fraction of its starting balance, that fills half the height."""
        return max(charts.largest([day.fraction for day in self.days]), FULL_DAY_AT_LEAST)

    @property
    def bars(self) -> tuple[Rect, ...]:
        labels = [f"{day.on:%d %b}: {unit(signed(day.pnl), self.currency)}" for day in self.days]
        return charts.signed_bars([day.fraction for day in self.days], limit=self.scale, labels=labels, **DAYS)
