"""What the venue shows at one moment, and the exposure that may come of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from execution.brokers.base import Broker
from execution.errors import BrokerError, ConfigError
from execution.models import Attempt
from execution.planning.orders import AccountSnapshot, Position, Quote, Side, SymbolSpec, WorkingOrder
from execution.planning.sizing import contract_value
from execution.safety.risk import Exposure
from ops import clock

ZERO = Decimal(0)
ONE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueReads:
    """Fresh reads, all made for one order."""

    account: AccountSnapshot
    positions: tuple[Position, ...]
    orders: tuple[WorkingOrder, ...]
    spec: SymbolSpec
    quote: Quote
    mono: float  # when the first of them was asked for

    def position(self, ticket: int | None, symbol: str) -> Position | None:
        """Return the position of a ticket, or the symbol's only one on a netting account."""
        found = [p for p in self.positions if p.symbol == symbol and ticket in (None, p.ticket)]
        return found[0] if found else None


def read_venue(broker: Broker, symbol: str) -> VenueReads:
    """Read everything that a decision about one order rests on; a read that fails raises."""
    mono = clock.mono()
    return VenueReads(
        account=broker.account(),
        positions=broker.positions(),
        orders=broker.working_orders(),
        spec=broker.spec(symbol),
        quote=broker.quote(symbol),
        mono=mono,
    )


def conversion_rate(broker: Broker, spec: SymbolSpec, account: AccountSnapshot) -> Decimal:
    """Return the price of a symbol's profit currency in the account's currency.

    Raises
    ------
    ConfigError
        The venue quotes no pair of the two.
    """
    have, want = spec.currency_profit, account.currency
    if have == want:
        return ONE
    for pair, is_direct in ((f"{have}{want}", True), (f"{want}{have}", False)):
        try:
            mid = broker.quote(pair).mid
        except BrokerError:
            continue
        return mid if is_direct else ONE / mid
    raise ConfigError(f"{spec.symbol} pays in {have}, the account is in {want}, and the venue quotes no pair of them")


def possible_exposure(broker: Broker, reads: VenueReads, *, ticket: int | None) -> Exposure:
    """Return what is held and what unresolved attempts may add, in the worst direction."""
    symbol = reads.spec.symbol
    mine = [p for p in reads.positions if p.symbol == symbol]
    pending = list(_pending(reads))
    target = reads.position(ticket, symbol) if ticket is not None else None
    gross, net = _worth_of_others(broker, reads, pending)
    return Exposure(
        long_lots=_lots(mine, Side.BUY),
        short_lots=_lots(mine, Side.SELL),
        pending_buy_lots=sum((p.volume for p in pending if p.symbol == symbol and p.side is Side.BUY), ZERO),
        pending_sell_lots=sum((p.volume for p in pending if p.symbol == symbol and p.side is Side.SELL), ZERO),
        ticket_lots=target.volume if target else None,
        ticket_side=target.side if target else None,
        other_gross=gross,
        other_net=net,
        n_positions=len(reads.positions),
    )


@dataclass(frozen=True, slots=True)
class _Pending:
    symbol: str
    side: Side
    volume: Decimal


def _pending(reads: VenueReads) -> Iterable[_Pending]:
    """Yield what may still be filled and open something: attempts without an answer, and resting orders."""
    opening = Attempt.objects.unresolved().filter(leg__ticket=None).select_related("leg__intent")
    here = {"leg__intent__account__login": reads.account.login, "leg__intent__account__server": reads.account.server}
    for attempt in opening.filter(**here):
        yield _Pending(attempt.leg.intent.symbol, Side(attempt.leg.side), attempt.leg.volume)
    for order in reads.orders:
        if order.position_ticket is None:
            yield _Pending(order.symbol, order.side, order.volume_left)


def _lots(positions: Iterable[Position], side: Side) -> Decimal:
    return sum((p.volume for p in positions if p.side is side), ZERO)


def _worth_of_others(broker: Broker, reads: VenueReads, pending: list[_Pending]) -> tuple[Decimal, Decimal]:
    """Return gross and net worth of all other symbols, in account currency."""
    gross = net = ZERO
    held = [_Pending(p.symbol, p.side, p.volume) for p in reads.positions]
    lot_values: dict[str, Decimal] = {}
    for item in held + pending:
        if item.symbol == reads.spec.symbol:
            continue
        if item.symbol not in lot_values:
            spec, quote = broker.spec(item.symbol), broker.quote(item.symbol)
            lot_values[item.symbol] = contract_value(spec, quote.mid, conversion_rate(broker, spec, reads.account))
        worth = item.volume * lot_values[item.symbol]
        gross, net = gross + worth, net + worth * item.side.sign
    return gross, net
