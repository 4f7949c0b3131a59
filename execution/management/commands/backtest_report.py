"""The tear sheet of a stored backtest."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from execution.pnl_analysis import loss_rules
from ops.command import DeskCommand, Outcome
from strategies.backtesting.keeping import get_backtest
from strategies.reporting import default_path, write_report


class Command(DeskCommand):
    """Write one HTML file that needs nothing else."""

    help = "Write the tear sheet of a backtest: one HTML file with charts and tables that needs no network."
    examples = ("backtest_report 12", "backtest_report 12 --out sheets/april.html --json")
    schema = "backtest_report/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="as backtest_list shows it")
        parser.add_argument("--out", type=Path, metavar="FILE", help="default: in reports/ of the state folder")

    def run(self, **options: Any) -> Outcome:
        row = get_backtest(options["id"])
        path = write_report(row, options["out"] or default_path(row), rules=loss_rules())
        return Outcome(data={"id": row.pk, "path": str(path), "bytes": path.stat().st_size}, text=str(path))
