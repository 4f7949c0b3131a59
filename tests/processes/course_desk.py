"""The processes that trade, on a state of its own: the simulator, the trader's queue and the sentinel.

They are started as `up` starts them, without the site and the research; market time stands still until it is stepped.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ops import queues
from tests.processes.running_desk import ROOT, STOP_WITHIN_S, RunningDesk
from tests.processes.waiting import until
from tradingsite import supervisor
from tradingsite.children import ChildSpec, kill_group

TRADING = ("trader", "sentinel")
PUBLISHED = ("terminal.json", "binance.json", "control.json")


@dataclass
class CourseDesk(RunningDesk):
    """A desk of those processes; it has no `up`."""

    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextmanager
    def world(self) -> Iterator[None]:
        """Run the outside world for the block, its time held."""
        (simulator,) = supervisor.outside_world()
        try:
            self._spawn(ChildSpec(name=simulator.name, argv=(*simulator.argv, "--paused")))
            self._await(self._is_published, "the simulator to publish itself")
            yield
        finally:
            self.end()

    @contextmanager
    def trading(self) -> Iterator[None]:
        """Run the world, the trader and the sentinel for the block, armed."""
        with self.world():
            for spec in supervisor.desk():
                if spec.name in TRADING:
                    self._spawn(spec)
            self._await(self._is_armed, "the demo to arm itself, and a sign of life through the trader's queue")
            yield

    def end(self) -> None:
        """End what was started, the world last, and leave nothing behind."""
        running, self._running = self._running[::-1], []
        for process in running:
            process.send_signal(signal.SIGTERM)  # to the leader alone: a cluster signalled as a group hangs
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_WITHIN_S)
            kill_group(process.pid)
            process.wait()

    def do(self, *arguments: str) -> str:
        """Run a command to its end, however long that takes, and return what it printed."""
        done = subprocess.run(  # noqa: S603  # our own command
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def _spawn(self, spec: ChildSpec) -> None:
        with self._log_file.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # our own commands
                spec.argv,
                cwd=ROOT,
                env=self._environment() | {"DESK_PROCESS": spec.name} | spec.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        try:
            until(condition, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    def _is_published(self) -> bool:
        assert all(process.poll() is None for process in self._running), "the simulator ended"
        return all((self.state_dir / "run" / name).exists() for name in PUBLISHED)

    def _is_armed(self) -> bool:
        assert all(process.poll() is None for process in self._running), "trader or sentinel ended"
        beats = self.rows("SELECT id FROM ops_heartbeat WHERE name = ?", queues.beat_name(queues.TRADING))
        return bool(beats) and (self.state_dir / "safety" / "armed").exists()
