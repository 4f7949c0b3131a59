"""Who earned it, and what it cost: PnL by symbol, strategy, model, side, weekday and hour, to the cent.

A ledger has a row for each stretch of a bar over which one position of one symbol was held. Rows add up to all that the
account earned; a decomposition adds them by group, rounds every amount to cents by largest remainders, and so has the
same totals however it is grouped.

Models are paid **pro rata of their positions, with their signs**: a model that wanted 0.6 while another wanted -0.2 has
1.5 of what the 0.4 they held together earned and cost, the other has -0.5. So a model that was against a trade that
lost is credited, and what rounding to lots left over is shared alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from strategies.kernels.jit import Floats, Integers
from strategies.research.costs import COST_KINDS
from strategies.research.errors import ResearchError

AMOUNTS = ("gross", *COST_KINDS)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SIDES = {1: "long", -1: "short"}
CENT = Decimal("0.01")


class PnlError(ResearchError):
    """A ledger that cannot be decomposed like that."""


class ModelName(NamedTuple):
    """A fitted model: its strategy's key and the variant."""

    strategy: str
    variant: str

    def __str__(self) -> str:
        return f"{self.strategy} {self.variant}".rstrip()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PnlLedger:
    """What positions earned and paid, stretch by stretch; arrays of shape (n_rows,).

    Attributes
    ----------
    at : DatetimeIndex
        Open time of the bar, UTC.
    symbol : int64
        Place in ``symbols``.
    side : int64
        1 long, -1 short.
    amounts : mapping of str to float64
        ``gross`` before costs, and each kind of cost, positive where it was paid; account currency.
    shares : mapping of ModelName to float64
        Each model's part of each row; they add up to 1. Empty where models are not known.
    """

    at: pd.DatetimeIndex
    symbols: tuple[str, ...]
    symbol: Integers
    side: Integers
    amounts: Mapping[str, Floats]
    shares: Mapping[ModelName, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if tuple(self.amounts) != AMOUNTS:
            raise PnlError(f"amounts must be {', '.join(AMOUNTS)}, were {', '.join(self.amounts)}")
        arrays = [self.symbol, self.side, *self.amounts.values(), *self.shares.values()]
        if any(array.shape != (len(self.at),) for array in arrays):
            raise PnlError(f"all arrays of a ledger must have shape ({len(self.at)},)")
        if not all(np.isfinite(amount).all() for amount in self.amounts.values()):
            raise PnlError("all amounts of a ledger must be finite")

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlRow:
    """Amounts of one group, or of all, in whole cents of the account's currency; costs positive where paid."""

    label: str
    gross: Decimal
    spread: Decimal
    slippage: Decimal
    commission: Decimal
    swap: Decimal
    funding: Decimal

    @property
    def costs(self) -> Decimal:
        """All costs."""
        return self.spread + self.slippage + self.commission + self.swap + self.funding

    @property
    def net(self) -> Decimal:
        """What is left."""
        return self.gross - self.costs

    def as_data(self) -> dict[str, Any]:
        """Return the row for JSON, amounts as text."""
        names = (*AMOUNTS, "costs", "net")
        return {"label": self.label} | {name: str(getattr(self, name)) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """PnL by one dimension. Every column of ``rows`` adds up to ``total``, which is the same for every dimension."""

    by: str
    rows: tuple[PnlRow, ...]
    total: PnlRow

    def frame(self) -> pd.DataFrame:
        """Return the rows as a table of floats, by label."""
        names = (*AMOUNTS, "costs", "net")
        data = [[float(getattr(row, name)) for name in names] for row in self.rows]
        return pd.DataFrame(data, index=pd.Index([row.label for row in self.rows], name=self.by), columns=list(names))


class Group(NamedTuple):
    """A label, and how much of each row belongs to it: all or nothing, or a model's share."""

    label: str
    share: npt.NDArray[Any]


def decompose(ledger: PnlLedger, by: str) -> Decomposition:
    """Return the ledger's amounts by one of ``DIMENSIONS``, groups in their natural order.

    Raises
    ------
    PnlError
        For another dimension, or models of a ledger that knows none.
    """
    if by not in DIMENSIONS:
        raise PnlError(f"no dimension {by!r}; known: {', '.join(DIMENSIONS)}")
    groups = list(DIMENSIONS[by](ledger)) if len(ledger) else []
    table = np.stack([ledger.amounts[name] for name in AMOUNTS])
    sums = np.array([table @ group.share.astype(np.float64) for group in groups]).reshape(len(groups), len(AMOUNTS))
    totals = [cents(math.fsum(column.tolist())) for column in table]  # exact, so the same in any order
    columns = [largest_remainder(sums[:, i], total) for i, total in enumerate(totals)]
    rows = tuple(_row(group.label, [column[i] for column in columns]) for i, group in enumerate(groups))
    return Decomposition(by=by, rows=rows, total=_row("total", totals))


def largest_remainder(amounts: Floats, total: int) -> Integers:
    """Return amounts in whole cents that add up to ``total`` cents: each rounded down, or up where most is cut off.

    >>> largest_remainder(np.array([0.336, 0.336, 0.328]), 100)
    array([34, 33, 33])
    """
    if not amounts.size:
        return np.zeros(0, dtype=np.int64)
    exact = amounts * 100.0
    whole = np.floor(exact).astype(np.int64)
    each, more = divmod(total - int(whole.sum()), whole.size)
    order = np.argsort(whole - exact, kind="stable")  # the largest remainder first, then the earlier group
    whole[order[:more]] += 1
    return whole + each


def cents(amount: float) -> int:
    """Return an amount of money in whole cents, halves to even."""
    return round(amount * 100.0)


def _row(label: str, amounts: Sequence[int]) -> PnlRow:
    return PnlRow(label=label, **{name: int(amount) * CENT for name, amount in zip(AMOUNTS, amounts, strict=True)})


def _by_symbol(ledger: PnlLedger) -> Iterable[Group]:
    return _by_code(ledger.symbol, dict(enumerate(ledger.symbols)))


def _by_side(ledger: PnlLedger) -> Iterable[Group]:
    return _by_code(ledger.side, SIDES)


def _by_weekday(ledger: PnlLedger) -> Iterable[Group]:
    return _by_code(ledger.at.day_of_week.to_numpy(), dict(enumerate(WEEKDAYS)))


def _by_hour(ledger: PnlLedger) -> Iterable[Group]:
    return _by_code(ledger.at.hour.to_numpy(), {hour: f"{hour:02d}" for hour in range(24)})


def _by_code(codes: npt.NDArray[Any], labels: Mapping[int, str]) -> Iterable[Group]:
    """Yield a group for each code that a row has, in the order of ``labels``."""
    return (Group(label, codes == code) for code, label in labels.items() if (codes == code).any())


def _by_model(ledger: PnlLedger) -> Iterable[Group]:
    _require_models(ledger)
    return (Group(str(name), share) for name, share in ledger.shares.items())


def _by_strategy(ledger: PnlLedger) -> Iterable[Group]:
    _require_models(ledger)
    strategies = dict.fromkeys(name.strategy for name in ledger.shares)
    return (
        Group(strategy, np.sum([share for name, share in ledger.shares.items() if name.strategy == strategy], axis=0))
        for strategy in strategies
    )


def _require_models(ledger: PnlLedger) -> None:
    if not ledger.shares:
        raise PnlError("this ledger knows no models: give their positions to ledger_of")


DIMENSIONS: dict[str, Callable[[PnlLedger], Iterable[Group]]] = {
    "symbol": _by_symbol,
    "strategy": _by_strategy,
    "model": _by_model,
    "side": _by_side,
    "weekday": _by_weekday,
    "hour": _by_hour,
}
