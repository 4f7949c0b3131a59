"""One decision, from each model's signal to the order or the reason there is none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from execution.errors import NoDecisionError
from execution.models import Decision


def explain(symbol: str, *, at: datetime | None = None) -> dict[str, Any]:
    """Return every number of a symbol's newest decision, or of the newest one at a time.

    Raises
    ------
    NoDecisionError
        There is none yet.
    """
    decisions = Decision.objects.filter(symbol=symbol)
    if at is not None:
        decisions = decisions.filter(market_at__lte=at)
    row = decisions.first()
    if row is None:
        raise NoDecisionError(
            f"no decision about {symbol} yet: sessions make them, `manage.py signal_run` previews one"
        )
    return as_document(row)


def as_document(row: Decision) -> dict[str, Any]:
    """Return a stored decision as ``signal_explain/1`` shows it."""
    return {
        "id": row.pk,
        "symbol": row.symbol,
        "slot": row.slot,
        "market_at": row.market_at,
        "bar_at": row.bar_at,
        "models": row.positions,
        "missing_models": row.missing_models,
        "position_pct": row.position_pct,
        "clipped_pct": row.clipped_pct,
        "sizing": row.sizing,
        "current_lots": row.current_lots,
        "target_lots": row.target_lots,
        "scene": row.scene,
        "legs": row.legs,
        "verdicts": row.verdicts,
        "verdict": row.verdict,
        "blocker": row.blocker,
    }


def explanation_text(document: dict[str, Any]) -> str:
    """Return the steps, one a line."""
    lines = [f"{document['symbol']} {document['slot']}: {document['verdict']}"]
    if document["blocker"]:
        lines.append(f"first blocker: {document['blocker']}")
    lines += [f"  {m['position_pct']:+.4f}  {m['strategy']} {m['variant']} v{m['version']}" for m in document["models"]]
    lines += [f"  missing  {name}" for name in document["missing_models"]]
    if document["position_pct"] is not None:
        lines.append(f"sum {document['position_pct']:+.4f}, clipped {document['clipped_pct']:+.4f}")
    lines += [f"  {name} = {value}" for name, value in document["sizing"].items()]
    lines += [f"  {v['rule']}: {'ok' if v['ok'] else 'NO'}, {v['message']}" for v in document["verdicts"]]
    lines += [f"  {leg['scene']} {leg['side']} {leg['volume']} at {leg['price']}" for leg in document["legs"]]
    return "\n".join(lines)
