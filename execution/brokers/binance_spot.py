"""Binance spot through ccxt: a base asset that is held is a long position, and its stop and target are an OCO."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from execution.brokers import binance_parse_spot as parse
from execution.brokers.base import Capabilities, OrderTicket, Permit, Protection, Reduction, SendResult
from execution.brokers.binance_account import BinanceAccount
from execution.brokers.binance_book import PAGE, SpotLedger, TradeBook
from execution.brokers.binance_ids import order_id_of, position_number
from execution.brokers.binance_parse import Resting, Trade, parse_magics, parse_orders, parse_report
from execution.brokers.binance_replies import done, executed
from execution.brokers.binance_requests import plain_number, require_open, require_volume
from execution.brokers.binance_spot_protection import OcoKeeper, levels_of, tied
from execution.errors import ConfigError
from execution.planning.orders import (
    AccountKind,
    AccountSnapshot,
    CashMovement,
    Fill,
    MarginMode,
    Position,
    Side,
    WorkingOrder,
)
from execution.planning.stops import require_stops
from execution.safety.outcomes import Outcome, RequestAction

ZERO = Decimal(0)
ONE_SIDE = "BOTH"
LONGEST_HISTORY = timedelta(days=89)  # of deposits and withdrawals, in one reply


class BinanceSpotBroker(BinanceAccount):
    """One spot account; parameters as for ``BinanceAccount``.

    A position is what can be sold: what is held, brought down to the grid. The rest is dust: it is carried, counts in
    balance and equity, and is no position; so is a whole holding below the smallest order.
    """

    capabilities = Capabilities(
        has_client_order_id=True,
        stops_with_entry=False,
        closes_by_ticket=False,
        resting_stops_on_netting=True,  # a sale takes no more than is there, so a stop that triggers cannot flip
        can_short=False,
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._books: dict[str, TradeBook] = {}

    # --- reads -------------------------------------------------------------------------------------------------

    def account(self) -> AccountSnapshot:
        """Return the account in the quote asset: what is held counts at cost in the balance, at the bid in equity."""
        held = self._account()
        cash = held.total(self.quote_asset)
        costs = worth = ZERO
        for symbol in self.symbols:
            cost, value = self._worth(held, symbol)
            costs, worth = costs + cost, worth + value
        return AccountSnapshot(
            login=held.uid,
            server=self.server,
            currency=self.quote_asset,
            balance=cash + costs,
            equity=cash + worth,
            margin=ZERO,
            margin_free=held.free.get(self.quote_asset, ZERO),
            leverage=1,
            margin_mode=MarginMode.NETTING,
            trade_allowed=held.can_trade,
            trade_expert=True,  # connecting has refused a key that may not
            kind=AccountKind.DEMO if self.wire.is_simulated else AccountKind.REAL,
            broker="binance_spot",
        )

    def positions(self) -> tuple[Position, ...]:
        """Return what is held of our symbols, free or bound in orders, as long positions."""
        held = self._account()
        found = (self._position(held, symbol) for symbol in self.symbols)
        return tuple(position for position in found if position)

    def working_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every resting order of the account; the legs of an OCO are two."""
        return tuple(resting.order for resting in self.resting_of(self._resting, self.symbols))

    def fills_since(self, at: datetime) -> tuple[Fill, ...]:
        """Return every fill of our symbols from ``at`` on, oldest first."""
        fills = [fill for symbol in self.symbols for fill in self._book(symbol).refresh() if fill.at >= at]
        return tuple(sorted(fills, key=lambda fill: (fill.at, fill.deal_id)))

    def cash_since(self, at: datetime) -> tuple[CashMovement, ...]:
        """Return what was paid in and out of the quote asset from ``at`` on, oldest first; 89 days back at most."""
        first = max(at, datetime.fromtimestamp(self.wire.now_ms() / 1000, UTC) - LONGEST_HISTORY)
        query = {"coin": self.quote_asset, "startTime": int(first.timestamp() * 1000), "limit": 1000}
        assets = {self.quote_asset}
        moved = [
            *self.parsed("sapiGetCapitalDepositHisrec", partial(parse.parse_deposits, assets=assets), query),
            *self.parsed("sapiGetCapitalWithdrawHistory", partial(parse.parse_withdrawals, assets=assets), query),
        ]
        return tuple(sorted((one for one in moved if one.at >= at), key=lambda one: (one.at, one.deal_id)))

    # --- writes ------------------------------------------------------------------------------------------------

    def submit(self, ticket: OrderTicket, permit: Permit) -> SendResult:
        """Buy at market. Selling what is not held is refused, and so are stops: they are set after the fill."""

        def act() -> SendResult:
            if ticket.side is Side.SELL:
                raise ValueError(f"spot cannot go short: a sale of {ticket.symbol} must reduce a position")
            if ticket.stop is not None or ticket.target is not None:
                raise ValueError("a spot order carries no stop and no target: protect the position once it is there")
            spec = self._spec_at(ticket.symbol, self.quote(ticket.symbol).ask)
            require_open(spec)
            require_volume(ticket.volume, spec, smallest=spec.volume_min)
            return self._market(ticket.symbol, Side.BUY, ticket.volume, ticket.magic, permit)

        return self._write(permit, act, reduces=False)

    def reduce(self, reduction: Reduction, permit: Permit) -> SendResult:
        """Sell a position or a part of it: its OCO is cancelled first, and at most what is free is sold.

        What is left keeps its levels: they are placed again, also when the sale was refused.
        """

        def act() -> SendResult:
            position = self._require_unchanged(reduction.position)
            spec = self._spec_at(position.symbol, position.price_open)
            require_volume(reduction.volume, spec, smallest=spec.volume_step)
            return self._sell(position, reduction.volume, reduction.magic, permit)

        return self._write(permit, act, reduces=True)

    def protect(self, protection: Protection, permit: Permit) -> SendResult:
        """Set a position's stop and target: what was there is taken back, and put back if the new is refused."""

        def act() -> SendResult:
            position = self._position_of(protection.symbol)
            if position is None or (position.ticket, position.side) != (protection.ticket, protection.side):
                raise ValueError(f"no position {protection.ticket} of {protection.symbol} is there to be protected")
            quote = self.quote(protection.symbol)
            spec = self._spec_at(protection.symbol, quote.bid)
            require_stops(protection.side, quote, spec, stop=protection.stop, target=protection.target)
            return self._keeper(position).replace(protection.stop, protection.target, permit)

        return self._write(permit, act, reduces=permit.reduce)

    def cancel(self, order_id: int, permit: Permit) -> SendResult:
        """Take back a resting order; a leg of an OCO takes the other one with it."""

        def act() -> SendResult:
            found = [resting for resting in self._resting() if resting.order.order_id == order_id]
            if len(found) != 1:
                raise ValueError(f"one order {order_id} must rest to be cancelled, {len(found)} do")
            return self._cancel(found[0], permit)

        return self._write(permit, act, reduces=True)

    def _market(self, symbol: str, side: Side, volume: Decimal, magic: int, permit: Permit) -> SendResult:
        parameters = {
            "symbol": symbol,
            "side": side.name,
            "type": "MARKET",
            "quantity": plain_number(volume),
            "newClientOrderId": order_id_of(magic),
            "newOrderRespType": "FULL",
        }
        action = RequestAction.OPEN if side is Side.BUY else RequestAction.CLOSE
        rules = self.rules(symbol)  # before the send: nothing may fail after it that need not
        reply, sent = self._send("privatePostOrder", parameters, permit, action=action, reduces=side is Side.SELL)
        base = rules.base if side is Side.BUY else ""
        report = self._understood(partial(parse_report, base=base), reply, sent)
        result = executed(reply, report, sent, requested=volume)
        return replace(result, volume=rules.floor(result.volume))  # what it added to the position

    def _sell(self, position: Position, volume: Decimal, magic: int, permit: Permit) -> SendResult:
        keeper = self._keeper(position)
        with keeper.lifted(permit):
            rules = self.rules(position.symbol)
            free = rules.floor(self._account().free.get(rules.base, ZERO))
            if free <= 0:
                raise ValueError(f"nothing of {position.symbol} is free to be sold: {position.volume} is bound")
            sold = self._market(position.symbol, Side.SELL, min(volume, free), magic, permit)
            return replace(sold, outcome=Outcome.PARTIAL) if sold.outcome is Outcome.OK and free < volume else sold

    def _cancel(self, resting: Resting, permit: Permit) -> SendResult:
        order, in_list = resting.order, resting.list_id >= 0
        which = {"orderListId": resting.list_id} if in_list else {"orderId": order.order_id}
        endpoint = "privateDeleteOrderList" if in_list else "privateDeleteOrder"
        parameters = {"symbol": order.symbol, **which}
        reply, sent = self._send(endpoint, parameters, permit, action=RequestAction.CANCEL, reduces=True)
        return done(reply, sent, name="CANCELED", order_id=order.order_id)

    # --- how the account is set ----------------------------------------------------------------------------------

    def _verify(self) -> None:
        """Refuse an account without a number: its orders could not be told from another one's."""
        if not self._account().uid:
            raise ConfigError("the venue does not say whose account it is: uid of account is missing")

    # --- what the methods above are made of -----------------------------------------------------------------------

    def _account(self) -> parse.SpotAccount:
        return self.parsed("privateGetAccount", parse.parse_account)

    def _resting(self, symbol: str | None = None) -> tuple[Resting, ...]:
        query = {"symbol": symbol} if symbol else {}
        found = self.parsed("privateGetOpenOrders", parse_orders, query)
        return tuple(tied(one, self._ticket(one.order.symbol)) for one in found)

    def _ticket(self, symbol: str) -> int:
        """Return the number of a symbol's position; of symbols that are not traded here nothing is known."""
        known = symbol in self.symbols
        return self._book(symbol).ticket(symbol, ONE_SIDE) if known else position_number(symbol, ONE_SIDE)

    def _bid(self, symbol: str) -> Decimal:
        """Return the bid for reckoning with, whose moment is no matter."""
        return self._quote_at(symbol, self.wire.now_ms()).bid

    def _worth(self, held: parse.SpotAccount, symbol: str) -> tuple[Decimal, Decimal]:
        """Return what is held of a symbol at cost, and at the bid. Dust stays at cost."""
        total = held.total(self.rules(symbol).base)
        if total <= 0:
            return ZERO, ZERO
        bid = self._bid(symbol)
        self._book(symbol).refresh_for(total)
        holding = self._book(symbol).ledger.holding(ONE_SIDE)
        cost = holding.cost if total == holding.volume else total * (holding.price or bid)
        return cost, total * bid if total >= self._spec_at(symbol, bid).volume_min else cost

    def _position(self, held: parse.SpotAccount, symbol: str) -> Position | None:
        total = held.total(self.rules(symbol).base)
        if total <= 0:
            return None
        bid = self._bid(symbol)
        if total < self._spec_at(symbol, bid).volume_min:
            return None
        self._book(symbol).refresh_for(total)
        holding = self._book(symbol).ledger.holding(ONE_SIDE)
        stop, target = levels_of(self._resting(symbol))
        price = holding.price or bid  # what was paid in has no price of ours
        volume = self.rules(symbol).floor(total)
        return Position(
            ticket=self._ticket(symbol),
            symbol=symbol,
            side=Side.BUY,
            volume=volume,
            price_open=price,
            opened_at=holding.opened_at or datetime.fromtimestamp(self.wire.now_ms() / 1000, UTC),
            magic=holding.magic,
            stop=stop,
            target=target,
            profit=(bid - price) * volume,
        )

    def _position_of(self, symbol: str) -> Position | None:
        if symbol not in self.symbols:
            raise ValueError(f"{symbol!r} is none of the symbols that are traded: {', '.join(self.symbols)}")
        return self._position(self._account(), symbol)

    def _require_unchanged(self, seen: Position) -> Position:
        """Return the position as it is now, or refuse: a sale follows only from what was seen."""
        now = self._position_of(seen.symbol)
        if now is None or (now.ticket, now.side, now.volume) != (seen.ticket, seen.side, seen.volume):
            what = f"{now.side} {now.volume}" if now else "nothing"
            raise ValueError(
                f"position {seen.ticket} of {seen.symbol} is {what}, was seen as {seen.side} {seen.volume}"
            )
        return now

    def _book(self, symbol: str) -> TradeBook:
        """Return the trades of a symbol, read from its first one on when it is asked for first."""
        if symbol not in self._books:
            rules, least = self.rules(symbol), self._spec_at(symbol, self._bid(symbol)).volume_min
            ledger = SpotLedger(base=rules.base, quote=rules.quote, step=rules.step, dust=least)
            book = TradeBook(
                ledger, read_trades=partial(self._trades, symbol), read_magics=partial(self._magics, symbol)
            )
            book.refresh()
            self._books[symbol] = book
        return self._books[symbol]

    def _trades(self, symbol: str, first: int) -> tuple[Trade, ...]:
        query = {"symbol": symbol, "fromId": first, "limit": PAGE}
        return self.parsed("privateGetMyTrades", parse.parse_trades, query)

    def _magics(self, symbol: str, first: int) -> dict[int, int]:
        query = {"symbol": symbol, "orderId": first, "limit": PAGE}
        return self.parsed("privateGetAllOrders", parse_magics, query)

    def _keeper(self, position: Position) -> OcoKeeper:
        resting = tuple(one for one in self._resting(position.symbol) if one.order.position_ticket)
        return OcoKeeper(self, position, self.rules(position.symbol), resting)
