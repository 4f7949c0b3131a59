"""Who earned it, whether it was luck, what could have happened instead: of a stored backtest, or the live account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from execution.account_periods import LivePeriod, current_live_account, live_period
from execution.limits import current_limits
from execution.live_ledger import live_ledger
from strategies.backtest_ledgers import net_of
from strategies.backtest_pnl import pnl_of
from strategies.backtesting.keeping import get_backtest

if TYPE_CHECKING:
    from strategies.research.analysis import Analysis, Facts, Question
    from strategies.research.courses import AccountPeriod
    from strategies.research.permutation import PermutationTest
    from strategies.research.pnl import PnlLedger
    from strategies.research.simulation import Chance, LossRules, Simulation

FRESH = timedelta(hours=3)  # within which the newest stored bar closed, on a desk that runs
UNEXPLAINED_SHARE, WORTH_SAYING = 0.05, 1.0  # of the net, and account currency: above both a person is told
WHOLE_TARGET = 0.10  # FTMO's first target, fraction of the capital


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PnlReport:
    """An analysis and what it is of."""

    subject: dict[str, Any]
    currency: str
    capital: float
    equity: dict[str, Any]
    unexplained: float
    question: Question
    analysis: Analysis
    warnings: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``pnl_analyse/1``."""
        parts = self.analysis.decompositions
        simulation = self.analysis.simulation
        return {
            "subject": self.subject,
            "currency": self.currency,
            "capital": self.capital,
            "equity": self.equity,
            "total": parts[0].total.as_data(),
            "decomposition": {part.by: [row.as_data() for row in part.rows] for part in parts},
            "unexplained": round(self.unexplained, 2),
            "permutation": _permutation_data(self.analysis),
            "simulation": None if simulation is None else _simulation_data(simulation, self.question, self.analysis),
        }


def loss_rules(target: float | None = WHOLE_TARGET) -> LossRules:
    """Return the limits in force, and a target, as simulated courses are held against; a limit of 0 is none of them."""
    from strategies.research.simulation import LossRules

    limits = current_limits()
    daily, largest = float(limits.max_daily_loss), float(limits.max_loss)
    return LossRules(daily_loss=daily or None, max_loss=largest or None, target=target)


def analyse_backtest(backtest_id: int, question: Question) -> PnlReport:
    """Return the analysis of a stored backtest.

    Raises
    ------
    UnknownBacktestError
    DataMissingError
        Its bars are not stored any more, or are others.
    """
    from strategies.reporting import CURRENCY
    from strategies.research.analysis import analyse

    row = get_backtest(backtest_id)
    pnl, equity = pnl_of(row), row.equity()
    analysis = analyse(pnl.facts, question)
    return PnlReport(
        subject={"kind": "backtest", "id": row.pk, "begin": row.begin_at, "end": row.end_at, "symbols": row.symbols},
        currency=CURRENCY,
        capital=float(equity.iloc[0]),
        equity=_equity(Decimal(str(equity.iloc[0])), Decimal(str(equity.iloc[-1])), net_of(row)),
        unexplained=pnl.unexplained,
        question=question,
        analysis=analysis,
        warnings=(*row.warnings, *pnl.warnings, *_gap_warnings(pnl.unexplained, net_of(row)), *analysis.warnings),
    )


def analyse_account(question: Question, *, begin: datetime | None = None, end: datetime | None = None) -> PnlReport:
    """Return the analysis of the live account over a period, by default all of it.

    Raises
    ------
    AccountPeriodError
        The account's rows do not tell the period.
    """
    from strategies.research.analysis import analyse

    period = live_period(current_live_account(), begin, end)
    ledger, told, unexplained = live_ledger(period)
    analysis = analyse(_live_facts(period, ledger, told), question)
    return PnlReport(
        subject={
            "kind": "account",
            "id": period.account.pk,
            "begin": period.first.at,
            "end": period.last.at,
            "symbols": list(ledger.symbols),
        },
        currency=period.account.currency,
        capital=float(period.account.initial_balance),
        equity=_equity(period.first.equity, period.last.equity, period.net, cash=period.cash),
        unexplained=unexplained,
        question=question,
        analysis=analysis,
        warnings=(*_live_warnings(period, told), *_gap_warnings(unexplained, period.net), *analysis.warnings),
    )


