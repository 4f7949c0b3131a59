"""What was seen last at each venue, for pages: an account that was traded before and is no more is left out."""

from __future__ import annotations

from execution.models import BrokerState


def newest_looks() -> tuple[BrokerState, ...]:
    """Return the newest look at each venue's account, by the venue's key."""
    states = BrokerState.objects.select_related("account").order_by("read_at")
    newest = {state.account.broker: state for state in states}
    return tuple(state for _, state in sorted(newest.items()))
