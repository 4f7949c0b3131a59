"""Arming: hard on purpose. Every check is shown, and all of them have to hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from execution.brokers.base import Broker
from execution.errors import BrokerError, ConfigError, RiskRefusedError
from execution.limits import current_limits, loss_budgets
from execution.models import Attempt, ControlRow, KillEvent
from execution.safety.armed import ArmedMark
from execution.safety.control import State, armed_file
from execution.safety.emergency import emergency_log
from execution.safety.killswitch import ALERT_KEY, last_kill
from execution.safety.reconcile import Reconciled, current_account, reconcile
from execution.trading_venues import MT5, venues_in_use
from execution.venue_fences import unlatch_venues
from execution.venues import named_broker
from execution.wire import open_site_terminal, the_broker
from market.errors import MarketError
from market.status import data_status
from market.terminal.errors import TerminalError
from ops import alerts, audit, clock
from ops.audit import Actor
from ops.live import announce


@dataclass(frozen=True, slots=True)
class ArmCheck:
    """One thing that has to hold before trading may be armed."""

    name: str
    ok: bool
    detail: str


def arm_phrase() -> str:
    """Return what a person has to type."""
    return f"ARM {settings.TRADING_MODE.upper()}"


def arm_checks() -> list[ArmCheck]:
    """Return every check with its finding; reading each venue is one of them."""
    venues = [check for key in venues_in_use() for check in _venue_checks(key)]
    return [*venues, _kill_check(), *_data_checks()]


def _venue_checks(broker_key: str) -> list[ArmCheck]:
    try:
        with _to_arm(broker_key) as broker:
            found = reconcile(broker)
    except (BrokerError, ConfigError, TerminalError) as error:
        return [ArmCheck(f"{named(broker_key)} answers", False, str(error))]
    return list(_account_checks(found, named(broker_key)))


def _to_arm(broker_key: str) -> AbstractContextManager[Broker]:
    """Connect to the account that is to be armed, which at MetaTrader 5 is the one that the terminal serves."""
    if broker_key == MT5:
        return the_broker(patient=False, to_arm=True)
    return named_broker(broker_key, patient=False)


def named(broker_key: str) -> str:
    """Return how a person calls a venue: MetaTrader 5 is the broker."""
    return "the broker" if broker_key == MT5 else broker_key


def _account_checks(found: Reconciled, venue: str) -> Iterator[ArmCheck]:
    yield ArmCheck(f"{venue} answers", True, f"…{str(found.snapshot.login)[-4:]} {found.snapshot.server}")
    where = "" if venue == named(MT5) else f" at {venue}"
    yield ArmCheck(f"no request is in doubt{where}", found.doubtful == 0, f"{found.doubtful} without a known outcome")
    doubtful = ", ".join(sorted(found.ownership.doubtful))
    yield ArmCheck(f"{venue} holds what our book says", not doubtful, doubtful or "yes")
    yield _loss_check(found, where)


def _kill_check() -> ArmCheck:
    event = last_kill()
    flat = event is None or event.flat_at is not None
    return ArmCheck("the last kill is flat", flat, "confirmed by the broker" if flat else "positions are still open")


def _loss_check(found: Reconciled, where: str) -> ArmCheck:
    account, balance = current_account(found.snapshot), found.snapshot.balance
    budgets = loss_budgets(account, current_limits(), clock.market_now(), balance=balance)
    broken = [b.kind for b in budgets if b.flattens(found.snapshot.equity)]
    detail = f"the {', '.join(broken)} limit is used up; a daily one is free after the next reset" if broken else "yes"
    return ArmCheck(f"there is room to lose{where}", not broken, detail)


def _data_checks() -> Iterator[ArmCheck]:
    try:
        series = data_status()
    except MarketError as error:
        yield ArmCheck("the data is fresh", False, str(error))
        return
    stale = [f"{s.name} ({s.bars_behind} bars behind)" for s in series if s.is_empty or s.is_stale]
    yield ArmCheck("the data is fresh", not stale, ", ".join(stale) or "yes")


def arm(actor: Actor, *, phrase: str, reason: str, start: State = State.PAUSED) -> ArmedMark:
    """Allow trading again, PAUSED until a person resumes it.

    Raises
    ------
    RiskRefusedError
        The phrase is another one, or a check does not hold; the message names the first.
    BrokerUnavailableError
        The broker could not be read.
    """
    require_armable(phrase)
    return arm_checked(actor, reason=reason, start=start)


def require_armable(phrase: str) -> None:
    """Raise as ``arm`` does when it would, and change nothing."""
    if phrase != arm_phrase():
        raise RiskRefusedError(f"type {arm_phrase()!r} to arm, was {phrase!r}", codes=["arm:phrase"])
    failed = [check for check in arm_checks() if not check.ok]
    if failed:
        raise RiskRefusedError(f"not armed: {failed[0].name}: {failed[0].detail}", codes=["arm:check"])


def arm_checked(actor: Actor, *, reason: str, start: State) -> ArmedMark:
    """Take the latch off and write row and file, the file last: until it exists nothing is armed."""
    mark = _mark()
    terminal = open_site_terminal()
    try:
        terminal.unlatch()
    finally:
        terminal.close()
    unlatch_venues()
    _write_row(actor, mark, reason=reason, start=start)
    emergency_log().allocate()
    armed_file().arm(mark)
    return mark


def _mark() -> ArmedMark:
    """Read whose accounts are to be armed, at every venue that is in use."""
    read = {key: _identity(key) for key in venues_in_use()}
    login, server = read.pop(MT5)
    return ArmedMark(login=login, server=server, venues=read)


def _identity(broker_key: str) -> tuple[int, str]:
    with _to_arm(broker_key) as broker:
        snapshot = broker.account()
    return snapshot.login, snapshot.server


@transaction.atomic
def _write_row(actor: Actor, mark: ArmedMark, *, reason: str, start: State) -> None:
    now = clock.wall_now()
    row, _ = ControlRow.objects.get_or_create(scope=ControlRow.SYSTEM)
    before = row.state
    ControlRow.objects.filter(pk=row.pk).update(
        state=start,
        reason=reason,
        changed_by=actor.name,
        changed_at=now,
        armed_login=mark.login,
        armed_server=mark.server,
        armed_venues=mark.venues,
    )
    KillEvent.objects.filter(rearmed_at=None).update(rearmed_at=now)
    alerts.resolve_alert(ALERT_KEY)
    audit.record(actor, "trade arm", before={"state": before}, after={"state": start}, reason=reason)
    announce("state", {"scope": ControlRow.SYSTEM, "state": start})


def may_arm_itself() -> bool:
    """Return whether this is a demo that nobody has ever killed: it arms itself after its first reconcile."""
    fresh = not ControlRow.objects.filter(scope=ControlRow.SYSTEM).exists() and not KillEvent.objects.exists()
    return settings.TRADING_MODE == "demo" and fresh and not Attempt.objects.unresolved().exists()
