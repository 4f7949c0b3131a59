"""Stops and targets that a venue accepts: on the right side of the market, and far enough from it."""

from __future__ import annotations

from decimal import Decimal

from execution.planning.orders import Quote, Side, SymbolSpec


def least_distance(quote: Quote, spec: SymbolSpec) -> Decimal:
    """Return how far a stop must stay from the market, in price units.

    A distance of 0 is what venues write when they do not say; two spreads are kept then.
    """
    return max(spec.stops_distance, spec.freeze_distance, 2 * (quote.ask - quote.bid))


def require_stops(side: Side, quote: Quote, spec: SymbolSpec, *, stop: Decimal | None, target: Decimal | None) -> None:
    """Refuse a stop or target of a position of ``side`` that is too near, or on the wrong side.

    A long position is closed at the bid and a short one at the ask, so that is where distances are measured from.

    Raises
    ------
    ValueError
        With the level, where it was and where it may be.
    """
    market, least = quote.price_for(side.opposite), least_distance(quote, spec)
    for name, level, towards in (("stop", stop, -side.sign), ("target", target, side.sign)):
        # Written so that a NaN is refused.
        if level is not None and not (level.is_finite() and (level - market) * towards >= least):
            where = "above" if towards > 0 else "below"
            raise ValueError(
                f"the {name} of a {side} of {spec.symbol} must be at least {least} {where} {market}, was {level}"
            )
