"""The sentinel: one long loop that watches the account, guards the loss limits, flattens on a kill, and keeps time.

It reads the account every second, whatever the trader does. It never opens anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, close_old_connections
from loguru import logger

from execution.bot.naked import GRACE_S, Protector
from execution.bot.services import enqueue_due_bars
from execution.brokers.base import Broker
from execution.brokers.mt5_session import Mt5Login
from execution.day_starts import has_day_start, note_day_start
from execution.errors import BrokerError, ConfigError, ExecutionError
from execution.limits import OWN, current_limits, loss_budgets
from execution.loss_alerts import tell_of_losses
from execution.models import Account, BrokerState, ControlRow
from execution.rearm import arm_checked, may_arm_itself
from execution.safety import control, killswitch
from execution.safety.control import State
from execution.safety.flatten import flatten_round
from execution.safety.gate import Gate
from execution.safety.reconcile import book_movements, current_account, reconcile
from execution.safety.risk import LossBudget
from execution.safety.unwritten import close_unwritten
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.slots import Slot, is_too_late, next_slot, previous_slot
from execution.watching import Watched, store_watched, watch
from execution.wire import connect_broker, required_login
from market.terminal.errors import TerminalError
from ops import alerts, clock, heartbeats, queues, runs
from ops.audit import SYSTEM
from ops.clock import ClockMissingError
from ops.models import Alert
from ops.pacing import Due

LOOP_S = 1.0
KILL_LOOP_S = 0.2
RECONCILE_EVERY_S = 60.0
SLOW_KILL_S = 60.0
ENQUEUE_AHEAD = timedelta(seconds=5)
UNREACHABLE = "broker:unreachable"
GUARD = "loss"


class Sentinel:
    """The loop and what it keeps between two rounds."""

    def __init__(self) -> None:
        self._broker: Broker | None = None
        self._login: Mt5Login | None = None
        self._reconcile_due = Due(RECONCILE_EVERY_S)
        self._protector: Protector | None = None

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Go round until asked to stop; no failure of one round ends the loop."""
        while not should_stop():
            self.round()
            self._rest(should_stop)
        self._let_go()

    def _rest(self, should_stop: Callable[[], bool]) -> None:
        """Wait for the next round; a kill does not have to wait."""
        end = clock.mono() + LOOP_S
        while clock.mono() < end and not should_stop():
            clock.sleep(KILL_LOOP_S)
            try:
                if killing():
                    return
            except DatabaseError:
                close_old_connections()  # the next round meets it too, and says so

    def round(self) -> None:
        """Do everything once; each part goes on when another fails."""
        is_database_there = True
        for part in (self._beat, self._guard, self._keep_time):
            try:
                part()
            except (ExecutionError, TerminalError, ClockMissingError) as error:
                self._lost_broker(error)
            except DatabaseError as error:
                logger.error("the database failed the sentinel: {}", error)
                close_old_connections()
                is_database_there = False
        if not is_database_there:
            self._close_unwritten()

    def _close_unwritten(self) -> None:
        """Close what a kill left open while the database takes no row: without the armed file we are killed."""
        if self._broker is None or control.armed_file().read() is not None:
            return
        try:
            if close_unwritten(self._broker):
                logger.critical("killed and flat, read from the broker; the database takes no row")
        except (ExecutionError, TerminalError, DatabaseError, OSError) as error:
            logger.critical("killed, and not everything is closed: {}", error)

    def _beat(self) -> None:
        heartbeats.beat("sentinel")
        for queue in queues.QUEUES:
            queues.send_beat(queue)
        for run in runs.close_dead_runs():
            logger.bind(job=run.job, slot=run.slot).warning("a run's process died; closed as crashed")

    def _guard(self) -> None:
        """Watch the account; flatten when killed, block or kill when too much is lost."""
        broker = self._connected()
        account = guard_account(broker)
        alerts.resolve_alert(UNREACHABLE)
        notice_missing_file()
        if killing():
            self._flatten(broker, account)
            return
        self._protect(broker, account)
        if self._reconcile_due():
            reconcile(broker)
            if may_arm_itself():
                arm_checked(SYSTEM, reason="the demo arms itself", start=State.ARMED)

    def _protect(self, broker: Broker, account: Account) -> None:
        """Give the bot's positions that have no stop theirs, or close them, within seconds of this read."""
        if self._protector is None:
            grace_s = 0.0 if broker.capabilities.stops_with_entry else GRACE_S
            self._protector = Protector(Gate(broker, account), grace_s=grace_s)
        self._protector.sweep(broker.positions())

    def _flatten(self, broker: Broker, account: Account) -> None:
        event = killswitch.running_kill()
        if event is None:
            return
        if flatten_round(broker, account, event):
            logger.info("killed and flat, confirmed by the broker")
        elif clock.mono() - event.latched_mono > SLOW_KILL_S:
            alerts.raise_alert("kill:slow", "Killed, and still not flat", level=Alert.Level.CRITICAL)

    def _keep_time(self) -> None:
        enqueue_due_session()
        enqueue_due_bars()

    def _connected(self) -> Broker:
        login = required_login()
        if self._login != login:  # somebody armed another account
            self._let_go()
        if self._broker is None:
            self._broker, self._login = connect_broker(patient=False), login
            reconcile(self._broker)
        return self._broker

    def _lost_broker(self, error: Exception) -> None:
        logger.warning("the sentinel's round failed: {}", error)
        if isinstance(error, BrokerError | ConfigError | TerminalError):
            alerts.raise_alert(UNREACHABLE, "The broker does not answer", detail=str(error))
            self._let_go()

    def _let_go(self) -> None:
        if self._broker is not None:
            self._broker.disconnect()
            self._broker = self._protector = None


