"""A month of sessions in minutes, with a venue, processes and people that go wrong, judged by the venue's books."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management import CommandError

from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode
from ops.progress import LineProgress

NO_FAULTS = "none"
HOURS = {False: 720, True: 48}  # by whether it is wild


class Command(DeskCommand):
    help = (
        "Live through hours of sessions with faults, crashes and people, on a simulator of its own; judge by its books."
    )
    examples = (
        "chaos_run --seed 7 --hours 720 --json",
        "chaos_run --seed 7 --hours 24 --faults M20,M24,B03 --margin-mode netting --log chaos.jsonl",
    )
    schema = "chaos_run/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seed", type=int, required=True, metavar="N", help="decides everything; 0 to 2^32 - 1")
        parser.add_argument(
            "--hours", type=int, metavar="H", help="slots to live through; default: 720, or 48 with --wild"
        )
        parser.add_argument(
            "--faults",
            type=_ids,
            metavar="IDS",
            help="of the catalogue, by commas; none: a healthy venue; default: a mix",
        )
        parser.add_argument("--margin-mode", default="", metavar="M", help="hedging or netting; default: by the seed")
        parser.add_argument("--log", type=Path, metavar="FILE", help="write decisions, requests and replies there")
        parser.add_argument(
            "--wild",
            action="store_true",
            help="real processes, killed at random: only the promises hold, no log repeats",
        )
        parser.add_argument(
            "--inside", action="store_true", help="in the state that the command has made; it starts itself so"
        )

    def run(self, **options: Any) -> Outcome:
        from execution.chaos.sandbox import Terms, chaos_in_sandbox, require_sandbox
        from execution.errors import ConfigError

        log = options["log"].resolve() if options["log"] else None
        hours = options["hours"] if options["hours"] is not None else HOURS[options["wild"]]
        names = ("seed", "faults", "margin_mode", "wild")
        try:
            terms = Terms(hours=hours, **{name: options[name] for name in names}, log=log)
            if options["inside"]:
                require_sandbox()
        except ConfigError as error:
            raise CommandError(str(error), returncode=ExitCode.USAGE) from error
        data = _live_here(terms) if options["inside"] else chaos_in_sandbox(terms)
        code = ExitCode.FOUND if data["violations"] else ExitCode.DONE
        return Outcome(data=data, text="\n".join(_lines(data)), exit_code=code)


def _live_here(terms: Any) -> dict[str, Any]:
    from django.core.management import call_command

    began = time.monotonic()
    call_command("migrate", verbosity=0)
    lived = _wildly(terms) if terms.wild else _on_the_virtual_clock(terms)
    return lived | {
        "seed": terms.seed,
        "hours": terms.hours,
        "margin_mode": terms.mode,
        "seconds": round(time.monotonic() - began, 1),
    }


def _on_the_virtual_clock(terms: Any) -> dict[str, Any]:
    from execution.chaos.living import live
    from execution.chaos.plans import make_plan
    from execution.chaos.sandbox import BEGIN

    plan = make_plan(terms.seed, BEGIN, terms.hours, faults=terms.faults)
    return live(plan, progress=LineProgress(sys.stderr), log=terms.log).as_data()


def _wildly(terms: Any) -> dict[str, Any]:
    from execution.chaos.sandbox import HEDGING
    from execution.chaos.wild import live_wildly

    progress = LineProgress(sys.stderr)
    return live_wildly(terms.seed, terms.hours, has_bot=terms.mode == HEDGING, progress=progress).as_data()


def _lines(data: dict[str, Any]) -> list[str]:
    faults = data["faults"]
    head = f"seed {data['seed']}, {data['hours']} hours, {data['margin_mode']}: {data['sessions']} sessions, "
    head += f"{data['orders']} orders, {sum(faults.values())} faults of {len(faults)} kinds, "
    head += f"{len(data['crashes'])} crashes; {data['seconds']:.0f} s"
    bot = data["bot"]
    exits = ", ".join(f"{n} by {reason}" for reason, n in bot["exits"].items())
    head += f"\nthe bot: {bot['runs']} runs, {bot['approved']} approved setups, {bot['trades']} trades"
    head += f" ({exits})" if exits else ""
    broken = [f"invariant {v['invariant']} at {v['at']}: {v['detail']}" for v in data["violations"]]
    return [head, *broken, f"{len(broken)} violations; log {data['log_sha256'][:16]}"]


def _ids(text: str) -> tuple[str, ...]:
    ids = () if text == NO_FAULTS else tuple(part.strip() for part in text.split(","))
    if not all(ids):
        raise ArgumentTypeError(f"{text!r} is no list of ids like M20,B03")
    return ids
