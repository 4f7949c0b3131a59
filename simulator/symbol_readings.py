"""What the terminal says about a symbol: its specification, its quote, its day so far, its one-level book."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, get_type_hints

from simulator import constants as mt5
from simulator.account import Account
from simulator.price_history import bars_between
from simulator.server_time import DAY_MS, to_server_ms, to_server_s
from simulator.structs import BookInfo, SymbolInfo, Tick

if TYPE_CHECKING:
    from simulator.market import Quote
    from simulator.symbols import SimSymbol

ALL_ORDER_MODES = 127  # bits of SYMBOL_ORDER_*: every order type, stops, targets and close-by
ALL_EXPIRATION_MODES = 15  # bits of SYMBOL_EXPIRATION_*


def tick(quote: Quote) -> Tick:
    """Return a quote as the last tick; nothing is dealt at a last price here."""
    return Tick(
        time=to_server_s(quote.time_ms),
        bid=quote.bid,
        ask=quote.ask,
        last=0.0,
        volume=0,
        time_msc=to_server_ms(quote.time_ms),
        flags=mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK,
        volume_real=0.0,
    )


def book(symbol: SimSymbol, quote: Quote) -> tuple[BookInfo, ...]:
    """Return the market depth: one level a side, which takes the largest order whole."""
    sides = ((mt5.BOOK_TYPE_SELL, quote.ask), (mt5.BOOK_TYPE_BUY, quote.bid))
    volume = symbol.volume_max
    return tuple(BookInfo(type=t, price=p, volume=int(volume), volume_dbl=volume) for t, p in sides)


def matching(names: Iterable[str], group: str | None) -> list[str]:
    """Return the names that a group mask lets through, in their order.

    Masks are separated by commas and applied from left to right; ``*`` stands for any characters, and one that begins
    with ``!`` takes away again: ``"*,!*EUR*"`` is everything without EUR.
    """
    if group is None:
        return list(names)
    masks = [mask.strip() for mask in group.split(",")]
    return [name for name in names if _passes(name, masks)]


def _passes(name: str, masks: list[str]) -> bool:
    passes = False
    for mask in masks:
        pattern = ".*".join(re.escape(part) for part in mask.removeprefix("!").split("*"))
        if re.fullmatch(pattern, name):
            passes = not mask.startswith("!")
    return passes


def symbol_info(account: Account, name: str, *, selected: bool) -> SymbolInfo:
    """Return all that is known of a symbol; prices are 0 where it has had no tick yet."""
    spec = account.market.symbols[name]
    values: dict[str, object] = {field: kind() for field, kind in get_type_hints(SymbolInfo).items()}
    values |= _specification(spec) | _live(account, spec)
    values |= {"select": selected, "visible": selected, "trade_mode": account.trade_modes[name]}
    return SymbolInfo(**values)  # type: ignore[arg-type]  # by name, from the three dicts


def _specification(spec: SimSymbol) -> dict[str, object]:
    """Return what does not move, beside what is zero for such a symbol."""
    tick_value = spec.point * spec.contract_size
    return {
        "name": spec.name,
        "path": f"Crypto\\{spec.name}",
        "description": f"{spec.currency_base} vs {spec.currency_profit}",
        "currency_base": spec.currency_base,
        "currency_profit": spec.currency_profit,
        "currency_margin": spec.currency_profit,
        "digits": spec.digits,
        "point": spec.point,
        "spread": spec.spread_points,
        "ticks_bookdepth": 1,
        "chart_mode": mt5.SYMBOL_CHART_MODE_BID,
        "trade_calc_mode": mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
        "trade_exemode": spec.trade_exemode,
        "filling_mode": spec.filling_mode,
        "order_mode": ALL_ORDER_MODES,
        "expiration_mode": ALL_EXPIRATION_MODES,
        "order_gtc_mode": mt5.SYMBOL_ORDERS_GTC,
        "trade_stops_level": spec.stops_level,
        "trade_freeze_level": spec.freeze_level,
        "trade_contract_size": spec.contract_size,
        "trade_tick_size": spec.point,
        "trade_tick_value": tick_value,
        "trade_tick_value_profit": tick_value,
        "trade_tick_value_loss": tick_value,
        "volume_min": spec.volume_min,
        "volume_max": spec.volume_max,
        "volume_step": spec.volume_step,
        "swap_mode": mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT,
        "swap_long": spec.swap_long_pct,
        "swap_short": spec.swap_short_pct,
        "margin_hedged": spec.contract_size,
        "margin_hedged_use_leg": True,  # margin of the larger side
    }


def _live(account: Account, spec: SimSymbol) -> dict[str, object]:
    """Return the quote and the server day so far; the ask's extremes are the bid's plus the spread."""
    quote = account.quote(spec.name)
    if quote is None:
        return {}
    live: dict[str, object] = {"time": to_server_s(quote.time_ms), "bid": quote.bid, "ask": quote.ask}
    today_ms = to_server_ms(account.now_ms) // DAY_MS * DAY_MS
    days = bars_between(account, spec.name, mt5.TIMEFRAME_D1, today_ms - DAY_MS, today_ms)
    if len(days) and int(days["time"][-1]) * 1000 == today_ms:
        high, low = float(days["high"][-1]), float(days["low"][-1])
        spread = spec.spread_points * spec.point
        live |= {"bidhigh": high, "bidlow": low, "session_open": float(days["open"][-1])}
        live |= {"askhigh": round(high + spread, spec.digits), "asklow": round(low + spread, spec.digits)}
    if len(days) == 2:
        before = float(days["close"][0])
        live |= {"session_close": before, "price_change": round((quote.bid / before - 1) * 100, 4)}
    return live
