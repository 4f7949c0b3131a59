"""Chaos on real processes: killed at random moments, a trader stopped between its last check and its send; then judged.

Nothing here repeats itself: the seed decides who is killed and about when, and only the promises are promised.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

from execution.bot.services import JOB as BOT
from execution.bot.services import newest_slots, watched_symbols
from execution.chaos.figures import bot_figures
from execution.chaos.judge import TimeLine, Violation, judge
from execution.chaos.processes import MarketHand, RealDesk, real_desk, until
from execution.chaos.reading import LEDGER
from execution.models import Attempt
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.slots import Slot, next_slot
from mlfilter.filters import active_filter
from mlfilter.history import klines_symbol
from mlfilter.models import BotSettings
from ops.models import Run
from ops.progress import Progress

VICTIMS = ("trader", "trader", "sentinel", "sentinel", "simulator", "web", "research", "notifier")
JUST_BEFORE = timedelta(seconds=3)
LATEST_KILL_S = 6.0  # after the clock was set to just before a slot
SESSION_WITHIN_S = 60.0
N_BARS = 3  # of 15 minutes, between two slots
BAR_KILLS = 0.5  # the chance that somebody is killed at the first of them
FILTERS_WITHIN_S = 240.0
# To trade within a few hours, the bot believes nearly every setup.
CREDULOUS = {"confidence_threshold": 0.05, "min_similar_win_rate": 0.0, "cooldown_bars": 0}
STALL_S = 3.0  # longer than any request may be under way
CALM_SLOTS = 4  # after the last kill
MIN_STALLS = 3
SETTLED_WITHIN_S = 240.0
UNFINISHED = (Run.Status.QUEUED, Run.Status.RUNNING)


@dataclass
class Wild:
    """What happened.

    Attributes
    ----------
    stalls : list of (str, bool)
        When the trader was stopped, and whether its request had not been sent yet.
    bot_runs : int
        Runs of the setup bot that came to an end.
    """

    sessions: int = 0
    bot_runs: int = 0
    bot: dict[str, Any] = field(default_factory=dict)
    orders: int = 0  # requests that reached the venue
    violations: list[Violation] = field(default_factory=list)
    kills: list[dict[str, Any]] = field(default_factory=list)
    stalls: list[tuple[str, bool]] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """Return the run's part of the document of ``chaos_run/1``."""
        return {
            "sessions": self.sessions,
            "orders": self.orders,
            "bot": self.bot,
            "faults": {},
            "crashes": self.kills,
            "acts": [
                {"at": at, "act": f"trader stopped, {'not ' if caught else ''}sent"} for at, caught in self.stalls
            ],
            "violations": [asdict(violation) for violation in self.violations],
            "log_sha256": "",
        }


def live_wildly(seed: int, hours: int, *, has_bot: bool, progress: Progress) -> Wild:
    """Live through so many slots on real processes, and have it judged.

    Parameters
    ----------
    has_bot : bool
        Whether the account lets the setup bot trade beside the sessions.

    Raises
    ------
    ExecutionError
        The desk did not come up, or did not come back.
    """
    rng, wild = random.Random(f"wild {seed}"), Wild()  # noqa: S311 - chance, not secrecy
    sim_dir, market = Path(settings.SIM_DIR), MarketHand()
    progress.start(hours + CALM_SLOTS, "starting")
    with real_desk() as desk:
        market.pace(1)
        if has_bot:
            _await_filters()
        for i in range(hours + CALM_SLOTS):
            slot = _before_next_slot(market)
            if i < hours:
                _disturb(desk, rng, wild)
            wild.sessions += _run_ends(JOB, slot.key)
            wild.bot_runs += _live_bars(market, partial(_disturb_bar, desk, rng, wild) if i < hours else _nothing)
            progress.advance(f"slot {slot.key}")
        _settle(desk, market)
        wild.bot_runs += _live_bars(market, _nothing)
    wild.violations = judge(sim_dir, time_line=TimeLine.REAL, is_disturbed=True)
    wild.orders = sum(1 for _ in _magics(sim_dir))
    wild.bot = bot_figures(wild.bot_runs)
    return wild


def _await_filters() -> None:
    """Wait until each of the bot's symbols has its filter, and have the bot believe nearly every setup."""

    def are_there() -> bool:
        watched = watched_symbols()
        return bool(watched) and all(
            active_filter(klines_symbol(one.data_symbol).name, one.interval) for one in watched
        )

    until(are_there, "the bot's filters", within_s=FILTERS_WITHIN_S)
    BotSettings.objects.update(**CREDULOUS)


