"""What the panels of Portfolio & signals show beside the decision funnel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from tradingsite.pages import charts
from tradingsite.pages.charts import Rect, Spark
from tradingsite.pages.frame_data import NOT_DUE, Due, Freshness
from tradingsite.pages.overview_data import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """Target against actual of one symbol. Weights are signed fractions of equity, volumes signed lots."""

    symbol: str
    weight: float | None  # share of the sizing capital
    target: float | None
    actual: float | None
    target_lots: Decimal | None = None
    actual_lots: Decimal | None = None
    trade: str = ""  # "buy 0.02 lots", "none: inside the band"
    trade_value: Decimal | None = None  # signed notional, account currency
    level: Level = Level.OK

    @property
    def drift(self) -> float | None:
        return None if self.target is None or self.actual is None else self.actual - self.target


class TargetLine(NamedTuple):
    """A row with its bar (the actual weight) and the mark of its target, in a box 100 wide."""

    row: TargetRow
    bar: Rect
    mark: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsData:
    """Panel ``targets``; the totals are sums over the rows."""

    fresh: Freshness
    rows: tuple[TargetRow, ...] = ()
    currency: str = "USD"
    capital: Decimal | None = None  # sizing capital
    capital_words: str = ""  # "fixed", "balance", "equity: smaller than the sizing capital"
    target: float | None = None
    actual: float | None = None
    gross: float | None = None
    max_gross: float | None = None
    effective: Due = NOT_DUE  # the next rebalance
    edit_url: str = ""  # the admin's page of the weights, empty without the permission

    @property
    def lines(self) -> tuple[TargetLine, ...]:
        """Return each row with its bar, all on one scale."""
        limit = charts.largest([weight for row in self.rows for weight in (row.target, row.actual)])
        return tuple(
            TargetLine(row, charts.across_bar(row.actual, limit), _mark(row.target, limit)) for row in self.rows
        )


def _mark(target: float | None, limit: float) -> float | None:
    """Return where the target lies in the bar's box, None when it is unknown."""
    if target is None:
        return None
    bar = charts.across_bar(target, limit)
    return bar.x if bar.kind == "down" else bar.x + bar.width


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One active fitted model of a symbol."""

    name: str
    variant: str
    version: str
    weight: float | None
    position: float | None  # last one, fraction of capital
    history: tuple[float | None, ...] = ()  # positions of the last bars, oldest first
    fitted_at: datetime | None = None
    level: Level = Level.OK
    note: str = ""  # "missing", "refit failed"

    @property
    def spark(self) -> Spark:
        return charts.sparkline(self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolModels:
    """The models of one symbol."""

    symbol: str
    models: tuple[ModelRow, ...] = ()
    position: float | None = None  # their sum


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsData:
    """Panel ``models``."""

    fresh: Freshness
    symbols: tuple[SymbolModels, ...] = ()
    history_words: str = "last 7 days"
