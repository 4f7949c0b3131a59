"""The setup bot's job of the trading queue."""

from __future__ import annotations

from loguru import logger

from execution.bot.services import JOB, run_bot_now
from execution.sessions.hourly import TooLateError
from market.terminal.errors import TerminalError
from ops import alerts
from ops.errors import DeskError
from ops.models import Run


def bot_job(run_id: int) -> None:
    """Do the bot's run of one bar; delivered again, it finds its row begun and does nothing."""
    run = Run.objects.get(pk=run_id)
    if run.status != Run.Status.QUEUED:
        return
    try:
        run_bot_now(run)
    except TooLateError as error:
        logger.bind(slot=run.slot).warning("the bot skipped a bar: {}", error)
    except (DeskError, TerminalError) as error:
        logger.bind(slot=run.slot).error("the bot's run failed: {}", error)
        alerts.raise_alert(JOB, f"The setup bot failed: {error}"[:200], detail=str(error))
    else:
        alerts.resolve_alert(JOB)
