"""What the venue and the account allow at the moment."""

from __future__ import annotations

from execution.planning.orders import Side, TradeMode
from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge, unknown

OPENING = {
    Side.BUY: frozenset({TradeMode.FULL, TradeMode.LONG_ONLY}),
    Side.SELL: frozenset({TradeMode.FULL, TradeMode.SHORT_ONLY}),
}


def account_may_trade(_: OrderRequest, context: RiskContext) -> Answer:
    """Refuse entries on an account that may not trade, or not by program."""
    account = context.account
    if account is None:
        return unknown("the account")
    message = f"trade allowed: {account.trade_allowed}, by program: {account.trade_expert}; both must be True"
    return judge(account.trade_allowed and account.trade_expert, "trading_disabled", message)


def symbol_may_open(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse entries that the symbol's mode does not allow."""
    if context.spec is None:
        return unknown(f"the specification of {request.symbol}")
    mode, needed = context.spec.trade_mode, OPENING[request.side]
    message = f"{request.symbol} is {mode}, a {request.side} needs one of: {', '.join(sorted(needed))}"
    return judge(mode in needed, "symbol_restricted", message)
