"""The words of execution: sides, scenes, accounts, positions, orders, fills and legs, in no broker's dialect.

Volumes are lots, prices are in the symbol's profit currency, money is in the account's currency; all three are
``Decimal``. Times are aware and UTC. What must hold is checked once, when a value is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from execution.planning.invariants import require_finite, require_not_negative, require_positive, require_utc


class Side(StrEnum):
    """The direction of an order, a position or a fill."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The side that closes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @classmethod
    def of(cls, signed: Decimal) -> Side:
        """Return the side of a signed volume that is not zero."""
        if signed == 0:
            raise ValueError("a volume of 0 has no side")
        return cls.BUY if signed > 0 else cls.SELL


class MarginMode(StrEnum):
    """How an account keeps positions: one net position per symbol, or one per entry."""

    NETTING = "netting"
    HEDGING = "hedging"


class AccountKind(StrEnum):
    """Whether an account's money is real."""

    DEMO = "demo"
    CONTEST = "contest"
    REAL = "real"


class TradeMode(StrEnum):
    """What the venue allows for a symbol at the moment."""

    DISABLED = "disabled"
    LONG_ONLY = "long_only"
    SHORT_ONLY = "short_only"
    CLOSE_ONLY = "close_only"
    FULL = "full"


class Scene(StrEnum):
    """What an adjustment does to the position."""

    NEW = "new"
    INCREASE = "increase"
    REDUCE = "reduce"
    CLOSE = "close"
    REVERSE = "reverse"
    HOLD = "hold"


class OrderKind(StrEnum):
    """What a resting order waits for."""

    MARKET = "market"  # nothing: it is being processed
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    CLOSE_BY = "close_by"


