"""What a run of the setup bot did, in the shape that the command and pages show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.bot.balance import BotBalance
from execution.bot.entering import Entered
from execution.models import BotTrade
from execution.trading_venues import MT5
from ops.errors import ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSymbolReport:
    """What a run did for one symbol."""

    symbol: str
    verdict: str  # traded, missed, doubtful, rejected, quiet: no setup, blocked or failed
    blocker: str = ""
    setups: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BotReport:
    """What a run of the bot did."""

    run_id: int | None
    slot: str
    bar_time: datetime
    symbols: tuple[BotSymbolReport, ...]
    closed: tuple[dict[str, Any], ...] = ()  # trades whose outcome was booked
    n_open: int = 0
    balance: dict[str, Decimal] = field(default_factory=dict)
    blocker: str = ""  # why no symbol was looked at
    broker: str = MT5  # the venue's key

    @property
    def exit_code(self) -> ExitCode:
        """Refused when nothing may be entered at all, partly done when some symbols failed."""
        if self.blocker:
            return ExitCode.REFUSED
        n_failed = sum(report.verdict == "failed" for report in self.symbols)
        if not n_failed:
            return ExitCode.DONE
        return ExitCode.FAILED if n_failed == len(self.symbols) else ExitCode.PARTLY

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``bot_run/1``."""
        return asdict(self)

    def as_text(self) -> str:
        """Return one line a symbol, and one a trade that ended."""
        where = "" if self.broker == MT5 else f" at {self.broker}"
        head = f"bar {self.bar_time:%Y-%m-%d %H:%M} UTC{where}, {self.n_open} open"
        lines = [f"{s.symbol:<10} {s.verdict}{f' · {s.blocker}' if s.blocker else ''}" for s in self.symbols]
        ended = [
            f"{t['symbol']:<10} closed by {t['reason']}, {t['result']:+.2f} ({t['r']:+.2f} R)" for t in self.closed
        ]
        return "\n".join([head, *([self.blocker] if self.blocker else []), *lines, *ended])


def code_of(reports: Iterable[BotReport]) -> ExitCode:
    """Return how runs ended together: as they all did, else partly."""
    codes = {report.exit_code for report in reports}
    return codes.pop() if len(codes) == 1 else ExitCode.PARTLY


def describe_entered(symbol: str, entered: Iterable[Entered]) -> BotSymbolReport:
    """Return what came of a symbol's setups."""
    rows = tuple(
        {
            "id": one.setup.pk,
            "direction": one.setup.direction,
            "confidence": one.setup.confidence,
            "approved": one.setup.approved,
            "verdict": one.verdict,
            "reason": one.reason,
        }
        for one in entered
    )
    ranking = ("traded", "doubtful", "missed", "known", "rejected")
    first = min(rows, key=lambda row: ranking.index(str(row["verdict"])), default=None)
    if first is None:
        return BotSymbolReport(symbol=symbol, verdict="quiet")
    return BotSymbolReport(symbol=symbol, verdict=str(first["verdict"]), blocker=str(first["reason"]), setups=rows)


def describe_closed(trades: Iterable[BotTrade]) -> tuple[dict[str, Any], ...]:
    """Return trades that ended."""
    return tuple(
        {
            "symbol": trade.symbol,
            "setup": trade.setup_id,
            "reason": trade.setup.outcome.exit_reason,
            "result": trade.result,
            "r": trade.setup.outcome.r,
        }
        for trade in trades
    )


def describe_balance(balance: BotBalance) -> dict[str, Decimal]:
    """Return the bot's money."""
    return {name: getattr(balance, name) for name in ("balance", "equity", "margin_free", "day_result", "day_limit")}