def _live_bars(market: MarketHand, disturb: Callable[[], None]) -> int:
    """Live through the bars up to the next slot of the session, the second of them disturbed; return how many ended.

    The first has closed with the hour: its run waits behind the session, and must not be too late when time goes on.
    """
    n_ended = sum(_run_ends(BOT, slot.key) for slot in newest_slots())
    n_ended += _live_bar(market, disturb, ahead=JUST_BEFORE)
    return n_ended + sum(_live_bar(market, _nothing, ahead=timedelta(0)) for _ in range(N_BARS - 1))


def _live_bar(market: MarketHand, disturb: Callable[[], None], *, ahead: timedelta) -> int:
    """Set the clock to the next bar's run or just before it, and wait for its end; 0 where it did not end."""
    slots = newest_slots()
    if not slots:  # no bot
        return 0
    coming = replace(slots[0], bar_at=slots[0].bar_at + slots[0].length)
    market.step_to(coming.at - ahead)
    disturb()
    return _run_ends(BOT, coming.key)


def _before_next_slot(market: MarketHand) -> Slot:
    """Set the clock to just before the next slot."""
    slot = next_slot(market.now() + JUST_BEFORE, slot_rule())
    market.step_to(slot.at - JUST_BEFORE)
    return slot


def _disturb(desk: RealDesk, rng: random.Random, wild: Wild) -> None:
    """Stop the trader in the middle of a send, or kill somebody at about the time of the session."""
    if sum(caught for _, caught in wild.stalls) < MIN_STALLS and rng.random() < 0.5:
        caught = _stall_trader(desk)
        if caught is not None:
            wild.stalls.append((_now(), caught))
        return
    _kill_somebody(desk, rng, wild, rng.choice(VICTIMS))


def _disturb_bar(desk: RealDesk, rng: random.Random, wild: Wild) -> None:
    """Kill who trades or watches at about the time of the bot's run, now and then."""
    if rng.random() < BAR_KILLS:
        _kill_somebody(desk, rng, wild, rng.choice(VICTIMS[:4]))


def _nothing() -> None:
    """Leave everybody in peace."""


def _kill_somebody(desk: RealDesk, rng: random.Random, wild: Wild, name: str) -> None:
    """Kill a process that runs under a name, at a moment around the slot that is coming."""
    time.sleep(rng.uniform(0.0, LATEST_KILL_S))
    group = desk.group(name)
    if group:
        victim = rng.choice(group)
        with suppress(psutil.NoSuchProcess):
            victim.kill()
            wild.kills.append({"at": _now(), "who": name, "point": f"SIGKILL {victim.pid}"})
    desk.family()


def _stall_trader(desk: RealDesk) -> bool | None:
    """Stop the trader as soon as an attempt is written down; return whether it was not sent yet, None without one."""
    newest = Attempt.objects.order_by("-id").values_list("id", flat=True).first() or 0
    magic = _next_attempt(newest)
    if magic is None:
        return None
    group = desk.group("trader")
    for process in group:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    sent = any(request == magic for request in _magics(Path(settings.SIM_DIR)))
    time.sleep(STALL_S)
    for process in group:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    return not sent


def _next_attempt(newest: int) -> int | None:
    """Wait without a pause for the next attempt, which is written right before its send; return its magic."""
    query = "SELECT i.magic FROM execution_attempt a JOIN execution_legrecord l ON l.id = a.leg_id "
    query += "JOIN execution_intent i ON i.id = l.intent_id WHERE a.id > ? AND a.outcome = ''"
    give_up_at = time.monotonic() + SESSION_WITHIN_S / 2
    with closing(sqlite3.connect(f"file:{settings.DATABASES['default']['NAME']}?mode=ro", uri=True, timeout=5)) as db:
        while time.monotonic() < give_up_at:
            found = db.execute(query, (newest,)).fetchone()
            if found:
                return int(found[0])
    return None


def _run_ends(job: str, key: str) -> int:
    """Wait for the run of a slot to end; 0 when it did not, as where its trader was killed."""
    give_up_at = time.monotonic() + SESSION_WITHIN_S
    while time.monotonic() < give_up_at:
        run = Run.objects.filter(job=job, slot=key).first()
        if run and run.status not in UNFINISHED:
            return 1
        time.sleep(0.1)
    return 0


def _settle(desk: RealDesk, market: MarketHand) -> None:
    """Wait until nothing is in doubt any more, and have one more slot act on it."""
    give_up_at = time.monotonic() + SETTLED_WITHIN_S
    while Attempt.objects.unresolved().exists() and time.monotonic() < give_up_at:
        desk.is_ready()
        time.sleep(1.0)
    _run_ends(JOB, _before_next_slot(market).key)


def _magics(sim_dir: Path) -> Iterator[int]:
    with closing(sqlite3.connect(f"file:{sim_dir / LEDGER}?mode=ro", uri=True, timeout=5)) as venue:
        yield from (int(magic) for (magic,) in venue.execute("SELECT magic FROM requests"))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
