"""What goes wrong with the data while nobody asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from market.errors import MarketError
from market.status import data_status
from ops.alerts import Trouble


def stale_series() -> Iterator[Trouble]:
    """Yield the series of the traded symbols that lack their newest bars."""
    try:
        series = data_status()
    except MarketError:
        return  # no symbol is traded: there is nothing to be stale
    for each in series:
        if each.is_stale:
            last = f"the last one opens at {each.last_at:%Y-%m-%d %H:%M} UTC" if each.last_at else ""
            title = f"Bars of {each.name} are stale: {each.bars_behind} behind"
            yield Trouble(f"stale:{each.table}:{each.name}", title, detail=last)
