"""The trading state: what a person, a guard or the kill switch allows, the strictest first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db import transaction

from execution.models import ControlRow
from execution.safety.armed import ArmedFile, ArmedMark, read_mark
from ops import audit, clock
from ops.audit import Actor
from ops.live import announce

State = ControlRow.State
STRICTNESS = (State.ARMED, State.BLOCKED, State.PAUSED, State.KILLING, State.KILLED)
GUARD = "guard:"  # scopes that the system sets and clears by itself


class Needed(StrEnum):
    """What an order has to be allowed to do."""

    ENTER = "enter"  # adds risk
    REDUCE = "reduce"  # a session or a person makes a position smaller
    KILL = "kill"  # the kill switch closes


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The state in force and the scope and words it comes from."""

    state: State
    scope: str
    reason: str

    def allows(self, needed: Needed) -> bool:
        """Return whether an order of this kind may be sent (invariant 2)."""
        if self.state in (State.KILLING, State.KILLED):
            return needed is Needed.KILL
        if needed is Needed.ENTER:
            return self.state is State.ARMED
        return True


def armed_file() -> ArmedFile:
    """Return this site's armed file."""
    return ArmedFile(settings.SAFETY_DIR)


def current_control(*, family: str = "", symbol: str = "") -> Control:
    """Return the strictest state over system, guards, family and symbol.

    A missing or unreadable armed file is KILLED whatever the rows say, except while a kill is still closing.
    """
    scopes = {ControlRow.SYSTEM, f"family:{family}", f"symbol:{symbol}"}
    rows = [row for row in ControlRow.objects.all() if row.scope in scopes or row.scope.startswith(GUARD)]
    system = next((row for row in rows if row.scope == ControlRow.SYSTEM), None)
    if system is None:
        return Control(state=State.KILLED, scope=ControlRow.SYSTEM, reason="never armed")
    if armed_file().read() is None and system.state != State.KILLING:
        # The row's reason is that of another state where it was the file's removal that killed.
        reason = system.reason if system.state == State.KILLED else "the armed file is gone or cannot be read"
        return Control(state=State.KILLED, scope=ControlRow.SYSTEM, reason=reason)
    strictest = max(rows, key=lambda row: STRICTNESS.index(State(row.state)))
    return Control(state=State(strictest.state), scope=strictest.scope, reason=strictest.reason)


def armed_mark() -> ArmedMark | None:
    """Return the accounts that both file and row say are armed, or None when they do not agree."""
    mark = armed_file().read()
    row = ControlRow.objects.filter(scope=ControlRow.SYSTEM).first()
    return mark if row is not None and mark == mark_of(row) else None


def mark_of(row: ControlRow) -> ArmedMark | None:
    """Return the accounts that the row says are armed, None before any was."""
    if row.armed_login is None:
        return None
    return read_mark({"login": row.armed_login, "server": row.armed_server, "venues": row.armed_venues})


@transaction.atomic
def pause(actor: Actor, *, reason: str = "", scope: str = ControlRow.SYSTEM) -> bool:
    """Allow no new risk; False when it is paused or stricter already."""
    return _move(scope, actor, from_states=(State.ARMED, State.BLOCKED), to=State.PAUSED, reason=reason)


@transaction.atomic
def resume(actor: Actor, *, reason: str = "", scope: str = ControlRow.SYSTEM) -> bool:
    """Take a pause back; False when it was not paused (a kill needs re-arming)."""
    return _move(scope, actor, from_states=(State.PAUSED,), to=State.ARMED, reason=reason)


def _move(scope: str, actor: Actor, *, from_states: tuple[State, ...], to: State, reason: str) -> bool:
    if scope != ControlRow.SYSTEM:
        ControlRow.objects.get_or_create(scope=scope, defaults={"state": State.ARMED})
    before = ControlRow.objects.filter(scope=scope).values_list("state", flat=True).first()
    moved = ControlRow.objects.filter(scope=scope, state__in=from_states).update(
        state=to, reason=reason, changed_by=actor.name, changed_at=clock.wall_now()
    )
    if moved:
        audit.record(
            actor, f"trade {to.value}", subject=scope, before={"state": before}, after={"state": to}, reason=reason
        )
        announce("state", {"scope": scope, "state": to})
    return bool(moved)


@transaction.atomic
def set_guard(name: str, *, reason: str) -> bool:
    """Block entries by a guard of the system; False when it already did. It clears itself."""
    row, _ = ControlRow.objects.get_or_create(scope=f"{GUARD}{name}", defaults={"state": State.ARMED})
    if row.state == State.BLOCKED:
        return False
    ControlRow.objects.filter(pk=row.pk).update(state=State.BLOCKED, reason=reason, changed_at=clock.wall_now())
    announce("state", {"scope": row.scope, "state": State.BLOCKED})
    return True


@transaction.atomic
def clear_guard(name: str) -> bool:
    """Take a guard's block back; False when there was none."""
    cleared = ControlRow.objects.filter(scope=f"{GUARD}{name}", state=State.BLOCKED).update(
        state=State.ARMED, reason="", changed_at=clock.wall_now()
    )
    if cleared:
        announce("state", {"scope": f"{GUARD}{name}", "state": State.ARMED})
    return bool(cleared)
