"""Faults of bars: holes, repetitions, another history, the forming bar in a closed one's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator import constants as mt5
from simulator.faults.base import Fault
from simulator.faults.names import RATES
from simulator.price_history import last_bars

if TYPE_CHECKING:
    from simulator.faults.call import Call

PRICES = ("open", "high", "low", "close")
Rows = NDArray[Any]


def forming(call: Call) -> Any:
    """Show the forming bar as the last closed one, or with other prices."""
    start, count = call.arguments["start_pos"], call.arguments["count"]
    rows: Rows | None = call.go()
    if rows is None or not len(rows):
        return rows
    if call.parameter("how") == "shown as closed":
        call.note("position 0 is given for position 1")
        bars = last_bars(call.account, call.symbol or "", call.arguments["timeframe"], count + start - 1)
        return bars[max(0, len(bars) - start + 1 - count) : len(bars) - start + 1]
    return _scaled(call, rows, slice(len(rows) - 1, len(rows)))


def revised(call: Call) -> Any:
    """Show another past than before: bars some way back have other prices."""
    rows: Rows | None = call.go()
    return None if rows is None else _scaled(call, rows, _stretch(call, rows))


def clock_change(call: Call) -> Any:
    """Leave a bar out, show it twice, or in the wrong place."""
    rows: Rows | None = call.go()
    if rows is None or len(rows) < 3:
        return rows
    i, how = _stretch(call, rows).start, call.parameter("how")
    call.note(f"the bar of {int(rows['time'][i])} is {how}")
    if how == "missing":
        return np.delete(rows, i)
    if how == "twice":
        return np.insert(rows, i, rows[i])
    order = np.arange(len(rows))
    order[[i - 1, i]] = order[[i, i - 1]]
    return rows[order]


def hole(call: Call) -> Any:
    """Leave bars out."""
    rows: Rows | None = call.go()
    if rows is None:
        return None
    stretch = _stretch(call, rows)
    call.note(f"{stretch.stop - stretch.start} bars are missing")
    return np.delete(rows, stretch)


def not_loaded(call: Call) -> Any:
    """Have only the newest bars, or none yet."""
    keep = call.parameter("keep")
    call.note(f"{keep} bars are there")
    rows: Rows | None = call.go()
    if not keep:
        raise call.fail(mt5.RES_E_FAIL)
    return None if rows is None else rows[-keep:]


def _stretch(call: Call, rows: Rows) -> slice:
    """Return the rows that are ``n`` bars long and end ``back`` bars before the last one."""
    stop = max(0, len(rows) - call.parameter("back"))
    return slice(max(0, stop - call.begun.parameters.get("n", 1)), stop)


def _scaled(call: Call, rows: Rows, where: slice) -> Rows:
    factor = call.parameter("factor")
    call.note(f"{len(rows[where])} bars are multiplied by {factor:g}")
    out = rows.copy()
    for name in PRICES:
        out[name][where] *= factor
    return out


def asks_for_forming(call: Call) -> bool:
    """Return whether the forming bar is asked for; ``start_pos`` 1 asks for none, and can get it all the same."""
    return call.arguments.get("start_pos") in (0, 1)


FAULTS = (
    Fault(
        id="M60",
        does="the forming bar has other prices ('changed'), or stands in the last closed one's place ('shown as "
        "closed', where `start_pos` is 1)",
        calls=("copy_rates_from_pos",),
        play=forming,
        parameters={"how": "changed", "factor": 1.5},
        per_symbol=True,
        applies=asks_for_forming,
    ),
    Fault(
        id="M63",
        does="a bar is 'missing', there 'twice', or 'out of order', as around a change of the clocks",
        calls=RATES,
        play=clock_change,
        parameters={"how": "twice", "back": 2},
        per_symbol=True,
    ),
    Fault(
        id="M65",
        does="some bars are missing",
        calls=RATES,
        play=hole,
        parameters={"n": 3, "back": 2},
        lasts_s=3600.0,
        per_symbol=True,
    ),
    Fault(
        id="M66",
        does="only the newest bars are there; with `keep` 0 None and -1",
        calls=RATES,
        play=not_loaded,
        parameters={"keep": 10},
        lasts_s=120.0,
        per_symbol=True,
    ),
    Fault(
        id="M68",
        does="bars some way back have other prices than before",
        calls=RATES,
        play=revised,
        parameters={"n": 3, "back": 2, "factor": 1.01},
        lasts_s=86_400.0,
        per_symbol=True,
    ),
)
