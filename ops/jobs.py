"""Jobs about the running of the site itself."""

from __future__ import annotations

from ops import heartbeats
from ops.delivery import prune_deliveries
from ops.live import prune_announcements
from ops.queues import beat_name


def queue_beat(queue: str) -> None:
    """Say that this queue is worked on."""
    heartbeats.beat(beat_name(queue))


def prune() -> int:
    """Delete announcements that no page can want any more, and messages sent long ago."""
    return prune_announcements() + prune_deliveries()
