"""A desk of real processes for tests: started by `manage.py up`, and asked, disturbed and stopped from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
import requests

from market.terminal.client import Terminal, open_terminal
from tests.processes.market_hand import MarketHand
from tests.processes.venue import Venue
from tests.processes.waiting import PATIENCE_S, is_gone, until

ROOT = Path(__file__).resolve().parents[2]
UP_WITHIN_S = 150.0
STOP_WITHIN_S = 10.0
ALIVE_S = 3.0  # no sign of life of the sentinel is older
LOG_TAIL = 60  # lines


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and its document."""

    code: int
    document: dict[str, Any]
    errors: str

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.document["data"])


@dataclass(frozen=True, slots=True)
class Stopped:
    """What one Ctrl+C did: how long it took, with which exit code, and who outlived it."""

    seconds: float
    code: int | None
    left: list[psutil.Process]


@dataclass
class RunningDesk:
    """One `manage.py up` on a state folder of its own.

    Parameters
    ----------
    state_dir : Path
        Everything that it keeps; started there again, the same desk goes on.
    arguments : tuple of str
        What `up` is told.
    settings : dict of str to str
        The settings that are made; a test's own environment makes none.
    """

    state_dir: Path
    arguments: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_port())
    _process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None
    _seen: set[psutil.Process] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.venue = Venue(self.state_dir / "sim" / "ledger.sqlite3")
        self.market = MarketHand(self.state_dir / "run")

    # --- start and stop -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and wait until the site answers; fail with the end of the log when it does not."""
        self.state_dir.mkdir(exist_ok=True)
        self._log = self._log_file.open("ab")
        command = [sys.executable, "manage.py", "up", *self.arguments]
        self._process = subprocess.Popen(  # noqa: S603  # our own command
            command, cwd=ROOT, env=self._environment(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        try:
            until(self._is_up, "site and sentinel", within_s=UP_WITHIN_S)
        except AssertionError as error:
            self.end()
            raise AssertionError(f"{error}\n{self.log_tail()}") from None
        self.family()

    def _is_up(self) -> bool:
        assert self._up.poll() is None, f"`up` ended with {self._up.poll()}"
        try:
            health, login = self._get("healthz"), self._get("login/")
        except requests.RequestException:
            return False
        # The site is there before the sentinel, which no slot may pass by.
        age_s = health.json()["sentinel_age_s"] if health.ok else None
        return login.ok and age_s is not None and age_s < ALIVE_S

    def _get(self, path: str) -> requests.Response:
        return requests.get(f"{self.address}/{path}", timeout=5)

    def ctrl_c(self) -> Stopped:
        """Interrupt `up` once, and look what is left after the time that it has."""
        family, began = self.family(), time.monotonic()
        self._up.send_signal(signal.SIGINT)
        give_up_at = began + STOP_WITHIN_S
        while time.monotonic() < give_up_at and not all(is_gone(process) for process in family):
            self._up.poll()
            time.sleep(0.02)
        seconds, code = time.monotonic() - began, self._up.poll()
        left = [process for process in family if not is_gone(process)]
        self.end()
        return Stopped(seconds, code, left)

    def end(self) -> None:
        """Leave nothing of this desk behind, whatever state it is in."""
        if self._process is None:
            return
        everyone = self.family() | self._seen
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGINT)
        psutil.wait_procs(everyone, timeout=STOP_WITHIN_S)
        for process in everyone:
            if not is_gone(process):
                process.kill()
        self._process.wait()
        assert self._log is not None
        self._log.close()
        self._process, self._seen = None, set()

    @property
    def _up(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "start it first"
        return self._process

    def _environment(self) -> dict[str, str]:
        """Return an environment in which no setting is made but where this desk lives."""
        example = (ROOT / ".env.example").read_text().splitlines()
        names = {line.lstrip("# ").partition("=")[0] for line in example if "=" in line}
        names.add("PYTHONDONTWRITEBYTECODE")  # twenty processes would each compile everything anew
        clean = {name: value for name, value in os.environ.items() if name not in names}
        own = {"TRADING_MODE": "demo", "STATE_DIR": str(self.state_dir), "PORT": str(self.port)}
        return clean | own | {"PYTHONUNBUFFERED": "1"} | self.settings

    # --- processes ------------------------------------------------------------------------------------------------

    @property
    def supervisor(self) -> psutil.Process:
        return psutil.Process(self._up.pid)

    def family(self) -> set[psutil.Process]:
        """Return `up` and everything below it."""
        if self._up.poll() is not None:
            return set()
        family = {self.supervisor, *self.supervisor.children(recursive=True)}
        self._seen |= family
        return family

    def leader(self, name: str) -> psutil.Process:
        """Return the process that `up` runs under a name, awaited while it is being started again."""
        return until(lambda: self._living_leader(name), f"{name} to run")

    def _living_leader(self, name: str) -> psutil.Process | None:
        groups = json.loads((self.state_dir / "run" / "up.json").read_text())["groups"]
        try:
            found = psutil.Process(groups[name]["pid"])
        except (KeyError, psutil.NoSuchProcess):
            return None
        return None if is_gone(found) else found

    def group(self, name: str) -> list[psutil.Process]:
        """Return that process and everything below it."""
        leader = self.leader(name)
        return [leader, *leader.children(recursive=True)]

    def idle_worker(self, name: str) -> psutil.Process:
        """Return the one worker of a cluster while it has nothing to do, which django-q writes into its title."""
        return until(lambda: self._titled(name, "idle"), f"an idle worker of {name}")

    def _titled(self, name: str, word: str) -> psutil.Process | None:
        return next((process for process in self.group(name) if word in " ".join(process.cmdline())), None)

    def module_process(self) -> psutil.Process:
        """Return the process that imports the module of the terminal."""
        with self.terminal() as terminal:
            return psutil.Process(terminal.status().child_pid)

    # --- questions ------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        """The password of the demo's user ``admin``."""
        return (self.state_dir / "demo-password").read_text().strip()

    def manage(self, *arguments: str) -> Ran:
        """Run a command on the desk's state and return its document."""
        command = [sys.executable, "manage.py", *arguments, "--json"]
        done = subprocess.run(  # noqa: S603  # our own command
            command, cwd=ROOT, env=self._environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        document = json.loads(done.stdout) if done.stdout else {}
        return Ran(done.returncode, document, done.stderr)

    def ask(self, *arguments: str) -> dict[str, Any]:
        """Run a command that must succeed and return its data."""
        ran = self.manage(*arguments)
        assert ran.code == 0, f"{arguments[0]} ended with {ran.code}: {ran.document}{ran.errors}"
        return ran.data

    def inside(self, function: str, *arguments: object) -> Any:
        """Call a function of ``tests.processes.inside`` in a process of the desk's own."""
        code = f"import json; from tests.processes import inside; print(json.dumps(inside.{function}(*{arguments!r})))"
        command = [sys.executable, "manage.py", "shell", "-v", "0", "--no-imports", "-c", code]
        done = subprocess.run(  # noqa: S603  # our own command
            command, cwd=ROOT, env=self._environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Read the desk's database, in which nothing is written from here."""
        with closing(sqlite3.connect(f"file:{self.state_dir / 'db.sqlite3'}?mode=ro", uri=True, timeout=20)) as db:
            db.row_factory = sqlite3.Row
            return db.execute(query, values).fetchall()

    @contextmanager
    def terminal(self) -> Iterator[Terminal]:
        """Open a client on the desk's own wire."""
        with closing(open_terminal("", run_dir=self.state_dir / "run", state_dir=self.state_dir)) as terminal:
            yield terminal

    def log_tail(self) -> str:
        return "\n".join(self.log().splitlines()[-LOG_TAIL:])

    def log(self) -> str:
        return self._log_file.read_text(errors="replace")

    @property
    def _log_file(self) -> Path:
        return self.state_dir / "up.log"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
