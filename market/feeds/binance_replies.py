"""Take Binance's replies apart: strict about what we use, indifferent to the rest.

A field that is missing or has another type is a ``FeedReplyError`` that names it. Numbers sent as text, and fields
that we do not know, are fine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from market.errors import FeedReplyError
from market.feeds.fields import as_list, as_mapping, bool_field, float_field, int_field, is_number, shown, text_field
from market.raw import RawBars, no_rows

KLINE_COLUMNS = (  # after the open time, in the order of the reply
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_ms",
    "quote_volume",
    "n_trades",
    "taker_buy_base_volume",
    "taker_buy_quote_volume",
)
N_FIELDS = 1 + len(KLINE_COLUMNS)
EPOCH_MS = (1_262_304_000_000, 4_102_444_800_000)  # 2010..2100: what a time in ms can be


class Trade(NamedTuple):
    """One trade; price in quote currency, quantities in base and in quote currency."""

    trade_id: int
    traded_ms: int
    price: float
    quantity: float
    quote_quantity: float
    is_buyer_maker: bool


class ExchangeSymbol(NamedTuple):
    """A symbol as the exchange lists it; only the exact status TRADING trades."""

    name: str
    status: str
    base: str
    quote: str

    @property
    def is_trading(self) -> bool:
        return self.status == "TRADING"


def parse_klines(reply: Any) -> RawBars:
    """Return klines as columns, in the order of the reply."""
    rows = as_list(reply, "klines")
    if not rows:
        return no_rows(KLINE_COLUMNS)
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) < N_FIELDS:
            raise FeedReplyError(f"kline {i} must be a list of at least {N_FIELDS} fields, was {shown(row)}")
    table = _numbers([row[:N_FIELDS] for row in rows])
    open_ms = table[:, 0]
    foreign = (open_ms < EPOCH_MS[0]) | (open_ms > EPOCH_MS[1])
    if foreign.any():
        raise FeedReplyError(f"kline open times must be ms since 1970, one was {open_ms[foreign][0]:.0f}")
    return RawBars(open_ms.astype(np.int64), dict(zip(KLINE_COLUMNS, table[:, 1:].T, strict=True)))


def parse_time(reply: Any) -> int:
    """Return the exchange's time in ms."""
    moment = int_field(as_mapping(reply, "time"), "serverTime", "time")
    if not EPOCH_MS[0] <= moment <= EPOCH_MS[1]:
        raise FeedReplyError(f"serverTime must be ms since 1970, was {moment}")
    return moment


def parse_trades(reply: Any) -> list[Trade]:
    """Return trades in the order of the reply."""
    return [_trade(as_mapping(item, f"trade {i}"), f"trade {i}") for i, item in enumerate(as_list(reply, "trades"))]


def parse_symbols(reply: Any) -> dict[str, ExchangeSymbol]:
    """Return the symbols of an exchangeInfo by name."""
    listed = as_list(as_mapping(reply, "exchangeInfo").get("symbols"), "exchangeInfo symbols")
    symbols = (_symbol(as_mapping(item, f"symbol {i}"), f"symbol {i}") for i, item in enumerate(listed))
    return {symbol.name: symbol for symbol in symbols}


def parse_weight_limit(reply: Any) -> int | None:
    """Return the request weight a minute that an exchangeInfo allows; None when it does not say."""
    for limit in as_list(as_mapping(reply, "exchangeInfo").get("rateLimits", []), "exchangeInfo rateLimits"):
        fields = as_mapping(limit, "rate limit")
        per_minute = fields.get("interval") == "MINUTE" and fields.get("intervalNum") == 1
        if fields.get("rateLimitType") == "REQUEST_WEIGHT" and per_minute:
            return int_field(fields, "limit", "rate limit")
    return None


def _numbers(rows: list[list[Any]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    try:
        table = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        table = None
    if table is None or np.isnan(table).any():
        raise FeedReplyError(_not_a_number(rows))
    return table


def _not_a_number(rows: list[list[Any]]) -> str:
    for i, row in enumerate(rows):
        for name, value in zip(("open_ms", *KLINE_COLUMNS), row, strict=True):
            if not is_number(value):
                return f"kline {i}: {name} must be a number, was {shown(value)}"
    return "klines must hold numbers"


def _trade(fields: Mapping[str, Any], what: str) -> Trade:
    return Trade(
        trade_id=int_field(fields, "id", what),
        traded_ms=int_field(fields, "time", what),
        price=float_field(fields, "price", what),
        quantity=float_field(fields, "qty", what),
        quote_quantity=float_field(fields, "quoteQty", what),
        is_buyer_maker=bool_field(fields, "isBuyerMaker", what),
    )


def _symbol(fields: Mapping[str, Any], what: str) -> ExchangeSymbol:
    names = ("symbol", "status", "baseAsset", "quoteAsset")
    return ExchangeSymbol(*(text_field(fields, name, what) for name in names))
