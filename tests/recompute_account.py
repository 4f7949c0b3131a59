"""The accounting of a simulated account, done a second time from the bar files and the bare facts of its deals.

It imports nothing of this project, so that a mistake there cannot be repeated here. Money is ``Decimal`` throughout.

The broker's rules, as its symbols and its documentation state them:

* **Commission** is a fraction of each deal's notional; **profit** is what a closed volume earned against the position's
  price. Both are booked in whole cents, halves away from zero. A netting position's price is the average of what was
  added to it, by volume, kept to eight decimals.
* **Swap** is charged at the server's midnight (New York 17:00), every night once: a 360th of the yearly rate on the
  price at which the position would close at that instant, in whole cents. A tick falls exactly on each hour's start,
  at the bar's open; so the bid is the open of the bar that begins at midnight and, where that hour is missing, the
  close of the last bar before. Longs pay on this bid, shorts on the ask. Swap waits on the position; a close realises
  the closed volume's share of it.
* **Ask** is bid plus a spread that never changes. The files' prices are bids.
* **Equity** marks longs at the bid and shorts at the ask, with the swap that waits and without closing commissions.
  Inside an hour the bids are facts like the deals' prices, held against the hour's range.

As a script::

    python tests/recompute_account.py BARS_DIR DEALS.json [DEALS.json ...]

where a DEALS.json is ``{"balance": "100000", "spreads": {"BTCUSD": "14.58"}, "until": "2026-05-01T00:00:00+00:00",
"deals": [{"at": "2026-04-29T00:00:45+00:00", "symbol": "BTCUSD", "side": "buy", "entry": "in", "volume": "0.01",
"price": "76347.12", "position": 1}]}``. With ``"marks": [{"at": "2026-04-29T00:00:45+00:00", "bids": {"BTCUSD":
"76347.12"}}]`` it also prints the equity at those moments.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

NEW_YORK = ZoneInfo("America/New_York")
END_OF_SERVER_DAY = time(17)
HOUR_MS = 3_600_000
NIGHTS_A_YEAR = 360
CENT = Decimal("0.01")
NOTHING = Decimal("0.00")
AVERAGE_PLACES = Decimal("1e-8")
LONGEST_CLOSURE = timedelta(days=7)  # bars before the first deal, from which a price could still be the last one
PRICES = ["open", "high", "low", "close"]


class AccountingError(ValueError):
    """Deals that cannot have happened on these bars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What the broker charges, as it prints it: in per cent."""

    commission_pct: Decimal = Decimal("0.0325")  # of the notional, each side
    swap_long_pct: Decimal = Decimal(-18)  # of the price, a year
    swap_short_pct: Decimal = Decimal(-6)
    spreads: Mapping[str, Decimal] = field(default_factory=dict)  # price units, by symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class DealFact:
    """What is known of a deal without any accounting. A lot is one coin."""

    at: datetime
    symbol: str
    side: str  # buy or sell
    entry: str  # in, out or inout
    volume: Decimal
    price: Decimal
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment inside an hour at which equity is asked for, and the bids of it. Deals of the same moment come first."""

    at: datetime
    bids: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What a deal brings to the balance."""

    commission: Decimal
    profit: Decimal = NOTHING
    swap: Decimal = NOTHING

    @property
    def amount(self) -> Decimal:
        return self.commission + self.profit + self.swap


@dataclass(slots=True, kw_only=True)
class Holding:
    """An open position."""

    symbol: str
    sign: int  # 1 long, -1 short
    volume: Decimal
    price: Decimal
    swap: Decimal = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The account at the end. ``bookings`` has one for each deal, in their order."""

    balance: Decimal
    equity: Decimal
    bookings: tuple[Booking, ...]
    nights: int  # swaps that were charged, over all positions
    lots: dict[str, Decimal]  # signed, of what is still open
    marked: tuple[Decimal, ...] = ()  # equity at each mark, in their order


class HourBars:
    """One symbol's hours, as the files have them; prices are bids."""

    def __init__(self, symbol: str, frame: pd.DataFrame) -> None:
        self.symbol = symbol
        self.open_ms = frame.index.to_numpy(np.int64)
        self._prices = {name: frame[name].to_numpy(np.float64) for name in PRICES}

    @property
    def end(self) -> datetime:
        """Return when the last bar ends."""
        return _moment(int(self.open_ms[-1]) + HOUR_MS)

    def range_at(self, moment: datetime) -> tuple[Decimal, Decimal]:
        """Return low and high of the bar that a moment is in."""
        row = self._row(moment)
        if row < 0 or self.open_ms[row] + HOUR_MS <= _ms(moment):
            raise AccountingError(f"{self.symbol} has no bar at {moment.isoformat()}: the market was closed")
        return self._price("low", row), self._price("high", row)

    def bid_on_the_hour(self, moment: datetime) -> Decimal:
        """Return the bid at the first instant of an hour: its open, or the last close where the hour is missing."""
        row = self._row(moment)
        if row < 0:
            raise AccountingError(f"{self.symbol} has no price at {moment.isoformat()}")
        return self._price("open" if self.open_ms[row] == _ms(moment) else "close", row)

    def bid_at_the_end_of(self, moment: datetime) -> Decimal:
        """Return the close of the last bar that has ended by a moment on the hour."""
        return self._price("close", self._row(moment - timedelta(hours=1)))

    def _row(self, moment: datetime) -> int:
        return int(np.searchsorted(self.open_ms, _ms(moment), side="right")) - 1

    def _price(self, name: str, row: int) -> Decimal:
        return _exact(self._prices[name][row])


