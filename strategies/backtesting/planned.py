"""Positions of the plan, fitted again and again as time went on: nothing is asked about a bar that it was fitted on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ops.progress import Progress
from strategies.backtesting.positions import NoModelError, Wishes, deciding_hours, total_positions
from strategies.backtesting.requests import HOUR, BacktestRequest
from strategies.backtesting.windowed import windowed_positions
from strategies.default_plan import PlannedModel
from strategies.fits import Failure, Fit, fit_plan
from strategies.services import enabled_plan

if TYPE_CHECKING:
    import pandas as pd

    from strategies.estimators.base import BaseStrategy


def of_plan(request: BacktestRequest, bars: Mapping[str, pd.DataFrame], progress: Progress) -> Wishes:
    """Fit the plan at every refit on the bars before it, and ask it until the next.

    Raises
    ------
    PlanError
        Nothing is switched on.
    NoModelError
        Nothing of it can be fitted before some refit.
    """
    refits = _Refits(request, enabled_plan())
    progress.start(len(bars) * len(refits.times), "fitting the plan")
    positions = {name: refits.positions(name, frame, progress) for name, frame in bars.items()}
    plan = [{"strategy": p.strategy, "params": dict(p.params), "strat_weight": p.strat_weight} for p in refits.plan]
    return Wishes(positions=positions, made_by={"plan": plan}, warnings=refits.warnings)


@dataclass(frozen=True, slots=True)
class _Refits:
    """The refits of a request, and what could not be fitted at them."""

    request: BacktestRequest
    plan: tuple[PlannedModel, ...]
    failures: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def times(self) -> list[datetime]:
        """At the beginning, and every ``refit_hours`` from then on."""
        n_refits = math.ceil(self.request.n_slots / self.request.refit_hours)
        return [self.request.begin + HOUR * self.request.refit_hours * n for n in range(n_refits)]

    @property
    def warnings(self) -> tuple[str, ...]:
        n_refits = len(self.times)
        return tuple(
            f"{name} was not fitted {len(errors)} times of {n_refits}, first: {errors[0]}"
            for name, errors in self.failures.items()
        )

    def positions(self, symbol: str, bars: pd.DataFrame, progress: Progress) -> pd.Series:
        """Return a symbol's positions at every bar that decides a slot."""
        import pandas as pd

        parts = []
        for begin in self.times:
            models = self._fitted_at(begin, symbol, bars)
            parts.append(self._until_next(begin, models, bars))
            progress.advance(f"{symbol} {begin:%Y-%m-%d}")
        joined: pd.Series = pd.concat(parts)
        return joined

    def _fitted_at(self, begin: datetime, symbol: str, bars: pd.DataFrame) -> list[BaseStrategy]:
        """Fit on the newest bars that have closed; what cannot be fitted is left out, as a session would have."""
        seen = bars[bars.index < begin].tail(self.request.history_hours)
        outcomes = fit_plan(self.plan, seen)
        failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        for one in failed:
            self.failures[f"{symbol} {one.planned.strategy} {one.planned.variant}"].append(one.error)
        if len(failed) == len(outcomes):
            raise NoModelError(
                f"nothing of the plan can be fitted to the {len(seen)} bars of {symbol} before {begin:%Y-%m-%d %H:%M}: "
                f"{failed[0].error}"
            )
        return [outcome.estimator for outcome in outcomes if isinstance(outcome, Fit)]

    def _until_next(self, begin: datetime, models: list[BaseStrategy], bars: pd.DataFrame) -> pd.Series:
        """Return positions from the bar that closes at a refit to the last one that closes before the next."""
        length, window = self.request.refit_hours, self.request.history_hours
        hours = deciding_hours(bars, begin, min(begin + HOUR * length, self.request.end))
        if self.request.is_windowed or not len(hours):
            return windowed_positions(models, bars, hours, window)
        return total_positions(models, bars.loc[: hours[-1]].tail(window + length))[hours]
