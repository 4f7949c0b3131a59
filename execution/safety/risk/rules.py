"""All rules by name, and what they say together."""

from __future__ import annotations

from collections.abc import Iterable

from execution.errors import RiskRefusedError
from execution.safety.risk import (
    exposure,
    freshness,
    grid,
    identity,
    losses,
    margin,
    permission,
    prices,
    rates,
    reduction,
    sessions,
    setups,
)
from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import EXEMPT, UNREADABLE, Answer, Check, Rule, Verdict, refused


def _always(check: Check, description: str) -> Rule:
    return Rule(check=check, description=description, applies_to_reductions=True, applies_to_emergencies=True)


def _growth(check: Check, description: str) -> Rule:
    return Rule(check=check, description=description, applies_to_reductions=False, applies_to_emergencies=False)


def _rate(check: Check, description: str) -> Rule:
    return Rule(check=check, description=description, applies_to_reductions=True, applies_to_emergencies=False)


# In the order in which they are asked: the first blocker is what a person is told.
RULES: dict[str, Rule] = {
    "account_identity": _always(identity.account_identity, "the configured account, always"),
    "symbol_identity": _always(identity.symbol_identity, "specification and quote are the order's symbol's"),
    "volume_grid": _always(grid.volume_grid, "a volume that the venue can take"),
    "reduction_is_real": _always(reduction.reduction_is_real, "what claims to reduce never opens or flips"),
    "account_may_trade": _growth(permission.account_may_trade, "the account may trade, and by program"),
    "symbol_may_open": _growth(permission.symbol_may_open, "the symbol may be opened in this direction"),
    "session_hours": _growth(sessions.session_hours, "no entries in quiet hours"),
    "closed_bar": _growth(freshness.closed_bar, "the newest closed bar"),
    "tick_age": _growth(freshness.tick_age, "a fresh tick"),
    "account_age": _growth(freshness.account_age, "a fresh account read"),
    "spec_age": _growth(freshness.spec_age, "a fresh specification"),
    "price_collar": _growth(prices.price_collar, "a price near the plan's"),
    "spread_cap": _growth(prices.spread_cap, "a spread worth paying"),
    "resting_stop": _growth(setups.resting_stop, "a stop that rests at the venue, for the bot's entries"),
    "risk_per_trade": _growth(setups.risk_per_trade, "what one order loses at its stop"),
    "setup_symbol": _growth(setups.setup_symbol, "one position a symbol, for the bot"),
    "setup_positions": _growth(setups.setup_positions, "the bot's open trades"),
    "setup_daily_loss": _growth(setups.setup_daily_loss, "room left in the bot's loss of the day"),
    "setup_cooldown": _growth(setups.setup_cooldown, "some bars without entries after a loss of the bot"),
    "no_crossing": _growth(reduction.no_crossing, "no order crosses zero on a netting account"),
    "daily_loss": _growth(losses.daily_loss, "room left in the day's loss"),
    "total_loss": _growth(losses.total_loss, "room left in the loss since the start"),
    "drawdown": _growth(losses.drawdown, "room left below the highest equity"),
    "after_reset": _growth(losses.after_reset, "room left after the next midnight, when it is near"),
    "position_cap": _growth(exposure.position_cap, "the possible position in the symbol"),
    "gross_cap": _growth(exposure.gross_cap, "all possible positions together"),
    "net_cap": _growth(exposure.net_cap, "all possible positions, short taken from long"),
    "margin_cap": _growth(margin.margin_cap, "the margin at the account's leverage"),
    "order_cap": _growth(exposure.order_cap, "the worth of one order"),
    "venue_volume_cap": _growth(exposure.venue_volume_cap, "the venue's own volume limit"),
    "positions_cap": _growth(exposure.positions_cap, "the number of positions"),
    "orders_per_minute": _rate(rates.orders_per_minute, "orders of the last minute"),
    "orders_per_day": _rate(rates.orders_per_day, "orders of the day"),
    "requests_per_day": _rate(rates.requests_per_day, "trade requests of the day"),
    "entry_requests_per_day": _growth(rates.entry_requests_per_day, "requests kept back for getting out"),
}


def evaluate(request: OrderRequest, context: RiskContext) -> tuple[Verdict, ...]:
    """Return every rule's verdict, in the order of ``RULES``; the request may go when all are ok.

    Never raises for a bad number: a NaN or an infinity refuses, in the rule that met it.
    """
    return tuple(_verdict(name, rule, request, context) for name, rule in RULES.items())


def first_blocker(verdicts: Iterable[Verdict]) -> Verdict | None:
    """Return the first verdict that said no."""
    return next((verdict for verdict in verdicts if not verdict.ok), None)


def require_allowed(verdicts: Iterable[Verdict]) -> None:
    """Raise for the first verdict that said no, with the codes of all that did.

    Raises
    ------
    RiskRefusedError
        Nothing may be sent. Its ``codes`` are ``rule:code``.
    """
    blockers = [verdict for verdict in verdicts if not verdict.ok]
    if blockers:
        message = f"{blockers[0].rule}: {blockers[0].message}"
        raise RiskRefusedError(message, codes=[f"{verdict.rule}:{verdict.code}" for verdict in blockers])


def _verdict(name: str, rule: Rule, request: OrderRequest, context: RiskContext) -> Verdict:
    spared = rule.spares(request)
    if spared:
        return Verdict(rule=name, ok=True, code=EXEMPT, message=spared)
    answer = _answer(rule, request, context)
    return Verdict(rule=name, ok=answer.ok, code=answer.code, message=answer.message)


def _answer(rule: Rule, request: OrderRequest, context: RiskContext) -> Answer:
    try:
        return rule.check(request, context)
    except (ArithmeticError, ValueError) as error:
        # Comparing a NaN raises InvalidOperation, an ArithmeticError; our own checks raise ValueError.
        return refused(UNREADABLE, f"a number cannot be used: {error or type(error).__name__}")
