"""What every look at an account does: keep what was seen, and hold it against the loss limits."""

from __future__ import annotations

from loguru import logger

from execution.brokers.base import Broker
from execution.day_starts import has_day_start, note_day_start
from execution.errors import BrokerError
from execution.limits import OWN, current_limits, loss_budgets
from execution.loss_alerts import tell_of_losses
from execution.models import Account, BrokerState, ControlRow
from execution.safety import control, killswitch
from execution.safety.control import State
from execution.safety.reconcile import book_movements, current_account
from execution.safety.risk import LossBudget
from execution.trading_venues import MT5
from execution.watching import Watched, store_watched, watch
from ops.audit import SYSTEM

GUARD = "loss"


def killing() -> bool:
    """Return whether a kill is closing positions now."""
    return ControlRow.objects.filter(scope=ControlRow.SYSTEM, state=State.KILLING).exists()


def notice_missing_file() -> None:
    """Turn the removal of the armed file, by whatever hand, into a kill."""
    row = ControlRow.objects.filter(scope=ControlRow.SYSTEM).first()
    if row is None or row.state in (State.KILLING, State.KILLED):
        return
    if control.armed_file().read() is None:
        killswitch.latch(SYSTEM, cause="the armed file is gone or cannot be read")


def guard_account(broker: Broker) -> Account:
    """Look at the account, keep what was seen, and hold it against the loss limits."""
    watched = watch(broker)
    account = current_account(watched.snapshot)
    if _wants_deals(account, watched):
        _book_deals(broker, account)
    store_watched(account, watched)
    guard_losses(account, watched)
    return account


def _wants_deals(account: Account, watched: Watched) -> bool:
    """Return whether the balance moved, by a trade or by cash, or a day begins whose start the deals tell."""
    seen = BrokerState.objects.filter(account=account).values_list("balance", flat=True).first()
    return seen != watched.snapshot.balance or not has_day_start(account, watched.market_at)


def _book_deals(broker: Broker, account: Account) -> None:
    """Store the newest deals; without them the losses are guarded all the same, from the most careful start."""
    try:
        book_movements(broker, account)
    except BrokerError as error:
        logger.warning("the deals could not be read: {}", error)


def guard_losses(account: Account, watched: Watched) -> None:
    """Stop entries at the soft line of a loss budget, and kill at the hard one.

    The guard that a soft line sets stands for MetaTrader 5, where two traders share an account; what the bot may still
    enter elsewhere the gate holds against that account's own budgets.
    """
    balance, equity = watched.snapshot.balance, watched.snapshot.equity
    note_day_start(account, balance, watched.market_at)
    budgets = loss_budgets(account, current_limits(), watched.market_at, balance=balance)
    hard = [b for b in budgets if b.flattens(equity)]
    soft = [b for b in budgets if b.stops_entries(equity)]
    if hard and control.current_control().state not in (State.KILLING, State.KILLED):
        killswitch.latch(SYSTEM, cause=_words(hard[-1], equity, "hard", account.broker))
    if account.broker == MT5:
        _hold_guard(_words(soft[-1], equity, "soft", MT5) if soft else "")
    tell_of_losses(account.broker, budgets, equity)


def _hold_guard(reason: str) -> None:
    if reason:
        control.set_guard(GUARD, reason=reason)
    else:
        control.clear_guard(GUARD)


def _words(budget: LossBudget, equity: object, line: str, broker_key: str) -> str:
    whose = "" if budget.source == OWN else f" of {budget.source}"
    where = "" if broker_key == MT5 else f" at {broker_key}"
    return (
        f"{budget.kind} loss{whose}{where}: equity {equity} is past the {line} line of {budget.start} to {budget.floor}"
    )
