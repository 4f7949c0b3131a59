"""Why a symbol did (not) trade."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from execution.explaining import explain, explanation_text
from market.symbols import get_symbol
from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode


class Command(DeskCommand):
    """Show one decision step by step."""

    help = "Show a symbol's newest decision, or the one in force at a time, step by step."
    examples = ("signal_explain BTCUSD", "signal_explain BTCUSD --at 2025-01-02T10:00 --json")
    schema = "signal_explain/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL", help="whose decision, like BTCUSD")
        parser.add_argument("--at", metavar="T", help="the newest decision at or before this UTC time")

    def run(self, **options: Any) -> Outcome:
        explanation = explain(get_symbol(options["symbol"]).name, at=_moment(options["at"]))
        return Outcome(data=explanation, text=explanation_text(explanation))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"--at {text!r} is not a time: write it like 2025-01-02T10:00"
        raise CommandError(message, returncode=ExitCode.USAGE) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
