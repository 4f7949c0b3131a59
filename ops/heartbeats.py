"""Signs of life of processes and queues."""

from __future__ import annotations

import os
from typing import Any

from ops import clock
from ops.boot import boot_id
from ops.models import Heartbeat


def beat(name: str, **detail: Any) -> None:
    """Record that ``name`` is alive now."""
    Heartbeat.objects.update_or_create(
        name=name,
        defaults={
            "pid": os.getpid(),
            "beat_mono": clock.mono(),
            "boot": boot_id(),
            "beat_at": clock.wall_now(),
            "detail": detail,
        },
    )


def age_s(name: str) -> float:
    """Return seconds since the last beat of ``name``, infinite if it never beat in this boot."""
    row = Heartbeat.objects.filter(name=name).first()
    return float("inf") if row is None else row.age_s()
