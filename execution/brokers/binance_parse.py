"""Binance's replies as our values: what spot and USD-M futures share. Pure, and loud: see ``binance_fields``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from execution.brokers.binance_fields import Fields, as_object, as_objects
from execution.brokers.binance_ids import STOP, TARGET, magic_of, role_of
from execution.planning.orders import OrderKind, Quote, Side, SymbolSpec, TradeMode, WorkingOrder

ZERO = Decimal(0)
# An unknown status means: do not trade.
TRADE_MODES = {"TRADING": TradeMode.FULL, "PENDING_TRADING": TradeMode.DISABLED}
ORDER_KINDS = {
    "MARKET": OrderKind.MARKET,
    "LIMIT": OrderKind.LIMIT,
    "LIMIT_MAKER": OrderKind.LIMIT,
    "TAKE_PROFIT": OrderKind.LIMIT,
    "TAKE_PROFIT_LIMIT": OrderKind.LIMIT,
    "TAKE_PROFIT_MARKET": OrderKind.LIMIT,
    "STOP": OrderKind.STOP_LIMIT,
    "STOP_LOSS": OrderKind.STOP,
    "STOP_MARKET": OrderKind.STOP,
    "STOP_LOSS_LIMIT": OrderKind.STOP_LIMIT,
    "TRAILING_STOP_MARKET": OrderKind.STOP,
}
TARGET_KINDS = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "TAKE_PROFIT_MARKET", "LIMIT_MAKER"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRules:
    """A symbol's grid and bounds as ``exchangeInfo`` states them. A bound of 0 is none."""

    symbol: str
    status: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    notional_min: Decimal

    def spec(self, price: Decimal, *, can_short: bool) -> SymbolSpec:
        """Return the specification at about this price: the least notional is a volume only at a price.

        It is taken at a price rounded down to one digit, so that it is on the safe side and stands still while the
        market moves a little.
        """
        mode = TRADE_MODES.get(self.status, TradeMode.DISABLED)
        smallest = max(self.quantity_min, self.notional_min / _one_digit_down(price), self.step)
        return SymbolSpec(
            symbol=self.symbol,
            digits=_places(self.tick),
            point=self.tick,
            contract_size=Decimal(1),
            volume_min=(smallest / self.step).to_integral_value(rounding=ROUND_CEILING) * self.step,
            volume_step=self.step,
            volume_max=self.quantity_max,
            currency_base=self.base,
            currency_profit=self.quote,
            trade_mode=TradeMode.LONG_ONLY if mode is TradeMode.FULL and not can_short else mode,
        )

    def floor(self, volume: Decimal) -> Decimal:
        """Return the volume brought down to the grid."""
        return (volume / self.step).to_integral_value(rounding=ROUND_FLOOR) * self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """An order that rests, with what only Binance says of it."""

    order: WorkingOrder
    client_id: str
    kind: str  # Binance's own word
    level: Decimal  # where it triggers, or its limit
    list_id: int = -1  # of the OCO that it is a leg of
    position_side: str = "BOTH"
    closes_all: bool = False

    @property
    def is_target(self) -> bool:
        """Whether it takes profit; else it is a stop or a plain limit."""
        return self.kind in TARGET_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade of the account's."""

    trade_id: int
    order_id: int
    symbol: str
    side: Side
    volume: Decimal
    price: Decimal
    commission: Decimal  # as Binance writes it, in ``commission_asset``
    commission_asset: str
    at: datetime
    profit: Decimal = ZERO  # futures
    position_side: str = "BOTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What Binance says of an order that it took."""

    order_id: int
    symbol: str
    client_id: str
    status: str
    executed: Decimal
    price: Decimal | None  # average of what was executed
    trade_ids: tuple[int, ...] = ()
    base_commission: Decimal = ZERO  # of what was executed, in base units


def parse_time(value: Any) -> int:
    """Return the milliseconds of ``/time``."""
    return as_object(value, "time").whole("serverTime")


def parse_rules(value: Any) -> dict[str, SymbolRules]:
    """Return the rules of every symbol of ``exchangeInfo`` that can be an order's."""
    symbols = as_object(value, "exchangeInfo").objects("symbols")
    return {rules.symbol: rules for rules in map(_rules, symbols) if rules is not None}


