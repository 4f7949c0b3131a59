"""MetaTrader 5, through the terminal's client: the module itself is never imported here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from execution.brokers import mt5_parse, mt5_requests
from execution.brokers.base import Capabilities, OrderTicket, Permit, Protection, Reduction, SendResult
from execution.brokers.mt5_replies import Write, answered, not_sent, unanswered
from execution.brokers.mt5_session import PAUSES_S, Mt5Login, Mt5Session
from execution.errors import BrokerUnavailableError, ConfigError
from execution.planning.orders import AccountSnapshot, CashMovement, Fill, Position, Quote, SymbolSpec, WorkingOrder
from execution.safety.outcomes import Outcome, RequestAction
from market.terminal.client import Expected, Reply, Terminal
from market.terminal.errors import TerminalError

T = TypeVar("T")
Request = dict[str, Any]

# Dates of history are read on the server's clock, which is anywhere from UTC-12 to UTC+14.
FURTHEST_BEHIND, FURTHEST_AHEAD = timedelta(hours=12), timedelta(hours=14)


class Mt5Broker:
    """One MetaTrader 5 account.

    Parameters
    ----------
    terminal : Terminal
        The client. Whoever opened it may share it; ``disconnect`` closes it.
    login : Mt5Login, optional
        The account. Without it the terminal's own account is taken as it is, whichever that is: for the simulator.
    to_utc : callable
        From the server's seconds to an aware UTC time.
    now : callable
        The market's time, aware UTC.
    sleep : callable
        Waits for so many seconds.
    for_trading : bool
        Whether to refuse a terminal that may not trade. A reader does without.
    """

    capabilities = Capabilities(
        has_client_order_id=False,
        stops_with_entry=True,
        closes_by_ticket=True,
        resting_stops_on_netting=False,
        can_short=True,
    )

    def __init__(
        self,
        *,
        terminal: Terminal,
        login: Mt5Login | None,
        to_utc: mt5_parse.ToUtc,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        pauses_s: Sequence[float] = PAUSES_S,
        for_trading: bool = True,
    ) -> None:
        self._session = Mt5Session(terminal, login, for_trading=for_trading)
        self._terminal = terminal
        self._to_utc = to_utc
        self._now = now
        self._sleep = sleep
        self._pauses_s = tuple(pauses_s)

    def connect(self) -> None:
        """Attach to the account, trying again with growing pauses, and verify it; errors as in ``Mt5Session``."""
        self._session.connect(sleep=self._sleep, pauses_s=self._pauses_s)

    def disconnect(self) -> None:
        """Close the client. The terminal stays attached: others read through it."""
        self._terminal.close()

    def account(self) -> AccountSnapshot:
        """Return the account as it is now, or refuse one that is not ours."""
        return self._session.require_account()

    def spec(self, symbol: str) -> SymbolSpec:
        """Return a symbol's contract and grid."""
        return self._symbol(symbol).spec

    def quote(self, symbol: str) -> Quote:
        """Return the last tick's bid and ask."""
        parse = partial(mt5_parse.parse_quote, symbol, to_utc=self._to_utc)
        return self._session.parsed("symbol_info_tick", parse, symbol)

    def positions(self) -> tuple[Position, ...]:
        """Return every open position of the account."""
        return self._session.parsed("positions_get", self._each(mt5_parse.parse_position))

    def working_orders(self) -> tuple[WorkingOrder, ...]:
        """Return every resting order of the account."""
        return self._session.parsed("orders_get", self._each(mt5_parse.parse_order))

    def fills_since(self, at: datetime) -> tuple[Fill, ...]:
        """Return every fill from ``at`` on, oldest first."""
        fills = self._history(at, partial(mt5_parse.parse_fills, to_utc=self._to_utc))
        return tuple(fill for fill in fills if fill.at >= at)

    def cash_since(self, at: datetime) -> tuple[CashMovement, ...]:
        """Return every movement of the balance that is no trade from ``at`` on, oldest first."""
        moved = self._history(at, partial(mt5_parse.parse_cash, to_utc=self._to_utc))
        return tuple(movement for movement in moved if movement.at >= at)

    def _history(self, at: datetime, parse: Callable[[Any], T]) -> T:
        return self._session.parsed("history_deals_get", parse, at - FURTHEST_BEHIND, self._now() + FURTHEST_AHEAD)

    def stamp(self) -> float:
        """Return the terminal server's monotonic clock."""
        return self._session.through(self._terminal.stamp)

    def highest_fence(self) -> int:
        """Return the highest token that the terminal's server has seen."""
        return self._session.through(self._terminal.status).highest_fence

    def latch(self) -> None:
        """Have the terminal's server refuse everything but reductions."""
        self._session.through(self._terminal.latch)

    def submit(self, ticket: OrderTicket, permit: Permit) -> SendResult:
        """Send a market order at the price of a tick that is read now."""

        def build() -> Request:
            return mt5_requests.entry_request(ticket, self._symbol(ticket.symbol), self.quote(ticket.symbol))

        write = Write(action=RequestAction.OPEN, volume=ticket.volume, reprices=ticket.reprices)
        return self._write(write, build, self._sender(permit, reduce=permit.reduce), permit)

    def reduce(self, reduction: Reduction, permit: Permit) -> SendResult:
        """Close a position or a part of it; the server reads it once more in the same call and refuses a change."""
        position = reduction.position
        expected = Expected(
            ticket=position.ticket or None,
            symbol=position.symbol,
            side=position.side.value,
            volume=float(position.volume),
        )

        def build() -> Request:
            symbol, quote = self._symbol(position.symbol), self.quote(position.symbol)
            mode = self.account().margin_mode
            return mt5_requests.reduction_request(reduction, symbol, quote, margin_mode=mode)

        send = partial(self._terminal.reduce, expected=expected, fence=permit.fence, not_after=permit.not_after)
        write = Write(action=RequestAction.CLOSE, volume=reduction.volume, reprices=reduction.reprices)
        return self._write(write, build, send, permit)

    def protect(self, protection: Protection, permit: Permit) -> SendResult:
        """Set a position's stop and target."""

        def build() -> Request:
            symbol, quote = self._symbol(protection.symbol), self.quote(protection.symbol)
            return mt5_requests.protection_request(protection, symbol, quote)

        write = Write(action=RequestAction.PROTECT)
        return self._write(write, build, self._sender(permit, reduce=permit.reduce), permit)

    def cancel(self, order_id: int, permit: Permit) -> SendResult:
        """Take back a resting order. It never adds risk, so it passes the latch."""
        write = Write(action=RequestAction.CANCEL)
        build = partial(mt5_requests.cancel_request, order_id)
        return self._write(write, build, self._sender(permit, reduce=True), permit)

    def _symbol(self, symbol: str) -> mt5_requests.Mt5Symbol:
        found = self._session.parsed("symbol_info", mt5_parse.parse_selected_symbol, symbol)
        if found is None:
            # Quotes and some fields exist only for symbols of the Market Watch.
            self._session.read("symbol_select", symbol, True)
            found = self._session.parsed("symbol_info", mt5_parse.parse_symbol, symbol)
        if found.spec.symbol != symbol:
            raise ConfigError(f"asked for {symbol!r}, the terminal answered with {found.spec.symbol!r}")
        return found

    def _each(self, parse: Callable[[Any, mt5_parse.ToUtc], T]) -> Callable[[Any], tuple[T, ...]]:
        return lambda structs: tuple(parse(struct, self._to_utc) for struct in structs)

    def _sender(self, permit: Permit, *, reduce: bool) -> Callable[[Request], Reply]:
        return partial(self._terminal.order_send, fence=permit.fence, not_after=permit.not_after, reduce=reduce)

    def _write(
        self, write: Write, build: Callable[[], Request], send: Callable[[Request], Reply], permit: Permit
    ) -> SendResult:
        """Verify the account, build and send; every way that this can end is a result."""
        try:
            self._session.require_account()
            request = build()
        except BrokerUnavailableError as error:
            return not_sent(Outcome.LATER, "NOT_SENT_UNREADABLE", error, permit)
        except ConfigError as error:
            return not_sent(Outcome.HALT, "NOT_SENT_CONFIG", error, permit)
        except ValueError as error:
            return not_sent(Outcome.REJECT, "NOT_SENT_INVALID", error, permit)
        try:
            reply = send(request)
        except (TerminalError, ValueError, LookupError, TypeError, OSError) as error:
            # It may be the answer that could not be read: whatever is no clear refusal is ambiguous.
            return unanswered(error, request, permit)
        return answered(write, request, reply)
