"""What the command, the job and the sentinel ask of the setup bot."""

from __future__ import annotations

import uuid
from datetime import timedelta

from execution.sessions.bot import BotSession
from execution.sessions.bot_reports import BotReport
from execution.sessions.bot_slots import BotSlot, slot_at, slot_named
from execution.sessions.hourly import TooLateError
from execution.wire import the_broker
from market.intervals import INTERVAL_MS
from mlfilter.models import BotSymbol
from ops import clock, queues, runs
from ops.errors import ExitCode
from ops.models import Run

JOB = "bot"
BROKER = "mt5"  # the one that ``the_broker`` connects
ENDINGS = {ExitCode.DONE: Run.Status.DONE, ExitCode.REFUSED: Run.Status.DONE, ExitCode.PARTLY: Run.Status.PARTLY}


def watched_symbols(interval: str | None = None) -> list[BotSymbol]:
    """Return the enabled symbols at this site's broker, of one length of bar or of all."""
    symbols = BotSymbol.objects.enabled().filter(broker=BROKER)
    return list(symbols if interval is None else symbols.filter(interval=interval))


def newest_slots() -> list[BotSlot]:
    """Return the slot of the newest closed bar of every length that is watched."""
    now = clock.market_now()
    return [slot_at(now, interval, length_of(interval)) for interval in sorted({s.interval for s in watched_symbols()})]


def length_of(interval: str) -> timedelta:
    """Return how long a bar is."""
    return timedelta(milliseconds=INTERVAL_MS[interval])


def enqueue_due_bars() -> bool:
    """Enqueue the run of every bar that has just closed and has none yet; False when there is nothing to do."""
    now = clock.market_now()
    asked = [_enqueue(slot) for slot in newest_slots() if slot.at <= now]
    return any(asked)


def _enqueue(slot: BotSlot) -> bool:
    if runs.exists(JOB, slot.key):  # as nearly always: asking first takes no lock
        return False
    run, is_new = runs.create_run(JOB, slot.key, queue=queues.TRADING)
    if is_new:
        queues.enqueue("execution.bot.jobs.bot_job", run.pk, queue=queues.TRADING)
    return is_new


def run_of(slot: BotSlot) -> Run:
    """Return a run that a person asks for: the slot's own, or one beside it where that has begun.

    A second run of a bar enters no setup twice: what was entered is written down by setup, not by run.
    """
    run, _ = runs.create_run(JOB, slot.key)
    if run.status == Run.Status.QUEUED:
        return run
    return runs.create_run(JOB, f"{slot.key}:{uuid.uuid4().hex[:8]}", {"slot": slot.key})[0]


def slot_of_run(run: Run) -> BotSlot:
    """Return which bar a run acts on."""
    key = run.params.get("slot", run.slot)
    return slot_named(key, length_of(key.partition(":")[0]))


def run_bot_now(run: Run) -> BotReport:
    """Do one run of the bot in this process, and end its row.

    Raises
    ------
    TooLateError
        Its bar is not the newest closed one any more, or it began before.
    """
    begun = runs.begin(run.pk)
    if begun is None:
        raise TooLateError(f"the bot's run of {run.slot} is already {run.status}")
    slot = slot_of_run(begun)
    with runs.beating(begun):
        try:
            with the_broker() as broker:
                report = BotSession(broker=broker, symbols=watched_symbols(slot.interval)).run(begun, slot)
        except TooLateError as error:
            runs.finish(begun, Run.Status.SKIPPED, error=str(error))
            raise
        except BaseException as error:
            runs.finish(begun, Run.Status.FAILED, error=str(error) or repr(error))
            raise
    verdicts = {symbol.symbol: symbol.verdict for symbol in report.symbols}
    runs.finish(begun, ENDINGS.get(report.exit_code, Run.Status.FAILED), result={"verdicts": verdicts})
    return report