def _rules(fields: Fields) -> SymbolRules | None:
    """Return one symbol's rules; None for what has no grid: an index, an option."""
    filters = {one.text("filterType"): one for one in fields.objects("filters")}
    price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
    if price is None or lot is None:
        return None
    lots = [lot, *([filters["MARKET_LOT_SIZE"]] if "MARKET_LOT_SIZE" in filters else [])]
    most = [size for size in (one.number("maxQty") for one in lots) if size > 0]
    step = max(one.number("stepSize") for one in lots)
    tick = price.number("tickSize") or Decimal(1).scaleb(-fields.whole("quotePrecision"))
    if step <= 0 or not most:
        return None
    return SymbolRules(
        symbol=fields.text("symbol"),
        status=fields.text("status"),
        base=fields.text("baseAsset"),
        quote=fields.text("quoteAsset"),
        tick=tick.normalize(),
        step=step.normalize(),
        quantity_min=max(one.number("minQty") for one in lots),
        quantity_max=min(most),
        notional_min=_notional_min(filters),
    )


def _notional_min(filters: dict[str, Fields]) -> Decimal:
    """Return the least notional of an order: spot writes ``minNotional``, futures ``notional``."""
    known = [filters[name] for name in ("NOTIONAL", "MIN_NOTIONAL") if name in filters]
    return max((one.number_or_0("minNotional") or one.number_or_0("notional") for one in known), default=ZERO)


def parse_quote(value: Any, *, at_ms: int) -> Quote:
    """Return the quote of ``ticker/bookTicker``, which tells no time: ``at_ms`` is the venue's before it was asked."""
    fields = as_object(value, "bookTicker")
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Quote(symbol=fields.text("symbol"), bid=fields.number("bidPrice"), ask=fields.number("askPrice"), at=at)


def parse_order(fields: Fields) -> Resting:
    """Return an order of ``openOrders`` or ``allOrders``, spot or futures."""
    kind, client_id = fields.text("type"), fields.text("clientOrderId")
    stop, limit = fields.number_or_0("stopPrice"), fields.number_or_0("price")
    quantity = fields.number_or_0("origQty") - fields.number_or_0("executedQty")
    return Resting(
        order=WorkingOrder(
            order_id=fields.whole("orderId"),
            symbol=fields.text("symbol"),
            side=fields.side(),
            kind=ORDER_KINDS.get(kind, OrderKind.LIMIT),
            volume_left=quantity if quantity > 0 else Decimal("1e-8"),
            price=limit or stop,
            placed_at=fields.moment("time" if fields.has("time") else "updateTime"),
            magic=magic_of(client_id),
        ),
        client_id=client_id,
        kind=kind,
        level=stop or limit,
        list_id=fields.whole("orderListId") if fields.has("orderListId") else -1,
        position_side=fields.text("positionSide") if fields.has("positionSide") else "BOTH",
        closes_all=fields.has("closePosition") and fields.flag("closePosition"),
    )


def parse_orders(value: Any, name: str = "openOrders") -> tuple[Resting, ...]:
    """Return every order of a list of them."""
    return tuple(parse_order(fields) for fields in as_objects(value, name))


def parse_magics(value: Any) -> dict[int, int]:
    """Return the magic of each order of ``allOrders`` by its number; 0 is a person's."""
    orders = as_objects(value, "allOrders")
    return {one.whole("orderId"): magic_of(one.text("clientOrderId")) for one in orders}


def parse_report(value: Any, *, base: str = "") -> OrderReport:
    """Return what a reply to an order says; ``base`` is the asset whose commission comes out of what was bought."""
    fields = as_object(value, "order")
    executed = fields.number("executedQty")
    fills = list(fields.objects("fills")) if fields.has("fills") else []
    fees = (one.number("commission") for one in fills if one.text("commissionAsset") == base)
    return OrderReport(
        order_id=fields.whole("orderId"),
        symbol=fields.text("symbol"),
        client_id=fields.text("clientOrderId"),
        status=fields.text("status"),
        executed=executed,
        price=_average_price(fields, fills, executed),
        trade_ids=tuple(one.whole("tradeId") for one in fills),
        base_commission=sum(fees, ZERO),
    )


def _average_price(fields: Fields, fills: list[Fields], executed: Decimal) -> Decimal | None:
    if executed <= 0:
        return None
    if len(fills) == 1:
        return fills[0].number("price")
    quote = fields.number_or_0("cummulativeQuoteQty") or fields.number_or_0("cumQuote")  # Binance's own spelling
    return fields.number_or_0("avgPrice") or (quote / executed if quote > 0 else None)


def protects(resting: Resting) -> bool:
    """Tell whether an order rests only to end a position: a leg of an OCO, a reduce-only one, or one marked so."""
    return resting.list_id >= 0 or resting.closes_all or role_of(resting.client_id) in (STOP, TARGET)


def _one_digit_down(price: Decimal) -> Decimal:
    return price.quantize(Decimal(1).scaleb(price.adjusted()), rounding=ROUND_FLOOR)


def _places(tick: Decimal) -> int:
    exponent = tick.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
