"""A venue that rarely says what it did: executed or not, at once or late, in part, shown late or twice.

It keeps two books, what is true and what it shows, and judges each deal by the true one. It speaks MetaTrader's
answers, so that the adapter's own classification decides what they mean.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from itertools import count
from typing import NamedTuple

from benchmarks.ambiguous_fates import Ending, Fate, Part
from execution.brokers.base import Capabilities, OrderTicket, Permit, Protection, Reduction, SendResult
from execution.brokers.mt5_replies import Write, answered, unanswered
from execution.planning.orders import (
    AccountSnapshot,
    CashMovement,
    Fill,
    FillEntry,
    MarginMode,
    Position,
    Quote,
    Side,
    SymbolSpec,
    WorkingOrder,
)
from execution.planning.rounding import round_down_to_step
from execution.safety.outcomes import LAST_ERRORS, Outcome, RequestAction
from market.terminal.client import Reply
from market.terminal.errors import TerminalOutcomeUnknownError, TerminalRefusedError
from ops import clock

ZERO, STEP, PRICE = Decimal(0), Decimal("0.01"), Decimal(1000)
DONE, DONE_PARTIAL, REFUSED = 10009, 10010, 10006
IN_DOUBT = (10008, 10011, 10012, 10023, 10028, 10031, 10039, 10005, 10099)  # the last two are in no table
NOTHING = tuple(code for code, meaning in LAST_ERRORS.items() if meaning.outcome is Outcome.AMBIGUOUS)


class Crash(BaseException):
    """The process that sends dies here."""


class Answer(NamedTuple):
    """What ``order_send`` returns, as far as anybody reads it."""

    retcode: int
    deal: int
    order: int
    volume: float
    price: float


@dataclass(slots=True, kw_only=True)
class Deal:
    """What was executed, and from when on who can see it; times are the virtual clock's seconds."""

    number: int
    request: Request
    lots: Decimal  # signed
    ticket: int
    at: datetime
    in_history_at: float
    in_positions_at: float
    is_twice: bool


@dataclass(slots=True, kw_only=True)
class Request:
    """What was sent."""

    number: int
    symbol: str
    lots: Decimal  # signed
    magic: int
    ticket: int  # that it closes, 0: none
    target: Decimal  # of the symbol, in signed lots, when it was sent
    executed: Decimal = ZERO


class Book:
    """Positions by symbol and ticket."""

    def __init__(self) -> None:
        self.lots: defaultdict[str, dict[int, Decimal]] = defaultdict(dict)

    def take(self, symbol: str, ticket: int, lots: Decimal) -> None:
        """Add signed lots to a ticket's position."""
        held = self.lots[symbol]
        held[ticket] = held.get(ticket, ZERO) + lots
        if held[ticket] == 0:
            del held[ticket]

    def net(self, symbol: str) -> Decimal:
        """Return a symbol's signed lots."""
        return sum(self.lots[symbol].values(), ZERO)


