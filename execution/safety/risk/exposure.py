"""How much may be held: what is held, all unresolved attempts in the worst direction, and the request on top.

Lots are valued at the price of the plan, so that plan and gate measure with the same rule; the price collar keeps
that price near the market's.
"""

from __future__ import annotations

from decimal import Decimal

from execution.planning.invariants import require_positive
from execution.planning.orders import MarginMode, Side
from execution.planning.sizing import contract_value
from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge, unknown


def _lot_value(request: OrderRequest, context: RiskContext) -> Decimal | None:
    """Return one lot's worth in account currency, None while the specification is unknown."""
    if context.spec is None:
        return None
    return contract_value(context.spec, request.plan_price, context.rate)


def position_cap(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound the possible position in the symbol by its capital."""
    value, exposure = _lot_value(request, context), context.exposure
    if value is None or exposure is None:
        return unknown("the exposure")
    require_positive(capital_per_asset=context.capital_per_asset)
    lots = exposure.possible(request.side) + request.volume
    most = context.limits.max_position_pct * context.capital_per_asset
    message = f"the {request.side} side may reach {lots} lots worth {lots * value:.2f}, allowed is {most:.2f}"
    return judge(lots * value <= most, "position_cap", message)


def gross_cap(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound the sum of all possible positions by the equity."""
    value, exposure = _lot_value(request, context), context.exposure
    if value is None or exposure is None or context.account is None:
        return unknown("the exposure")
    lots = exposure.possible(Side.BUY) + exposure.possible(Side.SELL) + request.volume
    gross, most = exposure.other_gross + lots * value, context.limits.max_gross * context.account.equity
    return judge(gross <= most, "gross_cap", f"all positions may reach {gross:.2f}, allowed is {most:.2f}")


def net_cap(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound the possible net position, in the direction of the request, by the equity."""
    value, exposure = _lot_value(request, context), context.exposure
    if value is None or exposure is None or context.account is None:
        return unknown("the exposure")
    side = request.side
    lots = exposure.possible(side) + request.volume - exposure.held(side.opposite)
    net, most = lots * value + exposure.other_net * side.sign, context.limits.max_net * context.account.equity
    return judge(net <= most, "net_cap", f"the net {side} may reach {net:.2f}, allowed is {most:.2f}")


def order_cap(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound one order's worth."""
    value = _lot_value(request, context)
    if value is None:
        return unknown("the worth of the order")
    notional, most = request.volume * value, context.limits.max_order_notional
    return judge(notional <= most, "order_cap", f"the order is worth {notional:.2f}, allowed is {most:.2f}")


def venue_volume_cap(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound a side's volume by the venue's own limit, where it has one."""
    if context.spec is None or context.exposure is None:
        return unknown("the exposure")
    lots, most = context.exposure.possible(request.side) + request.volume, context.spec.volume_limit
    message = f"the {request.side} side may reach {lots} lots, the venue allows {most or 'any number'}"
    return judge(most == 0 or lots <= most, "venue_volume_cap", message)


def positions_cap(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound the number of positions."""
    exposure, account = context.exposure, context.account
    if exposure is None or account is None:
        return unknown("the number of positions")
    adds = account.margin_mode is MarginMode.HEDGING or exposure.held(request.side) == 0
    count, most = exposure.n_positions + adds, context.limits.max_positions
    return judge(count <= most, "positions_cap", f"{count} positions would be open, allowed are {most}")
