"""What came of the benchmarks, for people."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness import Row

PACKAGES = ("numpy", "pandas", "numba", "scipy", "scikit-learn", "statsmodels", "Django")
HEADINGS = ("benchmark", "ours", "peer", "its time", "ratio", "goal", "reached", "largest difference")
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
INTRODUCTION = """\
# Benchmarks

Written by `python -m benchmarks --write`; run `make bench` to see the figures of your own machine. Both sides run warm
and in turn on the same data, so the **ratio** is what counts: seconds depend on what else the machine did. A goal is
reached when the ratio is at least the goal, a limit in time is kept, and both sides found the same numbers.

A goal is what a fast implementation was shown to reach. One that is missed is work to be done, not a figure to lower.
"""


def as_text(rows: Sequence[Row]) -> str:
    """Return an aligned line per row, and under it what a reader has to know."""
    table = [HEADINGS, *map(_cells, rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(HEADINGS))]
    lines = ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in table]
    return "\n".join([*lines, "", *_notes(rows)])


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the page of the docs."""
    table = [HEADINGS, ("---",) * len(HEADINGS), *((f"`{row.name}`", *_cells(row)[1:]) for row in rows)]
    parts = [
        INTRODUCTION,
        "\n".join(f"| {' | '.join(cells)} |" for cells in table),
        "\n".join(f"- {note}" for note in _notes(rows)),
        "## Machine and versions",
        "\n".join(f"- {name}: {value}" for name, value in machine().items()),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def machine() -> dict[str, str]:
    """Return what the figures were measured on, without the machine's name."""
    versions = {package: version(package) for package in PACKAGES}
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    } | versions


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _cells(row: Row) -> tuple[str, ...]:
    goal = f"≥ {row.goal:g}×" + ("" if row.limit_s is None else f", ≤ {seconds(row.limit_s)}")
    reached = "yes" if row.ok else "**no**"
    difference = f"{row.max_abs_diff:.1g}"
    ratio = f"{row.ratio:.0f}×" if row.ratio >= 100 else f"{row.ratio:.1f}×"
    return (row.name, seconds(row.ours_s), row.peer, seconds(row.peer_s), ratio, goal, reached, difference)


def seconds(value: float) -> str:
    """Return a time with three digits in the unit that suits it."""
    size, unit = next((pair for pair in UNITS if value >= pair[0]), UNITS[-1])
    return f"{value / size:.3g} {unit}"


def _notes(rows: Sequence[Row]) -> list[str]:
    notes: dict[str, list[str]] = {}
    for row in rows:
        notes.setdefault("; ".join(filter(None, (row.data, row.note))), []).append(row.name)
    return [f"{_in_short(names)}: {note}" for note, names in notes.items()]


def _in_short(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"
