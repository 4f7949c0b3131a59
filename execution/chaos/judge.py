"""The judge: holds what really happened at the venue against the promises, and asks nothing of the executor.

What happened is read from the simulated venue's own file; our journal only says what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from execution.chaos import courses, requests
from execution.chaos.facts import Facts, Repeat, Violation
from execution.chaos.reading import TimeLine, read_facts

__all__ = ["INVARIANTS", "TimeLine", "Violation", "judge", "judge_facts"]

INVARIANTS: Mapping[int, Callable[[Facts], Iterator[Violation]]] = {
    1: requests.nothing_added_after_the_latch,
    2: requests.state_is_kept,
    3: requests.everything_is_journalled_first,
    4: courses.fills_stay_within_intents,
    5: requests.doubt_freezes,
    6: courses.ends_at_target_or_halted,
    7: requests.exposure_is_capped,
    8: requests.volumes_are_tradable,
    9: requests.entries_act_on_news,
    10: requests.one_trader_at_a_time,
    11: courses.repeating_adds_nothing,
    12: requests.closing_only_closes,
    13: requests.rates_are_capped,
    14: courses.the_bots_are_protected,
    15: courses.kills_complete,
    16: courses.the_healthy_trade,
}


def judge(
    sim_dir: Path,
    *,
    time_line: TimeLine = TimeLine.REAL,
    is_settled: bool = True,
    is_disturbed: bool = False,
    repeats: Iterable[Repeat] = (),
) -> list[Violation]:
    """Return every promise that the desk of this process's database did not keep at the venue in ``sim_dir``.

    Parameters
    ----------
    sim_dir : Path
        The venue's folder, with ``ledger.sqlite3``.
    time_line : TimeLine
        The clock that journal and venue are compared on: the market's where the journal's wall clock is it, too.
    is_settled : bool
        Whether faults have stopped and time went on, so that the end is judged (invariant 6).
    is_disturbed : bool
        Whether processes died or stood still, so that a veto proves nothing (invariant 16).
    repeats : iterable of Repeat
        What was asked for again.
    """
    facts = read_facts(sim_dir, time_line=time_line, is_settled=is_settled, repeats=tuple(repeats))
    return judge_facts(replace(facts, is_disturbed=is_disturbed))


def judge_facts(facts: Facts) -> list[Violation]:
    """Return every promise that was not kept, by invariant."""
    return [violation for invariant in INVARIANTS.values() for violation in invariant(facts)]
