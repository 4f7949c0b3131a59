"""What trading costs in a world, as factors of what its symbols say; 0 for a comparison without costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from simulator.symbols import SimSymbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The broker's terms.

    Parameters
    ----------
    spread, commission, swap : float
        Factors, not negative: 1 leaves what a symbol says, 0 takes it away.
    hold_open : bool
        Keep each hour's first minute at its open, so that an order sent in it is filled there.
    """

    spread: float = 1.0
    commission: float = 1.0
    swap: float = 1.0
    hold_open: bool = False

    def __post_init__(self) -> None:
        for name in ("spread", "commission", "swap"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a factor of at least 0, was {getattr(self, name)}")

    def of(self, symbol: SimSymbol) -> SimSymbol:
        """Return a symbol as it is traded on these terms."""
        return replace(
            symbol,
            spread_points=round(symbol.spread_points * self.spread),
            commission_rate=symbol.commission_rate * self.commission,
            swap_long_pct=symbol.swap_long_pct * self.swap,
            swap_short_pct=symbol.swap_short_pct * self.swap,
        )


AS_USUAL = Terms()