def killing() -> bool:
    """Return whether a kill is closing positions now."""
    return ControlRow.objects.filter(scope=ControlRow.SYSTEM, state=State.KILLING).exists()


def notice_missing_file() -> None:
    """Turn the removal of the armed file, by whatever hand, into a kill."""
    row = ControlRow.objects.filter(scope=ControlRow.SYSTEM).first()
    if row is None or row.state in (State.KILLING, State.KILLED):
        return
    if control.armed_file().read() is None:
        killswitch.latch(SYSTEM, cause="the armed file is gone or cannot be read")


def guard_account(broker: Broker) -> Account:
    """Look at the account, keep what was seen, and hold it against the loss limits."""
    watched = watch(broker)
    account = current_account(watched.snapshot)
    if _wants_deals(account, watched):
        _book_deals(broker, account)
    store_watched(account, watched)
    guard_losses(account, watched)
    return account


def _wants_deals(account: Account, watched: Watched) -> bool:
    """Return whether the balance moved, by a trade or by cash, or a day begins whose start the deals tell."""
    seen = BrokerState.objects.filter(account=account).values_list("balance", flat=True).first()
    return seen != watched.snapshot.balance or not has_day_start(account, watched.market_at)


def _book_deals(broker: Broker, account: Account) -> None:
    """Store the newest deals; without them the losses are guarded all the same, from the most careful start."""
    try:
        book_movements(broker, account)
    except BrokerError as error:
        logger.warning("the deals could not be read: {}", error)


def guard_losses(account: Account, watched: Watched) -> None:
    """Stop entries at the soft line of a loss budget, and kill at the hard one."""
    balance, equity = watched.snapshot.balance, watched.snapshot.equity
    note_day_start(account, balance, watched.market_at)
    budgets = loss_budgets(account, current_limits(), watched.market_at, balance=balance)
    hard = [b for b in budgets if b.flattens(equity)]
    soft = [b for b in budgets if b.stops_entries(equity)]
    if hard and control.current_control().state not in (State.KILLING, State.KILLED):
        killswitch.latch(SYSTEM, cause=_words(hard[-1], equity, "hard"))
    if soft:
        control.set_guard(GUARD, reason=_words(soft[-1], equity, "soft"))
    else:
        control.clear_guard(GUARD)
    tell_of_losses(budgets, equity)


def _words(budget: LossBudget, equity: object, line: str) -> str:
    whose = "" if budget.source == OWN else f" of {budget.source}"
    return f"{budget.kind} loss{whose}: equity {equity} is past the {line} line of {budget.start} to {budget.floor}"


def enqueue_due_session() -> bool:
    """Enqueue the session of the slot that is due and has no run yet; False when there is nothing to do.

    The next slot is due shortly before it acts; the one before it for as long as its bar is the newest closed one, so
    that a desk that was away at its time trades it late rather than an hour later.
    """
    now, rule = clock.market_now(), slot_rule()
    missed, coming = previous_slot(now, rule), next_slot(now, rule)
    is_near = coming.at - now <= ENQUEUE_AHEAD * max(clock.speed(), 1.0)
    due = [slot for slot, is_due in ((missed, not is_too_late(missed, now)), (coming, is_near)) if is_due]
    return any(_enqueue(slot) for slot in due)


def _enqueue(slot: Slot) -> bool:
    if runs.exists(JOB, slot.key):  # as nearly always: asking first takes no lock
        return False
    run, is_new = runs.create_run(JOB, slot.key, queue=queues.TRADING)
    if is_new:
        queues.enqueue("execution.jobs.session_job", run.pk, queue=queues.TRADING)
    return is_new
