"""Nothing is opened on old news. Ages are seconds, and come from outside."""

from __future__ import annotations

import math
from decimal import Decimal

from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge, refused, unknown

MAX_CLOCK_SKEW_S = 2.0  # a read this far in the future is a clock that is wrong


def tick_age(_: OrderRequest, context: RiskContext) -> Answer:
    """Bound the age of the tick."""
    return _age("the tick", context.ages.tick_s, context.limits.max_tick_age_s)


def account_age(_: OrderRequest, context: RiskContext) -> Answer:
    """Bound the age of the account read."""
    return _age("the account", context.ages.account_s, context.limits.max_account_age_s)


def spec_age(_: OrderRequest, context: RiskContext) -> Answer:
    """Bound the age of the symbol's specification."""
    return _age("the specification", context.ages.spec_s, context.limits.max_spec_age_s)


def closed_bar(_: OrderRequest, context: RiskContext) -> Answer:
    """Refuse to open on a forming bar, or on one that is not the newest."""
    if not context.is_bar_closed:
        return refused("forming_bar", "the bar is still forming, allowed is a closed one")
    return judge(context.is_bar_fresh, "stale_bar", f"the newest closed bar: {context.is_bar_fresh}, must be True")


def _age(what: str, age_s: float | None, most: Decimal) -> Answer:
    if age_s is None or not math.isfinite(age_s):
        return unknown(f"the age of {what}")
    if age_s < -MAX_CLOCK_SKEW_S:
        return refused("from_the_future", f"{what} is {-age_s:.1f} s ahead, allowed are {MAX_CLOCK_SKEW_S} s")
    return judge(age_s <= most, "stale", f"{what} is {age_s:.1f} s old, allowed are {most} s")
