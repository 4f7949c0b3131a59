"""Bars of any timeframe from hours and minutes: first open, highest high, lowest low, last close, summed volumes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.hourbars import Floats, HourBars, Ints
from simulator.path import MINUTE_MS, TICKS, PathBlock


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Atoms:
    """Bars in time order that larger ones are made of; prices in points, every field of shape (n,)."""

    open_ms: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    trades: Ints
    volume: Floats
    quote_volume: Floats
    taker_base: Floats
    taker_quote: Floats

    def __len__(self) -> int:
        return len(self.open_ms)


NAMES = tuple(field.name for field in fields(Atoms))
FLOWS = ("volume", "quote_volume", "taker_base", "taker_quote")
FIRSTS, LASTS, HIGHEST, LOWEST = ("open_ms", "open"), ("close",), ("high",), ("low",)


def hour_atoms(bars: HourBars, first: int, last: int) -> Atoms:
    """Return hour bars ``first .. last`` as they are."""
    return Atoms(**{name: getattr(bars, name)[first:last] for name in NAMES})


def minute_atoms(block: PathBlock) -> Atoms:
    """Return the minutes of some hours, in one row."""
    open_ms = (block.open_ms[:, None] + MINUTE_MS * np.arange(block.open.shape[1])).ravel()
    prices: dict[str, Any] = {name: getattr(block, name).ravel() for name in ("open", "high", "low", "close")}
    flows: dict[str, Any] = {name: getattr(block.flow, name).ravel() for name in NAMES if hasattr(block.flow, name)}
    return Atoms(open_ms=open_ms, **prices, **flows)


def until(atoms: Atoms, block: PathBlock, now_ms: int) -> Atoms:
    """Return an hour's minutes as they look at a moment inside it: the last one holds the ticks so far."""
    n = int((block.tick_ms[0] <= now_ms).sum())
    if n == 0:
        return joined([])
    whole, part = divmod(n, TICKS)
    done = _taken(atoms, slice(0, whole))
    if not part:
        return done
    ticks = block.ticks[0, whole, :part]
    forming = _taken(atoms, slice(whole, whole + 1))
    volumes = {name: getattr(forming, name) * (part / TICKS) for name in FLOWS}
    seen = {"high": ticks.max(keepdims=True), "low": ticks.min(keepdims=True), "close": ticks[-1:]}
    return joined([done, replace(forming, trades=forming.trades * part // TICKS, **seen, **volumes)])


def joined(parts: list[Atoms]) -> Atoms:
    """Return consecutive atoms as one."""
    if not parts:
        nothing: dict[str, Any] = {name: np.empty(0, np.float64 if name in FLOWS else np.int64) for name in NAMES}
        return Atoms(**nothing)
    if len(parts) == 1:
        return parts[0]
    return Atoms(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in NAMES})


def aggregated(atoms: Atoms, edges_ms: Ints) -> Atoms:
    """Return one bar for each ``[edges[i], edges[i + 1])`` that holds an atom, dated by its edge.

    Parameters
    ----------
    atoms : Atoms
    edges_ms : int64 (m + 1,)
        Increasing; atoms outside them are left out.
    """
    places = np.searchsorted(atoms.open_ms, edges_ms)
    filled = np.flatnonzero(np.diff(places))
    if not len(filled):
        return joined([])
    starts, end = places[filled], int(places[-1])
    if end - starts[0] == len(starts):  # one atom a bar
        return replace(_taken(atoms, slice(int(starts[0]), end)), open_ms=edges_ms[filled])
    # Bars follow one another without a gap in the atoms, so each runs to the start of the next.
    lasts = np.append(starts[1:], end) - 1
    values: dict[str, Any] = {name: _reduced(name, getattr(atoms, name)[:end], starts, lasts) for name in NAMES}
    return Atoms(**(values | {"open_ms": edges_ms[filled]}))


def _reduced(name: str, column: NDArray[np.generic], starts: Ints, lasts: Ints) -> NDArray[np.generic]:
    if name in FIRSTS:
        return column[starts]
    if name in LASTS:
        return column[lasts]
    operation = np.maximum if name in HIGHEST else np.minimum if name in LOWEST else np.add
    return np.asarray(operation.reduceat(column, starts))


def _taken(atoms: Atoms, rows: slice) -> Atoms:
    return Atoms(**{name: getattr(atoms, name)[rows] for name in NAMES})
