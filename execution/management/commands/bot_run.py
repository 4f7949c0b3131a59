"""Run the setup bot by hand."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, NoReturn

from execution.bot.services import JOB, newest_slots, run_bot_now, run_of, watched_symbols
from execution.errors import ConfigError
from execution.sessions.bot_reports import BotReport, code_of
from execution.sessions.bot_slots import BotSlot
from market.terminal.errors import TerminalError
from ops import clock, runs
from ops.command import DeskCommand, Outcome
from ops.errors import DeskError

LOOK_EVERY_S = 0.5


class Command(DeskCommand):
    """Act on the newest closed bar, or on each bar as it closes."""

    help = "Look for setups on every bar as it closes and trade the approved ones, until interrupted."
    examples = ("bot_run --once", "bot_run --once --json")
    schema = "bot_run/1"
    writes = True

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="act on the newest closed bar and end")

    def run(self, **options: Any) -> Outcome:
        slots = newest_slots()
        if not slots:
            raise ConfigError("the bot watches no symbol; add and enable one in the admin")
        if options["dry_run"]:
            return _announced(slots)
        if not options["once"]:
            self._go_on()
        return _told([report for slot in slots for report in run_bot_now(run_of(slot))])

    def _go_on(self) -> NoReturn:
        """Run each bar as it closes; the interrupt that ends this comes between two steps that are written down."""
        while True:
            for slot in newest_slots():
                if slot.at <= clock.market_now() and not runs.exists(JOB, slot.key):
                    self._one(slot)
            clock.sleep(LOOK_EVERY_S)

    def _one(self, slot: BotSlot) -> None:
        try:
            self.stderr.write("\n".join(report.as_text() for report in run_bot_now(run_of(slot))))
        except (DeskError, TerminalError) as error:  # the next bar is tried anew
            self.stderr.write(str(error))


def _announced(slots: list[BotSlot]) -> Outcome:
    names = {slot: [symbol.name for symbol in watched_symbols(slot.interval)] for slot in slots}
    rows = [{"slot": slot.key, "bar_time": slot.bar_at, "symbols": names[slot]} for slot in slots]
    text = "\n".join(f"{slot.key}: would look at {', '.join(names[slot])}" for slot in slots)
    return Outcome(data={"runs": rows}, text=text)


def _told(reports: list[BotReport]) -> Outcome:
    return Outcome(
        data={"runs": [report.as_data() for report in reports]},
        text="\n".join(report.as_text() for report in reports),
        exit_code=code_of(reports),
    )
