"""A whole running desk for tests: a real `manage.py up` on a new state, with its market clock in our hands."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[1]
READY_WITHIN_S = 180.0
STOPS_WITHIN_S = 20.0
COMMAND_WITHIN_S = 120.0
LOOK_EVERY_S = 0.05
SLOT_AT = timedelta(seconds=45)  # after the hour, when its session acts
# Whatever the machine is set up for, this is a demo with a database of its own.
OWN_WORLD = dict.fromkeys(("DATABASE_URL", "MT5_BRIDGE", "MT5_TZ", "BINANCE_BASE", "SIM_REPLAY", "MODEL_DIR"), "")

Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer], what: str, *, within_s: float = 60.0) -> Answer:
    """Return the first true answer, asked for again and again; an error that names what did not come."""
    give_up_at = time.monotonic() + within_s
    while not (answer := ask()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"waited {within_s:.0f} s for {what}; the last answer was {answer!r}")
        time.sleep(LOOK_EVERY_S)
    return answer


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningDesk:
    """One ``manage.py up``: real web server, workers, sentinel and simulator.

    Parameters
    ----------
    state_dir : Path
        Everything it keeps; started there again, the same desk goes on.
    speed : float
        Market seconds in a second; slow, because the tests step the clock when they want time to pass.
    **env : str
        More settings.
    """

    def __init__(self, state_dir: Path, *, speed: float = 1.0, **env: str) -> None:
        self.state_dir, self.port = state_dir, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"TRADING_MODE": "demo", "STATE_DIR": str(state_dir), "HOST": "127.0.0.1", "PORT": str(self.port)}
        self.env = {**os.environ, **OWN_WORLD, **own, "SIM_SPEED": str(speed), "PYTHONUNBUFFERED": "1", **env}
        self.process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()
        self._http.trust_env = False  # a machine's proxy has no business between two of its own processes

    @property
    def log(self) -> Path:
        """Where all that it says is kept."""
        return self.state_dir / "up.log"

    @property
    def password(self) -> str:
        """The password of the user ``admin``."""
        return (self.state_dir / "demo-password").read_text().strip()

    def start(self) -> RunningDesk:
        """Bring it up; return once the site answers and the sentinel watches an account."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            argv = (sys.executable, "manage.py", "up")
            # A session of its own: a Ctrl+C meant for the tests is not meant for it.
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                argv,
                cwd=PROJECT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(self._is_ready, "the desk to come up", within_s=READY_WITHIN_S)
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}; it said:\n{self.log.read_text()[-4000:]}") from None
        return self

    def _is_ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError("the desk ended while it came up")
        try:
            health = self.healthz()
        except (requests.ConnectionError, requests.Timeout):
            return False
        age = health.get("sentinel_age_s")
        return bool(health["ok"] and age is not None and age < 5)

    def stop(self) -> int:
        """Press Ctrl+C once and return how it ended; what does not end in time is killed, and its code is -9."""
        process, self.process = self.process, None
        if process is None:
            return 0
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
        for member in family:  # none is left, unless it had to be killed
            if member.is_running():
                member.kill()
        return process.wait()

    def healthz(self) -> dict[str, Any]:
        """Return what the site says of itself."""
        health: dict[str, Any] = self._http.get(f"{self.url}/healthz", timeout=5).json()
        return health

    # --- the market's clock ---------------------------------------------------------------------------------------

    def market_now(self) -> datetime:
        """Return the market's time."""
        return datetime.fromisoformat(self._control("GET", "status")["market_time"])

    def step(self, until: datetime) -> None:
        """Let market time jump forward to a moment."""
        self._control("POST", "step", until=until.isoformat())

    def set_speed(self, speed: float) -> None:
        """Let the market's clock run at so many seconds in a second."""
        self._control("POST", "speed", speed=speed)

    def step_to_next_slot(self, *, ahead: timedelta = timedelta(seconds=5)) -> datetime:
        """Jump to shortly before the next hour's session acts; the sentinel enqueues it in time. Return that hour."""
        now = self.market_now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        while (at := hour + SLOT_AT - ahead) <= now:
            hour += timedelta(hours=1)
        self.step(at)
        return hour

    def _control(self, method: str, action: str, **fields: object) -> dict[str, Any]:
        where = json.loads((self.state_dir / "run" / "control.json").read_text())
        response = self._http.request(
            method,
            f"http://{where['host']}:{where['port']}/{action}",
            json=fields or None,
            headers={"Authorization": f"Bearer {where['token']}"},
            timeout=30,
        )
        response.raise_for_status()
        status: dict[str, Any] = response.json()
        return status

    # --- its commands ---------------------------------------------------------------------------------------------

    def command(self, *words: str) -> dict[str, Any]:
        """Run a command beside it and return the data of its JSON document; a failure is an error with its words."""
        argv = [sys.executable, "manage.py", *words, "--json"]
        done = subprocess.run(  # noqa: S603  # our own command
            argv, cwd=PROJECT, env=self.env, capture_output=True, text=True, timeout=COMMAND_WITHIN_S, check=False
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        data: dict[str, Any] = json.loads(done.stdout)["data"]
        return data
