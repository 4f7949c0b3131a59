"""The server's monotonic clock: the one that ``not_after`` and every deadline of the wire are written in."""

from __future__ import annotations

import time

# Linux stops CLOCK_MONOTONIC while the machine sleeps, and an order must not go out late because its laptop slept.
# Windows' monotonic clock counts sleep already.
_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def server_now() -> float:
    """Return seconds that never go back, the same in all processes of this machine."""
    if _BOOT_CLOCK is None:
        return time.monotonic()
    return time.clock_gettime(_BOOT_CLOCK)
