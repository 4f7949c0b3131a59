"""The lists that grow: live panels, schedules and watches. One line each, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from ops.schedules import Timetable

FRAME = "tradingsite.pages.frame."


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page that is rendered at first load and again whenever one of its topics is announced."""

    template: str
    build: str  # dotted path of the function that makes its data for a person
    topics: frozenset[str]
    gap_s: float = 1.0  # sent at most once in so long, but for news that cannot wait
    every_s: float | None = None  # sent again after so long without news: for what changes by passing time

    @property
    def is_of_the_frame(self) -> bool:
        """Whether it stands around every page, where what it showed last is better than word of a failure."""
        return self.build.startswith(FRAME)


def _panel(name: str, build: str, *topics: str, gap_s: float = 1.0, every_s: float | None = None) -> Panel:
    template = f"panels/_{name.replace('-', '_')}.html"
    return Panel(template, f"tradingsite.pages.{build}", frozenset(topics), gap_s, every_s)


PANELS: dict[str, Panel] = {
    "state": _panel("state", "frame.build_state", "state", "kill", "account", every_s=5),
    "controls": _panel("controls", "frame.build_state", "state", "kill", every_s=5),
    "notice": _panel("notice", "frame.build_state", "state", "kill", every_s=5),
    "kill-facts": _panel("kill-facts", "frame.build_kill_facts", "account", "fills"),
    "attention-count": _panel("attention-count", "frame.count_attention", "alerts"),
    "account": _panel("account", "account.build_account", "account", "fills"),
    "attention": _panel("attention", "overview.build_attention", "alerts"),
    "equity": _panel("equity", "account.build_equity", "account", gap_s=5),
    "positions": _panel("positions", "overview.build_positions", "account", "fills"),
    "signals": _panel("signals", "signals.build_signals", "decisions", "fills", every_s=5),
    "next": _panel("next", "overview.build_next", "decisions", "jobs", every_s=15),
    "decisions": _panel("decisions", "signals.build_decisions", "decisions"),
    "data": _panel("data", "overview.build_data", "data", "jobs", every_s=15),
    "days": _panel("days", "account.build_days", "decisions", every_s=15),
    "targets": _panel("targets", "portfolio.build_targets", "decisions", "fills", every_s=5),
    "funnel": _panel("funnel", "portfolio.build_funnel", "decisions", every_s=30),
    "models": _panel("models", "portfolio.build_models", "decisions", "models", every_s=30),
    "bot-standing": _panel(
        "bot-standing", "bot.build_standing", "setups", "state", "kill", "models", "fills", every_s=15
    ),
    "bot-trades": _panel("bot-trades", "bot.build_trades", "setups", "account", "fills"),
    "bot-setups": _panel("bot-setups", "bot_setups.build_setups", "setups", gap_s=2, every_s=30),
    "bot-results": _panel("bot-results", "bot_results.build_results", "setups", gap_s=5, every_s=30),
    "bot-filter": _panel("bot-filter", "bot_results.build_filter", "setups", "models", gap_s=5, every_s=30),
    "bot-backtest": _panel("bot-backtest", "bot_results.build_backtests", "setups", gap_s=15, every_s=30),
    "alerts": _panel("alerts", "alerts.build_alerts", "alerts", "deliveries", every_s=15),
    "deliveries": _panel("deliveries", "alerts.build_deliveries", "deliveries", every_s=5),
    "kill-progress": _panel("kill-progress", "safety.build_kill_progress", "kill", "state", every_s=5),
}

SCHEDULES: dict[str, Timetable] = {
    "prune announcements": Timetable(function="ops.jobs.prune", every_minutes=60),
    "refit models": Timetable(function="strategies.jobs.enqueue_refit", every_minutes=60),
    "bring outside": Timetable(function="market.jobs.bring_outside", every_minutes=5),
    "train setup filters": Timetable(function="mlfilter.jobs.enqueue_training", every_minutes=60),
    "follow setups": Timetable(function="mlfilter.jobs.follow_setups", every_minutes=15),
}

# What the notifier looks for, by the beginning of the keys of its alerts.
WATCHES: dict[str, str] = {
    "silent:": "ops.watches.silent_processes",
    "queue:": "ops.watches.dead_queues",
    "job:": "ops.watches.failed_jobs",
    "undelivered:": "ops.watches.undelivered_alerts",
    "stale:": "market.watches.stale_series",
    "missed:": "execution.watches.missed_sessions",
    "kill:": "execution.watches.slow_kills",
    "limit:": "execution.watches.limits_reached",
}
