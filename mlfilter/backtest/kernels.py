"""Where a trade ends, and what an account makes of one trade after the other.

A trade is decided at the close of bar ``t`` and entered at the open of ``t + 1``. Its stop and target are fractions
from there. Bar by bar: a bar that reaches the stop ends it, at the stop or, where it opens beyond, at its open; only a
bar that does not may end it at the target, in the same way. Which of the two a bar reaches first its four prices do not
tell, so the loss is taken. After ``horizon`` bars the next open ends it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from strategies.kernels.jit import Floats, Integers, compiled

Signs = npt.NDArray[np.int8]

OPEN, STOP, TARGET, TIMEOUT = range(4)  # why a trade ended; OPEN: it has not
SIGNAL_BAR, ENTRY_BAR, EXIT_BAR, SIGN, ENTRY, EXIT, QUANTITY, REASON, PNL, FEES, SPREAD, SLIPPAGE, RISKED, TRADE = (
    range(14)
)


class Prices(NamedTuple):
    """Bars, arrays of shape (n_bars,)."""

    open_: Floats
    high: Floats
    low: Floats
    close: Floats


class Plan(NamedTuple):
    """What is wanted at each bar's close, arrays of shape (n_bars,)."""

    sign: Signs  # 1 long, -1 short, 0 nothing
    stop: Floats  # fraction of the entry, above 0; NaN: no trade
    target: Floats
    day_before: Integers  # last bar of the day before the bar's own, UTC; -1: there is none


class Terms(NamedTuple):
    """How an account trades."""

    horizon: int  # bars
    half_spread: float  # costs: fractions of a fill's price
    slippage: float
    fee: float
    capital: float
    risk: float  # wanted loss at the stop, fraction of equity, before leverage
    most_risk: float  # largest loss at the stop, costs included, fraction of equity
    leverage: float
    step: float  # of quantities; 0: any quantity can be traded
    cooldown: int  # bars after a loss at whose close nothing is entered
    daily_loss: float  # fraction of the equity at the day's start


def first_exit_py(
    prices: Prices, entry_bar: int, sign: int, stop_pct: float, target_pct: float, horizon: int
) -> tuple[int, float, int]:
    """Return the bar, the price and the reason of a trade's end; bar -1, NaN and OPEN where the bars end before."""
    n_bars, end = prices.open_.size, entry_bar + horizon
    entry = prices.open_[entry_bar]
    stop, target = entry * (1.0 - sign * stop_pct), entry * (1.0 + sign * target_pct)
    for k in range(entry_bar, min(end, n_bars)):
        opening, high, low = prices.open_[k], prices.high[k], prices.low[k]
        if sign > 0:
            if low <= stop:
                return k, min(opening, stop), STOP
            if high >= target:
                return k, max(opening, target), TARGET
        else:
            if high >= stop:
                return k, max(opening, stop), STOP
            if low <= target:
                return k, min(opening, target), TARGET
    if end < n_bars:
        return end, prices.open_[end], TIMEOUT
    return -1, np.nan, OPEN


def exits_py(prices: Prices, plan: Plan, horizon: int) -> tuple[Integers, Floats, Integers]:
    """Return where a trade that is decided at each bar would end, each on its own.

    Returns
    -------
    bars : ndarray of shape (n_bars,), int64
        -1 where nothing is wanted, or the end is not known yet.
    at : ndarray of shape (n_bars,), float64
        Price, NaN likewise.
    reasons : ndarray of shape (n_bars,), int64
        OPEN likewise.
    """
    n_bars = plan.sign.size
    bars, at, reasons = np.full(n_bars, -1, np.int64), np.full(n_bars, np.nan), np.zeros(n_bars, np.int64)
    for t in range(n_bars - 1):
        stop, target = plan.stop[t], plan.target[t]
        if plan.sign[t] != 0 and stop > 0.0 and target > 0.0:
            bars[t], at[t], reasons[t] = first_exit(prices, t + 1, plan.sign[t], stop, target, horizon)
    return bars, at, reasons


