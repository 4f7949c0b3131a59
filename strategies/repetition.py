"""Whether a version can be made again: from the bars that it was fitted on, in a process that did not fit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from market.errors import DataMissingError
from market.services import joined_bars
from strategies import fresh, registry
from strategies.models import FittedModel
from strategies.provenance import bars_hash

if TYPE_CHECKING:
    import pandas as pd

    from strategies.registry import LoadedModel

HOUR = timedelta(hours=1)
SHOWN = 8  # characters of a hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """Whether a version came out the same again, in figures."""

    is_same: bool
    figure: str


def repeat(opened: Sequence[tuple[FittedModel, LoadedModel]]) -> list[Repeated]:
    """Return for each version whether a fresh process predicts and fits the same; one process does all of them.

    Raises
    ------
    FreshProcessError
        The process failed, so that nothing is known.
    """
    reader = _Reader()
    read = [reader.fitted_on(model) for model, _ in opened]
    tasks = [
        _task(model, bars) for (model, _), bars in zip(opened, read, strict=True) if not isinstance(bars, Repeated)
    ]
    answers = iter(fresh.check(tasks, root=registry.model_dir(), key=registry.signing_key()))
    return [
        bars if isinstance(bars, Repeated) else _judged(model, loaded, bars, next(answers))
        for (model, loaded), bars in zip(opened, read, strict=True)
    ]


class _Reader:
    """Reads the bars that versions were fitted on, those of one fit once."""

    def __init__(self) -> None:
        self._read: dict[tuple[int, str], pd.DataFrame | Repeated] = {}

    def fitted_on(self, model: FittedModel) -> pd.DataFrame | Repeated:
        """Return the bars, or that they are not those any more."""
        key = (model.symbol_id, model.data_hash)
        if key not in self._read:
            self._read[key] = _fitted_on(model)
        return self._read[key]


def _fitted_on(model: FittedModel) -> pd.DataFrame | Repeated:
    try:
        bars = joined_bars(model.symbol.name, model.n_bars, model.fit_to + HOUR)
    except DataMissingError as error:
        return Repeated(is_same=False, figure=f"its bars are gone: {error}")
    now = bars_hash(bars)
    if now != model.data_hash:
        figure = f"its bars changed since: their hash is {now[:SHOWN]}, was {model.data_hash[:SHOWN]}"
        return Repeated(is_same=False, figure=figure)
    return bars


def _task(model: FittedModel, bars: pd.DataFrame) -> fresh.Task:
    return fresh.Task(
        path=model.path,
        slot=model.slot,
        sha256=model.sha256,
        sources=registry.column_sources(model.symbol),
        params=model.params,
        bars=bars,
    )


def _judged(model: FittedModel, loaded: LoadedModel, bars: pd.DataFrame, answer: fresh.Answer) -> Repeated:
    here = fresh.positions_hash(loaded.estimator, bars)
    if answer.error:
        return Repeated(is_same=False, figure=f"a fresh process failed: {answer.error}")
    if answer.positions_sha256 != here:
        figure = f"a fresh process predicts {answer.positions_sha256[:SHOWN]}, this one {here[:SHOWN]}"
        return Repeated(is_same=False, figure=figure)
    if answer.refit_sha256 != model.sha256:
        figure = f"fitting again gives {answer.refit_sha256[:SHOWN]}, stored is {model.sha256[:SHOWN]}"
        return Repeated(is_same=False, figure=figure)
    return Repeated(is_same=True, figure=f"fitted again in a fresh process it is {model.sha256[:SHOWN]} again")