def read_bars(symbol: str, paths: Iterable[Path], *, since: datetime) -> HourBars:
    """Return the union of files' bars from ``since`` on; AccountingError where two files disagree about an hour."""
    wanted = [("open_time", ">=", _ms(since))]
    frames = [pd.read_parquet(path, columns=["open_time", *PRICES], filters=wanted) for path in sorted(paths)]
    if not any(map(len, frames)):
        raise AccountingError(f"no file has bars of {symbol} since {since.isoformat()}")
    rows = pd.concat([frame for frame in frames if len(frame)]).drop_duplicates().set_index("open_time").sort_index()
    if not rows.index.is_unique:
        moment = _moment(int(rows.index[rows.index.duplicated()][0]))
        raise AccountingError(f"the files of {symbol} disagree about {moment.isoformat()}")
    return HourBars(symbol, rows)


def account_statement(
    deals: Sequence[DealFact],
    bars: Mapping[str, HourBars],
    *,
    fees: Fees,
    balance: Decimal,
    until: datetime | None = None,
    marks: Sequence[Mark] = (),
) -> Statement:
    """Return what an account of ``balance`` has come to through its deals, at ``until`` (default: the bars' end).

    Raises
    ------
    AccountingError
        A price outside its hour's, or a deal that no position allows.
    """
    end = until or max(each.end for each in bars.values())
    book = _Book(bars=bars, fees=fees, balance=balance)
    marked = []
    for event in sorted([*deals, *marks], key=lambda event: event.at):
        book.charge_nights_until(event.at)
        if isinstance(event, DealFact):
            book.require_possible_price(event)
            book.settle(event)
        else:
            marked.append(book.equity_at(event))
    book.charge_nights_until(end)
    return Statement(
        balance=book.balance,
        equity=book.balance + book.floating({symbol: bars[symbol].bid_at_the_end_of(end) for symbol in book.lots()}),
        bookings=tuple(book.bookings),
        nights=book.nights,
        lots=book.lots(),
        marked=tuple(marked),
    )


@dataclass(slots=True, kw_only=True)
class _Book:
    """Open positions while the deals go by."""

    bars: Mapping[str, HourBars]
    fees: Fees
    balance: Decimal
    holdings: dict[int, Holding] = field(default_factory=dict)
    bookings: list[Booking] = field(default_factory=list)
    nights: int = 0
    _charged_until: datetime | None = None

    def require_possible_price(self, deal: DealFact) -> None:
        """Refuse a price that the deal's hour never had."""
        spread = self.fees.spreads[deal.symbol] if deal.side == "buy" else Decimal(0)
        self._require_in_range(deal.side, deal.symbol, deal.price - spread, deal.at)

    def _require_in_range(self, what: str, symbol: str, bid: Decimal, moment: datetime) -> None:
        low, high = self.bars[symbol].range_at(moment)
        if not low <= bid <= high:
            words = f"{what} {symbol} at a bid of {bid} on {moment.isoformat()}"
            raise AccountingError(f"{words}: the hour had {low} to {high}")

    def charge_nights_until(self, moment: datetime) -> None:
        """Charge every server midnight up to a moment, that one included."""
        if self._charged_until is not None:
            for midnight in server_midnights(self._charged_until, moment):
                for holding in self.holdings.values():
                    holding.swap += self._night(holding, midnight)
                    self.nights += 1
        self._charged_until = moment

    def settle(self, deal: DealFact) -> None:
        """Change the position that a deal belongs to, and book what it brings."""
        sign = 1 if deal.side == "buy" else -1
        charge = -_cents(deal.price * deal.volume * self.fees.commission_pct / 100)
        held = self.holdings.get(deal.position)
        if (held is None or held.sign == sign) != (deal.entry == "in"):
            raise AccountingError(f"a deal of position {deal.position} says {deal.entry}, which it cannot be")
        profit = swap = NOTHING
        if held is None:
            self._open(deal, sign, deal.volume)
        elif held.sign == sign:
            _add(held, deal)
        else:
            profit, swap = self._close(held, deal)
        booking = Booking(commission=charge, profit=profit, swap=swap)
        self.bookings.append(booking)
        self.balance += booking.amount

    def equity_at(self, mark: Mark) -> Decimal:
        """Return the equity at a moment's own bids; refuse those that its hour never had."""
        for symbol, bid in mark.bids.items():
            self._require_in_range("mark", symbol, bid, mark.at)
        return self.balance + self.floating(mark.bids)

    def floating(self, bids: Mapping[str, Decimal]) -> Decimal:
        """Return what the open positions are worth beyond their price: profit at the closing price, and swap."""
        profits = (self._profit(h, self._closing(h, bids[h.symbol])) + h.swap for h in self.holdings.values())
        return sum(profits, NOTHING)

    def lots(self) -> dict[str, Decimal]:
        """Return what is open in each symbol."""
        total: dict[str, Decimal] = {}
        for held in self.holdings.values():
            total[held.symbol] = total.get(held.symbol, Decimal(0)) + held.sign * held.volume
        return total

    def _open(self, deal: DealFact, sign: int, volume: Decimal) -> None:
        self.holdings[deal.position] = Holding(symbol=deal.symbol, sign=sign, volume=volume, price=deal.price)

    def _close(self, held: Holding, deal: DealFact) -> tuple[Decimal, Decimal]:
        """Return profit and swap that a closing deal realises; what it has beyond the position opens the other side."""
        closed = min(held.volume, deal.volume)
        if (deal.volume > held.volume) != (deal.entry == "inout"):
            raise AccountingError(f"position {deal.position} holds {held.volume}, {deal.entry} {deal.volume} of it")
        profit = _cents(held.sign * closed * (deal.price - held.price))
        swap = _cents(held.swap * closed / held.volume)
        held.volume -= closed
        held.swap -= swap
        if not held.volume:
            del self.holdings[deal.position]
        if deal.volume > closed:
            self._open(deal, -held.sign, deal.volume - closed)
        return profit, swap

    def _night(self, held: Holding, midnight: datetime) -> Decimal:
        yearly_pct = self.fees.swap_long_pct if held.sign > 0 else self.fees.swap_short_pct
        price = self._closing(held, self.bars[held.symbol].bid_on_the_hour(midnight))
        return _cents(price * held.volume * yearly_pct / 100 / NIGHTS_A_YEAR)

    def _closing(self, held: Holding, bid: Decimal) -> Decimal:
        return bid if held.sign > 0 else bid + self.fees.spreads[held.symbol]

    def _profit(self, held: Holding, price: Decimal) -> Decimal:
        return _cents(held.sign * held.volume * (price - held.price))