def quantity_py(equity: float, entry: float, sign: int, stop_pct: float, terms: Terms) -> float:
    """Return the units to trade: the wanted risk, at most the largest loss and what the capital pays for."""
    cost = terms.half_spread + terms.slippage + terms.fee
    loss = stop_pct + cost * (2.0 - sign * stop_pct)  # at the stop, of a unit of currency in the position
    worth = min(equity * terms.risk / stop_pct * terms.leverage, equity * terms.most_risk / loss)
    units = max(min(worth, equity * terms.leverage), 0.0) / entry
    return float(np.floor(units / terms.step) * terms.step) if terms.step > 0.0 else units


def run_py(prices: Prices, plan: Plan, terms: Terms, equity: Floats, trades: Floats) -> int:
    """Trade what is wanted, one position at a time.

    Parameters
    ----------
    equity : ndarray of shape (n_bars,), float64
        Written to: at each bar's close, what is open at that close.
    trades : ndarray of shape (n_rows, TRADE), float64
        Written to, a row a trade; one that is open at the end is the last, with an exit bar of -1. There are at most as
        many as bars with something wanted.

    Returns
    -------
    n_trades : int
    """
    n_bars = plan.sign.size
    cash, count, free, t = terms.capital, 0, 0, 0
    while t < n_bars:
        equity[t] = cash
        if t >= free and t + 1 < n_bars and _is_wanted(plan, t) and not _is_day_lost(plan, terms, equity, cash, t):
            entry, sign = prices.open_[t + 1], plan.sign[t]
            units = quantity(cash, entry, sign, plan.stop[t], terms)
            if units > 0.0:
                row = trades[count]
                count += 1
                exit_bar, at, reason = first_exit(prices, t + 1, sign, plan.stop[t], plan.target[t], terms.horizon)
                row[SIGNAL_BAR], row[ENTRY_BAR], row[EXIT_BAR], row[REASON] = t, t + 1, exit_bar, reason
                row[SIGN], row[ENTRY], row[EXIT], row[QUANTITY] = sign, entry, at, units
                last = n_bars if reason == OPEN else exit_bar
                _book(row, prices.close[n_bars - 1] if reason == OPEN else at, plan.stop[t], reason != OPEN, terms)
                paid = units * entry * (terms.half_spread + terms.slippage + terms.fee)
                for k in range(t + 1, last):
                    equity[k] = cash - paid + sign * units * (prices.close[k] - entry)
                if reason == OPEN:
                    return count
                cash += row[PNL]
                free = exit_bar + terms.cooldown if row[PNL] < 0.0 else exit_bar
                t = exit_bar
                continue
        t += 1
    return count


def _is_wanted_py(plan: Plan, t: int) -> bool:
    """Tell whether a trade is wanted; NaN compares false."""
    return bool(plan.sign[t] != 0 and plan.stop[t] > 0.0 and plan.target[t] > 0.0)


def _is_day_lost_py(plan: Plan, terms: Terms, equity: Floats, cash: float, t: int) -> bool:
    """Tell whether the day on which the trade would be entered has lost what a day may."""
    before = plan.day_before[t + 1]
    start = terms.capital if before < 0 else equity[before]
    return bool(cash - start <= -terms.daily_loss * start)


def _book_py(row: Floats, price: float, stop_pct: float, is_closed: bool, terms: Terms) -> None:
    """Write what the trade earned and paid up to ``price``; one that is open has paid for its entry only."""
    entry, units = row[ENTRY], row[QUANTITY]
    traded = units * (entry + price) if is_closed else units * entry
    row[FEES], row[SPREAD], row[SLIPPAGE] = (
        traded * terms.fee,
        traded * terms.half_spread,
        traded * terms.slippage,
    )
    row[PNL] = row[SIGN] * units * (price - entry) - traded * (terms.fee + terms.half_spread + terms.slippage)
    row[RISKED] = units * entry * stop_pct


first_exit = compiled(first_exit_py)
exits = compiled(exits_py)
quantity = compiled(quantity_py)
_is_wanted = compiled(_is_wanted_py)
_is_day_lost = compiled(_is_day_lost_py)
_book = compiled(_book_py)
run = compiled(run_py)
