"""The simulated broker's symbols: what an account engine and an exchange need to know of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

FILLING_FOK, FILLING_IOC = 1, 2  # bits of MetaTrader 5's SYMBOL_FILLING_*
EXECUTION_MARKET = 2  # MetaTrader 5's SYMBOL_TRADE_EXECUTION_MARKET
TYPICAL_SPREAD = 0.0003  # of the price, where nothing better is known
MAX_TRADE_VALUE = 10_000_000  # quote currency; what the largest order of an unknown symbol is about worth


@dataclass(frozen=True, slots=True, kw_only=True)
class SimSymbol:
    """What a broker says about a symbol; a lot is ``contract_size`` coins.

    Parameters
    ----------
    name, binance_symbol : str
        The name at the broker and at the exchange.
    digits, point : int, float
        Decimals of a price, and the smallest step of one (``10 ** -digits``).
    spread_points : int
        Ask minus bid, in points.
    commission_rate : float
        Fraction of the notional, charged a side.
    swap_long_pct, swap_short_pct : float
        Per cent of the current price a year, a 360th of it a night; negative is paid by the holder.
    stops_level, freeze_level : int
        Least distance of a stop or a pending order from the price, in points.
    filling_mode, trade_exemode : int
        MetaTrader 5's bits and code.
    margin_rate : float
        Margin is notional / leverage times this.
    """

    name: str
    binance_symbol: str
    digits: int
    point: float
    contract_size: float = 1.0
    volume_min: float = 0.01
    volume_step: float = 0.01
    volume_max: float = 100.0
    spread_points: int
    currency_base: str
    currency_profit: str = "USD"
    commission_rate: float = 0.000325
    swap_long_pct: float = -18.0
    swap_short_pct: float = -6.0
    stops_level: int = 0
    freeze_level: int = 0
    filling_mode: int = FILLING_FOK | FILLING_IOC
    trade_exemode: int = EXECUTION_MARKET
    margin_rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.digits <= 8:
            raise ValueError(f"{self.name}: digits must be 0 to 8, was {self.digits}")
        if self.spread_points < 0:
            raise ValueError(f"{self.name}: spread_points must not be negative, was {self.spread_points}")
        if not 0 < self.volume_min <= self.volume_max:
            raise ValueError(
                f"{self.name}: need 0 < volume_min <= volume_max, was {self.volume_min}, {self.volume_max}"
            )

    def quoted(self, *, digits: int, spread: float) -> SimSymbol:
        """Return the same symbol with other decimals and a spread in price units, of at least a point."""
        points = max(1, round(spread * 10**digits))
        return replace(self, digits=digits, point=10.0**-digits, spread_points=points, stops_level=points)


def _coin(base: str, *, digits: int, spread_points: int, **fields: Any) -> SimSymbol:
    """Return a coin against the dollar, named as brokers do, whose stops keep one spread of distance."""
    return SimSymbol(
        name=f"{base}USD",
        binance_symbol=f"{base}USDT",
        digits=digits,
        point=10.0**-digits,
        spread_points=spread_points,
        stops_level=spread_points,
        currency_base=base,
        **fields,
    )


# Spreads are two to four hundredths of a per cent of the prices the synthetic market starts at.
CATALOGUE: Mapping[str, SimSymbol] = MappingProxyType(
    {
        symbol.name: symbol
        for symbol in (
            _coin("BTC", digits=2, spread_points=1000),
            _coin("ETH", digits=2, spread_points=80),
            _coin("BNB", digits=2, spread_points=20, volume_max=1000.0),
            _coin("SOL", digits=2, spread_points=6, volume_max=1000.0),
            _coin("ADA", digits=4, spread_points=5, volume_min=1.0, volume_step=1.0, volume_max=100_000.0),
        )
    }
)


def symbol_for(name: str, *, binance_symbol: str, digits: int, price: float, spread: float = 0.0) -> SimSymbol:
    """Return the specification of a replayed symbol: the catalogue's lots and costs, or some that suit its price.

    Parameters
    ----------
    name : str
        The broker's name for it, like ``XAUUSD``.
    binance_symbol : str
        The exchange's name; empty for ``name`` with a T behind a final USD.
    digits : int
        Decimals of the file's prices; the result has no fewer, so that it can quote them all.
    price : float
        A typical price, to size lots and the spread.
    spread : float, default=0.0
        Typical spread in price units where the file knows it; 0 for three hundredths of a per cent.
    """
    known = CATALOGUE.get(name) or _derived(name, binance_symbol, price)
    return known.quoted(digits=max(digits, known.digits), spread=spread or price * TYPICAL_SPREAD)


def _derived(name: str, binance_symbol: str, price: float) -> SimSymbol:
    """Return a symbol whose lot is a unit, and whose smallest order is worth about a dollar."""
    base, profit = (name[:-3], name[-3:]) if len(name) > 3 else (name, "USD")
    step = min(1.0, max(0.01, 10.0 ** _exponent_below(1.0 / price)))
    return SimSymbol(
        name=name,
        binance_symbol=binance_symbol or (f"{name}T" if profit == "USD" else name),
        digits=0,
        point=1.0,
        volume_min=step,
        volume_step=step,
        volume_max=max(step, 10.0 ** _exponent_below(MAX_TRADE_VALUE / price)),
        spread_points=1,
        currency_base=base,
        currency_profit=profit,
    )


def _exponent_below(value: float) -> int:
    """Return the largest n with ``10 ** n <= value``, for a positive value."""
    return len(f"{value:.0f}") - 1 if value >= 1 else int(f"{value:e}".partition("e")[2])
