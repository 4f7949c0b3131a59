"""What trading and holding cost: as assumed for a backtest, as summed by one, and as our own fills show it.

Rates are fractions. An amount of cost is positive where it was paid; a swap or funding that was earned is negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from strategies.errors import ParameterError
from strategies.estimators.parameters import Number, check_parameters

COST_KINDS = ("spread", "slippage", "commission", "swap", "funding")
NIGHTS_A_YEAR = 360  # of yearly swap rates, as MetaTrader 5 counts where interest is on the current price
ENOUGH_FILLS = 30  # before what was learned replaces what was assumed

RATE = Number(-10, 10)  # of a swap, a year, or of funding
MONEY = Number(-1e12, 1e12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a symbol's trades and positions are assumed to cost.

    Parameters
    ----------
    spread_fraction : float, default=0.0
        Ask less bid as a fraction of their middle. A fill pays half of it.
    spread_points, point : float, default=0.0
        The same in points of ``point`` price units each, as brokers state it. Both spreads are paid if both are given.
    slippage : float, default=0.0
        Fraction of price by which a fill is worse than bid or ask.
    commission_rate : float, default=0.0
        Fraction of what is traded, on each side.
    swap_long, swap_short : float, default=0.0
        Fraction of a position's worth a year, a 360th of it a night; negative is paid by the holder, as brokers say it.
    funding_rate : float, default=0.0
        Fraction of a position's worth at each funding time, paid by longs to shorts where positive. Left at 0 where a
        timeline has recorded rates.

    Raises
    ------
    ParameterError
        For a number outside what it may be.
    """

    spread_fraction: float = 0.0
    spread_points: float = 0.0
    point: float = 0.0
    slippage: float = 0.0
    commission_rate: float = 0.0
    swap_long: float = 0.0
    swap_short: float = 0.0
    funding_rate: float = 0.0

    def __post_init__(self) -> None:
        paid = dict.fromkeys(("spread_fraction", "spread_points", "point", "slippage", "commission_rate"), Number(0))
        either = dict.fromkeys(("swap_long", "swap_short", "funding_rate"), RATE)
        check_parameters("costs", paid | either, asdict(self))
        if self.spread_points > 0 and self.point == 0:
            raise ParameterError(f"costs: point must be a number above 0 with a spread of {self.spread_points} points")

    @property
    def spread_price(self) -> float:
        """The spread in points, in price units."""
        return self.spread_points * self.point


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTotals:
    """What was paid, by kind, in account currency."""

    spread: float = 0.0
    slippage: float = 0.0
    commission: float = 0.0
    swap: float = 0.0
    funding: float = 0.0

    @property
    def total(self) -> float:
        """The sum of all kinds."""
        return math.fsum(self.as_data().values())

    def as_data(self) -> dict[str, float]:
        """Return the amounts by their kind."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedFill:
    """One of our fills beside the quote that it was planned on.

    ``mid`` and ``planned`` are None where the quote was not kept: then only the commission is learned from.
    """

    side: int  # 1 bought, -1 sold
    price: float
    coins: float  # traded, above 0
    commission: float  # account currency, positive where paid
    mid: float | None = None  # the middle of bid and ask when the order was planned
    planned: float | None = None  # the ask of that quote for a buy, its bid for a sale

    def __post_init__(self) -> None:
        if self.side not in (1, -1):
            raise ParameterError(f"fill: side must be 1 or -1, was {self.side}")
        above = dict.fromkeys(("price", "coins"), Number(0, above=True))
        check_parameters("fill", above | {"commission": MONEY}, asdict(self))
        quote = {name: price for name, price in (("mid", self.mid), ("planned", self.planned)) if price is not None}
        check_parameters("fill", dict.fromkeys(quote, Number(0, above=True)), quote)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A rate as fills show it: ``low`` and ``high`` are the quartiles of single fills."""

    value: float
    low: float
    high: float
    count: int

    @property
    def dispersion(self) -> float:
        """The distance between the quartiles."""
        return self.high - self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class CostComparison:
    """An assumed rate and the learned one side by side; None where no fill tells."""

    name: str
    assumed: float
    learned: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedCosts:
    """What our own fills say that trading costs; fractions of price, None where no fill tells."""

    spread_fraction: Estimate | None  # twice the median distance of the planned price from the middle
    slippage: Estimate | None  # median distance of the fill from the planned price; negative is a better price
    commission_rate: Estimate | None  # all commissions over all that was traded

    def beside(self, assumed: Costs, *, price: float | None = None) -> tuple[CostComparison, ...]:
        """Return each learned rate beside the assumed one; ``price`` turns a spread in points into a fraction."""
        if assumed.spread_price and price is None:
            raise ParameterError("costs: price must be given to compare a spread in points with a fraction, was None")
        in_points = assumed.spread_price / price if price else 0.0
        rates = (
            ("spread_fraction", assumed.spread_fraction + in_points, self.spread_fraction),
            ("slippage", assumed.slippage, self.slippage),
            ("commission_rate", assumed.commission_rate, self.commission_rate),
        )
        return tuple(CostComparison(name=name, assumed=rate, learned=found) for name, rate, found in rates)

    def applied_to(self, assumed: Costs, *, at_least: int = ENOUGH_FILLS) -> Costs:
        """Return the assumed costs with each rate that enough fills show in its place; a better price counts as 0."""
        changes: dict[str, float] = {}
        for name in ("spread_fraction", "slippage", "commission_rate"):
            learned: Estimate | None = getattr(self, name)
            if learned is not None and learned.count >= at_least:
                changes[name] = max(0.0, learned.value)
        if "spread_fraction" in changes:
            changes["spread_points"] = 0.0
        return replace(assumed, **changes)


def learned_from_fills(fills: Iterable[ObservedFill]) -> LearnedCosts:
    """Return what fills cost beside the quotes they were planned on.

    Planned price less middle is the half-spread, fill less planned price the slippage, both in the direction of the
    trade: together they are all that the fill was worse than the middle. Medians, so that one bad quote changes
    nothing; the commission is pooled, because brokers round it to cents and small fills would bias a median.
    """
    known = list(fills)
    quoted = [fill for fill in known if fill.mid is not None and fill.planned is not None]
    spreads = [2.0 * f.side * (f.planned - f.mid) / f.mid for f in quoted if f.mid and f.planned]
    slips = [f.side * (f.price - f.planned) / f.planned for f in quoted if f.planned]
    rates = [f.commission / (f.price * f.coins) for f in known]
    pooled = math.fsum(f.commission for f in known) / math.fsum(f.price * f.coins for f in known) if known else 0.0
    return LearnedCosts(
        spread_fraction=_estimate(spreads),
        slippage=_estimate(slips),
        commission_rate=_estimate(rates, value=pooled),
    )


def _estimate(observed: Sequence[float], *, value: float | None = None) -> Estimate | None:
    """Return the median, or ``value`` in its place, with quartiles and count; None of nothing."""
    if not observed:
        return None
    low, median, high = (float(number) for number in np.quantile(observed, (0.25, 0.5, 0.75)))
    return Estimate(value=median if value is None else value, low=low, high=high, count=len(observed))
