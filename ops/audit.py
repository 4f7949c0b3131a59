"""Write down who changed what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops.live import announce
from ops.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change, and through what: a page, a command, or the system itself."""

    name: str
    source: AuditEntry.Source


SYSTEM = Actor(name="system", source=AuditEntry.Source.SYSTEM)


def record(
    actor: Actor,
    action: str,
    *,
    subject: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Add one entry in the transaction of the change."""
    entry = AuditEntry.objects.create(
        actor=actor.name,
        source=actor.source,
        action=action,
        subject=subject,
        before=before or {},
        after=after or {},
        reason=reason,
    )
    announce("audit", {"id": entry.pk})
    return entry
