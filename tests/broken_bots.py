"""Ways to break the setup bot on purpose: each takes one care away, and what else would still catch its absence."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from execution.bot import booking, entering, naked, writing
from execution.bot.entering import Entered, Entering
from execution.models import BotTrade, FillRecord
from execution.safety.gate import Gate
from execution.safety.journal import Cause
from execution.safety.risk import RULES
from execution.safety.risk.verdict import allowed
from execution.sessions import bot as session
from mlfilter.models import Setup
from mlfilter.setups import TradeOutcome


def enters_a_setup_again(patch: pytest.MonkeyPatch) -> None:
    """Forget what was written down, and give each try a cause of its own."""
    enter, cause_of, numbers = Entering.enter, writing.cause_of, itertools.count()

    def again(bot: Entering, setup: Setup) -> Entered:
        BotTrade.objects.filter(setup=setup).delete()
        return enter(bot, setup)

    def another(setup: Setup, step: str) -> Cause:
        return cause_of(setup, f"{step} {next(numbers)}")

    patch.setattr(Entering, "enter", again)
    patch.setattr(writing, "cause_of", another)
    _allows_a_second_position(patch)


def sends_no_stop(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "_with_levels", lambda gate, order, terms: order)


def never_sets_a_stop_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(naked.Protector, "sweep", lambda protector, positions: 0)


def leaves_what_rests(patch: pytest.MonkeyPatch) -> None:
    for module in (entering, session):
        patch.setattr(module, "take_back_leftovers", lambda gate: 0)


def counts_the_last_deal_alone(patch: pytest.MonkeyPatch) -> None:
    outcome_of = booking.outcome_of

    def booked(trade: BotTrade, entered: Sequence[FillRecord], left: Sequence[FillRecord]) -> TradeOutcome:
        return replace(outcome_of(trade, entered, left), pnl=booking.result_of(left[-1]))

    patch.setattr(booking, "outcome_of", booked)


def forgets_the_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "close_overdue", lambda gate, positions, now: 0)


def never_asks_what_was_filled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "settle_trades", lambda account, positions: None)


def never_books(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "book_outcomes", lambda account: ())


def ignores_the_owner(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(entering, "claim_symbol", lambda *claim: None)
    patch.setattr(Entering, "_require_tradable", lambda bot, setup: None)
    _allows_a_second_position(patch)


def _allows_a_second_position(patch: pytest.MonkeyPatch) -> None:
    """Leave out the rule that would refuse at the gate what the bot itself has not."""
    rule = replace(RULES["setup_symbol"], check=lambda request, context: allowed("left out"))
    patch.setitem(RULES, "setup_symbol", rule)
