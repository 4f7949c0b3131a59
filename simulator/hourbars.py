"""Hour bars: all that the simulated market knows of a symbol; paths, ticks and other timeframes come from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HOUR_MS = 3_600_000
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class HourBars:
    """One symbol's hour bars, ``n`` of them, oldest first; a missing hour is a closed market.

    Prices are whole points (``price * 10 ** digits``), so that they stay exact however they are cut and joined:
    a whole number over a power of ten is the nearest float64 to the decimal, the one that reading its text gives.

    Parameters
    ----------
    digits : int
        Decimals of a price.
    open_ms : int64 (n,)
        Open times, UTC milliseconds, increasing, on the hour.
    open, high, low, close : int64 (n,)
        Points.
    volume, quote_volume, taker_base, taker_quote : float64 (n,)
        As in a kline: base and quote currency, and the takers' buys among them.
    trades : int64 (n,)
        Number of trades; the tick volume at the broker.

    Raises
    ------
    ValueError
        If times are off the hour or out of order, or a bar's high or low is inside its body.
    """

    digits: int
    open_ms: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Floats
    quote_volume: Floats
    trades: Ints
    taker_base: Floats
    taker_quote: Floats
    _row_of_hour: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not len(self.open_ms):
            raise ValueError("a symbol needs at least one hour bar, had none")
        if (self.open_ms % HOUR_MS).any() or (np.diff(self.open_ms) <= 0).any():
            raise ValueError("hour bars must open on the hour and be in increasing order")
        body_high, body_low = np.maximum(self.open, self.close), np.minimum(self.open, self.close)
        if (self.high < body_high).any() or (self.low > body_low).any():
            raise ValueError("hour bars need low <= open, close <= high")
        hours = (self.open_ms - self.open_ms[0]) // HOUR_MS
        rows = np.full(int(hours[-1]) + 1, -1, np.int32)
        rows[hours] = np.arange(len(hours), dtype=np.int32)
        object.__setattr__(self, "_row_of_hour", rows)

    def __len__(self) -> int:
        return len(self.open_ms)

    @property
    def start_ms(self) -> int:
        """Return the open of the first bar."""
        return int(self.open_ms[0])

    @property
    def end_ms(self) -> int:
        """Return the end of the last bar."""
        return int(self.open_ms[-1]) + HOUR_MS

    def row(self, t_ms: int) -> int:
        """Return the bar whose hour holds the moment, or -1 where the market is closed."""
        hour = (t_ms - self.start_ms) // HOUR_MS
        return int(self._row_of_hour[hour]) if 0 <= hour < len(self._row_of_hour) else -1

    def row_at_or_before(self, t_ms: int) -> int:
        """Return the last bar that opened at or before the moment, or -1 before the first."""
        return int(np.searchsorted(self.open_ms, t_ms, side="right")) - 1

    def rows_opening_in(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Return the range of bars whose open is in ``[from_ms, to_ms)``."""
        first, last = np.searchsorted(self.open_ms, (from_ms, to_ms), side="left")
        return int(first), max(int(first), int(last))
