"""Noise that is a function of its key: the same numbers for an hour, whichever hours are asked for with it."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
STREAM_BITS = np.uint64(20)  # room for a million numbers an hour


def symbol_key(seed: int, symbol: str) -> int:
    """Return the key of a symbol's noise."""
    return (seed * 0x100000001 + crc32(symbol.encode())) % 2**64


def uniform(key: int, hours: NDArray[np.int64], *, first: int, n: int) -> NDArray[np.float64]:
    """Return numbers ``first .. first + n`` of each hour's noise, uniform on [0, 1).

    Parameters
    ----------
    key : int
        The symbol's, see :func:`symbol_key`.
    hours : int64 (m,)
        Hours since 1970.

    Returns
    -------
    float64 (m, n)
    """
    counters = (hours.astype(np.uint64)[:, None] << STREAM_BITS) + np.arange(first, first + n, dtype=np.uint64)
    keyed = _mixed(np.multiply(counters, GOLDEN, dtype=np.uint64)) ^ np.asarray([key], np.uint64)
    bits = _mixed(keyed)
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64's finaliser of each number (Steele, Lea and Flood, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * FIRST
    x = (x ^ (x >> np.uint64(27))) * SECOND
    return x ^ (x >> np.uint64(31))
