"""What the frame around every page shows, from the rows."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin

from execution.limits import loss_day
from execution.looks import newest_looks
from execution.models import Account, BrokerState, ControlRow, DayStart
from execution.safety import killswitch
from execution.safety.control import GUARD, current_control
from execution.sessions.hourly import slot_rule
from execution.sessions.slots import next_slot
from execution.trading_venues import MT5
from ops import clock, heartbeats
from ops.clock import ClockMissingError
from ops.models import Alert
from tradingsite.pages.frame_data import (
    ClockData,
    Due,
    FrameData,
    Freshness,
    KillFacts,
    Mode,
    StateData,
    StateWord,
)

User = AbstractBaseUser | AnonymousUser
SENTINEL_LOST_AFTER_S = 20.0
READ_STALE_AFTER_S = 15.0
BLOCKS_ENTRIES = "Entries are blocked until the broker answers again."


def market_now() -> datetime | None:
    """Return the market's time, None while no simulator tells it."""
    try:
        return clock.market_now()
    except ClockMissingError:
        return None


def may(user: User, what: str) -> bool:
    """Return whether a person may ``operate`` (pause, resume, kill) or ``arm``."""
    return isinstance(user, PermissionsMixin) and user.has_perm(f"execution.{what}")


def account_state() -> BrokerState | None:
    """Return the newest read of the account of the hourly session; others, of the bot alone, are on the bot's page."""
    states = BrokerState.objects.select_related("account").filter(account__broker=MT5)
    return states.order_by("-read_at").first()


def account_label(account: Account | None) -> str:
    """Return the account's name for the top bar; never its whole number."""
    if account is None:
        return "no account yet"
    return f"{account.mode.capitalize()} …{str(account.login)[-4:]}"


def freshness(state: BrokerState | None) -> Freshness:
    """Return how old the newest read of the account is."""
    at = state.read_at if state else None
    return Freshness.of(at, now=clock.wall_now(), stale_after_s=READ_STALE_AFTER_S, consequence=BLOCKS_ENTRIES)


def next_rebalance() -> Due:
    """Return when the next session acts."""
    now = market_now()
    return Due.of(next_slot(now, slot_rule()).at, now=now) if now else Due()


def clock_data() -> ClockData:
    """Return the market's clock and how it runs."""
    now = market_now()
    speed = clock.speed() if now else 0.0
    return ClockData(market_at=now, wall_at=clock.wall_now(), speed=speed)


def state_word() -> StateWord:
    """Return the trading state in one word; a lost sentinel is never drawn as armed."""
    word = StateWord(current_control().state)
    if not word.is_stopped and heartbeats.age_s("sentinel") > SENTINEL_LOST_AFTER_S:
        return StateWord.UNKNOWN
    return word


def build_state(user: User) -> StateData:
    """Return the trading state as panels ``state``, ``controls`` and ``notice`` show it."""
    seen, control = account_state(), current_control()
    row = ControlRow.objects.filter(scope=control.scope).first()
    event = killswitch.last_kill()
    today, start = today_result(seen)
    return StateData(
        word=state_word(),
        mode=Mode(settings.TRADING_MODE),
        fresh=freshness(seen),
        since=row.changed_at if row else None,
        by="system" if control.scope.startswith(GUARD) or row is None else row.changed_by,
        reason=control.reason,
        today=today,
        today_fraction=float(today / start) if today is not None and start else None,
        n_positions=len(seen.positions) if seen else None,
        n_orders=len(seen.orders) if seen else None,
        flat_at=event.flat_at if event else None,
        can_operate=may(user, "operate"),
        can_arm=may(user, "arm"),
    )


def today_result(seen: BrokerState | None) -> tuple[Decimal | None, Decimal | None]:
    """Return equity less the balance at the day's start, and that balance."""
    if seen is None or seen.market_at is None:
        return None, None
    start = DayStart.objects.filter(account=seen.account, day_on=loss_day(seen.market_at)).first()
    return (seen.equity - start.balance, start.balance) if start else (None, None)


def build_kill_facts(user: User) -> KillFacts:
    """Return what a kill would do now."""
    states = newest_looks()
    seen = next((state for state in states if state.account.broker == MT5), None)
    ours = [(state.account.currency, p) for state in states for p in state.positions if p["ours"]]
    currency = seen.account.currency if seen else "USD"
    estimates: dict[str, Decimal] = {currency: Decimal(0)}
    for of, position in ours:
        estimates[of] = estimates.get(of, Decimal(0)) + open_result(position)
    return KillFacts(
        account=account_label(seen.account if seen else None),
        mode=Mode(settings.TRADING_MODE),
        currency=currency,
        n_orders=sum(len(state.orders) for state in states) if states else None,
        n_positions=len(ours) if states else None,
        n_foreign=sum(len(state.positions) for state in states) - len(ours),
        n_others=max(len(states) - 1, 0),
        estimate=estimates.pop(currency) if seen else None,
        others=tuple(estimates.items()),
    )


def open_result(position: dict[str, Any]) -> Decimal:
    """Return what an open position has made so far, its swap included, as the account's equity counts it."""
    return Decimal(position["profit"]) + Decimal(position["swap"])


def count_attention(user: User) -> int:
    """Return how many open alerts nobody has acknowledged."""
    return Alert.objects.needing_action().count()


def build_admin_frame(user: User) -> FrameData:
    """Return what the admin's pages show of the frame: the environment, and the way to the kill switch."""
    return FrameData(mode=Mode(settings.TRADING_MODE), clock=clock_data(), signed_in=user.is_authenticated)


def build_frame(user: User, page: str) -> FrameData:
    """Return the whole frame for a person on a page."""
    mode = Mode(settings.TRADING_MODE)
    if not user.is_authenticated:
        return FrameData(mode=mode, clock=clock_data(), page=page)
    seen = account_state()
    return FrameData(
        mode=mode,
        clock=clock_data(),
        signed_in=True,
        account=account_label(seen.account if seen else None),
        state=build_state(user),
        kill=build_kill_facts(user),
        next_rebalance=next_rebalance(),
        user_name=str(user),
        can_operate=may(user, "operate"),
        can_kill=may(user, "operate"),
        can_arm=may(user, "arm"),
        can_admin=bool(getattr(user, "is_staff", False)),
        page=page,
        n_attention=count_attention(user),
    )
