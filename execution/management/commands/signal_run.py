"""What the next rebalance would do."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from execution.services import preview
from execution.sessions.text import as_text
from market.symbols import chosen_symbols
from ops.command import DeskCommand, Outcome


class Command(DeskCommand):
    """Decide on the newest closed bar and show it; nothing is sent or stored."""

    help = "Show what a rebalance on the newest closed bar would do. It never trades."
    examples = ("signal_run", "signal_run --symbol BTCUSD --json")
    schema = "signal_run/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--symbol", action="append", metavar="S", help="only this symbol; may be repeated")

    def run(self, **options: Any) -> Outcome:
        report = preview(chosen_symbols(options["symbol"]))
        return Outcome(
            data=report.as_data(), text=as_text(report), exit_code=report.exit_code, warnings=report.warnings
        )
