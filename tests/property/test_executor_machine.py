"""Anything that can happen to a desk, in any order, judged after every step by the venue's own ledger.

Targets, faults, crashes, clocks that jump, people at the desk and at the terminal, and a second trader are rules of a
state machine. At its end everything that was wrong stops, and the symbol has to be where it is wanted, or halted with
the reason named.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, event, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from execution.chaos import person
from execution.chaos.crashes import POINTS, crash_at
from execution.chaos.facts import Repeat
from execution.guarding import killing
from execution.models import Decision, Intent
from execution.safety.control import State, current_control
from execution.safety.gate import Gate
from execution.safety.reconcile import close_orphans, reconcile
from execution.sentinel import Sentinel
from execution.sessions.hourly import require_not_killed, trading_lease
from execution.sessions.slots import HOUR, floor_hour
from execution.wire import the_broker
from ops import clock
from ops.errors import DeskError
from simulator import hand
from simulator.faults import FAULTS, FaultPlan, Rule, read_log, switch_off, switch_on
from tests import fresh_database
from tests.executor_builders import NAME, judged, ledger, settle, trade, trading_desk, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.deep]

N_EXAMPLES = int(os.environ.get("EXECUTOR_MACHINE_EXAMPLES", "14"))
SHRINKS = bool(os.environ.get("EXECUTOR_MACHINE_SHRINKS"))
N_STEPS = 12
A_MOMENT_S = 0.01  # no two things happen at once: which came first could not be told
SLOT_AT = timedelta(seconds=45)

# What the catalogue has for a terminal, but for what touches bars alone: a target comes without them here.
PLAYED = sorted(
    name
    for name, fault in FAULTS.items()
    if name.startswith("M") and not all(call.startswith("copy_rates") for call in fault.calls)
)
OF_SENDING = ["M04", "M20", "M21", "M22", "M23", "M24", "M25", "M26", "M42", "M44", "M51", "M53", "M55", "M56"]
OF_THE_DESK = [name for name in POINTS if not any(word in name for word in ("arm", "run", "decision", "emergency"))]
OF_A_SESSION = [
    name for name in OF_THE_DESK if not any(word in name for word in ("kill", "latch", "flat", "ing the book"))
]
# Judged by moments of the wall clock, which say nothing once somebody has set it back.
BY_THE_WALL = {1, 2, 5, 7, 15}

HAPPENINGS = [
    *["", "", "a second", "a horizon", "ten minutes", "suspended for a minute", "suspended for an hour"],
    *["wall clock set back", "pause", "pause symbol", "kill", "a buy by hand", "a sale by hand"],
    *["a close by hand", "tidied up", "a new sentinel", "get going", "faults end"],
]
INSIDE = ["second trader", "pause", "kill", "round", "stall"]
# One rule, and a seed in a range that is drawn evenly: else some examples have no sessions, and others no crashes.
CHANCE = st.integers(0, 2**20)
SEEN: Counter[str] = Counter()  # what all examples together have been through


def drawn(chance: Random, *, inside: float = 0.0, fault: float = 0.0, crash: float = 0.0) -> Step:
    """Return what a step is to be, with these likelihoods; hypothesis shows it beside a failure."""
    step = Step(
        lots=f"{chance.randrange(-9, 10) / 20:.2f}",
        inside=chance.choice(INSIDE) if chance.random() < inside else "",
        crash=(chance.choice(OF_THE_DESK + 3 * OF_A_SESSION), chance.choice([1, 1, 2]))
        if chance.random() < crash
        else None,
        fault=Rule(
            fault=chance.choice(PLAYED + 2 * OF_SENDING),
            nth=chance.choice([None, None, 1, 2, 5]),
            times=chance.choice([1, 1, 2, 50]),
        )
        if chance.random() < fault
        else None,
        before=chance.choice(HAPPENINGS),
        after=chance.choice(HAPPENINGS),
    )
    note(repr(step))
    return step


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens in one step."""

    lots: str
    inside: str  # of the first send
    crash: tuple[str, int] | None
    fault: Rule | None
    before: str
    after: str