@dataclass(kw_only=True)
class Venue:
    """A broker with an account of 100,000 dollars whose prices stand still; see ``Broker`` for its methods.

    Parameters
    ----------
    draw_fate : callable
        Decides what becomes of the next request.
    stand_still : callable
        Lets the time of a sender that stalls pass, while others go on.
    """

    rng: random.Random
    margin_mode: MarginMode
    begin: datetime
    draw_fate: Callable[[], Fate]
    stand_still: Callable[[float], None]
    targets: dict[str, Decimal] = field(default_factory=dict)
    true: Book = field(default_factory=Book)
    shown: Book = field(default_factory=Book)
    deals: list[Deal] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    doubles: list[Deal] = field(default_factory=list)

    capabilities = Capabilities(
        has_client_order_id=False,
        stops_with_entry=True,
        closes_by_ticket=True,
        resting_stops_on_netting=False,
        can_short=True,
    )

    def __post_init__(self) -> None:
        self._due: list[tuple[float, Request, Part, int]] = []
        self._hidden: list[Deal] = []
        self._numbers = count(1)
        self._newest_executed: dict[str, int] = {}
        self._account = self._an_account()

    # --- what is executed ---------------------------------------------------------------------------------------------

    def live(self, moment: datetime) -> None:
        """Execute and show what is due by a moment."""
        now = moment.timestamp()
        for item in sorted((item for item in self._due if item[0] <= now), key=lambda item: item[0]):
            self._due.remove(item)
            due_s, request, part, ticket = item
            self._execute(request, part, ticket, due_s)
        for deal in [deal for deal in self._hidden if deal.in_positions_at <= now]:
            self._hidden.remove(deal)
            self.shown.take(deal.request.symbol, deal.ticket, deal.lots)

    def _execute(self, request: Request, part: Part, ticket: int, at_s: float) -> None:
        if request.ticket and self.margin_mode is MarginMode.HEDGING and ticket not in self.true.lots[request.symbol]:
            return  # a close of a ticket that is gone opens nothing
        lots = round_down_to_step(request.lots * part.share, STEP)
        if lots == 0:
            return
        sent_s = at_s - part.after_s
        deal = Deal(
            number=next(self._numbers),
            request=request,
            lots=lots,
            ticket=ticket,
            at=datetime.fromtimestamp(at_s, self.begin.tzinfo),
            in_history_at=sent_s + part.in_history_s,
            in_positions_at=sent_s + part.in_positions_s,
            is_twice=part.is_twice,
        )
        self.deals.append(deal)
        self._hidden.append(deal)
        self.true.take(request.symbol, ticket, lots)
        request.executed += abs(lots)
        self._judge(deal)

    def _judge(self, deal: Deal) -> None:
        """A fill is one too many when it leads past its target, or comes after that of a later request."""
        request = deal.request
        past = (self.true.net(request.symbol) - request.target) * Side.of(deal.lots).sign
        newest = self._newest_executed.get(request.symbol, 0)
        if past > 0 or request.number < newest or request.executed > abs(request.lots):
            self.doubles.append(deal)
        self._newest_executed[request.symbol] = max(newest, request.number)

    # --- writes -------------------------------------------------------------------------------------------------------

    def submit(self, ticket: OrderTicket, permit: Permit) -> SendResult:
        lots = ticket.volume * ticket.side.sign
        return self._send(ticket.symbol, lots, 0, magic=ticket.magic, action=RequestAction.OPEN, permit=permit)

    def reduce(self, reduction: Reduction, permit: Permit) -> SendResult:
        position = reduction.position
        if self.shown.lots[position.symbol].get(position.ticket) != position.signed_volume:
            return unanswered(TerminalRefusedError("reduce", "it is not what was seen"), {}, permit)
        lots = -reduction.volume * position.side.sign
        sent = {"magic": reduction.magic, "action": RequestAction.CLOSE, "permit": permit}
        return self._send(position.symbol, lots, position.ticket, **sent)  # type: ignore[arg-type]

    def _send(
        self, symbol: str, lots: Decimal, closes: int, *, magic: int, action: RequestAction, permit: Permit
    ) -> SendResult:
        number = len(self.requests) + 1
        request = Request(
            number=number, symbol=symbol, lots=lots, magic=magic, ticket=closes, target=self.targets[symbol]
        )
        fate, now = self.draw_fate(), clock.market_now()
        self.requests.append(request)
        self.endings.append(fate.ending)
        opens = number if self.margin_mode is MarginMode.HEDGING else 1
        self._due += [(now.timestamp() + part.after_s, request, part, closes or opens) for part in fate.parts]
        self.live(now)
        if fate.ending in (Ending.CRASH, Ending.REBOOT):
            raise Crash(fate.ending)
        if fate.ending is Ending.STALLED:
            self.stand_still(fate.stalled_s)
        is_over = not any(due[1] is request for due in self._due)
        is_clear = fate.ending is Ending.CLEAR or (fate.ending is Ending.STALLED and self.rng.random() < 0.5)
        return self._answer(request, action, permit, is_clear=is_clear and is_over)

    def _answer(self, request: Request, action: RequestAction, permit: Permit, *, is_clear: bool) -> SendResult:
        write, volume = Write(action=action, volume=abs(request.lots)), request.executed
        deal = next((deal.number for deal in reversed(self.deals) if deal.request is request), 0)
        if is_clear:
            code = REFUSED if not volume else DONE if volume == write.volume else DONE_PARTIAL
            return self._reply(write, Answer(code, deal, request.number, float(volume), float(PRICE)))
        kind = self.rng.choice(("none", "code", "error", "no deal", "contradiction"))
        if kind == "error":
            error = self.rng.choice(
                (TerminalOutcomeUnknownError("killed"), ConnectionResetError("reset"), ValueError("?"))
            )
            return unanswered(error, {}, permit)
        if kind == "none":
            return self._reply(write, None, self.rng.choice((*NOTHING, -77)))
        if kind == "contradiction" and deal:
            return self._reply(write, Answer(REFUSED, deal, request.number, float(volume), float(PRICE)))
        code = DONE if kind == "no deal" else self.rng.choice(IN_DOUBT)
        return self._reply(write, Answer(code, 0, request.number, float(abs(request.lots)), float(PRICE)))

    def _reply(self, write: Write, value: Answer | None, last_error: int = 1) -> SendResult:
        return answered(write, {}, Reply(value, (last_error, "as it was"), self.stamp()))

    def protect(self, protection: Protection, permit: Permit) -> SendResult:
        raise NotImplementedError("nothing here has a stop")

    def cancel(self, order_id: int, permit: Permit) -> SendResult:
        raise NotImplementedError("nothing here rests")

    def highest_fence(self) -> int:
        """Return 0: nobody reduces here without a lease."""
        return 0

    def latch(self) -> None:
        raise NotImplementedError("nobody kills here")

    # --- reads --------------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Be connected."""

    def disconnect(self) -> None:
        """Stay connected."""

    def stamp(self) -> float:
        return clock.mono()

    def account(self) -> AccountSnapshot:
        return self._account

    def _an_account(self) -> AccountSnapshot:
        equity = Decimal(100_000)
        return AccountSnapshot(
            login=1,
            server="Venue",
            currency="USD",
            balance=equity,
            equity=equity,
            margin=ZERO,
            margin_free=equity,
            leverage=30,
            margin_mode=self.margin_mode,
            trade_allowed=True,
            trade_expert=True,
        )

    def spec(self, symbol: str) -> SymbolSpec:
        return _spec(symbol)

    def quote(self, symbol: str) -> Quote:
        return Quote(symbol=symbol, bid=PRICE, ask=PRICE + STEP, at=clock.market_now())

    def positions(self) -> tuple[Position, ...]:
        return tuple(self._positions())

    def _positions(self) -> Iterator[Position]:
        for symbol, held in self.shown.lots.items():
            for ticket, lots in held.items():
                magic = self.requests[ticket - 1].magic if self.margin_mode is MarginMode.HEDGING else 0
                yield Position(
                    ticket=ticket,
                    symbol=symbol,
                    side=Side.of(lots),
                    volume=abs(lots),
                    price_open=PRICE,
                    opened_at=self.begin,
                    magic=magic,
                )

    def working_orders(self) -> tuple[WorkingOrder, ...]:
        return ()

    def cash_since(self, at: datetime) -> tuple[CashMovement, ...]:
        return ()

    def fills_since(self, at: datetime) -> tuple[Fill, ...]:
        now = clock.mono()
        seen = [deal for deal in self.deals if deal.at >= at and deal.in_history_at <= now]
        return tuple(_as_fill(deal) for deal in seen for _ in range(1 + deal.is_twice))


@cache
def _spec(symbol: str) -> SymbolSpec:
    return SymbolSpec(
        symbol=symbol,
        digits=2,
        point=STEP,
        contract_size=Decimal(1),
        volume_min=STEP,
        volume_step=STEP,
        volume_max=Decimal(100),
        currency_base=symbol,
        currency_profit="USD",
    )


def _as_fill(deal: Deal) -> Fill:
    return Fill(
        deal_id=deal.number,
        order_id=deal.request.number,
        position_id=deal.ticket,
        symbol=deal.request.symbol,
        side=Side.of(deal.lots),
        entry=FillEntry.OUT if deal.request.ticket else FillEntry.IN,
        volume=abs(deal.lots),
        price=PRICE,
        profit=ZERO,
        commission=ZERO,
        swap=ZERO,
        fee=ZERO,
        magic=deal.request.magic,
        at=deal.at,
    )
