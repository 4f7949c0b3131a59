"""Crashes at named steps, in one process: what was durable stays, and nothing after the step happens.

A process that is killed runs no ``finally``. Here the exception that stands for the kill unwinds the stack, so while it
does, every statement to the database and every call of the terminal raises it anew: no lease is given back, no row is
finished, no alert is written. What the operating system does for a dead process happens as it would: file locks are
freed, and what was not committed is rolled back.

Steps are functions, named by their dotted path and wrapped from outside, wherever a module has bound them. Beside them
stands every single commit: with ``before a commit`` and ``after a commit`` at each count, and the venue's write, a test
reaches every state that a crash can leave behind.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from pkgutil import resolve_name
from typing import Any

from django.db import connection

BEFORE, AFTER = "before", "after"
COMMIT = "a commit"
WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")
UNDOES = ("ROLLBACK", "RELEASE")  # of savepoints, while a transaction unwinds

# What is wrapped to look at the steps: the tests' own names of them, too.
PACKAGES = ("execution", "mlfilter", "strategies", "market", "ops", "tradingsite", "tests")
# While dead, none of these is reached: the terminal is another process, which a dead one asks for nothing.
OUTSIDE = ("exchange", "latch", "unlatch", "status", "clock")
TRANSPORTS = ("market.terminal.local.LocalTransport", "market.terminal.remote.HttpTransport")

STEPS: dict[str, str] = {
    # an intent on its way to the venue
    "storing the decision": "execution.sessions.rebalance.Rebalance._store",
    "opening the intent": "execution.safety.journal.open_intent",
    "recording the legs": "execution.safety.journal.record_legs",
    "reading the venue": "execution.safety.reads.read_venue",
    "asking the rules": "execution.safety.gate.Gate._examine",
    "the permit": "execution.safety.gate.Gate._permit",
    "looking at the state": "execution.safety.gate.Gate._require_state",
    "renewing the lease": "ops.leases.renew",
    "beginning the attempt": "execution.safety.journal.begin_attempt",
    "handing over to the broker": "execution.safety.gate.Gate._hand_over",
    "the venue's write": "market.terminal.client.Terminal._write",
    "finishing the attempt": "execution.safety.journal.finish_attempt",
    "counting the fill": "execution.safety.journal.add_fill",
    "booking the fills": "execution.safety.reconcile.book_fills",
    "setting the status": "execution.safety.journal.set_status",
    "completing the decision": "execution.sessions.rebalance._complete",
    # reconciliation
    "reconciling": "execution.safety.reconcile.reconcile",
    "importing unwritten closes": "execution.safety.unwritten.import_unwritten",
    "storing the fills": "execution.safety.reconcile.store_fills",
    "settling the attempts": "execution.safety.reconcile._settle_attempts",
    "settling an attempt": "execution.safety.reconcile._settle",
    "closing the orphans": "execution.safety.reconcile.close_orphans",
    # the kill switch
    "removing the armed file": "execution.safety.armed.ArmedFile.disarm",
    "latching the terminal": "execution.safety.killswitch._latch_terminal",
    "writing the kill": "execution.safety.killswitch._write_kill",
    "a round of flattening": "execution.safety.flatten.flatten_round",
    "reading the book": "execution.safety.flatten.read_book",
    "closing for the kill": "execution.safety.flatten._close",
    "cancelling for the kill": "execution.safety.flatten._cancel",
    "recording a step of the kill": "execution.safety.steps.record_step",  # and of taking back what rests
    "carrying out a step of the kill": "execution.safety.steps.carry_out",
    "confirming flat": "execution.safety.killswitch.confirm_flat",
    "beginning an emergency line": "execution.safety.emergency.EmergencyLog.begin",
    "finishing an emergency line": "execution.safety.emergency.EmergencyLog.finish",
    "emptying the emergency log": "execution.safety.emergency.EmergencyLog.clear",
    # the trading state
    "arming": "execution.rearm.arm_checked",
    "taking the latch off": "market.terminal.client.Terminal.unlatch",
    "writing the armed row": "execution.rearm._write_row",
    "taking the emergency log's space": "execution.safety.emergency.EmergencyLog.allocate",
    "writing the armed file": "execution.safety.armed.ArmedFile.arm",
    "pausing": "execution.safety.control.pause",
    "resuming": "execution.safety.control.resume",
    # the right to trade, and the session's row
    "taking the lease": "ops.leases.acquire",
    "giving the lease back": "ops.leases.release",
    "making the run": "ops.runs.create_run",
    "beginning the run": "ops.runs.begin",
    "finishing the run": "ops.runs.finish",
    "closing dead runs": "ops.runs.close_dead_runs",
}

# Those of the setup bot, which a session never passes.
BOT_STEPS: dict[str, str] = {
    "settling the trades": "execution.bot.watching.settle_trades",
    "taking back leftovers": "execution.bot.watching.take_back_leftovers",
    "looking for the naked": "execution.bot.naked.Protector.sweep",
    "setting a stop again": "execution.bot.naked.Protector._protect",
    "closing what stays naked": "execution.bot.naked.Protector._close",
    "closing the overdue": "execution.bot.watching.close_overdue",
    "closing one that is overdue": "execution.bot.watching._close",
    "booking the outcomes": "execution.bot.booking.book_outcomes",
    "booking an outcome": "execution.bot.booking._book",
    "scanning": "mlfilter.scanning.scan",
    "entering": "execution.bot.entering.Entering.enter",
    "planning the entry": "execution.bot.entering.Entering._plan",
    "writing the entry": "execution.bot.writing.write_entry",
    "sending the entry": "execution.bot.entering.Entering._send",
    "writing the trade open": "execution.bot.writing.write_open",
    "looking after the entry": "execution.bot.entering.Entering._look_after",
    "writing a setup missed": "execution.bot.writing.write_missed",
}


class Crash(BaseException):
    """The process is gone; nothing after this point ran."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment at which a process can die: before or after a step."""

    step: str
    moment: str

    @property
    def name(self) -> str:
        return f"{self.moment} {self.step}"