def _add(held: Holding, deal: DealFact) -> None:
    volume = held.volume + deal.volume
    paid = held.price * held.volume + deal.price * deal.volume
    held.price, held.volume = (paid / volume).quantize(AVERAGE_PLACES), volume


def server_midnights(after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the moments of New York 17:00 in ``(after, until]``, as UTC."""
    day: date = after.astimezone(NEW_YORK).date()
    while (midnight := datetime.combine(day, END_OF_SERVER_DAY, NEW_YORK).astimezone(UTC)) <= until:
        if midnight > after:
            yield midnight
        day += timedelta(days=1)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def _exact(value: float) -> Decimal:
    """Return the decimal that the exchange printed: the shortest one that reads as this float."""
    return Decimal(repr(float(value)))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def deal_from(facts: Mapping[str, Any]) -> DealFact:
    """Return a deal of a JSON document."""
    return DealFact(
        at=datetime.fromisoformat(facts["at"]),
        symbol=facts["symbol"],
        side=facts["side"],
        entry=facts["entry"],
        volume=Decimal(facts["volume"]),
        price=Decimal(facts["price"]),
        position=int(facts["position"]),
    )


def mark_from(facts: Mapping[str, Any]) -> Mark:
    """Return a mark of a JSON document."""
    return Mark(
        at=datetime.fromisoformat(facts["at"]), bids={symbol: Decimal(bid) for symbol, bid in facts["bids"].items()}
    )


def statement_of(bars_dir: Path, document: Mapping[str, Any]) -> Statement:
    """Return the statement of a JSON document, on the hour files of a folder and the folders in it."""
    deals = [deal_from(facts) for facts in document["deals"]]
    since = min(deal.at for deal in deals) - LONGEST_CLOSURE
    bars = {
        symbol: read_bars(symbol, bars_dir.rglob(f"{symbol}T_1h_*.parquet"), since=since)
        for symbol in {deal.symbol for deal in deals}
    }
    return account_statement(
        deals,
        bars,
        fees=Fees(spreads={symbol: Decimal(spread) for symbol, spread in document["spreads"].items()}),
        balance=Decimal(document["balance"]),
        until=datetime.fromisoformat(document["until"]) if "until" in document else None,
        marks=[mark_from(facts) for facts in document.get("marks", [])],
    )


def main(arguments: Sequence[str]) -> int:
    """Print balance and equity of each document."""
    if len(arguments) < 2:
        sys.stderr.write("usage: recompute_account.py BARS_DIR DEALS.json [DEALS.json ...]\n")
        return 2
    for name in arguments[1:]:
        document = json.loads(Path(name).read_text())
        statement = statement_of(Path(arguments[0]), document)
        for mark, equity in zip(document.get("marks", []), statement.marked, strict=True):
            sys.stdout.write(f"{mark['at']}: equity {equity}\n")
        deals, nights = len(statement.bookings), statement.nights
        sys.stdout.write(
            f"{name}: balance {statement.balance}  equity {statement.equity}  {deals} deals, {nights} swaps\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
