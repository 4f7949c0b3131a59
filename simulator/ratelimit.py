"""How Binance counts an address's requests: weights a minute, then 429, then a ban."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

WEIGHT_A_MINUTE = 6000
MINUTE_S = 60.0
TOLERATED = 10  # requests after a 429, before the ban
FIRST_BAN_S, LONGEST_BAN_S = 120.0, 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request is answered: 200, 429 or 418, with the weight used this minute and how long to stay away."""

    status: int
    used: int
    retry_after_s: int = 0


class WeightLimiter:
    """Counts weights by the minute of a real clock; over the limit a client has to wait, or is banned.

    Parameters
    ----------
    mono : callable
        Returns seconds that never go back; real ones, however fast market time runs.
    """

    def __init__(self, mono: Callable[[], float], *, limit: int = WEIGHT_A_MINUTE) -> None:
        self._mono = mono
        self._limit = limit
        self._lock = Lock()
        self._minute = -1
        self._used = 0
        self._refused = 0
        self._banned_until = -math.inf
        self._ban_s = FIRST_BAN_S

    def charge(self, weight: int) -> Verdict:
        """Count a request and say whether it may pass."""
        with self._lock:
            now = self._mono()
            minute = int(now // MINUTE_S)
            if minute != self._minute:
                self._minute, self._used, self._refused = minute, 0, 0
            self._used += weight
            if now < self._banned_until:
                return Verdict(418, self._used, math.ceil(self._banned_until - now))
            if self._used <= self._limit:
                return Verdict(200, self._used)
            self._refused += 1
            if self._refused > TOLERATED:
                self._banned_until = now + self._ban_s
                verdict = Verdict(418, self._used, math.ceil(self._ban_s))
                self._ban_s = min(2 * self._ban_s, LONGEST_BAN_S)
                return verdict
            return Verdict(429, self._used, math.ceil((minute + 1) * MINUTE_S - now))
