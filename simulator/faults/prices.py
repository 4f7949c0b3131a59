"""Faults of quotes: ticks that are old, impossible or far off, and a server's clock that is not where it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.faults.base import Fault
from simulator.faults.names import RATES

if TYPE_CHECKING:
    from simulator.faults.call import Call

TICKS = ("symbol_info_tick", "symbol_info")
HOUR_S = 3600
Corruption = Callable[[float, float, float], tuple[float, float]]
CORRUPT: dict[str, Corruption] = {  # (bid, ask, factor) -> (bid, ask)
    "zero": lambda bid, ask, factor: (0.0, 0.0),
    "negative": lambda bid, ask, factor: (-bid, -ask),
    "nan": lambda bid, ask, factor: (float("nan"), float("nan")),
    "crossed": lambda bid, ask, factor: (ask, bid),
    "spike": lambda bid, ask, factor: (bid * factor, ask * factor),
    "spread": lambda bid, ask, factor: (bid, ask + (ask - bid) * factor),
}


def frozen(call: Call) -> Any:
    """Go on showing the first tick."""
    row = call.go()
    if row is None:
        return None
    shown = call.memory.setdefault(f"{call.name} {call.symbol}", row)
    return shown if call.name == "symbol_info_tick" else row._replace(time=shown.time, bid=shown.bid, ask=shown.ask)


def corrupted(call: Call) -> Any:
    """Show impossible or far-off prices, while orders are dealt at the true ones."""
    how, factor = call.parameter("how"), call.parameter("factor")
    call.note(how)
    row = call.go()
    if row is None:
        return None
    if call.name in TICKS:
        bid, ask = CORRUPT[how](row.bid, row.ask, factor)
        return row._replace(bid=bid, ask=ask)
    rows = row.copy()
    if len(rows) > 1:
        for name in ("open", "high", "low", "close"):
            rows[name][-2] = CORRUPT[how](float(rows[name][-2]), float(rows[name][-2]), factor)[0]
    return rows


def shifted(call: Call) -> Any:
    """Tell times of a server's clock that is some hours off."""
    seconds = round(call.parameter("hours") * HOUR_S)
    call.note(f"times are off by {seconds} s")
    row = call.go()
    if row is None:
        return None
    if call.name == "symbol_info_tick":
        return row._replace(time=row.time + seconds, time_msc=row.time_msc + 1000 * seconds)
    if call.name == "symbol_info":
        return row._replace(time=row.time + seconds)
    rows = row.copy()
    rows["time"] += seconds
    return rows


FAULTS = (
    Fault(
        id="M61",
        does="ticks and bars tell times that are so many hours off the server's clock",
        calls=(*TICKS, *RATES),
        play=shifted,
        parameters={"hours": 1.0},
        lasts_s=3600.0,
    ),
    Fault(
        id="M62",
        does="ticks and bars tell times an hour off, as of a server that keeps Europe's summer time",
        calls=(*TICKS, *RATES),
        play=shifted,
        parameters={"hours": -1.0},
        lasts_s=86_400.0,
    ),
    Fault(
        id="M64",
        does="the tick stays as it is, its time too, while the market goes on",
        calls=TICKS,
        play=frozen,
        lasts_s=600.0,
        per_symbol=True,
    ),
    Fault(
        id="M67",
        does="prices are 'zero', 'negative', 'nan', 'crossed', a 'spike' by a factor, or the 'spread' widens by it; of "
        "bars, the last closed one",
        calls=(*TICKS, *RATES),
        play=corrupted,
        parameters={"how": "spike", "factor": 3.0},
        per_symbol=True,
    ),
)
