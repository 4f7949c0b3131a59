"""Which fitted models trade, and how that changes: one active version per slot, every change audited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction

from market.models import Symbol
from ops.audit import Actor, record
from ops.errors import DeskError, ExitCode
from ops.live import announce
from strategies import artifacts
from strategies.manifests import Manifest
from strategies.models import FittedModel, PlanRow

if TYPE_CHECKING:
    from strategies.estimators.base import BaseStrategy

Status = FittedModel.Status
MAX_SUBJECT = 120  # of an audit entry


class UnknownModelError(DeskError):
    """A fitted model that is not in the registry."""

    exit_code = ExitCode.USAGE


class ModelConflictError(DeskError):
    """Somebody else changed the slot meanwhile; nothing was changed by us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """An active model, ready to predict; ``estimator`` is shared within the process and must not be changed.

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
    return tuple(_load(model) for model in models.values() if model is not None)


def missing_models(symbol: str) -> tuple[str, ...]:
    """Return the names of what the plan has switched on and no active model exists for, like ``ema_vol fast=24``."""
    return tuple(name for name, model in _active_in_plan(symbol).items() if model is None)


def _active_in_plan(symbol: str) -> dict[str, FittedModel | None]:
    """Return every enabled row of the plan by name, with its active model if there is one."""
    models = {model.name: model for model in FittedModel.objects.active(symbol).select_related("symbol")}
    return {str(row): models.get(str(row)) for row in PlanRow.objects.enabled()}


def _load(model: FittedModel) -> LoadedModel:
    stored = artifacts.load(
        model_dir(),
        model.path,
        slot=model.slot,
        sha256=model.sha256,
        sources=column_sources(model.symbol),
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


def promote(model_id: int, *, actor: Actor, reason: str = "") -> FittedModel:
    """Let a version trade instead of the one that did, after its file was proved good.

    Raises
    ------
    UnknownModelError
        No such model.
    ModelFileError
        Its file cannot be opened; what traded goes on.
    ModelConflictError
        Another promotion of the slot was first; what it chose trades.
    """
    model = _get(model_id)
    _load(model)
    try:
        with transaction.atomic():
            activate(model, actor=actor, reason=reason)
    except IntegrityError as error:
        raise ModelConflictError(f"another version of {model.name} was promoted meanwhile: look again") from error
    return model


def activate(model: FittedModel, *, actor: Actor, reason: str) -> None:
    """Make ``model`` the active version of its slot, inside the caller's transaction.

    Raises
    ------
    ModelConflictError
        Its status is not what ``model`` says any more.
    IntegrityError
        Another version became active between our look and our write.
    """
    if model.status == Status.ACTIVE:
        return
    slot = FittedModel.objects.filter(symbol=model.symbol, strategy=model.strategy, variant=model.variant)
    replaced = list(slot.active().values_list("version", flat=True))
    slot.active().update(status=Status.RETIRED)
    _set_status(model, Status.ACTIVE)
    _tell(model, actor, "model.promoted", before={"active": replaced}, reason=reason)


def retire(model_id: int, *, actor: Actor, reason: str = "") -> FittedModel:
    """Stop using a version; retiring it twice changes nothing. Raises as ``promote``."""
    model = _get(model_id)
    if model.status != Status.RETIRED:
        with transaction.atomic():
            before = model.status
            _set_status(model, Status.RETIRED)
            _tell(model, actor, "model.retired", before={"status": before}, reason=reason)
    return model


def _get(model_id: int) -> FittedModel:
    try:
        return FittedModel.objects.select_related("symbol").get(pk=model_id)
    except FittedModel.DoesNotExist:
        raise UnknownModelError(f"no fitted model {model_id}; see `manage.py model_list`") from None


def _set_status(model: FittedModel, status: str) -> None:
    """Change the status if it still is what ``model`` says."""
    changed = FittedModel.objects.filter(pk=model.pk, status=model.status).update(status=status)
    if not changed:
        raise ModelConflictError(f"{model} is not {model.status} any more: look again")
    model.status = status


def _tell(model: FittedModel, actor: Actor, action: str, *, before: dict[str, object], reason: str) -> None:
    record(
        actor,
        action,
        subject=str(model)[:MAX_SUBJECT],
        before=before,
        after={"status": model.status, "id": model.pk},
        reason=reason,
    )
    # Pages hear of a rolled-back change never, as the row is in the transaction.
    announce("models", {"id": model.pk, "symbol": model.symbol.name, "status": model.status})
