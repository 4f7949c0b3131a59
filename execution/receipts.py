"""A stored live day against its replay: every trade labelled by whether the same code does the same again.

The replay has the bars of then and the portfolio, settings and models of now, an account that begins with the balance
of then, and prices inside the hours that are made up. ``docs/research.md`` says what follows from that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from execution.errors import NoDecisionError
from execution.lived_days import SIGNS, LivedDay, lived_day
from execution.sessions.sandbox import ReplayTerms, replay_in_sandbox
from execution.sessions.slots import HOUR
from market.errors import DataMissingError
from market.models import Symbol
from market.reading import joined_bars
from ops.progress import Progress

TOLERANCE = 0.001  # of the price [chosen]: half-spreads and 45 seconds of a quiet hour

Key = tuple[str, str, str]  # slot, symbol, side


class Label(StrEnum):
    """What became of a trade."""

    SAME = "same"
    PRICE_GAP = "price gap"  # same slot, symbol, side and volume, at a price that is farther away than tolerated
    MISSED = "missed"  # the replay trades it, and the day did not
    EXTRA = "extra"  # the day traded it, and the replay does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """All deals of a slot in one direction: how they are split depends on tickets, which a replay has others of."""

    volume: Decimal
    price: Decimal  # mean by volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One trade, lived or replayed or both; a price is None on the side that lacks it."""

    slot: str
    symbol: str
    side: str
    volume: Decimal
    price: Decimal | None
    replayed_price: Decimal | None
    label: Label

    @property
    def gap(self) -> Decimal | None:
        """The lived price above the replayed one, as a fraction of that."""
        if self.price is None or self.replayed_price is None:
            return None
        return self.price / self.replayed_price - 1

    def as_data(self) -> dict[str, Any]:
        return asdict(self) | {"price_gap": self.gap}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A day's comparison."""

    day: date
    begin: datetime
    end: datetime
    trades: tuple[Compared, ...]
    warnings: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many trades have each label."""
        found = Counter(trade.label for trade in self.trades)
        return {label.value: found[label] for label in Label}

    @property
    def is_same(self) -> bool:
        return all(trade.label is Label.SAME for trade in self.trades)

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``backtest_receipt/1``."""
        trades = [trade.as_data() for trade in self.trades]
        return {"day": self.day, "begin": self.begin, "end": self.end, "counts": self.counts, "trades": trades}


def make_receipt(day: date, *, progress: Progress, tolerance: float = TOLERANCE) -> Receipt:
    """Replay the sessions of a day (UTC) and compare what was traded.

    Parameters
    ----------
    tolerance : float, default=0.001
        How far apart prices may be, as a fraction.

    Raises
    ------
    NoDecisionError
        No session of that day is stored.
    DataMissingError
        None of its bars is.
    ExecutionError
        The replay failed.
    """
    lived = lived_day(day)
    if lived is None:
        raise NoDecisionError(f"no session of {day} is stored: sessions are kept from the first one on")
    end = min(lived.last + HOUR, _stored_until(lived.symbols))
    if end <= lived.first:
        raise DataMissingError(f"the bars of {day} are not stored yet: run `manage.py data_update`")
    is_held = any(lived.held.values())
    begin = lived.first - HOUR if is_held else lived.first  # a slot more, to buy again what was held
    terms = ReplayTerms(
        begin=begin, end=end, margin_mode=lived.margin_mode, balance=float(lived.balance), spread=lived.spread
    )
    fills = replay_in_sandbox(terms, lived.symbols, progress=progress)["fills"]
    slots = lived.slots_until(end)
    return Receipt(
        day=day,
        begin=lived.first,
        end=end,
        trades=tuple(
            compare(traded(lived.fills(slots)), traded(fill for fill in fills if fill["slot"] in slots), tolerance)
        ),
        warnings=(*lived.warnings, *_not_alike(lived, slots), *_held_otherwise(lived, fills)),
    )


def compare(lived: Mapping[Key, Traded], replayed: Mapping[Key, Traded], tolerance: float) -> Iterator[Compared]:
    """Yield every trade of either with its label, in the order of slots; another volume is another trade."""
    for key in sorted({*lived, *replayed}):
        ours, theirs = lived.get(key), replayed.get(key)
        if ours and theirs and ours.volume == theirs.volume:
            both = _row(key, ours.volume, ours.price, theirs.price, Label.SAME)
            is_near = both.gap is not None and abs(both.gap) <= tolerance
            yield both if is_near else replace(both, label=Label.PRICE_GAP)
            continue
        if ours:
            yield _row(key, ours.volume, ours.price, None, Label.EXTRA)
        if theirs:
            yield _row(key, theirs.volume, None, theirs.price, Label.MISSED)


def traded(fills: Iterable[Mapping[str, Any]]) -> dict[Key, Traded]:
    """Return what deals of ``slot, symbol, side, volume, price`` amount to."""
    volumes: defaultdict[Key, Decimal] = defaultdict(Decimal)
    worths: defaultdict[Key, Decimal] = defaultdict(Decimal)
    for fill in fills:
        key, volume = (fill["slot"], fill["symbol"], fill["side"]), Decimal(fill["volume"])
        volumes[key] += volume
        worths[key] += volume * Decimal(fill["price"])
    return {key: Traded(volume=volume, price=worths[key] / volume) for key, volume in volumes.items()}


def _row(key: Key, volume: Decimal, price: Decimal | None, replayed: Decimal | None, label: Label) -> Compared:
    slot, symbol, side = key
    return Compared(
        slot=slot, symbol=symbol, side=side, volume=volume, price=price, replayed_price=replayed, label=label
    )


def _stored_until(symbols: Sequence[Symbol]) -> datetime:
    """Return when the newest bar closed that every symbol has."""
    newest: datetime = min(joined_bars(symbol.name, limit=1).index[-1].to_pydatetime() for symbol in symbols)
    return newest + HOUR


def _not_alike(lived: LivedDay, slots: Sequence[str]) -> Iterator[str]:
    """Say which sessions were not replayed, and which were replayed and never run."""
    late = [slot for slot in lived.decided if slot not in slots]
    if late:
        yield f"{len(late)} sessions from slot {late[0]} on are left out: their bars are not stored yet"
    idle = [slot for slot in slots if slot not in lived.decided]
    if idle:
        yield f"{len(idle)} slots were not run, first {idle[0]}: the replay ran them"


def _held_otherwise(lived: LivedDay, fills: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say where the replay began the day with another position: its first trade there cannot be the same."""
    setup = [fill for fill in fills if fill["slot"] and fill["slot"] < lived.first_slot]
    bought: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in setup:
        bought[fill["symbol"]] += SIGNS[fill["side"]] * Decimal(fill["volume"])
    names = sorted({*bought, *lived.held})
    return [
        f"{name} began the day with {lived.held.get(name, Decimal(0)).normalize():f} lots, the replay with "
        f"{bought[name].normalize():f}"
        for name in names
        if lived.held.get(name, Decimal(0)) != bought[name]
    ]
