"""Replay the sessions of a period in a state of its own; ``backtest_run`` makes that state and starts this."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management import call_command

from execution.sessions.replay import replay_slots
from execution.sessions.slots import floor_hour
from ops.command import DeskCommand, Outcome
from ops.progress import LineProgress


class Command(DeskCommand):
    """Run the session of every slot of a period on a stepped simulator in this process."""

    help = "Run every slot's session on a stepped simulator in this process; refused on a state that trades."
    examples = (
        "session_replay --begin 2026-04-01 --end 2026-05-01 --json",
        "session_replay --begin 2026-04-29T00 --end 2026-04-29T12",
    )
    schema = "session_replay/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--begin", required=True, type=_hour, metavar="T", help="first slot's hour, UTC")
        parser.add_argument("--load", metavar="FILE", help="first make the database, and load these rows into it")
        parser.add_argument("--end", required=True, type=_hour, metavar="T", help="hour after the last slot's, UTC")

    def run(self, **options: Any) -> Outcome:
        if options["load"]:
            call_command("migrate", verbosity=0)
            call_command("loaddata", options["load"], verbosity=0)
        progress = LineProgress(sys.stderr)
        replayed = replay_slots(options["begin"], options["end"], progress=progress)
        last = replayed.equity[-1]["equity"] if replayed.equity else "unknown"
        text = f"{replayed.slots} slots, {len(replayed.fills)} deals, equity {last}"
        return Outcome(data=replayed.as_data(), text=text)


def _hour(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time: use ISO 8601 like 2026-04-29T12") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment != floor_hour(moment):
        raise ArgumentTypeError(f"{text!r} is no whole hour")
    return moment
