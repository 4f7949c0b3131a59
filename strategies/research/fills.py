"""What a backtest traded: its fills, and the trips from flat to flat that they make up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from strategies.kernels import backtest as kernel
from strategies.kernels.jit import Floats, Integers

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fills:
    """Executions in their order; all arrays have shape (n_fills,).

    Attributes
    ----------
    bar, symbol : int64
        Row in the timeline's index, and place in its symbols.
    is_early : bool
        Whether the early slot near the bar's end traded, not the one at its open.
    before, after : float64
        Signed lots held before and after.
    price : float64
        The bar's; costs come on top.
    spread, slippage, commission : float64
        Paid, account currency.
    """

    bar: Integers
    symbol: Integers
    is_early: Flags
    before: Floats
    after: Floats
    price: Floats
    spread: Floats
    slippage: Floats
    commission: Floats

    @classmethod
    def from_table(cls, table: Floats) -> Fills:
        """Return the fills that a kernel wrote, of shape (n_fills, FILL)."""
        columns = table.T.copy()
        return cls(
            bar=columns[kernel.BAR].astype(np.int64),
            symbol=columns[kernel.SYMBOL].astype(np.int64),
            is_early=columns[kernel.IS_EARLY] != 0,
            before=columns[kernel.BEFORE],
            after=columns[kernel.AFTER],
            price=columns[kernel.PRICE],
            spread=columns[kernel.SPREAD_PAID],
            slippage=columns[kernel.SLIPPAGE_PAID],
            commission=columns[kernel.COMMISSION_PAID],
        )

    def __len__(self) -> int:
        return len(self.bar)

    @property
    def lots(self) -> Floats:
        """Signed lots traded."""
        return self.after - self.before

    def split(self) -> tuple[Floats, Floats]:
        """Return the lots that left the position before, and those that entered the one after; neither is negative."""
        kept = np.where(self.before * self.after > 0, np.minimum(abs(self.before), abs(self.after)), 0.0)
        return abs(self.before) - kept, abs(self.after) - kept

    def of(self, symbol: int) -> Fills:
        """Return one symbol's fills."""
        chosen = self.symbol == symbol
        return Fills(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})

    def frame(self, index: pd.DatetimeIndex, symbols: tuple[str, ...]) -> pd.DataFrame:
        """Return the fills as a table with the open time of their bar and the name of their symbol."""
        columns = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("bar", "symbol")}
        return pd.DataFrame({"bar_at": index[self.bar], "symbol": np.array(symbols)[self.symbol], **columns})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A position from its opening to its end: flat, turned round, or the last bar, where ``closed`` is None."""

    symbol: str
    side: int  # 1 long, -1 short
    opened: int  # bar
    closed: int | None
    lots: float  # bought and sold in all, one way
    price_in: float  # averages by volume
    price_out: float  # the last close's, for what is still open
    gross: float
    costs: float  # of its fills: nights and funding are in the account's totals alone

    @property
    def net(self) -> float:
        """What it earned after the costs of its fills."""
        return self.gross - self.costs


def trips(fills: Fills, symbols: tuple[str, ...], *, last_closes: Floats, contract_sizes: Floats) -> tuple[Trip, ...]:
    """Return what fills make from flat to flat, symbol by symbol, in the order of opening.

    A fill that turns a position round ends one trip and begins another, and its costs are shared by volume.

    Parameters
    ----------
    last_closes, contract_sizes : ndarray of shape (n_symbols,), float64
        Prices that what is still open is valued at, and coins in a lot.
    """
    return tuple(
        trip
        for row, symbol in enumerate(symbols)
        for trip in _trips(fills.of(row), symbol, float(last_closes[row]), float(contract_sizes[row]))
    )


def _trips(fills: Fills, symbol: str, last_close: float, contract_size: float) -> Iterator[Trip]:
    parts: list[_Part] = []
    leaving, entering = fills.split()
    costs = (fills.spread + fills.slippage + fills.commission) / (leaving + entering)
    for i in range(len(fills)):
        price, share = float(fills.price[i]), float(costs[i])
        if leaving[i]:
            parts.append(_Part(-float(leaving[i]), price, share * float(leaving[i]), int(fills.bar[i])))
        if parts and fills.after[i] * fills.before[i] <= 0:
            yield _trip(parts, symbol, float(fills.before[i]), contract_size, closed=int(fills.bar[i]))
            parts = []
        if entering[i]:
            parts.append(_Part(float(entering[i]), price, share * float(entering[i]), int(fills.bar[i])))
    if parts:
        held = float(fills.after[-1])
        yield _trip([*parts, _Part(-abs(held), last_close, 0.0, -1)], symbol, held, contract_size, closed=None)


class _Part(NamedTuple):
    """What entered a trip, or left it if negative."""

    lots: float
    price: float
    costs: float
    bar: int


def _trip(parts: Sequence[_Part], symbol: str, held: float, contract_size: float, *, closed: int | None) -> Trip:
    side = 1 if held > 0 else -1
    lots = sum(part.lots for part in parts if part.lots > 0)
    paid = sum(part.lots * part.price for part in parts if part.lots > 0)
    got = -sum(part.lots * part.price for part in parts if part.lots < 0)
    return Trip(
        symbol=symbol,
        side=side,
        opened=parts[0].bar,
        closed=closed,
        lots=lots,
        price_in=paid / lots,
        price_out=got / lots,
        gross=side * (got - paid) * contract_size,
        costs=sum(part.costs for part in parts),
    )
