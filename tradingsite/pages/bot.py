"""The setup bot's page, what moves with every bar: how the bot stands, and what it has open."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.urls import reverse

from execution.bot.reading import JOB, BotDay, Cooldown, OpenTrade, bot_days, open_trades, running_cooldowns
from execution.brokers.magic import Family
from execution.models import BotTrade, ControlRow
from execution.safety.control import State, current_control
from execution.scopes import BOT
from execution.sessions.bot_slots import slot_at
from market.intervals import INTERVAL_MS
from mlfilter.models import BotSymbol, current_settings
from mlfilter.reading import FilterSlot, filter_slots
from ops import clock
from ops.models import Run
from tradingsite.pages.bot_data import (
    AccountRow,
    BarRun,
    BotWord,
    StandingData,
    TradeRow,
    TradesData,
    WatchedRow,
)
from tradingsite.pages.frame import User, account_state, freshness, market_now, may, state_word
from tradingsite.pages.frame_data import Due, Freshness, StateWord
from tradingsite.pages.overview_data import Level

RUN_LEVELS = {
    Run.Status.DONE: Level.OK,
    Run.Status.RUNNING: Level.OK,
    Run.Status.QUEUED: Level.OK,
    Run.Status.FAILED: Level.CRIT,
    Run.Status.CRASHED: Level.CRIT,
}
SLOT = re.compile(r"(?P<interval>\w+):(?P<day>\d{4}-\d\d-\d\d)T(?P<time>\d\d:\d\d)")
VENUES = {"mt5": "MetaTrader 5"}
FEWEST_DIGITS = 2


def build_standing(user: User) -> StandingData:
    """Return whether the bot trades and why, its newest bar, and how each account and symbol stands."""
    settings, now = current_settings(), market_now()
    symbols, slots, trades = list(BotSymbol.objects.enabled()), filter_slots(), open_trades()
    waits = running_cooldowns(now, settings) if now else ()
    pause = ControlRow.objects.filter(scope=BOT).first()
    wall = clock.wall_now()
    return StandingData(
        fresh=Freshness.of(wall, now=wall),
        word=_word(symbols, slots, pause),
        is_paused=pause is not None and pause.state == State.PAUSED,
        run=_newest_run(),
        next_bar=_next_bar({symbol.interval for symbol in symbols}, now),
        accounts=tuple(_account(day, settings.max_positions) for day in bot_days(trades, settings)),
        watched=tuple(_watched(symbol, slots, trades, waits, now) for symbol in symbols),
        can_operate=may(user, "operate"),
        edit_url=reverse("admin:mlfilter_botsymbol_changelist") if getattr(user, "is_staff", False) else "",
    )


def _word(symbols: Collection[BotSymbol], slots: Iterable[FilterSlot], pause: ControlRow | None) -> BotWord:
    """Return the first thing that keeps the bot from entering, the gravest first."""
    word, control = state_word(), current_control(family=Family.SETUP)
    if word.is_stopped:
        return BotWord(
            state=word, label=word.label, why=f"all trading is stopped: {control.reason or 'no reason given'}"
        )
    if not symbols:
        return BotWord(state="waiting", label="Off", why="no symbol of the bot is enabled")
    if pause is not None and pause.state == State.PAUSED:
        reason = f": {pause.reason}" if pause.reason else ""
        words = f"the bot alone, by {pause.changed_by} since {pause.changed_at:%Y-%m-%d %H:%M} UTC{reason}"
        return BotWord(state="paused", label="Paused", why=words)
    if word is StateWord.UNKNOWN:
        return BotWord(state=word, label=word.label, why="the engine has not been heard: nobody asks for bars")
    if control.state != State.ARMED:
        found = StateWord(control.state)
        return BotWord(
            state=found, label=found.label, why=control.reason or "all trading is paused: nothing is entered"
        )
    if not any(slot.active for slot in slots):
        return BotWord(state="waiting", label="Idle", why="no filter is active: every setup is stored and rejected")
    return BotWord(state="armed", label="On", why="approved setups are entered as their bars close")


def _newest_run() -> BarRun | None:
    run = Run.objects.filter(job=JOB).exclude(status=Run.Status.QUEUED).first()
    if run is None:
        return None
    slot = SLOT.search(str(run.params.get("slot", run.slot)))
    verdicts = ", ".join(
        f"{_symbol_words(key)} {verdict}" for key, verdict in (run.result.get("verdicts") or {}).items()
    )
    status = Run.Status(run.status)
    return BarRun(
        slot=f"{slot['interval']} bar of {slot['day']} {slot['time']}" if slot else run.slot,
        status=status.label.lower(),
        level=RUN_LEVELS.get(status, Level.WARN),
        words=verdicts or run.error or ("under way" if status is Run.Status.RUNNING else "no symbol was looked at"),
    )


def _symbol_words(key: str) -> str:
    """Return a run's key of a symbol in words: the bare name at MetaTrader 5, elsewhere ``binance_spot:ETHUSDT``."""
    venue, _, symbol = key.rpartition(":")
    return f"{symbol} at {venue_name(venue)}" if venue else symbol


