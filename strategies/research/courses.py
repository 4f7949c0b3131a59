"""What happened to each symbol of an account that was booked deal by deal, event by event.

Between two deals, or from a deal to the next close of a bar, a symbol's lots earn what their price moves. A deal counts
at its own price, so that a spread or slippage that is known of it is added to what was earned and to the costs alike.
Commission counts with its deal, a swap when the broker books it: with the close.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd

from strategies.kernels.jit import Floats, Integers
from strategies.research.pnl import PnlError

LOT_PLACES = 8  # finer than any venue's volume step
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One execution as the broker booked it; money in account currency.

    Attributes
    ----------
    at : datetime
        UTC.
    lots : float
        Signed.
    swap, commission : float
        As brokers book them: negative where paid.
    spread, slippage : float
        What is known of them: positive where paid, and part of the price.
    unopened : float or None
        The result of a close whose opening is not known, so that its lots were never held here; else None.
    is_ours : bool
        Whether our models wanted it.
    """

    at: datetime
    symbol: str
    lots: float
    price: float
    swap: float = 0.0
    commission: float = 0.0
    spread: float = 0.0
    slippage: float = 0.0
    unopened: float | None = None
    is_ours: bool = True

    @property
    def enters(self) -> float:
        """Signed lots that it adds to what is held here."""
        return self.lots if self.unopened is None else 0.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AccountPeriod:
    """What is known of an account over a period.

    Attributes
    ----------
    begin, end : datetime
        Deals of ``[begin, end)`` belong to it; earlier ones say what was held.
    net : Decimal
        How its equity changed, less money that was paid in or out.
    deals : sequence of Deal
        In their order, from the first one of the account on.
    closes : DataFrame of shape (n_bars, n_symbols)
        By the time at which each bar closed; NaN where a symbol has none.
    lot_values : mapping of str to float
        What a lot gains in account currency when its price rises by 1.
    accrued : mapping of str to float
        Swaps that wait on open positions at the end, as the broker shows them.
    """

    begin: datetime
    end: datetime
    net: Decimal
    deals: Sequence[Deal]
    closes: pd.DataFrame
    lot_values: Mapping[str, float]
    accrued: Mapping[str, float] = field(default_factory=dict)


class Entry(NamedTuple):
    """One amount: of which kind, on which position, and since when that was held."""

    since_ms: int
    at_ms: int
    symbol: str
    is_ours: bool
    side: int
    kind: str
    amount: float


