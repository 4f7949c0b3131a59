"""Fit the plan for every symbol and register what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from loguru import logger

from market.errors import DataMissingError, MarketError
from market.models import Symbol
from market.services import joined_bars
from market.symbols import chosen_symbols
from ops import clock
from ops.audit import SYSTEM, Actor
from ops.errors import ExitCode
from ops.progress import Progress, Silent
from strategies import artifacts, registry
from strategies.default_plan import PlannedModel
from strategies.fits import Failure, Fit, exit_code_of, fit_symbols
from strategies.manifests import ModelFileError
from strategies.models import FittedModel, RegistrySettings
from strategies.out_of_sample import HeldOut
from strategies.provenance import bars_hash
from strategies.services import enabled_plan, sync_default_plan
from strategies.versions import Activate, FittedOn, Terms, add_version

if TYPE_CHECKING:
    import pandas as pd

MAX_HISTORY_HOURS = 8760


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedFit:
    """One planned model of one symbol that has no new version, and why."""

    symbol: str
    strategy: str
    variant: str
    error: str
    exit_code: ExitCode

    def __str__(self) -> str:
        return f"{self.symbol} {self.strategy} {self.variant} failed"

    def as_data(self) -> dict[str, str]:
        return {"symbol": self.symbol, "strategy": self.strategy, "variant": self.variant, "error": self.error}


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """What a fit made: the new versions, and what has none."""

    models: tuple[FittedModel, ...]
    failed: tuple[FailedFit, ...]
    seconds: float

    @property
    def exit_code(self) -> ExitCode:
        """0 all fitted, 7 some, 5 none for want of data, 1 none."""
        if not self.failed:
            return ExitCode.DONE
        if self.models:
            return ExitCode.PARTLY
        lacks_data = all(failure.exit_code == ExitCode.DATA for failure in self.failed)
        return ExitCode.DATA if lacks_data else ExitCode.FAILED

    def as_data(self) -> dict[str, Any]:
        """Return the report as ``fit_models/1``."""
        return {
            "models": [model_data(model) for model in self.models],
            "failed": [failure.as_data() for failure in self.failed],
            "seconds": self.seconds,
        }


def fit_models(
    *,
    symbols: Sequence[str] = (),
    strategies: Sequence[str] = (),
    until: datetime | None = None,
    jobs: int = 1,
    activate: Activate = Activate.ALWAYS,
    hold_out: int = 0,
    note: str = "",
    actor: Actor = SYSTEM,
    progress: Progress | None = None,
    max_history_hours: int = MAX_HISTORY_HOURS,
) -> FitReport:
    """Fit every enabled row of the plan for every symbol, and register each result as a new version.

    A symbol without bars and a model that cannot be fitted are reported, and the others go on. What is registered
    when this is interrupted stays. A site whose plan nobody ever wrote gets the default one first.

    Parameters
    ----------
    symbols, strategies : sequence of str
        Names and keys; none means all traded symbols, and all that the plan has switched on.
    until : datetime, optional
        Bars that end later are not looked at; market time by default.
    jobs : int, default=1
        Processes that fit.
    activate : Activate, default=Activate.ALWAYS
        Which of the new versions trade at once; the others are candidates.
    hold_out : int, default=0
        The newest so many bars are left out, for a promotion to be judged on.
    max_history_hours : int, default=8760
        The newest so many bars are fitted on.

    Raises
    ------
    UnknownSymbolError, PlanError
        A symbol or strategy that is not known, with those that are; or a plan that has nothing switched on.
    """
    started = clock.mono()
    chosen = _distinct(chosen_symbols(list(symbols)))
    sync_default_plan(actor=actor)
    plan = enabled_plan(strategies)
    progress = progress or Silent()
    progress.start(len(chosen) * len(plan), "reading bars")
    artifacts.remove_abandoned(registry.model_dir(), now=clock.wall_now())
    terms = Terms(activate=activate, note=note, actor=actor)
    reader = _Reader(chosen, until or clock.market_now(), max_history_hours, hold_out)
    outcomes = []
    for outcome in _outcomes(plan, reader, terms, jobs):
        outcomes.append(outcome)
        progress.advance(str(outcome))
    return FitReport(
        models=tuple(outcome for outcome in outcomes if isinstance(outcome, FittedModel)),
        failed=tuple(outcome for outcome in outcomes if isinstance(outcome, FailedFit)),
        seconds=clock.mono() - started,
    )


def _outcomes(
    plan: tuple[PlannedModel, ...], reader: _Reader, terms: Terms, jobs: int
) -> Iterator[FittedModel | FailedFit]:
    """Yield every model of every symbol, as registered or as failed."""
    rules = RegistrySettings.current()
    held_out = HeldOut(n_bars=rules.unseen_bars, costs=rules.costs)
    for name, fits in fit_symbols(plan, reader.frames(), jobs=jobs, held_out=held_out):
        for fit in fits:
            yield _keep(fit, reader.read[name], terms)
    for name, error in reader.failed:
        for planned in plan:
            yield _failed(name, planned, str(error), exit_code_of(error))


def planned_fits(*, symbols: Sequence[str] = (), strategies: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return what ``fit_models`` would fit, and write nothing. Raises as it does."""
    with transaction.atomic():
        sync_default_plan()  # what a new site would be given, for as long as we look
        plan = enabled_plan(strategies)
        transaction.set_rollback(True)
    return [
        {"symbol": symbol.name, "strategy": row.strategy, "variant": row.variant, "strat_weight": row.strat_weight}
        for symbol in _distinct(chosen_symbols(list(symbols)))
        for row in plan
    ]


