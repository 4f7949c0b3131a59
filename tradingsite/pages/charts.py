"""Geometry of the small charts that are part of a panel: from series to SVG paths, scales and ticks.

Pure functions. Charts stretch with their panel and their text does not: across, a place is per mille of the plot's
width (``WIDTH``), down it is in pixels. The plot's SVG is stretched, the labels stand in SVGs that are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tradingsite.templatetags.desk import written

WIDTH = 1000.0  # of every plot, in its own units
LABEL_GAP = 14.0  # px between the baselines of two labels of 11 px text
HOUR = timedelta(hours=1)
TIME_STEPS = tuple(HOUR * hours for hours in (1, 2, 4, 6, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24, 91 * 24, 364 * 24))

Value = float | None  # None: no reading, drawn as a gap


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what it says."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Rect:
    """One bar of a bar chart."""

    x: float
    y: float
    width: float
    height: float
    kind: str  # "up", "down" or "none" (no reading)
    label: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight map from values to pixels; the greater value is higher up."""

    low: float
    high: float
    top: float
    bottom: float

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.bottom - share * (self.bottom - self.top), 1)


def nice_step(span: float, n_ticks: int) -> float:
    """Return the step of 1, 2 or 5 times a power of ten that cuts ``span`` into at most ``n_ticks`` parts."""
    rough = span / n_ticks
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def nice_ticks(low: float, high: float, n_ticks: int = 6) -> tuple[float, ...]:
    """Return the round values inside ``[low, high]``."""
    if not high > low:
        return (low,)
    step = nice_step(high - low, n_ticks)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(index * step, 10) for index in range(first, last + 1))


def decimals_of(ticks: Sequence[float]) -> int:
    """Return how many decimals tell neighbouring ticks apart."""
    if len(ticks) < 2:
        return 2
    return max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))


def time_ticks(start: datetime, end: datetime, n_ticks: int = 7) -> tuple[Tick, ...]:
    """Return round UTC times in ``[start, end]``: hours for up to two days, else dates."""
    step = next((s for s in TIME_STEPS if (end - start) / s <= n_ticks), TIME_STEPS[-1])
    form = "%H" if step < HOUR * 24 else "%d %b"
    epoch = datetime(2000, 1, 3, tzinfo=UTC)  # a Monday, so that steps of weeks fall on Mondays
    first = math.ceil((start - epoch) / step)
    ticks = []
    while (at := epoch + first * step) <= end:
        ticks.append(Tick(at=across(at, start, end), label=at.strftime(form)))
        first += 1
    return tuple(ticks)


def across(at: datetime, start: datetime, end: datetime) -> float:
    """Return the place of a moment between the plot's left (0) and right (``WIDTH``) edge."""
    return round(WIDTH * ((at - start) / (end - start)), 1)


def line_path(points: Sequence[tuple[float, Value]]) -> str:
    """Return a path through (x, y); a missing y breaks it, so that a gap looks like one."""
    parts, pen = [], "M"
    for x, y in points:
        if y is None:
            pen = "M"
            continue
        parts.append(f"{pen}{x:g} {y:g}")
        pen = "L"
    return " ".join(parts)


def step_path(points: Sequence[tuple[float, Value]]) -> str:
    """Return a path that holds each y until the next x: what is realised changes only when something is."""
    parts, pen = [], "M"
    for x, y in points:
        if y is None:
            pen = "M"
            continue
        parts.append(f"M{x:g} {y:g}" if pen == "M" else f"H{x:g} V{y:g}")
        pen = "L"
    return " ".join(parts)


def area_path(points: Sequence[tuple[float, Value]], base: float) -> str:
    """Return closed areas between (x, y) and the line y = ``base``, one for each stretch without a gap."""
    areas: list[str] = []
    stretch: list[tuple[float, float]] = []
    for x, y in [*points, (0.0, None)]:
        if y is not None:
            stretch.append((x, y))
            continue
        if len(stretch) > 1:
            outline = " ".join(f"L{px:g} {py:g}" for px, py in stretch)
            areas.append(f"M{stretch[0][0]:g} {base:g} {outline} L{stretch[-1][0]:g} {base:g} Z")
        stretch = []
    return " ".join(areas)


