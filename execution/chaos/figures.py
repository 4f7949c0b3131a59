"""How much the setup bot did in a run."""

from __future__ import annotations

from typing import Any

from django.db.models import Count

from execution.models import BotTrade
from mlfilter.models import Outcome, Setup


def bot_figures(n_runs: int) -> dict[str, Any]:
    """Return how much the setup bot did: runs, trades, and why those of them ended that have."""
    by_reason = Outcome.objects.filter(setup__trade__isnull=False).values_list("exit_reason")
    return {
        "runs": n_runs,
        "setups": Setup.objects.count(),
        "approved": Setup.objects.approved().count(),
        "trades": BotTrade.objects.filter(status__in=(BotTrade.Status.OPEN, BotTrade.Status.CLOSED)).count(),
        "exits": dict(sorted(by_reason.annotate(n=Count("id")))),
    }
