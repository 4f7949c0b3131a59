"""The exchange behind the signed interface: its books, its prices at a moment, and its two markets."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from threading import RLock

from simulator.binance.books import Books
from simulator.binance.futures import Futures
from simulator.binance.levels import Prices
from simulator.binance.path import advance
from simulator.binance.refusals import refusal
from simulator.binance.rows import FUTURES, QUOTE_ASSET, SPOT, Movement, Order
from simulator.binance.rules import Rules, futures_rules, spot_rules
from simulator.binance.signing import Credentials
from simulator.binance.spot import Spot
from simulator.clock import SimClock
from simulator.exchange_errors import BinanceError, invalid_symbol
from simulator.exchange_outside import mark_price
from simulator.market import Market
from simulator.money import exact

LETTERS = string.ascii_letters + string.digits
FIRST_ORDER, FIRST_TRADE = 1_000_001, 500_001


class Venue:
    """One account's exchange: a spot wallet and a futures wallet, moved along the market's path.

    Parameters
    ----------
    market, clock
        The world's.
    path : Path or str
        The books' file; a new one is opened with a deposit in either wallet and a key.
    balance : float
        That deposit, in USDT.
    """

    def __init__(self, market: Market, clock: SimClock, path: Path | str, *, balance: float) -> None:
        self.market, self.clock = market, clock
        self.lock = RLock()  # one request at a time: the books have one writer
        self.books = Books(path)
        self.now_ms = int(self.books.setting("advanced_ms", str(clock.now_ms())))
        self.spot, self.futures = Spot(self), Futures(self)
        if not self.books.setting("key", ""):
            self._open(Decimal(str(balance)))
        self.credentials = Credentials(self.books.setting("key", ""), self.books.setting("secret", ""))

    @property
    def pace(self) -> float:
        """Return the milliseconds of the exchange's time in a real one, 1 while it stands."""
        return 1.0 if self.clock.paused else self.clock.speed

    @cached_property
    def rules(self) -> dict[str, dict[str, Rules]]:
        """Return the rules of every symbol that is paid for in USDT, by market and exchange symbol."""
        names = [name for name, spec in self.market.symbols.items() if spec.binance_symbol.endswith(QUOTE_ASSET)]
        return {
            SPOT: {rules.symbol: rules for rules in (spot_rules(self.market, name) for name in names)},
            FUTURES: {rules.symbol: rules for rules in (futures_rules(self.market, name) for name in names)},
        }

    @contextmanager
    def live(self) -> Iterator[Venue]:
        """Hold the exchange at the clock's now: what happened until then is booked, what is done inside is one whole.

        A refusal takes back what the request did, not what happened before it.
        """
        with self.lock:
            self.catch_up()
            with self.books.transaction():
                before = self.books.n_changes
                yield self
                if self.books.n_changes != before:  # what is booked stands at this moment of the path
                    self.books.set_setting("advanced_ms", self.now_ms)

    def catch_up(self) -> None:
        """Live through the market's path up to the clock's now."""
        with self.lock:
            advance(self, min(self.clock.now_ms(), self.market.end_ms))

    def rule(self, venue: str, symbol: str) -> Rules:
        """Return a symbol's rules; -1121 for one that is not traded or not yet listed."""
        rules = self.rules[SPOT if venue == SPOT else FUTURES].get(symbol)
        if rules is None or self.now_ms < self.market.hour_bars(rules.name).start_ms:
            raise invalid_symbol()
        return rules

    def listed(self) -> list[str]:
        """Return the symbols that have a price by now."""
        rules = self.rules[FUTURES].values()
        return [one.symbol for one in rules if self.now_ms >= self.market.hour_bars(one.name).start_ms]

    def tradable(self, venue: str, symbol: str) -> Rules:
        """Return the rules of a symbol that trades now."""
        rules = self.rule(venue, symbol)
        if not self.market.is_open(rules.name, self.now_ms):
            raise refusal("closed")
        return rules

    def bid(self, symbol: str) -> Decimal:
        """Return the best bid, which is the last price too."""
        return exact(self.market.quote(self.market.name_of(symbol), self.now_ms).bid)

    def ask(self, symbol: str) -> Decimal:
        """Return the best ask."""
        return self.bid(symbol) + self.rules[SPOT][symbol].spread

    def mark(self, symbol: str) -> Decimal:
        """Return the mark price of the perpetual future, as ``premiumIndex`` tells it."""
        return Decimal(f"{mark_price(self.market, self.market.name_of(symbol), self.now_ms):.8f}")

    def prices(self, symbol: str) -> Prices:
        """Return what orders are measured by."""
        return Prices(self.bid(symbol), self.ask(symbol), self.mark(symbol))

    def taker_price(self, order: Order) -> Decimal:
        """Return where an order executes at once."""
        return self.ask(order.symbol) if order.direction > 0 else self.bid(order.symbol)

    def next_order_id(self) -> int:
        """Return a new order's number."""
        return self.books.next_id("order", first=FIRST_ORDER)

    def next_trade_id(self) -> int:
        """Return a new trade's number."""
        return self.books.next_id("trade", first=FIRST_TRADE)

    def move(self, venue: str, asset: str, amount: Decimal, kind: str, *, symbol: str = "", trade_id: int = 0) -> None:
        """Book what a wallet gains or loses; nothing is written for nothing."""
        if amount:
            number = self.books.next_id("movement", first=1)
            movement = Movement(
                id=number,
                venue=venue,
                asset=asset,
                amount=amount,
                kind=kind,
                symbol=symbol,
                trade_id=trade_id,
                time_ms=self.now_ms,
            )
            self.books.put(movement)

    def fate(self, order: Order) -> str:
        """Return the status that a stop is to end with when it is triggered, which a fault decides; else nothing."""
        return self.books.setting(f"fate {order.id}", "")

    def found(self, venue: str, symbol: str, *, order_id: int | None, client_id: str, missing: str) -> Order:
        """Return an order by its number, or the newest with the client's id; refuse in the words of ``missing``."""
        if order_id is None and not client_id:
            raise BinanceError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        named = {"id": order_id} if order_id is not None else {"client_id": client_id}
        orders = self.books.select(Order, venue=venue, symbol=symbol, **named)
        if not orders:
            raise refusal(missing)
        return next((order for order in orders if order.is_open), orders[-1])

    def _open(self, balance: Decimal) -> None:
        with self.books.transaction():
            for name in ("key", "secret"):
                self.books.set_setting(name, "".join(secrets.choice(LETTERS) for _ in range(64)))
            self.books.set_setting("advanced_ms", self.now_ms)
            for venue in (SPOT, FUTURES):
                self.move(venue, QUOTE_ASSET, balance, "DEPOSIT")
