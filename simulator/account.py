"""The account on the simulated broker's server: what it holds, what that is worth, and the booking of executions.

An account is its ledger seen at ``now_ms`` on the market's path. Positions close at the bid (long) or ask (short);
margin is taken at opening prices, per symbol for the larger side: hedged volume costs nothing extra.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator import constants as mt5
from simulator.errors import SimConfigError
from simulator.ledger import ZERO, AccountRow, Deal, Ledger, Order, Position, changed
from simulator.money import commission, margin_of_side, profit
from simulator.settlement import Fill, settle

if TYPE_CHECKING:
    from simulator.market import Market, Quote

LOGIN = 100_001
SERVER, COMPANY, NAME, CURRENCY = "SimDesk-Demo", "SimDesk Ltd", "Simulated account", "USD"
LIMIT_ORDERS = 200  # working orders; on hedging accounts also open positions and working orders together
MARGIN_CALL_PCT, STOP_OUT_PCT = 100.0, 50.0
FIRST_ORDER_TICKET, FIRST_DEAL_TICKET = 50_000_001, 20_000_001
MARGIN_MODES = {
    "hedging": mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
    "netting": mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
}
SELLING = frozenset(
    {
        mt5.ORDER_TYPE_SELL,
        mt5.ORDER_TYPE_SELL_LIMIT,
        mt5.ORDER_TYPE_SELL_STOP,
        mt5.ORDER_TYPE_SELL_STOP_LIMIT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The account's sums in its currency, exact to the cent."""

    balance: Decimal
    profit: Decimal  # floating, charged swap included
    margin: Decimal

    @property
    def equity(self) -> Decimal:
        """Return what would be left if everything were closed now, closing commissions aside."""
        return self.balance + self.profit

    @property
    def margin_free(self) -> Decimal:
        """Return what new positions may take as margin."""
        return self.equity - self.margin

    @property
    def margin_level(self) -> float:
        """Return equity in per cent of the margin, 0 without margin."""
        return float(self.equity * 100 / self.margin) if self.margin else 0.0


