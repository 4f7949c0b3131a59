"""A real terminal server in a process of its own, serving the fake module, and what its tests ask it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from market.terminal.client import Expected, Terminal, open_terminal

FAKE = "tests.terminal_fakes"
ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 20.0
BUY = {"action": 1, "symbol": "BTCUSD", "volume": 0.1, "type": 0}
CLOSE = {"action": 1, "symbol": "BTCUSD", "volume": 0.3, "type": 1, "position": 7}
SEEN = Expected(7, "BTCUSD", "buy", 0.3)


def send(terminal: Terminal, request=BUY, *, fence: int = 1, after_s: float = 2.0, **options):
    return terminal.order_send(request, fence=fence, not_after=terminal.stamp() + after_s, **options)


def until(condition, what: str):
    """Return the first true answer of the condition."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        if answer := condition():
            return answer
        time.sleep(0.005)
    raise AssertionError(f"waited {PATIENCE_S} s for: {what}")


@dataclass
class Server:
    """A server process of its own and what it is called with."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[str] | None = None

    @property
    def run_file(self) -> Path:
        return self.folder / "run" / "terminal.json"

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "start it first"
        return self._process

    def start(self, *options: str, module: str = FAKE) -> Server:
        self.run_file.unlink(missing_ok=True)
        return self.launch(*options, module=module)

    def launch(self, *options: str, module: str = FAKE) -> Server:
        """Start a process, whatever the run file says."""
        command = [sys.executable, "-m", "market.terminal.server", "--module", module]
        command += ["--run-file", str(self.run_file), "--state-dir", str(self.folder), *options]
        environment = os.environ | self.environment
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603
        return self

    def published(self) -> dict[str, Any]:
        until(self.run_file.exists, "the run file")
        return dict(json.loads(self.run_file.read_text()))

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal and return the exit code and what was logged."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, log = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, log

    def open(self, bridge: str = "") -> Terminal:
        return open_terminal(bridge, run_dir=self.run_file.parent, state_dir=self.folder)
