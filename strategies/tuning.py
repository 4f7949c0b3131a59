"""Search a strategy's parameters on stored bars; every trial is kept and counts against the next one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction

from market.reading import joined_bars
from market.symbols import get_symbol
from ops import clock
from ops.audit import Actor
from ops.errors import DeskError, ExitCode
from ops.live import announce
from ops.progress import Progress
from strategies.backtesting.requests import HISTORY_HOURS, HOUR
from strategies.estimators import build
from strategies.models import TuningRun
from strategies.parallel import fit_backend
from strategies.provenance import bars_hash, commit
from strategies.samples import is_same_sample
from strategies.tuning_spaces import candidates, has_range, n_combinations

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from strategies.research.onbars import OnBars
    from strategies.research.scorers import Scorer
    from strategies.research.splitters import Splitter
    from strategies.research.tuning import Tuning

# Classes of research.splitters by their names: the module needs numpy.
SPLITTERS = {"bootstrap": "BlockBootstrap", "permutation": "BlockPermutation", "walk_forward": "PurgedWalkForward"}


class TuningRequestError(DeskError):
    """A search that cannot be made as asked."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRequest:
    """What to search, in plain values.

    Parameters
    ----------
    strategy, symbol : str
        Key and name.
    space : mapping of str to list or mapping
        See ``tuning_spaces.parse_space``; a parameter that is not named keeps its default.
    n_iter : int, optional
        Draw so many sets; every combination by default.
    splitter : {"bootstrap", "permutation", "walk_forward"}
    splitting : mapping of str to int, optional
        Its parameters that differ from their defaults: ``n_splits``, ``block_length``, ``embargo``.
    scorer : str, default="ic"
        Key in ``research.scorers.SCORERS``: what the best has most of.
    history_hours : int, default=8760
        The newest so many bars are searched on.
    jobs : int, default=1
        Workers; see ``FIT_BACKEND``.
    seed : int, default=0
    note : str

    Raises
    ------
    TuningRequestError
    """

    strategy: str
    symbol: str
    space: Mapping[str, Any]
    n_iter: int | None = None
    splitter: str = "bootstrap"
    splitting: Mapping[str, int] = field(default_factory=dict)
    scorer: str = "ic"
    history_hours: int = HISTORY_HOURS
    jobs: int = 1
    seed: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        if self.splitter not in SPLITTERS:
            raise TuningRequestError(f"no splitter {self.splitter!r}; known: {', '.join(SPLITTERS)}")
        if self.scorer not in scorer_keys():
            raise TuningRequestError(f"no scorer {self.scorer!r}; known: {', '.join(scorer_keys())}")
        if self.n_iter is None and has_range(self.space):
            raise TuningRequestError("a grid has no ranges: give lists, or draw from them with --random and --n-iter")
        if self.n_iter is not None and self.n_iter < 1:
            raise TuningRequestError(f"n_iter must be at least 1, was {self.n_iter}")

    @property
    def n_draws(self) -> int | None:
        """Sets to draw; None to try all, as where no more are there than were to be drawn."""
        if self.n_iter is None or (not has_range(self.space) and n_combinations(self.space) <= self.n_iter):
            return None
        return self.n_iter

    @property
    def n_trials(self) -> int:
        return self.n_draws or n_combinations(self.space)

    def make_splitter(self) -> Splitter:
        """Return the splitter.

        Raises
        ------
        ParameterError
            For a parameter that is not allowed.
        TuningRequestError
            For one that it does not have.
        """
        from strategies.research import splitters

        make = getattr(splitters, SPLITTERS[self.splitter])
        unknown = set(self.splitting) - set(make.__dataclass_fields__)
        if unknown:
            raise TuningRequestError(f"the splitter {self.splitter} has no {', '.join(sorted(unknown))}")
        seed = {"random_state": self.seed} if "random_state" in make.__dataclass_fields__ else {}
        splitter: Splitter = make(**self.splitting, **seed)
        return splitter

    def as_config(self, bars: pd.DataFrame) -> dict[str, Any]:
        """Return what the trials depend on, as JSON has it."""
        plain = asdict(self)
        return {name: plain[name] for name in plain if name not in ("jobs", "note")} | {"bars": bars_hash(bars)}


