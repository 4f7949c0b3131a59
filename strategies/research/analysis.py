"""The analysis of a result: who earned it, whether that was luck, and what could have happened instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pandas as pd

from strategies.errors import ParameterError
from strategies.estimators.parameters import Allowed, Whole, check_parameters
from strategies.kernels.jit import Floats
from strategies.research.permutation import PermutationTest, permutation_test
from strategies.research.pnl import AMOUNTS, DIMENSIONS, Decomposition, PnlLedger, decompose
from strategies.research.portfolio_permutation import portfolio_permutation_test
from strategies.research.resampling import Blocks
from strategies.research.simulation import LossRules, Simulation, SimulationPlan, days_of, simulate

HOURS_A_DAY = 24
WEEK = 7 * HOURS_A_DAY
FEWEST_HOURS = 4 * HOURS_A_DAY  # from which another course can be drawn at all
OF_MODELS = ("strategy", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a result.

    Parameters
    ----------
    rules : LossRules
        Limits and target, fractions of the capital.
    days : int, default=30
        That a simulated course lasts.
    n_paths, n_resamples : int, default=1000
    block_hours : int, default=24
        Of a permutation: what is moved together.
    seed : int, default=0
        The same seed gives the same answer.

    Raises
    ------
    ParameterError
    """

    rules: LossRules = field(default_factory=LossRules)
    days: int = 30
    n_paths: int = 1000
    n_resamples: int = 1000
    block_hours: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        allowed: dict[str, Allowed] = dict.fromkeys(("days", "n_paths", "n_resamples", "block_hours"), Whole(1))
        allowed["seed"] = Whole(0)
        check_parameters("analysis", allowed, {name: getattr(self, name) for name in allowed})
        if self.days > 3650:
            raise ParameterError(f"analysis: days must be a whole number from 1 to 3650, was {self.days}")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Facts:
    """What a result is known by.

    Attributes
    ----------
    ledger : PnlLedger
    positions, returns : DataFrame of shape (n_bars, n_symbols)
        See ``holdings.positions_and_returns``.
    earned : Series of shape (n_hours,)
        After costs, fractions of the capital, by the end of each step of about an hour.
    """

    ledger: PnlLedger
    positions: pd.DataFrame
    returns: pd.DataFrame
    earned: pd.Series


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Analysis:
    """The answers. What could not be answered is None or left out, and ``warnings`` says why."""

    decompositions: tuple[Decomposition, ...]
    permutation: PermutationTest | None
    by_symbol: Mapping[str, PermutationTest]
    simulation: Simulation | None
    block_hours: int
    warnings: tuple[str, ...]


def analyse(facts: Facts, question: Question) -> Analysis:
    """Answer a question."""
    known = [by for by in DIMENSIONS if facts.ledger.shares or by not in OF_MODELS]
    warnings: list[str] = []
    permutation, by_symbol = _permuted(facts, question, warnings)
    length = min(WEEK, len(facts.earned) // 4)
    return Analysis(
        decompositions=tuple(decompose(facts.ledger, by) for by in known),
        permutation=permutation,
        by_symbol=by_symbol,
        simulation=_simulated(facts.earned, question, length, warnings),
        block_hours=length,
        warnings=tuple(warnings),
    )


def net_by_hour(ledger: PnlLedger, hours: pd.DatetimeIndex) -> pd.Series:
    """Return what a ledger earned after costs in each of some hours, by their open times; account currency."""
    costs = np.sum([ledger.amounts[name] for name in AMOUNTS[1:]], axis=0)
    net = pd.Series(ledger.amounts["gross"] - costs, index=ledger.at)
    return net.groupby(level=0).sum().reindex(hours, fill_value=0.0)


def _permuted(
    facts: Facts, question: Question, warnings: list[str]
) -> tuple[PermutationTest | None, dict[str, PermutationTest]]:
    n_bars, needed = len(facts.returns), 2 * question.block_hours + 1
    if n_bars < needed:
        warnings.append(f"a permutation test needs at least {needed} hours, had {n_bars}")
        return None, {}
    how = {"block_length": question.block_hours, "n_resamples": question.n_resamples, "seed": question.seed}
    by_symbol = {
        str(name): permutation_test(facts.positions[name], facts.returns[name], **how) for name in facts.positions
    }
    if len(by_symbol) == 1:
        return next(iter(by_symbol.values())), by_symbol
    held, returned = (_values(frame) for frame in (facts.positions, facts.returns))
    return portfolio_permutation_test(held, returned, **how), by_symbol


def _values(frame: pd.DataFrame) -> Floats:
    return frame.to_numpy(dtype=np.float64)


def _simulated(earned: pd.Series, question: Question, length: int, warnings: list[str]) -> Simulation | None:
    if len(earned) < FEWEST_HOURS:
        warnings.append(f"a simulation needs at least {FEWEST_HOURS} hours, had {len(earned)}")
        return None
    plan = SimulationPlan(
        n_paths=question.n_paths, blocks=Blocks(length=length), rules=question.rules, seed=question.seed
    )
    first = pd.Timestamp(earned.index[-1]).floor("h")
    hours = pd.date_range(first, periods=question.days * HOURS_A_DAY, freq=timedelta(hours=1))
    return simulate(earned.to_numpy(dtype=np.float64), days_of(hours), plan)
