"""The hours of a run: sessions, the sentinel's rounds, deaths and a person, on the virtual clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from execution.chaos import person
from execution.chaos.course import DURING, Course, NakedWatch
from execution.chaos.crashes import crash_at
from execution.chaos.desk import VirtualDesk, replaced
from execution.chaos.facts import Repeat
from execution.chaos.happenings import Given, a_symbol, bot_by_hand, do, due_bar, second_trader, slots_in
from execution.chaos.plans import BARS_AN_HOUR, CLOSE_BOTS, TAKE_STOP, BotHour, CrashPoint, HourPlan
from execution.guarding import killing
from execution.safety.gate import Gate
from execution.sentinel import Sentinel
from ops import clock

AHEAD = timedelta(seconds=4)  # the sentinel enqueues a session so long before its slot
# Seconds between the sentinel's rounds after a session: both reconcile past the horizon, so absence is proven twice.
ROUNDS_AFTER = (20.0, 65.0)
QUIET_ROUND = timedelta(minutes=28)
LAST_ACT = timedelta(minutes=56)
KILL_PAUSES_S = (*[1.0] * 10, *[5.0] * 4, 30.0)  # between the sentinel's rounds while a kill closes
STALL_S = 3.0  # longer than any request may be under way
MOST_WAITING = 2
BAR_MINUTES = 60 // BARS_AN_HOUR
PROTECTING_PAUSES_S = (1.0,) * 10  # between its rounds while a position has no stop


class Month:
    """The hours of one desk."""

    def __init__(self, desk: VirtualDesk) -> None:
        self.desk = desk
        self.course = Course()
        self._done: list[Given] = []  # what the trader has been given so far
        self._naked = NakedWatch(desk, self.course)
        self._next_bar = due_bar()
        # What waits for a bar that meets it; what comes pushes out what has waited longest, which may never be met.
        self._bots_deaths: deque[CrashPoint] = deque(maxlen=MOST_WAITING)
        self._bots_disturbances: deque[str] = deque(maxlen=MOST_WAITING)

    def hour(self, begin: datetime, plan: HourPlan) -> None:
        """Let one hour pass: its session, the sentinel's rounds, and what a person does."""
        planned = sorted([*plan.acts, *(plan.bot.acts if self._next_bar else ())])
        acts = deque((begin + timedelta(minutes=minute), act) for minute, act in planned)
        self._bots_deaths += [plan.bot.crash] if plan.bot.crash else []
        self._bots_disturbances += [plan.bot.inside] if plan.bot.inside else []
        for slot in slots_in(begin):
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
        self._bots_deaths.clear()
        self._bots_disturbances.clear()
        quiet = HourPlan(acts=((2, "tidy"), (5, "get going")))
        self.hour(begin, quiet)

    def _until(self, moment: datetime, acts: deque[tuple[datetime, str]], plan: HourPlan) -> None:
        """Go on to a moment, with a round of the sentinel now and then and after whatever a person does."""
        while clock.market_now() < moment:
            at = min(moment, clock.market_now() + QUIET_ROUND, self._next_bar or moment)
            act = acts.popleft() if acts and acts[0][0] <= at else None
            self.desk.clock.sleep_until(act[0] if act else at)
            if act:
                self._act(act[1])
            elif self._next_bar and at == self._next_bar:
                self._bar(plan)
                continue
            elif at == moment:
                return
            self._round(plan.bot.sentinel_crash if act and act[1] == TAKE_STOP else None)
            self._see_kill_through(plan.kill_crash)
            self._look_after()

    def _bar(self, plan: HourPlan) -> None:
        """Let the bot's bar have its run, and the sentinel see what came of it."""
        before, bar_at = self._n_happened(), clock.market_now()
        self._round(None)
        self._see_kill_through(plan.kill_crash)
        self._trader(plan)
        if plan.bot.again and bar_at.minute // BAR_MINUTES == plan.bot.bar:
            self._again(plan.bot)
        self._next_bar = due_bar()
        if self._n_happened() == before:
            return
        for seconds in ROUNDS_AFTER if bar_at.minute else ROUNDS_AFTER[:1]:  # a session follows the hour's first
            clock.sleep(seconds)
            self._round(None)
        self._see_kill_through(plan.kill_crash)
        self._look_after()

    def _n_happened(self) -> int:
        return self.desk.n_requests() + len(self.course.crashes) + len(self.course.acts)

    def _again(self, bot: BotHour) -> None:
        """Do the run of the newest bar once more, delivered again or by hand."""
        if bot.again == "redeliver":
            self._redeliver()
            return
        self.course.note("the bot by hand")
        bot_by_hand()

    def _look_after(self) -> None:
        """Have a person look every other hour whether the desk stands still, and get it going."""
        if clock.market_now().hour % 2 == 0:
            for done in person.get_going():
                self.course.note(done)

    def _act(self, act: str) -> None:
        if act not in (TAKE_STOP, CLOSE_BOTS):  # which happen only where there is something to be done
            self.course.note(act)
        if act == "kill":
            person.kill()
        elif act.startswith("pause"):
            person.pause(a_symbol() if act == "pause symbol" else "")
        elif act in (TAKE_STOP, CLOSE_BOTS):
            for words in person.touch_the_bots(self.desk, closes=act == CLOSE_BOTS):
                self.course.note(words)
        else:
            done = person.tidy(self.desk) if act == "tidy" else person.get_going()
            for words in done:
                self.course.note(words)

    def _trader(self, plan: HourPlan) -> None:
        """Have the trader work off its queue, dying or being disturbed where the plan says so."""
        while self.desk.queue:
            given = self.desk.queue.popleft()
            self._done.append(given)
            if given[0].endswith(".bot_job"):
                self.course.bot_runs += 1
                self._bots_run(given)
                continue
            self.course.sessions += 1
            with self._disturbed(plan.inside, plan.nth), self._mortal(plan.crash, "trader"):
                do(given)

    def _bots_run(self, given: Given) -> None:
        """Do a run of the bot, which meets the death and the disturbance that have waited longest."""
        crash = self._bots_deaths[0] if self._bots_deaths else None
        inside = self._bots_disturbances[0] if self._bots_disturbances else ""
        with self._disturbed(inside, 1) as happened, self._mortal(crash, "trader") as died:
            do(given)
        if died:
            self._bots_deaths.popleft()
        if happened:
            self._bots_disturbances.popleft()

    def _redeliver(self) -> None:
        """Give the trader its last work once more, as a queue may."""
        if not self._done:
            return
        before = self.desk.n_requests()
        at_ms = round(clock.market_now().timestamp() * 1000)
        do(self._done[-1])
        what = f"run {self._done[-1][1][0]}"
        self.course.note(f"redeliver {what}")
        self.course.repeats.append(Repeat(at_ms=at_ms, what=what, before=before, after=self.desk.n_requests()))

    def _round(self, crash: CrashPoint | None) -> None:
        """Let the sentinel look once, and go on looking every second while it finds a position without a stop."""
        self._one_round(crash)
        for pause_s in PROTECTING_PAUSES_S:
            if killing() or not self._naked.look():
                return
            clock.sleep(pause_s)
            self._one_round(None)

    def _one_round(self, crash: CrashPoint | None) -> None:
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
    def _disturbed(self, inside: str, nth: int) -> Iterator[list[str]]:
        """Have something happen in the middle of the n-th send of the block; yields a list that has it when it did."""
        happened: list[str] = []
        if not inside:
            yield happened
            return
        # Another trader and another process's work fit in before the sending lock; a stall is worst inside it.
        name = "_hand_over" if inside in ("pause", "kill", "stall") else "send"
        real, passed = getattr(Gate, name), Counter[str]()

        def disturbed(gate: Gate, *args: Any, **kwargs: Any) -> Any:
            passed["sends"] += 1
            if passed["sends"] == nth:
                happened.append(inside)
                self._happens(inside)
            return real(gate, *args, **kwargs)

        with replaced(Gate, name, disturbed):
            yield happened

    def _happens(self, what: str) -> None:
        self.course.note(f"{what} {DURING}")
        if what == "stall":
            clock.sleep(STALL_S)
        elif what == "round":
            self.desk.sentinel.round()
        elif what == "redeliver":
            do(self._done[-1])
        elif what == "second trader":
            second_trader()
        else:
            self._act(what)
