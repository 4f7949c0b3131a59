"""How things stand: state, account, positions."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from execution.safety.control import current_control
from execution.safety.ownership import read_ownership
from execution.safety.reconcile import HEARTBEAT, current_account
from execution.watching import watch
from execution.wire import the_broker
from ops import heartbeats
from ops.models import Heartbeat


def trade_status() -> dict[str, Any]:
    """Return the document of ``trade_status/1``, from a fresh read of the broker."""
    with the_broker(patient=False) as broker:
        seen = watch(broker)
        account = current_account(seen.snapshot)
        ours = read_ownership(account, seen.positions, mode=seen.snapshot.margin_mode, family=None).ours
    control, snapshot = current_control(), seen.snapshot
    own_tickets = {position.ticket for position in ours}
    reconciled = Heartbeat.objects.filter(name=HEARTBEAT).first()
    age = heartbeats.age_s("sentinel")
    return {
        "mode": settings.TRADING_MODE,
        "state": control.state,
        "reason": control.reason,
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
        "last_reconcile": reconciled.beat_at if reconciled else None,
        "heartbeat_age_s": None if age == float("inf") else round(age, 1),
    }


def status_text(status: dict[str, Any]) -> str:
    """Return the status for people."""
    account = status["account"]
    money = f"balance {account['balance']}  equity {account['equity']}"
    lines = [
        f"{status['mode']} · {status['state']}" + (f" · {status['reason']}" if status["reason"] else ""),
        f"account …{str(account['login'])[-4:]} {account['server']}  {money}",
    ]
    for p in status["positions"]:
        owner = "" if p["ours"] else "  (by hand)"
        prices = f"at {p['price_open']}, now {p['price_now']}"
        lines.append(f"{p['symbol']:<10} {p['side']:<4} {p['volume']} {prices}, {p['profit']:+}{owner}")
    return "\n".join(lines) if status["positions"] else "\n".join([*lines, "no open positions"])
