"""How things stand: state, account, positions."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from execution.brokers.base import Broker
from execution.errors import ExecutionError
from execution.safety.control import current_control
from execution.safety.ownership import read_ownership
from execution.safety.reconcile import HEARTBEAT, current_account
from execution.trading_venues import MT5, venues_in_use
from execution.venues import named_broker
from execution.watching import watch
from execution.wire import the_broker
from ops import heartbeats
from ops.models import Heartbeat


def trade_status() -> dict[str, Any]:
    """Return the document of ``trade_status/1``, from a fresh read of every venue."""
    with the_broker(patient=False) as broker:
        here = _account_part(broker)
    control = current_control()
    reconciled = Heartbeat.objects.filter(name=HEARTBEAT).first()
    age = heartbeats.age_s("sentinel")
    return {
        "mode": settings.TRADING_MODE,
        "state": control.state,
        "reason": control.reason,
        **here,
        "venues": [_venue(key) for key in venues_in_use() if key != MT5],
        "last_reconcile": reconciled.beat_at if reconciled else None,
        "heartbeat_age_s": None if age == float("inf") else round(age, 1),
    }


def _venue(broker_key: str) -> dict[str, Any]:
    """Return what another venue shows, or why it does not."""
    try:
        with named_broker(broker_key, patient=False) as broker:
            return {"broker": broker_key, **_account_part(broker), "trouble": ""}
    except ExecutionError as error:
        nothing: dict[str, Any] = {"account": None, "positions": [], "orders": [], "market_time": None}
        return {"broker": broker_key, **nothing, "trouble": str(error)}


def _account_part(broker: Broker) -> dict[str, Any]:
    seen = watch(broker)
    snapshot, account = seen.snapshot, current_account(seen.snapshot)
    ours = read_ownership(account, seen.positions, mode=snapshot.margin_mode, family=None).ours
    own_tickets = {position.ticket for position in ours}
    return {
        "account": {
            "login": snapshot.login,
            "server": snapshot.server,
            "balance": snapshot.balance,
            "equity": snapshot.equity,
            "margin": snapshot.margin,
        },
        "positions": [
            {
                "ticket": p.ticket,
                "symbol": p.symbol,
                "side": p.side,
                "volume": p.volume,
                "price_open": p.price_open,
                "price_now": seen.quotes[p.symbol].price_for(p.side.opposite),
                "profit": p.profit,
                "ours": p.ticket in own_tickets,
            }
            for p in seen.positions
        ],
        "orders": [{"order": o.order_id, "symbol": o.symbol, "side": o.side} for o in seen.orders],
        "market_time": seen.market_at,
    }


def status_text(status: dict[str, Any]) -> str:
    """Return the status for people."""
    head = f"{status['mode']} · {status['state']}" + (f" · {status['reason']}" if status["reason"] else "")
    return "\n".join([head, *_account_lines(status), *(line for one in status["venues"] for line in _venue_lines(one))])


def _venue_lines(venue: dict[str, Any]) -> list[str]:
    return [f"{venue['broker']}: {venue['trouble']}"] if venue["trouble"] else _account_lines(venue)


def _account_lines(part: dict[str, Any]) -> list[str]:
    account = part["account"]
    money = f"balance {account['balance']}  equity {account['equity']}"
    lines = [f"account …{str(account['login'])[-4:]} {account['server']}  {money}"]
    for p in part["positions"]:
        owner = "" if p["ours"] else "  (by hand)"
        prices = f"at {p['price_open']}, now {p['price_now']}"
        lines.append(f"{p['symbol']:<10} {p['side']:<4} {p['volume']} {prices}, {p['profit']:+}{owner}")
    return lines if part["positions"] else [*lines, "no open positions"]
