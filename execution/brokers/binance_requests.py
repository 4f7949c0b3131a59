"""What is checked and written of an order before it is sent to Binance. Pure."""

from __future__ import annotations

from decimal import Decimal

from execution.planning.orders import SymbolSpec, TradeMode
from execution.planning.rounding import is_on_step


def require_volume(volume: Decimal, spec: SymbolSpec, *, smallest: Decimal) -> None:
    """Refuse a volume off the grid: what the venue would refuse anyway costs no request."""
    if not (is_on_step(volume, spec.volume_step) and smallest <= volume <= spec.volume_max):
        allowed = f"a multiple of {spec.volume_step} from {smallest} to {spec.volume_max}"
        raise ValueError(f"the volume of an order of {spec.symbol} must be {allowed}, was {volume}")


def require_open(spec: SymbolSpec) -> None:
    """Refuse a symbol that is not exactly open for trading."""
    if spec.trade_mode is TradeMode.DISABLED:
        raise ValueError(f"{spec.symbol} is not open for trading")


def plain_number(value: Decimal) -> str:
    """Return a number as Binance takes it: no exponent, no zeros behind.

    >>> plain_number(Decimal("0.00010")), plain_number(Decimal("1E+2"))
    ('0.0001', '100')
    """
    return format(value.normalize(), "f")
