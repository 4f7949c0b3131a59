"""``manage.py simulator``: the outside world of the demo, until Ctrl+C."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from simulator import faults
from simulator.config import SimConfig
from simulator.errors import ReplayError, SimulatorError
from simulator.running import RunningSimulator
from simulator.world import World

EXAMPLES = """%(prog)s
       SIM_REPLAY=BTCUSD=bars/BTCUSDT_1h.parquet SIM_SPEED=120 %(prog)s --paused"""
EXIT_USAGE, EXIT_DATA = 2, 5


class Command(BaseCommand):
    help = (
        "Run the simulated MetaTrader 5 terminal and the simulated Binance on an accelerated clock. The SIM_ settings "
        "choose prices, start and speed; where everything is found stands in the run folder of the state."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012 (Django's own form)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.usage = EXAMPLES
        parser.add_argument("--paused", action="store_true", help="hold market time until the control resumes it")
        words = "a plan of faults to play, JSON; without it none of an earlier run goes on"
        parser.add_argument("--faults", metavar="FILE", help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve the world until SIGTERM or Ctrl+C; its clock goes on from here the next time."""
        os.environ["STATE_DIR"] = str(settings.STATE_DIR)  # the terminal's process makes the same world from it
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        world = _world()
        _switch_faults(world, options["faults"])
        running = RunningSimulator(
            world, run_dir=Path(settings.RUN_DIR), project_dir=Path(settings.BASE_DIR), say=self._say
        )
        self._say(_describe(world, running))
        running.run(stop, paused=options["paused"])

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _world() -> World:
    try:
        return World(SimConfig.from_env())
    except ReplayError as error:
        raise CommandError(str(error), returncode=EXIT_DATA) from error
    except SimulatorError as error:
        raise CommandError(str(error), returncode=EXIT_USAGE) from error


def _switch_faults(world: World, plan: str | None) -> None:
    """Play the plan of a file from its beginning, or no faults."""
    if plan is None:
        faults.switch_off(world.config.sim_dir)
        return
    try:
        faults.switch_on(world.config.sim_dir, faults.FaultPlan.from_json(Path(plan).read_text()))
    except (OSError, SimulatorError) as error:
        raise CommandError(f"--faults {plan}: {error}", returncode=EXIT_USAGE) from error


def _describe(world: World, running: RunningSimulator) -> str:
    now = datetime.fromtimestamp(world.clock.now_ms() / 1000, UTC)
    notes = "".join(f"\n  {note}" for note in world.market.notes)
    return (
        f"{world.market.mode} market of {', '.join(world.market.symbols)} at {now:%Y-%m-%d %H:%M} UTC, "
        f"{world.config.speed:g}x; Binance at {running.exchange.url}{notes}"
    )
