"""Programmes, accounts and their books for tests, each made from only what the test is about."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from execution.models import Account, Enrolment, EquityPoint, FillRecord, FundedProgramme
from execution.planning.orders import CashKind
from execution.safety.risk.balances import Booking
from execution.safety.risk.programme import MaxLossKind, Programme

PRAGUE = ZoneInfo("Europe/Prague")
INITIAL = Decimal(100_000)
_deals = count(1)


def prague(text: str) -> datetime:
    """Return a wall-clock time of Prague in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=PRAGUE).astimezone(UTC)


def two_step(**changes: Any) -> Programme:
    """Return FTMO's 2-Step challenge, as its pages have it."""
    rules: dict[str, Any] = {
        "name": "two-step",
        "daily_loss": Decimal("0.05"),
        "max_loss": Decimal("0.1"),
        "profit_target": Decimal("0.1"),
        "min_trading_days": 4,
    }
    return Programme(**rules | changes)


def one_step(**changes: Any) -> Programme:
    """Return FTMO's 1-Step challenge, as its pages have it."""
    rules: dict[str, Any] = {
        "name": "one-step",
        "daily_loss": Decimal("0.03"),
        "max_loss": Decimal("0.1"),
        "max_loss_kind": MaxLossKind.TRAILING,
        "profit_target": Decimal("0.1"),
        "best_day_share": Decimal("0.5"),
    }
    return Programme(**rules | changes)


def deal(at: str, amount: str | int, **changes: Any) -> Booking:
    """Return a booking at a time of Prague."""
    return Booking(at=prague(at), amount=Decimal(amount), **changes)


def make_programme(rules: Programme | None = None) -> FundedProgramme:
    """Keep a programme as a row."""
    rules = rules or two_step()
    return FundedProgramme.objects.create(
        key=rules.name,
        title=rules.name,
        daily_loss=rules.daily_loss,
        max_loss=rules.max_loss,
        max_loss_kind=rules.max_loss_kind,
        profit_target=rules.profit_target,
        min_trading_days=rules.min_trading_days,
        best_day_share=rules.best_day_share,
        soft_line=rules.lines.soft,
        hard_line=rules.lines.hard,
    )


def make_account(initial: Decimal = INITIAL) -> Account:
    """Keep an account."""
    return Account.objects.create(
        login=1001, server="Broker-Demo", mode="demo", currency="USD", margin_mode="hedging", initial_balance=initial
    )


def enrol(account: Account, begin: str, rules: Programme | None = None) -> Enrolment:
    """Hold an account to a programme from a time of Prague on."""
    return Enrolment.objects.create(
        account=account, programme=make_programme(rules), initial_balance=INITIAL, begin_at=prague(begin)
    )


def book(account: Account, at: str, amount: str | int, *, symbol: str = "BTCUSD", entry: str = "out") -> FillRecord:
    """Keep a deal of an amount at a time of Prague; one that moves cash, or is a charge, has no symbol."""
    number, zero = next(_deals), Decimal(0)
    return FillRecord.objects.create(
        account=account,
        deal_id=number,
        order_id=number,
        position_id=number,
        symbol="" if entry in tuple(CashKind) else symbol,
        side="sell",
        entry=entry,
        volume=Decimal("0.1"),
        price=Decimal(60_000),
        profit=Decimal(amount),
        commission=zero,
        swap=zero,
        fee=zero,
        at=prague(at),
    )


def look(account: Account, at: str, balance: str | int, equity: str | int | None = None) -> EquityPoint:
    """Keep a look at the account at a minute of Prague."""
    shown = Decimal(balance)
    return EquityPoint.objects.create(
        account=account, at=prague(at), balance=shown, equity=shown if equity is None else Decimal(equity)
    )
