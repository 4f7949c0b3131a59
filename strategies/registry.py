"""Which fitted models trade and which only watch, opened and ready to predict. ``lifecycle`` changes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from market.models import Symbol
from ops.errors import DeskError, ExitCode
from strategies import artifacts, families
from strategies.manifests import Manifest
from strategies.models import FittedModel, PlanRow

if TYPE_CHECKING:
    from strategies.estimators.base import BaseStrategy


class UnknownModelError(DeskError):
    """A fitted model that is not in the registry."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A fitted model, ready to predict; ``estimator`` is shared within the process and must not be changed.

    Attributes
    ----------
    strat_weight : float
        Share of capital, already in the estimator's positions.
    warnings : tuple of str
        What differs from when it was fitted without being a reason to refuse it.
    """

    model_id: int
    symbol: str
    strategy: str
    variant: str
    version: int
    strat_weight: float
    estimator: BaseStrategy
    manifest: Manifest
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.strategy} {self.variant}"


def model_dir() -> Path:
    """Return the folder of all stored models."""
    return Path(settings.MODEL_DIR)


def signing_key() -> bytes:
    """Return the key of the manifests' signatures."""
    return str(settings.MODEL_SIGNING_KEY).encode()


def column_sources(symbol: Symbol) -> dict[str, str]:
    """Return which columns a symbol's bars have today, and where each comes from."""
    from market.bars import KLINE_COLUMNS, RATE_COLUMNS

    sources = dict.fromkeys(RATE_COLUMNS, "mt5")
    if symbol.binance_symbol:
        sources |= dict.fromkeys(KLINE_COLUMNS, f"binance:{symbol.binance_symbol}")
    return sources


def active(symbol: str) -> tuple[LoadedModel, ...]:
    """Return the models that trade a symbol, in the order of the plan.

    What is switched off in the plan, or no longer in it, does not trade, whatever version is active.

    Raises
    ------
    ModelFileError
        If any of them cannot be opened: a sum that silently lacks a model would be another position.
    """
    models = _active_in_plan(symbol)
    return tuple(load(model) for model in models.values() if model is not None)


def shadows(symbol: str) -> tuple[FittedModel, ...]:
    """Return a symbol's versions of strategies that predict and are not traded; ``load`` opens them, one by one."""
    return tuple(FittedModel.objects.of_strategies().shadows(symbol).select_related("symbol"))


def missing_models(symbol: str) -> tuple[str, ...]:
    """Return the names of what the plan has switched on and no active model exists for, like ``ema_vol fast=24``."""
    return tuple(name for name, model in _active_in_plan(symbol).items() if model is None)


def _active_in_plan(symbol: str) -> dict[str, FittedModel | None]:
    """Return every enabled row of the plan by name, with its active model if there is one."""
    models = {model.name: model for model in FittedModel.objects.active(symbol).select_related("symbol")}
    return {str(row): models.get(str(row)) for row in PlanRow.objects.enabled()}


def get(model_id: int) -> FittedModel:
    """Return a version by its id.

    Raises
    ------
    UnknownModelError
        No such model.
    """
    try:
        return FittedModel.objects.select_related("symbol").get(pk=model_id)
    except FittedModel.DoesNotExist:
        raise UnknownModelError(f"no fitted model {model_id}; see `manage.py model_list`") from None


def load(model: FittedModel) -> LoadedModel:
    """Return a version opened, whatever its status, after its file was proved ours and fit for today's columns.

    Raises
    ------
    ModelFileError
        The message names the file and what to do.
    """
    stored = artifacts.load(
        model_dir(),
        model.path,
        slot=model.slot,
        sha256=model.sha256,
        sources=families.sources_of(model, lambda found: column_sources(found.symbol)),
        key=signing_key(),
    )
    return LoadedModel(
        model_id=model.pk,
        symbol=model.symbol.name,
        strategy=model.strategy,
        variant=model.variant,
        version=model.version,
        strat_weight=model.strat_weight,
        estimator=stored.estimator,
        manifest=stored.manifest,
        warnings=stored.warnings,
    )
