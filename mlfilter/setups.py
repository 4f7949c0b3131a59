"""What is proposed and what became of it: a setup, its outcome, and the terms that both are judged by.

A setup is found at the close of bar ``t``. It is entered at the open of bar ``t + 1``; its stop and target are looked
for in the bars ``t + 1`` to ``t + horizon``, and what has met neither is closed at the open of bar ``t + 1 + horizon``.
Labels, the backtest and the live bot all keep to this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mlfilter.ranges import require_fractions, require_positive, require_utc, require_whole

STOP_RANGE = (0.001, 0.2)  # fraction of the entry price
TARGET_RANGE = (0.001, 0.5)
COST_RANGE = (0.0, 0.05)  # fraction of price: nobody trades a symbol that costs more
MAX_HORIZON = 10_000  # bars


class Direction(StrEnum):
    """Which way a setup bets."""

    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        return 1 if self is Direction.LONG else -1


class ExitReason(StrEnum):
    """Why a position was closed."""

    STOP = "stop"
    TARGET = "target"
    TIMEOUT = "timeout"  # neither of them within the horizon
    MANUAL = "manual"  # by hand at the venue
    KILL = "kill"  # by the kill switch


@dataclass(frozen=True, slots=True, kw_only=True)
class Barriers:
    """Where a trade ends: fractions of the entry price, and bars."""

    stop_pct: float = 0.015
    target_pct: float = 0.02
    horizon: int = 24  # bars, that of the entry included

    def __post_init__(self) -> None:
        require_fractions(STOP_RANGE, stop_pct=self.stop_pct)
        require_fractions(TARGET_RANGE, target_pct=self.target_pct)
        require_whole((1, MAX_HORIZON), horizon=self.horizon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a fill is assumed to cost, each a fraction of its price: bars are taken as the middle."""

    half_spread: float = 0.0001
    slippage: float = 0.0002
    fee: float = 0.001

    def __post_init__(self) -> None:
        require_fractions(COST_RANGE, **asdict(self))

    @property
    def rate(self) -> float:
        """Return what one fill costs in all. A trade has two."""
        return self.half_spread + self.slippage + self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSetup:
    """A trade that the signals of a closed bar propose, and what the filter says of it.

    Raises
    ------
    ValueError
        If stop, entry and target are not in their order, a number is not one, or it is approved below its threshold.
    """

    symbol: str
    bar_at: datetime  # when the bar of the signal opened, UTC
    direction: Direction
    entry: Decimal  # as planned: the close of that bar
    stop: Decimal
    target: Decimal
    signals: Mapping[str, float] = field(default_factory=dict)  # what the signal was made of
    context: Mapping[str, float] = field(default_factory=dict)  # volatility, trend and volume beside it
    confidence: float | None = None  # chance of success, 0..1; None: nobody judged it
    threshold: float
    similar: Mapping[str, Any] | None = None  # win rate and distances of the most similar past trades
    approved: bool = False
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.symbol:
            raise ValueError("a setup needs a symbol, was ''")
        require_utc(bar_at=self.bar_at)
        require_positive(entry=self.entry, stop=self.stop, target=self.target)
        _require_order(self)
        require_fractions((0.0, 1.0), threshold=self.threshold)
        if self.confidence is not None:
            require_fractions((0.0, 1.0), confidence=self.confidence)
        if self.approved and (self.confidence is None or self.confidence < self.threshold):
            raise ValueError(
                f"a setup is approved with a confidence of at least its threshold {self.threshold}, was "
                f"{self.confidence}"
            )
        for name in ("signals", "context"):
            object.__setattr__(self, name, dict(getattr(self, name)))  # the caller may go on with its own

    @property
    def stop_distance(self) -> Decimal:
        """Return what a unit loses at the stop, costs not counted."""
        return abs(self.entry - self.stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOutcome:
    """What became of a setup that was traded, or would have become of one that was not.

    Raises
    ------
    ValueError
        For times out of order, prices or a quantity that are not above 0, fees below 0, or numbers that are not.
    """

    symbol: str
    bar_at: datetime
    direction: Direction
    entry_at: datetime
    exit_at: datetime
    entry_price: Decimal
    exit_price: Decimal
    quantity: Decimal  # base units, above 0 for both directions
    exit_reason: ExitReason
    pnl: Decimal  # account currency, after fees
    r: float  # pnl in units of what the stop was to lose
    fees: Decimal
    slippage: Decimal  # account currency, already in the prices; negative where the fills were better than planned

    def __post_init__(self) -> None:
        require_utc(bar_at=self.bar_at, entry_at=self.entry_at, exit_at=self.exit_at)
        if not self.bar_at < self.entry_at <= self.exit_at:
            raise ValueError(
                f"a trade is entered after its bar opened and left after that, was bar {self.bar_at.isoformat()}, "
                f"entry {self.entry_at.isoformat()}, exit {self.exit_at.isoformat()}"
            )
        require_positive(entry_price=self.entry_price, exit_price=self.exit_price, quantity=self.quantity)
        if not (self.pnl.is_finite() and self.slippage.is_finite() and math.isfinite(self.r)):
            raise ValueError(f"pnl, slippage and r must be finite, were {self.pnl}, {self.slippage}, {self.r}")
        if not (self.fees.is_finite() and self.fees >= 0):
            raise ValueError(f"fees must be at least 0, were {self.fees}")

    @property
    def is_win(self) -> bool:
        return self.pnl > 0

    @property
    def held(self) -> timedelta:
        return self.exit_at - self.entry_at


def make_setup(
    symbol: str, bar_at: datetime, *, direction: Direction, entry: float | Decimal, barriers: Barriers, **judged: Any
) -> TradeSetup:
    """Return a setup with its stop and target at their fractions from the entry, in exact decimals.

    Parameters
    ----------
    entry : float or Decimal
        A float enters through its shortest decimal text: 0.1 is 0.1.
    **judged
        The other fields of ``TradeSetup``: ``threshold`` at least.
    """
    price = decimal_of(entry)
    away = direction.sign * price
    return TradeSetup(
        symbol=symbol,
        bar_at=bar_at,
        direction=direction,
        entry=price,
        stop=price - away * decimal_of(barriers.stop_pct),
        target=price + away * decimal_of(barriers.target_pct),
        **judged,
    )


def decimal_of(value: float | Decimal) -> Decimal:
    """Return the shortest decimal that reads back as the same float; a decimal as it is."""
    return value if isinstance(value, Decimal) else Decimal(repr(float(value)))


def _require_order(setup: TradeSetup) -> None:
    low, high = (setup.stop, setup.target) if setup.direction is Direction.LONG else (setup.target, setup.stop)
    if not low < setup.entry < high:
        order = "stop < entry < target" if setup.direction is Direction.LONG else "target < entry < stop"
        raise ValueError(
            f"a {setup.direction} setup needs {order}, was stop {setup.stop}, entry {setup.entry}, target "
            f"{setup.target}"
        )
