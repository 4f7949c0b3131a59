"""Everything about one version, as commands and pages show it."""

from __future__ import annotations

from typing import Any

from market.errors import MarketError
from strategies import drift, registry
from strategies.errors import StrategyError
from strategies.fitting import model_data
from strategies.lifecycle import active_in_slot
from strategies.manifests import ModelFileError
from strategies.models import Activation, FittedModel

MADE_OF = ("path", "sha256", "data_hash", "columns", "libraries", "commit")


def show(model: FittedModel, *, days: int = drift.DAYS) -> dict[str, Any]:
    """Return the document of ``model_show/1``: the row, its file, when it traded, and its drift over so many days."""
    active = active_in_slot(model)
    return (
        model_data(model)
        | {name: getattr(model, name) for name in MADE_OF}
        | {
            "active_version": active.version if active else None,
            "file": _file(model),
            "activations": [_activation(row) for row in model.activations.select_related("previous__model")],
            "drift": _drift(model, days),
        }
    )


def _file(model: FittedModel) -> dict[str, Any]:
    try:
        loaded = registry.load(model)
    except ModelFileError as error:
        return {"ok": False, "error": str(error), "warnings": []}
    return {"ok": True, "error": "", "warnings": list(loaded.warnings)}


def _activation(row: Activation) -> dict[str, Any]:
    previous = row.previous.model.version if row.previous else None
    fields = ("at", "kind", "actor", "reason", "gates")
    return {name: getattr(row, name) for name in fields} | {"previous": previous}


def _drift(model: FittedModel, days: int) -> dict[str, Any] | None:
    """Return the drift, None without live predictions, or why it cannot be computed."""
    try:
        measured = drift.measure_drift(model, days=days)
    except (ModelFileError, StrategyError, MarketError) as error:
        return {"error": str(error)}
    return measured.as_data() if measured else None