def _live_facts(period: LivePeriod, ledger: PnlLedger, told: AccountPeriod) -> Facts:
    import pandas as pd

    from strategies.research.analysis import Facts, net_by_hour
    from strategies.research.holdings import positions_and_returns

    capital = float(period.account.initial_balance)
    rows = [(deal.at, deal.symbol, deal.enters) for deal in told.deals]
    fills = pd.DataFrame(rows, columns=["at", "symbol", "lots"])
    hours = pd.date_range(pd.Timestamp(period.first.at).floor("h"), period.last.at, freq="h")
    closes = told.closes.reindex(hours, method="ffill")
    held, returned = positions_and_returns(fills, closes, told.lot_values, capital)
    return Facts(ledger=ledger, positions=held, returns=returned, earned=net_by_hour(ledger, hours) / capital)


def _live_warnings(period: LivePeriod, told: AccountPeriod) -> Iterator[str]:
    unopened = sum(deal.unopened is not None and deal.at >= told.begin for deal in told.deals)
    if unopened:
        yield f"{unopened} closes of positions whose opening is not stored: earned when they were closed"
    for symbol in sorted({deal.symbol for deal in told.deals}):
        closed = told.closes[symbol].dropna().index
        if not (closed[closed < period.last.at] >= period.last.at - FRESH).any():
            yield f"the stored bars of {symbol} do not reach to the end: hours without one have no price of their own"


def _gap_warnings(unexplained: float, net: Decimal) -> Iterator[str]:
    if abs(unexplained) > max(WORTH_SAYING, UNEXPLAINED_SHARE * abs(float(net))):
        yield f"{unexplained:.2f} of the net {net} is not explained by closes and deals: shared by what was open then"


def _equity(begin: Decimal, end: Decimal, net: Decimal, *, cash: Decimal = Decimal(0)) -> dict[str, Any]:
    cent = Decimal("0.01")
    return {
        "begin": str(begin.quantize(cent)),
        "end": str(end.quantize(cent)),
        "cash": str(cash.quantize(cent)),
        "change": str(net.quantize(cent)),
    }


def _permutation_data(analysis: Analysis) -> dict[str, Any] | None:
    test = analysis.permutation
    if test is None:
        return None
    names = ("n_resamples", "block_length", "n_blocks", "seed")
    by_symbol = [{"symbol": symbol} | _found(own) for symbol, own in analysis.by_symbol.items()]
    return _found(test) | {name: getattr(test, name) for name in names} | {"symbols": by_symbol}


def _found(test: PermutationTest) -> dict[str, Any]:
    from strategies.research.metrics import json_number

    return {"sharpe": json_number(test.sharpe), "p_value": test.p_value}


def _simulation_data(simulation: Simulation, question: Question, analysis: Analysis) -> dict[str, Any]:
    from strategies.research.simulation import FAN_QUANTILES

    rules = simulation.rules
    levels = zip(FAN_QUANTILES, simulation.fan(FAN_QUANTILES).iloc[-1], strict=True)
    return {
        "days": question.days,
        "n_paths": question.n_paths,
        "block_hours": analysis.block_hours,
        "seed": question.seed,
        "limits": {"daily_loss": rules.daily_loss, "max_loss": rules.max_loss, "target": rules.target},
        "daily_loss": _chance(simulation.daily_loss, rules.daily_loss),
        "max_loss": _chance(simulation.max_loss, rules.max_loss),
        "target": _chance(simulation.target, rules.target),
        "passed": _chance(simulation.passed, rules.target),
        "failed": _chance(simulation.failed, rules.daily_loss or rules.max_loss),
        "end": {f"q{round(100 * quantile):02d}": float(level) for quantile, level in levels},
    }


def _chance(chance: Chance, limit: float | None) -> dict[str, float] | None:
    """Return a probability with its standard error, None of what there is no limit for."""
    return None if limit is None else {"probability": chance.value, "error": chance.error}
