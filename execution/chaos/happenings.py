"""What the trader is given in the hours of a run, and what a person starts beside it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.module_loading import import_string
from loguru import logger

from execution.bot.services import newest_slots, run_bot_now, run_of
from execution.errors import ExecutionError
from execution.services import run_session_now
from execution.sessions.hourly import session_run_by_hand, slot_rule
from execution.sessions.slots import HOUR, Slot, floor_hour, slot_of
from market.errors import MarketError
from market.symbols import chosen_symbols
from market.terminal.errors import TerminalError
from ops import clock
from ops.errors import DeskError
from ops.models import Run

Given = tuple[str, tuple[Any, ...]]  # a call that the trader is given: dotted function and arguments


def slots_in(begin: datetime) -> list[Slot]:
    """Return the slots that act in an hour, in their order: usually its own, and the early one after it."""
    rule = slot_rule()
    slots = [slot_of(begin + i * HOUR, rule) for i in (0, 1)]
    return [slot for slot in slots if floor_hour(slot.at) == begin]


def due_bar() -> datetime | None:
    """Return when the bot's next bar is due, None where it watches nothing."""
    now = clock.market_now()
    return min((slot.at if slot.at > now else slot.at + slot.length for slot in newest_slots()), default=None)


def bot_by_hand() -> None:
    """Run the bot's newest bars once more, as its command does."""
    for slot in newest_slots():
        try:
            run_bot_now(run_of(slot))
        except (ExecutionError, MarketError, TerminalError, DeskError) as error:
            logger.info("the bot by hand gave up: {}", error)


def do(given: Given) -> None:
    """Do what the trader is given."""
    function, args = given
    import_string(function)(*args)


def second_trader() -> None:
    """Run a session by hand beside the one that is under way."""
    run: Run = session_run_by_hand()
    try:
        run_session_now(run, chosen_symbols())
    except (ExecutionError, DeskError) as error:
        logger.info("the second trader gave up: {}", error)


def a_symbol() -> str:
    """Return a symbol, another one from day to day."""
    names = [symbol.name for symbol in chosen_symbols()]
    return names[clock.market_now().day % len(names)]
