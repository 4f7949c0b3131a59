"""Which start of this machine we live in: readings of ``mono`` from another one say nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """Return the name of this boot, or of this machine where the system does not give one."""
    if LINUX_BOOT_ID.exists():
        return LINUX_BOOT_ID.read_text().strip()
    import platform

    return platform.node() or "one-boot"
