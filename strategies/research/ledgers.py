"""A backtest's PnL ledger: what each stretch of each bar earned and paid, and which models wanted it.

A bar has up to three stretches: from the last close to the open, on what was held before its slot; from the open on;
and from the early slot to the close. A fill's costs are shared by volume between the position that it leaves, in the
stretch before it, and the one that it enters, in the stretch after.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from strategies.kernels.backtest import CARRY, EARLY, SLOT
from strategies.kernels.course import Course, Terms
from strategies.kernels.jit import Floats, Integers
from strategies.research.backtest import BacktestResult
from strategies.research.fills import Fills
from strategies.research.pnl import AMOUNTS, ModelName, PnlError, PnlLedger

STRETCHES = 3
FILL_COSTS = ("spread", "slippage", "commission")

ModelPositions = Mapping[ModelName, npt.ArrayLike]


class _Part(NamedTuple):
    """One symbol's rows of a ledger."""

    bar: Integers
    side: Integers
    amounts: Mapping[str, Floats]
    decision: Integers  # the bar whose decision the position follows


def ledger_of(result: BacktestResult, models: Mapping[str, ModelPositions] | None = None) -> PnlLedger:
    """Return the ledger of a backtest; its amounts add up to the backtest's gross and costs.

    Parameters
    ----------
    result : BacktestResult
    models : mapping of str to mapping of ModelName to array of shape (n_bars,), optional
        For each symbol, what each of its models wanted at each bar's close, before the sum was clipped and rounded.

    Raises
    ------
    PnlError
        If models are not given for every symbol, or a position that is held follows a sum of models that is 0 or of
        the other side: then these models are not where the backtest's positions came from.
    """
    if models is not None and set(models) != set(result.symbols):
        raise PnlError(f"models must be of {', '.join(result.symbols)}, were of {', '.join(models)}")
    timeline = result.timeline
    parts = [_part(timeline.course(row), result.fills.of(row), result.terms[row]) for row in range(len(result.symbols))]
    bars = np.concatenate([part.bar for part in parts])
    order = np.argsort(bars, kind="stable")
    symbols = np.repeat(np.arange(len(parts)), [part.bar.size for part in parts])
    shares = {} if models is None else _shares(parts, [models[symbol] for symbol in result.symbols], result.symbols)
    return PnlLedger(
        at=timeline.index[bars[order]],
        symbols=result.symbols,
        symbol=symbols[order],
        side=np.concatenate([part.side for part in parts])[order],
        amounts={name: np.concatenate([part.amounts[name] for part in parts])[order] for name in AMOUNTS},
        shares={name: share[order] for name, share in shares.items()},
    )


def _part(course: Course, fills: Fills, terms: Terms) -> _Part:
    """Return a symbol's rows: of every stretch with a position, by bar."""
    coins = _held(course, fills) * terms.contract
    amounts = _costs(course, fills, coins.shape) | _carried(course, coins, terms) | {"gross": _gross(course, coins)}
    bar, stretch = np.nonzero(coins)
    return _Part(
        bar=bar,
        side=np.sign(coins[bar, stretch]).astype(np.int64),
        amounts={name: amounts[name][bar, stretch] for name in AMOUNTS},
        decision=_decisions(course)[bar, stretch],
    )


def _held(course: Course, fills: Fills) -> Floats:
    """Return the lots held over each stretch, shape (n_bars, STRETCHES)."""
    n_bars = course.close.size
    after = np.full(2 * n_bars, np.nan)  # of the slots at each bar's open and before its end
    after[2 * fills.bar + fills.is_early] = fills.after
    last = np.maximum.accumulate(np.where(np.isnan(after), -1, np.arange(after.size)))
    held = np.where(last < 0, 0.0, after[np.maximum(last, 0)])
    return np.column_stack([np.concatenate([[0.0], held[1:-1:2]]), held[::2], held[1::2]])


def _gross(course: Course, coins: Floats) -> Floats:
    has_early = (course.marks & EARLY) != 0
    split = np.where(has_early, course.early, course.close)
    before = np.concatenate([course.open_[:1], course.close[:-1]])
    moves = [course.open_ - before, split - course.open_, course.close - split]
    return np.asarray(coins * np.column_stack(moves))


def _carried(course: Course, coins: Floats, terms: Terms) -> dict[str, Floats]:
    """Return nights and funding, which are charged on what was held before the slot."""
    swap, funding = np.zeros(coins.shape), np.zeros(coins.shape)
    due = (course.marks & CARRY) != 0
    held = coins[due, 0]
    swap[due, 0] = -held * course.nights[due] * np.where(held > 0, terms.night_long, -terms.night_short)
    funding[due, 0] = held * course.funding[due] * terms.funding_rate
    return {"swap": swap, "funding": funding}


def _costs(course: Course, fills: Fills, shape: tuple[int, ...]) -> dict[str, Floats]:
    """Return the costs of fills, in the stretches before and after them."""
    leaving, entering = fills.split()
    left = leaving / (leaving + entering)
    before = fills.is_early.astype(np.int64)
    costs = {}
    for name in FILL_COSTS:
        paid = getattr(fills, name)
        costs[name] = np.zeros(shape)
        np.add.at(costs[name], (fills.bar, before), paid * left)
        np.add.at(costs[name], (fills.bar, before + 1), paid * (1.0 - left))
    return costs


def _decisions(course: Course) -> Integers:
    """Return the bar whose decision each stretch follows, shape (n_bars, STRETCHES); -1 before the first."""
    taken = np.maximum.accumulate(np.where(course.marks & SLOT, course.decided.astype(np.int64), -1))
    before = np.concatenate([[-1], taken[:-1]])
    return np.column_stack([before, taken, taken])


def _shares(parts: list[_Part], models: list[ModelPositions], symbols: tuple[str, ...]) -> dict[ModelName, Floats]:
    """Return each model's share of all rows: its position over the sum of all of the symbol's, 0 of other symbols'."""
    shares = {name: np.zeros(sum(part.bar.size for part in parts)) for own in models for name in own}
    begin = 0
    for part, own, symbol in zip(parts, models, symbols, strict=True):
        rows = slice(begin, begin + part.bar.size)
        wishes = {name: np.asarray(wish, dtype=np.float64)[part.decision] for name, wish in own.items()}
        total = np.sum(list(wishes.values()), axis=0) if wishes else np.zeros(part.bar.size)
        if (total * part.side <= 0).any():
            raise PnlError(f"the models of {symbol} do not explain its positions: their sum is on another side, or 0")
        for name, wish in wishes.items():
            shares[name][rows] = wish / total
        begin += part.bar.size
    return shares
