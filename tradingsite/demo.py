"""The demo: symbols, history, plan, fitted models and an administrator, all on the simulator."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model

from execution.models import RebalanceSettings
from market.models import Symbol
from market.symbols import default_symbols
from market.updating import update_all_data
from ops.audit import SYSTEM
from ops.errors import DeskError, ExitCode
from ops.progress import Progress, Silent
from strategies.fitting import fit_models
from strategies.models import FittedModel
from strategies.services import sync_default_plan

ADMIN = "admin"


class DemoRefusedError(DeskError):
    """Demo data may not be mixed with a real account's."""

    exit_code = ExitCode.REFUSED


def is_loaded() -> bool:
    """Return whether the demo's history and models are there."""
    return FittedModel.objects.exists() and get_user_model().objects.filter(username=ADMIN).exists()


def load_demo(*, say: Callable[[str], None], progress: Progress | None = None) -> None:
    """Bring in what is missing; what is there already stays as it is.

    Raises
    ------
    DemoRefusedError
        In any other mode: demo data does not belong beside real data.
    """
    if settings.TRADING_MODE != "demo":
        raise DemoRefusedError(f"the demo can be loaded in demo mode only, TRADING_MODE is {settings.TRADING_MODE}")
    make_admin()
    if is_loaded() and Symbol.objects.exists():
        return
    default_symbols()
    RebalanceSettings.objects.update_or_create(pk=1, defaults={"size_by": RebalanceSettings.SizeBy.BALANCE})
    sync_default_plan()
    report = update_all_data()
    brought = sum(update.stored.inserted for update in report.updates if update.stored)
    say(f"history: {brought} bars, {len(report.failures)} sources failed")
    fits = fit_models(progress=progress or Silent(), actor=SYSTEM)
    say(f"models: {len(fits.models)} fitted, {len(fits.failed)} failed, in {fits.seconds:.1f} s")


def make_admin() -> None:
    """Make the administrator once; the password is in a file that only the owner reads."""
    users = get_user_model().objects
    if users.filter(username=ADMIN).exists():
        return
    password = secrets.token_urlsafe(12)
    users.create_superuser(username=ADMIN, password=password)
    path = Path(settings.STATE_DIR) / "demo-password"
    path.touch(mode=0o600)
    path.write_text(password)
