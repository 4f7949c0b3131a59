"""Run the hourly session by hand."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from execution.services import preview, run_session_now
from execution.sessions.hourly import session_run_by_hand, session_run_for_next_slot
from execution.sessions.text import as_text
from market.symbols import chosen_symbols
from ops.command import DeskCommand, Outcome


class Command(DeskCommand):
    """Wait for the next slot and run its session, or run one now."""

    help = "Run the session of the next slot that has not run yet; it waits for that slot."
    examples = ("trade_session", "trade_session --now --symbol BTCUSD --json")
    schema = "trade_session/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--now", action="store_true", help="act at once on the newest closed bar")
        parser.add_argument("--symbol", action="append", metavar="S", help="only this symbol; may be repeated")

    def run(self, **options: Any) -> Outcome:
        symbols = chosen_symbols(options["symbol"])
        if options["dry_run"]:
            report = preview(symbols)
        else:
            run = session_run_by_hand() if options["now"] else session_run_for_next_slot()
            report = run_session_now(run, symbols)
        return Outcome(
            data=report.as_data(), text=as_text(report), exit_code=report.exit_code, warnings=report.warnings
        )
