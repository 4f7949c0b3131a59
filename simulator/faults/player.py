"""Plays the plan that is switched on: between the caller and the venue, never in the venue's books.

Without a plan a call costs one look at the time. Chance is a function of seed, rule, call and how often that call was
made, so that one poll more or less of something else changes nothing.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.faults.base import Fault
from simulator.faults.call import Call, Firing
from simulator.faults.files import PLAN, Switched, append_log, n_switched, read_log, switched
from simulator.faults.registry import FAULTS
from simulator.triggers import advance

if TYPE_CHECKING:
    from simulator.account import Account
    from simulator.binance.venue import Venue
    from simulator.terminal import SimTerminal

LOOK_EVERY_S = 0.25
WAIT_S = 0.02
FROM_THE_MIX = -1
LATER = "later"  # the log's word for what the venue did on its own


class FaultPlayer:
    """The faults of one process's venue.

    Parameters
    ----------
    sim_dir : Path
        Where plan and log are.
    """

    def __init__(self, sim_dir: Path) -> None:
        self.sim_dir = sim_dir
        self.slot: tuple[int, str] | None = None  # what another thread left in last_error()
        self._on: Switched | None = None
        self._looked = float("-inf")
        self._n_switched = -1
        self._stamp: object = None
        self._forget()

    @property
    def is_on(self) -> bool:
        """Return whether a plan is on, looking at its file when that is due."""
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY_S or self._n_switched != n_switched():
            self._looked, self._n_switched = now, n_switched()
            self._look()
        return self._on is not None

    def answer(
        self, terminal: SimTerminal, name: str, body: Callable[[], Any], failure: Any, arguments: Mapping[str, Any]
    ) -> Any:
        """Answer a call of the terminal's module, with the faults that it meets."""
        with terminal.lock:
            value = terminal.call(partial(self.play, name, body, arguments, terminal=terminal), failure)
            if self.slot is not None:
                terminal.error, self.slot = self.slot, None
            return value

    def play(
        self,
        name: str,
        body: Callable[[], Any],
        arguments: Mapping[str, Any],
        *,
        terminal: SimTerminal | None = None,
        now_ms: int | None = None,
        venue: Venue | None = None,
    ) -> Any:
        """Do a call inside the faults that it meets, the plan's first one innermost; at the exchange only in one."""
        if now_ms is None:
            now_ms = terminal.world.clock.now_ms() if terminal and terminal.world else 0
        call = Call(name=name, arguments=arguments, go=body, now_ms=now_ms, player=self, terminal=terminal, venue=venue)
        met = self._met_by(call)
        # What one sends at the exchange may be no value that another could change.
        for firing in islice(met, 1) if terminal is None else sorted(met, key=_place):
            body = partial(_played, replace(call, firing=firing, go=body))
        return body()

    def later(self, due_ms: int, act: Callable[[Account], None]) -> None:
        """Have the venue do something at a market time."""
        self._late.append((due_ms, len(self._late), act))
        self._late.sort(key=lambda one: one[:2])

    def catch_up(self, account: Account, now_ms: int) -> None:
        """Do what has become due, each at its moment on the account's way to now."""
        while self._late and self._late[0][0] <= now_ms:
            due_ms, _, act = self._late.pop(0)
            advance(account, due_ms)
            act(account)

    def wait(self, seconds: float) -> None:
        """Hold the caller for real seconds, or until the plan is switched."""
        number, until = self._on and self._on.number, time.monotonic() + seconds
        while self.is_on and (self._on and self._on.number) == number and time.monotonic() < until:
            time.sleep(min(WAIT_S, max(0.0, until - time.monotonic())))

    def record(self, call: Call, what: str, *, later_ms: int | None = None) -> None:
        """Write down that a fault began and what it did, or what came of it at a later market time."""
        firing = call.begun
        moment = datetime.fromtimestamp((later_ms or call.now_ms) / 1000, UTC).isoformat()
        line = {"switch": self._on.number if self._on else 0, "id": firing.fault.id, "rule": firing.rule}
        line |= {"at": moment, "call": LATER if later_ms else call.name, "symbol": call.symbol, "what": what}
        append_log(self.sim_dir, line)

    def _forget(self) -> None:
        self._seen: Counter[tuple[int, str]] = Counter()
        self._fired: Counter[int] = Counter()
        self._active: list[Firing] = []
        self._late: list[tuple[int, int, Callable[[Account], None]]] = []

    def _look(self) -> None:
        try:
            stat = (self.sim_dir / PLAN).stat()
        except FileNotFoundError:
            self._on, self._stamp = None, None
            return
        stamp = (stat.st_mtime_ns, stat.st_ino, self._n_switched)
        if stamp == self._stamp:
            return
        self._stamp, found = stamp, switched(self.sim_dir)
        if (found and found.number) == (self._on and self._on.number):
            return
        late, self._on = self._late, found
        self._forget()
        self._late = late  # what is under way at the venue happens, whatever is switched
        if found:  # a process that was started again goes on where the log ends
            lines = [line for line in read_log(self.sim_dir) if line["switch"] == found.number]
            self._fired.update(line["rule"] for line in lines if line["call"] != LATER)

    def _met_by(self, call: Call) -> Iterator[Firing]:
        if self._on is None:
            return
        self._active = [firing for firing in self._active if call.now_ms < firing.until_ms]
        going_on = [firing for firing in self._active if firing.goes_on(call)]
        yield from going_on
        yield from self._begun_by_rules(call)
        yield from self._begun_by_chance(call)

    def _begun_by_rules(self, call: Call) -> Iterator[Firing]:
        plan = self._plan
        for i, rule in enumerate(plan.rules):
            fault = FAULTS[rule.fault]
            meant = rule.call in (None, call.name) and rule.symbol in (None, call.symbol)
            if not meant or self._is_busy(i) or not fault.can_begin(call):
                continue
            self._seen[i, ""] += 1
            if self._fired[i] >= rule.most or not rule.is_due(call.now_ms, self._seen[i, ""]):
                continue
            key = self._key(i, call.name)
            if random.Random(key).random() < rule.rate:  # noqa: S311 - chance, not secrecy
                lasts_s = fault.lasts_s if rule.lasts_s is None else rule.lasts_s
                yield self._begin(fault, call, i, key, lasts_s=lasts_s, parameters=rule.parameters)

    def _begun_by_chance(self, call: Call) -> Iterator[Firing]:
        plan = self._plan
        if not plan.rate or any(f.rule == FROM_THE_MIX and f.goes_on(call) for f in self._active):
            return
        faults = [FAULTS[name] for name in plan.mix if FAULTS[name].can_begin(call)]
        if not faults:
            return
        key = self._key(FROM_THE_MIX, call.name)
        rng = random.Random(key)  # noqa: S311 - chance, not secrecy
        if rng.random() < plan.rate:
            [fault] = rng.choices(faults, [plan.mix[fault.id] for fault in faults])
            yield self._begin(fault, call, FROM_THE_MIX, key, lasts_s=fault.lasts_s, parameters={})

    def _begin(
        self, fault: Fault, call: Call, rule: int, key: str, *, lasts_s: float, parameters: Mapping[str, Any]
    ) -> Firing:
        self._fired[rule] += 1
        firing = Firing(
            fault=fault,
            parameters={**fault.parameters, **parameters},
            rule=rule,
            key=key,
            until_ms=call.now_ms + round(lasts_s * 1000),
            symbol=call.symbol if fault.per_symbol else None,
        )
        if lasts_s:
            self._active.append(firing)
        return firing

    def _is_busy(self, rule: int) -> bool:
        return any(firing.rule == rule for firing in self._active)

    def _key(self, rule: int, name: str) -> str:
        """Return what decides a draw: nothing that another call changes."""
        self._seen[rule, name] += 1
        return f"{self._plan.seed}/{rule}/{name}/{self._seen[rule, name]}"

    @property
    def _plan(self) -> Any:
        if self._on is None:
            raise LookupError("no plan is on")
        return self._on.plan


def _place(firing: Firing) -> float:
    """Return where a fault stands among those of one call: as in the plan, that of the mix outermost."""
    return float("inf") if firing.rule == FROM_THE_MIX else firing.rule


def _played(call: Call) -> Any:
    try:
        return call.begun.fault.play(call)
    finally:
        call.note(call.begun.fault.does)