def thin(values: Sequence[Value], n_buckets: int) -> list[int]:
    """Return the indices to draw: of each bucket the first, last, lowest and highest, so that no spike is lost.

    A gap is kept as one index. With no more than ``4 * n_buckets`` values that is all of them.
    """
    if len(values) <= 4 * n_buckets:
        return list(range(len(values)))
    kept: set[int] = {0, len(values) - 1}
    for bucket in range(n_buckets):
        indices = range(bucket * len(values) // n_buckets, (bucket + 1) * len(values) // n_buckets)
        known = [index for index in indices if values[index] is not None]
        gap = next((index for index in indices if values[index] is None), None)
        if gap is not None:
            kept.add(gap)
        if known:
            kept.update((known[0], known[-1], min(known, key=lambda i: values[i]), max(known, key=lambda i: values[i])))  # type: ignore[arg-type, return-value]
    return sorted(kept)


def spread(places: Sequence[float], gap: float = LABEL_GAP) -> list[float]:
    """Move labels apart so that none cover each other, in the order given by their places."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    return [round(place, 1) for place in moved]


def signed_bars(
    values: Sequence[Value], *, limit: float, width: float, height: float, labels: Sequence[str] = (), fill: float = 0.8
) -> tuple[Rect, ...]:
    """Return one bar a value, up or down from the middle line; ``limit`` fills half the height.

    A known value, however small, is at least one pixel high: a flat model and a missing one look different.
    """
    slot, middle = width / max(len(values), 1), height / 2
    bars = []
    for index, value in enumerate(values):
        x, label = round(index * slot, 2), labels[index] if index < len(labels) else ""
        if value is None or not math.isfinite(value):
            bars.append(Rect(x, middle - 1, round(slot * fill, 2), 2, "none", label))
            continue
        size = max(min(abs(value) / limit, 1.0) * (middle - 1), 1.0) if limit > 0 else 1.0
        top = middle - size if value >= 0 else middle
        bars.append(
            Rect(x, round(top, 1), round(slot * fill, 2), round(size, 1), "up" if value >= 0 else "down", label)
        )
    return tuple(bars)


def across_bar(value: Value, limit: float) -> Rect:
    """Return a bar that grows left or right from the middle of a box 100 wide and 10 high."""
    if value is None or not math.isfinite(value) or limit <= 0:
        return Rect(50, 0, 0, 10, "none")
    size = round(min(abs(value) / limit, 1.0) * 50, 1)
    return Rect(50 if value >= 0 else round(50 - size, 1), 0, size, 10, "up" if value >= 0 else "down")


def largest(values: Sequence[Value]) -> float:
    """Return the greatest size among the values, 0 when none is known."""
    return max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)


@dataclass(frozen=True, slots=True)
class Spark:
    """A line in a box of ``WIDTH`` x 24 px; ``zero`` is where 0 lies, None when it is outside."""

    path: str
    zero: float | None


def sparkline(values: Sequence[Value], height: float = 24.0) -> Spark:
    """Return a small line of the values, scaled to their own range with 0 always inside."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return Spark("", None)
    low, high = min([*known, 0.0]), max([*known, 0.0])
    scale = Scale(low, high if high > low else low + 1.0, 2.0, height - 2.0)
    gap = WIDTH / (len(values) - 1)
    shown = [value if value is not None and math.isfinite(value) else None for value in values]
    points = [(round(i * gap, 1), None if value is None else scale.y(value)) for i, value in enumerate(shown)]
    return Spark(line_path(points), scale.y(0.0))


def tick_labels(values: Sequence[float]) -> list[str]:
    """Return round values as text with the decimals they need."""
    places = decimals_of(values)
    return [written(value, places) for value in values]
