"""Work on the market's data that goes by a timetable, or is asked for."""

from __future__ import annotations

from typing import Any

from market.errors import UnknownSymbolError
from market.outside_updating import update_outside
from ops import heartbeats
from ops.queues import RESEARCH, enqueue

ASKED, BROUGHT = "outside:asked", "outside:brought"
LOST_AFTER_S = 600.0  # a request that nobody has begun by then is made again


def bring_outside() -> list[dict[str, Any]]:
    """Bring the outside readings that are due; apart from the bars, which a source that hangs must not hold up."""
    heartbeats.beat(BROUGHT)
    try:
        return update_outside().as_data()
    except UnknownSymbolError:
        return []  # nothing is traded or watched yet


def ask_for_outside() -> bool:
    """Let the research cluster bring what is due, soon; False while it has been asked and has not begun.

    For whoever goes by market time, which in the demo is faster than any timetable.
    """
    brought_s = heartbeats.age_s(BROUGHT)  # read first: asked for twice is harmless, not at all is not
    if heartbeats.age_s(ASKED) < min(brought_s, LOST_AFTER_S):
        return False
    heartbeats.beat(ASKED)
    enqueue("market.jobs.bring_outside", queue=RESEARCH)
    return True
