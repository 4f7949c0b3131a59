"""How much of every limit is used, and how far equity may still fall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from execution.brokers.base import Broker
from execution.limits import current_limits, current_quiet_hours, loss_budgets
from execution.planning.sizing import contract_value
from execution.safety.control import current_control
from execution.safety.gate import request_counts
from execution.safety.reads import conversion_rate
from execution.safety.reconcile import book_fills, current_account
from execution.safety.risk import LIMITS, RULES, Limits, LossBudget
from execution.safety.risk.days import next_reset
from execution.watching import Watched, watch
from execution.wire import the_broker

ZERO = Decimal(0)
OK, SOFT, HARD = "ok", "soft", "hard"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLook:
    """What one read of the broker says about the limits."""

    watched: Watched
    limits: Limits
    budgets: tuple[LossBudget, ...]
    used: dict[str, Decimal]  # by limit, for those that are used without an order


def risk_status() -> dict[str, Any]:
    """Return the document of ``risk_status/1``, from a fresh read of the broker."""
    with the_broker(patient=False) as broker:
        look = _look(broker)
    snapshot, control = look.watched.snapshot, current_control()
    return {
        "mode": settings.TRADING_MODE,
        "state": control.state,
        "reason": control.reason,
        "market_time": look.watched.market_at,
        "next_reset": next_reset(look.watched.market_at),
        "account": {"balance": snapshot.balance, "equity": snapshot.equity, "margin": snapshot.margin},
        "budgets": [_budget(budget, snapshot.equity) for budget in look.budgets],
        "limits": [_limit(name, look) for name in LIMITS],
        "quiet_hours": [str(hours) for hours in quiet_now(look.watched.market_at)],
        "rules": [{"rule": name, "description": rule.description} for name, rule in RULES.items()],
    }


def is_sound(status: dict[str, Any]) -> bool:
    """Return whether no loss budget is at a line and no limit is passed."""
    return all(row["state"] == OK for row in status["budgets"]) and not any(
        row["is_passed"] for row in status["limits"]
    )


def quiet_now(at: datetime) -> list[object]:
    """Return the quiet hours that cover a moment, whichever symbol's."""
    return [hours for hours in current_quiet_hours() if hours.covers(hours.symbol, at)]


def _look(broker: Broker) -> RiskLook:
    watched, limits = watch(broker), current_limits()
    account, snapshot = current_account(watched.snapshot), watched.snapshot
    book_fills(broker, account)
    return RiskLook(
        watched=watched,
        limits=limits,
        budgets=loss_budgets(account, limits, watched.market_at, balance=snapshot.balance),
        used=_used(broker, watched),
    )


def _used(broker: Broker, watched: Watched) -> dict[str, Decimal]:
    counts, snapshot = request_counts(watched.market_at), watched.snapshot
    used = {
        "max_positions": Decimal(len(watched.positions)),
        "max_orders_per_minute": Decimal(counts.orders_last_minute),
        "max_orders_per_day": Decimal(counts.orders_today),
        "max_entry_requests_per_day": Decimal(counts.requests_today),
        "max_requests_per_day": Decimal(counts.requests_today),
    }
    if snapshot.equity <= 0:
        return used
    worths = [_worth(broker, watched, position.symbol) * position.signed_volume for position in watched.positions]
    gross, net = sum(map(abs, worths), ZERO), abs(sum(worths, ZERO))
    shares = {"max_gross": gross, "max_net": net, "max_margin": snapshot.margin}
    return used | {name: money / snapshot.equity for name, money in shares.items()}


def _worth(broker: Broker, watched: Watched, symbol: str) -> Decimal:
    """Return one lot's worth in account currency."""
    spec = broker.spec(symbol)
    return contract_value(spec, watched.quotes[symbol].mid, conversion_rate(broker, spec, watched.snapshot))


def _budget(budget: LossBudget, equity: Decimal) -> dict[str, Any]:
    state = HARD if budget.flattens(equity) else SOFT if budget.stops_entries(equity) else OK
    return {
        "kind": budget.kind,
        "source": budget.source,
        "start": budget.start,
        "soft_floor": budget.entry_floor,
        "hard_floor": budget.kill_floor,
        "floor": budget.floor,
        "left": equity - budget.floor,
        "state": state,
    }


def _limit(name: str, look: RiskLook) -> dict[str, Any]:
    spec, value, used = LIMITS[name], getattr(look.limits, name), look.used.get(name)
    return {
        "name": name,
        "value": value,
        "ceiling": spec.ceiling,
        "unit": spec.unit,
        "used": used,
        "is_passed": used is not None and used > value,
    }


def risk_text(status: dict[str, Any]) -> str:
    """Return the status for people."""
    account = status["account"]
    head = f"{status['mode']} · {status['state']}" + (f" · {status['reason']}" if status["reason"] else "")
    lines = [head, f"balance {account['balance']:.2f}  equity {account['equity']:.2f}", *_budget_lines(status)]
    for row in status["limits"]:
        used = "" if row["used"] is None else f"{row['used'].normalize():.4g} of "
        mark = "  PASSED" if row["is_passed"] else ""
        lines.append(f"{row['name']:<27} {used}{row['value'].normalize():f} {row['unit']}{mark}")
    lines += [f"quiet hours: {hours}" for hours in status["quiet_hours"]]
    return "\n".join([*lines, f"next reset {status['next_reset']:%Y-%m-%d %H:%M} UTC"])


def _budget_lines(status: dict[str, Any]) -> list[str]:
    return [
        f"{row['kind']:<12} {row['source']:<10} {row['left']:>12.2f} left above {row['floor']:.2f}, "
        f"entries stop at {row['soft_floor']:.2f}, {row['state']}"
        for row in status["budgets"]
    ]
