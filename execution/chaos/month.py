"""The hours of a run: sessions, the sentinel's rounds, deaths and a person, on the virtual clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.module_loading import import_string
from loguru import logger

from execution.chaos import person
from execution.chaos.crashes import crash_at
from execution.chaos.desk import VirtualDesk, replaced
from execution.chaos.facts import Repeat
from execution.chaos.plans import CrashPoint, HourPlan
from execution.errors import ExecutionError
from execution.safety.gate import Gate
from execution.sentinel import Sentinel, killing
from execution.services import run_session_now
from execution.sessions.hourly import session_run_by_hand, slot_rule
from execution.sessions.slots import HOUR, Slot, floor_hour, slot_of
from market.symbols import chosen_symbols
from ops import clock
from ops.errors import DeskError
from ops.models import Run

AHEAD = timedelta(seconds=4)  # the sentinel enqueues a session so long before its slot
# Seconds between the sentinel's rounds after a session: both reconcile past the horizon, so absence is proven twice.
ROUNDS_AFTER = (20.0, 65.0)
QUIET_ROUND = timedelta(minutes=28)
LAST_ACT = timedelta(minutes=56)
KILL_PAUSES_S = (*[1.0] * 10, *[5.0] * 4, 30.0)  # between the sentinel's rounds while a kill closes
STALL_S = 3.0  # longer than any request may be under way
DURING = "during a send"


@dataclass(kw_only=True)
class Course:
    """What has happened so far."""

    sessions: int = 0
    crashes: list[dict[str, str]] = field(default_factory=list)
    acts: list[dict[str, str]] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)

    @property
    def is_disturbed(self) -> bool:
        """Whether a process died, or something happened in the middle of its work."""
        return bool(self.crashes) or any(DURING in act["act"] for act in self.acts)

    def note(self, what: str) -> None:
        """Write down what a person or chance did."""
        self.acts.append({"at": clock.market_now().isoformat(), "act": what})


class Month:
    """The hours of one desk."""

    def __init__(self, desk: VirtualDesk) -> None:
        self.desk = desk
        self.course = Course()
        self._done: list[tuple[str, tuple[Any, ...]]] = []  # what the trader has been given so far

    def hour(self, begin: datetime, plan: HourPlan) -> None:
        """Let one hour pass: its session, the sentinel's rounds, and what a person does."""
        acts = deque((begin + timedelta(minutes=minute), act) for minute, act in plan.acts)
        for slot in _slots_in(begin):
            self._until(slot.at - AHEAD, acts, plan)
            self._round(plan.sentinel_crash)
            self._see_kill_through(plan.kill_crash)
            self._trader(plan)
            for seconds in ROUNDS_AFTER:
                clock.sleep(seconds)
                self._round(None)
            self._see_kill_through(plan.kill_crash)
            if plan.redeliver:
                self._redeliver()
        self._until(begin + LAST_ACT, acts, plan)

    def settle(self, begin: datetime) -> None:
        """Let an hour pass in which nothing fails any more and a person puts things right."""
        quiet = HourPlan(acts=((2, "tidy"), (5, "get going")))
        self.hour(begin, quiet)

    def _until(self, moment: datetime, acts: deque[tuple[datetime, str]], plan: HourPlan) -> None:
        """Go on to a moment, with a round of the sentinel now and then and after whatever a person does."""
        while clock.market_now() < moment:
            at = min(moment, clock.market_now() + QUIET_ROUND)
            act = acts.popleft() if acts and acts[0][0] <= at else None
            self.desk.clock.sleep_until(act[0] if act else at)
            if act:
                self._act(act[1])
            elif at == moment:
                return
            self._round(None)
            self._see_kill_through(plan.kill_crash)
            self._look_after()

    def _look_after(self) -> None:
        """Have a person look every other hour whether the desk stands still, and get it going."""
        if clock.market_now().hour % 2 == 0:
            for done in person.get_going():
                self.course.note(done)

    def _act(self, act: str) -> None:
        self.course.note(act)
        if act == "kill":
            person.kill()
        elif act.startswith("pause"):
            person.pause(_a_symbol() if act == "pause symbol" else "")
        else:
            done = person.tidy(self.desk) if act == "tidy" else person.get_going()
            for words in done:
                self.course.note(words)

    def _trader(self, plan: HourPlan) -> None:
        """Have the trader work off its queue, dying or being disturbed where the plan says so."""
        while self.desk.queue:
            given = self.desk.queue.popleft()
            self._done.append(given)
            self.course.sessions += 1
            with self._disturbed(plan), self._mortal(plan.crash, "trader"):
                _call(given)

    def _redeliver(self) -> None:
        """Give the trader its last work once more, as a queue may."""
        if not self._done:
            return
        before = self.desk.n_requests()
        at_ms = round(clock.market_now().timestamp() * 1000)
        _call(self._done[-1])
        what = f"run {self._done[-1][1][0]}"
        self.course.note(f"redeliver {what}")
        self.course.repeats.append(Repeat(at_ms=at_ms, what=what, before=before, after=self.desk.n_requests()))

    def _round(self, crash: CrashPoint | None) -> None:
        with self._mortal(crash, "sentinel") as died:
            self.desk.sentinel.round()
        if died:
            self.desk.sentinel = Sentinel()

    def _see_kill_through(self, crash: CrashPoint | None) -> None:
        """Go round quickly while a kill closes, as the sentinel does; it may die once."""
        for i, pause_s in enumerate(KILL_PAUSES_S):
            if not killing():
                return
            self._round(crash if i == 0 else None)
            clock.sleep(pause_s)

    @contextmanager
    def _mortal(self, point: CrashPoint | None, who: str) -> Iterator[list[str]]:
        """Let a process die at a point inside the block; yields a list that has the point when it did."""
        died: list[str] = []
        if point is None:
            yield died
            return
        with crash_at(point) as doom:
            with doom.process():
                yield died
            died += doom.crashed
        for name in died:
            self.course.crashes.append({"at": clock.market_now().isoformat(), "who": who, "point": name})

    @contextmanager
    def _disturbed(self, plan: HourPlan) -> Iterator[None]:
        """Have something happen in the middle of the n-th send of the block."""
        if not plan.inside:
            yield
            return
        # Another trader and another process's work fit in before the sending lock; a stall is worst inside it.
        name = "_hand_over" if plan.inside in ("pause", "kill", "stall") else "send"
        real, passed = getattr(Gate, name), Counter[str]()

        def disturbed(gate: Gate, *args: Any, **kwargs: Any) -> Any:
            passed["sends"] += 1
            if passed["sends"] == plan.nth:
                self._happens(plan.inside)
            return real(gate, *args, **kwargs)

        with replaced(Gate, name, disturbed):
            yield

    def _happens(self, what: str) -> None:
        self.course.note(f"{what} {DURING}")
        if what == "stall":
            clock.sleep(STALL_S)
        elif what == "round":
            self.desk.sentinel.round()
        elif what == "redeliver":
            _call(self._done[-1])
        elif what == "second trader":
            _second_trader()
        else:
            self._act(what)


def _slots_in(begin: datetime) -> list[Slot]:
    """Return the slots that act in an hour, in their order: usually its own, and the early one after it."""
    rule = slot_rule()
    slots = [slot_of(begin + i * HOUR, rule) for i in (0, 1)]
    return [slot for slot in slots if floor_hour(slot.at) == begin]


def _call(given: tuple[str, tuple[Any, ...]]) -> None:
    function, args = given
    import_string(function)(*args)


def _second_trader() -> None:
    """Run a session by hand beside the one that is under way."""
    run: Run = session_run_by_hand()
    try:
        run_session_now(run, chosen_symbols())
    except (ExecutionError, DeskError) as error:
        logger.info("the second trader gave up: {}", error)


def _a_symbol() -> str:
    """Return a symbol, another one from day to day."""
    names = [symbol.name for symbol in chosen_symbols()]
    return names[clock.market_now().day % len(names)]
