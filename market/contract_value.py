"""What one lot of a symbol is worth, asked from the terminal."""

from __future__ import annotations

import math
from decimal import Decimal

from market.errors import FeedReplyError
from market.feeds.mt5 import Caller, ask, call_terminal


def get_contract_value(symbol: str, terminal: Caller) -> Decimal:
    """Return contract size x price of one lot, in the account's currency.

    The price is the middle of bid and ask. Where the symbol's profit currency is not the account's, it is converted
    at the middle of the pair of both, whichever way round the broker quotes it.

    Raises
    ------
    FeedUnavailableError
        If the terminal could not be reached.
    FeedReplyError
        If the symbol, its price or the pair for the conversion is missing.
    """
    info = ask(terminal, "symbol_info", symbol)
    size = _as_decimal(info.trade_contract_size)
    if size <= 0:
        raise FeedReplyError(f"the contract size of {symbol} must be above 0, was {size}")
    currency = ask(terminal, "account_info").currency
    return size * middle_price(symbol, terminal) * _rate(info.currency_profit, currency, terminal)


def middle_price(symbol: str, terminal: Caller) -> Decimal:
    """Return the middle of bid and ask, in the profit currency."""
    tick = ask(terminal, "symbol_info_tick", symbol)
    bid, ask_price = _as_decimal(tick.bid), _as_decimal(tick.ask)
    if not 0 < bid <= ask_price:
        raise FeedReplyError(f"a quote of {symbol} must have 0 < bid <= ask, was {bid} and {ask_price}")
    return (bid + ask_price) / 2


def _rate(profit: str, account: str, terminal: Caller) -> Decimal:
    """Return the price of one unit of the profit currency in the account's."""
    if profit == account:
        return Decimal(1)
    direct, inverse = f"{profit}{account}", f"{account}{profit}"
    if _is_known(direct, terminal):
        return middle_price(direct, terminal)
    if _is_known(inverse, terminal):
        return 1 / middle_price(inverse, terminal)
    raise FeedReplyError(f"no price of {profit} in {account}: the terminal knows neither {direct} nor {inverse}")


def _is_known(symbol: str, terminal: Caller) -> bool:
    """Ask the terminal to follow the symbol; one that it does not follow has no price."""
    return bool(call_terminal(terminal, "symbol_select", symbol, True).value)


def _as_decimal(price: float) -> Decimal:
    """Return the decimal that the float is the nearest to: the broker's own digits."""
    if not math.isfinite(price):
        raise FeedReplyError(f"the terminal gave {price} for a number")
    return Decimal(str(price))
