"""One session: data, reconcile, decide and adjust symbol by symbol, and write every step down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from loguru import logger

from execution.adjust import Adjusted, Adjuster, Target
from execution.brokers.base import Broker
from execution.deciding import Decided, Moment, decide, skipped_in_a_row, take_moment
from execution.errors import ExecutionError
from execution.models import Account, Decision, Intent
from execution.planning.adjust import Plan
from execution.planning.orders import Scene
from execution.safety.control import Needed, current_control
from execution.safety.gate import Gate, Terms
from execution.safety.journal import Cause
from market.errors import MarketError
from market.models import Symbol
from ops import alerts, clock
from ops.errors import ExitCode
from ops.live import announce
from ops.models import Alert, Run

FAMILY = "rebalance"
PAGE_AFTER_SKIPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolReport:
    """What a session did for one symbol; the shape that commands and pages show."""

    symbol: str
    verdict: str  # traded, hold, blocked, skipped or failed
    blocker: str = ""
    models: list[dict[str, Any]] = field(default_factory=list)
    missing_models: tuple[str, ...] = ()
    position_pct: float | None = None
    clipped_pct: float | None = None
    all_in_lots: Decimal | None = None
    target_lots: Decimal | None = None
    current_lots: Decimal | None = None
    sizing: dict[str, Any] = field(default_factory=dict)
    scene: str = ""
    legs: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """What a session did."""

    run_id: int | None
    slot: str
    bar_time: datetime
    symbols: tuple[SymbolReport, ...]
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """Partly done when some symbols sat out, refused when our own limits or the latch stopped all."""
        verdicts = {report.verdict for report in self.symbols}
        if verdicts & {"skipped", "failed"}:
            return ExitCode.PARTLY if verdicts & {"traded", "hold", "blocked"} else ExitCode.FAILED
        return ExitCode.REFUSED if verdicts == {"blocked"} else ExitCode.DONE

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``trade_session/1`` and ``signal_run/1``."""
        data = asdict(self)
        data["symbols"] = list(data["symbols"])
        return data


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
            report = SymbolReport(symbol=symbol.name, verdict="skipped", blocker=str(error))
            self._store(report, moment)
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
            report = describe(decided, verdict="failed", blocker=str(error))
        else:
            report = describe_adjusted(decided, adjusted)
        if report.verdict == "failed":
            self._alert(decided.symbol, report.blocker)
        else:
            alerts.resolve_alert(f"session:{decided.symbol}")
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
        """Page a person when a position is unattended, and close it when that lasts."""
        held = [p for p in self.broker.positions() if p.symbol == symbol.name]
        skips = skipped_in_a_row(symbol.name)
        if not held or skips < PAGE_AFTER_SKIPS:
            return
        self._alert(symbol.name, f"{skips} slots were skipped while a position is open", level=Alert.Level.CRITICAL)
        if moment.settings.max_skips and skips >= moment.settings.max_skips:
            self._leave(symbol, moment)

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

    def _alert(self, symbol: str, detail: str, level: Alert.Level = Alert.Level.WARNING) -> None:
        logger.bind(symbol=symbol).warning("session: {}", detail)
        alerts.raise_alert(f"session:{symbol}", f"{symbol}: {detail}"[:200], detail=detail, level=level)

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


def _complete(row: Decision, report: SymbolReport) -> None:
    intent = Intent.objects.filter(decision=row).first()
    verdicts = intent.legs.values_list("attempts__verdicts", flat=True).last() if intent else None
    Decision.objects.filter(pk=row.pk).update(
        verdict=report.verdict,
        blocker=report.blocker[:300],
        scene=report.scene,
        legs=report.legs,
        current_lots=report.current_lots,
        verdicts=verdicts or [],
    )


def describe(
    decided: Decided, *, plan: Plan | None = None, verdict: str = "", blocker: str = "", legs: Sequence[Any] = ()
) -> SymbolReport:
    """Return a decision as commands and pages show it."""
    sizing, spec = decided.sizing, decided.spec
    grid = {"price": str(decided.quote.mid), "volume_step": str(spec.volume_step), "digits": spec.digits}
    return SymbolReport(
        symbol=decided.symbol,
        verdict=verdict or "hold",
        blocker=blocker,
        models=[asdict(model) for model in decided.wish.portfolio.models],
        missing_models=decided.wish.missing,
        position_pct=decided.wish.portfolio.position_pct,
        clipped_pct=decided.wish.portfolio.clipped_pct,
        all_in_lots=sizing.all_in_lots,
        target_lots=sizing.target_lots,
        current_lots=plan.current_lots if plan else None,
        sizing={name: _plain(value) for name, value in asdict(sizing).items()} | grid,
        scene=plan.scene if plan else "",
        legs=list(legs),
    )


def describe_plan(decided: Decided, plan: Plan) -> SymbolReport:
    """Return what would be sent, for ``signal_run`` and dry runs."""
    legs = [
        {"scene": leg.scene, "side": leg.side, "volume": leg.volume, "retcode": None, "price": None}
        for leg in plan.legs
    ]
    verdict = "hold" if plan.scene is Scene.HOLD else "would trade"
    blocker = _hold_words(decided, plan) if plan.scene is Scene.HOLD else _state_words()
    return describe(decided, plan=plan, verdict=verdict, blocker=blocker, legs=legs)


def describe_adjusted(decided: Decided, adjusted: Adjusted) -> SymbolReport:
    """Return what was sent and what came of it."""
    legs = [
        {
            "scene": sent.leg.scene,
            "side": sent.leg.side,
            "volume": str(sent.leg.volume),
            "retcode": sent.result.retcode,
            "price": str(sent.result.price) if sent.result.price is not None else None,
        }
        for sent in adjusted.sent
    ]
    plan = adjusted.plan
    if plan.scene is Scene.HOLD:
        return describe(decided, plan=plan, verdict="hold", blocker=_hold_words(decided, plan))
    return describe(decided, plan=plan, verdict=_verdict(adjusted), blocker=adjusted.blocker, legs=legs)


def _verdict(adjusted: Adjusted) -> str:
    if not adjusted.blocker:
        return "traded"
    refused = adjusted.intent is None or adjusted.intent.status == Intent.Status.REFUSED
    return "blocked" if refused else "failed"


def _hold_words(decided: Decided, plan: Plan) -> str:
    """Name the first thing that kept a symbol from trading: the sizing's reason comes before the plan's."""
    return decided.sizing.reason if plan.current_lots == 0 and decided.sizing.reason else plan.reason


def _state_words() -> str:
    control = current_control(family=FAMILY)
    return "" if control.allows(Needed.ENTER) else f"{control.state}: {control.reason}"


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value
