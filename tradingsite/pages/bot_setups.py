"""The setups that the bot saw, newest first: what was decided, what was done, what came of it."""

from __future__ import annotations

import re

from django.urls import reverse

from execution.models import BotTrade
from mlfilter.models import Outcome, Setup
from ops import clock
from tradingsite.pages.bot import venue_name
from tradingsite.pages.bot_data import Ending, SetupRow, SetupsData
from tradingsite.pages.frame import User
from tradingsite.pages.frame_data import Freshness

N_SETUPS = 50
HEAVY = ("features", "similar", "shadows", "signals", "context")
CODE = re.compile(r"^[a-z_]+(?::[a-z_]+)?: (?=\S)")
FINE = " is at least the threshold "  # of the reasons, the one that speaks for a setup
ACTIONS = {
    BotTrade.Status.PLANNED: "sent",
    BotTrade.Status.OPEN: "open",
    BotTrade.Status.CLOSED: "traded",
    BotTrade.Status.MISSED: "missed",
}


def build_setups(user: User) -> SetupsData:
    """Return the newest setups with what was decided, done, and came of it."""
    now = clock.wall_now()
    rows = Setup.objects.select_related("outcome", "trade").defer(*HEAVY)[:N_SETUPS]
    is_staff = getattr(user, "is_staff", False)
    return SetupsData(
        fresh=Freshness.of(now, now=now),
        rows=tuple(setup_row(setup) for setup in rows),
        n_all=Setup.objects.count(),
        all_url=reverse("admin:mlfilter_setup_changelist") if is_staff else "",
    )


def setup_row(setup: Setup) -> SetupRow:
    action, why = _action(setup)
    return SetupRow(
        key=str(setup.pk),
        url=reverse("setup", args=[setup.pk]),
        bar_at=setup.bar_at,
        symbol=setup.symbol,
        venue=venue_name(setup.broker),
        interval=setup.interval,
        direction=setup.direction,
        confidence=setup.confidence,
        threshold=setup.threshold,
        decision="approved" if setup.approved else "rejected",
        why=why_decided(setup),
        action=action,
        action_why=why,
        ending=_ending(setup),
    )


def why_decided(setup: Setup) -> str:
    """Return the filter's reasons in words: of a rejected setup those against it."""
    reasons = [str(reason) for reason in setup.reasons]
    if not setup.approved:
        reasons = [reason for reason in reasons if FINE not in reason] or reasons
    return "; ".join(in_words(reason) for reason in reasons)


def in_words(reason: str) -> str:
    """Return a reason without the code that programs know it by.

    >>> in_words("entry:too_late: nobody tried it in time")
    'nobody tried it in time'
    >>> in_words("confidence 0.310 is below the threshold 0.65")
    'confidence 0.310 is below the threshold 0.65'
    """
    return CODE.sub("", reason)


def _action(setup: Setup) -> tuple[str, str]:
    """Return what was done about a setup, and why when nothing was."""
    if not setup.approved:
        return "", ""
    trade: BotTrade | None = getattr(setup, "trade", None)
    if trade is not None:
        return ACTIONS[BotTrade.Status(trade.status)], in_words(trade.reason)
    if setup.missed_reason:
        return "missed", in_words(setup.missed_reason)
    return "waiting", "not entered yet"


def _ending(setup: Setup) -> Ending | None:
    outcome: Outcome | None = getattr(setup, "outcome", None)
    if outcome is None:
        return None
    return Ending(reason=outcome.exit_reason, r=outcome.r, is_real=outcome.is_real)
