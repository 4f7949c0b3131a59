"""What a session did, in the shape that commands and pages show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.adjust import Adjusted
from execution.brokers.magic import Family
from execution.deciding import Decided
from execution.models import Intent
from execution.planning.adjust import Plan
from execution.planning.orders import Scene
from execution.safety.control import Needed, current_control
from market.models import Symbol
from ops.errors import DeskError, ExitCode


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
    exit_code: ExitCode = ExitCode.DONE  # what a command ends with that has nothing but this symbol


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
        idle = [report for report in self.symbols if report.verdict in ("skipped", "failed")]
        if idle:
            codes = {report.exit_code for report in idle}
            alike = codes.pop() if len(codes) == 1 else ExitCode.FAILED
            return alike if len(idle) == len(self.symbols) else ExitCode.PARTLY
        return ExitCode.REFUSED if {report.verdict for report in self.symbols} == {"blocked"} else ExitCode.DONE

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``trade_session/1`` and ``signal_run/1``."""
        data = asdict(self)
        data["symbols"] = list(data["symbols"])
        return data


def describe_skipped(symbol: Symbol, error: DeskError) -> SymbolReport:
    """Return why a symbol sits out."""
    return SymbolReport(symbol=symbol.name, verdict="skipped", blocker=str(error), exit_code=error.exit_code)


def describe(
    decided: Decided,
    *,
    plan: Plan | None = None,
    verdict: str = "hold",
    blocker: str = "",
    legs: Sequence[Any] = (),
    exit_code: ExitCode = ExitCode.DONE,
) -> SymbolReport:
    """Return a decision as commands and pages show it."""
    sizing, spec = decided.sizing, decided.spec
    grid = {"price": str(decided.quote.mid), "volume_step": str(spec.volume_step), "digits": spec.digits}
    return SymbolReport(
        symbol=decided.symbol,
        verdict=verdict,
        blocker=blocker,
        models=[asdict(model) for model in decided.wish.portfolio.models],
        missing_models=decided.wish.missing,
        position_pct=decided.wish.portfolio.position_pct,
        clipped_pct=decided.wish.portfolio.clipped_pct,
        all_in_lots=sizing.all_in_lots,
        target_lots=sizing.target_lots,
        current_lots=plan.current_lots if plan else None,
        sizing={name: plain(value) for name, value in asdict(sizing).items()} | grid,
        scene=plan.scene if plan else "",
        legs=list(legs),
        exit_code=exit_code,
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
            "volume": sent.leg.volume,
            "retcode": sent.result.retcode,
            "price": sent.result.price,
        }
        for sent in adjusted.sent
    ]
    plan = adjusted.plan
    if plan.scene is Scene.HOLD:
        return describe(decided, plan=plan, verdict="hold", blocker=_hold_words(decided, plan))
    verdict = _verdict(adjusted)
    code = ExitCode.FAILED if verdict == "failed" else ExitCode.DONE
    return describe(decided, plan=plan, verdict=verdict, blocker=adjusted.blocker, legs=legs, exit_code=code)


def _verdict(adjusted: Adjusted) -> str:
    if not adjusted.blocker:
        return "traded"
    refused = adjusted.intent is None or adjusted.intent.status == Intent.Status.REFUSED
    return "blocked" if refused else "failed"


def _hold_words(decided: Decided, plan: Plan) -> str:
    """Name the first thing that kept a symbol from trading: the sizing's reason comes before the plan's."""
    return decided.sizing.reason if plan.current_lots == 0 and decided.sizing.reason else plan.reason


def _state_words() -> str:
    control = current_control(family=Family.REBALANCE)
    return "" if control.allows(Needed.ENTER) else f"{control.state}: {control.reason}"


def plain(value: object) -> object:
    """Return a decimal as text, as JSON rows keep it, and anything else as it is."""
    return str(value) if isinstance(value, Decimal) else value
