"""Work on the market's data that goes by a timetable."""

from __future__ import annotations

from typing import Any

from market.errors import UnknownSymbolError
from market.outside_updating import update_outside


def bring_outside() -> list[dict[str, Any]]:
    """Bring the outside readings that are due; apart from the bars, which a source that hangs must not hold up."""
    try:
        return update_outside().as_data()
    except UnknownSymbolError:
        return []  # nothing is traded yet
