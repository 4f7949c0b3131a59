"""Rows of benchmarks that nobody ran."""

from __future__ import annotations

from benchmarks.harness import Row


def make_row(**changes) -> Row:
    values = {"name": "a", "ours_s": 0.002, "peer": "pandas", "peer_s": 0.5, "ratio": 250.0, "goal": 100.0}
    values |= {"limit_s": None, "ok": True, "max_abs_diff": 1e-12, "data": "synthetic", "note": "8760 bars"}
    return Row(**(values | changes))
