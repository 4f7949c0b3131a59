"""Look at everything the desk stands on, and say what to type where something is wrong. It never trades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.db import DatabaseError
from django.utils.module_loading import import_string

from market.errors import MarketError
from market.terminal.errors import TerminalError
from ops.errors import DeskError, ExitCode
from tradingsite.health.finding import Finding, State

# One line a check: the group's name and the function that yields its findings.
CHECKS: dict[str, str] = {
    "environment": "tradingsite.health.machine.check_environment",
    "database": "tradingsite.health.machine.check_database",
    "outbox": "tradingsite.health.machine.check_outbox",
    "queues": "tradingsite.health.machine.check_queues",
    "alerts": "tradingsite.health.telling.check_alerts",
    "terminal": "tradingsite.health.market.check_terminal",
    "clock": "tradingsite.health.market.check_clock",
    "data": "tradingsite.health.market.check_data",
    "models": "tradingsite.health.trading.check_models",
    "armed": "tradingsite.health.trading.check_armed",
    "venues": "tradingsite.health.venues.check_venues",
    "static": "tradingsite.health.machine.check_static",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    group: str
    name: str
    state: State
    detail: str
    fix: str


def examine(groups: Collection[str] = ()) -> list[Check]:
    """Return what was found in the given groups, or in all."""
    checks: list[Check] = []
    for group in CHECKS:
        if not groups or group in groups:
            told = any(check.group == "database" and check.state is State.FAIL for check in checks)
            checks += _examined(group, told=told)
    return checks


def _examined(group: str, *, told: bool) -> Iterator[Check]:
    """Yield a group's findings; one that cannot be looked at is a failure, and the others go on.

    A database that fails has been ``told`` of by its own group already, and is not told again by all that need it.
    """
    function: Callable[[], Iterator[Finding]] = import_string(CHECKS[group])
    try:
        for finding in function():
            yield Check(group=group, **asdict(finding))
    except DatabaseError as error:
        state = State.SKIP if told else State.FAIL
        yield Check(group=group, name="database", state=state, detail=_one_line(error), fix="manage.py migrate")
    except (DeskError, MarketError, TerminalError, OSError) as error:
        yield Check(group=group, name=group, state=State.FAIL, detail=_one_line(error), fix="manage.py up")


def _one_line(error: Exception) -> str:
    return f"could not be looked at: {' '.join(str(error).split())}"


def exit_code(checks: list[Check]) -> ExitCode:
    """Return 3 if something failed; a warning or what was skipped is no failure."""
    return ExitCode.FOUND if any(check.state is State.FAIL for check in checks) else ExitCode.DONE


def as_data(checks: list[Check]) -> dict[str, Any]:
    """Return the document of ``doctor/1``."""
    return {"checks": [asdict(check) for check in checks], "counts": Counter(check.state.value for check in checks)}


def as_text(checks: list[Check]) -> str:
    """Return a line per check, and under what is wrong what to type."""
    lines = []
    for check in checks:
        lines.append(f"{check.state:<4}  {check.group:<11}  {check.name}: {check.detail}")
        if check.fix and check.state in (State.FAIL, State.WARN):
            lines.append(f"      {'':<11}  fix: {check.fix}")
    counts = Counter(check.state for check in checks)
    return "\n".join([*lines, ", ".join(f"{counts[state]} {state}" for state in State)])
