"""What a filter has to show before it may decide: gates, each with its figure.

All but the last look at the bars after those that it was trained on.

``enough trades``
    It approved enough there to say anything by.
``better than no filter``
    After costs, its trades made more than taking every setup.
``better than the active``
    And more than those of the version that decides now, which is flattered where it was trained on some of these bars.
``calibration``
    What it called likely happened about so often.
``reproducible``
    In a process of its own the stored file says what it says here, to the last bit, and so does one trained again.

A file that cannot be opened is no gate but an error: nothing overrides it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlfilter import filters, fresh
from mlfilter.configuration import backtest_settings
from mlfilter.errors import FilterError
from mlfilter.history import bar_length, read_bars
from mlfilter.models import BotSettings, current_settings
from mlfilter.training import terms_of_model, trained_on
from strategies import registry
from strategies.gates import Gate, Verdict
from strategies.lifecycle import active_in_slot
from strategies.manifests import ModelFileError
from strategies.models import FittedModel
from strategies.provenance import bars_hash

if TYPE_CHECKING:
    from mlfilter.backtest import BacktestSettings, SetupMetrics
    from mlfilter.filters import LoadedFilter
    from mlfilter.proposals import FoundSetups

TRADES, NO_FILTER, ACTIVE, CALIBRATION, REPRODUCIBLE = (
    "enough trades",
    "better than no filter",
    "better than the active",
    "calibration",
    "reproducible",
)
SHOWN = 8  # characters of a hash


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """The bars after a training, and all setups that their features and a while before give."""

    found: FoundSetups
    start: int  # the first bar after the training
    account: BacktestSettings

    @property
    def n_bars(self) -> int:
        return len(self.found.bars) - self.start


def judge(models: Sequence[FittedModel]) -> list[Verdict]:
    """Return what the gates say about each filter. Nothing is changed.

    Raises
    ------
    ModelFileError
        A version's file cannot be opened.
    FilterError, MarketError
        There is nothing to judge it on.
    FreshProcessError
        The process that checks it failed.
    """
    settings = current_settings()
    return [_judge(model, settings) for model in models]


def _judge(model: FittedModel, settings: BotSettings) -> Verdict:
    loaded, active = filters.load(model, settings=settings), active_in_slot(model)
    unseen = _unseen(model, loaded, settings)
    if unseen.n_bars < 2:
        figure = "there are no bars after its training: train with days left out, or let it shadow until there are"
        gates = [Gate(name=TRADES, passed=False, figure=figure)]
    else:
        gates = _on_unseen(loaded, active, unseen, settings)
    return Verdict(model=model, active=active, gates=(*gates, _repeats(model, loaded)))


def _unseen(model: FittedModel, loaded: LoadedFilter, settings: BotSettings) -> Unseen:
    import pandas as pd

    from mlfilter.features import warmup_bars

    since = model.fit_to - warmup_bars(model.variant) * bar_length(model.variant)
    bars, terms = read_bars(model.symbol, model.variant, since=since), terms_of_model(model)
    found = filters.ground_for(loaded.recognizer, model.symbol.binance_symbol, bars, terms).find()
    return Unseen(
        found,
        int(found.index.searchsorted(pd.Timestamp(model.fit_to), side="right")),
        backtest_settings(settings, terms),
    )


def _seen_by(other: LoadedFilter, model: FittedModel, unseen: Unseen) -> Unseen:
    """Return the same setups with the features of another filter, which may have been trained on others."""
    if tuple(unseen.found.features.columns) == other.recognizer.feature_names_:
        return unseen
    first = unseen.found.index[0].to_pydatetime()
    bars = read_bars(model.symbol, model.variant, since=first)
    ground = filters.ground_for(other.recognizer, model.symbol.binance_symbol, bars, terms_of_model(model))
    return replace(unseen, found=ground.find())


def _on_unseen(loaded: LoadedFilter, active: FittedModel | None, unseen: Unseen, settings: BotSettings) -> list[Gate]:
    ours, theirs = _metrics(loaded, unseen), _metrics(None, unseen)
    gates = [
        Gate(
            name=TRADES,
            passed=ours.n_trades >= settings.min_unseen_trades,
            figure=f"{ours.n_trades} trades on {unseen.n_bars} unseen bars, "
            f"at least {settings.min_unseen_trades} are needed",
        ),
        Gate(
            name=NO_FILTER,
            passed=ours.total_return > theirs.total_return,
            figure=f"{_made(ours)} after costs, must be above {_made(theirs)} of taking every setup",
        ),
        _calibrated(loaded, unseen, settings.max_calibration_error),
    ]
    if active is not None and active != loaded.model:
        gates.insert(2, _better_than(loaded.model, active, ours, unseen, settings))
    return gates


def _better_than(
    model: FittedModel, active: FittedModel, ours: SetupMetrics, unseen: Unseen, settings: BotSettings
) -> Gate:
    import pandas as pd

    try:
        other = filters.load(active, settings=settings)
        theirs = _metrics(other, _seen_by(other, model, unseen))
    except (ModelFileError, FilterError) as error:
        return Gate(name=ACTIVE, passed=True, figure=f"{_made(ours)}; the active v{active.version} cannot say: {error}")
    seen_to = int(unseen.found.index.searchsorted(pd.Timestamp(active.fit_to), side="right"))
    n_seen = max(0, seen_to - unseen.start)
    seen = f", which was trained on {n_seen} of these bars" if n_seen else ""
    figure = f"{_made(ours)} after costs, must be above {_made(theirs)} of the active v{active.version}{seen}"
    return Gate(name=ACTIVE, passed=ours.total_return > theirs.total_return, figure=figure)


def _metrics(loaded: LoadedFilter | None, unseen: Unseen) -> SetupMetrics:
    """Return what trading the unseen bars comes to, with a filter or without."""
    from mlfilter.backtest import run_backtest

    found, tail = unseen.found, slice(unseen.start, None)
    approved = None
    if loaded is not None:
        approved = found.per_bar(loaded.recognizer.approve(found.features)[1], empty=False)[tail]
    bars, wanted = found.bars.iloc[tail], found.direction.iloc[tail]
    return run_backtest(bars, wanted, approved=approved, settings=unseen.account).metrics


def _calibrated(loaded: LoadedFilter, unseen: Unseen, most: float) -> Gate:
    import numpy as np

    from mlfilter.recognizers.calibration import calibration_error

    found = unseen.found
    labels = found.labels["label"].to_numpy(dtype=np.float64)
    p = loaded.recognizer.score(found.features)
    told = (found.rows >= unseen.start) & np.isfinite(labels) & np.isfinite(p)
    n = int(told.sum())
    error = calibration_error(p[told], labels[told].astype(np.int64)) if n else float("inf")
    figure = f"probabilities are {error:.3f} off on {n} unseen setups, at most {most:g} is allowed"
    return Gate(name=CALIBRATION, passed=error <= most, figure=figure)


def _repeats(model: FittedModel, loaded: LoadedFilter) -> Gate:
    """Return the gate; the setups are found again from the stored bars."""
    from mlfilter.recognizers.trainingset import training_set

    try:
        bars, found, recognizer = trained_on(model)
    except FilterError as error:
        return Gate(name=REPRODUCIBLE, passed=False, figure=f"its bars are gone: {error}")
    now = bars_hash(bars)
    if now != model.data_hash:
        figure = f"its bars changed since: their hash is {now[:SHOWN]}, was {model.data_hash[:SHOWN]}"
        return Gate(name=REPRODUCIBLE, passed=False, figure=figure)
    known = training_set(found.features, found.labels["label"], known_at=found.known_at, r=found.r)
    task = fresh.Task(
        path=model.path,
        slot=model.slot,
        sha256=model.sha256,
        sources=filters.sources(model),
        params=model.params["recognizer"],
        embargo_s=recognizer.embargo.total_seconds(),
        known=known,
    )
    return _compared(
        fresh.check(task, root=registry.model_dir(), key=registry.signing_key()),
        fresh.scores_hash(loaded.recognizer, known),
    )


def _compared(found: fresh.Answer, here: str) -> Gate:
    if found.error:
        return Gate(name=REPRODUCIBLE, passed=False, figure=f"a fresh process failed: {found.error}")
    if found.stored_sha256 != here:
        figure = f"a fresh process says {found.stored_sha256[:SHOWN]}, this one {here[:SHOWN]}"
        return Gate(name=REPRODUCIBLE, passed=False, figure=figure)
    if found.refit_sha256 != here:
        figure = f"trained again it says {found.refit_sha256[:SHOWN]}, stored is {here[:SHOWN]}"
        return Gate(name=REPRODUCIBLE, passed=False, figure=figure)
    return Gate(name=REPRODUCIBLE, passed=True, figure=f"trained again in a fresh process it says {here[:SHOWN]} again")


def _made(metrics: SetupMetrics) -> str:
    return f"{metrics.total_return:+.2%} in {metrics.n_trades} trades"
