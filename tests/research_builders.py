"""Small markets for backtests, and an account done a second time with the live sizing and planning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from execution.planning.adjust import plan_adjustment
from execution.planning.orders import MarginMode
from execution.planning.rounding import decimal_from_float
from execution.planning.sizing import SizingRules, size_target
from execution.sessions.slots import Slot, SlotRule, slot_of
from strategies.research.lots import LotRules
from strategies.research.timeline import Timeline, TimelineRules, build_timeline
from tests.execution_builders import make_position, make_spec

HOUR = timedelta(hours=1)


def hours(n: int, start: str = "2025-01-15 16:00") -> pd.DatetimeIndex:
    """Return open times of hourly bars."""
    return pd.date_range(start, periods=n, freq="h", tz="UTC", name="open_time")


def price_bars(
    n: int = 200, *, seed: int = 0, price: float = 76_347.0, start: str = "2025-01-15 16:00", gaps: float = 0.0
) -> pd.DataFrame:
    """Return open and close of a random walk with two places after the point; ``gaps`` is the share of missing bars."""
    rng = np.random.default_rng(seed)
    close = np.round(price * np.exp(np.cumsum(0.01 * rng.standard_normal(n))), 2)
    opening = np.round(np.concatenate([[price], close[:-1]]) * np.exp(0.001 * rng.standard_normal(n)), 2)
    bars = pd.DataFrame({"open": opening, "close": close}, index=hours(n, start))
    kept = rng.random(n) >= gaps
    kept[0] = True
    return bars[kept]


def wishes(n: int, *, seed: int = 0, stays: int = 4) -> np.ndarray:
    """Return positions that wander between -1.2 and 1.2 and change every few bars."""
    rng = np.random.default_rng(seed + 1000)
    steps = np.repeat(rng.uniform(-1.2, 1.2, n // stays + 1), stays)[:n]
    steps[rng.random(n) < 0.1] = 0.0
    return steps


def timeline_of(bars: pd.DataFrame, **rules: Any) -> Timeline:
    """Return the timeline of one symbol, BTCUSD."""
    return build_timeline({"BTCUSD": bars}, TimelineRules(**rules))


@dataclass
class LiveAccount:
    """One symbol's account that steps through the session's slots with the live sizing and planning, in decimals.

    It holds a netting position, fills at the bar's price without costs, and sizes from a fixed capital or the equity.
    """

    bars: pd.DataFrame
    positions: pd.Series
    lots: LotRules
    fixed: Decimal | None = Decimal(10_000)
    start: Decimal = Decimal(10_000)
    held: Decimal = Decimal(0)
    cash: Decimal = field(init=False)
    fills: list[tuple[pd.Timestamp, Decimal, Decimal]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cash = self.start
        self.spec = make_spec(
            contract_size=str(self.lots.contract_size),
            volume_min=str(self.lots.volume_min),
            volume_step=str(self.lots.volume_step),
            volume_max="1e12",
        )
        self.rules = SizingRules(
            max_position_pct=decimal_from_float(self.lots.max_position_pct), lot_precision=self.lots.lot_precision
        )

    def run(self) -> list[Decimal]:
        """Act at every slot that the session would, and return the equity at each bar's close.

        A slot acts when the bar that it falls into is there, so that there is a price, and the one before it is the
        newest closed.
        """
        for slot in self._slots():
            opens_at = pd.Timestamp(slot.at).floor("h")
            if opens_at in self.bars.index and slot.bar_at in self.bars.index:
                column = "open" if slot.at.minute < 30 else "close"
                self._act(slot, decimal_from_float(self.bars.at[opens_at, column]))
        return self._marked()

    def worth(self, price: Decimal) -> Decimal:
        return self.cash + self.held * self.spec.contract_size * price

    def _slots(self) -> Iterator[Slot]:
        first, last = self.bars.index[0].to_pydatetime(), self.bars.index[-1].to_pydatetime()
        hour = first
        while hour <= last + HOUR:
            slot = slot_of(hour, SlotRule())
            if slot.at <= last + HOUR:
                yield slot
            hour += HOUR

    def _act(self, slot: Slot, price: Decimal) -> None:
        capital = self.worth(price) if self.fixed is None else min(self.fixed, self.worth(price))
        limit = self.lots.max_position_pct
        wish = max(-limit, min(limit, float(self.positions[slot.bar_at])))
        value = self.spec.contract_size * price
        target = size_target(
            wish, spec=self.spec, contract_value=value, capital_per_asset=capital, rules=self.rules
        ).target_lots
        plan = plan_adjustment(
            target_lots=target,
            positions=[make_position(self.held, symbol="BTCUSD")] if self.held else [],
            spec=self.spec,
            margin_mode=MarginMode.NETTING,
            band=decimal_from_float(self.lots.drift_band),
        )
        change = sum((leg.signed_volume for leg in plan.legs), Decimal(0))
        if change:
            self.fills.append((pd.Timestamp(slot.at), self.held + change, price))
            self.cash -= change * value
            self.held += change

    def _marked(self) -> list[Decimal]:
        """Mark every bar at its close with what was held then."""
        out, fills = [], iter(self.fills)
        held, cash, upcoming = Decimal(0), self.start, next(fills, None)
        for opened, close in self.bars["close"].items():
            while upcoming is not None and upcoming[0] < opened + HOUR:
                cash -= (upcoming[1] - held) * self.spec.contract_size * upcoming[2]
                held, upcoming = upcoming[1], next(fills, None)
            out.append(cash + held * self.spec.contract_size * decimal_from_float(close))
        return out
