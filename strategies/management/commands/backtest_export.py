"""Write a backtest into files."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ops.command import DeskCommand, Outcome
from strategies.backtesting.comparing import export
from strategies.backtesting.keeping import get_backtest


class Command(DeskCommand):
    help = "Write a backtest into a folder: all about it as JSON, its equity and fills as CSV and parquet."
    examples = ("backtest_export 12 --dir results", "backtest_export 12 --dir results --json")
    schema = "backtest_export/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="as backtest_list shows it")
        parser.add_argument("--dir", required=True, type=Path, metavar="D", help="made where it is missing")

    def run(self, **options: Any) -> Outcome:
        if options["dry_run"]:
            row = get_backtest(options["id"])
            return Outcome(data={"files": []}, text=f"would write {row} into {options['dir']}; nothing was changed")
        files = [str(path) for path in export(options["id"], options["dir"])]
        return Outcome(data={"files": files}, text="\n".join(files))
