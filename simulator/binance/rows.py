"""The rows of the exchange's books: orders, trades, what moves a wallet, positions; one shape for spot and futures.

Amounts and prices are ``Decimal`` with at most eight decimals, moments UTC milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

SPOT, FUTURES, ALGO = "spot", "futures", "algo"  # whose an order is; an algo order becomes one of the futures'
BUY, SELL = "BUY", "SELL"
NEW, FILLED, CANCELED, EXPIRED, REJECTED = "NEW", "FILLED", "CANCELED", "EXPIRED", "REJECTED"
TRIGGERED, FINISHED = "TRIGGERED", "FINISHED"  # of an algo order, while its order works and after that
OPEN = (NEW, TRIGGERED)
NO_LIST = -1
ZERO = Decimal(0)
SMALLEST = Decimal("0.00000001")
QUOTE_ASSET = "USDT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order: open while its status is NEW, or TRIGGERED for an algo order whose order works."""

    id: int
    venue: str
    symbol: str  # the exchange's name
    client_id: str
    side: str
    type: str
    tif: str
    status: str
    price: Decimal  # 0: none
    stop_price: Decimal  # 0: none
    quantity: Decimal  # base units; 0 where the whole position is meant
    quote_quantity: Decimal  # what a market order was told to spend or earn, 0: told a quantity
    executed: Decimal
    quote_executed: Decimal
    list_id: int
    list_client_id: str
    reduce_only: bool
    close_position: bool
    position_side: str
    working_type: str
    working: bool  # False while its stop waits
    actual_id: int  # the order that an algo order became, 0: none yet
    created_ms: int
    updated_ms: int
    trigger_ms: int

    @property
    def is_open(self) -> bool:
        """Return whether it can still execute."""
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        """Return what is not yet filled, base units."""
        return self.quantity - self.executed

    @property
    def direction(self) -> int:
        """Return 1 when it buys and -1 when it sells."""
        return 1 if self.side == BUY else -1

    @property
    def average(self) -> Decimal:
        """Return the mean price of its fills, 0 without any."""
        return to_8(self.quote_executed / self.executed) if self.executed else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A fill; never changed once written."""

    id: int
    venue: str
    symbol: str
    order_id: int
    list_id: int
    side: str
    position_side: str
    price: Decimal
    quantity: Decimal
    quote: Decimal
    commission: Decimal  # taken, so positive
    commission_asset: str
    realized: Decimal  # futures: earned against the entry price
    maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What a wallet gained or lost: a balance is the sum of these, and nothing else."""

    id: int
    venue: str
    asset: str
    amount: Decimal
    kind: str  # DEPOSIT, TRADE, COMMISSION, REALIZED_PNL, FUNDING_FEE, INSURANCE_CLEAR
    symbol: str
    trade_id: int
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A futures position: signed base units and what they cost, also signed; entry price is the quotient."""

    key: str  # symbol/position side
    symbol: str
    position_side: str  # BOTH, LONG or SHORT
    amount: Decimal
    cost: Decimal
    updated_ms: int

    @property
    def entry(self) -> Decimal:
        """Return the mean entry price, 0 for none."""
        return to_8(self.cost / self.amount) if self.amount else ZERO

    def worth(self, price: Decimal) -> Decimal:
        """Return the floating profit at a price."""
        return to_8(self.amount * price) - self.cost


Row = Order | Trade | Movement | Position


def to_8(value: Decimal) -> Decimal:
    """Return a value with eight decimals, cut towards zero."""
    return value.quantize(SMALLEST, rounding=ROUND_DOWN)
