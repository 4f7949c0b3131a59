"""What the account's trades add up to: fills in our words, and what is held since when, at what cost, by whose order.

Binance tells a trade without its client id, and on spot without its profit. Each ledger takes the trades of one symbol
in their order; a trade is taken once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from execution.brokers.binance_ids import deal_number, position_number
from execution.brokers.binance_parse import Trade
from execution.planning.orders import Fill, FillEntry, Side

ZERO = Decimal(0)
MONEY = Decimal("1e-8")  # the finest that Binance counts money in
PAGE = 1000  # trades, or orders, of one reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is held of one symbol, on one side."""

    volume: Decimal = ZERO  # signed base units
    cost: Decimal = ZERO  # what it was bought for, quote currency; spot
    opened_at: datetime | None = None
    magic: int = 0  # of the order that opened it
    number: int = 0  # of the position: that of the deal that opened it; 0 where no trade of ours did

    @property
    def price(self) -> Decimal | None:
        """The average price of what is held, None when nothing is."""
        return self.cost / self.volume if self.volume > 0 else None


class Ledger(Protocol):
    """Takes the trades of one symbol."""

    def add(self, trade: Trade, magic: int) -> Fill | None:
        """Take the next trade and return it as a fill; None when it changed no position."""

    def holding(self, side: str) -> Holding:
        """Return what the trades of a side (BOTH, LONG, SHORT) add up to."""


class SpotLedger:
    """Spot: what is bought less the fee that comes out of it, sold again at average cost.

    A fill is what a trade changed of the position, which is what is held brought down to the grid: so fills add up to
    the position. A fee in the base asset is a commission of its worth, one in a third asset (BNB) moves no money here;
    so the money of the fills is what the quote currency has lost or gained, and what is held at cost.
    """

    def __init__(self, *, base: str, quote: str, step: Decimal, dust: Decimal) -> None:
        self._base, self._quote, self._step, self._dust = base, quote, step, dust
        self._held = Holding()
        self._carried = ZERO  # money of trades too small to change the position; the next fill bears it

    def holding(self, side: str) -> Holding:
        """Return what is held, dust and all; spot knows one side."""
        return self._held

    def add(self, trade: Trade, magic: int) -> Fill | None:
        """Take the next trade."""
        before = self._position
        profit = self._bought(trade, magic) if trade.side is Side.BUY else self._sold(trade)
        changed = abs(self._position - before) if trade.side is Side.BUY else trade.volume
        money = self._carried + self._commission(trade)
        if changed == 0:
            self._carried = money
            return None
        self._carried = ZERO
        entry = FillEntry.IN if trade.side is Side.BUY else FillEntry.OUT
        number = self._held.number or position_number(trade.symbol, trade.position_side)
        return _fill(trade, magic, number, volume=changed, entry=entry, commission=money, profit=profit)

    @property
    def _position(self) -> Decimal:
        return self._held.volume // self._step * self._step

    def _bought(self, trade: Trade, magic: int) -> Decimal:
        volume = net_volume(trade, self._base)
        held = self._held if self._held.volume >= self._dust else _opened_by(trade, magic, self._held)
        self._held = replace(held, volume=held.volume + volume, cost=held.cost + volume * trade.price)
        return ZERO

    def _sold(self, trade: Trade) -> Decimal:
        """Take a sale and return its profit over the average cost."""
        held = self._held
        own = min(trade.volume, max(held.volume, ZERO))  # the rest was paid in, and its cost is not known
        part = held.cost if own == held.volume else (held.cost * own / held.volume).quantize(MONEY)
        self._held = replace(held, volume=held.volume - own, cost=held.cost - part)
        return trade.price * own - part

    def _commission(self, trade: Trade) -> Decimal:
        if trade.commission_asset == self._quote:
            return -trade.commission
        return -trade.commission * trade.price if trade.commission_asset == self._base else ZERO


