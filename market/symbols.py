"""The register of symbols: which there are, which are traded, and their names at each venue."""

from __future__ import annotations

from market.errors import UnknownSymbolError
from market.models import Symbol

DEFAULTS = (("BTCUSD", "BTCUSDT"), ("ETHUSD", "ETHUSDT"), ("BNBUSD", "BNBUSDT"))


def default_symbols() -> list[Symbol]:
    """Register the desk's first symbols where they are missing, and return them; what a person edited stays."""
    return [
        Symbol.objects.get_or_create(name=name, defaults={"binance_symbol": binance_symbol, "ordering": place})[0]
        for place, (name, binance_symbol) in enumerate(DEFAULTS, start=1)
    ]


def get_symbol(name: str) -> Symbol:
    """Return the symbol with this name at the broker or, if none has it, at Binance.

    Raises
    ------
    UnknownSymbolError
        With the names of those that are registered.
    """
    symbols = list(Symbol.objects.all())
    for symbol in symbols:
        if symbol.name == name:
            return symbol
    for symbol in symbols:
        if name and symbol.binance_symbol == name:
            return symbol
    known = ", ".join(symbol.name for symbol in symbols) or "none; `manage.py demo_load` or the admin adds them"
    raise UnknownSymbolError(f"no symbol {name!r}; known: {known}")


def get_binance_symbol(symbol: str) -> str:
    """Return the name at Binance; empty for a symbol that Binance does not list."""
    return get_symbol(symbol).binance_symbol


def chosen_symbols(names: list[str] | None = None) -> list[Symbol]:
    """Return the symbols with these names, or all traded ones.

    Raises
    ------
    UnknownSymbolError
        If a name is not registered, or nothing is traded.
    """
    if names:
        return [get_symbol(name) for name in dict.fromkeys(names)]
    symbols = list(Symbol.objects.traded())
    if not symbols:
        raise UnknownSymbolError("no symbol is traded; `manage.py demo_load` or the admin adds them")
    return symbols
