"""Choose benchmarks, run them, and show what came of it; for programs, or into the docs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import BENCHMARKS, harness, report
from benchmarks.harness import Row
from benchmarks.peers import REQUIREMENTS
from ops.errors import DeskError, ExitCode

EXAMPLES = """
  python -m benchmarks --only rolling_ols --only rebalance
  python -m benchmarks --json
"""
DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


class BenchUsageError(DeskError):
    """Benchmarks that cannot be run as asked."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a run of benchmarks."""

    rows: list[Row]

    @property
    def exit_code(self) -> ExitCode:
        """3 when a goal is missed; a peer that is not installed is no miss."""
        return ExitCode.FOUND if any(row.ok is False for row in self.rows) else ExitCode.DONE

    @property
    def data(self) -> dict[str, Any]:
        """The data of ``bench/1``."""
        return {"rows": [asdict(row) for row in self.rows], "machine": report.machine()}

    @property
    def warnings(self) -> tuple[str, ...]:
        missed = [f"{row.name} misses its goal" for row in self.rows if row.ok is False]
        return (*missed, *self.missing)

    @property
    def missing(self) -> list[str]:
        """Peers that are not there, in one line."""
        names = sorted({row.peer for row in self.rows if row.ok is None})
        return [f"not installed, so ours ran alone: {', '.join(names)}; pip install -r {REQUIREMENTS}"] if names else []


def measure(only: Sequence[str] = (), *, write: bool = False) -> Measured:
    """Run the named benchmarks, all by default, and with ``write`` put them into the docs.

    Raises
    ------
    BenchUsageError
        For a name that is not known, and where the docs are to be written without all rows or without a peer.
    """
    unknown = [name for name in only if name not in BENCHMARKS]
    if unknown:
        raise BenchUsageError(f"no benchmark {unknown[0]!r}; known: {', '.join(BENCHMARKS)}")
    if write and only:
        raise BenchUsageError("--write runs all: name no benchmark")
    measured = Measured([_run(name) for name in only or BENCHMARKS])
    if write and measured.missing:
        raise BenchUsageError(f"--write needs all peers; {measured.missing[0]}")
    if write:
        DOCS.write_text(report.as_markdown(measured.rows))
    return measured


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line of ``python -m benchmarks``."""
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
    try:
        measured = measure(given.only or (), write=given.write)
    except BenchUsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps(as_document(measured)))
    else:
        for line in measured.missing:
            print(f"warning: {line}", file=sys.stderr)
        print(report.as_text(measured.rows))
    return measured.exit_code


def as_document(measured: Measured) -> dict[str, object]:
    """Return the document of ``bench/1``."""
    is_ok = measured.exit_code == ExitCode.DONE
    return {"ok": is_ok, "schema": "bench/1", "data": measured.data, "warnings": list(measured.warnings)}


def _run(name: str) -> Row:
    print(f"running {name}", file=sys.stderr)
    return harness.run(name)