class FuturesLedger:
    """USD-M futures: one net position, or one for each side in hedge mode; the venue tells the profit."""

    def __init__(self, *, quote: str) -> None:
        self._quote = quote
        self._held: dict[str, Holding] = {}

    def holding(self, side: str) -> Holding:
        """Return what the trades of a position side add up to."""
        return self._held.get(side, Holding())

    def add(self, trade: Trade, magic: int) -> Fill:
        """Take the next trade."""
        held = self.holding(trade.position_side)
        volume = held.volume + trade.volume * trade.side.sign
        crosses = held.volume * volume < 0
        if held.volume == 0:
            held = _opened_by(trade, magic, held)
        elif crosses:  # the same position, turned round by this trade
            held = replace(held, opened_at=trade.at, magic=magic)
        self._held[trade.position_side] = replace(held, volume=volume)
        grows = held.volume * trade.side.sign >= 0
        entry = FillEntry.IN_OUT if crosses else FillEntry.IN if grows else FillEntry.OUT
        # Documented with a minus and sent without one: a fee of ours either way.
        commission = -abs(trade.commission) if trade.commission_asset == self._quote else ZERO
        volume = trade.volume
        return _fill(trade, magic, held.number, volume=volume, entry=entry, commission=commission, profit=trade.profit)


def net_volume(trade: Trade, base: str) -> Decimal:
    """Return what a trade brought or took, its fee in the base asset taken out."""
    fee = trade.commission if trade.side is Side.BUY and trade.commission_asset == base else ZERO
    return trade.volume - fee


def _opened_by(trade: Trade, magic: int, held: Holding) -> Holding:
    """Return a position that begins with a trade, on top of what is left of the last one."""
    return replace(held, opened_at=trade.at, magic=magic, number=deal_number(trade.symbol, trade.trade_id))


def _fill(
    trade: Trade,
    magic: int,
    number: int,
    *,
    volume: Decimal,
    entry: FillEntry,
    commission: Decimal,
    profit: Decimal = ZERO,
) -> Fill:
    return Fill(
        deal_id=deal_number(trade.symbol, trade.trade_id),
        order_id=trade.order_id,
        position_id=number,
        symbol=trade.symbol,
        side=trade.side,
        entry=entry,
        volume=volume,
        price=trade.price,
        profit=profit,
        commission=commission,
        swap=ZERO,
        fee=ZERO,
        magic=magic,
        at=trade.at,
    )


class TradeBook:
    """The trades of one symbol: read once, and carried on from the last one that is known.

    Parameters
    ----------
    read_trades : callable
        From a trade's number on, that one included, oldest first, at most ``PAGE``.
    read_magics : callable
        From an order's number on, each order's magic by its number, at most ``PAGE``.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        read_trades: Callable[[int], tuple[Trade, ...]],
        read_magics: Callable[[int], dict[int, int]],
    ) -> None:
        self.ledger = ledger
        self._read_trades = read_trades
        self._read_magics = read_magics
        self._magics: dict[int, int] = {}
        self._next = 0
        self._fills: list[Fill] = []
        self._seen: object = None

    def refresh(self) -> tuple[Fill, ...]:
        """Read what is new and return all fills, oldest first. A read that fails changes nothing."""
        fresh = self._new_trades()
        self._learn_magics({trade.order_id for trade in fresh})
        for trade in fresh:
            fill = self.ledger.add(trade, self._magics[trade.order_id])
            self._fills += [fill] if fill else []
            self._next = trade.trade_id + 1
        return tuple(self._fills)

    def ticket(self, symbol: str, side: str) -> int:
        """Return the number of the position that is held on a side, as far as the trades are known."""
        return self.ledger.holding(side).number or position_number(symbol, side)

    def refresh_for(self, held: object) -> None:
        """Read what is new if what is held is not what it was: a position does not change without a trade."""
        if held != self._seen:
            self.refresh()
            self._seen = held

    def _new_trades(self) -> list[Trade]:
        fresh: list[Trade] = []
        while True:
            page = [
                trade for trade in self._read_trades(_after(fresh, self._next)) if _is_after(trade, fresh, self._next)
            ]
            fresh += sorted(page, key=lambda trade: trade.trade_id)
            if len(page) < PAGE:
                return fresh

    def _learn_magics(self, orders: Iterable[int]) -> None:
        """Look up whose orders these are; one that the venue has forgotten is a person's."""
        missing = set(orders) - self._magics.keys()
        while missing:
            known = self._read_magics(min(missing))
            self._magics |= known
            forgotten = {order for order in missing if order <= max(known, default=order) or len(known) < PAGE}
            self._magics |= dict.fromkeys(forgotten - known.keys(), 0)
            missing -= self._magics.keys()


def _after(fresh: list[Trade], first: int) -> int:
    return fresh[-1].trade_id + 1 if fresh else first


def _is_after(trade: Trade, fresh: list[Trade], first: int) -> bool:
    return trade.trade_id >= _after(fresh, first)
