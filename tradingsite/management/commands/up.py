"""Everything the mode needs, in one terminal."""

from __future__ import annotations

import os
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode
from tradingsite import supervisor
from tradingsite.demo import is_loaded, load_demo
from tradingsite.supervisor import Supervisor

PRINTING = threading.Lock()


def show(name: str, line: str) -> None:
    """Print a process's line with its name in front, whole."""
    with PRINTING:
        sys.stdout.write(f"{name:>9} │ {line}\n")
        sys.stdout.flush()


class Command(DeskCommand):
    """Start everything, keep it running, stop it on one Ctrl+C."""

    help = "Start everything the mode needs, restart what dies, stop all of it on Ctrl+C."
    examples = ("up", "up --replay BTCUSD=bars/BTCUSDT_1h.parquet ETHUSDT_1h.parquet")
    schema = "up/1"

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--replay",
            nargs="+",
            metavar="FILE",
            help="demo on real bars: SYMBOL=FILE, or a file named like Binance's (BTCUSDT_1h_….parquet)",
        )

    def run(self, **options: Any) -> Outcome:
        _choose_replay(options["replay"])
        call_command("migrate", verbosity=0)
        call_command("sync_schedules", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        boss = Supervisor(show=show)
        boss.listen_for_stop()
        boss.end_leftovers()
        try:
            self._bring_up(boss)
            boss.watch()
        finally:
            show("up", "stopping")
            boss.stop()
        return Outcome(data={}, text="stopped")

    def _bring_up(self, boss: Supervisor) -> None:
        for path in _published():
            path.unlink(missing_ok=True)  # what an earlier start published is not the answer of this one
        boss.start(supervisor.outside_world())
        if settings.TRADING_MODE == "demo":
            boss.wait_until("the simulator", _simulator_answers)
            if not is_loaded():
                show("up", "first start: bringing in history and fitting models")
            load_demo(say=lambda line: show("up", line))
        boss.start(supervisor.desk())
        boss.wait_until("the site", supervisor.is_site_up)
        self._say_where()

    def _say_where(self) -> None:
        address = supervisor.site_address()
        password = Path(settings.STATE_DIR) / "demo-password"
        if settings.TRADING_MODE == "demo" and password.exists():
            show("up", f"open {address}  user admin  password {password.read_text().strip()}")
        else:
            show("up", f"open {address}")


def _simulator_answers() -> bool:
    """Return whether the simulator of this start has published all that the demo needs."""
    return all(path.exists() for path in _published())


def _published() -> list[Path]:
    return [Path(settings.RUN_DIR) / name for name in ("terminal.json", "binance.json", "control.json")]


def _choose_replay(files: list[str] | None) -> None:
    if not files:
        return
    if settings.TRADING_MODE != "demo":
        raise CommandError(
            f"--replay is for demo mode, TRADING_MODE is {settings.TRADING_MODE}", returncode=ExitCode.USAGE
        )
    os.environ["SIM_REPLAY"] = os.pathsep.join(files)
