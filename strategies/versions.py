"""Turn a fit into a version: the file first, then its row, and what trades in one step with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, transaction

from market.models import Symbol
from ops import clock
from ops.audit import Actor
from ops.live import announce
from strategies import artifacts, lifecycle, registry
from strategies.fits import Fit
from strategies.manifests import Manifest, ModelExistsError, Slot
from strategies.models import FittedModel
from strategies.provenance import commit, library_versions

# Another fit of the same slot can take a version from us once per try; somebody is always done sooner.
ATTEMPTS = 20


class Activate(StrEnum):
    """Which new versions trade at once; the others are candidates."""

    ALWAYS = "always"  # a person asked for a fit, which is also the remedy for files that do not open any more
    WHERE_NEW = "where-new"  # slots in which nothing traded yet; where a person retired a version, that was meant
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How all versions of one fit are registered."""

    activate: Activate
    note: str
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedOn:
    """The bars of one symbol: open times of the first and the last, how many, and their hash."""

    symbol: Symbol
    fit_from: datetime
    fit_to: datetime
    n_bars: int
    data_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A fitted model, not stored yet; the version in its manifest's slot is not final."""

    symbol: Symbol
    manifest: Manifest
    estimator: Any
    metrics: Mapping[str, Any]
    seconds: float


def add_version(fit: Fit, fitted_on: FittedOn, terms: Terms) -> FittedModel:
    """Store a fit and register it; whoever else fits the slot right now gets another version.

    The folder's name is the first claim, the row's constraints the second: a row never exists without its file, and
    a file whose row was refused is deleted.

    Raises
    ------
    ModelFileError
        The file could not be written and read back, or others took every version that was tried.
    OSError
        The disk did not take it.
    """
    made = Made(
        symbol=fitted_on.symbol,
        manifest=_manifest(fit, fitted_on),
        estimator=fit.estimator,
        metrics=fit.metrics,
        seconds=fit.seconds,
    )
    return register(made, terms)


def register(made: Made, terms: Terms) -> FittedModel:
    """Store what was made as the next version of its manifest's slot. Raises as ``add_version``."""
    manifest = made.manifest
    for _ in range(ATTEMPTS):
        slot = replace(manifest.slot, version=_next_version(manifest.slot))
        try:
            stored = artifacts.save(
                registry.model_dir(), replace(manifest, slot=slot), made.estimator, key=registry.signing_key()
            )
        except ModelExistsError:
            continue
        try:
            return _register(stored, made, terms)
        except IntegrityError:
            artifacts.remove(registry.model_dir(), stored)
    raise ModelExistsError(f"other fits took {ATTEMPTS} versions of {manifest.slot} in a row; fit again later")


def _manifest(fit: Fit, fitted_on: FittedOn) -> Manifest:
    sources = registry.column_sources(fitted_on.symbol)
    planned = fit.planned
    return Manifest(
        slot=Slot(symbol=fitted_on.symbol.name, strategy=planned.strategy, variant=planned.variant, version=1),
        strat_weight=planned.strat_weight,
        params=fit.estimator.get_params(),
        fitted=fit.fitted,
        columns=tuple((name, sources[name]) for name in fit.estimator.required_columns),
        fit_from=fitted_on.fit_from,
        fit_to=fitted_on.fit_to,
        n_bars=fitted_on.n_bars,
        data_hash=fitted_on.data_hash,
        libraries=library_versions(),
        commit=commit(),
        created_at=clock.wall_now(),
    )


def _next_version(slot: Slot) -> int:
    """Return the first version that neither a row nor a folder has."""
    rows = FittedModel.objects.in_slot(symbol=slot.symbol, strategy=slot.strategy, variant=slot.variant)
    newest = rows.order_by("-version").values_list("version", flat=True).first() or 0
    return max(newest, artifacts.latest_version(registry.model_dir(), slot)) + 1


@transaction.atomic
def _register(stored: artifacts.StoredModel, made: Made, terms: Terms) -> FittedModel:
    manifest = stored.manifest
    model = FittedModel.objects.create(
        symbol=made.symbol,
        strategy=manifest.slot.strategy,
        variant=manifest.slot.variant,
        version=manifest.slot.version,
        params=manifest.params,
        fitted=manifest.fitted,
        metrics=made.metrics,
        strat_weight=manifest.strat_weight,
        fit_from=manifest.fit_from,
        fit_to=manifest.fit_to,
        n_bars=manifest.n_bars,
        data_hash=manifest.data_hash,
        columns=manifest.columns,
        libraries=manifest.libraries,
        commit=manifest.commit,
        seconds=made.seconds,
        fitted_by=terms.actor.name,
        note=terms.note,
        path=stored.path,
        sha256=manifest.file_sha256,
    )
    if _trades_at_once(model, terms.activate):
        lifecycle.activate(model, lifecycle.Change(actor=terms.actor, reason=terms.note or "fitted"))
    else:
        announce("models", {"id": model.pk, "symbol": made.symbol.name, "status": model.status})
    return model


def _trades_at_once(model: FittedModel, activate: Activate) -> bool:
    """Return whether a new version trades; a slow fit does not take a newer one's place."""
    if activate is Activate.ALWAYS:
        active = lifecycle.active_in_slot(model)
        return active is None or active.version < model.version
    return activate is Activate.WHERE_NEW and not lifecycle.has_traded(model)
