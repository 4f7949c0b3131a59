"""The lists that grow: live panels and schedules. One line each, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from ops.schedules import Timetable


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page that is rendered at first load and again whenever one of its topics is announced."""

    template: str
    build: str  # dotted path of the function that makes its data for a person
    topics: frozenset[str]


def _panel(name: str, build: str, *topics: str) -> Panel:
    return Panel(f"panels/_{name.replace('-', '_')}.html", f"tradingsite.pages.{build}", frozenset(topics))


PANELS: dict[str, Panel] = {
    "state": _panel("state", "frame.build_state", "state", "kill", "account"),
    "controls": _panel("controls", "frame.build_state", "state", "kill"),
    "notice": _panel("notice", "frame.build_state", "state", "kill"),
    "kill-facts": _panel("kill-facts", "frame.build_kill_facts", "account", "fills"),
    "account": _panel("account", "overview.build_account", "account", "fills"),
    "attention": _panel("attention", "overview.build_attention", "alerts"),
    "equity": _panel("equity", "overview.build_equity", "account"),
    "positions": _panel("positions", "overview.build_positions", "account", "fills"),
    "signals": _panel("signals", "overview.build_signals", "decisions", "fills"),
    "next": _panel("next", "overview.build_next", "decisions", "jobs"),
    "decisions": _panel("decisions", "overview.build_decisions", "decisions"),
    "data": _panel("data", "overview.build_data", "data", "jobs"),
    "days": _panel("days", "overview.build_days", "decisions"),
    "targets": _panel("targets", "portfolio.build_targets", "decisions", "fills"),
    "funnel": _panel("funnel", "portfolio.build_funnel", "decisions"),
    "models": _panel("models", "portfolio.build_models", "decisions", "models"),
    "kill-progress": _panel("kill-progress", "safety.build_kill_progress", "kill", "state"),
}

SCHEDULES: dict[str, Timetable] = {
    "prune announcements": Timetable(function="ops.jobs.prune", every_minutes=60),
}
