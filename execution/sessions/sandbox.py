"""A state of its own for a replay: a copy of what this desk decides with, and nothing of what it did.

It holds the portfolio, the settings and limits, the plan, the active models with their files, and the stored bars as a
market. A process of its own trades in it, so nothing that happens there can be taken for what happened here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core import serializers

from execution.errors import ConfigError, ExecutionError
from execution.models import LimitRow, PortfolioWeight, QuietHoursRow, RebalanceSettings
from execution.sessions.replay import BRIDGE, slots_between
from execution.sessions.slots import HOUR
from market.errors import DataMissingError
from market.models import Symbol
from market.reading import joined_bars
from ops.progress import Progress, Silent
from strategies.models import FittedModel, PlanRow

FOLDERS = ("bars", "keys", "models", "run", "safety", "sim", "logs")
BEFORE_FIRST = timedelta(minutes=1)  # a world begins shortly before its first slot acts
SPARE_BARS = 100  # beyond what the models read, for holes
PROGRESS = re.compile(r"\d+/\d+")  # as LineProgress writes it


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayTerms:
    """What is replayed, and on what kind of account.

    Parameters
    ----------
    begin, end : datetime
        Hours, UTC: the slots of ``[begin, end)``.
    margin_mode : {"hedging", "netting"}
    balance, leverage : float, int
        Of the account, in dollars and as 1:n.
    spread, commission, swap : float
        Factors of what the simulated broker takes; 0 for none.
    hold_open : bool
        Fill at each hour's open, as a backtest on bars does.
    seed : int
        Makes the paths inside the hours.
    """

    begin: datetime
    end: datetime
    margin_mode: str = "hedging"
    balance: float = 100_000.0
    leverage: int = 30
    spread: float = 1.0
    commission: float = 1.0
    swap: float = 1.0
    hold_open: bool = False
    seed: int = 7

    def __post_init__(self) -> None:
        if not self.begin < self.end:
            raise ConfigError(f"a replay must begin before it ends, was {self.begin:%c} to {self.end:%c}")

    def environment(self) -> dict[str, str]:
        """Return the settings of the simulated world but for its bars."""
        first = slots_between(self.begin, self.end)[0]
        return {
            "SIM_START": (first.at - BEFORE_FIRST).isoformat(),
            "SIM_SEED": str(self.seed),
            "SIM_MARGIN_MODE": self.margin_mode,
            "SIM_BALANCE": str(self.balance),
            "SIM_LEVERAGE": str(self.leverage),
            "SIM_SPREAD": str(self.spread),
            "SIM_COMMISSION": str(self.commission),
            "SIM_SWAP": str(self.swap),
            "SIM_HOLD_OPEN": str(self.hold_open).lower(),
        }


def replay_in_sandbox(
    terms: ReplayTerms, symbols: Sequence[Symbol], *, progress: Progress | None = None
) -> dict[str, Any]:
    """Replay a period with what this desk has now, and return the document of ``session_replay/1``.

    Raises
    ------
    DataMissingError
        The stored bars of a symbol do not reach to the end.
    ExecutionError
        The replay failed; the message says how.
    """
    with _sandbox() as folder:
        entries = [_write_bars(folder, symbol, terms) for symbol in symbols]
        _write_rows(folder / "rows.json", symbols)
        _copy_models(folder, symbols)
        environment = terms.environment() | _paths(folder) | {"SIM_REPLAY": os.pathsep.join(entries)}
        return _run(folder, terms, environment, progress or Silent())


@contextmanager
def _sandbox() -> Iterator[Path]:
    """Make a state folder for the block, with our key, so that our models are believed there."""
    parent = Path(settings.STATE_DIR) / "replays"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        for name in FOLDERS:
            (folder / name).mkdir(mode=0o700)
        key = folder / "keys" / "model_signing_key"
        key.touch(mode=0o600)
        key.write_text(settings.MODEL_SIGNING_KEY)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_bars(folder: Path, symbol: Symbol, terms: ReplayTerms) -> str:
    """Write a symbol's stored bars as a file that the simulator replays, and return its entry."""
    import pandas as pd

    n_hours = int((terms.end - terms.begin) / HOUR)
    limit = RebalanceSettings.load().max_history_hours + n_hours + SPARE_BARS
    bars = joined_bars(symbol.name, limit=limit, until=terms.end)
    newest = bars.index[-1].to_pydatetime()
    if newest < terms.end - HOUR:
        raise DataMissingError(
            f"the stored bars of {symbol.name} end at {newest:%Y-%m-%d %H:%M}, before {terms.end:%c}"
        )
    bars = bars.rename(columns={"tick_volume": "count", "taker_buy_base_vol": "taker_buy_base_volume"})
    bars.insert(0, "open_time", pd.DatetimeIndex(bars.index).as_unit("ms").asi8)
    path = folder / "bars" / f"{symbol.binance_symbol or symbol.name}_1h_stored.parquet"
    bars.reset_index(drop=True).to_parquet(path)
    return f"{symbol.name}={path}"