class ExecutorMachine(RuleBasedStateMachine):
    """One desk and all that happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.sentinel = Sentinel()
        self.repeats: list[Repeat] = []
        self.causes: list[tuple[str, str]] = []  # kind and id
        self.fault: Rule | None = None
        self.was_set_back = self.was_halted = False

    @initialize(margin_mode=st.sampled_from(["hedging", "netting"]))
    def open(self, margin_mode: str) -> None:
        fresh_database.empty()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.desk = self.stack.enter_context(trading_desk(folder, margin_mode=margin_mode))
        self.desk.broker.disconnect()
        self.act("pause")  # of a desk that is disturbed nobody expects that it trades every slot
        self.act("get going")

    # --- the desk's own work ---

    @rule(seed=CHANCE)
    def step(self, seed: int) -> None:
        chance = Random(f"{seed} {len(self.causes)}")
        kinds = (self.slot, self.command, self.sentinel_round)
        chance.choices(kinds, weights=(5, 3, 2))[0](chance)

    def slot(self, chance: Random) -> None:
        step = drawn(chance, inside=0.15, fault=0.4, crash=0.3)
        self.happens(step.before)
        self.wait_for_slot()
        self.play(step.fault)
        self.work(step.lots, ("session", f"{clock.market_now():%Y-%m-%dT%H}"), inside=step.inside, crash=step.crash)
        self.happens(step.after)

    def command(self, chance: Random) -> None:
        """Work at once, and be delivered twice."""
        step = drawn(chance, inside=0.1, fault=0.3)
        self.play(step.fault)
        self.work(step.lots, ("manual", f"command {len(self.causes)}"), inside=step.inside)
        self.redeliver(drawn(chance).lots)

    def sentinel_round(self, chance: Random) -> None:
        step = drawn(chance, crash=0.5)
        self.happens(step.before)
        with self.mortal(step.crash) as died:
            self.sentinel.round()
        if died:
            self.sentinel = Sentinel()

    def wait_for_slot(self) -> None:
        """Let the hour pass: the sentinel goes round, and a desk that stood still for an hour is got going."""
        wait_until(floor_hour(clock.market_now()) + HOUR)
        self.sentinel.round()
        is_halted = current_control(symbol=NAME).state != State.ARMED
        if is_halted and self.was_halted:
            self.play(None)
            self.act("get going")
        self.was_halted = is_halted
        wait_until(floor_hour(clock.market_now()) + SLOT_AT)

    # --- what happens around it ---

    def happens(self, what: str) -> None:
        """Let something happen beside the desk's work."""
        happenings: dict[str, Callable[[], Any]] = {
            "": lambda: None,
            "faults end": lambda: self.play(None),
            "a second": lambda: clock.sleep(1.0),
            "a horizon": lambda: clock.sleep(20.0),
            "ten minutes": lambda: clock.sleep(600.0),
            "suspended for a minute": lambda: clock.current().jump(60.0),
            "suspended for an hour": lambda: clock.current().jump(3600.0),
            "wall clock set back": self.set_wall_clock_back,
            "a buy by hand": lambda: hand.trade(NAME, "buy", 0.1),
            "a sale by hand": lambda: hand.trade(NAME, "sell", 0.02),
            "a close by hand": self.close_by_hand,
            "tidied up": lambda: person.tidy(SimpleNamespace(trade_by_hand=hand_trade)),
            "a new sentinel": self.restart_sentinel,
        }
        acts = ("pause", "pause symbol", "kill", "get going")
        self.act(what) if what in acts else happenings[what]()

    def play(self, fault: Rule | None) -> None:
        """Let a fault happen from now on, or none any more."""
        self.fault = fault
        sim_dir = self.desk.state_dir / "sim"
        switch_on(sim_dir, FaultPlan(rules=(fault,))) if fault else switch_off(sim_dir)

    def set_wall_clock_back(self) -> None:
        clock.current().set_back += timedelta(hours=1)
        self.was_set_back = True

    def close_by_hand(self) -> None:
        for held in ledger().positions()[:1]:
            hand.trade(NAME, "sell" if held.type == 0 else "buy", float(held.volume), position=held.ticket)

    def restart_sentinel(self) -> None:
        self.sentinel = Sentinel()
        self.sentinel.round()

    def redeliver(self, lots: str) -> None:
        kind, cause = self.causes[-1]
        is_known = Intent.objects.filter(cause=kind, cause_id=cause).exists()
        before = n_requests()
        self.session(lots, kind, cause)
        if is_known and self.fault is None and not ledger().orders():
            self.repeats.append(Repeat(at_ms=0, what=cause, before=before, after=n_requests()))

    # --- how ---

    def work(
        self, lots: str, cause: tuple[str, str], *, inside: str = "", crash: tuple[str, int] | None = None
    ) -> None:
        self.causes.append(cause)
        with self.disturbed(inside), self.mortal(crash):
            self.session(lots, *cause)

    def session(self, lots: str, kind: str, cause: str) -> None:
        """Do what a session does between its bars and its report."""
        with suppress(DeskError):
            require_not_killed()
            with the_broker(patient=False) as broker, trading_lease() as lease:
                reconcile(broker)
                close_orphans(self.desk.account)
                gate = Gate(broker, self.desk.account, lease=lease)
                trade(replace(self.desk, broker=broker), lots, slot=cause, gate=gate, kind=kind)

    @contextmanager
    def mortal(self, point: tuple[str, int] | None) -> Iterator[list[str]]:
        """Let the block be a process, which may die at a point; yields a list that has the point when it did."""
        died: list[str] = []
        with crash_at(*filter(None, [point])) as doom:
            with doom.process():
                yield died
            died += doom.crashed
        SEEN["crashes"] += len(died)

    @contextmanager
    def disturbed(self, inside: str) -> Iterator[None]:
        """Let something happen in the middle of the block's first send."""
        name = "_hand_over" if inside in ("pause", "kill", "stall") else "send"
        real, waiting = getattr(Gate, name), [inside] if inside else []

        def send(gate: Gate, *args: Any, **kwargs: Any) -> Any:
            if waiting:
                self.act(waiting.pop())
            return real(gate, *args, **kwargs)

        with mock.patch.object(Gate, name, send):
            yield

    def act(self, what: str) -> None:
        acts = {
            "pause": person.pause,
            "pause symbol": lambda: person.pause(NAME),
            "kill": person.kill,
            "get going": person.get_going,
            "round": self.sentinel.round,
            "stall": lambda: clock.sleep(3.0),
            "second trader": lambda: self.work("0.30", ("manual", f"second {len(self.causes)}")),
        }
        clock.sleep(A_MOMENT_S)
        acts[what]()
        clock.sleep(A_MOMENT_S)

    # --- what holds ---

    @invariant()
    def promises_are_kept(self) -> None:
        if hasattr(self, "desk"):
            assert self.broken_promises(is_settled=False) == []

    def broken_promises(self, *, is_settled: bool) -> list[str]:
        ignored = BY_THE_WALL if self.was_set_back else set()
        found = judged(self.desk, is_settled=is_settled, repeats=self.repeats)
        return [f"{v.invariant}: {v.at} {v.detail}" for v in found if v.invariant not in ignored]

    def teardown(self) -> None:
        is_whole = sys.exc_info()[0] is None
        try:
            if is_whole and hasattr(self, "desk"):
                self.end()
        finally:
            self.stack.close()

    def end(self) -> None:
        """Let all that is wrong stop, a person put things right, and two slots be traded."""
        self.play(None)
        for _ in range(2):
            settle(2)
            self.sentinel = Sentinel()
            for _ in range(30):
                if not killing():
                    break
                self.sentinel.round()
                clock.sleep(1.0)
            self.happens("tidied up")
            self.happens("get going")
            self.wait_for_slot()
            self.work("0.15", ("session", f"{clock.market_now():%Y-%m-%dT%H}"))
        last = Decision.objects.latest("pk")
        faults = read_log(self.desk.state_dir / "sim")
        SEEN.update({"requests": n_requests(), "faults": len(faults), "repeats": len(self.repeats)})
        SEEN.update({f"kind {kind}": 1 for kind in {line["id"] for line in faults}})
        event(f"ends {current_control().state}, {last.verdict}: {last.blocker}")
        settle(1)
        assert self.broken_promises(is_settled=True) == []


def hand_trade(symbol: str, side: str, volume: Any, *, position: int = 0) -> int:
    return hand.trade(symbol, side, float(volume), position=position)


def n_requests() -> int:
    return ledger().meta("requests")


def test_whatever_happens_the_promises_are_kept():
    run_state_machine_as_test(
        ExecutorMachine,
        settings=settings(
            max_examples=N_EXAMPLES,
            stateful_step_count=N_STEPS,
            derandomize="EXECUTOR_MACHINE_EXAMPLES" not in os.environ,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            phases=list(Phase) if SHRINKS else [Phase.generate],  # to shrink takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
    # A machine to which nothing happens proves nothing.
    kinds = sum(name.startswith("kind ") for name in SEEN)
    assert min(SEEN["requests"] / 60, SEEN["crashes"] / 5, kinds / 12, SEEN["repeats"] / 5) >= 1, SEEN
