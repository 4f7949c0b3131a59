"""What the sentinel sees each second, kept for the pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from execution.brokers.base import Broker
from execution.brokers.magic import is_ours
from execution.models import Account, BrokerState, EquityPoint
from execution.planning.orders import AccountSnapshot, Position, Quote, WorkingOrder
from ops import clock
from ops.live import announce


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One look at the account."""

    snapshot: AccountSnapshot
    positions: tuple[Position, ...]
    orders: tuple[WorkingOrder, ...]
    quotes: dict[str, Quote]
    contract_sizes: dict[str, Decimal]
    market_at: datetime


def watch(broker: Broker) -> Watched:
    """Read account, positions, orders, and the prices of what is held."""
    positions = broker.positions()
    symbols = sorted({position.symbol for position in positions})
    return Watched(
        snapshot=broker.account(),
        positions=positions,
        orders=broker.working_orders(),
        quotes={symbol: broker.quote(symbol) for symbol in symbols},
        contract_sizes={symbol: broker.spec(symbol).contract_size for symbol in symbols},
        market_at=clock.market_now(),
    )


@transaction.atomic
def store_watched(account: Account, watched: Watched) -> None:
    """Keep the look, add a point of equity once a market minute, and tell the pages."""
    snapshot = watched.snapshot
    BrokerState.objects.update_or_create(
        account=account,
        defaults={
            "read_at": clock.wall_now(),
            "market_at": watched.market_at,
            "balance": snapshot.balance,
            "equity": snapshot.equity,
            "margin": snapshot.margin,
            "positions": [_as_row(position, watched) for position in watched.positions],
            "orders": [{"order": o.order_id, "symbol": o.symbol, "side": o.side} for o in watched.orders],
            "quotes": {symbol: {"bid": str(q.bid), "ask": str(q.ask)} for symbol, q in watched.quotes.items()},
        },
    )
    minute = watched.market_at.replace(second=0, microsecond=0)
    EquityPoint.objects.get_or_create(
        account=account, at=minute, defaults={"balance": snapshot.balance, "equity": snapshot.equity}
    )
    announce("account")


def _as_row(position: Position, watched: Watched) -> dict[str, Any]:
    now = watched.quotes[position.symbol].price_for(position.side.opposite)
    return {
        "ticket": position.ticket,
        "symbol": position.symbol,
        "side": position.side,
        "volume": str(position.volume),
        "price_open": str(position.price_open),
        "price_now": str(now),
        "contract_size": str(watched.contract_sizes[position.symbol]),
        "profit": str(position.profit),
        "swap": str(position.swap),
        "ours": is_ours(position.magic),
        "opened_at": position.opened_at.isoformat(),
    }
