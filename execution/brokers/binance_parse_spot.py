"""Replies that only Binance spot sends, as our values. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from execution.brokers.binance_fields import Fields, as_object, as_objects
from execution.brokers.binance_ids import movement_number
from execution.brokers.binance_parse import OrderReport, Trade, parse_report
from execution.planning.orders import CashKind, CashMovement, Side

DEPOSITED = (1, 6)  # credited; credited and not yet to be withdrawn
WITHDRAWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotAccount:
    """``/api/v3/account``: what is held of each asset, and whether it may trade."""

    uid: int
    can_trade: bool
    updated_ms: int
    free: dict[str, Decimal]
    locked: dict[str, Decimal]

    def total(self, asset: str) -> Decimal:
        """Return what is held of an asset, free or bound in orders."""
        return self.free.get(asset, Decimal(0)) + self.locked.get(asset, Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """``/sapi/v1/account/apiRestrictions``: what a key may do."""

    may_withdraw: bool
    is_bound_to_ip: bool
    may_trade_spot: bool
    may_trade_futures: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderList:
    """An OCO: two orders of which at most one is executed."""

    list_id: int
    symbol: str
    status: str  # EXECUTING, ALL_DONE, REJECT
    orders: tuple[int, ...]
    reports: tuple[OrderReport, ...] = ()


def parse_account(value: Any) -> SpotAccount:
    """Return the account."""
    fields = as_object(value, "account")
    held = {one.text("asset"): one for one in fields.objects("balances")}
    return SpotAccount(
        uid=fields.whole("uid") if fields.has("uid") else 0,
        can_trade=fields.flag("canTrade"),
        updated_ms=fields.whole("updateTime"),
        free={asset: one.number("free") for asset, one in held.items()},
        locked={asset: one.number("locked") for asset, one in held.items()},
    )


def parse_key_rights(value: Any) -> KeyRights:
    """Return what the key may do."""
    fields = as_object(value, "apiRestrictions")
    return KeyRights(
        may_withdraw=fields.flag("enableWithdrawals"),
        is_bound_to_ip=fields.flag("ipRestrict"),
        may_trade_spot=fields.flag("enableSpotAndMarginTrading"),
        may_trade_futures=fields.flag("enableFutures"),
    )


def parse_trades(value: Any) -> tuple[Trade, ...]:
    """Return the trades of ``/api/v3/myTrades``."""
    return tuple(_trade(fields) for fields in as_objects(value, "myTrades"))


def _trade(fields: Fields) -> Trade:
    return Trade(
        trade_id=fields.whole("id"),
        order_id=fields.whole("orderId"),
        symbol=fields.text("symbol"),
        side=Side.BUY if fields.flag("isBuyer") else Side.SELL,
        volume=fields.number("qty"),
        price=fields.number("price"),
        commission=fields.number("commission"),
        commission_asset=fields.text("commissionAsset") if fields.has("commissionAsset") else "",
        at=fields.moment("time"),
    )


def parse_order_list(value: Any) -> OrderList:
    """Return an OCO, as its placing, its look-up or its taking back told it."""
    fields = as_object(value, "orderList")
    reports = fields.objects("orderReports") if fields.has("orderReports") else ()
    return OrderList(
        list_id=fields.whole("orderListId"),
        symbol=fields.text("symbol"),
        status=fields.text("listOrderStatus"),
        orders=tuple(one.whole("orderId") for one in fields.objects("orders")),
        reports=tuple(parse_report(one.content) for one in reports),
    )


def parse_deposits(value: Any, assets: Collection[str]) -> tuple[CashMovement, ...]:
    """Return what was paid in of the given assets, of ``deposit/hisrec``."""
    rows = [one for one in as_objects(value, "deposits") if one.text("coin") in assets]
    return tuple(
        CashMovement(
            deal_id=movement_number("deposit", one.text("id") if one.has("id") else one.text("txId")),
            kind=CashKind.CASH,
            amount=one.number("amount"),
            at=one.moment("insertTime"),
        )
        for one in rows
        if one.whole("status") in DEPOSITED
    )


def parse_withdrawals(value: Any, assets: Collection[str]) -> tuple[CashMovement, ...]:
    """Return what was paid out of the given assets, fee included, of ``withdraw/history``."""
    rows = [one for one in as_objects(value, "withdrawals") if one.text("coin") in assets]
    return tuple(
        CashMovement(
            deal_id=movement_number("withdrawal", one.text("id")),
            kind=CashKind.CASH,
            amount=-one.number("amount") - one.number_or_0("transactionFee"),
            at=_written_moment(one),
        )
        for one in rows
        if one.whole("status") == WITHDRAWN
    )


def _written_moment(fields: Fields) -> datetime:
    """Return the moment of a withdrawal, the one thing that Binance writes in words: ``2019-10-12 11:12:02``, UTC."""
    return datetime.strptime(fields.text("applyTime"), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
