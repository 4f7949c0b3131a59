"""The panels of Portfolio & signals, from the rows."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.urls import reverse

from execution.limits import current_limits
from execution.models import BrokerState, Decision, RebalanceSettings
from execution.sessions.slots import HOUR
from ops import clock
from strategies.models import FittedModel
from tradingsite.pages.decision_data import (
    DecisionData,
    FunnelData,
    LegRow,
    ModelVote,
    Outcome,
    RuleVerdict,
    Stage,
)
from tradingsite.pages.frame import User, account_state, freshness, next_rebalance
from tradingsite.pages.frame_data import Freshness, Mode
from tradingsite.pages.overview_data import Level
from tradingsite.pages.portfolio_data import ModelRow, ModelsData, SymbolModels, TargetRow, TargetsData
from tradingsite.pages.signals import (
    VERDICT_LEVELS,
    capital_of,
    held_fraction,
    model_name,
    newest_decisions,
    sized_fraction,
    traded,
    variant_words,
    verdict_words,
)

HISTORY_BARS = 168
OUTCOMES = {
    "traded": Outcome.TRADED,
    "hold": Outcome.HELD,
    "blocked": Outcome.BLOCKED,
    "failed": Outcome.BLOCKED,
    "skipped": Outcome.SKIPPED,
}


def build_targets(user: User) -> TargetsData:
    """Return target against actual of every symbol."""
    seen, rows = account_state(), newest_decisions()
    rebalance, decided = RebalanceSettings.load(), {row.symbol: row for row in rows}
    targets = tuple(_target(decided[name], seen) if name in decided else _undecided(name, seen) for name in traded())
    can_edit = getattr(user, "is_staff", False)
    return TargetsData(
        fresh=freshness(seen),
        rows=targets,
        currency=seen.account.currency if seen else "USD",
        capital=sum((capital_of(row) or Decimal(0) for row in rows), Decimal(0)) or rebalance.sizing_capital,
        capital_words=rebalance.get_size_by_display(),
        target=_total(row.target for row in targets),
        actual=_total(row.actual for row in targets),
        gross=sum(abs(row.actual) for row in targets if row.actual is not None),
        max_gross=float(current_limits().max_gross),
        effective=next_rebalance(),
        edit_url=reverse("admin:execution_portfolioweight_changelist") if can_edit else "",
    )


def _total(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _target(row: Decision, seen: BrokerState | None) -> TargetRow:
    """Return one symbol; target and actual are fractions of equity, as its weight is."""
    capital, price = capital_of(row), row.sizing.get("contract_value")
    share = float(capital / seen.equity) if capital and seen and seen.equity else None
    target, actual = sized_fraction(row), held_fraction(row.symbol, seen, capital)
    held = _held_lots(row.symbol, seen)
    delta = row.target_lots - held if row.target_lots is not None and held is not None else None
    return TargetRow(
        symbol=row.symbol,
        weight=share,
        target=None if target is None or share is None else target * share,
        actual=None if actual is None or share is None else actual * share,
        target_lots=row.target_lots,
        actual_lots=held,
        trade=_trade_words(row, delta),
        trade_value=delta * Decimal(price) if delta is not None and price else None,
        level=VERDICT_LEVELS.get(row.verdict, Level.OK),
    )


def _undecided(symbol: str, seen: BrokerState | None) -> TargetRow:
    """Return a symbol that no session has decided on yet."""
    held = _held_lots(symbol, seen)
    return TargetRow(symbol=symbol, weight=None, target=None, actual=None, actual_lots=held, trade="no decision yet")


def _held_lots(symbol: str, seen: BrokerState | None) -> Decimal | None:
    if seen is None:
        return None
    rows = [row for row in seen.positions if row["symbol"] == symbol]
    return sum((Decimal(r["volume"]) * (1 if r["side"] == "buy" else -1) for r in rows), Decimal(0))


def _trade_words(row: Decision, delta: Decimal | None) -> str:
    if delta is None:
        return verdict_words(row)
    if delta == 0:
        return "none: on target"
    return f"{'buy' if delta > 0 else 'sell'} {abs(delta).normalize():f} lots"


def build_funnel(user: User) -> FunnelData:
    """Return the newest decision of each symbol, from data to order."""
    return FunnelData(fresh=_read_now(), decisions=tuple(decision_data(row) for row in newest_decisions()))


def _read_now() -> Freshness:
    """Return the freshness of stored decisions: their bars say how old they are, their panel that it is fed."""
    now = clock.wall_now()
    return Freshness.of(now, now=now)


def decision_data(row: Decision) -> DecisionData:
    """Return one stored decision, step by step."""
    sizing = row.sizing
    return DecisionData(
        symbol=row.symbol,
        outcome=OUTCOMES.get(row.verdict, Outcome.HELD),
        verdict=verdict_words(row),
        bar_open_at=row.bar_at,
        bar_close_at=row.bar_at + HOUR if row.bar_at else None,
        id=row.pk,
        decided_at=row.market_at,
        slot=row.slot,
        mode=Mode(settings.TRADING_MODE),
        stopped_at=_stopped_at(row),
        blocker=row.blocker,
        votes=_votes(row),
        position=row.position_pct,
        clipped=row.clipped_pct,
        max_position=float(RebalanceSettings.load().max_position_pct),
        rounded=_float(sizing.get("tenths")),
        capital=capital_of(row),
        currency=row.account.currency if row.account else "USD",
        contract_value=_decimal(sizing.get("contract_value")),
        all_in_lots=_decimal(sizing.get("all_in_lots")),
        target_lots=row.target_lots,
        current_lots=row.current_lots,
        step_lots=_decimal(sizing.get("volume_step")),
        size_words=sizing.get("reason", ""),
        rules=tuple(_rule(verdict) for verdict in row.verdicts),
        legs=tuple(_leg(leg) for leg in row.legs),
        digits=sizing.get("digits", 2),
    )


def _rule(verdict: dict[str, Any]) -> RuleVerdict:
    return RuleVerdict(rule=verdict["rule"].replace("_", " "), passed=verdict["ok"], detail=verdict["message"])


def _votes(row: Decision) -> tuple[ModelVote, ...]:
    weights = _weights(row.symbol)
    votes = [
        ModelVote(
            name=model["strategy"],
            variant=variant_words(model),
            version=model["version"],
            weight=weights.get((model["strategy"], model["variant"], model["version"])),
            position=model["position_pct"],
        )
        for model in row.positions
    ]
    missing = [
        ModelVote(name=name, variant="", version="—", weight=None, position=None, note="missing")
        for name in row.missing_models
    ]
    return tuple(votes + missing)


def _weights(symbol: str) -> dict[tuple[str, str, str], float]:
    models = FittedModel.objects.filter(symbol__name=symbol).values_list(
        "strategy", "variant", "version", "strat_weight"
    )
    return {(strategy, variant, str(version)): weight for strategy, variant, version, weight in models}


def _leg(leg: dict[str, Any]) -> LegRow:
    outcome = "filled" if leg["retcode"] == 10009 else f"retcode {leg['retcode']}" if leg["retcode"] else "planned"
    return LegRow(
        scene=leg["scene"],
        side=leg["side"],
        lots=Decimal(leg["volume"]),
        price=_decimal(leg["price"]),
        outcome=outcome,
    )


def _stopped_at(row: Decision) -> Stage | None:
    """Return the stage that kept a decision from trading."""
    if row.verdict == "traded":
        return None
    if row.verdict == "skipped":
        return Stage.MODELS if "model" in row.blocker else Stage.DATA
    if row.verdict == "blocked":
        return Stage.RISK
    if row.verdict == "failed":
        return Stage.ORDER
    return Stage.SIZE if row.sizing.get("reason") and not row.current_lots else Stage.DRIFT


def _float(text: str | None) -> float | None:
    return float(text) if text else None


def _decimal(text: str | None) -> Decimal | None:
    return Decimal(text) if text else None


def build_models(user: User) -> ModelsData:
    """Return every active model with its last positions; before the first decision it has none."""
    decided = {row.symbol: row for row in newest_decisions()}
    symbols = (_symbol_models(name, decided.get(name)) for name in traded())
    return ModelsData(fresh=_read_now(), symbols=tuple(group for group in symbols if group.models))


def _symbol_models(symbol: str, row: Decision | None) -> SymbolModels:
    history = _history(symbol)
    active = FittedModel.objects.of_strategies().filter(symbol__name=symbol, status="active").order_by("pk")
    fitted = {(model.strategy, model.variant): model for model in active}
    models = tuple(
        ModelRow(
            name=vote["strategy"],
            variant=variant_words(vote),
            version=vote["version"],
            weight=found.strat_weight if (found := fitted.get((vote["strategy"], vote["variant"]))) else None,
            position=vote["position_pct"],
            history=history.get(model_name(vote), ()),
            fitted_at=found.created_at if found else None,
        )
        for vote in (row.positions if row else _silent(active))
    )
    return SymbolModels(symbol=symbol, models=models, position=row.position_pct if row else None)


def _silent(models: Iterable[FittedModel]) -> list[dict[str, Any]]:
    """Return models that nobody has asked yet, as a decision would list them."""
    return [
        {"strategy": m.strategy, "variant": m.variant, "version": str(m.version), "position_pct": None} for m in models
    ]


def _history(symbol: str) -> dict[str, tuple[float | None, ...]]:
    """Return each model's positions at the last decisions, oldest first."""
    stored = Decision.objects.filter(symbol=symbol).values_list("positions", flat=True)[:HISTORY_BARS]
    history: dict[str, list[float | None]] = {}
    for positions in reversed(stored):
        for vote in positions:
            history.setdefault(model_name(vote), []).append(vote["position_pct"])
    return {name: tuple(values) for name, values in history.items()}
