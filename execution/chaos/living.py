"""A whole run of chaos on the virtual clock, from a new desk to the judgment."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from execution.chaos.course import Course
from execution.chaos.desk import VirtualDesk, require_own_state, virtual_desk
from execution.chaos.figures import bot_figures
from execution.chaos.judge import TimeLine, Violation, judge
from execution.chaos.month import Month
from execution.chaos.plans import Plan
from execution.chaos.records import write_log
from execution.sessions.slots import HOUR
from ops.progress import Progress

SETTLING_HOURS = 3  # after the last fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What came of a run."""

    course: Course
    faults: Counter[str]
    orders: int  # requests that reached the venue
    bot: dict[str, Any]
    violations: list[Violation]
    log_sha256: str

    def as_data(self) -> dict[str, Any]:
        """Return the run's part of the document of ``chaos_run/1``."""
        return {
            "sessions": self.course.sessions,
            "orders": self.orders,
            "bot": self.bot,
            "faults": dict(sorted(self.faults.items())),
            "crashes": self.course.crashes,
            "acts": self.course.acts,
            "violations": [asdict(violation) for violation in self.violations],
            "log_sha256": self.log_sha256,
        }


def live(plan: Plan, *, progress: Progress, log: Path | None = None, alter: Callable[[], Any] = lambda: None) -> Lived:
    """Live through a plan on a desk of its own and have it judged.

    Parameters
    ----------
    log : Path, optional
        Where the log is written.
    alter : callable
        Called once the desk is there: a test breaks the executor with it.
    """
    require_own_state()
    progress.start(len(plan.hours) + SETTLING_HOURS, "fitting")
    with virtual_desk(plan.seed) as desk:
        alter()
        gc.freeze()  # models and bars stay: to look through them over and over takes a tenth of the time
        month = Month(desk)
        for i, hour in enumerate(plan.hours):
            if i % 24 == 0:
                desk.switch_faults(plan.days[i // 24])
            month.hour(plan.begin + i * HOUR, hour)
            progress.advance(f"hour {i + 1}")
        desk.switch_faults("")
        for i in range(SETTLING_HOURS):
            month.settle(plan.begin + (len(plan.hours) + i) * HOUR)
            progress.advance("settling")
        return _judged(desk, month, log)


def _judged(desk: VirtualDesk, month: Month, log: Path | None) -> Lived:
    course, faults = month.course, desk.faults()
    happened = [{"kind": "fault", **line} for line in faults]
    happened += [{"kind": "crash", **crash} for crash in course.crashes]
    happened += [{"kind": "act", **act} for act in course.acts]
    return Lived(
        course=course,
        faults=Counter(line["id"] for line in faults if line["call"] != "later"),
        orders=desk.n_requests(),
        bot=bot_figures(course.bot_runs),
        violations=judge(
            desk.sim_dir,
            time_line=TimeLine.MARKET,
            is_disturbed=course.is_disturbed,
            repeats=course.repeats,
            naked=course.naked,
        ),
        log_sha256=write_log(desk.sim_dir, happened, log),
    )
