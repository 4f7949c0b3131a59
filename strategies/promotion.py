"""Let a version trade when its gates are passed, or against them when a person says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from market.models import Symbol
from ops.audit import Actor
from ops.errors import DeskError, ExitCode
from strategies import gates, lifecycle, registry
from strategies.lifecycle import Change, Kind, Status
from strategies.models import FittedModel

if TYPE_CHECKING:
    from strategies.gates import Verdict


class PromotionRefusedError(DeskError):
    """A gate was not passed; what traded goes on. ``verdict`` has every gate's figure."""

    exit_code = ExitCode.REFUSED

    def __init__(self, verdict: Verdict) -> None:
        failed = "; ".join(f"gate {gate}" for gate in verdict.failed)
        super().__init__(f"{verdict.model} is not promoted: {failed}. Override it with a reason, or leave it")
        self.verdict = verdict


class ReasonMissingError(DeskError):
    """Overriding a gate takes a reason."""

    exit_code = ExitCode.USAGE


def promote(model_id: int, *, actor: Actor, reason: str = "", override: bool = False) -> FittedModel:
    """Let a version trade instead of the one that does, after its file was proved good and its gates were passed.

    Promoting what trades changes nothing.

    Parameters
    ----------
    override : bool, default=False
        Promote whatever the gates say; ``reason`` says why, and the audit log which gates were not passed.

    Raises
    ------
    PromotionRefusedError
        A gate was not passed; the message names it with its figure.
    ReasonMissingError
        To override without a reason.
    UnknownModelError, ModelArchivedError
    ModelConflictError
        Another version than the one it was compared with trades by now.
    ModelFileError
        Its file cannot be opened, which nothing overrides.
    StrategyError, MarketError, FreshProcessError
        The gates cannot be asked.
    """
    require_reason(reason, override=override)
    model = registry.get(model_id)
    lifecycle.require_kept(model)
    if model.status == Status.ACTIVE:
        return model
    (verdict,) = gates.judge([model])
    return apply(verdict, actor=actor, reason=reason, override=override)


def apply(verdict: Verdict, *, actor: Actor, reason: str = "", override: bool = False) -> FittedModel:
    """Promote as a verdict allows; for callers that judged several versions at once. Raises as ``promote``."""
    require_reason(reason, override=override)
    if verdict.failed and not override:
        raise PromotionRefusedError(verdict)
    said = [asdict(gate) for gate in verdict.gates]
    change = Change(actor=actor, reason=reason, kind=Kind.PROMOTED, gates=said)
    lifecycle.replace(verdict.active, verdict.model, change)
    return verdict.model


def require_reason(reason: str, *, override: bool) -> None:
    """Raise ``ReasonMissingError`` for an override that nobody gave a reason for."""
    if override and not reason.strip():
        raise ReasonMissingError("overriding a gate takes a reason, which is kept in the audit log")


def waiting(symbols: Sequence[Symbol], strategies: Sequence[str] = ()) -> list[FittedModel]:
    """Return the newest candidate or shadow of every slot that has one newer than what trades there.

    Parameters
    ----------
    strategies : sequence of str
        Keys; none means all.
    """
    models = FittedModel.objects.promotable().filter(symbol__in=symbols).select_related("symbol")
    if strategies:
        models = models.for_strategies(strategies)
    newest: dict[tuple[int, str, str], FittedModel] = {}
    for model in models.order_by("symbol", "strategy", "variant", "version"):
        newest[model.symbol_id, model.strategy, model.variant] = model
    return [model for model in newest.values() if _is_newer(model, lifecycle.active_in_slot(model))]


def _is_newer(model: FittedModel, active: FittedModel | None) -> bool:
    return active is None or model.version > active.version
