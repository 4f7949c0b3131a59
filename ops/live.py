"""Tell open pages what changed: an outbox row, written in the transaction of the change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ops import clock
from ops.models import Announcement

KEPT_FOR = timedelta(hours=6)


def announce(topic: str, payload: dict[str, Any] | None = None) -> None:
    """Say that ``topic`` changed; nobody is told of what is rolled back.

    The payload is small (ids and changed values): pages read the rest themselves.
    """
    Announcement.objects.create(topic=topic, payload=payload or {})


def prune_announcements() -> int:
    """Delete announcements that no reconnecting page can still want, and return how many."""
    deleted, _ = Announcement.objects.filter(created_at__lt=clock.wall_now() - KEPT_FOR).delete()
    return deleted