def _next_bar(intervals: Iterable[str], now: datetime | None) -> Due:
    """Return when the bot acts next, on whichever bar closes first."""
    if now is None:
        return Due()
    slots = [slot_at(now, interval, length_of(interval)) for interval in intervals]
    moments = [slot.at if slot.at > now else slot.at + slot.length for slot in slots]
    return Due.of(min(moments), now=now) if moments else Due()


def length_of(interval: str) -> timedelta:
    """Return how long a bar is."""
    return timedelta(milliseconds=INTERVAL_MS[interval])


def _account(day: BotDay, max_open: int) -> AccountRow:
    account = day.seen.account
    return AccountRow(
        name=str(account),
        currency=account.currency,
        n_open=day.n_open,
        max_open=max_open,
        today=day.result,
        limit=day.limit,
        left=day.left,
    )


def _watched(
    symbol: BotSymbol,
    slots: Iterable[FilterSlot],
    trades: Iterable[OpenTrade],
    waits: Iterable[Cooldown],
    now: datetime | None,
) -> WatchedRow:
    words, level, until = "looked at every bar", Level.OK, Due()
    slot = next((s for s in slots if (s.data_symbol, s.interval) == (symbol.data_symbol, symbol.interval)), None)
    mine = [one.trade for one in trades if _is_of(one.trade, symbol)]
    wait = next((one for one in waits if one.symbol == symbol.name), None)
    if slot is None or slot.active is None:
        words, level = "no filter is active: its setups are rejected", Level.WARN
    elif mine:
        words = "a trade is open" if mine[0].status == BotTrade.Status.OPEN else "an entry is not confirmed yet"
    elif wait is not None:
        words, level, until = "waits after a loss", Level.WARN, Due.of(wait.until, now=now)
    return WatchedRow(
        symbol=symbol.name,
        venue=venue_name(symbol.broker),
        interval=symbol.interval,
        words=words,
        level=level,
        until=until,
    )


def _is_of(trade: BotTrade, symbol: BotSymbol) -> bool:
    return (trade.setup.broker, trade.symbol) == (symbol.broker, symbol.name)


def venue_name(key: str) -> str:
    """Return a venue's key as people say it: ``binance_spot`` is Binance spot."""
    return VENUES.get(key, key.replace("_", " ").capitalize())


def build_trades(user: User) -> TradesData:
    """Return what the bot has open, on all accounts."""
    trades, now = open_trades(), market_now()
    looks = [one.seen for one in trades if one.seen is not None]
    oldest = min(looks, key=lambda seen: seen.read_at) if looks else account_state()
    return TradesData(fresh=freshness(oldest), rows=tuple(_trade(one, now) for one in trades))


def _trade(one: OpenTrade, now: datetime | None) -> TradeRow:
    trade, position = one.trade, one.positions[0] if one.positions else None
    price = Decimal(position["price_now"]) if position and position["price_now"] else None
    entry = Decimal(position["price_open"]) if position else trade.price
    return TradeRow(
        key=str(trade.pk),
        symbol=trade.symbol,
        url=reverse("setup", args=[trade.setup_id]),
        account=str(trade.account),
        venue=venue_name(trade.setup.broker),
        currency=trade.account.currency,
        side=trade.setup.direction,
        lots=sum((Decimal(row["volume"]) for row in one.positions), Decimal(0)) or trade.lots,
        entry=entry,
        stop=trade.stop,
        target=trade.target,
        now=price,
        digits=digits_of(entry),
        result=one.result,
        risk=trade.risk,
        bars_left=max(math.ceil((trade.deadline_at - now) / trade.bar_length), 0) if now else None,
        confidence=trade.setup.confidence,
        threshold=trade.setup.threshold,
        note=_note(one),
    )


def _note(one: OpenTrade) -> str:
    """Return in words why a trade has no price of now, empty when it has one."""
    if one.positions:
        return ""
    if one.trade.status == BotTrade.Status.PLANNED:
        return "sent, not confirmed yet"
    return "not in the newest look: closed, and yet to be booked"


def digits_of(price: Decimal) -> int:
    """Return how many decimals a price is written with: those that it has, trailing zeros of storage not counted."""
    exponent = price.normalize().as_tuple().exponent
    return max(-int(exponent), FEWEST_DIGITS)
