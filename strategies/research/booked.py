"""The PnL ledger of an account that was booked deal by deal, live or in a replay; ``courses`` says what counts when.

What deals and closes leave unexplained of the change of the account's equity is shared by the positions that were open
at the beginning and the end, by their worth: prices there are the last closes and the broker's are a little newer. With
none open it is the broker's rounding of every deal to cents, and belongs to the largest amount.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd

from strategies.kernels.jit import Floats
from strategies.research.courses import HOUR_MS, AccountPeriod, Entry, Open, course_of, epoch_ms
from strategies.research.pnl import AMOUNTS, ModelName, PnlError, PnlLedger, cents

UNATTRIBUTED = ModelName("unattributed", "")
CENT = 0.01


class Wish(NamedTuple):
    """What each model of a symbol wanted from a moment on."""

    at: datetime
    positions: Mapping[ModelName, float]


def booked_ledger(
    account: AccountPeriod, wishes: Mapping[str, Sequence[Wish]] | None = None
) -> tuple[PnlLedger, float]:
    """Return the ledger of an account, and how much of its ``net`` no price explained.

    Parameters
    ----------
    account : AccountPeriod
    wishes : mapping of str to sequence of Wish, optional
        For each symbol, in their order. A position that they do not explain (none yet, a sum of 0 or of the other
        side, a position that is not ours) belongs to ``UNATTRIBUTED``.

    Raises
    ------
    PnlError
        If the equity changed and nothing was held, or a symbol has no value of a lot.
    """
    entries: list[Entry] = []
    held: list[Open] = []
    for symbol, is_ours in dict.fromkeys((deal.symbol, deal.is_ours) for deal in account.deals):
        course = course_of(account, symbol, is_ours)
        entries += course.entries()
        held += course.open_positions()
    entries += _accrued(account, held)
    gap = float(account.net) - math.fsum(e.amount if e.kind == "gross" else -e.amount for e in entries)
    entries += _pro_rata("gross", gap, held)
    entries = [entry for entry in entries if entry.amount]
    if not entries and abs(gap) >= CENT:
        raise PnlError(f"the equity changed by {account.net}, and nothing was held: deals are missing")
    ledger = _ledger(entries, wishes)
    return in_whole_cents(ledger, account.net), gap


def in_whole_cents(ledger: PnlLedger, net: Decimal) -> PnlLedger:
    """Return the ledger with less than a cent added to each kind of amount, so that they add up to ``net`` in cents.

    Each kind is rounded, and the gross takes what is left; it is added to the row where the most is.
    """
    if not len(ledger):
        return ledger
    amounts = {name: values.copy() for name, values in ledger.amounts.items()}
    costs = 0
    for name in AMOUNTS[1:]:
        total = cents(math.fsum(amounts[name].tolist()))
        _add(amounts[name], total)
        costs += total
    _add(amounts["gross"], cents(float(net)) + costs)
    return replace(ledger, amounts=amounts)


def _add(values: Floats, total: int) -> None:
    """Bring a sum to whole cents, in its largest row."""
    values[np.argmax(np.abs(values))] += total / 100 - math.fsum(values.tolist())


def _accrued(account: AccountPeriod, held: Sequence[Open]) -> list[Entry]:
    """Return the swaps that wait on what is open at the end."""
    entries = []
    for symbol, swap in account.accrued.items():
        waiting = [position for position in held if position.is_last and position.symbol == symbol]
        entries += _pro_rata("swap", -swap, waiting)
    return entries


def _pro_rata(kind: str, amount: float, held: Sequence[Open]) -> list[Entry]:
    """Share an amount by what positions are worth; without any it is nobody's yet."""
    worth = math.fsum(position.worth for position in held)
    return [Entry(p.at_ms, p.at_ms, p.symbol, p.is_ours, p.side, kind, amount * p.worth / worth) for p in held]


def _ledger(entries: list[Entry], wishes: Mapping[str, Sequence[Wish]] | None) -> PnlLedger:
    """Return entries as a ledger, a row each, in the order of time."""
    entries = sorted(entries, key=lambda entry: entry.at_ms)
    symbols = tuple(sorted({entry.symbol for entry in entries}))
    amounts = {name: np.zeros(len(entries)) for name in AMOUNTS}
    for i, entry in enumerate(entries):
        amounts[entry.kind][i] = entry.amount
    opened = np.array([entry.at_ms - entry.at_ms % HOUR_MS for entry in entries], dtype="datetime64[ms]")
    return PnlLedger(
        at=pd.DatetimeIndex(opened, tz="UTC"),
        symbols=symbols,
        symbol=np.array([symbols.index(entry.symbol) for entry in entries], dtype=np.int64),
        side=np.array([entry.side for entry in entries], dtype=np.int64),
        amounts=amounts,
        shares={} if wishes is None else _shares(entries, wishes),
    )


def _shares(entries: Sequence[Entry], wishes: Mapping[str, Sequence[Wish]]) -> dict[ModelName, Floats]:
    """Return each model's share of each entry, by what models wanted when its position was taken."""
    names = dict.fromkeys(name for own in wishes.values() for wish in own for name in wish.positions)
    shares = {name: np.zeros(len(entries)) for name in (*names, UNATTRIBUTED)}
    times = {symbol: np.array([epoch_ms(wish.at) for wish in own]) for symbol, own in wishes.items()}
    for i, entry in enumerate(entries):
        place = int(np.searchsorted(times.get(entry.symbol, np.zeros(0)), entry.since_ms, side="right")) - 1
        positions = wishes[entry.symbol][place].positions if place >= 0 and entry.is_ours else {}
        total = math.fsum(positions.values())
        if total * entry.side <= 0:
            positions, total = {UNATTRIBUTED: 1.0}, 1.0
        for name, position in positions.items():
            shares[name][i] = position / total
    return shares if shares[UNATTRIBUTED].any() else {name: shares[name] for name in names}
