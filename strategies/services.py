"""The fitting plan: written once with the defaults, then a person's."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from ops.audit import SYSTEM, Actor, record
from ops.errors import DeskError, ExitCode
from strategies.default_plan import DEFAULT_PLAN, PlannedModel
from strategies.estimators import STRATEGIES
from strategies.models import PlanRow


class PlanError(DeskError):
    """A fit that was asked for and is not in the plan."""

    exit_code = ExitCode.USAGE


@transaction.atomic
def sync_default_plan(*, actor: Actor = SYSTEM) -> int:
    """Write the default plan unless the plan was ever written, and return how many rows that made.

    Rows that a person changed or deleted stay so: their history says that there was a plan. A later release's new
    defaults are for a person to add.
    """
    if PlanRow.objects.exists() or PlanRow.history.exists():
        return 0
    for position, planned in enumerate(DEFAULT_PLAN):
        PlanRow.objects.create(
            strategy=planned.strategy,
            params=dict(planned.params),
            strat_weight=planned.strat_weight,
            is_enabled=planned.enabled,
            position=position,
        )
    record(actor, "plan.created", after={"rows": len(DEFAULT_PLAN)}, reason="the default plan")
    return len(DEFAULT_PLAN)


def enabled_plan(strategies: Collection[str] = ()) -> tuple[PlannedModel, ...]:
    """Return what is switched on, of the given strategies or of all.

    Raises
    ------
    PlanError
        A key that is not in the catalogue, or one that the plan has switched off.
    """
    for key in strategies:
        if key not in STRATEGIES:
            raise PlanError(f"no strategy {key!r}; known: {', '.join(STRATEGIES)}")
    plan = tuple(row.planned() for row in PlanRow.objects.enabled() if not strategies or row.strategy in strategies)
    off = sorted(set(strategies) - {planned.strategy for planned in plan})
    if off or not plan:
        named = ", ".join(off) or "anything"
        raise PlanError(f"the plan has nothing switched on for {named}: switch a row on in the admin's fitting plan")
    return plan
