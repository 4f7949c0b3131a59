"""How fast is it, beside what one would pick instead?"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from benchmarks import BENCHMARKS
from ops.command import DeskCommand, Outcome


class Command(DeskCommand):
    """Race ours against what a user would pick instead, on this machine."""

    help = (
        "Race ours against pandas, statsmodels, vectorbt, backtesting.py, arch and Django. Exit 3 when a goal "
        "is missed. It reads and writes nothing of the desk."
    )
    examples = ("bench", "bench rolling_ols rebalance --json")
    schema = "bench/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(BENCHMARKS)}")
        parser.add_argument(
            "--write", action="store_true", help="write docs/benchmarks.md from this run, which runs all"
        )

    def run(self, **options: Any) -> Outcome:
        from benchmarks import command, report

        measured = command.measure(options["names"], write=options["write"])
        return Outcome(
            data=measured.data,
            text=report.as_text(measured.rows),
            exit_code=measured.exit_code,
            warnings=measured.warnings if options["json"] else tuple(measured.missing),
        )
