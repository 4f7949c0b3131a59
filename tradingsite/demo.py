"""The demo: symbols, history, plan, fitted models and an administrator, all on the simulator."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from execution.models import Account, RebalanceSettings
from execution.wire import open_site_terminal
from market.feeds.mt5 import ask
from market.models import Symbol
from market.status import data_status
from market.symbols import default_symbols
from market.updating import UpdateReport, update_all_data
from ops.audit import SYSTEM
from ops.errors import DeskError, ExitCode
from ops.progress import Progress
from strategies.fitting import FitReport, fit_models
from strategies.models import FittedModel, PlanRow
from strategies.services import sync_default_plan
from tradingsite.demo_bot import enrol_bot

ADMIN = "admin"
DEMO = "demo"
SAY_PARTS = 4  # how often fitting says how far it is


class DemoRefusedError(DeskError):
    """Demo data may not be mixed with a real account's."""

    exit_code = ExitCode.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What loading the demo brought; nothing where it was all there."""

    symbols: tuple[str, ...]
    history: UpdateReport | None = None
    fits: FitReport | None = None

    @property
    def exit_code(self) -> ExitCode:
        return self.fits.exit_code if self.fits else ExitCode.DONE

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``demo_load/1``."""
        brought = self.history.updates if self.history else ()
        return {
            "symbols": self.symbols,
            "bars": sum(update.stored.inserted for update in brought if update.stored),
            "models": len(self.fits.models) if self.fits else 0,
            "failed": [failure.as_data() for failure in self.fits.failed] if self.fits else [],
        }


class SpokenProgress:
    """Progress in a few lines, for a terminal that other processes write to as well."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._done = self._total = 0

    def start(self, total: int, label: str) -> None:
        self._done, self._total = 0, total

    def advance(self, label: str) -> None:
        self._done += 1
        if self._done < self._total and self._done % -(-self._total // SAY_PARTS) == 0:
            self._say(f"models: {self._done} of {self._total}")


def is_loaded() -> bool:
    """Return whether everything that the demo needs is there."""
    if not get_user_model().objects.filter(username=ADMIN).exists() or not Symbol.objects.traded().exists():
        return False
    return not any(series.is_empty for series in data_status()) and not never_fitted()


def load_demo(*, say: Callable[[str], None], progress: Progress | None = None) -> DemoReport:
    """Bring in what is missing; what is there stays as it is, also what a person made of it.

    Each step looks at what the one before it left, so that a load that was interrupted anywhere goes on there.

    Raises
    ------
    DemoRefusedError
        In any other mode, or where another mode's account was seen: demo data does not belong beside real data.
    MarketError
        The simulator is not running.
    """
    require_demo()
    make_admin()
    if is_loaded():
        return DemoReport(symbols=_traded())
    say("bringing in history and fitting models; it takes a minute, once")
    if not Symbol.objects.exists():
        _choose_symbols(offered_symbols())
    sync_default_plan()
    history = update_all_data()
    say(f"history: {history.summary()} for {', '.join(_traded())}")
    for update in history.failures:
        say(f"no data of {update.symbol} from {update.source}: {update.error}")
    fits = _fit_missing(progress or SpokenProgress(say))
    say(f"models: {len(fits.models)} fitted, {len(fits.failed)} failed, in {fits.seconds:.1f} s")
    for error in dict.fromkeys(f"{failure.symbol} not fitted: {failure.error}" for failure in fits.failed):
        say(error)
    return DemoReport(symbols=_traded(), history=history, fits=fits)


def require_demo() -> None:
    """Refuse to go on unless this is the demo's state and nobody else's."""
    if settings.TRADING_MODE != DEMO:
        raise DemoRefusedError(f"this is for demo mode, TRADING_MODE is {settings.TRADING_MODE}; nothing was changed")
    refuse_mixed_data()


def refuse_mixed_data() -> None:
    """Refuse a state folder whose accounts belong to a demo and to real trading, or to the other of them."""
    is_demo = settings.TRADING_MODE == DEMO
    others = Account.objects.exclude(mode=DEMO) if is_demo else Account.objects.filter(mode=DEMO)
    modes = sorted(set(others.values_list("mode", flat=True)))
    if modes:
        raise DemoRefusedError(
            f"{settings.STATE_DIR} holds data of {' and '.join(modes)} accounts, TRADING_MODE is "
            f"{settings.TRADING_MODE}: set STATE_DIR to another folder"
        )


def never_fitted() -> tuple[str, ...]:
    """Return the traded symbols that some row of the plan was never fitted for; a retired model was."""
    plan = set(PlanRow.objects.enabled().values_list("strategy", "variant"))
    fitted = set(FittedModel.objects.values_list("symbol__name", "strategy", "variant"))
    return tuple(name for name in _traded() if any((name, *row) not in fitted for row in plan) or not plan)


def offered_symbols() -> list[str]:
    """Return what the simulated broker trades."""
    with closing(open_site_terminal()) as terminal:
        ask(terminal, "initialize")
        return [symbol.name for symbol in ask(terminal, "symbols_get")]


@transaction.atomic
def _choose_symbols(offered: list[str]) -> None:
    """Register what the demo trades: the desk's first symbols, or those of a replay that has none of them."""
    settings_row = RebalanceSettings.load()
    # By the balance of 100,000, so that lot steps do not drown the signals.
    settings_row.size_by = RebalanceSettings.SizeBy.BALANCE
    settings_row.save(update_fields=["size_by"])
    default_symbols()
    if not Symbol.objects.filter(name__in=offered).exists():
        Symbol.objects.bulk_create([Symbol(name=name, binance_symbol=_at_binance(name)) for name in offered])
    Symbol.objects.exclude(name__in=offered).update(is_traded=False)
    enrol_bot(offered)


def _at_binance(name: str) -> str:
    """Return the simulated exchange's name of a replayed symbol."""
    return f"{name}T" if name.endswith("USD") else name


def _fit_missing(progress: Progress) -> FitReport:
    missing = never_fitted()
    if not missing:
        return FitReport(models=(), failed=(), seconds=0.0)
    return fit_models(symbols=missing, progress=progress, actor=SYSTEM)


def _traded() -> tuple[str, ...]:
    return tuple(Symbol.objects.traded().values_list("name", flat=True))


def password_file() -> Path:
    """Return where the administrator's password of the demo is kept."""
    return Path(settings.STATE_DIR) / "demo-password"


def make_admin() -> None:
    """Make the administrator once; the password is in a file that only the owner reads."""
    users = get_user_model().objects
    if users.filter(username=ADMIN).exists():
        return
    # The file first: a user whose password nobody knows could not be made again.
    path = password_file()
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(12))
    users.create_superuser(username=ADMIN, password=path.read_text().strip())
