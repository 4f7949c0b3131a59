"""What a backtest is asked: whose positions, on which symbols and hours, from what capital and at what costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops.errors import DeskError, ExitCode
from strategies.models import Backtest

if TYPE_CHECKING:
    from strategies.research.backtest import Capital
    from strategies.research.costs import Costs
    from strategies.research.lots import SymbolTerms

HOUR = timedelta(hours=1)
HISTORY_HOURS = 8760  # that models are fitted on, and see at a session
# What the demo's broker takes, and brokers of coins take about as much [chosen]; slippage is an allowance.
SPREAD, SLIPPAGE, COMMISSION, SWAP_LONG, SWAP_SHORT = 0.0003, 0.0001, 0.000325, -0.18, -0.06


class BacktestRequestError(DeskError):
    """A backtest that cannot be run as asked."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRequest:
    """What to test.

    Parameters
    ----------
    symbols : tuple of str
        Names; kept sorted, each once.
    begin, end : datetime
        Whole hours, aware: the slots of ``[begin, end)``.
    source : Backtest.Source
        Whose positions: the active models', or the plan's, fitted every ``refit_hours`` on the hours before.
    refit_hours : int, default=720
    is_windowed : bool, default=False
        Ask models slot by slot on the ``history_hours`` up to it, as a session does; else once on all bars.
    history_hours : int, default=8760
        Bars that models are fitted on, and see at a session.
    start, fixed : float
        Account currency: what the account begins with, and what positions are sized from; None sizes from the equity.
    terms : mapping of str to SymbolTerms
        How each symbol is traded; an equal share at the assumed costs by default.
    early_hour : int or None, default=22
        As in the session's settings. A backtest cannot begin or end at it: its slot is in the hour before.
    note : str
    warnings : tuple of str
        What a person should know of how the request came about; kept with the result.

    Raises
    ------
    BacktestRequestError
        For a request that makes no sense.
    """

    symbols: tuple[str, ...]
    begin: datetime
    end: datetime
    source: str = Backtest.Source.ACTIVE
    refit_hours: int = 720
    is_windowed: bool = False
    history_hours: int = HISTORY_HOURS
    start: float = 10_000.0
    fixed: float | None = 10_000.0
    terms: Mapping[str, SymbolTerms] = field(default_factory=dict)
    early_hour: int | None = 22
    note: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(sorted(set(self.symbols))))
        if not self.symbols:
            raise BacktestRequestError("a backtest needs at least one symbol, had none")
        for name in ("begin", "end"):
            _require_hour(name, getattr(self, name), self.early_hour)
        if not self.begin < self.end:
            raise BacktestRequestError(f"a backtest must begin before it ends, was {self.begin} to {self.end}")
        if self.source not in Backtest.Source.values:
            raise BacktestRequestError(f"no source {self.source!r}; known: {', '.join(Backtest.Source.values)}")
        for name in ("refit_hours", "history_hours"):
            if getattr(self, name) < 1:
                raise BacktestRequestError(f"{name} must be at least 1, was {getattr(self, name)}")

    @property
    def n_slots(self) -> int:
        """Hours, each with a slot of its own but for what a venue's break takes."""
        return int((self.end - self.begin) / HOUR)

    @property
    def capital(self) -> Capital:
        """The capital as the engines take it."""
        from strategies.research.backtest import Capital

        return Capital(start=self.start, fixed=self.fixed)

    def terms_of(self, symbol: str) -> SymbolTerms:
        """Return how a symbol is traded."""
        from strategies.research.lots import SymbolTerms

        return self.terms.get(symbol) or SymbolTerms(costs=assumed_costs())

    def as_config(self) -> dict[str, Any]:
        """Return all that a result depends on, as JSON has it."""
        config = {
            "source": str(self.source),
            "symbols": list(self.symbols),
            "begin": self.begin.isoformat(),
            "end": self.end.isoformat(),
            "is_windowed": self.is_windowed,
            "history_hours": self.history_hours,
            "start": self.start,
            "fixed": self.fixed,
            "early_hour": self.early_hour,
            "terms": {symbol: asdict(self.terms_of(symbol)) for symbol in self.symbols},
        }
        return config | ({"refit_hours": self.refit_hours} if self.source == Backtest.Source.PLAN else {})


def assumed_costs(**changes: float | None) -> Costs:
    """Return the costs that a backtest assumes; what is given and not None takes their place."""
    from strategies.research.costs import Costs

    assumed = {
        "spread_fraction": SPREAD,
        "slippage": SLIPPAGE,
        "commission_rate": COMMISSION,
        "swap_long": SWAP_LONG,
        "swap_short": SWAP_SHORT,
    }
    return Costs(**assumed | {name: rate for name, rate in changes.items() if rate is not None})


def _require_hour(name: str, moment: datetime, early_hour: int | None) -> None:
    if moment.tzinfo is None or moment.utcoffset() or moment != moment.replace(minute=0, second=0, microsecond=0):
        raise BacktestRequestError(f"{name} must be a whole hour in UTC, was {moment.isoformat()}")
    if moment.hour == early_hour:
        raise BacktestRequestError(
            f"{name} must not be at {early_hour}:00, whose slot comes before its hour: take an hour earlier or later"
        )