def _write_rows(path: Path, symbols: Sequence[Symbol]) -> None:
    """Write the rows that decisions are made with; the symbols' models as active as they are here."""
    rows = [
        *symbols,
        *PlanRow.objects.all(),
        *FittedModel.objects.active().filter(symbol__in=symbols),
        *PortfolioWeight.objects.filter(symbol__in=symbols),
        RebalanceSettings.load(),
        *LimitRow.objects.all(),
        *QuietHoursRow.objects.all(),
    ]
    path.write_text(serializers.serialize("json", rows))


def _copy_models(folder: Path, symbols: Sequence[Symbol]) -> None:
    for path in FittedModel.objects.active().filter(symbol__in=symbols).values_list("path", flat=True):
        shutil.copytree(Path(settings.MODEL_DIR) / path, folder / "models" / path)


def _paths(folder: Path) -> dict[str, str]:
    """Return the settings that keep a process inside the folder and away from every venue."""
    return {
        "STATE_DIR": str(folder),
        "MODEL_DIR": "",
        "DATABASE_URL": "",
        "TRADING_MODE": "demo",
        "MT5_BRIDGE": BRIDGE,
        "MT5_LOGIN": "0",
        "BINANCE_BASE": "",
        "MODEL_SIGNING_KEY": "",
        "MODEL_SIGNING_KEY_FILE": "",
        "DESK_PROCESS": "replay",
    }


def _run(folder: Path, terms: ReplayTerms, environment: dict[str, str], progress: Progress) -> dict[str, Any]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "session_replay", "--json"]
    period = ["--begin", terms.begin.isoformat(), "--end", terms.end.isoformat()]
    answer = folder / "answer.json"
    with answer.open("w") as out:
        code, last = _follow(
            [*command, *period, "--load", str(folder / "rows.json")], os.environ | environment, out, progress
        )
    if code:
        raise ExecutionError(f"the replay failed (exit code {code}): {last or 'it said nothing'}")
    data: dict[str, Any] = json.loads(answer.read_text())["data"]
    return data


def _follow(command: list[str], environment: dict[str, str], out: IO[str], progress: Progress) -> tuple[int, str]:
    """Run a command, hand on its lines of progress, and return how it ended and the last line that was none."""
    last, is_started = "", False
    with subprocess.Popen(  # noqa: S603  # our own command
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for line in process.stderr or ():
                head, _, label = line.rstrip().partition(" ")
                if not PROGRESS.fullmatch(head):
                    last = line.strip() or last
                elif is_started:
                    progress.advance(label)
                else:
                    progress.start(int(head.partition("/")[2]), label)
                    is_started = True
        except BaseException:
            process.kill()  # interrupted or cancelled: it must not go on alone
            raise
    return process.returncode, last
