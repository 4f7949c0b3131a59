"""Pages without a database: Portfolio & signals, one decision, the kill page and re-arming."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.pages_builders import FRESH, MODELS, NOW, due
from tradingsite.pages.decision_data import DecisionData, FunnelData, LegRow, ModelVote, Outcome, RuleVerdict, Stage
from tradingsite.pages.frame_data import StateWord
from tradingsite.pages.overview_data import Level
from tradingsite.pages.portfolio_data import ModelRow, ModelsData, SymbolModels, TargetRow, TargetsData
from tradingsite.pages.safety_data import ArmCheck, KillProgress, KillStep, RearmData, StepState

D = Decimal


def make_targets(**changes: Any) -> TargetsData:
    rows = (
        TargetRow(
            symbol="BTCUSD",
            weight=1 / 3,
            target=0.31,
            actual=0.308,
            target_lots=D("0.50"),
            actual_lots=D("0.50"),
            trade="none: inside the band",
            trade_value=D("0"),
        ),
        TargetRow(
            symbol="ETHUSD",
            weight=1 / 3,
            target=-0.065,
            actual=-0.041,
            target_lots=D("-2.00"),
            actual_lots=D("-1.24"),
            trade="sell 0.76",
            trade_value=D("-2506.56"),
        ),
        TargetRow(
            symbol="BNBUSD", weight=1 / 3, target=None, actual=0.049, trade="blocked: bar is stale", level=Level.WARN
        ),
    )
    values = {
        "fresh": FRESH,
        "rows": rows,
        "capital": D("100000"),
        "capital_words": "balance",
        "target": 0.245,
        "actual": 0.316,
        "gross": 0.398,
        "max_gross": 1.0,
        "effective": due(minutes=57, seconds=23),
        "edit_url": "/admin/",
    }
    return TargetsData(**(values | changes))


def make_decision(**changes: Any) -> DecisionData:
    votes = tuple(ModelVote(name=n, variant=v, version="v14", weight=w, position=p) for n, v, w, p, *_ in MODELS)
    values = {
        "id": 9,
        "symbol": "BTCUSD",
        "outcome": Outcome.HELD,
        "verdict": "hold: inside the band",
        "bar_open_at": NOW.replace(hour=13, minute=0, second=0),
        "bar_close_at": NOW.replace(minute=0, second=0),
        "decided_at": NOW.replace(minute=0, second=47),
        "slot": "2025-08-22 14:00",
        "stopped_at": Stage.DRIFT,
        "blocker": "inside the band: difference 0.00 lots, band 0.02",
        "data_words": "newest closed bar of 8 760",
        "votes": votes,
        "position": 0.526,
        "clipped": 0.526,
        "max_position": 1.0,
        "rounded": 0.5,
        "capital": D("33333.33"),
        "contract_value": D("33333.33"),
        "all_in_lots": D("1.0000"),
        "target_lots": D("0.50"),
        "current_lots": D("0.50"),
        "step_lots": D("0.01"),
    }
    return DecisionData(**(values | changes))


def make_traded_decision() -> DecisionData:
    return make_decision(
        id=8,
        symbol="ETHUSD",
        outcome=Outcome.TRADED,
        verdict="sold 0.76",
        stopped_at=None,
        blocker="",
        votes=tuple(ModelVote(name=m[0], variant=m[1], version="v9", weight=m[2], position=m[4]) for m in MODELS),
        position=-0.392,
        clipped=-0.392,
        rounded=-0.4,
        contract_value=D("6666.67"),
        all_in_lots=D("5.0000"),
        target_lots=D("-2.00"),
        current_lots=D("-1.24"),
        rules=(
            RuleVerdict(rule="max gross", passed=True, detail="0.40 of 1.00 of equity"),
            RuleVerdict(rule="price collar", passed=True, detail="0.02 % of 0.50 %"),
        ),
        legs=(LegRow(scene="increase", side="sell", lots=D("0.76"), price=D("3298.1"), outcome="filled"),),
    )


def make_stale_decision() -> DecisionData:
    return make_decision(
        id=None,
        symbol="BNBUSD",
        outcome=Outcome.BLOCKED,
        verdict="blocked: bar is stale",
        stopped_at=Stage.DATA,
        blocker="bar is 6 min late, limit 5",
        data_words="newest bar is 2 h old",
        votes=(),
        position=None,
        clipped=None,
        rounded=None,
        all_in_lots=None,
        target_lots=None,
    )


def make_refused_decision() -> DecisionData:
    return replace(
        make_traded_decision(),
        symbol="SOLUSD",
        outcome=Outcome.BLOCKED,
        verdict="refused: max gross",
        stopped_at=Stage.RISK,
        blocker="max gross: 1.04 of 1.00 of equity",
        rules=(
            RuleVerdict(rule="max gross", passed=False, detail="1.04 of 1.00 of equity"),
            RuleVerdict(rule="price collar", passed=None, detail="not asked"),
        ),
        legs=(),
    )


def make_funnel(**changes: Any) -> FunnelData:
    decisions = (make_decision(), make_traded_decision(), make_stale_decision(), make_refused_decision())
    return FunnelData(**({"fresh": FRESH, "decisions": decisions} | changes))


def make_models(**changes: Any) -> ModelsData:
    def rows(index: int) -> tuple[ModelRow, ...]:
        return tuple(
            ModelRow(
                name=model[0],
                variant=model[1],
                version="v14",
                weight=model[2],
                position=model[3 + index],
                history=tuple(0.05 * math.sin(t / 11 + row) for t in range(168)) if row else (),
                fitted_at=NOW - timedelta(days=3),
                level=Level.OK if model[3 + index] is not None else Level.WARN,
                note="" if model[3 + index] is not None else "refit failed",
            )
            for row, model in enumerate(MODELS)
        )

    sums = (0.526, -0.392, 0.431)
    symbols = tuple(
        SymbolModels(symbol=symbol, models=rows(index), position=sums[index])
        for index, symbol in enumerate(("BTCUSD", "ETHUSD", "BNBUSD"))
    )
    return ModelsData(**({"fresh": FRESH, "symbols": symbols} | changes))


def make_portfolio(**changes: Any) -> dict[str, Any]:
    return {"targets": make_targets(), "funnel": make_funnel(), "models": make_models()} | changes


def make_progress(**changes: Any) -> KillProgress:
    at = NOW.replace(minute=7, second=32)
    values = {
        "word": StateWord.KILLING,
        "started_at": at,
        "by": "maria",
        "reason": "spread looks wrong",
        "steps": (
            KillStep(name="latched", state=StepState.DONE, at=at),
            KillStep(name="orders cancelled", state=StepState.DONE, detail="3 of 3", at=at + timedelta(seconds=1)),
            KillStep(name="positions closed", state=StepState.RUNNING, detail="2 of 3, SOLUSD retry 2: requote"),
            KillStep(name="broker re-read", state=StepState.WAITING),
        ),
        "estimate": D("372.06"),
        "can_arm": True,
    }
    return KillProgress(**(values | changes))


def make_flat_progress() -> KillProgress:
    at = NOW.replace(minute=7, second=41)
    names = ("latched", "orders cancelled", "positions closed", "broker re-read")
    steps = tuple(KillStep(name=name, state=StepState.DONE, at=at) for name in names)
    return make_progress(word=StateWord.KILLED, steps=steps, flat_at=at, n_positions=0, n_orders=0, result=D("359.66"))


def make_rearm(**changes: Any) -> RearmData:
    values = {
        "word": StateWord.KILLED,
        "killed_at": NOW,
        "by": "system",
        "cause": "daily loss −4 512.20 beyond the hard line −4 500.00",
        "checks": (
            ArmCheck(name="broker flat, as our book says", passed=True, detail="read 14:07:41 UTC"),
            ArmCheck(name="data fresh", passed=True),
            ArmCheck(name="clock", passed=True, detail="0.1 s off"),
            ArmCheck(name="daily limit", passed=False, detail="possible after the reset"),
        ),
        "phrase": "ARM DEMO 4417",
        "can_arm": True,
        "blocked_until": NOW.replace(hour=22, minute=0, second=0),
    }
    return RearmData(**(values | changes))


def make_ready_rearm(**changes: Any) -> RearmData:
    checks = (ArmCheck(name="broker flat, as our book says", passed=True), ArmCheck(name="data fresh", passed=True))
    return make_rearm(**({"checks": checks, "blocked_until": None} | changes))
