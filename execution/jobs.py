"""Jobs of the trading queue."""

from __future__ import annotations

from loguru import logger

from execution.errors import ExecutionError
from execution.services import run_session_now
from execution.sessions.hourly import JOB, TooLateError
from market.errors import MarketError
from market.symbols import chosen_symbols
from market.terminal.errors import TerminalError
from ops import alerts
from ops.errors import DeskError
from ops.models import Run


def session_job(run_id: int) -> None:
    """Run the session of one slot; delivered again, it finds its row begun and does nothing."""
    run = Run.objects.get(pk=run_id)
    if run.status != Run.Status.QUEUED:
        return
    try:
        run_session_now(run, chosen_symbols())
    except TooLateError as error:
        logger.bind(slot=run.slot).warning("session skipped: {}", error)
    except (ExecutionError, MarketError, TerminalError, DeskError) as error:
        logger.bind(slot=run.slot).error("session failed: {}", error)
        alerts.raise_alert(JOB, f"Session failed: {error}"[:200], detail=str(error))
    else:
        alerts.resolve_alert(JOB)
