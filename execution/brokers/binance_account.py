"""What spot and futures at Binance have in common: the session, the clock, the rules, and the one way to send."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from execution.brokers.base import Permit, SendResult
from execution.brokers.binance_fence import FenceRefusedError, VenueFence
from execution.brokers.binance_http import HttpReply, NoAnswerError
from execution.brokers.binance_parse import Resting, SymbolRules, parse_quote, parse_rules
from execution.brokers.binance_parse_spot import KeyRights, parse_key_rights
from execution.brokers.binance_replies import Sent, not_sent, refused, unanswered
from execution.brokers.binance_wire import RECV_WINDOW_MS, BinanceWire
from execution.errors import BrokerError, BrokerUnavailableError, ConfigError
from execution.planning.orders import Quote, SymbolSpec
from execution.safety.binance_outcomes import Venue
from execution.safety.outcomes import RequestAction

T = TypeVar("T")
PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # between attempts to connect
OTHERS_FOR_S = 60.0  # how long orders in symbols that are not traded here are believed
RULES_FOR_S = 60.0  # how long exchangeInfo is believed; a refusal for a filter has it read again
GRACE_S = 2.0  # for what makes good again after a send: a stop put back, an old one taken away


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueNames:
    """ccxt's names of what both venues have, and what the account is called."""

    server: str
    rules: str
    quote: str


NAMES = {
    Venue.SPOT: VenueNames(server="binance-spot", rules="publicGetExchangeInfo", quote="publicGetTickerBookTicker"),
    Venue.FUTURES: VenueNames(
        server="binance-futures", rules="fapiPublicGetExchangeInfo", quote="fapiPublicGetTickerBookTicker"
    ),
}


class EndedError(Exception):
    """A write came to an end that is no success; ``result`` says which."""

    def __init__(self, result: SendResult) -> None:
        super().__init__(result.message)
        self.result = result


