"""The scheduled refit: once in a period of market days, every enabled row of the plan, on the research queue.

A slot in which a version trades gets a candidate (or, if the settings say so, a new active version); one in which
nothing ever traded starts with it. The newest bars are left out of the fit, so that the gates of a promotion have
something to judge a candidate on at once. A refit that a person runs with ``fit_models`` activates what it fits: it was
asked for, and it is the remedy for files that do not open any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from ops import clock
from strategies.models import FittedModel, RegistrySettings
from strategies.versions import Activate

ACTIVATE = {
    RegistrySettings.RefitAs.CANDIDATE: Activate.WHERE_NEW,
    RegistrySettings.RefitAs.ACTIVE: Activate.ALWAYS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """A refit that is due: the slot of its run, of which there is one a period, and what ``fit_models`` is given."""

    slot: str
    options: dict[str, Any]


def due_refit() -> Refit | None:
    """Return this period's refit; None when refits are off, or nothing was fitted before the period."""
    rules = RegistrySettings.current()
    if rules.refit_every_days == 0:
        return None
    begins_on = period_start(clock.market_now().date(), rules.refit_every_days)
    if not _is_older_than(begins_on):
        return None
    activate = ACTIVATE[RegistrySettings.RefitAs(rules.refit_as)]
    options = {"activate": activate.value, "hold_out": rules.unseen_bars, "note": "scheduled refit"}
    return Refit(slot=f"refit {begins_on:%Y-%m-%d}", options=options)


def period_start(today: date, every_days: int) -> date:
    """Return the day on which the current period of so many days began; weeks begin on Mondays.

    >>> period_start(date(2026, 1, 8), 7)
    datetime.date(2026, 1, 5)
    """
    days = today.toordinal() - 1  # since Monday, the first of January of the year 1
    return date.fromordinal(days - days % every_days + 1)


def _is_older_than(day: date) -> bool:
    """Return whether any version was fitted before the period: those of a site that was just set up are new."""
    return (
        FittedModel.objects.of_strategies().kept().filter(fit_to__lt=datetime.combine(day, time(), tzinfo=UTC)).exists()
    )
