"""The command line of the benchmarks: choose, run, show; for programs, or into the docs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import BENCHMARKS, harness, report
from benchmarks.harness import Row
from ops.errors import ExitCode

EXAMPLES = """
  python -m benchmarks --only rolling_ols --only rebalance
  python -m benchmarks --json
"""
DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        usage=f"\n{EXAMPLES}\npython -m benchmarks [options]",
        description="Race ours against what a user would pick instead. Exit 3 when a goal is missed.",
    )
    made.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else")
    made.add_argument("--only", action="append", metavar="NAME", help="only this one; may be repeated")
    made.add_argument("--write", action="store_true", help="write docs/benchmarks.md from this run, which runs all")
    return made


def run_command(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for, and return the exit code."""
    given = parser().parse_args(arguments)
    names = given.only or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown or (given.write and given.only):
        problem = f"no benchmark {unknown[0]!r}; known: {', '.join(BENCHMARKS)}" if unknown else "--write runs all"
        print(f"error: {problem}", file=sys.stderr)
        return ExitCode.USAGE
    rows = [_run(name) for name in names]
    if given.write:
        DOCS.write_text(report.as_markdown(rows))
    print(json.dumps(as_document(rows)) if given.json else report.as_text(rows))
    return ExitCode.DONE if all(row.ok for row in rows) else ExitCode.FOUND


def _run(name: str) -> Row:
    print(f"running {name}", file=sys.stderr)
    return harness.run(name)


def as_document(rows: Sequence[Row]) -> dict[str, object]:
    """Return the document of ``bench/1``."""
    warnings = [f"{row.name} misses its goal" for row in rows if not row.ok]
    data = {"rows": [asdict(row) for row in rows], "machine": report.machine()}
    return {"ok": not warnings, "schema": "bench/1", "data": data, "warnings": warnings}
