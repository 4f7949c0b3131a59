"""What could have happened instead: equity along returns resampled in blocks, and the limits it would have met.

Blocks keep what returns remember from bar to bar; between blocks everything is forgotten, and a block begins at any
hour whatever hour it came from. Limits are judged at bar closes: inside a bar equity can be lower, so chances of loss
are understated, the more the longer the bars.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from strategies.estimators.parameters import YES_OR_NO, Allowed, Number, Whole, check_parameters
from strategies.kernels.bootstrap import (
    DAILY_LOSS,
    EVENTS,
    MAX_LOSS,
    TARGET,
    TRAILING_LOSS,
    equity_paths,
)
from strategies.kernels.jit import Floats, Integers
from strategies.research.errors import ReturnsError
from strategies.research.resampling import Blocks, resampled_from

FAN_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FAN_POINTS = 200
PRAGUE = "Europe/Prague"  # whose midnight begins a day of a funded programme


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRules:
    """A programme's limits and target, fractions of the starting capital; None where there is none.

    The daily limit counts from the equity at the day's midnight (execution has the balance then; a simulated path has
    no open positions to tell the two apart). The largest loss counts from the start, or trails the highest equity at
    any midnight with ``is_trailing``.
    """

    daily_loss: float | None = 0.05
    max_loss: float | None = 0.10
    is_trailing: bool = False
    target: float | None = 0.10

    def __post_init__(self) -> None:
        amounts = {name: value for name, value in asdict(self).items() if value is not None}
        above = Number(0, above=True)
        allowed: dict[str, Allowed] = {name: YES_OR_NO if name == "is_trailing" else above for name in amounts}
        check_parameters("loss rules", allowed, amounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """A probability as a share of paths, and its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, happened: npt.NDArray[np.bool_]) -> Chance:
        """Return the share of paths on which it happened."""
        value = float(happened.mean())
        return cls(value=value, error=math.sqrt(value * (1 - value) / happened.size))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Simulation:
    """Equity along resampled returns.

    Attributes
    ----------
    steps : ndarray of shape (n_points,), int64
        Bars that have passed at each point of the paths.
    paths : ndarray of shape (n_paths, n_points), float64
        Equity in units of the starting capital. A path goes on whatever limit it meets.
    first : ndarray of shape (n_paths, 4), int64
        The bar at which each first met the daily limit, the largest loss from the start, the largest loss trailing,
        and the target, counted from 0; ``horizon`` where it never did.
    horizon : int
        Bars.
    rules : LossRules
    """

    steps: Integers
    paths: Floats
    first: Integers
    horizon: int
    rules: LossRules

    @property
    def daily_loss(self) -> Chance:
        """The chance to meet the daily limit within the horizon."""
        return self._met(DAILY_LOSS)

    @property
    def max_loss(self) -> Chance:
        """The chance to lose the largest loss from the start."""
        return self._met(MAX_LOSS)

    @property
    def trailing_loss(self) -> Chance:
        """The chance to lose the largest loss from the highest equity at a midnight."""
        return self._met(TRAILING_LOSS)

    @property
    def target(self) -> Chance:
        """The chance to reach the target at all, whatever was met before."""
        return self._met(TARGET)

    @property
    def passed(self) -> Chance:
        """The chance to reach the target before either limit that the rules are about."""
        return Chance.of((self.first[:, TARGET] < self.horizon) & (self.first[:, TARGET] < self._failed_at()))

    @property
    def failed(self) -> Chance:
        """The chance to meet a limit before the target."""
        failed = self._failed_at()
        return Chance.of((failed < self.horizon) & (failed < self.first[:, TARGET]))

    def fan(self, quantiles: tuple[float, ...] = FAN_QUANTILES) -> pd.DataFrame:
        """Return quantiles of the equity at each point: a row for each of ``steps``, a column for each quantile."""
        levels = np.quantile(self.paths, quantiles, axis=0).T
        return pd.DataFrame(levels, index=pd.Index(self.steps, name="bars"), columns=list(quantiles))

    def _met(self, event: int) -> Chance:
        return Chance.of(self.first[:, event] < self.horizon)

    def _failed_at(self) -> Integers:
        largest = TRAILING_LOSS if self.rules.is_trailing else MAX_LOSS
        return np.minimum(self.first[:, DAILY_LOSS], self.first[:, largest])


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationPlan:
    """How paths are drawn.

    Parameters
    ----------
    n_paths : int, default=1000
    blocks : Blocks
    rules : LossRules
    is_compounding : bool, default=False
        Whether returns are fractions of the equity before; else of the starting capital, as with a fixed sizing
        capital.
    seed : int, default=0
        The same seed gives the same paths.
    """

    n_paths: int = 1000
    blocks: Blocks = field(default_factory=Blocks)
    rules: LossRules = field(default_factory=LossRules)
    is_compounding: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        allowed: dict[str, Allowed] = {"n_paths": Whole(1), "is_compounding": YES_OR_NO, "seed": Whole(0)}
        check_parameters("simulation", allowed, {name: getattr(self, name) for name in allowed})


