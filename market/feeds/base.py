"""What every source of bars is to the services: closed bars of a symbol since a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

from market.raw import RawBars

Kind = Literal["rates", "klines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """What feeds need to know of the installation.

    Attributes
    ----------
    now_ms : callable
        Market time, UTC in ms.
    run_dir, state_dir : Path
        Where running processes publish their addresses, and where state shared by processes is kept.
    mt5_bridge, mt5_tz, mt5_path, mt5_login
        The terminal's address, its server's clock, its program, and the keyword arguments of ``initialize``.
    binance_base : str
        Scheme, host and port of the REST interface; empty for the usual one.
    binance_futures_base, fear_greed_base : str
        The same for the exchange's futures and for the fear & greed index; empty for those that go with
        ``binance_base``.
    is_demo : bool
        Whether the usual exchange is the simulated one, which publishes itself in ``run_dir``.
    """

    now_ms: Callable[[], int]
    run_dir: Path
    state_dir: Path
    mt5_bridge: str = ""
    mt5_tz: str = ""
    mt5_path: str = ""
    mt5_login: Mapping[str, Any] = field(default_factory=dict)
    binance_base: str = ""
    binance_futures_base: str = ""
    fear_greed_base: str = ""
    is_demo: bool = False


class BarFeed(Protocol):
    """A connected source of bars.

    ``kind`` says which table its rows belong to: ``rates`` are a broker's, asked for by the broker's symbol,
    ``klines`` an exchange's, asked for by the exchange's.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]

    @classmethod
    def open(cls, config: FeedConfig) -> Self:
        """Connect; FeedError when nobody answers."""

    def closed_bars(self, symbol: str, interval: str, *, since_ms: int) -> RawBars:
        """Return the bars that opened at ``since_ms`` or later and are closed, oldest first; FeedError otherwise."""

    def close(self) -> None:
        """Let go of the connection."""
