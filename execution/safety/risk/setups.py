"""What binds the entries of the setup bot alone: a stop, its own loss of the day, a pause after a loss, how many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from execution.brokers.magic import Family
from execution.planning.invariants import require_finite, require_not_negative
from execution.safety.risk.context import OrderRequest, RiskContext
from execution.safety.risk.verdict import Answer, allowed, judge, refused, unknown

NOT_THE_BOTS = "the order is not the bot's"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupStanding:
    """How the bot stands at one moment, and what its settings allow it."""

    n_open: int  # its trades that are open, or may come to be
    holds_symbol: bool  # one of them is in the request's symbol
    day_result: Decimal  # account currency since the last reset, costs and what floats included
    day_start: Decimal  # the account's balance at that reset
    cooldown_until: datetime | None  # after a loss in the request's symbol
    max_positions: int
    daily_loss: Decimal  # fraction of ``day_start``

    def __post_init__(self) -> None:
        require_finite(day_result=self.day_result)
        require_not_negative(day_start=self.day_start, daily_loss=self.daily_loss)


def resting_stop(request: OrderRequest, _: RiskContext) -> Answer:
    """Refuse an entry of the bot without a stop that will rest at the venue."""
    if request.family != Family.SETUP:
        return allowed(NOT_THE_BOTS)
    if request.stop is None:
        return refused("no_stop", "the entry has no stop, allowed are entries with one")
    message = f"the stop is {request.stop} and loses {request.worst_loss:.2f}, it must lose more than 0"
    return judge(request.worst_loss > 0, "stop_on_wrong_side", message)


def risk_per_trade(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound what one order loses at its stop, fees and slippage included, by the equity."""
    if context.account is None:
        return unknown("the equity")
    require_not_negative(worst_loss=request.worst_loss)
    most = context.limits.max_risk_per_trade * context.account.equity
    message = f"the order loses {request.worst_loss:.2f} at its stop, allowed is {most:.2f}"
    return judge(request.worst_loss <= most, "risk_per_trade", message)


def setup_positions(request: OrderRequest, context: RiskContext) -> Answer:
    """Bound the number of the bot's open trades."""
    if request.family != Family.SETUP:
        return allowed(NOT_THE_BOTS)
    if context.standing is None:
        return unknown("how many trades the bot has open")
    count, most = context.standing.n_open + 1, context.standing.max_positions
    return judge(count <= most, "setup_positions", f"the bot would have {count} trades open, allowed are {most}")


def setup_symbol(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse a second position in a symbol, whoever opened the first."""
    if request.family != Family.SETUP:
        return allowed(NOT_THE_BOTS)
    if context.standing is None or context.exposure is None:
        return unknown(f"what is held of {request.symbol}")
    side, exposure = request.side, context.exposure
    lots = exposure.possible(side) + exposure.possible(side.opposite)
    message = f"{lots} lots of {request.symbol} are held or asked for, allowed is one position a symbol"
    return judge(lots == 0 and not context.standing.holds_symbol, "setup_symbol", message)


def setup_daily_loss(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse entries once the bot has lost its share of the day's first balance, until the next reset."""
    if request.family != Family.SETUP:
        return allowed(NOT_THE_BOTS)
    if context.standing is None:
        return unknown("the bot's result of the day")
    result, most = context.standing.day_result, context.standing.daily_loss * context.standing.day_start
    message = f"the bot's day stands at {result:.2f}, its entries stop at a loss of {most:.2f}"
    return judge(result > -most, "setup_daily_loss", message)


def setup_cooldown(request: OrderRequest, context: RiskContext) -> Answer:
    """Refuse entries in a symbol for some bars after a loss in it."""
    if request.family != Family.SETUP:
        return allowed(NOT_THE_BOTS)
    if context.standing is None or context.market_at is None:
        return unknown("when the bot lost last")
    until = context.standing.cooldown_until
    if until is None:
        return allowed("no loss in this symbol to recover from")
    message = f"a loss keeps {request.symbol} waiting until {until:%Y-%m-%d %H:%M} UTC"
    return judge(context.market_at >= until, "setup_cooldown", message)