def simulate(
    returns: npt.ArrayLike, days: npt.ArrayLike, plan: SimulationPlan | None = None, *, n_points: int = FAN_POINTS
) -> Simulation:
    """Return equity along block-resampled returns, and what it meets.

    Parameters
    ----------
    returns : array-like of shape (n_bars,)
        What the account earned in each bar, as a fraction; costs included.
    days : array-like of shape (horizon,), int
        The day of each step of a path, as ``days_of`` gives it: a path is as long as this.
    plan : SimulationPlan, optional
    n_points : int, default=200
        At most so many points of each path are kept.

    Raises
    ------
    ReturnsError
        If returns are not finite numbers, or days do not go forward.
    ParameterError
        If a parameter is outside what it may be, or a fixed block is longer than the returns.
    """
    plan = plan or SimulationPlan()
    check_parameters("simulation", {"n_points": Whole(1)}, {"n_points": n_points})
    known, calendar = resampled_from(returns, plan.blocks), _checked_days(days)
    every = -(-calendar.size // n_points)
    paths = np.empty((plan.n_paths, calendar.size // every))
    first = equity_paths(
        known,
        calendar,
        _limits(plan.rules),
        plan.is_compounding,
        plan.blocks.length,
        plan.blocks.log_stay(),
        every,
        paths,
        np.random.default_rng(plan.seed),
    )
    steps = np.arange(1, paths.shape[1] + 1) * every
    return Simulation(steps=steps, paths=paths, first=first, horizon=calendar.size, rules=plan.rules)


def days_of(index: pd.DatetimeIndex, zone: str = PRAGUE) -> Integers:
    """Return a number for the calendar day in ``zone`` that each bar is in, by its aware open time.

    The bar that closes at midnight ends the old day: its loss counts against the limit of the day it was made in. Days
    on which clocks change have 23 or 25 hours.
    """
    if index.tz is None:
        raise ReturnsError("the times of days must be aware, were naive")
    local = index.tz_convert(ZoneInfo(zone))
    return np.asarray(local.tz_localize(None).normalize().as_unit("s").asi8 // 86_400)


def _limits(rules: LossRules) -> Floats:
    limits = np.full(EVENTS, np.inf)
    for event, limit in (
        (DAILY_LOSS, rules.daily_loss),
        (MAX_LOSS, rules.max_loss),
        (TRAILING_LOSS, rules.max_loss),
        (TARGET, rules.target),
    ):
        if limit is not None:
            limits[event] = limit
    return limits


def _checked_days(days: npt.ArrayLike) -> Integers:
    calendar = np.array(days, dtype=np.int64)
    if calendar.ndim != 1 or calendar.size < 1 or (np.diff(calendar) < 0).any():
        raise ReturnsError(f"days must be at least 1 number that never goes back, had shape {calendar.shape}")
    return calendar
