"""How a version comes to trade and ceases to: one active version per slot, every change compared, set and audited.

::

    candidate ──> shadow ──> active ──> retired ──> archived
        └───────────────────>   <──────────┘  roll back, or promote again

A version is opened before it may trade or watch, so that a file which is half-written, damaged, or fitted on columns
that are gone changes nothing. What replaced what is a stack of ``Activation`` rows: rolling back takes the top off,
and rolling back again goes further down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from ops.audit import Actor, record
from ops.errors import DeskError
from ops.live import announce
from strategies import registry
from strategies.models import Activation, FittedModel
from strategies.models.fitted import FittedModelQuerySet

Status = FittedModel.Status
Kind = Activation.Kind
MAX_SUBJECT = 120  # of an audit entry
ACTIONS = {Kind.FITTED: "model.promoted", Kind.PROMOTED: "model.promoted", Kind.ROLLED_BACK: "model.rolled_back"}


class ModelConflictError(DeskError):
    """Somebody else changed the slot meanwhile; nothing was changed by us."""


class ModelInUseError(DeskError):
    """The version trades, and what was asked for is for versions that do not."""


class ModelArchivedError(DeskError):
    """The version was put away; it has to be restored before it can be used."""


class NothingBeforeError(DeskError):
    """No version traded in the slot before this one did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Who lets a version trade, why and how, and what the gates said if any were asked."""

    actor: Actor
    reason: str = ""
    kind: Activation.Kind = Kind.FITTED
    gates: Sequence[Mapping[str, Any]] = ()


def in_slot(model: FittedModel) -> FittedModelQuerySet:
    """Return all versions of a version's slot."""
    return FittedModel.objects.filter(symbol=model.symbol_id, strategy=model.strategy, variant=model.variant)


def active_in_slot(model: FittedModel) -> FittedModel | None:
    """Return the version that trades where ``model`` would."""
    return in_slot(model).active().select_related("symbol").first()


def has_traded(model: FittedModel) -> bool:
    """Return whether any version of the slot ever traded; those that were archived do not count."""
    return in_slot(model).kept().exclude(activations=None).exists()


def activate(model: FittedModel, change: Change) -> None:
    """Make ``model`` the active version of its slot, inside the caller's transaction; its file is known to be good.

    Raises
    ------
    ModelConflictError
        A status is not what was read a moment ago.
    IntegrityError
        Another version became active between our look and our write.
    """
    if model.status == Status.ACTIVE:
        return
    replaced = active_in_slot(model)
    _switch(model, replaced, change, previous=replaced.activations.first() if replaced else None)


def replace(active: FittedModel | None, model: FittedModel, change: Change) -> None:
    """Let ``model`` trade if ``active`` (None: nothing) still is what trades in its slot.

    Raises
    ------
    ModelConflictError
        Something else trades by now, or ``model`` changed; nothing was changed by us.
    ModelFileError
        Its file cannot be opened, whatever it was when the gates were asked.
    """
    registry.load(model)
    with _one_wins(model):
        now = active_in_slot(model)
        if now != active:
            raise ModelConflictError(f"{_words(now)} by now, not {_words(active)}: look again")
        activate(model, change)


def before(model: FittedModel) -> Activation:
    """Return the activation that rolling ``model`` back restores.

    Raises
    ------
    ModelConflictError
        It does not trade, so that there is nothing to roll back.
    NothingBeforeError, ModelArchivedError
        Nothing traded before it, or what did was put away.
    """
    if model.status != Status.ACTIVE:
        raise ModelConflictError(f"{model} is {model.status}, not active: there is nothing to roll back")
    top = model.activations.select_related("previous__model__symbol").first()
    if top is None or top.previous is None:
        raise NothingBeforeError(f"nothing traded before {model} in its slot: promote another version by its id")
    require_kept(top.previous.model)
    return top.previous


