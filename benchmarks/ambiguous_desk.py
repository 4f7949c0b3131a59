"""A trader and a sentinel at a venue of doubt: the code that trades, on a virtual clock and a database in memory."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import quantiles
from typing import Any
from unittest import mock

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import load_backend
from django.test.utils import override_settings

from benchmarks.ambiguous_fates import Ending, draw_fate
from benchmarks.ambiguous_gate import QuickGate
from benchmarks.ambiguous_venue import Crash, Venue
from execution.adjust import Adjuster, Target
from execution.chaos.clock import VirtualClock
from execution.errors import ExecutionError
from execution.models import Account, Attempt, ControlRow, FillRecord, Intent, LegRecord
from execution.planning.orders import MarginMode
from execution.safety.armed import ArmedFile, ArmedMark
from execution.safety.control import Needed
from execution.safety.gate import LEASE_TTL_S, TRADER_LEASE, Terms
from execution.safety.journal import Cause
from execution.safety.reconcile import close_orphans, current_account, reconcile
from ops import clock, leases

SYMBOLS = tuple(f"S{number:02}" for number in range(16))
MOST_LOTS = 5  # tenths of a lot, long or short
NEW_TARGETS = 0.6  # the share of slots that want another position than the one before
BEGIN = datetime(2026, 1, 5, 10, tzinfo=UTC)
RECONCILE_EVERY_S = 60.0  # as the sentinel does
APPS = ("execution", "ops")
# What is told to pages and people, and the breaker: it would pause trading, which is not what is tried here.
BESIDE = (
    "execution.safety.journal.announce",
    "execution.safety.reconcile.announce",
    "execution.safety.gate.watch_requests",
)


@dataclass(kw_only=True)
class Found:
    """What came of it all.

    ``doubtful`` outcomes are those whose sender did not know what was done; ``lost_fills`` are deals that are missing
    in the book or the journal, and whatever is still in doubt at the end; seconds are the virtual clock's.
    """

    attempts: int = 0
    doubtful: int = 0
    executed_in_doubt: int = 0
    double_fills: int = 0
    lost_fills: int = 0
    turned_away: int = 0  # targets that came while their symbol was frozen
    endings: Counter[str] = field(default_factory=Counter)
    frozen_s: list[float] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Count another account's in."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def is_ok(self) -> bool:
        """Whether nothing was filled twice and nothing was lost."""
        return not self.double_fills and not self.lost_fills

    @property
    def data(self) -> dict[str, Any]:
        """The data of ``ambiguity/1``."""
        counts = {name: value for name, value in vars(self).items() if name != "frozen_s"}
        return counts | {"endings": dict(sorted(self.endings.items())), "frozen_s": self._frozen()}

    def _frozen(self) -> dict[str, float]:
        if len(self.frozen_s) < 2:
            return {}
        cuts = quantiles(self.frozen_s, n=100)
        return {"median": round(cuts[49], 1), "p95": round(cuts[94], 1), "longest": round(max(self.frozen_s), 1)}


@dataclass(kw_only=True)
class Desk:
    """A trader and a sentinel at one account, in one process and on one clock."""

    rng: random.Random
    venue: Venue
    account: Account
    slots: int = 0
    turned_away: int = 0
    _next_pass_s: float = 0.0

    @property
    def n_doubtful(self) -> int:
        return sum(ending.is_in_doubt for ending in self.venue.endings)

    def slot(self) -> None:
        """Be a session: reconcile, bring every symbol to a target, reconcile."""
        self.slots += 1
        reconcile(self.venue)
        close_orphans(self.account)
        adjuster = self._adjuster()
        try:
            for symbol in self.rng.sample(SYMBOLS, len(SYMBOLS)):
                self._adjust(adjuster, symbol)
                self.wait(self.rng.uniform(0, 0.5))
            reconcile(self.venue)
        except Crash as crash:
            if crash.args[0] is Ending.REBOOT:
                self._reboot()

    def _adjust(self, adjuster: Adjuster, symbol: str) -> None:
        if symbol not in self.venue.targets or self.rng.random() < NEW_TARGETS:
            self.venue.targets[symbol] = Decimal(self.rng.randint(-MOST_LOTS, MOST_LOTS)) / 10
        try:
            adjusted = adjuster.adjust(self._target(symbol, self.venue.targets[symbol]))
        except ExecutionError:  # halted with a name: the next slot tries again
            return
        self.turned_away += adjusted.intent is None and adjusted.blocker != adjusted.plan.reason

    def _target(self, symbol: str, lots: Decimal) -> Target:
        price, capital = self.venue.quote(symbol).mid, Decimal(5_000)
        return Target(
            symbol=symbol,
            lots=lots,
            spec=self.venue.spec(symbol),
            snapshot=self.venue.account(),
            cause=Cause(family="rebalance", kind="session", id=f"slot {self.slots}"),
            terms=Terms(needed=Needed.ENTER, plan_price=price, capital_per_asset=capital),
        )

    def _adjuster(self) -> Adjuster:
        lease = leases.acquire(TRADER_LEASE, holder="trader", ttl_s=LEASE_TTL_S)
        return Adjuster(self.venue, self.account, QuickGate(self.venue, self.account, lease=lease))

    def wait(self, seconds: float) -> None:
        """Let time pass, in which the sentinel reconciles every minute."""
        end = clock.mono() + seconds
        while self._next_pass_s <= end:
            clock.sleep(max(self._next_pass_s - clock.mono(), 0.0))
            self._next_pass_s += RECONCILE_EVERY_S
            reconcile(self.venue)
        clock.sleep(max(end - clock.mono(), 0.0))

    def _reboot(self) -> None:
        """Be away for a while; then whatever was sent was sent before this machine was started."""
        clock.sleep(self.rng.uniform(30, 120))
        self._next_pass_s = clock.mono()
        Attempt.objects.unresolved().update(boot="before")

    def judged(self) -> Found:
        """Hold book and journal against what the venue did."""
        requests, endings = self.venue.requests, self.venue.endings
        doubtful = [request for request, ending in zip(requests, endings, strict=True) if ending.is_in_doubt]
        executed: defaultdict[int, Decimal] = defaultdict(Decimal)
        filled: defaultdict[int, Decimal] = defaultdict(Decimal)
        for deal in self.venue.deals:
            executed[deal.request.magic] += abs(deal.lots)
        for magic, volume in LegRecord.objects.values_list("intent__magic", "filled"):
            filled[magic] += volume
        booked = set(FillRecord.objects.exclude(intent=None).values_list("deal_id", flat=True))
        missing = sum(deal.number not in booked for deal in self.venue.deals)
        unlike = sum(executed[magic] != filled[magic] for magic in Intent.objects.values_list("magic", flat=True))
        settled = Attempt.objects.filter(message__contains="venue's history").exclude(resolved_at=None)
        times = settled.values_list("sent_at", "resolved_at")
        return Found(
            attempts=len(requests),
            doubtful=len(doubtful),
            executed_in_doubt=sum(request.executed > 0 for request in doubtful),
            double_fills=len(self.venue.doubles),
            lost_fills=missing + unlike + Attempt.objects.unresolved().count(),
            turned_away=self.turned_away,
            endings=Counter(ending.value for ending in endings),
            frozen_s=[(resolved - sent).total_seconds() for sent, resolved in times if resolved],
        )


# --- a database, a clock and an armed account of its own --------------------------------------------------------------


@contextmanager
def open_desk(rng: random.Random, *, nets: bool) -> Iterator[Desk]:
    mode = MarginMode.NETTING if nets else MarginMode.HEDGING
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ambiguity-")))
        stack.enter_context(override_settings(SAFETY_DIR=folder))
        stack.enter_context(_memory_database())
        for told in BESIDE:
            stack.enter_context(mock.patch(told))
        venue = Venue(
            rng=rng,
            margin_mode=mode,
            begin=BEGIN,
            draw_fate=lambda: draw_fate(rng),
            stand_still=lambda seconds: desk.wait(seconds),
        )
        stack.enter_context(clock.use(VirtualClock(BEGIN, venue.live)))
        account = current_account(venue.account())
        _arm(folder)
        desk = Desk(rng=rng, venue=venue, account=account, _next_pass_s=clock.mono())
        yield desk


def _arm(folder: Path) -> None:
    ControlRow.objects.create(
        scope=ControlRow.SYSTEM, state=ControlRow.State.ARMED, armed_login=1, armed_server="Venue"
    )
    ArmedFile(folder).arm(ArmedMark(login=1, server="Venue"))


@contextmanager
def _memory_database() -> Iterator[None]:
    """Let this thread's default database be a new one in memory, with the tables that execution needs."""

    site, own = connections[DEFAULT_DB_ALIAS], _connect()
    own.ensure_connection()
    _empty_tables().backup(own.connection)
    connections[DEFAULT_DB_ALIAS] = own
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = site
        own.close()


@cache
def _empty_tables() -> sqlite3.Connection:
    """Return a database that is copied for each account: making the tables takes longer than filling them."""

    made = _connect()
    with made.schema_editor() as editor:
        for app in APPS:
            for model in apps.get_app_config(app).get_models():
                editor.create_model(model)
    connection: sqlite3.Connection = made.connection
    return connection


def _connect() -> Any:
    engine = "django.db.backends.sqlite3"
    fields = connections.configure_settings({DEFAULT_DB_ALIAS: {"ENGINE": engine}})[DEFAULT_DB_ALIAS]
    return load_backend(engine).DatabaseWrapper({**fields, "NAME": ":memory:"}, DEFAULT_DB_ALIAS)
