"""When two backtests or searches are trials on one sample."""

from __future__ import annotations

from datetime import datetime

Period = tuple[datetime, datetime]  # from, until


def is_same_sample(ours: Period, theirs: Period) -> bool:
    """Return whether two periods have at least half of the longer one in common.

    A year's figures are no guess at those of one of its weeks: the Sharpe ratio of a week is mostly noise, and counted
    among those of years it would make every one of them look like luck.
    """
    overlap = min(ours[1], theirs[1]) - max(ours[0], theirs[0])
    return 2 * overlap >= max(ours[1] - ours[0], theirs[1] - theirs[0])