def scorer_keys() -> list[str]:
    """Return the keys of the scorers."""
    from strategies.research.scorers import SCORERS

    return list(SCORERS)


def tune_strategy(request: TuningRequest, *, actor: Actor, progress: Progress) -> TuningRun:
    """Search, and keep all trials.

    Raises
    ------
    UnknownStrategyError, ParameterError, TuningRequestError, SplitError
        What is asked makes no sense, or not on so many bars.
    UnknownSymbolError, DataMissingError, HistoryError, BarsError
        Bars are missing.
    BackendError
        ``FIT_BACKEND`` cannot be used.
    """
    started = clock.mono()
    symbol = get_symbol(request.symbol).name
    bars = joined_bars(symbol, limit=request.history_hours)
    begin, end = bars.index[0].to_pydatetime(), bars.index[-1].to_pydatetime() + HOUR
    earlier = earlier_trials(symbol, begin, end)
    tuning = _search(request, bars, earlier, progress)
    with transaction.atomic():
        row = TuningRun.objects.create(
            symbol=symbol,
            strategy=request.strategy,
            begin_at=begin,
            end_at=end,
            config=request.as_config(bars) | {"symbol": symbol},
            seconds=clock.mono() - started,
            note=request.note,
            commit=commit(),
            created_by=actor.name,
            **_found(tuning),
        )
        announce("tunings", {"id": row.pk})
    return row


def earlier_trials(symbol: str, begin: datetime, end: datetime) -> dict[str, float]:
    """Return the annual Sharpe ratio of every different trial on the same sample, by what it tried.

    A trial is a strategy, its parameters and a splitter: tried again, the newest counts.
    """
    trials = {}
    for run in TuningRun.objects.on_sample(symbol, begin, end):
        for trial in run.trials if is_same_sample((begin, end), (run.begin_at, run.end_at)) else ():
            trials[trial_key(run.config, trial["params"])] = trial["sharpe"] or 0.0
    return trials


def trial_key(config: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """Return what a trial of a search tried, as text."""
    fixed = {name: config[name] for name in ("strategy", "splitter", "splitting", "seed")}
    return json.dumps(fixed | {"params": dict(params)}, sort_keys=True)


def _search(request: TuningRequest, bars: pd.DataFrame, earlier: Mapping[str, float], progress: Progress) -> Tuning:
    """Search, counting the earlier trials but for those that are made again."""
    from strategies.research import tuning
    from strategies.research.scorers import SCORERS

    splitter, strategy = request.make_splitter(), build(request.strategy)
    tried = candidates(request.space, n_draws=request.n_draws, seed=request.seed)
    again = {trial_key(asdict(request), params) for params in tried}
    progress.start(len(tried) * splitter.get_n_splits(), f"{request.strategy} on {request.symbol}")
    scorer = SCORERS[request.scorer]
    with fit_backend(request.jobs):
        return tuning.tune_strategy(
            strategy,
            bars,
            [{name: [value] for name, value in params.items()} for params in tried],
            splitter=splitter,
            # Workers elsewhere cannot tell us how far they are, nor be stopped before they are done.
            scorer=scorer if request.jobs != 1 else _Told(scorer, progress),
            earlier_sharpes=[sharpe for key, sharpe in earlier.items() if key not in again],
            n_jobs=request.jobs,
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """A scorer that tells of every fold that it scores; cancelled, it ends the search."""

    scorer: Scorer
    progress: Progress

    def __call__(self, estimator: OnBars, X: object, y: npt.ArrayLike) -> float:
        score = self.scorer(estimator, X, y)
        self.progress.advance("a fold scored")
        return score


def _found(tuning: Tuning) -> dict[str, Any]:
    """Return a search as its row keeps it."""
    data = tuning.as_data()
    return {name: data[name] for name in ("trials", "best", "n_trials", "n_bars", "lucky_sharpe", "luck")}


def as_document(row: TuningRun) -> dict[str, Any]:
    """Return a search as ``tune_strategy/1`` has it."""
    names = "symbol strategy trials best n_trials n_bars lucky_sharpe luck config seconds note commit created_by"
    return {"id": row.pk, "begin": row.begin_at, "end": row.end_at} | {
        name: getattr(row, name) for name in names.split()
    }
