"""Binance USD-M futures through ccxt: net positions or a long and a short side, and stops on the algo endpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from execution.brokers import binance_parse_futures as parse
from execution.brokers.base import Capabilities, OrderTicket, Permit, Protection, Reduction, SendResult
from execution.brokers.binance_account import BinanceAccount
from execution.brokers.binance_book import PAGE, FuturesLedger, TradeBook
from execution.brokers.binance_futures_protection import AlgoKeeper, levels_of, tied
from execution.brokers.binance_ids import account_number, deal_number, order_id_of
from execution.brokers.binance_parse import Resting, Trade, parse_magics, parse_orders, parse_report
from execution.brokers.binance_replies import done, executed
from execution.brokers.binance_requests import plain_number, require_open, require_volume
from execution.errors import BrokerUnavailableError, ConfigError
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

ONE_WAY = "BOTH"
HEDGE_SIDES = {Side.BUY: "LONG", Side.SELL: "SHORT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FuturesTerms:
    """How the account must be set at Binance; what differs there stops entries, and a person sets it right."""

    leverage: int = 1
    is_isolated: bool = False
    is_hedge: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.leverage <= 20:
            raise ValueError(f"leverage must lie from 1 to 20, was {self.leverage}")


class BinanceFuturesBroker(BinanceAccount):
    """One USD-M futures account; ``terms`` is how it must be set, the other parameters are ``BinanceAccount``'s."""

    capabilities = Capabilities(
        has_client_order_id=True,
        stops_with_entry=False,
        closes_by_ticket=False,
        resting_stops_on_netting=True,  # closePosition and reduceOnly never open the other side
        can_short=True,
    )

    def __init__(self, *, terms: FuturesTerms, **options: Any) -> None:
        super().__init__(**options)
        self._terms = terms
        self._login = 0
        self._books: dict[str, TradeBook] = {}

    # --- reads -------------------------------------------------------------------------------------------------

    def account(self) -> AccountSnapshot:
        """Return the margin asset's wallet. In hedge mode, too, a symbol's entries of one side are one position."""
        value = self.wire.read("fapiPrivateV2GetAccount")
        wallet = self.understood("account", partial(parse.parse_wallet, asset=self.quote_asset), value)
        return AccountSnapshot(
            login=self._login,
            server=self.server,
            currency=self.quote_asset,
            balance=wallet.balance,
            equity=wallet.equity,
            margin=wallet.margin,
            margin_free=wallet.available,
            leverage=self._terms.leverage,
            margin_mode=MarginMode.NETTING,
            trade_allowed=self.understood("account", parse.parse_can_trade, value),
            trade_expert=True,  # connecting has refused a key that may not
            kind=AccountKind.DEMO if self.wire.is_simulated else AccountKind.REAL,
            broker="binance_futures",
        )

    def positions(self) -> tuple[Position, ...]:
        """Return every open position of the account, with the levels that rest for it."""
        return tuple(self._position(risk) for risk in self._risks())

    def working_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every resting order of the account, the conditional ones too: their numbers are negative."""
        mine = dict.fromkeys((*self.symbols, *self._books))
        return tuple(resting.order for resting in self.resting_of(self._resting, mine))

    def fills_since(self, at: datetime) -> tuple[Fill, ...]:
        """Return every fill from ``at`` on, oldest first, of our symbols and of those that are held."""
        symbols = dict.fromkeys((*self.symbols, *self._books, *(risk.symbol for risk in self._risks())))
        fills = [fill for symbol in symbols for fill in self._book(symbol).refresh() if fill.at >= at]
        return tuple(sorted(fills, key=lambda fill: (fill.at, fill.deal_id)))

    def cash_since(self, at: datetime) -> tuple[CashMovement, ...]:
        """Return transfers, funding and all else that moved the wallet without a trade from ``at`` on."""
        query = {"startTime": int(at.timestamp() * 1000), "limit": PAGE}
        read = partial(parse.parse_income, asset=self.quote_asset)
        moved = [one for one in self.parsed("fapiPrivateGetIncome", read, query) if one.at >= at]
        return tuple(sorted(moved, key=lambda one: (one.at, one.deal_id)))

    # --- writes ------------------------------------------------------------------------------------------------

    def submit(self, ticket: OrderTicket, permit: Permit) -> SendResult:
        """Buy or sell at market, once leverage, margin type and mode are what they must be."""

        def act() -> SendResult:
            if ticket.stop is not None or ticket.target is not None:
                raise ValueError("a futures order carries no stop and no target: protect the position once it is there")
            spec = self._spec_at(ticket.symbol, self.quote(ticket.symbol).price_for(ticket.side))
            require_open(spec)
            require_volume(ticket.volume, spec, smallest=spec.volume_min)
            self._require_terms(ticket.symbol)
            side = {"positionSide": HEDGE_SIDES[ticket.side]} if self._terms.is_hedge else {}
            parameters = self._order(ticket.symbol, ticket.side, ticket.volume, ticket.magic) | side
            return self._market(parameters, ticket.volume, permit, RequestAction.OPEN)

        return self._write(permit, act, reduces=False)

    def reduce(self, reduction: Reduction, permit: Permit) -> SendResult:
        """Close a position or a part of it, marked so that the venue itself lets it do no more.

        After a whole close the levels that rested for it are taken away: they would end the next position.
        """

        def act() -> SendResult:
            seen = reduction.position
            position = self._require_unchanged(seen)
            spec = self._spec_at(seen.symbol, position.price_open)
            if reduction.volume != position.volume:
                require_volume(reduction.volume, spec, smallest=spec.volume_step)
            marked = {"positionSide": HEDGE_SIDES[seen.side]} if self._terms.is_hedge else {"reduceOnly": "true"}
            parameters = self._order(seen.symbol, seen.side.opposite, reduction.volume, reduction.magic) | marked
            keeper = self._keeper(position)  # before the send: nothing may fail after it that need not
            result = self._market(parameters, reduction.volume, permit, RequestAction.CLOSE)
            if result.outcome is Outcome.OK and reduction.volume == position.volume:
                keeper.sweep(self._later(permit))
            return result

        return self._write(permit, act, reduces=True)

    def protect(self, protection: Protection, permit: Permit) -> SendResult:
        """Set a position's stop and target: the new one rests before the old one is taken back."""

        def act() -> SendResult:
            found = [p for p in self._positions_of(protection.symbol) if p.ticket == protection.ticket]
            if not found or found[0].side is not protection.side:
                raise ValueError(f"no position {protection.ticket} of {protection.symbol} is there to be protected")
            quote = self.quote(protection.symbol)
            spec = self._spec_at(protection.symbol, quote.bid)
            require_stops(protection.side, quote, spec, stop=protection.stop, target=protection.target)
            return self._keeper(found[0]).replace(protection.stop, protection.target, permit)

        return self._write(permit, act, reduces=permit.reduce)

    def cancel(self, order_id: int, permit: Permit) -> SendResult:
        """Take back a resting order; a negative number is a conditional one's."""

        def act() -> SendResult:
            found = [resting for resting in self._resting() if resting.order.order_id == order_id]
            if len(found) != 1:
                raise ValueError(f"one order {order_id} must rest to be cancelled, {len(found)} do")
            return self._cancel(found[0], permit)

        return self._write(permit, act, reduces=True)

    def _order(self, symbol: str, side: Side, volume: Decimal, magic: int) -> dict[str, Any]:
        return {
            "symbol": symbol,
            "side": side.name,
            "type": "MARKET",
            "quantity": plain_number(volume),
            "newClientOrderId": order_id_of(magic),
            "newOrderRespType": "RESULT",
        }

    def _market(self, parameters: dict[str, Any], volume: Decimal, permit: Permit, action: RequestAction) -> SendResult:
        reduces = action is RequestAction.CLOSE
        reply, sent = self._send("fapiPrivatePostOrder", parameters, permit, action=action, reduces=reduces)
        report = self._understood(parse_report, reply, sent)
        result = executed(reply, report, sent, requested=volume)
        return self._with_deal(result, report.symbol) if result.outcome in (Outcome.OK, Outcome.PARTIAL) else result

    def _with_deal(self, result: SendResult, symbol: str) -> SendResult:
        """Return a result with its trades' number and price, which the answer does not tell; without, if unread."""
        query = {"symbol": symbol, "orderId": result.order_id}
        try:
            trades = self.parsed("fapiPrivateGetUserTrades", parse.parse_trades, query)
        except (BrokerUnavailableError, ConfigError):
            return result
        trades = tuple(trade for trade in trades if trade.order_id == result.order_id)
        if not trades:
            return result
        volume = sum((trade.volume for trade in trades), Decimal(0))
        worth = sum((trade.volume * trade.price for trade in trades), Decimal(0))
        return replace(result, deal_id=deal_number(symbol, trades[-1].trade_id), price=worth / volume)

    def _cancel(self, resting: Resting, permit: Permit) -> SendResult:
        order, is_algo = resting.order, resting.order.order_id < 0
        endpoint = "fapiPrivateDeleteAlgoOrder" if is_algo else "fapiPrivateDeleteOrder"
        which = {"algoId": -order.order_id} if is_algo else {"orderId": order.order_id}
        parameters = {"symbol": order.symbol, **which}
        reply, sent = self._send(endpoint, parameters, permit, action=RequestAction.CANCEL, reduces=True)
        return done(reply, sent, name="CANCELED", order_id=order.order_id)

    # --- how the account is set ---------------------------------------------------------------------------------

    def _verify(self) -> None:
        """Read whose account it is, and refuse a position mode that is not the one that was meant."""
        self._login = account_number(self.parsed("fapiPrivateV2GetBalance", parse.parse_alias))
        is_hedge = self.parsed("fapiPrivateGetPositionSideDual", parse.parse_is_hedge)
        if is_hedge is not self._terms.is_hedge:
            modes = {True: "hedge mode", False: "one-way mode"}
            raise ConfigError(f"the account is in {modes[is_hedge]}, it must be in {modes[self._terms.is_hedge]}")

    def _require_terms(self, symbol: str) -> None:
        configs = self.parsed("fapiPrivateGetSymbolConfig", parse.parse_symbol_configs, {"symbol": symbol})
        if symbol not in configs:
            raise BrokerUnavailableError(f"the venue does not say with what leverage {symbol} is traded")
        config, terms = configs[symbol], self._terms
        if config.leverage > terms.leverage or config.is_isolated is not terms.is_isolated:
            kinds = {True: "isolated", False: "crossed"}
            raise ConfigError(
                f"{symbol} is set to {config.leverage}x {kinds[config.is_isolated]}, "
                f"it must be {kinds[terms.is_isolated]} and at most {terms.leverage}x"
            )

    # --- what the methods above are made of -----------------------------------------------------------------------

    def _risks(self, symbol: str | None = None) -> list[parse.Risk]:
        query = {"symbol": symbol} if symbol else {}
        return [risk for risk in self.parsed("fapiPrivateV3GetPositionRisk", parse.parse_risks, query) if risk.amount]

    def _algos(self, symbol: str | None = None) -> tuple[Resting, ...]:
        query = {"symbol": symbol} if symbol else {}
        return self._tied(self.parsed("fapiPrivateGetOpenAlgoOrders", parse.parse_algo_orders, query))

    def _tied(self, found: tuple[Resting, ...]) -> tuple[Resting, ...]:
        """Return orders with the tickets of the positions that they end."""
        return tuple(
            tied(one, self._book(one.order.symbol).ticket(one.order.symbol, one.position_side)) for one in found
        )

    def _resting(self, symbol: str | None = None) -> tuple[Resting, ...]:
        query = {"symbol": symbol} if symbol else {}
        plain = self.parsed("fapiPrivateGetOpenOrders", parse_orders, query)
        return (*self._tied(plain), *self._algos(symbol))

    def _position(self, risk: parse.Risk) -> Position:
        book = self._book(risk.symbol)
        book.refresh_for((risk.amount, risk.position_side, risk.updated_ms))
        opened = book.ledger.holding(risk.position_side)
        ticket = book.ticket(risk.symbol, risk.position_side)
        stop, target = levels_of(one for one in self._algos(risk.symbol) if one.order.position_ticket == ticket)
        return Position(
            ticket=ticket,
            symbol=risk.symbol,
            side=risk.side,
            volume=abs(risk.amount),
            price_open=risk.entry_price,
            opened_at=opened.opened_at or datetime.fromtimestamp(risk.updated_ms / 1000, UTC),
            magic=opened.magic,
            stop=stop,
            target=target,
            profit=risk.profit,
        )

    def _positions_of(self, symbol: str) -> list[Position]:
        self.rules(symbol)  # a symbol that the venue does not know is refused here
        return [self._position(risk) for risk in self._risks(symbol)]

    def _require_unchanged(self, seen: Position) -> Position:
        """Return the position as it is now, or refuse: a close follows only from what was seen."""
        found = [p for p in self._positions_of(seen.symbol) if (p.ticket, p.side) == (seen.ticket, seen.side)]
        if not found or found[0].volume != seen.volume:
            what = f"{found[0].volume}" if found else "not there"
            raise ValueError(
                f"position {seen.ticket} of {seen.symbol} is {what}, was seen as {seen.side} {seen.volume}"
            )
        return found[0]

    def _book(self, symbol: str) -> TradeBook:
        """Return the trades of a symbol, read from its first one on when it is asked for first."""
        if symbol not in self._books:
            ledger = FuturesLedger(quote=self.quote_asset)
            book = TradeBook(
                ledger, read_trades=partial(self._trades, symbol), read_magics=partial(self._magics, symbol)
            )
            book.refresh()
            self._books[symbol] = book
        return self._books[symbol]

    def _trades(self, symbol: str, first: int) -> tuple[Trade, ...]:
        query = {"symbol": symbol, "fromId": first, "limit": PAGE}
        return self.parsed("fapiPrivateGetUserTrades", parse.parse_trades, query)

    def _magics(self, symbol: str, first: int) -> dict[int, int]:
        """Return the magics of orders; one that a conditional order has triggered bears its magic."""
        query = {"symbol": symbol, "orderId": first, "limit": PAGE}
        magics = self.parsed("fapiPrivateGetAllOrders", parse_magics, query)
        if all(magics.values()):
            return magics
        reports = self.parsed("fapiPrivateGetAllAlgoOrders", parse.parse_algo_reports, {"symbol": symbol})
        return magics | {one.order_id: one.magic for one in reports if one.order_id and one.magic}

    def _keeper(self, position: Position) -> AlgoKeeper:
        mine = [one for one in self._algos(position.symbol) if one.order.position_ticket == position.ticket]
        position_side = HEDGE_SIDES[position.side] if self._terms.is_hedge else ONE_WAY
        return AlgoKeeper(self, position, self.rules(position.symbol), tuple(mine), position_side)
