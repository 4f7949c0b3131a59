"""The panels about decisions: what the models want, and what came of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import Max
from django.urls import reverse

from execution.models import BrokerState, Decision
from execution.sessions.slots import HOUR
from market.models import Symbol
from tradingsite.pages.frame import User, account_state, freshness
from tradingsite.pages.overview_data import DecisionRow, DecisionsData, Level, ModelBar, SignalRow, SignalsData

VERDICT_LEVELS = {"blocked": Level.WARN, "skipped": Level.WARN, "failed": Level.CRIT}
N_DECISIONS = 6


def newest_decisions() -> list[Decision]:
    """Return the newest decision of every traded symbol, in the order of symbols."""
    newest = Decision.objects.values("symbol").annotate(newest=Max("pk")).values_list("newest", flat=True)
    rows = {row.symbol: row for row in Decision.objects.filter(pk__in=list(newest))}
    return [rows[name] for name in traded() if name in rows]


def traded() -> list[str]:
    """Return the names of the traded symbols, in their order."""
    return list(Symbol.objects.traded().values_list("name", flat=True))


def held_fraction(symbol: str, seen: BrokerState | None, capital: Decimal | None) -> float | None:
    """Return what is held of a symbol as a signed fraction of its capital."""
    if seen is None or not capital:
        return None
    rows = [row for row in seen.positions if row["symbol"] == symbol and row["price_now"]]
    worth = sum(
        Decimal(r["volume"]) * Decimal(r["price_now"]) * Decimal(r["contract_size"]) * (1 if r["side"] == "buy" else -1)
        for r in rows
    )
    return float(Decimal(worth) / capital)


def capital_of(row: Decision) -> Decimal | None:
    """Return the capital that a decision sized its symbol from."""
    text = row.sizing.get("capital_per_asset")
    return Decimal(text) if text else None


def sized_fraction(row: Decision) -> float | None:
    """Return the position that a decision was sized to, as a fraction of the symbol's capital."""
    if row.target_lots == 0:
        return 0.0  # whatever was wanted, it came to less than can be traded
    tenths = row.sizing.get("tenths")
    return float(tenths) if tenths else None


def build_signals(user: User) -> SignalsData:
    """Return what the models want and what is held."""
    seen, rows = account_state(), newest_decisions()
    bar_at = rows[0].bar_at if rows else None
    return SignalsData(
        fresh=freshness(seen),
        rows=tuple(_signal(row, seen) for row in rows),
        bar_open_at=bar_at,
        bar_close_at=bar_at + HOUR if bar_at else None,
    )


def _signal(row: Decision, seen: BrokerState | None) -> SignalRow:
    return SignalRow(
        symbol=row.symbol,
        target=sized_fraction(row),
        actual=held_fraction(row.symbol, seen, capital_of(row)),
        models=tuple(ModelBar(name=model_name(m), position=m["position_pct"]) for m in row.positions),
        verdict=verdict_words(row),
        level=VERDICT_LEVELS.get(row.verdict, Level.OK),
    )


def model_name(model: dict[str, Any]) -> str:
    """Return a model's name for people."""
    return f"{model['strategy']} {variant_words(model)}"


def variant_words(model: dict[str, Any]) -> str:
    """Return a model's parameters so that a line can break between them."""
    return str(model["variant"]).replace(",", ", ")


def verdict_words(row: Decision) -> str:
    """Return how a decision ended, with the first blocker."""
    if row.verdict == "traded":
        return "; ".join(f"{leg['scene']}: {leg['side']} {leg['volume']}" for leg in row.legs) or "traded"
    return f"{row.verdict}: {row.blocker}" if row.blocker else row.verdict


def build_decisions(user: User) -> DecisionsData:
    """Return the newest decisions."""
    rows = Decision.objects.all()[:N_DECISIONS]
    return DecisionsData(
        rows=tuple(
            DecisionRow(
                key=str(row.pk),
                at=row.market_at,
                symbol=row.symbol,
                text=verdict_words(row),
                level=VERDICT_LEVELS.get(row.verdict, Level.OK),
                url=reverse("decision", args=[row.pk]),
            )
            for row in rows
        )
    )
