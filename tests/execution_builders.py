"""Values of execution for tests, each made from only what the test is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from execution.planning.orders import AccountSnapshot, MarginMode, Position, Quote, Side, SymbolSpec
from execution.safety.risk import (
    Exposure,
    Limits,
    LossBudget,
    LossKind,
    OrderRequest,
    ReadAges,
    RequestCounts,
    RiskContext,
)

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


def D(text: str | float) -> Decimal:  # noqa: N802 (a short name for what stands in every line)
    """Return the decimal that is written."""
    return Decimal(str(text))


def make_spec(**changes: Any) -> SymbolSpec:
    """Return BTCUSD as most brokers offer it; decimals may be given as text."""
    values: dict[str, Any] = {
        "symbol": "BTCUSD",
        "digits": 2,
        "point": "0.01",
        "contract_size": "1",
        "volume_min": "0.01",
        "volume_step": "0.01",
        "volume_max": "100",
        "currency_base": "BTC",
        "currency_profit": "USD",
    }
    return SymbolSpec(**_decimals(values | changes, keep=("symbol", "currency_base", "currency_profit")))


def make_position(lots: str | float | Decimal, *, ticket: int = 1, age_h: int = 0, **changes: Any) -> Position:
    """Return a position of signed lots; the larger ``age_h``, the older."""
    signed = Decimal(str(lots))
    values: dict[str, Any] = {
        "ticket": ticket,
        "symbol": "BTCUSD",
        "side": Side.of(signed),
        "volume": abs(signed),
        "price_open": Decimal(60_000),
        "opened_at": NOON - timedelta(hours=age_h),
    }
    return Position(**values | changes)


def make_account(**changes: Any) -> AccountSnapshot:
    """Return a hedging account of 100,000 USD without positions."""
    values: dict[str, Any] = {
        "login": 1001,
        "server": "Broker-Demo",
        "currency": "USD",
        "balance": "100000",
        "equity": "100000",
        "margin": "0",
        "margin_free": "100000",
        "leverage": 30,
        "margin_mode": MarginMode.HEDGING,
        "trade_allowed": True,
        "trade_expert": True,
    }
    return AccountSnapshot(**_decimals(values | changes, keep=("server", "currency")))


def make_quote(bid: str | float = "60000", ask: str | float = "60006", **changes: Any) -> Quote:
    """Return a quote of BTCUSD."""
    values: dict[str, Any] = {"symbol": "BTCUSD", "bid": D(bid), "ask": D(ask), "at": NOON}
    return Quote(**values | changes)


def make_request(lots: str | float | Decimal = "0.1", **changes: Any) -> OrderRequest:
    """Return a request of signed lots that was planned at 60,000."""
    signed = Decimal(str(lots))
    values: dict[str, Any] = {
        "symbol": "BTCUSD",
        "side": Side.BUY if signed.is_nan() else Side.of(signed),
        "volume": abs(signed),
        "plan_price": Decimal(60_000),
        "reduces": False,
    }
    return OrderRequest(**values | changes)


def make_budgets(floor: str = "90000", start: str = "100000") -> tuple[LossBudget, ...]:
    """Return one budget of each kind; entries stop at 80 per cent of the way down."""
    return tuple(LossBudget(kind=kind, start=D(start), floor=D(floor), soft_line=D("0.8")) for kind in LossKind)


def make_context(**changes: Any) -> RiskContext:
    """Return a context in which an order of up to 0.5 lots is allowed."""
    context = RiskContext(
        limits=Limits(),
        account=make_account(),
        expected_login=1001,
        expected_server="Broker-Demo",
        spec=make_spec(),
        quote=make_quote(),
        rate=Decimal(1),
        capital_per_asset=Decimal(30_000),
        exposure=Exposure(),
        counts=RequestCounts(orders_last_minute=0, orders_today=0, requests_today=0),
        ages=ReadAges(tick_s=0.5, account_s=0.5, spec_s=0.5),
        is_bar_closed=True,
        is_bar_fresh=True,
        budgets=make_budgets(),
    )
    return replace(context, **changes)


def _decimals(values: dict[str, Any], *, keep: tuple[str, ...]) -> dict[str, Any]:
    return {
        # Members of a StrEnum are strings, too.
        name: Decimal(value) if type(value) is str and name not in keep else value
        for name, value in values.items()
    }
