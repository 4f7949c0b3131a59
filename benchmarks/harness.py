"""Race ours against what a user would pick instead.

Both run warm and in turn (ours, peer, ours, peer, …), so that whatever else the machine does hits both alike; the
garbage collector is off while they run. Medians are compared: the ratio of one run counts, not its seconds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import BENCHMARKS
from benchmarks.memory import peak_bytes

ROUNDS = 7
FEWEST_ROUNDS = 2  # beside the call of each that compares what they find
BUDGET_S = 4.0  # after which a row makes do with the fewest rounds
BLOCK_S = 0.02  # what is quicker is repeated for so long, so that the clock's own cost does not count


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Two ways to the same numbers, ready to be run.

    Attributes
    ----------
    ours, peer : callable
        Each does its whole work once. ``peer`` is None where its package is not installed: ours runs alone.
    peer_name : str
    difference : callable
        Runs both, and returns the largest absolute difference of what they found. Not called without a peer.
    tolerance : float
        The largest difference with which they still count as the same.
    goal : float
        The least that the peer's seconds have to be in ours.
    data : str
        What the numbers are computed from.
    scale : float, default=1.0
        How many times the work of ``peer`` the work of ``ours`` is.
    limit_s : float, optional
        The most seconds that ours may take, whatever the ratio.
    memory_goal : float, optional
        The least that the peer's memory has to be in ours; None where memory is not measured.
    note : str, default=""
        What a reader has to know beside the figures.
    """

    ours: Callable[[], object]
    peer: Callable[[], object] | None
    peer_name: str
    difference: Callable[[], float]
    tolerance: float
    goal: float
    data: str
    scale: float = 1.0
    limit_s: float | None = None
    memory_goal: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of a contest.

    ``ok`` is True when goals and limit are reached with the same numbers. Without the peer's package nothing is said
    of goals: ``ok`` and what is the peer's are None.
    """

    name: str
    ours_s: float
    peer: str
    peer_s: float | None
    ratio: float | None
    goal: float
    limit_s: float | None
    ok: bool | None
    max_abs_diff: float | None
    data: str
    note: str
    ours_bytes: int | None = None
    peer_bytes: int | None = None
    memory_goal: float | None = None


class UnknownBenchmarkError(LookupError):
    """A name that is not in ``BENCHMARKS``."""


def open_contest(name: str) -> AbstractContextManager[Contest]:
    """Return the named contest; entering it prepares what it needs.

    Raises
    ------
    UnknownBenchmarkError
        With the names that are known.
    """
    if name not in BENCHMARKS:
        raise UnknownBenchmarkError(f"no benchmark {name!r}; known: {', '.join(BENCHMARKS)}")
    path, _, argument = BENCHMARKS[name].partition(":")
    module, _, function = path.rpartition(".")
    prepare = getattr(import_module(module), function)
    contest: AbstractContextManager[Contest] = partial(prepare, argument)() if argument else prepare()
    return contest


def run(name: str, *, rounds: int = ROUNDS, budget_s: float = BUDGET_S) -> Row:
    """Prepare a benchmark, compare what both sides find, and race them."""
    with open_contest(name) as contest:
        if contest.peer is None:
            contest.ours()  # compilation and caches are not measured
            (ours_s,) = race(contest.ours, rounds=rounds, budget_s=budget_s)
            return _row(name, contest, ours_s=ours_s)
        difference = contest.difference()  # which also runs both once
        ours_s, peer_s = race(contest.ours, contest.peer, rounds=rounds, budget_s=budget_s)
        measures = contest.memory_goal is not None
        ours_bytes, peer_bytes = (peak_bytes(side) if measures else None for side in (contest.ours, contest.peer))
    peer_s *= contest.scale
    return _row(
        name,
        contest,
        ours_s=ours_s,
        peer_s=peer_s,
        ratio=peer_s / ours_s,
        max_abs_diff=difference,
        ours_bytes=ours_bytes,
        peer_bytes=peer_bytes,
        ok=difference <= contest.tolerance
        and peer_s / ours_s >= contest.goal
        and (contest.limit_s is None or ours_s <= contest.limit_s)
        and (contest.memory_goal is None or (peer_bytes or 0) >= contest.memory_goal * (ours_bytes or 0)),
    )


def _row(name: str, contest: Contest, **measured: Any) -> Row:
    """Return a row of what is known of a contest and what was measured; None for the rest."""
    nothing = dict.fromkeys(("peer_s", "ratio", "ok", "max_abs_diff"))
    known = {one: getattr(contest, one) for one in ("goal", "limit_s", "memory_goal", "data", "note")}
    return Row(name=name, peer=contest.peer_name, **(known | nothing | measured))


def race(*sides: Callable[[], object], rounds: int, budget_s: float) -> tuple[float, ...]:
    """Return the median seconds of a call of each side."""
    times: tuple[list[float], ...] = tuple([] for _ in sides)
    started = time.perf_counter()
    gc.collect()
    gc.disable()
    try:
        for done in range(rounds):
            if done >= FEWEST_ROUNDS and time.perf_counter() - started > budget_s:
                break
            for side, seconds in zip(sides, times, strict=True):
                seconds.append(_seconds_a_call(side))
    finally:
        gc.enable()
    return tuple(map(median, times))


def _seconds_a_call(contestant: Callable[[], object]) -> float:
    n_calls, started = 0, time.perf_counter()
    while True:
        contestant()
        n_calls += 1
        elapsed = time.perf_counter() - started
        if elapsed >= BLOCK_S:
            return elapsed / n_calls


def max_abs_diff(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> float:
    """Return the largest absolute difference; infinite where only one side has a value."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
        return float("inf")
    known = ~np.isnan(a)
    return float(np.abs(a[known] - b[known]).max(initial=0.0))
