"""One venue under guard: its account watched, closed on a kill, the bot's positions protected, the books reconciled."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import DatabaseError, close_old_connections, connections
from loguru import logger

from execution.bot.naked import GRACE_S, Protector
from execution.brokers.base import Broker
from execution.brokers.mt5_session import Mt5Login
from execution.errors import BrokerError, ConfigError, ExecutionError
from execution.guarding import guard_account, killing
from execution.models import Account
from execution.safety import control, killswitch
from execution.safety.flatten import flatten_round
from execution.safety.gate import Gate
from execution.safety.reconcile import reconcile
from execution.safety.unwritten import close_unwritten
from execution.trading_venues import MT5, symbols_at, venue_key, venues_in_use
from execution.venues import connect_named
from execution.wire import required_login
from market.terminal.errors import TerminalError
from ops import alerts, clock
from ops.clock import ClockMissingError
from ops.models import Alert
from ops.pacing import Due

RECONCILE_EVERY_S = 60.0
SLOW_KILL_S = 60.0
UNREACHABLE = "broker:unreachable"
# A look at an exchange costs requests, of which it allows so many a minute. What is naked is looked at sooner.
VENUE_LOOP_S, URGENT_LOOP_S = 10.0, 1.0
REST_STEP_S = 0.2
STOP_WITHIN_S = 3.0


class VenueGuard:
    """The guard of one venue, and what it keeps between two looks."""

    def __init__(self, broker_key: str) -> None:
        self.broker_key = broker_key
        self._broker: Broker | None = None
        self._bound_to: tuple[Mt5Login | None, tuple[str, ...]] | None = None
        self._reconcile_due = Due(RECONCILE_EVERY_S)
        self._protector: Protector | None = None
        self.n_naked = 0

    def look(self) -> bool:
        """Watch the account; flatten when killed, protect and reconcile otherwise. True when it was reconciled.

        A venue that does not answer is let go of, and told of by an alert.
        """
        try:
            return self._look(self._connected())
        except (ExecutionError, TerminalError, ClockMissingError) as error:
            self._lost(error)
            return False

    def close_unwritten(self) -> None:
        """Close what a kill left open while the database takes no row: without the armed file we are killed."""
        if self._broker is None or control.armed_file().read() is not None:
            return
        try:
            if close_unwritten(self._broker):
                logger.critical("killed and flat, read from {}; the database takes no row", self.broker_key)
        except (ExecutionError, TerminalError, DatabaseError, OSError) as error:
            logger.critical("killed, and not everything at {} is closed: {}", self.broker_key, error)

    def let_go(self) -> None:
        """Disconnect; the next look connects again."""
        if self._broker is not None:
            self._broker.disconnect()
            self._broker = self._protector = None

    def _look(self, broker: Broker) -> bool:
        account = guard_account(broker)
        alerts.resolve_alert(venue_key(self.broker_key, UNREACHABLE))
        if killing():
            self._flatten(broker, account)
            return False
        self._protect(broker, account)
        if not self._reconcile_due():
            return False
        reconcile(broker)
        return True

    def _protect(self, broker: Broker, account: Account) -> None:
        """Give the bot's positions that have no stop theirs, or close them, within seconds of this read."""
        if self._protector is None:
            grace_s = 0.0 if broker.capabilities.stops_with_entry else GRACE_S
            self._protector = Protector(Gate(broker, account), grace_s=grace_s)
        self.n_naked = self._protector.sweep(broker.positions())

    def _flatten(self, broker: Broker, account: Account) -> None:
        event = killswitch.running_kill()
        if event is None:
            return
        if flatten_round(broker, account, event):
            logger.info("killed and flat, confirmed by the broker")
        elif clock.mono() - event.latched_mono > SLOW_KILL_S:
            alerts.raise_alert("kill:slow", "Killed, and still not flat", level=Alert.Level.CRITICAL)

    def _connected(self) -> Broker:
        """Return the venue, connected anew when another account was armed or other symbols are traded."""
        mine = self.broker_key == MT5
        bound_to = (required_login() if mine else None, () if mine else symbols_at(self.broker_key))
        if self._bound_to != bound_to:
            self.let_go()
        if self._broker is None:
            self._broker, self._bound_to = connect_named(self.broker_key, patient=False), bound_to
            reconcile(self._broker)
        return self._broker

    def _lost(self, error: Exception) -> None:
        logger.warning("the look at {} failed: {}", self.broker_key, error)
        if isinstance(error, BrokerError | ConfigError | TerminalError):
            words = "The broker does not answer" if self.broker_key == MT5 else f"{self.broker_key} does not answer"
            alerts.raise_alert(venue_key(self.broker_key, UNREACHABLE), words, detail=str(error))
            self.let_go()


class VenueThreads:
    """A thread for each venue beside MetaTrader 5 that is in use."""

    def __init__(self) -> None:
        self._threads: dict[str, VenueThread] = {}

    def follow(self) -> None:
        """Start the threads of venues that came into use, and end those of venues that went out of it."""
        try:
            wanted = set(venues_in_use()) - {MT5}
        except DatabaseError:
            close_old_connections()  # the next round finds out
            return
        for key in self._threads.keys() - wanted:
            self._threads.pop(key).stop()
        for key in wanted:
            if key not in self._threads or not self._threads[key].is_alive():
                self._threads[key] = VenueThread(key)
                self._threads[key].start()

    def stop(self) -> None:
        """End all of them, and wait a moment for those that are asking their venue."""
        for thread in self._threads.values():
            thread.stop()
        for thread in self._threads.values():
            thread.join(STOP_WITHIN_S)


class VenueThread(threading.Thread):
    """Looks at one venue at its own pace."""

    def __init__(self, broker_key: str) -> None:
        super().__init__(name=f"guard of {broker_key}", daemon=True)
        self._guard = VenueGuard(broker_key)
        self._over = threading.Event()

    def stop(self) -> None:
        """Ask it to end."""
        self._over.set()

    def run(self) -> None:
        """Look until asked to end."""
        try:
            while not self._over.is_set():
                self._round()
                rest(URGENT_LOOP_S if self._guard.n_naked else VENUE_LOOP_S, self._over.is_set)
        finally:
            self._guard.let_go()
            connections.close_all()

    def _round(self) -> None:
        try:
            self._guard.look()
        except DatabaseError as error:
            logger.error("the database failed the {}: {}", self.name, error)
            close_old_connections()
            self._guard.close_unwritten()


def rest(seconds: float, should_stop: Callable[[], bool]) -> None:
    """Wait for the next look; a kill does not have to wait."""
    end = clock.mono() + seconds
    while clock.mono() < end and not should_stop():
        clock.sleep(REST_STEP_S)
        try:
            if killing():
                return
        except DatabaseError:
            close_old_connections()  # the next look meets it too, and says so