class Open(NamedTuple):
    """A position when the period begins, or just before it ends."""

    is_last: bool
    at_ms: int
    symbol: str
    is_ours: bool
    side: int
    worth: float


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What happened to one symbol: events in their order, of deals and of closes.

    Attributes
    ----------
    at_ms : ndarray of shape (n_events,), int64
    price : ndarray of shape (n_events,), float64
    lots : ndarray of shape (n_events,), float64
        Held after each event.
    row : ndarray of shape (n_events,), int64
        Which deal it is; -1 for a close.
    first, last : int
        The events at the beginning and the end of the period.
    """

    symbol: str
    is_ours: bool
    deals: list[Deal]
    lot_value: float
    at_ms: Integers
    price: Floats
    lots: Floats
    row: Integers
    first: int
    last: int

    def entries(self) -> Iterator[Entry]:
        """Yield what every stretch of the period earned and every deal in it cost."""
        gross = self.lots[:-1] * np.diff(self.price) * self.lot_value
        for i in range(self.first, self.last):
            if self.lots[i]:
                yield self._entry(i, float(self.lots[i]), "gross", float(gross[i]))
            if self.row[i + 1] >= 0 and i + 1 < self.last:
                yield from self._costs(i + 1)

    def open_positions(self) -> Iterator[Open]:
        """Yield what is held when the period begins, and when it ends."""
        for i in (self.first, self.last):
            worth = float(self.lots[i] * self.price[i]) * self.lot_value
            if worth:
                is_last = i == self.last
                at_ms = int(self.at_ms[i]) - is_last
                yield Open(is_last, at_ms, self.symbol, self.is_ours, int(np.sign(worth)), abs(worth))

    def _costs(self, i: int) -> Iterator[Entry]:
        """Yield the costs of a deal, shared by volume between what it leaves and what it enters."""
        deal, before, after = self.deals[self.row[i]], float(self.lots[i - 1]), float(self.lots[i])
        kept = min(abs(before), abs(after)) if before * after > 0 else 0.0
        leaving, entering = abs(before) - kept, abs(after) - kept
        costs = {"spread": deal.spread, "slippage": deal.slippage, "commission": -deal.commission}
        # What the price hides was earned at the middle, and paid.
        gross = deal.spread + deal.slippage + (deal.unopened or 0.0)
        left = before or -deal.lots or 1.0  # the side of what it closes; a correction by the broker has no lots
        yield self._entry(i - 1, left, "swap", -deal.swap, at=i)
        if not leaving + entering:
            leaving = 1.0
        for lots, side, since in ((leaving, left, i - 1), (entering, after, i)):
            for kind, amount in (costs | {"gross": gross}).items():
                yield self._entry(since, side, kind, amount * lots / (leaving + entering), at=i)

    def _entry(self, since: int, side: float, kind: str, amount: float, *, at: int | None = None) -> Entry:
        at_ms = int(self.at_ms[since if at is None else at])
        return Entry(int(self.at_ms[since]), at_ms, self.symbol, self.is_ours, int(np.sign(side)), kind, amount)


def course_of(account: AccountPeriod, symbol: str, is_ours: bool) -> Course:
    own = (deal for deal in account.deals if (deal.symbol, deal.is_ours) == (symbol, is_ours))
    deals = sorted(own, key=lambda deal: deal.at)
    if symbol not in account.lot_values and any(deal.enters for deal in deals):
        raise PnlError(f"it is not known what a lot of {symbol} is worth")
    begin, end = epoch_ms(account.begin), epoch_ms(account.end)
    hours = np.arange(begin - begin % HOUR_MS + HOUR_MS, end, HOUR_MS)
    bounds = np.concatenate([[begin], hours[hours > begin], [end]]).astype(np.int64)
    times = np.array([epoch_ms(deal.at) for deal in deals], dtype=np.int64)
    at_ms = np.concatenate([bounds, times])
    order = np.argsort(at_ms, kind="stable")  # a deal of the very moment comes after the bound
    row = np.concatenate([np.full(bounds.size, -1), np.arange(times.size)])[order]
    traded = [deal.price if deal.enters else np.nan for deal in deals]
    prices = np.concatenate([_marks(account.closes, symbol, bounds), traded])[order]
    held = np.round(np.cumsum([deal.enters for deal in deals]), LOT_PLACES)
    seen = np.maximum.accumulate(row)  # the newest deal; they are in their order
    where = np.flatnonzero(row < 0)
    return Course(
        symbol=symbol,
        is_ours=is_ours,
        deals=deals,
        lot_value=account.lot_values.get(symbol, 0.0),
        at_ms=at_ms[order],
        price=pd.Series(prices).ffill().bfill().to_numpy(),
        lots=np.where(seen < 0, 0.0, held[np.maximum(seen, 0)]),
        row=row,
        first=int(where[0]),
        last=int(where[-1]),
    )


def _marks(closes: pd.DataFrame, symbol: str, at_ms: Integers) -> Floats:
    """Return the last close at each moment, NaN before the first."""
    if symbol not in closes:
        return np.full(at_ms.size, np.nan)
    known = closes[symbol].dropna()
    places = np.searchsorted(pd.DatetimeIndex(known.index).as_unit("ms").asi8, at_ms, side="right") - 1
    values = np.concatenate([known.to_numpy(dtype=np.float64), [np.nan]])
    return np.asarray(values[places])  # -1 is the NaN


def epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
