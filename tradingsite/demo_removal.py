"""Take the demo away again: its rows, its models, its simulated world. Nothing of a real account, ever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models, transaction
from django_q.models import OrmQ, Task

from execution.models import (
    Account,
    Attempt,
    BotTrade,
    BrokerState,
    ControlRow,
    DayStart,
    Decision,
    Enrolment,
    EquityPoint,
    FillRecord,
    Intent,
    KillEvent,
    LegRecord,
    PortfolioWeight,
    RebalanceSettings,
    SymbolOwner,
    VenueKill,
)
from execution.safety.control import armed_file
from market.models import (
    Bar,
    BookSnapshot,
    FundingRate,
    Kline,
    KlineHole,
    QuarantinedRow,
    RecentTrade,
    Sentiment,
    SeriesBlock,
    Symbol,
)
from mlfilter.models import BotSettings, BotSymbol, Outcome, Setup, SetupBacktest
from ops import audit
from ops.audit import Actor
from ops.models import Alert, AlertDelivery, Announcement, Heartbeat, Run
from strategies.models import Activation, Backtest, FittedModel, LivePrediction, TuningRun
from tradingsite.demo import ADMIN, password_file, require_demo
from tradingsite.supervisor import AlreadyUpError, alone

# In an order in which nothing that is left points at what is gone.
REMOVED: tuple[type[models.Model], ...] = (
    BotTrade,
    FillRecord,
    Attempt,
    LegRecord,
    Intent,
    Decision,
    EquityPoint,
    BrokerState,
    DayStart,
    Enrolment,
    SymbolOwner,
    Account,
    VenueKill,
    KillEvent,
    ControlRow,
    RebalanceSettings,
    PortfolioWeight,
    Outcome,
    Setup,
    SetupBacktest,
    BotSymbol,
    BotSettings,
    Backtest,
    TuningRun,
    LivePrediction,
    Activation,
    FittedModel,
    Bar,
    Kline,
    SeriesBlock,
    RecentTrade,
    BookSnapshot,
    FundingRate,
    KlineHole,
    Sentiment,
    QuarantinedRow,
    Symbol,
    Run,
    AlertDelivery,
    Alert,
    Announcement,
    Heartbeat,
    OrmQ,
    Task,
)
# What a person decided, what guards the next account, and what is only ever added to.
KEPT = (
    *("strategies.PlanRow", "strategies.RegistrySettings"),
    *("execution.LimitRow", "execution.FundedProgramme", "execution.QuietHoursRow"),
    *("ops.Lease", "ops.AuditEntry"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What goes: rows by table, models' folders, other files, and the administrator."""

    rows: dict[str, int]
    model_folders: tuple[Path, ...]
    paths: tuple[Path, ...]
    has_admin: bool

    @property
    def is_empty(self) -> bool:
        return not (self.rows or self.model_folders or self.paths or self.has_admin)

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``demo_clear/1``."""
        return {
            "rows": self.rows,
            "model_folders": len(self.model_folders),
            "paths": [str(path) for path in self.paths],
            "admin": self.has_admin,
        }


def what_would_go() -> Removal:
    """Return what ``clear_demo`` would delete now.

    Raises
    ------
    DemoRefusedError
        This is not the demo, or a real account was seen here.
    """
    require_demo()
    counts = {model._meta.label: model._default_manager.count() for model in REMOVED}
    return Removal(
        rows={label: count for label, count in counts.items() if count},
        model_folders=tuple(_model_folders()),
        paths=tuple(path for path in (_sim_dir(), armed_file().path, password_file()) if path.exists()),
        # Only the one that the demo made: its password file says so.
        has_admin=password_file().exists() and get_user_model().objects.filter(username=ADMIN).exists(),
    )


def clear_demo(*, actor: Actor) -> Removal:
    """Delete the demo, rows first: a load after an interruption here begins from nothing all the same.

    Raises
    ------
    DemoRefusedError
        This is not the demo, or a real account was seen here.
    AlreadyUpError
        The desk is running on it.
    """
    with alone():
        _refuse_running_simulator()
        removal = what_would_go()
        _delete_rows(removal, actor)
        for folder in removal.model_folders:
            shutil.rmtree(folder, ignore_errors=True)
        for path in removal.paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return removal


@transaction.atomic
def _delete_rows(removal: Removal, actor: Actor) -> None:
    audit.record(actor, "demo.cleared", before=removal.rows)  # first: its announcement is the demo's last
    for model in REMOVED:
        model._default_manager.all().delete()
    if removal.has_admin:
        get_user_model().objects.filter(username=ADMIN).delete()


def _model_folders() -> Iterator[Path]:
    """Yield the folders of registered models that are inside the models' folder."""
    root = Path(settings.MODEL_DIR).resolve()
    for path in FittedModel.objects.values_list("path", flat=True):
        folder = (root / path).resolve()
        if folder.is_relative_to(root) and folder != root and folder.is_dir():
            yield folder


def _refuse_running_simulator() -> None:
    try:
        pid = json.loads((Path(settings.RUN_DIR) / "control.json").read_text())["pid"]
    except (OSError, ValueError, KeyError):
        return
    if psutil.pid_exists(pid):
        raise AlreadyUpError(f"a simulator runs on {settings.STATE_DIR} (process {pid}): stop it first")


def _sim_dir() -> Path:
    return Path(settings.SIM_DIR)