def model_data(model: FittedModel) -> dict[str, Any]:
    """Return a fitted model as commands and pages show it."""
    fields = (
        "id strategy variant version strat_weight status fit_from fit_to n_bars seconds params fitted metrics note "
        "fitted_by created_at archived_at"
    )
    return {"symbol": model.symbol.name} | {name: getattr(model, name) for name in fields.split()}


class _Reader:
    """Reads symbols' bars one after the other, and remembers what it read and could not read."""

    def __init__(self, symbols: Sequence[Symbol], until: datetime, limit: int, hold_out: int) -> None:
        self.symbols = symbols
        self.until = until
        self.limit = limit
        self.hold_out = hold_out
        self.read: dict[str, FittedOn] = {}
        self.failed: list[tuple[str, MarketError]] = []

    def frames(self) -> Iterator[tuple[str, pd.DataFrame]]:
        for symbol in self.symbols:
            try:
                bars = self._read(symbol)
            except MarketError as error:
                self.failed.append((symbol.name, error))
                continue
            self.read[symbol.name] = _describe(symbol, bars)
            yield symbol.name, bars

    def _read(self, symbol: Symbol) -> pd.DataFrame:
        bars = joined_bars(symbol.name, self.limit + self.hold_out, self.until)
        if len(bars) <= self.hold_out:
            raise DataMissingError(f"{symbol} has {len(bars)} bars, of which {self.hold_out} were to be left out")
        return bars.iloc[: len(bars) - self.hold_out]


def _describe(symbol: Symbol, bars: pd.DataFrame) -> FittedOn:
    return FittedOn(
        symbol=symbol,
        fit_from=bars.index[0].to_pydatetime(),
        fit_to=bars.index[-1].to_pydatetime(),
        n_bars=len(bars),
        data_hash=bars_hash(bars),
    )


def _distinct(symbols: Sequence[Symbol]) -> list[Symbol]:
    """Return each symbol once: two names may mean the same."""
    return list({symbol.pk: symbol for symbol in symbols}.values())


def _keep(fit: Fit | Failure, fitted_on: FittedOn, terms: Terms) -> FittedModel | FailedFit:
    """Store and register one fit; a full disk or a lost race is this model's failure, not the end of the others."""
    if isinstance(fit, Failure):
        return _failed(fitted_on.symbol.name, fit.planned, fit.error, fit.exit_code)
    try:
        return add_version(fit, fitted_on, terms)
    except (ModelFileError, OSError) as error:
        return _failed(fitted_on.symbol.name, fit.planned, str(error), exit_code_of(error))


def _failed(symbol: str, planned: PlannedModel, error: str, exit_code: ExitCode) -> FailedFit:
    logger.bind(symbol=symbol, strategy=planned.strategy, variant=planned.variant, error=error).info("fit failed")
    return FailedFit(
        symbol=symbol, strategy=planned.strategy, variant=planned.variant, error=error, exit_code=exit_code
    )
