"""What the command, the job and the sentinel ask of the setup bot."""

from __future__ import annotations

import uuid
from datetime import timedelta

from loguru import logger

from execution.sessions.bot import BotSession
from execution.sessions.bot_reports import BotReport, BotSymbolReport, code_of
from execution.sessions.bot_slots import BotSlot, slot_at, slot_named
from execution.sessions.hourly import TooLateError
from execution.trading_venues import AT_BINANCE, MT5, venue_key
from execution.venues import named_broker
from market.intervals import INTERVAL_MS
from market.terminal.errors import TerminalError
from mlfilter.models import BotSymbol
from ops import alerts, clock, queues, runs
from ops.errors import DeskError, ExitCode
from ops.models import Run

JOB = "bot"
VENUES = (MT5, *AT_BINANCE)
ENDINGS = {ExitCode.DONE: Run.Status.DONE, ExitCode.REFUSED: Run.Status.DONE, ExitCode.PARTLY: Run.Status.PARTLY}


def watched_symbols(interval: str | None = None) -> list[BotSymbol]:
    """Return the enabled symbols at the venues that are traded at, of one length of bar or of all."""
    symbols = BotSymbol.objects.enabled().filter(broker__in=VENUES)
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


def run_bot_now(run: Run) -> tuple[BotReport, ...]:
    """Do one run of the bot in this process, a report for each venue, and end its row.

    Raises
    ------
    TooLateError
        Its bar is not the newest closed one any more, or it began before.
    """
    begun = runs.begin(run.pk)
    if begun is None:
        raise TooLateError(f"the bot's run of {run.slot} is already {run.status}")
    with runs.beating(begun):
        try:
            reports = _at_every_venue(begun, slot_of_run(begun))
        except TooLateError as error:
            runs.finish(begun, Run.Status.SKIPPED, error=str(error))
            raise
        except BaseException as error:
            runs.finish(begun, Run.Status.FAILED, error=str(error) or repr(error))
            raise
    verdicts = {venue_key(report.broker, one.symbol): one.verdict for report in reports for one in report.symbols}
    runs.finish(begun, ENDINGS.get(code_of(reports), Run.Status.FAILED), result={"verdicts": verdicts})
    return reports


def _at_every_venue(run: Run, slot: BotSlot) -> tuple[BotReport, ...]:
    """Act at one venue after the other; one that fails leaves the others, and only when all do the run has failed."""
    reports, errors = [], []
    for broker_key, symbols in _by_venue(slot.interval):
        try:
            with named_broker(broker_key) as broker:
                reports.append(BotSession(broker=broker, symbols=symbols).run(run, slot))
        except (DeskError, TerminalError) as error:
            _tell(broker_key, slot, error)
            errors.append(error)
            reports.append(_failed(run, slot, broker_key, symbols, error))
        else:
            alerts.resolve_alert(venue_key(broker_key, JOB))
    if errors and len(errors) == len(reports):
        raise errors[0]
    return tuple(reports)


def _tell(broker_key: str, slot: BotSlot, error: Exception) -> None:
    log = logger.bind(slot=slot.key, venue=broker_key)
    if isinstance(error, TooLateError):  # the next bar is in time again
        log.warning("the bot skipped a bar: {}", error)
        return
    log.error("the bot's run failed: {}", error)
    title = f"The setup bot failed at {broker_key}: {error}"
    alerts.raise_alert(venue_key(broker_key, JOB), title[:200], detail=str(error))


def _by_venue(interval: str) -> list[tuple[str, list[BotSymbol]]]:
    """Return the venues that have symbols of a length of bar, and those."""
    watched = watched_symbols(interval)
    found = ((key, [symbol for symbol in watched if symbol.broker == key]) for key in VENUES)
    return [(key, symbols) for key, symbols in found if symbols]


def _failed(run: Run, slot: BotSlot, broker_key: str, symbols: list[BotSymbol], error: Exception) -> BotReport:
    rows = tuple(BotSymbolReport(symbol=one.name, verdict="failed", blocker=str(error)) for one in symbols)
    return BotReport(run_id=run.pk, slot=slot.key, bar_time=slot.bar_at, symbols=rows, broker=broker_key)
