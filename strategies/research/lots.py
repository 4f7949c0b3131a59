"""How positions become lots in a backtest: the live rules, as numbers that a kernel can count with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import lru_cache

from strategies.errors import ParameterError
from strategies.estimators.parameters import YES_OR_NO, Allowed, Number, Whole, check_parameters
from strategies.kernels.course import Terms
from strategies.research.costs import NIGHTS_A_YEAR, Costs

MOST_PLACES = 8  # finer than any venue's volume step

ABOVE_ZERO = Number(0, above=True)
ALLOWED: Mapping[str, Allowed] = {
    "contract_size": ABOVE_ZERO,
    "volume_min": ABOVE_ZERO,
    "volume_step": ABOVE_ZERO,
    "lot_precision": Whole(0),
    "max_position_pct": Number(0),
    "is_rounded": YES_OR_NO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LotRules:
    """A symbol's grid of volumes, and the rounding and bounds of live sizing and planning.

    Positions are brought to tenths of capital, lots to ``lot_precision`` places (halves to even), to the volume step
    towards zero, to the most that fit into ``max_position_pct``, and to zero below ``volume_min``. A change of size
    below the drift band, a step or ``volume_min`` is not traded; closing and turning round always are.

    Parameters
    ----------
    contract_size : float, default=1.0
        Coins in a lot.
    volume_min, volume_step : float, default=0.01
        The venue's least volume and its step, lots.
    lot_precision : int, default=2
        Places after the point, 0 to 8.
    max_position_pct : float, default=1.0
        The largest position, fraction of the symbol's capital (the name is the live setting's).
    drift_band : float, default=0.0
        Lots. Infinity trades only to open, to close and to turn round.
    is_rounded : bool, default=True
        False holds exactly what is asked for: for research on a signal alone.

    Raises
    ------
    ParameterError
        For a number outside what it may be.
    """

    contract_size: float = 1.0
    volume_min: float = 0.01
    volume_step: float = 0.01
    lot_precision: int = 2
    max_position_pct: float = 1.0
    drift_band: float = 0.0
    is_rounded: bool = True

    def __post_init__(self) -> None:
        check_parameters("lots", ALLOWED, asdict(self))
        if self.lot_precision > MOST_PLACES:
            raise ParameterError(f"lots: lot_precision must be at most {MOST_PLACES}, was {self.lot_precision}")
        if not self.drift_band >= 0:
            raise ParameterError(f"lots: drift_band must be a number of at least 0, was {self.drift_band}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolTerms:
    """How one symbol is traded in a backtest."""

    lots: LotRules = field(default_factory=LotRules)
    costs: Costs = field(default_factory=Costs)
    weight: float | None = None  # fraction of the sizing capital; None is an equal share

    def __post_init__(self) -> None:
        if self.weight is not None and self.weight not in Number(0, 1):
            raise ParameterError(f"terms: weight must be {Number(0, 1)}, was {self.weight!r}")


@lru_cache(maxsize=256)
def kernel_terms(terms: SymbolTerms, *, weight: float, funding_rate: float) -> Terms:
    """Return the numbers that kernels size and charge with."""
    lots, costs = terms.lots, terms.costs
    grid = _grid(lots) if lots.is_rounded else _no_grid(lots)
    return Terms(
        weight=weight,
        contract=float(lots.contract_size),
        **grid,
        largest=float(lots.max_position_pct),
        half_spread=costs.spread_fraction / 2,
        half_spread_price=costs.spread_price / 2,
        slippage=float(costs.slippage),
        commission=float(costs.commission_rate),
        night_long=costs.swap_long / NIGHTS_A_YEAR,
        night_short=costs.swap_short / NIGHTS_A_YEAR,
        funding_rate=float(funding_rate),
    )


def _grid(lots: LotRules) -> dict[str, float]:
    """Return the grid in atoms, the largest volume of which step and precision are whole multiples."""
    step, least = _written(lots.volume_step), _written(lots.volume_min)
    unit = Fraction(1, 10**lots.lot_precision)
    atom = Fraction(math.gcd(step.numerator * unit.denominator, unit.numerator * step.denominator)) / (
        step.denominator * unit.denominator
    )
    smallest_order = math.ceil(least / step) * step  # the least volume that can be sent
    band = math.inf if math.isinf(lots.drift_band) else float(math.ceil(_written(lots.drift_band) / atom))
    return {
        "atom": float(atom),
        "units": float(1 / unit),
        "precision": float(unit / atom),
        "step": float(step / atom),
        "smallest": float(math.ceil(least / atom)),
        "band": max(band, float(smallest_order / atom)),
    }


def _no_grid(lots: LotRules) -> dict[str, float]:
    band = float(lots.drift_band)
    return {"atom": 1.0, "units": 1.0, "precision": 0.0, "step": 1.0, "smallest": 0.0, "band": band}


def _written(value: float) -> Fraction:
    """Return the decimal number that a person would have written for this float."""
    return Fraction(repr(float(value)))
