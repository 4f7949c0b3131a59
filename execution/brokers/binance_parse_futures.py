"""Replies that only Binance USD-M futures sends, as our values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from execution.brokers.binance_fields import Fields, as_object, as_objects
from execution.brokers.binance_ids import magic_of, movement_number
from execution.brokers.binance_parse import ORDER_KINDS, Resting, Trade
from execution.planning.orders import CashKind, CashMovement, OrderKind, Side, WorkingOrder

TRADED = frozenset({"REALIZED_PNL", "COMMISSION"})  # told with each trade already
PAID = frozenset({"TRANSFER", "INTERNAL_TRANSFER", "CROSS_COLLATERAL_TRANSFER", "COIN_SWAP_DEPOSIT"})
UNSAID = Decimal("1e-8")  # the volume of an order that closes whatever there is


@dataclass(frozen=True, slots=True, kw_only=True)
class FuturesWallet:
    """The margin asset's row of ``/fapi/v3/account`` (or v2)."""

    balance: Decimal
    equity: Decimal
    margin: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """One row of ``positionRisk``."""

    symbol: str
    position_side: str  # BOTH; LONG or SHORT in hedge mode
    amount: Decimal  # signed base units
    entry_price: Decimal
    profit: Decimal
    updated_ms: int

    @property
    def side(self) -> Side:
        """The direction of a position that is not flat."""
        return Side.of(self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolConfig:
    """``/fapi/v1/symbolConfig``: what positions of a symbol are margined with."""

    symbol: str
    leverage: int
    is_isolated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoReport:
    """What became of a conditional order. FINISHED may mean filled or not: ``executed`` says."""

    algo_id: int
    client_id: str
    status: str
    order_id: int  # of the order that it triggered, 0 for none
    executed: Decimal

    @property
    def magic(self) -> int:
        """Whose order it is, 0 for other people's."""
        return magic_of(self.client_id)


def parse_wallet(value: Any, asset: str) -> FuturesWallet:
    """Return the wallet of the margin asset."""
    rows = {one.text("asset"): one for one in as_object(value, "account").objects("assets")}
    if asset not in rows:
        raise ValueError(f"assets of account must hold {asset}, were {', '.join(sorted(rows)) or 'none'}")
    row = rows[asset]
    return FuturesWallet(
        balance=row.number("walletBalance"),
        equity=row.number("marginBalance"),
        margin=row.number("initialMargin"),
        available=row.number("availableBalance"),
    )


def parse_alias(value: Any) -> str:
    """Return the account's name, which ``balance`` bears on every row."""
    aliases = {one.text("accountAlias") for one in as_objects(value, "balance")}
    if len(aliases) != 1:
        raise ValueError(f"accountAlias of balance must be one name, was {sorted(aliases)}")
    return aliases.pop()


def parse_can_trade(value: Any) -> bool:
    """Return whether the account may trade, of ``/fapi/v2/account`` or ``accountConfig``."""
    return as_object(value, "account").flag("canTrade")


def parse_is_hedge(value: Any) -> bool:
    """Return whether the account keeps a long and a short side apart, of ``positionSide/dual``."""
    return as_object(value, "positionSide").flag("dualSidePosition")


def parse_symbol_configs(value: Any) -> dict[str, SymbolConfig]:
    """Return leverage and margin type by symbol."""
    rows = value if isinstance(value, list) else [value]
    return {config.symbol: config for config in map(_symbol_config, as_objects(rows, "symbolConfig"))}


def _symbol_config(fields: Fields) -> SymbolConfig:
    return SymbolConfig(
        symbol=fields.text("symbol"),
        leverage=fields.whole("leverage"),
        is_isolated=fields.text("marginType").upper() == "ISOLATED",
    )


def parse_risks(value: Any) -> tuple[Risk, ...]:
    """Return every row of ``positionRisk``, the flat ones too."""
    return tuple(
        Risk(
            symbol=one.text("symbol"),
            position_side=one.text("positionSide"),
            amount=one.number("positionAmt"),
            entry_price=one.number("entryPrice"),
            profit=one.number("unRealizedProfit"),
            updated_ms=one.whole("updateTime"),
        )
        for one in as_objects(value, "positionRisk")
    )


def parse_trades(value: Any) -> tuple[Trade, ...]:
    """Return the trades of ``userTrades``."""
    return tuple(_trade(fields) for fields in as_objects(value, "userTrades"))


def _trade(fields: Fields) -> Trade:
    return Trade(
        trade_id=fields.whole("id"),
        order_id=fields.whole("orderId"),
        symbol=fields.text("symbol"),
        side=fields.side(),
        volume=fields.number("qty"),
        price=fields.number("price"),
        commission=fields.number("commission"),
        commission_asset=fields.text("commissionAsset"),
        at=fields.moment("time"),
        profit=fields.number("realizedPnl"),
        position_side=fields.text("positionSide"),
    )


def parse_algo_order(value: Any) -> Resting:
    """Return a conditional order. Its number is negative, so that no other order has it."""
    fields = value if isinstance(value, Fields) else as_object(value, "algoOrder")
    # Written "orderType" by the endpoints and "type" by a part of the documentation.
    kind = fields.text("orderType" if fields.has("orderType") else "type")
    client_id = fields.text("clientAlgoId")
    level = fields.number_or_0("triggerPrice") or fields.number_or_0("price")
    return Resting(
        order=WorkingOrder(
            order_id=-fields.whole("algoId"),
            symbol=fields.text("symbol"),
            side=fields.side(),
            kind=ORDER_KINDS.get(kind, OrderKind.STOP),
            volume_left=fields.number_or_0("quantity") or UNSAID,
            price=level,
            placed_at=fields.moment("createTime"),
            magic=magic_of(client_id),
        ),
        client_id=client_id,
        kind=kind,
        level=level,
        position_side=fields.text("positionSide") if fields.has("positionSide") else "BOTH",
        closes_all=fields.has("closePosition") and fields.flag("closePosition"),
    )


def parse_algo_orders(value: Any) -> tuple[Resting, ...]:
    """Return every order of ``openAlgoOrders``."""
    return tuple(parse_algo_order(fields) for fields in as_objects(value, "openAlgoOrders"))


def parse_algo_reports(value: Any) -> tuple[AlgoReport, ...]:
    """Return what became of the orders of ``allAlgoOrders``."""
    return tuple(
        AlgoReport(
            algo_id=one.whole("algoId"),
            client_id=one.text("clientAlgoId"),
            status=one.text("algoStatus"),
            order_id=one.whole("actualOrderId") if one.has("actualOrderId") else 0,
            executed=one.number_or_0("actualQty"),
        )
        for one in as_objects(value, "allAlgoOrders")
    )


def parse_income(value: Any, asset: str) -> tuple[CashMovement, ...]:
    """Return what moved the wallet without a trade: transfers are cash, funding and everything else a charge."""
    rows = [one for one in as_objects(value, "income") if one.text("incomeType") not in TRADED]
    return tuple(_movement(one) for one in rows if one.text("asset") == asset)


def _movement(fields: Fields) -> CashMovement:
    kind, at = fields.text("incomeType"), fields.moment("time")
    return CashMovement(
        deal_id=movement_number(kind, fields.whole("tranId"), fields.content.get("symbol"), _ms(at)),
        kind=CashKind.CASH if kind in PAID else CashKind.CHARGE,
        amount=fields.number("income"),
        at=at,
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
