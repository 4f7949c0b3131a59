"""Everything the mode needs, in one terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from ops.command import DeskCommand, Outcome
from ops.errors import ExitCode
from ops.schedules import sync_schedules
from tradingsite import demo, supervisor
from tradingsite.supervisor import Supervisor

PRINTING = threading.Lock()


class Printer:
    """Prints a process's lines with its name in front, whole, for as long as somebody reads them."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._stream = sys.stderr if to_stderr else sys.stdout
        if hasattr(self._stream, "reconfigure"):
            self._stream.reconfigure(errors="replace")  # a terminal without our signs is no reason to stop trading

    def __call__(self, name: str, line: str) -> None:
        # When the reader went away (`up | head`) the desk goes on; the log files have everything.
        with PRINTING, contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{name:>9} │ {line}\n")
            self._stream.flush()


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
        self.show = Printer(to_stderr=options["json"])
        with supervisor.alone():
            boss = Supervisor(show=self.show)
            boss.listen_for_stop()
            boss.end_leftovers()
            supervisor.require_free_port()
            _prepare()
            try:
                self._bring_up(boss)
                boss.watch()
            finally:
                self.show("up", "stopping")
                boss.stop()
        return Outcome(data={}, text="stopped")

    def _bring_up(self, boss: Supervisor) -> None:
        if supervisor.outside_world():  # a terminal that somebody else serves keeps its file
            for path in _published():
                path.unlink(missing_ok=True)  # what an earlier start published is not the answer of this one
        boss.start_world()
        if settings.TRADING_MODE == "demo":
            boss.wait_until("the simulator", _simulator_answers)
            if not demo.is_loaded():  # in a process of its own: what it needs of memory ends with it
                boss.run_once(supervisor.demo_loader())
        boss.start_desk()
        boss.wait_until("the site", supervisor.is_site_up)
        self._say_where()

    def _say_where(self) -> None:
        address = supervisor.site_address()
        if settings.TRADING_MODE == "demo" and demo.password_file().exists():
            password = demo.password_file().read_text().strip()
            self.show("up", f"open {address}  user {demo.ADMIN}  password {password}")
        else:
            self.show("up", f"open {address}")


def _prepare() -> None:
    """Bring database and static files to the state of the code."""
    call_command("migrate", verbosity=0)
    demo.refuse_mixed_data()
    sync_schedules(import_string(settings.SCHEDULES))
    call_command("collectstatic", verbosity=0, interactive=False)


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
