"""The judge: holds what really happened at the venue against the promises, and asks nothing of the executor.

What happened is read from the simulated venue's own file; our journal only says what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

from execution.chaos import bots, courses, requests
from execution.chaos.facts import Facts, Naked, Repeat, Violation
from execution.chaos.reading import TimeLine, read_facts

__all__ = ["INVARIANTS", "TimeLine", "Violation", "judge", "judge_facts"]

Check = Callable[[Facts], Iterator[Violation]]


def _all(*checks: Check) -> Check:
    """Return what finds the violations of several checks, one after the other."""
    return lambda facts: chain.from_iterable(check(facts) for check in checks)


INVARIANTS: Mapping[int, Check] = {
    1: requests.nothing_added_after_the_latch,
    2: requests.state_is_kept,
    3: requests.everything_is_journalled_first,
    4: _all(courses.fills_stay_within_intents, bots.books_are_the_venues),
    5: requests.doubt_freezes,
    6: _all(courses.ends_at_target_or_halted, bots.trades_are_where_they_should_be),
    7: requests.exposure_is_capped,
    8: requests.volumes_are_tradable,
    9: requests.entries_act_on_news,
    10: requests.one_trader_at_a_time,
    11: _all(courses.repeating_adds_nothing, bots.setups_are_entered_once),
    12: _all(requests.closing_only_closes, bots.a_symbol_has_one_owner),
    13: requests.rates_are_capped,
    14: _all(courses.the_bots_are_protected, bots.positions_are_single_and_protected),
    15: courses.kills_complete,
    16: _all(courses.the_healthy_trade, bots.sound_setups_are_entered),
}


def judge(
    sim_dir: Path,
    *,
    time_line: TimeLine = TimeLine.REAL,
    is_settled: bool = True,
    is_disturbed: bool = False,
    repeats: Iterable[Repeat] = (),
    naked: Iterable[Naked] = (),
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
    naked : iterable of Naked
        Positions of the bot without a stop, as a course has seen them between looks of the sentinel.
    """
    facts = read_facts(sim_dir, time_line=time_line, is_settled=is_settled, repeats=tuple(repeats))
    return judge_facts(replace(facts, is_disturbed=is_disturbed, naked=tuple(naked)))


def judge_facts(facts: Facts) -> list[Violation]:
    """Return every promise that was not kept, by invariant."""
    return [violation for invariant in INVARIANTS.values() for violation in invariant(facts)]
