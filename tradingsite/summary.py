"""How the desk stands, on one screen: from the rows and the run folder alone, so that it answers when others do not."""

from __future__ import annotations

from datetime import datetime
from math import isinf
from typing import Any

from django.conf import settings

from execution.models import BrokerState
from execution.safety.control import current_control
from execution.sessions.hourly import slot_rule
from execution.sessions.slots import next_slot
from execution.trading_venues import MT5
from market.errors import MarketError
from market.status import data_status
from ops import clock, heartbeats, queues
from ops.clock import ClockMissingError
from ops.models import Alert
from tradingsite.supervisor import groups_file


def site_summary() -> dict[str, Any]:
    """Return the document of ``status/1``; what is not known is null."""
    control, now = current_control(), _market_now()
    return {
        "mode": settings.TRADING_MODE,
        "state": control.state,
        "reason": control.reason,
        "market_time": now,
        "speed": clock.speed() if now else None,
        "account": _account(),
        "is_up": groups_file().is_supervised(),
        "processes": groups_file().running(),
        "heartbeats": _heartbeats(),
        "data": _data(),
        "next_slot": next_slot(now, slot_rule()).at if now else None,
        "alerts": [alert.title for alert in Alert.objects.open()[:5]],
    }


def _market_now() -> datetime | None:
    try:
        return clock.market_now()
    except ClockMissingError:
        return None


def _account() -> dict[str, Any] | None:
    states = BrokerState.objects.select_related("account").filter(account__broker=MT5)
    seen = states.order_by("-read_at").first()
    if seen is None:
        return None
    return {
        "login": seen.account.login,
        "server": seen.account.server,
        "balance": seen.balance,
        "equity": seen.equity,
        "positions": len(seen.positions),
        "age_s": round((clock.wall_now() - seen.read_at).total_seconds(), 1),
    }


def _heartbeats() -> dict[str, float | None]:
    """Return seconds since each sign of life; None where there was none since this machine started."""
    names = ("sentinel", *(queues.beat_name(queue) for queue in queues.QUEUES))
    ages = {name: heartbeats.age_s(name) for name in names}
    return {name: None if isinf(age) else round(age, 1) for name, age in ages.items()}


def _data() -> list[dict[str, Any]]:
    try:
        series = data_status()
    except MarketError:
        return []  # no symbol is traded yet
    return [
        {
            "symbol": one.symbol,
            "table": one.table,
            "bars": one.n_bars,
            "last_bar": one.last_at,
            "bars_behind": one.bars_behind,
        }
        for one in series
    ]


def summary_text(summary: dict[str, Any]) -> str:
    """Return the summary for people."""
    reason = f" · {summary['reason']}" if summary["reason"] else ""
    lines = [
        f"{summary['mode']} · {summary['state']}{reason}",
        f"market   {_moment(summary['market_time'])}{_speed(summary['speed'])}",
        f"next     {_moment(summary['next_slot'])}",
        f"account  {_account_text(summary['account'])}",
        f"running  {_processes_text(summary)}",
        f"beats    {_beats_text(summary['heartbeats'])}",
        *_data_lines(summary["data"]),
    ]
    return "\n".join([*lines, *(f"alert    {title}" for title in summary["alerts"])])


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "not known"


def _speed(speed: float | None) -> str:
    if speed is None or speed == 1.0:
        return ""
    return f" at {speed:g}x" if speed else " (standing)"


def _account_text(account: dict[str, Any] | None) -> str:
    if account is None:
        return "never read"
    money = f"balance {account['balance']}  equity {account['equity']}  {account['positions']} positions"
    return f"…{str(account['login'])[-4:]} {account['server']}  {money}, read {account['age_s']:.0f} s ago"


def _processes_text(summary: dict[str, Any]) -> str:
    if not summary["is_up"]:
        return "no `up` on this state; start it with `manage.py up`"
    return ", ".join(name if alive else f"{name} (DOWN)" for name, alive in summary["processes"].items())


def _beats_text(ages: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {'never' if age is None else f'{age:.0f} s'}" for name, age in ages.items())


def _data_lines(data: list[dict[str, Any]]) -> list[str]:
    if not data:
        return ["data     no symbol is traded; `manage.py up` loads the demo's, the admin adds others"]
    return [f"data     {one['symbol']:<8} {one['table']:<7} {one['bars']:>6} bars, {_age(one)}" for one in data]


def _age(one: dict[str, Any]) -> str:
    if one["last_bar"] is None:
        return "none"
    behind = one["bars_behind"]
    late = "" if behind is None else "  up to date" if behind == 0 else f"  {behind} behind"
    return f"last {one['last_bar']:%Y-%m-%d %H:%M}{late}"
