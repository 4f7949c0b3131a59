"""Executes trade requests: every action is planned first, which may refuse it, and then booked in one commit.

``order_check`` stops after the plan, so that it and ``order_send`` can never disagree.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator import constants as mt5
from simulator.account import Account, Totals
from simulator.market_orders import plan_close_by, plan_deal
from simulator.pending_orders import plan_modify, plan_pending, plan_remove, plan_stops
from simulator.plans import Done, Plan
from simulator.refusals import RETCODE_TEXTS, RequestRefusedError
from simulator.structs import OrderCheckResult, OrderSendResult, TradeRequest

ACTIONS: dict[int, Callable[[Account, TradeRequest], Plan]] = {
    mt5.TRADE_ACTION_DEAL: plan_deal,
    mt5.TRADE_ACTION_PENDING: plan_pending,
    mt5.TRADE_ACTION_SLTP: plan_stops,
    mt5.TRADE_ACTION_MODIFY: plan_modify,
    mt5.TRADE_ACTION_REMOVE: plan_remove,
    mt5.TRADE_ACTION_CLOSE_BY: plan_close_by,
}


def send(account: Account, request: TradeRequest, request_id: int) -> OrderSendResult:
    """Execute a request, or refuse it with its retcode; what is executed is committed on return."""
    retcode, done = mt5.TRADE_RETCODE_DONE, Done()
    with account.transaction():
        try:
            done = _plan(account, request).book()
        except RequestRefusedError as refusal:
            retcode = refusal.retcode
    return reply(account, request, request_id, retcode=retcode, done=done)


def reply(
    account: Account, request: TradeRequest, request_id: int, *, retcode: int, done: Done | None = None
) -> OrderSendResult:
    """Return the server's answer to a request, with the quote of the moment."""
    done = done or Done()
    quote = account.quote(request.symbol) if request.symbol in account.market.symbols else None
    return OrderSendResult(
        retcode=retcode,
        deal=done.deal,
        order=done.order,
        volume=float(done.volume),
        price=done.price,
        bid=quote.bid if quote else 0.0,
        ask=quote.ask if quote else 0.0,
        comment=RETCODE_TEXTS.get(retcode, ""),
        request_id=request_id,
        retcode_external=0,
        request=request,
    )


def check(account: Account, request: TradeRequest) -> OrderCheckResult:
    """Return whether a request would be executed (retcode 0), and the account's sums after it."""
    totals = account.totals()
    try:
        plan = _plan(account, request)
    except RequestRefusedError as refusal:
        return _check_result(refusal.retcode, str(refusal), totals, request)
    if plan.positions is not None:
        balance = totals.balance + plan.realised
        floating = account.floating_of(plan.positions)
        totals = Totals(balance=balance, profit=floating, margin=account.margin(plan.positions))
    return _check_result(0, "Done", totals, request)


def refused_check(account: Account, request: TradeRequest, *, retcode: int) -> OrderCheckResult:
    """Return the answer to a check of a request that would be refused."""
    return _check_result(retcode, RETCODE_TEXTS.get(retcode, ""), account.totals(), request)


def _check_result(retcode: int, comment: str, totals: Totals, request: TradeRequest) -> OrderCheckResult:
    return OrderCheckResult(
        retcode=retcode,
        balance=float(totals.balance),
        equity=float(totals.equity),
        profit=float(totals.profit),
        margin=float(totals.margin),
        margin_free=float(totals.margin_free),
        margin_level=totals.margin_level,
        comment=comment,
        request=request,
    )


def _plan(account: Account, request: TradeRequest) -> Plan:
    if request.action not in ACTIONS:
        raise RequestRefusedError(mt5.TRADE_RETCODE_INVALID)
    return ACTIONS[request.action](account, request)
