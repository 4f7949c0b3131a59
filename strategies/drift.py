"""Whether a model does live what it does on paper.

A session asks a model on the bars that it has then: the newest ``MAX_HISTORY_HOURS``, as the venues had reported them.
Drift is the difference to what the same version says today on all of stored history, which is what a backtest holds:
from the shorter window, from bars that were corrected since, and from sessions that did not run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from market.services import joined_bars
from ops import clock
from strategies import registry
from strategies.gates import ALL_BARS
from strategies.models import FittedModel, LivePrediction

if TYPE_CHECKING:
    import pandas as pd

DAYS = 30
LIVE = (FittedModel.Status.ACTIVE, FittedModel.Status.SHADOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a version's live predictions compare with the same version's on all of history.

    Attributes
    ----------
    since, until : datetime
        Open times of the first and the last bar of the comparison.
    n_bars, n_live, n_failed : int
        Bars in between; those with a live prediction; those on which the model failed.
    coverage : float
        ``n_live / n_bars``. The hour before the market's break has no session of its own: 23/24 is whole.
    correlation : float or None
        Pearson's, of both series of positions; None where one never moves, or there are fewer than two.
    mean_abs_diff, max_abs_diff : float or None
        Of positions, fractions of capital; None without any.
    """

    since: datetime
    until: datetime
    n_bars: int
    n_live: int
    n_failed: int
    coverage: float
    correlation: float | None
    mean_abs_diff: float | None
    max_abs_diff: float | None

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def measure_drift(model: FittedModel, *, days: int = DAYS) -> Drift | None:
    """Return a version's drift over the last market days, or None when it predicted nothing live in them.

    A version that still is active or a shadow should have predicted to the newest closed bar; another, to its last.

    Raises
    ------
    ModelFileError
        Its file cannot be opened any more.
    StrategyError, MarketError
        It cannot predict on today's bars.
    """
    kept = _predictions(model, clock.market_now() - timedelta(days=days))
    if not kept:
        return None
    estimator = registry.load(model).estimator
    recomputed = estimator.predict(joined_bars(model.symbol.name, ALL_BARS))
    until = recomputed.index[-1] if model.status in LIVE else max(kept)
    period = recomputed.loc[min(kept) : until]
    failed = sum(position is None for position in kept.values())
    live = {bar_at: position for bar_at, position in kept.items() if position is not None}
    return compare(live, period, n_failed=failed) if len(period) else None


def compare(live: dict[datetime, float], recomputed: pd.Series, *, n_failed: int = 0) -> Drift:
    """Return how live predictions compare with recomputed ones.

    Parameters
    ----------
    live : dict of datetime to float
        Positions by the open time of their bar; those whose bar is not in ``recomputed`` are left out.
    recomputed : Series of shape (n_bars,), float64
        Positions of every bar of the period, at least one.
    """
    import numpy as np
    import pandas as pd

    said = pd.Series(live, dtype=np.float64)
    said = said[said.index.isin(recomputed.index)]
    ours, theirs = said.to_numpy(), recomputed.reindex(said.index).to_numpy()
    apart = np.abs(ours - theirs)
    return Drift(
        since=recomputed.index[0].to_pydatetime(),
        until=recomputed.index[-1].to_pydatetime(),
        n_bars=len(recomputed),
        n_live=len(said),
        n_failed=n_failed,
        coverage=len(said) / len(recomputed),
        correlation=float(np.corrcoef(ours, theirs)[0, 1]) if _moves(ours) and _moves(theirs) else None,
        mean_abs_diff=float(apart.mean()) if len(said) else None,
        max_abs_diff=float(apart.max()) if len(said) else None,
    )


def _moves(x: Any) -> bool:
    return len(x) > 1 and bool((x != x[0]).any())


def _predictions(model: FittedModel, since: datetime) -> dict[datetime, float | None]:
    rows = LivePrediction.objects.filter(model=model, bar_at__gte=since)
    return dict(rows.values_list("bar_at", "position"))
