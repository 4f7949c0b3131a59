"""What the desk hears of the market: the terminal, its clock, the stored bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
from django.conf import settings

from execution.models import ControlRow
from execution.safety.control import State
from execution.wire import open_site_terminal, the_broker
from market.errors import MarketError
from market.feeds.mt5 import ask
from market.feeds.server_time import server_to_utc_ms
from market.models import Symbol
from market.status import SeriesStatus, data_status
from market.terminal.client import TerminalStatus
from market.terminal.errors import TerminalError
from ops import clock
from ops.clock import ClockMissingError
from tradingsite.health.finding import Finding, fail, ok, skip, warn
from tradingsite.supervisor import groups_file

SLACK = timedelta(seconds=30)
READ_MAY_TAKE_S = 3.0  # real seconds between the tick and our look at the clock; a fast clock goes far in that
HOUR_S = 3600
STOPPED = (State.KILLING, State.KILLED)


def check_terminal() -> Iterator[Finding]:
    """Ask the wire how it is, the broker for its account, and compare the latch with the trading state."""
    reason = _not_served()
    if reason:
        yield skip("terminal", reason)
        return
    try:
        with closing(open_site_terminal()) as terminal:
            status = terminal.status()
    except TerminalError as error:
        yield fail("terminal", str(error), fix=_start_terminal())
        return
    yield ok("terminal", f"serves {status.module}, restarted {status.restarts} times")
    with the_broker(patient=False) as broker:
        account = broker.account()
    yield ok("account", f"…{str(account.login)[-4:]} {account.server}, {account.equity} {account.currency}")
    yield _latch(status)


def _latch(status: TerminalStatus) -> Finding:
    row = ControlRow.objects.filter(scope=ControlRow.SYSTEM).first()
    stopped = row is None or row.state in STOPPED
    if status.latched and not stopped:
        return fail("latch", "on, though the desk counts as armed: every entry is refused", fix="manage.py trade_kill")
    if not status.latched and row is not None and stopped:
        return fail("latch", f"off, though the desk is {row.state}", fix="manage.py trade_kill")
    return ok("latch", "on: only reductions are executed" if status.latched else "off")


def check_clock() -> Iterator[Finding]:
    """Compare the time of the newest tick, converted from the broker's clock, with the market's."""
    symbol = Symbol.objects.traded().first()
    reason = _not_served() or (None if symbol else "no symbol is traded yet")
    if reason or symbol is None:
        yield skip("tick time", str(reason))
        return
    try:
        yield _compare(symbol.name, _tick_at(symbol.name), clock.market_now())
    except (MarketError, ClockMissingError) as error:
        yield fail("tick time", str(error), fix=_start_terminal())


def _tick_at(symbol: str) -> datetime:
    with closing(open_site_terminal()) as terminal:
        ask(terminal, "initialize")
        tick = ask(terminal, "symbol_info_tick", symbol)
    [utc_ms] = server_to_utc_ms(np.array([int(tick.time)], dtype=np.int64), settings.MT5_TZ)
    return datetime.fromtimestamp(int(utc_ms) / 1000, UTC)


def _compare(symbol: str, tick_at: datetime, now: datetime) -> Finding:
    slack_s = (SLACK + timedelta(seconds=READ_MAY_TAKE_S * max(clock.speed(), 1.0))).total_seconds()
    ahead_s = (tick_at - now).total_seconds()
    if abs(ahead_s) <= slack_s:
        return ok("tick time", f"{symbol} is {-ahead_s:+.0f} s behind market time, {slack_s:.0f} s allowed")
    zone = settings.MT5_TZ or "New York + 7 h"
    if ahead_s > 0:
        hours = round(ahead_s / HOUR_S)
        detail = f"{symbol} ticks {ahead_s:.0f} s in the future: the broker's clock is not {zone}, about {hours} h off"
        return fail("tick time", detail, fix="set MT5_TZ in .env, like MT5_TZ=GMT+3")
    detail = f"the last tick of {symbol} is {-ahead_s:.0f} s old: its market is closed, or its clock is not {zone}"
    return warn("tick time", detail, fix="set MT5_TZ in .env, like MT5_TZ=GMT+3")


def check_data() -> Iterator[Finding]:
    """Look at the end of each series of the traded symbols."""
    if not Symbol.objects.traded().exists():
        fix = "manage.py up" if settings.TRADING_MODE == "demo" else "manage.py data_update"
        yield warn("symbols", "no symbol is traded: add them in the admin, or start the demo", fix=fix)
        return
    for series in data_status():
        yield _series(series)


def _series(series: SeriesStatus) -> Finding:
    name = f"{series.name} {series.table}"
    fix = f"manage.py data_update --symbol {series.symbol}"
    if series.is_empty:
        return fail(name, "no bars", fix=fix)
    end = f"{series.n_bars} bars to {series.last_at:%Y-%m-%d %H:%M}"
    if series.bars_behind is None:
        return skip(name, f"{end}; market time is not known")
    if series.is_stale:
        # While nothing runs nothing brings bars in.
        stale = fail if groups_file().is_supervised() else warn
        return stale(name, f"{end}, {series.bars_behind} behind", fix=fix)
    return ok(name, end)


def _not_served() -> str | None:
    """Return why no terminal can be expected to answer, or None."""
    published = (settings.RUN_DIR / "terminal.json").exists()
    if settings.MT5_BRIDGE or published or groups_file().is_supervised():
        return None
    return f"no terminal is served: `{_start_terminal()}` is not started"


def _start_terminal() -> str:
    return "manage.py up" if settings.TRADING_MODE == "demo" else "manage.py terminal"
