"""Put versions away, and bring them back: rows and files stay, as orders and decisions speak of them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from market.models import Symbol
from ops import clock
from ops.audit import Actor
from strategies import lifecycle, registry
from strategies.lifecycle import ModelInUseError, Status
from strategies.models import FittedModel


def archive(model_id: int, *, actor: Actor, reason: str = "") -> FittedModel:
    """Put a version away; archiving it twice changes nothing.

    Raises
    ------
    UnknownModelError, ModelConflictError
    ModelInUseError
        It trades.
    """
    model = registry.get(model_id)
    if model.status == Status.ACTIVE:
        raise ModelInUseError(f"{model} trades: promote another version or retire it first")
    if not model.archived_at:
        _put_away(model, actor, reason)
    return model


def restore(model_id: int, *, actor: Actor, reason: str = "") -> FittedModel:
    """Bring an archived version back as a retired one; it may then be promoted or watched.

    Raises
    ------
    UnknownModelError, ModelConflictError
    """
    model = registry.get(model_id)
    if model.archived_at:
        lifecycle.move(model, Status.RETIRED, "model.restored", actor=actor, reason=reason)
    return model


@transaction.atomic
def archive_symbols(symbols: Sequence[Symbol], *, actor: Actor, reason: str = "") -> list[FittedModel]:
    """Put away every version of some symbols, also what trades: they start over with their next fit.

    All of them or none. Raises ``ModelConflictError`` if one changes meanwhile.
    """
    models = list(FittedModel.objects.kept().filter(symbol__in=symbols).select_related("symbol"))
    for model in models:
        _put_away(model, actor, reason)
    return models


def _put_away(model: FittedModel, actor: Actor, reason: str) -> None:
    lifecycle.move(model, Status.RETIRED, "model.archived", actor=actor, reason=reason, archived_at=clock.wall_now())
