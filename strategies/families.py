"""Kinds of fitted models that are no strategy's: another app brings them, the registry keeps them like the others.

A family is registered when its app starts (``AppConfig.ready``), by dotted paths: imports point down, and reading the
list imports nothing. Versions, files, activation, shadows, rollback and the audit are then the same as a strategy's;
what a family says itself is what its models read, how they are judged, and how they are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from strategies.gates import Verdict
    from strategies.manifests import Slot
    from strategies.models import FittedModel

Judge = Callable[[Sequence["FittedModel"]], "list[Verdict]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the registry has to know of models that are no strategies.

    Attributes
    ----------
    sources : str
        Dotted path of ``function(model) -> mapping``: the columns that exist today, and where each comes from.
    judge : str
        Dotted path of ``function(models) -> list of Verdict``.
    remedy : str
        The command that makes such a model anew; ``{symbol}`` is filled in.
    """

    sources: str
    judge: str
    remedy: str


FAMILIES: dict[str, Family] = {}  # by ``FittedModel.strategy``


def register(key: str, family: Family) -> None:
    """Let the registry know a family; its key is that of no strategy."""
    from strategies.estimators import STRATEGIES

    if key in STRATEGIES:
        raise ValueError(f"{key!r} is a strategy, and cannot be a family of other models")
    FAMILIES[key] = family


def remedy(slot: Slot) -> str:
    """Return the command that makes a slot's model anew."""
    family = FAMILIES.get(slot.strategy)
    usual = "manage.py fit_models --symbol {symbol} --strategy {strategy}"
    return (family.remedy if family else usual).format(symbol=slot.symbol, strategy=slot.strategy)


def sources_of(model: FittedModel, usual: Callable[[FittedModel], Mapping[str, str]]) -> Mapping[str, str]:
    """Return the columns that a model can read today; ``usual`` says so for strategies."""
    family = FAMILIES.get(model.strategy)
    found: Mapping[str, str] = import_string(family.sources)(model) if family else usual(model)
    return found


def judged(models: Sequence[FittedModel], usual: Judge) -> Iterator[tuple[FittedModel, Verdict]]:
    """Yield every model with its verdict; those of a family are judged together, strategies by ``usual``."""
    keys = dict.fromkeys(model.strategy if model.strategy in FAMILIES else None for model in models)
    for key in keys:
        group = [model for model in models if (model.strategy if model.strategy in FAMILIES else None) == key]
        judge: Judge = usual if key is None else import_string(FAMILIES[key].judge)
        yield from zip(group, judge(group), strict=True)