class FillEntry(StrEnum):
    """What a fill did to its position."""

    IN = "in"
    OUT = "out"
    IN_OUT = "inout"  # a reversal in one deal, on netting accounts
    OUT_BY = "out_by"  # closed by an opposite position


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSpec:
    """A symbol's contract and grid, as the venue states them."""

    symbol: str
    digits: int  # places after the point of a price
    point: Decimal  # the smallest price step that stops and slippage are counted in
    contract_size: Decimal  # base units in one lot
    volume_min: Decimal
    volume_step: Decimal
    volume_max: Decimal  # of one order
    volume_limit: Decimal = Decimal(0)  # of position and orders on one side; 0 is none
    currency_base: str
    currency_profit: str
    stops_distance: Decimal = Decimal(0)  # price units between a stop and the market; 0 is unknown, not free
    freeze_distance: Decimal = Decimal(0)  # price units within which nothing may be changed
    trade_mode: TradeMode = TradeMode.FULL

    def __post_init__(self) -> None:
        require_positive(
            point=self.point,
            contract_size=self.contract_size,
            volume_min=self.volume_min,
            volume_step=self.volume_step,
            volume_max=self.volume_max,
        )
        if self.volume_max < self.volume_min:
            raise ValueError(f"volume_max {self.volume_max} of {self.symbol} is below volume_min {self.volume_min}")
        require_not_negative(
            volume_limit=self.volume_limit,
            stops_distance=self.stops_distance,
            freeze_distance=self.freeze_distance,
        )

    @property
    def smallest_order(self) -> Decimal:
        """The smallest volume that can be sent: ``volume_min`` brought up to the grid."""
        steps, rest = divmod(self.volume_min, self.volume_step)
        return (steps + (rest > 0)) * self.volume_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """An open position, ours or not."""

    ticket: int
    symbol: str
    side: Side
    volume: Decimal
    price_open: Decimal
    opened_at: datetime
    magic: int = 0  # who opened it; 0 is a person
    stop: Decimal | None = None
    target: Decimal | None = None
    profit: Decimal = Decimal(0)  # floating
    swap: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        require_positive(volume=self.volume, price_open=self.price_open)
        require_finite(profit=self.profit, swap=self.swap)
        require_utc(opened_at=self.opened_at)

    @property
    def signed_volume(self) -> Decimal:
        """Lots, negative for a short position."""
        return self.volume * self.side.sign


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """An account as one read showed it. Money is in ``currency``."""

    login: int
    server: str
    currency: str
    balance: Decimal
    equity: Decimal
    margin: Decimal
    margin_free: Decimal
    leverage: int
    margin_mode: MarginMode
    trade_allowed: bool
    trade_expert: bool  # whether programs may trade
    kind: AccountKind = AccountKind.REAL  # the careful assumption
    broker: str = "mt5"  # the venue's key

    def __post_init__(self) -> None:
        require_finite(balance=self.balance, equity=self.equity, margin=self.margin, margin_free=self.margin_free)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A bid and an ask, and the venue's time of them."""

    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime

    def __post_init__(self) -> None:
        require_positive(bid=self.bid, ask=self.ask)
        require_utc(at=self.at)
        if self.ask < self.bid:
            raise ValueError(f"the ask of {self.symbol} must not be below its bid {self.bid}, was {self.ask}")

    @property
    def mid(self) -> Decimal:
        """The middle of bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def spread_fraction(self) -> Decimal:
        """Ask less bid, as a fraction of the middle."""
        return (self.ask - self.bid) / self.mid

    def price_for(self, side: Side) -> Decimal:
        """Return what an order of this side would pay or get."""
        return self.ask if side is Side.BUY else self.bid


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingOrder:
    """An order that rests at the venue."""

    order_id: int
    symbol: str
    side: Side
    kind: OrderKind
    volume_left: Decimal
    price: Decimal  # 0 for a market order that is being processed
    placed_at: datetime
    magic: int = 0
    position_ticket: int | None = None  # the position that it closes
    protects: bool = False  # a stop or target of that position, which rests until the position ends

    def __post_init__(self) -> None:
        require_positive(volume_left=self.volume_left)
        require_finite(price=self.price)
        require_utc(placed_at=self.placed_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """An executed deal: the only proof that something was traded."""

    deal_id: int
    order_id: int
    position_id: int
    symbol: str
    side: Side
    entry: FillEntry
    volume: Decimal
    price: Decimal
    profit: Decimal
    commission: Decimal
    swap: Decimal
    fee: Decimal
    magic: int
    at: datetime

    def __post_init__(self) -> None:
        require_positive(volume=self.volume, price=self.price)
        require_finite(profit=self.profit, commission=self.commission, swap=self.swap, fee=self.fee)
        require_utc(at=self.at)

    @property
    def signed_volume(self) -> Decimal:
        """Lots, negative for a sale."""
        return self.volume * self.side.sign


class CashKind(StrEnum):
    """What moved the balance without a trade."""

    CASH = "cash"  # paid in or out, or a bonus: neither profit nor loss
    CHARGE = "charge"  # fees, taxes, interest, dividends, corrections: a result


@dataclass(frozen=True, slots=True, kw_only=True)
class CashMovement:
    """A movement of the balance that is no trade."""

    deal_id: int
    kind: CashKind
    amount: Decimal  # account currency; negative when it leaves the account
    at: datetime

    def __post_init__(self) -> None:
        require_finite(amount=self.amount)
        require_utc(at=self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One order of an adjustment, before any broker has seen it."""

    scene: Scene
    symbol: str
    side: Side
    volume: Decimal
    ticket: int | None = None  # the position that it closes
    reduces: bool
    sequence: int  # from 0, in the order of sending

    def __post_init__(self) -> None:
        require_positive(volume=self.volume)
        if self.scene is Scene.HOLD:
            raise ValueError("a leg always does something: its scene must not be hold")
        if self.ticket is not None and not self.reduces:
            raise ValueError(f"only a leg that reduces carries a ticket, this one carries {self.ticket}")

    @property
    def signed_volume(self) -> Decimal:
        """Lots, negative for a sale."""
        return self.volume * self.side.sign