def _points(steps: Iterable[str]) -> dict[str, Point]:
    return {point.name: point for step in steps for point in (Point(step, BEFORE), Point(step, AFTER))}


POINTS = _points((*STEPS, COMMIT))
BOT_POINTS = _points(BOT_STEPS)


@dataclass
class Doom:
    """Which crashes are still to come in this process, and which have been.

    Attributes
    ----------
    plan : list of (str, int)
        Points and their passages; the second is counted from the first crash on, and so forth.
    crashed : list of str
        The points at which it has died so far.
    passed : Counter
        How often each point was passed since the start or the last crash.
    dead : bool
        Whether the exception is on its way up: from a crash until :meth:`restart`.
    """

    plan: list[tuple[str, int]]
    crashed: list[str] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    dead: bool = False
    _has_written: bool = False  # in the transaction that is open

    @contextmanager
    def process(self) -> Iterator[None]:
        """Let the block be one process: a crash ends the block, and what follows it is the next process."""
        try:
            yield
        except Crash:
            self.restart()

    def restart(self) -> None:
        """Begin again as a new process does: alive, with a connection of its own."""
        self.dead = self._has_written = False
        connection.close()

    def passing(self, name: str) -> None:
        """Note that a point is passed, and die there when it is its turn.

        Raises
        ------
        Crash
            It is, or the process is dead already.
        """
        if self.dead:
            raise Crash(f"dead since {self.crashed[-1]}")
        self.passed[name] += 1
        if self.plan and self.plan[0] == (name, self.passed[name]):
            self._die()

    def _die(self) -> None:
        (name, _), *self.plan = self.plan
        self.dead = True
        self.crashed.append(name)
        self.passed.clear()
        raise Crash(name)

    def statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Let a statement through, a commit of its own where no transaction is open; of a dead process, none."""
        verb = sql.lstrip()[:8].upper()
        if self.dead and not verb.startswith(UNDOES):
            raise Crash(f"dead since {self.crashed[-1]}")
        if not verb.startswith(WRITES):
            return execute(sql, params, many, context)
        if connection.in_atomic_block:
            self._has_written = True
            return execute(sql, params, many, context)
        self.passing(f"{BEFORE} {COMMIT}")
        result = execute(sql, params, many, context)
        self.passing(f"{AFTER} {COMMIT}")
        return result

    def committing(self, commit: Callable[[], None]) -> Callable[[], None]:
        """Return a commit that can be died before or after; before it, all that was written is lost."""

        def committed() -> None:
            written, self._has_written = self._has_written, False
            if written:
                try:
                    self.passing(f"{BEFORE} {COMMIT}")
                except Crash:
                    connection.rollback()
                    raise
            commit()
            if written:
                self.passing(f"{AFTER} {COMMIT}")

        return committed

    def step(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be died before or after."""

        @wraps(real)
        def stepped(*args: Any, **kwargs: Any) -> Any:
            self.passing(f"{BEFORE} {name}")
            result = real(*args, **kwargs)
            self.passing(f"{AFTER} {name}")
            return result

        return stepped

    def unreachable(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that a dead process does not reach."""

        @wraps(real)
        def reached(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise Crash(f"dead since {self.crashed[-1]}")
            return real(*args, **kwargs)

        return reached


@contextmanager
def crash_at(*plan: tuple[str, int]) -> Iterator[Doom]:
    """Let this process die at each of these points in turn, each at its n-th passage since the one before.

    Raises
    ------
    ValueError
        A point is none of ``POINTS`` and ``BOT_POINTS``, or a count is below 1.
    """
    known = POINTS | BOT_POINTS
    for name, nth in plan:
        if name not in known or nth < 1:
            raise ValueError(f"a crash is one of POINTS and a count from 1, was {(name, nth)!r}")
    steps = {known[name].step for name, _ in plan} - {COMMIT}
    with _wrapped(Doom(plan=list(plan)), steps) as doom:
        yield doom


@contextmanager
def passages() -> Iterator[Counter[str]]:
    """Count how often each point is passed inside the block; nobody dies."""
    with _wrapped(Doom(plan=[]), {*STEPS, *BOT_STEPS}) as doom:
        yield doom.passed


@contextmanager
def _wrapped(doom: Doom, steps: set[str]) -> Iterator[Doom]:
    """Put these steps, the database and the way to the terminal under a doom for the block."""
    with ExitStack() as stack:
        for name in steps:
            stack.enter_context(_replaced((STEPS | BOT_STEPS)[name], partial(doom.step, name)))
        for transport in TRANSPORTS:
            for call in OUTSIDE:
                stack.enter_context(_replaced(f"{transport}.{call}", doom.unreachable))
        stack.enter_context(_commits_through(doom))
        stack.enter_context(connection.execute_wrapper(doom.statement))
        try:
            yield doom
        finally:
            if doom.dead:
                doom.restart()


@contextmanager
def _commits_through(doom: Doom) -> Iterator[None]:
    """Let this thread's connection commit by way of a doom."""
    real = connection.commit
    connection.commit = doom.committing(real)  # type: ignore[method-assign]
    try:
        yield
    finally:
        connection.commit = real  # type: ignore[method-assign]


@contextmanager
def _replaced(path: str, replace: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Put another function in the place of the one at a dotted path, in every module of ours that has bound it."""
    real = resolve_name(path)
    owner, name = resolve_name(path.rpartition(".")[0]), path.rpartition(".")[2]
    replacement = replace(real)
    places = {(id(holder), bound): (holder, bound) for holder, bound in _bindings(path, real)} | {
        (id(owner), name): (owner, name)
    }
    for holder, bound in places.values():
        setattr(holder, bound, replacement)
    try:
        yield
    finally:
        for holder, bound in places.values():
            setattr(holder, bound, real)


def _bindings(path: str, real: object) -> list[tuple[object, str]]:
    """Return the modules of ours, and the names in them, that a function is bound to.

    A course asks thousands of times: what was found holds until another module is imported.
    """
    key = (path, len(sys.modules))
    found = _BOUND.get(key, [])
    if not found or any(getattr(module, name, None) is not real for module, name in found):
        modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in PACKAGES]
        found = [(module, name) for module in modules for name, value in list(vars(module).items()) if value is real]
        _BOUND[key] = found
    return found


_BOUND: dict[tuple[str, int], list[tuple[object, str]]] = {}