class BinanceAccount:
    """One Binance account.

    Parameters
    ----------
    wire : BinanceWire
        The way there.
    fence : VenueFence
        The fence that all processes of this account share.
    symbols : sequence of str
        What is traded, in Binance's names: ``BTCUSDT``. All are quoted in one asset, which the account counts in.
    mono, sleep : callable
        Real seconds, and a wait.
    needs_bound_key : bool
        Whether to refuse a key that works from any address: for real money, unless a person said otherwise.
    """

    def __init__(
        self,
        *,
        wire: BinanceWire,
        fence: VenueFence,
        symbols: Sequence[str],
        mono: Callable[[], float],
        sleep: Callable[[float], None],
        pauses_s: Sequence[float] = PAUSES_S,
        needs_bound_key: bool = False,
    ) -> None:
        if not symbols:
            raise ConfigError("a Binance account needs at least one symbol to trade, like BTCUSDT")
        self.wire = wire
        self.fence = fence
        self.symbols = tuple(symbols)
        self.quote_asset = ""
        self._mono = mono
        self._sleep = sleep
        self._pauses_s = tuple(pauses_s)
        self._needs_bound_key = needs_bound_key
        self._rules: dict[str, SymbolRules] = {}
        self._rules_at: float | None = None
        self._others: tuple[Resting, ...] = ()
        self._others_at: float | None = None
        self._taken: Sent | None = None  # the market order of this write that the venue has taken

    @property
    def server(self) -> str:
        """The account's server: simulated money is never taken for real."""
        return NAMES[self.wire.venue].server + (" simulated" if self.wire.is_simulated else "")

    def connect(self) -> None:
        """Read the clock, the key's rights and the symbols, trying again with growing pauses.

        Raises
        ------
        ConfigError
            A person must act: the key may withdraw, may not trade, or a symbol is not there.
        BrokerUnavailableError
            No attempt was answered.
        """
        for pause_s in self._pauses_s:
            try:
                return self._attach()
            except BrokerUnavailableError:
                self._sleep(pause_s)
        return self._attach()

    def disconnect(self) -> None:
        """Let go of the venue."""
        self.wire.close()

    def stamp(self) -> float:
        """Return our real seconds, from before the venue's clock was read: what is signed for a write is older.

        Real ones, because a simulated venue's may run faster than a permit lives.
        """
        moment = self._mono()
        self.wire.sync()
        return moment

    def highest_fence(self) -> int:
        """Return the highest token that any process of this account has sent with."""
        return self.fence.read().highest

    def latch(self) -> None:
        """Let nothing pass but reductions from now on, whichever process sends."""
        self.fence.latch()

    def quote(self, symbol: str) -> Quote:
        """Return bid and ask, as of the venue's time just before they were asked for."""
        return self._quote_at(symbol, self.wire.sync())

    def _quote_at(self, symbol: str, at_ms: int) -> Quote:
        parse = partial(parse_quote, at_ms=at_ms)
        return self.parsed(NAMES[self.wire.venue].quote, parse, {"symbol": symbol})

    def spec(self, symbol: str) -> SymbolSpec:
        """Return a symbol's contract and grid at its present price."""
        bid = self.quote(symbol).bid
        try:
            return self._spec_at(symbol, bid)
        except ValueError as error:
            raise BrokerUnavailableError(str(error)) from error

    def _spec_at(self, symbol: str, price: Decimal) -> SymbolSpec:
        return self.rules(symbol).spec(price, can_short=self.wire.venue is Venue.FUTURES)

    def rules(self, symbol: str) -> SymbolRules:
        """Return a symbol's rules, at most a minute old.

        Raises
        ------
        ValueError
            The venue does not trade it.
        """
        if self._rules_at is None or self._mono() - self._rules_at > RULES_FOR_S:
            self._rules = self.parsed(NAMES[self.wire.venue].rules, parse_rules)
            self._rules_at = self._mono()
        if symbol not in self._rules:
            raise ValueError(f"{self.server} does not trade {symbol!r}")
        return self._rules[symbol]

    def parsed(self, endpoint: str, parse: Callable[[Any], T], parameters: dict[str, Any] | None = None) -> T:
        """Read and parse; what cannot be understood is as good as no answer."""
        return self.understood(endpoint, parse, self.wire.read(endpoint, parameters))

    def understood(self, endpoint: str, parse: Callable[[Any], T], value: Any) -> T:
        """Parse what a read found."""
        try:
            return parse(value)
        except (ValueError, ArithmeticError) as error:
            raise BrokerUnavailableError(f"{endpoint} answered what cannot be used: {error}") from error

    def resting_of(
        self, read: Callable[[str | None], tuple[Resting, ...]], mine: Collection[str]
    ) -> tuple[Resting, ...]:
        """Return what rests at the venue: in our symbols now, in others as it was within the last minute.

        A read of all symbols counts as much as one of forty.

        Parameters
        ----------
        read : callable
            Returns what rests in a symbol, or, for None, in all.
        """
        if self._others_at is None or self._mono() - self._others_at > OTHERS_FOR_S:
            self._others, self._others_at = read(None), self._mono()
            return self._others
        here = [one for symbol in mine for one in read(symbol)]
        return (*here, *(one for one in self._others if one.order.symbol not in mine))

    # --- connecting --------------------------------------------------------------------------------------------

    def _attach(self) -> None:
        self.wire.sync()
        self._require_key(self.parsed("sapiGetAccountApiRestrictions", parse_key_rights))
        try:
            quotes = {self.rules(symbol).quote for symbol in self.symbols}
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if len(quotes) > 1:
            raise ConfigError(f"all symbols must be quoted in one asset, were in {', '.join(sorted(quotes))}")
        self.quote_asset = quotes.pop()
        self._verify()

    def _require_key(self, rights: KeyRights) -> None:
        if rights.may_withdraw:
            raise ConfigError("the Binance key may withdraw: make one that may only read and trade")
        may_trade = rights.may_trade_spot if self.wire.venue is Venue.SPOT else rights.may_trade_futures
        if not may_trade:
            raise ConfigError(f"the Binance key may not trade {self.wire.venue}: allow it, or use another key")
        if self._needs_bound_key and not rights.is_bound_to_ip:
            raise ConfigError("the Binance key works from every address: bind it to this machine's")

    def _verify(self) -> None:
        """Make sure of what only one of the venues has."""

    # --- sending -----------------------------------------------------------------------------------------------

    def _write(self, permit: Permit, act: Callable[[], SendResult], *, reduces: bool) -> SendResult:
        """Ask the fence, so that nothing is read in vain, and run a write; every way that it can end is a result.

        What fails after the venue has taken a market order leaves the outcome open, whatever it is.
        """
        self._taken = None
        try:
            self._admit(permit, reduces=reduces)
            return act()
        except EndedError as ended:
            return ended.result
        except (FenceRefusedError, BrokerError, ConfigError, ValueError) as error:
            taken = self._taken_order()
            if taken is not None:
                return unanswered(NoAnswerError(f"taken, and then: {error}"), taken)
            return not_sent(error, min(self._moment(), permit.not_after))

    def _taken_order(self) -> Sent | None:
        return self._taken

    def _moment(self) -> float:
        """Return the clock of permits and results, in seconds."""
        return self._mono()

    def _admit(self, permit: Permit, *, reduces: bool) -> None:
        self.fence.admit(permit, reduces=reduces, now=self._moment())

    def _send(
        self, endpoint: str, parameters: dict[str, Any], permit: Permit, *, action: RequestAction, reduces: bool
    ) -> tuple[HttpReply, Sent]:
        """Pass the fence and send; only a success comes back.

        The stamp that is signed is the venue's time at ``not_after`` less the receive window: older than the sender's
        last look at the latch, and such that the venue itself refuses the request after ``not_after``.

        Raises
        ------
        EndedError
            It was sent, or may have been, and is no success.
        FenceRefusedError, BrokerUnavailableError
            Nothing was sent.
        """
        self._admit(permit, reduces=reduces)
        sent = Sent(endpoint=endpoint, parameters=parameters, moment=min(self._moment(), permit.not_after))
        stamp = min(self.wire.ms_at(permit.not_after) - RECV_WINDOW_MS, self.wire.now_ms())
        try:
            reply = self.wire.call(endpoint, parameters | {"timestamp": stamp})
        except (BrokerError, ConfigError, ValueError, LookupError, TypeError, OSError) as error:
            # Whatever is not proven to be unsent is ambiguous.
            raise EndedError(unanswered(error, sent)) from error
        if not reply.is_success:
            self._rules_at = None  # perhaps it is the rules that have changed
            raise EndedError(refused(reply, sent, venue=self.wire.venue, action=action))
        if action.is_market:
            self._taken = sent
        return reply, sent

    def _understood(self, parse: Callable[[Any], T], reply: HttpReply, sent: Sent) -> T:
        """Return what the answer to a write says; one that cannot be read leaves the outcome open."""
        try:
            return parse(reply.value)
        except (ValueError, ArithmeticError) as error:
            raise EndedError(unanswered(error, sent)) from error

    def _later(self, permit: Permit) -> Permit:
        """Return leave to make good what a write has left behind, by the same trader."""
        return Permit(fence=permit.fence, not_after=self._mono() + GRACE_S, reduce=True)
