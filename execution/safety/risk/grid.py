"""Volumes that a venue can take: finite, above zero, on the step, within one order's range."""

from __future__ import annotations

from execution.planning.rounding import is_on_step
from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge, refused, unknown


def volume_grid(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse a volume off the symbol's grid.

    The smallest volume binds entries alone: the rest of a position may be smaller and must still be closable.
    """
    spec, volume = context.spec, request.volume
    if spec is None:
        return unknown(f"the specification of {request.symbol}")
    if not (volume.is_finite() and volume > 0):
        return refused("bad_volume", f"the volume must be finite and above 0, was {volume}")
    smallest = spec.volume_step if request.reduces else spec.volume_min
    message = f"the volume was {volume}, allowed are multiples of {spec.volume_step} from {smallest}"
    on_grid = is_on_step(volume, spec.volume_step) and smallest <= volume <= spec.volume_max
    return judge(on_grid, "off_grid", f"{message} to {spec.volume_max}")