def rollback(model_id: int, *, actor: Actor, reason: str = "") -> FittedModel:
    """Let what ``model_id`` replaced trade again, and return it. No gate is asked: it traded before.

    Raises
    ------
    UnknownModelError, ModelConflictError, NothingBeforeError, ModelArchivedError
        As ``registry.get`` and ``before``.
    ModelFileError
        The file of what traded before cannot be opened; what trades goes on.
    """
    current = registry.get(model_id)
    earlier = before(current)
    registry.load(earlier.model)
    change = Change(actor=actor, reason=reason, kind=Kind.ROLLED_BACK)
    with _one_wins(current):
        _switch(earlier.model, current, change, previous=earlier.previous)
    return earlier.model


def shadow(model_id: int, *, actor: Actor, reason: str = "") -> FittedModel:
    """Let a version predict at every session without being traded.

    Raises
    ------
    UnknownModelError, ModelArchivedError, ModelConflictError
    ModelInUseError
        It trades.
    ModelFileError
        Its file cannot be opened.
    """
    model = registry.get(model_id)
    if model.status == Status.ACTIVE:
        raise ModelInUseError(f"{model} trades: promote another version or retire it first")
    if model.status != Status.SHADOW:
        require_kept(model)
        registry.load(model)
        move(model, Status.SHADOW, "model.shadowed", actor=actor, reason=reason)
    return model


def retire(model_id: int, *, actor: Actor, reason: str = "") -> FittedModel:
    """Stop using a version; retiring it twice changes nothing.

    Raises
    ------
    UnknownModelError, ModelConflictError
    """
    model = registry.get(model_id)
    if model.status != Status.RETIRED:
        move(model, Status.RETIRED, "model.retired", actor=actor, reason=reason)
    return model


@transaction.atomic
def move(
    model: FittedModel, status: str, action: str, *, actor: Actor, reason: str, archived_at: datetime | None = None
) -> None:
    """Give a version another status than active, and say so; ``ModelConflictError`` if it changed meanwhile."""
    before = {"status": model.status} | ({"archived": True} if model.archived_at else {})
    _set_status(model, status, archived_at=archived_at)
    _tell(model, actor, action, before=before, reason=reason)


def require_kept(model: FittedModel) -> None:
    """Raise ``ModelArchivedError`` for a version that was put away."""
    if model.archived_at:
        raise ModelArchivedError(f"{model} is archived: restore it with `manage.py model_list --restore {model.pk}`")


def _switch(model: FittedModel, replaced: FittedModel | None, change: Change, *, previous: Activation | None) -> None:
    if replaced is not None:
        _set_status(replaced, Status.RETIRED)
    _set_status(model, Status.ACTIVE)
    Activation.objects.create(
        model=model,
        previous=previous,
        kind=change.kind,
        gates=list(change.gates),
        actor=change.actor.name,
        reason=change.reason,
    )
    failed = [gate["name"] for gate in change.gates if not gate["passed"]]
    _tell(
        model,
        change.actor,
        ACTIONS[change.kind],
        before={"active": [replaced.version] if replaced else []},
        reason=change.reason,
        after={"overridden": failed} if failed else {},
    )


def _set_status(model: FittedModel, status: str, *, archived_at: datetime | None = None) -> None:
    """Change the status if it and the archive's mark still are what ``model`` says."""
    seen = FittedModel.objects.filter(pk=model.pk, status=model.status, archived_at=model.archived_at)
    if not seen.update(status=status, archived_at=archived_at):
        raise ModelConflictError(f"{model} is not {model.status} any more: look again")
    model.status, model.archived_at = status, archived_at


@contextmanager
def _one_wins(model: FittedModel) -> Iterator[None]:
    """Write in one transaction, and say so when another's came first."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise ModelConflictError(f"another version of {model.name} was promoted meanwhile: look again") from error


def _words(active: FittedModel | None) -> str:
    return f"{active} trades" if active else "nothing trades"


def _tell(
    model: FittedModel,
    actor: Actor,
    action: str,
    *,
    before: Mapping[str, object],
    reason: str,
    after: Mapping[str, object] | None = None,
) -> None:
    record(
        actor,
        action,
        subject=str(model)[:MAX_SUBJECT],
        before=dict(before),
        after={"status": model.status, "id": model.pk} | dict(after or {}),
        reason=reason,
    )
    # Pages hear of a rolled-back change never, as the row is in the transaction.
    announce("models", {"id": model.pk, "symbol": model.symbol.name, "status": model.status})
