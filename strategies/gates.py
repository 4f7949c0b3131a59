"""What a version has to show before it may trade: gates, each with its figure.

``unseen bars``
    Enough bars came after those that it was fitted on.
``out of sample``
    On those its Sharpe ratio after costs is above the active version's. Both predict on the same bars at full weight;
    a version that trades and has seen some of them is flattered, which is on the safe side.
``reproducible``
    In a process of its own the stored file predicts what it predicts here, to the last bit, and fitting again on the
    same bars gives the same file.

Where nothing trades there is nothing to be better than: only the last gate is asked. A file that cannot be opened is no
gate but an error: nothing overrides it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from market.services import joined_bars
from strategies import families, registry
from strategies.errors import StrategyError
from strategies.lifecycle import active_in_slot
from strategies.manifests import ModelFileError
from strategies.models import FittedModel, RegistrySettings
from strategies.out_of_sample import Performance, at_full_weight, measure
from strategies.repetition import Repeated, repeat

if TYPE_CHECKING:
    from market.bars import BarArrays
    from strategies.registry import LoadedModel

UNSEEN, BETTER, REPRODUCIBLE = "unseen bars", "out of sample", "reproducible"
ALL_BARS = 10_000_000  # more than a thousand years of hours
FEWEST = 2  # bars that have a deviation
ROUNDING = 1e-6  # of a Sharpe: versions that differ by a factor alone are equal but for it, and neither is better
NOTHING_UNSEEN = "there are no unseen bars to measure on: fit with --hold-out, or let it shadow until there are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What one gate said."""

    name: str
    passed: bool
    figure: str

    def __str__(self) -> str:
        return f"{self.name}: {self.figure}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all gates said about one version, and which version traded then."""

    model: FittedModel
    active: FittedModel | None
    gates: tuple[Gate, ...]
    ours: Performance | None = None  # of the version, on bars that it has not seen
    theirs: Performance | None = None  # of the active one, on the same bars

    @property
    def failed(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)

    def as_data(self) -> dict[str, Any]:
        """Return the verdict as commands and pages show it."""
        return {
            "active": self.active.version if self.active else None,
            "gates": [asdict(gate) for gate in self.gates],
            "out_of_sample": self.ours.as_data() if self.ours else None,
            "active_out_of_sample": self.theirs.as_data() if self.theirs else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """How a version did beside the active one."""

    gates: tuple[Gate, ...] = ()
    ours: Performance | None = None
    theirs: Performance | None = None


def judge(models: Sequence[FittedModel]) -> list[Verdict]:
    """Return what the gates say about each version; one fresh process checks all of them. Nothing is changed.

    Raises
    ------
    ModelFileError
        A version's file cannot be opened.
    StrategyError, MarketError
        A version cannot predict on today's bars, or there are none.
    FreshProcessError
        The process that checks them failed.
    """
    verdicts = {model.pk: verdict for model, verdict in families.judged(models, _judge_strategies)}
    return [verdicts[model.pk] for model in models]


def _judge_strategies(models: Sequence[FittedModel]) -> list[Verdict]:
    rules = RegistrySettings.current()
    opened = [(model, registry.load(model), active_in_slot(model)) for model in models]
    compared = [_compare(model, loaded, active, rules) for model, loaded, active in opened]
    repeated = repeat([(model, loaded) for model, loaded, _ in opened])
    return [
        Verdict(model=model, active=active, gates=(*both.gates, _repeats(again)), ours=both.ours, theirs=both.theirs)
        for (model, _, active), both, again in zip(opened, compared, repeated, strict=True)
    ]


def _repeats(again: Repeated) -> Gate:
    return Gate(name=REPRODUCIBLE, passed=again.is_same, figure=again.figure)


def _compare(model: FittedModel, loaded: LoadedModel, active: FittedModel | None, rules: RegistrySettings) -> _Compared:
    """Return how a version did beside the active one on the bars that it has not seen."""
    from market.bars import bar_arrays

    if active is None or active == model:
        return _Compared()
    bars = joined_bars(model.symbol.name, ALL_BARS)
    bars = bars[bars.index >= model.fit_from]
    n_unseen = int((bars.index > model.fit_to).sum())
    unseen = _unseen(n_unseen, rules.unseen_bars)
    if n_unseen < FEWEST:
        return _Compared(gates=(unseen, Gate(name=BETTER, passed=False, figure=NOTHING_UNSEEN)))
    arrays, start = bar_arrays(bars), max(len(bars) - n_unseen, FEWEST)
    ours = _performance(loaded, arrays, start, rules)
    try:
        theirs = _performance(registry.load(active), arrays, start, rules)
    except (ModelFileError, StrategyError) as error:
        figure = f"Sharpe {_sharpe(ours)}; the active v{active.version} cannot say: {error}"
        return _Compared(gates=(unseen, Gate(name=BETTER, passed=True, figure=figure)), ours=ours)
    n_seen = int((bars.index[start:] <= active.fit_to).sum())
    better = _better(ours, theirs, _named(active, n_seen), rules.min_sharpe_gain)
    return _Compared(gates=(unseen, better), ours=ours, theirs=theirs)


def _named(active: FittedModel, n_seen: int) -> str:
    return f"the active v{active.version}" + (f", which was fitted on {n_seen} of them" if n_seen else "")


def _unseen(n_unseen: int, needed: int) -> Gate:
    figure = f"{n_unseen} bars after the fit, at least {needed} are needed"
    return Gate(name=UNSEEN, passed=n_unseen >= needed, figure=figure)


def _performance(loaded: LoadedModel, bars: BarArrays, start: int, rules: RegistrySettings) -> Performance:
    import numpy as np

    from strategies import blocks

    positions = at_full_weight(loaded.estimator).predict(bars).to_numpy(dtype=np.float64)
    return measure(positions, blocks.returns(bars), start=start, costs=rules.costs)


def _better(ours: Performance, theirs: Performance, active: str, gain: float) -> Gate:
    """Return the gate; a version that never moves has no Sharpe and is not better, one that trades so counts as 0."""
    needed = (theirs.sharpe or 0.0) + gain
    passed = ours.sharpe is not None and ours.sharpe > needed + ROUNDING
    more = f" and {gain:g} more" if gain else ""
    figure = (
        f"Sharpe (365 d, after costs) {_sharpe(ours)} on {ours.n_bars} unseen bars, "
        f"must be above {_sharpe(theirs)}{more} of {active}"
    )
    return Gate(name=BETTER, passed=passed, figure=figure)


def _sharpe(performance: Performance) -> str:
    return "none" if performance.sharpe is None else f"{performance.sharpe:+.4f}"
