"""What came of the benchmarks, for people."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.harness import Row

PACKAGES = ("numpy", "pandas", "numba", "scipy", "scikit-learn", "statsmodels", "Django")
PEERS = ("vectorbt", "backtesting", "arch")
HEADINGS = ("benchmark", "ours", "peer", "its time", "ratio", "goal", "reached", "largest difference")
CHECK = (
    "0.2 ms of ours is the check of the frame of bars, which pandas does not make; without it the goal would be kept"
)
CORES = "it was reached on this machine at other times: the cores are shared, and what waits for both suffers most"
GAPS = {
    "fit_predict": CORES,
    "fit_predict_vol_scale": CHECK,
    "fit_predict_buy_sell_vol": CHECK,
    "fit_predict_rev": CHECK,
    "fit_plan": CORES,
    "rebalance": "every model's whole year is computed anew, and checked, by a dozen compiled passes and NumPy steps "
    "with an array of their own each; the prototype behind the limit made a model in one pass and checked nothing",
    "backtest_backtesting_py": "a whole account by the live rules, as against vectorbt",
    "backtest_vectorbt": "slots are sized by the live rules (tenths, lots, bands, early slots), unlike vectorbt's: "
    "3 to 9 ns a bar; the prototype, with one stop and one target, took 2.2",
    "setup_prediction": CORES,
    "sweep": "each variant is a whole account by the live rules, as for one backtest",
}
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
INTRODUCTION = """\
# Benchmarks

Written by `manage.py bench --write`; run `manage.py bench` or `make bench` to see the figures of your own
machine. Both sides run warm and in turn on the same data, so the **ratio** is what counts: seconds depend on what else
the machine did. A goal is reached when the ratio is at least the goal, a limit in time or memory is kept, and both
sides found the same numbers.

A goal is what a fast implementation was shown to reach. One that is missed is work to be done, not a figure to lower.
vectorbt, backtesting.py and arch come with `requirements-bench.txt`; without them those rows show ours alone. vectorbt
and backtesting.py do more for a bar than they are asked here (order types, several accounts, a class of the user's that
is called at every bar). Not measured: PostgreSQL, and the ML filter's features.
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
    versions |= {package: found for package in PEERS if (found := _version(package))}
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    } | versions


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _cells(row: Row) -> tuple[str, ...]:
    goal = f"≥ {row.goal:g}×" + ("" if row.limit_s is None else f", ≤ {seconds(row.limit_s)}")
    if row.peer_s is None or row.ratio is None or row.max_abs_diff is None:
        return (row.name, seconds(row.ours_s), row.peer, "not installed", "–", goal, "–", "–")
    reached = "yes" if row.ok else "**no**"
    difference = f"{row.max_abs_diff:.1g}"
    return (row.name, seconds(row.ours_s), row.peer, seconds(row.peer_s), times(row.ratio), goal, reached, difference)


def times(ratio: float) -> str:
    """Return how many times as much, with the digits that mean something."""
    return f"{ratio:.0f}×" if ratio >= 100 else f"{ratio:.1f}×"


def seconds(value: float) -> str:
    """Return a time with three digits in the unit that suits it."""
    size, unit = next((pair for pair in UNITS if value >= pair[0]), UNITS[-1])
    return f"{value / size:.3g} {unit}"


def _notes(rows: Sequence[Row]) -> list[str]:
    notes: dict[str, list[str]] = {}
    for row in rows:
        parts = (row.data, row.note, _memory(row), _gap(row))
        notes.setdefault("; ".join(filter(None, parts)), []).append(row.name)
    return [f"{_in_short(names)}: {note}" for note, names in notes.items()]


def _memory(row: Row) -> str:
    if row.ours_bytes is None or row.peer_bytes is None:
        return ""
    ratio, goal = times(row.peer_bytes / row.ours_bytes), f"{row.memory_goal:g}"
    ours, theirs = (f"{size / 2**20:.3g} MiB" for size in (row.ours_bytes, row.peer_bytes))
    return f"memory at the worst moment {ours} against {theirs} ({ratio}, goal ≥ {goal}×)"


def _gap(row: Row) -> str:
    """Return why a goal that was missed is out of reach so far, where that is known."""
    return f"why it is missed: {GAPS[row.name]}" if row.ok is False and row.name in GAPS else ""


def _in_short(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{names[0]} to {names[-1]}"
