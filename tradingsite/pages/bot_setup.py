"""One setup, from the signals that proposed it through the filter and the journal to what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet

from execution.bot.naked import CAUSE as NAKED
from execution.bot.standing import CAUSE, result_of
from execution.brokers.magic import Family
from execution.models import Attempt, BotTrade, FillRecord, Intent
from mlfilter.models import Setup
from strategies.models import FittedModel
from tradingsite.pages.bot import digits_of
from tradingsite.pages.bot_setup_data import (
    AttemptRow,
    Fact,
    FillRow,
    IntentRow,
    PlanData,
    SetupData,
    SimilarRow,
)
from tradingsite.pages.bot_setups import in_words, setup_row

MOST_DIGITS = 8
STEPS = {"enter": "enter", "exit": "close at the horizon"}
# What the facts are called, their unit, and by what they are multiplied for it.
FACTS = {
    "rsi_14": ("RSI, 14 bars", "", 1),
    "bb_position": ("place in the Bollinger band, lower 0 to upper 1", "", 1),
    "zscore_20": ("z-score, 20 bars", "SD", 1),
    "atr_pct": ("average true range, of the price", "%", 100),
    "vol_ratio": ("volatility of 20 bars over that of 96", "×", 1),
    "adx_14": ("trend strength, ADX of 14 bars", "", 1),
    "ema_gap": ("gap of the averages of 20 and 50 bars", "ATR", 1),
    "rel_volume_20": ("volume over its mean of 20 bars", "×", 1),
}


def setup_rows() -> QuerySet[Setup]:
    """Return setups with all that one's page shows."""
    return Setup.objects.select_related("outcome", "model__symbol", "trade__account", "trade__intent")


def setup_data(setup: Setup) -> SetupData:
    """Return one setup, from what proposed it to what became of it."""
    trade: BotTrade | None = getattr(setup, "trade", None)
    fills = _fills(trade) if trade else []
    intents = _intents(trade, fills) if trade else []
    entry = next((intent for intent in intents if trade and intent.pk == trade.intent_id), None)
    return SetupData(
        row=setup_row(setup),
        entry=setup.entry,
        stop=setup.stop,
        target=setup.target,
        filter_version=_version(setup.model),
        reasons=tuple(in_words(str(reason)) for reason in setup.reasons),
        signals=_facts(setup.signals),
        context=_facts(setup.context),
        features=tuple(Fact(name=name, value=value, places=4) for name, value in setup.features.items()),
        shadows=_shadows(setup.shadows),
        similar=tuple(_similar(row) for row in setup.similar),
        plan=_plan(trade) if trade else None,
        intents=tuple(_intent(intent) for intent in intents),
        rules=_rules(entry),
        fills=tuple(_fill(fill) for fill in fills),
        digits=min(digits_of(Decimal(repr(setup.entry))), MOST_DIGITS),
    )


def _version(model: FittedModel | None) -> str:
    return f"{model.symbol.name} {model.variant} v{model.version}" if model else ""


def _facts(values: Mapping[str, float | None]) -> tuple[Fact, ...]:
    """Return named numbers in people's words; one without words keeps its name."""
    told = ((name, value, *FACTS.get(name, (name, "", 1))) for name, value in values.items())
    return tuple(
        Fact(name=words, value=None if value is None else value * scale, unit=unit)
        for _, value, words, unit, scale in told
    )


def _shadows(scores: Mapping[str, float | None]) -> tuple[Fact, ...]:
    """Return what the versions that only watch would have said."""
    if not scores:
        return ()
    models = FittedModel.objects.select_related("symbol").in_bulk([int(pk) for pk in scores])
    named = ((models.get(int(pk)), score) for pk, score in scores.items())
    return tuple(
        Fact(name=_version(model) or "a version that is gone", value=None if score is None else score * 100, unit="%")
        for model, score in named
    )


def _similar(row: Mapping[str, Any]) -> SimilarRow:
    at = row.get("bar_at")
    return SimilarRow(
        bar_at=datetime.fromisoformat(at) if at else None,
        direction=row.get("direction", ""),
        outcome=row.get("outcome", ""),
        r=row.get("r"),
        distance=row.get("distance"),
    )


def _plan(trade: BotTrade) -> PlanData:
    return PlanData(
        account=str(trade.account),
        currency=trade.account.currency,
        side=trade.side,
        lots=trade.lots,
        price=trade.price,
        stop=trade.stop,
        target=trade.target,
        risk=trade.risk,
        deadline_at=trade.deadline_at,
        status=trade.status,
        reason=in_words(trade.reason),
        result=trade.result,
        closed_at=trade.closed_at,
    )


def _fills(trade: BotTrade) -> list[FillRecord]:
    """Return every deal of the positions that a trade opened, whoever closed them."""
    opened = FillRecord.objects.filter(account=trade.account, intent=trade.intent)
    deals = FillRecord.objects.filter(account=trade.account, position_id__in=opened.values("position_id"))
    return list(deals.order_by("at", "deal_id"))


def _intents(trade: BotTrade, fills: Iterable[FillRecord]) -> list[Intent]:
    """Return the journal of a trade, oldest first: its own steps, what protected it, and what else closed it."""
    fills = list(fills)
    mine = Q(family=Family.SETUP, cause=CAUSE, cause_id__startswith=f"{trade.setup_id}:")
    for ticket in {fill.position_id for fill in fills}:
        mine |= Q(family=Family.SETUP, cause=NAKED, cause_id__startswith=f"{ticket}:")
    mine |= Q(pk__in={fill.intent_id for fill in fills if fill.intent_id})  # whatever else closed it, as a kill does
    found = Intent.objects.filter(mine, account=trade.account).order_by("pk")
    return list(found.prefetch_related("legs__attempts"))


def _intent(intent: Intent) -> IntentRow:
    attempts = [attempt for leg in intent.legs.all() for attempt in leg.attempts.all()]
    return IntentRow(
        key=str(intent.pk),
        step=_step(intent),
        status=intent.status,
        reason=in_words(intent.reason),
        attempts=tuple(_attempt(attempt) for attempt in attempts),
    )


def _step(intent: Intent) -> str:
    """Return what an intent was for, from its cause."""
    name = intent.cause_id.split(":")[1] if ":" in intent.cause_id else ""
    return STEPS.get(name, name) if intent.cause == CAUSE else " ".join(filter(None, [intent.cause, name]))


def _attempt(attempt: Attempt) -> AttemptRow:
    code = f"retcode {attempt.retcode}" if attempt.retcode is not None else ""
    return AttemptRow(
        number=attempt.number,
        sent_at=attempt.sent_at,
        outcome=attempt.outcome or "no reply is stored",
        words=": ".join(filter(None, [code, attempt.message])),
        price=attempt.price,
        volume=attempt.volume,
    )


def _rules(entry: Intent | None) -> tuple[tuple[str, bool, str], ...]:
    """Return what the risk rules said to the newest request of an entry."""
    if entry is None:
        return ()
    attempts = [attempt for leg in entry.legs.all() for attempt in leg.attempts.all()]
    verdicts = attempts[-1].verdicts if attempts else []
    return tuple((one["rule"].replace("_", " "), one["ok"], one["message"]) for one in verdicts)


def _fill(fill: FillRecord) -> FillRow:
    return FillRow(
        key=str(fill.deal_id),
        at=fill.at,
        what=fill.entry,
        side=fill.side,
        lots=fill.volume,
        price=fill.price,
        result=result_of(fill),
    )
