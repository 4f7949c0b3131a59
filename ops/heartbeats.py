"""Signs of life of processes and queues."""

from __future__ import annotations

import os
from typing import Any

import psutil

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


def is_gone(name: str, *, after_s: float) -> bool:
    """Return whether ``name`` gave no sign of life for so long, or the process that gave the last one has ended."""
    row = Heartbeat.objects.filter(name=name).first()
    return row is None or row.age_s() > after_s or not _lives(row.pid)


def _lives(pid: int) -> bool:
    """Return whether a process runs; one that was killed and not yet taken note of does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
