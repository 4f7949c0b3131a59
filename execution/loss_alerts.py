"""Alerts about how much may still be lost: once per line and budget, as it is crossed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from execution.safety.risk import LossBudget
from execution.trading_venues import venue_key
from ops.alerts import Trouble, hold_alerts
from ops.models import Alert

PREFIX = "loss:"
WAY_BACK = Decimal("0.05")  # share of a budget that has to be regained past a line, so that one crossing is one alert


def tell_of_losses(broker_key: str, budgets: Iterable[LossBudget], equity: Decimal) -> None:
    """Raise an alert for each budget whose soft line is crossed, worse at its hard line; end it on the way back."""
    hold_alerts(venue_key(broker_key, PREFIX), _crossed(broker_key, list(budgets), equity))


def _crossed(broker_key: str, budgets: list[LossBudget], equity: Decimal) -> Iterator[Trouble]:
    prefix = venue_key(broker_key, PREFIX)
    known = set(Alert.objects.open().filter(key__startswith=prefix).values_list("key", flat=True))
    for budget in budgets:
        trouble, back = _trouble(broker_key, budget, equity), WAY_BACK * (budget.start - budget.floor)
        if budget.stops_entries(equity) or (trouble.key in known and equity <= budget.entry_floor + back):
            yield trouble


def _trouble(broker_key: str, budget: LossBudget, equity: Decimal) -> Trouble:
    is_hard = budget.flattens(equity)
    kind = budget.kind.replace("_", " ")
    return Trouble(
        venue_key(broker_key, f"loss:{budget.kind}:{budget.source}"),
        f"The {'hard' if is_hard else 'soft'} line of the {kind} loss is crossed ({budget.source})",
        detail=f"equity {equity:.2f}, from {budget.start:.2f} down to {budget.floor:.2f}",
        level=Alert.Level.CRITICAL if is_hard else Alert.Level.WARNING,
    )
