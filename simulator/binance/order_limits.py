"""How the exchange counts an account's new orders: so many in ten seconds, so many in a longer span, then 429."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from simulator.binance.refusals import refusal


@dataclass(frozen=True, slots=True)
class Span:
    """A count over some seconds, and what its header and its refusal call it."""

    seconds: float
    limit: int
    header: str
    words: str


SPOT_SPANS = (Span(10.0, 100, "10S", "10 SECOND"), Span(86_400.0, 200_000, "1D", "1 DAY"))
FUTURES_SPANS = (Span(10.0, 300, "10S", "10 SECOND"), Span(60.0, 1200, "1M", "1 MINUTE"))


class OrderLimiter:
    """Counts new orders by a real clock.

    Parameters
    ----------
    mono : callable
        Returns seconds that never go back.
    spans : tuple of Span
        The longest last.
    """

    def __init__(self, mono: Callable[[], float], spans: tuple[Span, ...]) -> None:
        self._mono, self._spans = mono, spans
        self._lock = Lock()
        self._times: deque[float] = deque()

    def charge(self, n_orders: int) -> dict[str, str]:
        """Count new orders and return the headers that tell the counts; -1015 when they are too many."""
        with self._lock:
            now = self._mono()
            while self._times and now - self._times[0] >= self._spans[-1].seconds:
                self._times.popleft()
            counts = {span: sum(now - t < span.seconds for t in self._times) + n_orders for span in self._spans}
            for span, count in counts.items():
                if count > span.limit:
                    raise refusal("orders", limit=span.limit, span=span.words)
            self._times.extend([now] * n_orders)
            return {f"X-MBX-ORDER-COUNT-{span.header}": str(count) for span, count in counts.items()}
