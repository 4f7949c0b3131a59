"""The right account and the right symbol, always."""

from __future__ import annotations

from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, judge, unknown


def account_identity(_: OrderRequest, context: RiskContext) -> Answer:
    """Refuse every account but the configured one, without writing account numbers into the message."""
    account = context.account
    if account is None:
        return unknown("the account")
    login = "the configured login" if account.login == context.expected_login else "another login"
    right = account.login == context.expected_login and account.server == context.expected_server
    message = f"attached to {login} on {account.server!r}, allowed is the configured login on "
    return judge(right, "wrong_account", f"{message}{context.expected_server!r}")


def symbol_identity(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse a specification or a quote of another symbol."""
    if context.spec is None:
        return unknown(f"the specification of {request.symbol}")
    others = {context.spec.symbol} | ({context.quote.symbol} if context.quote else set())
    message = f"the order is for {request.symbol}, its specification and quote are for {', '.join(sorted(others))}"
    return judge(others == {request.symbol}, "wrong_symbol", message)
