"""The setup bot's job of the trading queue."""

from __future__ import annotations

from loguru import logger

from execution.bot.services import run_bot_now
from market.terminal.errors import TerminalError
from ops.errors import DeskError
from ops.models import Run


def bot_job(run_id: int) -> None:
    """Do the bot's run of one bar; delivered again, it finds its row begun and does nothing.

    What failed at a venue has raised its alert, and the row says how the run ended.
    """
    run = Run.objects.get(pk=run_id)
    if run.status != Run.Status.QUEUED:
        return
    try:
        run_bot_now(run)
    except (DeskError, TerminalError) as error:
        logger.bind(slot=run.slot).warning("the bot's run ended early: {}", error)
