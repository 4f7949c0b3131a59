"""A run of chaos in a state and a process of its own: what happens there is taken for nothing that happened here."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from execution.chaos.desk import BRIDGE
from execution.errors import ConfigError, ExecutionError
from ops.errors import ExitCode

MARGIN_MODES = (HEDGING, NETTING) = ("hedging", "netting")
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
BEFORE_FIRST = timedelta(seconds=20)
FAULTS = "simulator.faults.FAULTS"  # by name: nothing here imports the outside world
FOLDERS = ("keys", "models", "run", "safety", "sim", "logs")
MARK = "made-by-chaos-run"  # a file in a state that nothing else lives in
MAX_HOURS = 24 * 366


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked for.

    Parameters
    ----------
    seed : int
        Decides everything.
    hours : int
        Slots to live through.
    faults : tuple of str, optional
        Ids of the catalogue to play instead of the whole mix; an empty tuple for a healthy venue.
    margin_mode : str, optional
        By the seed where it is left out.
    log : Path, optional
        Where the log is written.
    wild : bool
        Kill real processes at random instead, and promise nothing but the promises.

    Raises
    ------
    ConfigError
        A number or a word is none of those allowed.
    """

    seed: int
    hours: int
    faults: tuple[str, ...] | None = None
    margin_mode: str = ""
    log: Path | None = None
    wild: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"a seed is a whole number from 0 to 2^32 - 1, was {self.seed}")
        if not 1 <= self.hours <= MAX_HOURS:
            raise ConfigError(f"hours must be from 1 to {MAX_HOURS}, was {self.hours}")
        unknown = sorted(set(self.faults or ()) - set(import_string(FAULTS)))
        if unknown:
            raise ConfigError(f"no fault {unknown[0]!r} can be played; docs/faults.md has those that can")
        if self.margin_mode not in ("", *MARGIN_MODES):
            raise ConfigError(f"a margin mode is {' or '.join(MARGIN_MODES)}, was {self.margin_mode!r}")

    @property
    def mode(self) -> str:
        """The account's margin mode."""
        return self.margin_mode or MARGIN_MODES[self.seed % len(MARGIN_MODES)]

    def arguments(self) -> list[str]:
        """Return the command line of the process that lives through it."""
        words = ["--seed", str(self.seed), "--hours", str(self.hours), "--margin-mode", self.mode]
        words += [] if self.faults is None else ["--faults", ",".join(self.faults) or "none"]
        words += ["--wild"] if self.wild else []
        return words + (["--log", str(self.log)] if self.log else [])


def chaos_in_sandbox(terms: Terms) -> dict[str, Any]:
    """Live through a run, and return the document of ``chaos_run/1``.

    Progress goes to our standard error as it comes.

    Raises
    ------
    ExecutionError
        The run failed; why is on standard error.
    """
    with _sandbox() as folder:
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "chaos_run", "--inside", "--json"]
        answer = folder / "answer.json"
        with answer.open("w") as out:
            done = subprocess.run(  # noqa: S603  # our own command
                [*command, *terms.arguments()],
                env=_environment(folder, terms),
                stdin=subprocess.DEVNULL,
                stdout=out,
                check=False,
            )
        if done.returncode not in (ExitCode.DONE, ExitCode.FOUND):
            raise ExecutionError(f"the run failed (exit code {done.returncode}): {_error(answer)}")
        data: dict[str, Any] = json.loads(answer.read_text())["data"]
        return data


def _error(answer: Path) -> str:
    try:
        return str(json.loads(answer.read_text())["error"])
    except (ValueError, KeyError):
        return "see above"


def require_sandbox() -> None:
    """Refuse to go wild on a state that was not made for it."""
    if not (Path(settings.STATE_DIR) / MARK).exists():
        raise ConfigError("--inside is what the command starts in a state that it has made; leave it out")


@contextmanager
def _sandbox() -> Iterator[Path]:
    parent = Path(settings.STATE_DIR) / "chaos"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        for name in FOLDERS:
            (folder / name).mkdir(mode=0o700)
        (folder / MARK).touch()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path, terms: Terms) -> dict[str, str]:
    """Return the settings that keep the process inside the folder, away from every venue and from all chance."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SIM_", "MT5_", "BINANCE_"))}
    own = {
        "STATE_DIR": str(folder),
        "MODEL_DIR": "",
        "DATABASE_URL": "",
        "TRADING_MODE": "demo",
        "MT5_BRIDGE": BRIDGE,
        "MT5_LOGIN": "0",
        "BINANCE_BASE": "",
        "MODEL_SIGNING_KEY": "",
        "MODEL_SIGNING_KEY_FILE": "",
        "ALERT_URLS": "",
        "HEARTBEAT_URL": "",
        "DESK_PROCESS": "chaos",
        "PYTHONHASHSEED": "0",
        "SIM_SEED": str(terms.seed),
        "SIM_START": (BEGIN + BEFORE_FIRST).isoformat(),
        "SIM_MARGIN_MODE": terms.mode,
    }
    real = {"MT5_BRIDGE": "", "HOST": "127.0.0.1", "PORT": str(_free_port()), "DESK_PROCESS": ""} if terms.wild else {}
    return ours | own | real


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