class Account:
    """A trading account, moved along the market's path by :mod:`simulator.triggers`.

    Parameters
    ----------
    ledger : Ledger
        Its state; an empty one is opened with a deposit of ``balance``.
    market : Market
    now_ms : int
        UTC, when a new account is opened; another goes on at the moment its ledger ends.
    margin_mode : {"hedging", "netting"}
    balance : float
        The first deposit.
    leverage : int

    Raises
    ------
    SimConfigError
        If the ledger holds an account of the other margin mode, or a symbol's profit is not in dollars.
    """

    def __init__(
        self, ledger: Ledger, market: Market, now_ms: int, *, margin_mode: str, balance: float, leverage: int
    ) -> None:
        foreign = [s.name for s in market.symbols.values() if s.currency_profit != CURRENCY]
        if foreign:
            raise SimConfigError(f"symbols of a {CURRENCY} account must earn {CURRENCY}: {', '.join(foreign)} do not")
        self.ledger = ledger
        self.market = market
        self.now_ms = ledger.meta("advanced_ms") or now_ms  # what was missed since is lived through by advance()
        self.trade_modes = dict.fromkeys(market.symbols, mt5.SYMBOL_TRADE_MODE_FULL)  # the broker may restrict one
        self.limit_orders = LIMIT_ORDERS
        row = ledger.account() or self._opened(MARGIN_MODES[margin_mode], Decimal(str(balance)))
        if row.margin_mode != MARGIN_MODES[margin_mode]:
            other = next(mode for mode in MARGIN_MODES if mode != margin_mode)
            raise SimConfigError(
                f"SIM_MARGIN_MODE={margin_mode}, but the account in the ledger is {other}: "
                "set it back, use another STATE_DIR, or delete the ledger to start anew"
            )
        self.row = row
        self.leverage = leverage  # not in the ledger: brokers change that of open accounts, so may a setting

    @property
    def hedging(self) -> bool:
        """Return whether a symbol may have several positions."""
        return self.row.margin_mode == mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is booked inside, and the moment it was booked at, together."""
        with self.ledger.transaction():
            self.now_ms = max(self.now_ms, self.ledger.meta("advanced_ms"))
            yield
            self.ledger.set_meta("advanced_ms", self.now_ms)

    def quote(self, symbol: str) -> Quote | None:
        """Return a symbol's last tick, None where it has had none yet."""
        try:
            return self.market.quote(symbol, self.now_ms)
        except ValueError:  # before its first bar
            return None

    def position_of(self, symbol: str) -> Position | None:
        """Return a netting account's position in a symbol."""
        return next((p for p in self.ledger.positions() if p.symbol == symbol), None)

    def position(self, ticket: int) -> Position | None:
        """Return the position with a ticket."""
        return next((p for p in self.ledger.positions() if p.ticket == ticket), None)

    def price_current(self, position: Position) -> float:
        """Return the price that the position would close at."""
        return closing_price(position.type, self.market.quote(position.symbol, self.now_ms))

    def floating(self, position: Position) -> Decimal:
        """Return a position's profit at the current price, without swap."""
        symbol = self.market.symbols[position.symbol]
        close = self.price_current(position)
        return profit(symbol, position.type, position.volume, price_open=position.price_open, price_close=close)

    def floating_of(self, positions: Iterable[Position]) -> Decimal:
        """Return what closing some positions now would bring, swap included and commissions aside."""
        return sum((self.floating(p) + p.swap for p in positions), ZERO)

    def margin(self, positions: Iterable[Position]) -> Decimal:
        """Return the collateral of some positions: per symbol, that of the larger side."""
        sides: dict[str, dict[int, list[Position]]] = defaultdict(lambda: defaultdict(list))
        for p in positions:
            sides[p.symbol][p.type].append(p)
        symbols, leverage = self.market.symbols, self.leverage
        return sum(
            (
                max(margin_of_side(symbols[name], side, leverage=leverage) for side in both.values())
                for name, both in sides.items()
            ),
            ZERO,
        )

    def totals(self) -> Totals:
        """Return balance, floating profit and margin at this moment."""
        positions = self.ledger.positions()
        floating = self.floating_of(positions)
        return Totals(balance=self.ledger.balance(), profit=floating, margin=self.margin(positions))

    def next_order_ticket(self) -> int:
        """Return a new order's number."""
        return self.ledger.next_ticket("order", first=FIRST_ORDER_TICKET)

    def fill(self, order: Order, position: Position | None, price: float) -> Deal:
        """Execute an order wholly at a price against the position it is meant for, and book everything."""
        symbol = self.market.symbols[order.symbol]
        fill = Fill(
            order_ticket=order.ticket,
            side=side_of(order.type),
            volume=order.volume_current,
            price=price,
            time_ms=self.now_ms,
            reason=order.reason,
            magic=order.magic,
            comment=order.comment,
            sl=order.sl,
            tp=order.tp,
        )
        outcome = settle(symbol, position, fill)
        self.replace_position(position, outcome.after)
        self.end_order(changed(order, volume_current=Decimal(0), position_id=outcome.position_id))
        return self.add_deal(
            order,
            type=fill.side,
            entry=outcome.entry,
            position_id=outcome.position_id,
            volume=fill.volume,
            price=price,
            commission=commission(symbol, fill.volume, price),
            swap=outcome.swap,
            profit=outcome.profit,
        )

    def replace_position(self, before: Position | None, after: Position | None) -> None:
        """Write a position's new state, or its end."""
        if before is not None and (after is None or after.ticket != before.ticket):
            self.ledger.drop_position(before.ticket)
        if after is not None:
            self.ledger.put(after)

    def end_order(self, order: Order, state: int = mt5.ORDER_STATE_FILLED) -> None:
        """Move an order to history."""
        self.ledger.put(changed(order, state=state, done_ms=self.now_ms))

    def add_deal(self, order: Order, **fields: object) -> Deal:
        """Book a deal of an order, now."""
        deal = Deal(
            ticket=self.ledger.next_ticket("deal", first=FIRST_DEAL_TICKET),
            order_ticket=order.ticket,
            symbol=order.symbol,
            reason=order.reason,
            magic=order.magic,
            comment=order.comment,
            time_ms=self.now_ms,
            **fields,  # type: ignore[arg-type]  # the rest of Deal, by name
        )
        self.ledger.put(deal)
        return deal

    def _opened(self, margin_mode: int, balance: Decimal) -> AccountRow:
        """Open the account with its first deposit."""
        row = AccountRow(
            login=LOGIN,
            password=secrets.token_urlsafe(9),
            server=SERVER,
            name=NAME,
            company=COMPANY,
            currency=CURRENCY,
            margin_mode=margin_mode,
        )
        with self.transaction():
            self.ledger.put(row)
            self.book_cash(balance, "Initial deposit")
        return row

    def book_cash(self, amount: Decimal, comment: str, *, kind: int = mt5.DEAL_TYPE_BALANCE) -> Deal:
        """Book money that comes or goes without a trade."""
        deal = Deal(
            ticket=self.ledger.next_ticket("deal", first=FIRST_DEAL_TICKET),
            order_ticket=0,
            symbol="",
            type=kind,
            entry=mt5.DEAL_ENTRY_IN,
            reason=mt5.DEAL_REASON_CLIENT,
            magic=0,
            position_id=0,
            volume=Decimal(0),
            price=0.0,
            commission=ZERO,
            swap=ZERO,
            profit=amount,
            comment=comment,
            time_ms=self.now_ms,
        )
        self.ledger.put(deal)
        return deal


def side_of(order_type: int) -> int:
    """Return whether an order type buys or sells: ORDER_TYPE_BUY or ORDER_TYPE_SELL."""
    return mt5.ORDER_TYPE_SELL if order_type in SELLING else mt5.ORDER_TYPE_BUY


def closing_price(side: int, quote: Quote) -> float:
    """Return where a position of ``side`` (POSITION_TYPE_*) closes: the bid when long, the ask when short."""
    return quote.bid if side == mt5.POSITION_TYPE_BUY else quote.ask


def opening_price(side: int, quote: Quote) -> float:
    """Return where an order of ``side`` executes: the ask when buying, the bid when selling."""
    return quote.ask if side == mt5.ORDER_TYPE_BUY else quote.bid
