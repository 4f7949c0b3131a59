"""One session: data, reconcile, decide and adjust symbol by symbol, and write every step down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from loguru import logger

from execution.adjust import Adjuster, Target
from execution.brokers.base import Broker
from execution.deciding import Decided, Moment, decide, skipped_in_a_row, take_moment
from execution.errors import ExecutionError
from execution.models import Account, Decision, Intent
from execution.safety.control import Needed
from execution.safety.gate import Gate, Terms
from execution.safety.journal import Cause
from execution.sessions.reports import (
    SessionReport,
    SymbolReport,
    describe,
    describe_adjusted,
    describe_skipped,
    plain,
)
from market.errors import MarketError
from market.models import Symbol
from ops import alerts, clock
from ops.live import announce
from ops.models import Alert, Run
from strategies.shadowing import observe

FAMILY = "rebalance"
PAGE_AFTER_SKIPS = 3


class Rebalance:
    """Decides and adjusts the symbols of one slot."""

    def __init__(self, broker: Broker, account: Account, gate: Gate, *, run: Run | None, cause: Cause) -> None:
        self.broker = broker
        self.account = account
        self.adjuster = Adjuster(broker, account, gate)
        self.run = run
        self.cause = cause

    def rebalance_portfolio(self, symbols: Sequence[Symbol], bar_at: datetime) -> SessionReport:
        """Bring every symbol to its target; one that fails is skipped and the others go on."""
        moment = take_moment(self.broker.account(), symbols, bar_at)
        reports = tuple(self._one(symbol, moment) for symbol in symbols)
        for report in reports:  # after all orders: nothing of it may delay them
            observe(report.symbol, bar_at, traded=report.models, limit=moment.settings.max_history_hours)
        warnings = (moment.capital.warning,) if moment.capital.warning else ()
        return SessionReport(
            run_id=self.run.pk if self.run else None,
            slot=self.cause.id,
            bar_time=bar_at,
            symbols=reports,
            warnings=warnings,
        )

    def _one(self, symbol: Symbol, moment: Moment) -> SymbolReport:
        try:
            decided = decide(symbol, moment, self.broker)
        except (ExecutionError, MarketError) as error:
            report = describe_skipped(symbol, error)
            self._store(report, moment)
            _warn(symbol.name, f"skipped: {error}")
            self._after_skips(symbol, moment)
        else:
            report = self._act(decided, moment)
        announce("decisions", {"symbol": symbol.name, "verdict": report.verdict})
        return report

    def _act(self, decided: Decided, moment: Moment) -> SymbolReport:
        """Adjust one symbol; the decision is stored before and completed after."""
        row = self._store(describe(decided), moment)
        try:
            adjusted = self.adjuster.adjust(self._target(decided, moment, row))
        except ExecutionError as error:
            report = describe(decided, verdict="failed", blocker=str(error), exit_code=error.exit_code)
        else:
            report = describe_adjusted(decided, adjusted)
        if report.verdict == "failed":
            _warn(decided.symbol, report.blocker)
        else:
            alerts.resolve_alert(f"session:{decided.symbol}")
        alerts.resolve_alert(f"unattended:{decided.symbol}")
        _complete(row, report)
        return report

    def _target(self, decided: Decided, moment: Moment, row: Decision | None) -> Target:
        return Target(
            symbol=decided.symbol,
            lots=decided.sizing.target_lots,
            spec=decided.spec,
            snapshot=moment.snapshot,
            cause=self.cause,
            terms=Terms(
                needed=Needed.ENTER,
                plan_price=decided.quote.mid,
                rate=decided.rate,
                capital_per_asset=decided.sizing.capital_per_asset,
                bar_at=moment.bar_at,
            ),
            band=moment.settings.drift_band_lots,
            decision=row,
        )

    def _after_skips(self, symbol: Symbol, moment: Moment) -> None:
        """Page a person when a position is unattended, and close it when that lasts; the other symbols go on."""
        skips = skipped_in_a_row(symbol.name)
        if skips < PAGE_AFTER_SKIPS:
            return
        try:
            if any(position.symbol == symbol.name for position in self.broker.positions()):
                _page(symbol.name, f"{skips} slots were skipped while a position is open")
                if moment.settings.max_skips and skips >= moment.settings.max_skips:
                    self._leave(symbol, moment)
        except ExecutionError as error:
            _page(symbol.name, f"{skips} slots were skipped, and its position could not be looked after: {error}")

    def _leave(self, symbol: Symbol, moment: Moment) -> None:
        spec, quote = self.broker.spec(symbol.name), self.broker.quote(symbol.name)
        terms = Terms(needed=Needed.REDUCE, plan_price=quote.mid, bar_at=moment.bar_at)
        self.adjuster.adjust(
            Target(
                symbol=symbol.name,
                lots=Decimal(0),
                spec=spec,
                snapshot=moment.snapshot,
                cause=self.cause,
                terms=terms,
            )
        )

    def _store(self, report: SymbolReport, moment: Moment) -> Decision:
        return Decision.objects.create(
            run=self.run,
            account=self.account,
            symbol=report.symbol,
            slot=self.cause.id,
            bar_at=moment.bar_at,
            market_at=clock.market_now(),
            positions=report.models,
            missing_models=list(report.missing_models),
            position_pct=report.position_pct,
            clipped_pct=report.clipped_pct,
            sizing=report.sizing,
            target_lots=report.target_lots,
            verdict=report.verdict,
            blocker=report.blocker[:300],
        )


def _warn(symbol: str, detail: str) -> None:
    logger.bind(symbol=symbol).warning("session: {}", detail)
    alerts.raise_alert(f"session:{symbol}", f"{symbol}: {detail}"[:200], detail=detail)


def _page(symbol: str, detail: str) -> None:
    """Raise an alert of its own: one that is open keeps the level that it was raised with."""
    logger.bind(symbol=symbol).critical("session: {}", detail)
    alerts.raise_alert(f"unattended:{symbol}", f"{symbol}: {detail}"[:200], detail=detail, level=Alert.Level.CRITICAL)


def _complete(row: Decision, report: SymbolReport) -> None:
    intent = Intent.objects.filter(decision=row).first()
    verdicts = intent.legs.values_list("attempts__verdicts", flat=True).last() if intent else None
    Decision.objects.filter(pk=row.pk).update(
        verdict=report.verdict,
        blocker=report.blocker[:300],
        scene=report.scene,
        legs=[{name: plain(value) for name, value in leg.items()} for leg in report.legs],
        current_lots=report.current_lots,
        verdicts=verdicts or [],
    )
