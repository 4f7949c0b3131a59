"""A running simulator: the exchange, the control endpoint, the terminal's process and the clock's heartbeat."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from simulator.child import Child
from simulator.control import ControlServer
from simulator.exchange import ExchangeServer
from simulator.files import only_one, write_json
from simulator.http import LOOPBACK, LocalServer
from simulator.world import World

BEAT_S = 1.0  # readers believe in the clock for three seconds after the last one
TERMINAL_ENDS_WITHIN_S = 1.0


class RunningSimulator:
    """Serves a world until it is stopped.

    Parameters
    ----------
    world : World
    run_dir : Path
        Where ``binance.json``, ``control.json`` and the terminal's ``terminal.json`` say how to reach them.
    project_dir : Path
        Where ``python -m`` finds the packages.
    say : callable
        Told what a person should know, a line at a time.
    """

    def __init__(self, world: World, *, run_dir: Path, project_dir: Path, say: Callable[[str], None]) -> None:
        self.world = world
        self.run_dir = run_dir
        self._say = say
        self.exchange = ExchangeServer(world.market, world.clock, balance=world.config.balance)
        self.control = ControlServer(world, token=secrets.token_urlsafe(32))
        command = _terminal_command(world, run_dir)
        self.terminal = Child(
            "the terminal", command, env=_child_environment(project_dir), mono=time.monotonic, say=say
        )
        self._said_end = False

    def run(self, stop: Event, *, paused: bool = False) -> None:
        """Start everything, beat until asked to stop, and leave the clock where it is.

        Raises
        ------
        SimConfigError
            If another simulator already runs on this state.
        """
        with only_one(self.world.config.sim_dir / "running.lock"):
            self._set_clock(paused=paused)
            self._serve(stop)

    def _set_clock(self, *, paused: bool) -> None:
        clock = self.world.clock
        clock.set_speed(self.world.config.speed)
        if paused:
            clock.pause()
        elif clock.is_new:
            clock.resume()

    def _serve(self, stop: Event) -> None:
        self.exchange.start()
        self.control.start()
        try:
            self._publish()
            self._beat()
            while not stop.wait(BEAT_S):
                self._beat()
        finally:
            self.world.clock.persist()
            self._close()

    def _beat(self) -> None:
        self.world.clock.persist()
        self.terminal.watch()
        if self.world.clock.ended and not self._said_end:
            self._said_end = True
            self._say("the market is over: its clock has stopped at the last bar")

    def _publish(self) -> None:
        for name, server, secrets_of in self._published():
            address = {"host": LOOPBACK, "port": server.port, "pid": os.getpid()}
            write_json(self.run_dir / name, address | secrets_of)

    def _published(self) -> tuple[tuple[str, LocalServer, dict[str, str]], ...]:
        control = {"token": self.control.token}
        return (("binance.json", self.exchange, self.exchange.published), ("control.json", self.control, control))

    def _close(self) -> None:
        for name, _, _ in self._published():
            (self.run_dir / name).unlink(missing_ok=True)
        self.terminal.end(timeout_s=TERMINAL_ENDS_WITHIN_S)
        (self.run_dir / "terminal.json").unlink(missing_ok=True)  # one that had to be killed leaves it behind
        for server in (self.control, self.exchange):
            server.stop()


def _child_environment(project_dir: Path) -> dict[str, str]:
    """Return ours, in which the packages are found; the folder stays ours too, since SIM_REPLAY may be relative."""
    path = os.pathsep.join(filter(None, (str(project_dir), os.environ.get("PYTHONPATH", ""))))
    return dict(os.environ) | {"PYTHONPATH": path}


def _terminal_command(world: World, run_dir: Path) -> list[str]:
    """Return the command of the terminal's server, a process of its own as for a real module."""
    options = {
        "--module": "simulator.metatrader5",
        "--run-file": str(run_dir / "terminal.json"),
        "--state-dir": str(world.config.state_dir),
    }
    return [sys.executable, "-m", "market.terminal.server", *(part for pair in options.items() for part in pair)]
