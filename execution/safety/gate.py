"""The gate: the only code that reaches a broker's write calls.

Everything is read afresh, checked, and written down before the venue hears of it, with no database transaction open
while it is asked. What happens between the last check and the send is the fence's business (``market.terminal``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from django.db import connection
from loguru import logger

from execution.bot.standing import read_standing
from execution.brokers.base import Broker, OrderTicket, Permit, Protection, Reduction, SendResult
from execution.brokers.magic import Family
from execution.errors import BrokerUnavailableError, PositionGoneError, RiskRefusedError
from execution.limits import current_limits, current_quiet_hours, loss_budgets
from execution.models import Account, Attempt, LegRecord
from execution.planning.entries import NO_COSTS, loss_at
from execution.planning.orders import MarginMode, Side
from execution.planning.sizing import contract_value
from execution.safety import journal
from execution.safety.breaker import watch_requests
from execution.safety.control import Needed, armed_mark, current_control
from execution.safety.locks import file_lock
from execution.safety.reads import VenueReads, possible_exposure, read_venue
from execution.safety.risk import (
    OrderRequest,
    ReadAges,
    RequestCounts,
    RiskContext,
    SetupStanding,
    Verdict,
    evaluate,
    require_allowed,
)
from execution.safety.risk.days import last_reset
from execution.safety.written import as_json, levels_as_json
from execution.sessions.bot_slots import newest_closed_bar
from execution.sessions.slots import HOUR
from mlfilter.setups import Costs
from ops import clock, leases
from ops.boot import boot_id
from ops.leases import Held
from ops.models import Lease

TRADER_LEASE = "trader"
LEASE_TTL_S = 30.0
NOT_AFTER_S = 2.0
LOCK_WITHIN_S = 15.0
KILL_LOCK_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what right an order is sent, and what its plan was made with."""

    needed: Needed
    plan_price: Decimal  # the price that volumes were sized with
    rate: Decimal = Decimal(1)  # account currency per unit of profit currency
    capital_per_asset: Decimal = Decimal(0)
    bar_at: datetime | None = None  # open time of the bar that it acts on
    interval: timedelta = HOUR  # length of that bar
    stop: Decimal | None = None  # of an entry; in its own request where the venue takes it there
    target: Decimal | None = None
    costs: Costs = NO_COSTS  # what the loss at the stop is reckoned with, beside the spread


class Gate:
    """Sends orders for one account, as the holder of the trading lease or, to reduce, without it."""

    def __init__(self, broker: Broker, account: Account, *, lease: Held | None = None) -> None:
        self.broker = broker
        self.account = account
        self.lease = lease

    def send(self, leg: LegRecord, terms: Terms, *, reprices: int = 0) -> SendResult:
        """Check, journal and send one leg.

        Raises
        ------
        RiskRefusedError
            A rule, the trading state or the lease said no. Nothing was sent.
        PositionGoneError
            The position that the leg closes is not there any more. Nothing was sent.
        BrokerUnavailableError
            A read failed or a lock was held. Nothing was sent.
        """
        if connection.in_atomic_block:
            raise RuntimeError("no transaction may be open while a broker is asked to trade")
        with sending_lock(terms.needed):
            reads = read_venue(self.broker, leg.intent.symbol)
            self._require_certain(leg, reads)
            verdicts = self._examine(leg, terms, reads)
            permit = self._permit(leg, terms)
            order = self._with_levels(_order(leg, reads, reprices=reprices), terms)
            attempt = journal.begin_attempt(leg, request=as_json(order), verdicts=verdicts, fence=permit.fence)
            result = self._hand_over(order, permit)
        journal.finish_attempt(attempt, result)
        watch_requests(result)
        self._log(leg, result)
        return result

    def cancel(self, leg: LegRecord, *, needed: Needed) -> SendResult:
        """Journal and send the taking back of a resting order, whose number is the leg's ticket."""
        if connection.in_atomic_block:
            raise RuntimeError("no transaction may be open while a broker is asked to trade")
        terms = Terms(needed=needed, plan_price=Decimal(0))
        with sending_lock(needed):
            permit = self._permit(leg, terms)
            request = {"call": "cancel", "order": leg.ticket}
            attempt = journal.begin_attempt(leg, request=request, verdicts=(), fence=permit.fence)
            result = self.broker.cancel(leg.ticket or 0, permit)
        journal.finish_attempt(attempt, replace(result, volume=Decimal(0)))
        self._log(leg, result)
        return result

    def protect(self, leg: LegRecord, protection: Protection, *, needed: Needed) -> SendResult:
        """Journal and set the stop and target of the position that is the leg's ticket.

        Doubt about the symbol does not hold it up: setting the same stop twice does no harm.
        """
        if connection.in_atomic_block:
            raise RuntimeError("no transaction may be open while a broker is asked to trade")
        terms = Terms(needed=needed, plan_price=Decimal(0))
        with sending_lock(needed):
            # A stop can be widened, so that a terminal takes no change of one for a reduction.
            permit = replace(self._permit(leg, terms), reduce=False)
            request = {"call": "protect", "ticket": leg.ticket, **levels_as_json(protection.stop, protection.target)}
            attempt = journal.begin_attempt(leg, request=request, verdicts=(), fence=permit.fence)
            result = self.broker.protect(protection, permit)
        journal.finish_attempt(attempt, replace(result, volume=Decimal(0)))
        self._log(leg, result)
        return result

    def _with_levels(self, order: OrderTicket | Reduction, terms: Terms) -> OrderTicket | Reduction:
        """Let stop and target ride on an entry where the venue takes them there."""
        if isinstance(order, Reduction) or terms.stop is None or not self.broker.capabilities.stops_with_entry:
            return order
        return replace(order, stop=terms.stop, target=terms.target)

    def _hand_over(self, order: OrderTicket | Reduction, permit: Permit) -> SendResult:
        if isinstance(order, Reduction):
            return self.broker.reduce(order, permit)
        return self.broker.submit(order, permit)

    def _require_certain(self, leg: LegRecord, reads: VenueReads) -> None:
        """Send nothing for a symbol in doubt but what may be done twice without harm: the whole close of a ticket."""
        position = reads.position(leg.ticket, leg.intent.symbol) if leg.reduces else None
        is_whole = position is not None and position.volume == leg.volume - leg.filled
        if is_whole and reads.account.margin_mode is MarginMode.HEDGING:
            return
        if journal.is_in_doubt(self.account, leg.intent.symbol):
            raise RiskRefusedError(journal.IN_DOUBT, codes=["outcome:unknown"])

    def _examine(self, leg: LegRecord, terms: Terms, reads: VenueReads) -> tuple[Verdict, ...]:
        """Ask every rule; raise for the first that says no."""
        request = OrderRequest(
            symbol=leg.intent.symbol,
            side=Side(leg.side),
            volume=leg.volume,
            plan_price=terms.plan_price,
            reduces=leg.reduces,
            ticket=leg.ticket,
            emergency=terms.needed is Needed.KILL,
            worst_loss=_loss_at_stop(leg, terms, reads),
            family=leg.intent.family,
            stop=terms.stop,
        )
        verdicts = evaluate(request, self._context(leg, terms, reads))
        require_allowed(verdicts)
        return verdicts

    def _context(self, leg: LegRecord, terms: Terms, reads: VenueReads) -> RiskContext:
        limits, now = current_limits(), clock.market_now()
        newest_closed = newest_closed_bar(now, terms.interval)
        return RiskContext(
            limits=limits,
            account=reads.account,
            expected_login=self.account.login,
            expected_server=self.account.server,
            spec=reads.spec,
            quote=reads.quote,
            rate=terms.rate,
            capital_per_asset=terms.capital_per_asset,
            exposure=possible_exposure(self.broker, reads, ticket=leg.ticket),
            counts=request_counts(now),
            ages=read_ages(reads, now),
            is_bar_closed=terms.bar_at is not None and terms.bar_at <= newest_closed,
            is_bar_fresh=terms.bar_at == newest_closed,
            budgets=loss_budgets(self.account, limits, now, balance=reads.account.balance),
            market_at=now,
            quiet_hours=current_quiet_hours(),
            standing=self._standing(leg, reads, now),
        )

    def _standing(self, leg: LegRecord, reads: VenueReads, now: datetime) -> SetupStanding | None:
        """Return how the bot stands, for an entry of its own."""
        if leg.reduces or leg.intent.family != Family.SETUP:
            return None
        return read_standing(leg.intent, snapshot=reads.account, positions=reads.positions, now=now)

    def _permit(self, leg: LegRecord, terms: Terms) -> Permit:
        """Look at the state last, after the stamp that bounds how long the send may take from now."""
        stamp = self.broker.stamp()
        self._require_state(leg, terms.needed)
        fence = self._fence(terms.needed)
        return Permit(fence=fence, not_after=stamp + NOT_AFTER_S, reduce=leg.reduces)

    def _require_state(self, leg: LegRecord, needed: Needed) -> None:
        control = current_control(family=leg.intent.family, symbol=leg.intent.symbol)
        if not control.allows(needed):
            words = f"{control.scope} is {control.state}: {control.reason or 'no reason given'}"
            raise RiskRefusedError(words, codes=[f"state:{control.state}"])
        if needed is Needed.ENTER:
            mark = armed_mark()
            if mark is None or not mark.covers(self.account.login, self.account.server):
                raise RiskRefusedError("this account is not one that was armed", codes=["state:account"])

    def _fence(self, needed: Needed) -> int:
        """Return the token of our lease. Who never had one may reduce, under the newest token; who lost his may not."""
        if self.lease and leases.renew(self.lease, ttl_s=LEASE_TTL_S):
            return self.lease.token
        if needed is Needed.ENTER or (self.lease and needed is not Needed.KILL):
            raise RiskRefusedError("the trading lease is not ours any more", codes=["lease:lost"])
        return Lease.objects.filter(name=TRADER_LEASE).values_list("token", flat=True).first() or 0

    def _log(self, leg: LegRecord, result: SendResult) -> None:
        logger.bind(
            symbol=leg.intent.symbol,
            side=leg.side,
            volume=str(leg.volume),
            outcome=result.outcome,
            retcode=result.retcode,
        ).info("order sent")


@contextmanager
def sending_lock(needed: Needed) -> Iterator[None]:
    """Let one process send at a time. A kill goes on without the lock: the venue checks each close itself."""
    name = "gate" if needed is Needed.ENTER else "closer"
    within_s = KILL_LOCK_WITHIN_S if needed is Needed.KILL else LOCK_WITHIN_S
    path = Path(settings.SAFETY_DIR) / f"{name}.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, timeout_s=within_s, mono=clock.mono, sleep=clock.sleep))
        except BrokerUnavailableError:
            if needed is not Needed.KILL:
                raise
            logger.warning("the closer lock is held by a process that may hang; the kill goes on without it")
        yield


def _order(leg: LegRecord, reads: VenueReads, *, reprices: int) -> OrderTicket | Reduction:
    comment = f"{leg.intent.family} {leg.scene} {leg.intent.counter}"[:26]
    left = leg.volume - leg.filled
    if not leg.reduces:
        return OrderTicket(
            symbol=leg.intent.symbol,
            side=Side(leg.side),
            volume=left,
            magic=leg.intent.magic,
            comment=comment,
            reprices=reprices,
        )
    position = reads.position(leg.ticket, leg.intent.symbol)
    if position is None or position.side is Side(leg.side) or position.volume < left:
        raise PositionGoneError(f"position {leg.ticket} of {leg.intent.symbol} is not there to be closed")
    return Reduction(position=position, volume=left, magic=leg.intent.magic, comment=comment, reprices=reprices)


def _loss_at_stop(leg: LegRecord, terms: Terms, reads: VenueReads) -> Decimal:
    """Return what an entry loses at its stop from the price of now, in account currency; 0 without a stop."""
    if leg.reduces or terms.stop is None:
        return Decimal(0)
    side, unit = Side(leg.side), contract_value(reads.spec, Decimal(1), terms.rate)
    price = reads.quote.price_for(side)
    return loss_at(side, leg.volume, price=price, stop=terms.stop, unit=unit, costs=terms.costs)


def request_counts(now: datetime) -> RequestCounts:
    """Return what was sent in the last real minute, and in the larger of the UTC day and the loss day so far.

    On which clock a firm counts its requests is not published.
    """
    begin = min(now.replace(hour=0, minute=0, second=0, microsecond=0), last_reset(now))
    minute = Attempt.objects.filter(boot=boot_id(), sent_mono__gt=clock.mono() - 60).count()
    today = Attempt.objects.filter(market_at__gte=begin).count()
    return RequestCounts(orders_last_minute=minute, orders_today=today, requests_today=today)


def read_ages(reads: VenueReads, now: datetime) -> ReadAges:
    """Return the ages of reads: since they were asked for, and for the tick since the venue's time of it."""
    since_read = clock.mono() - reads.mono
    tick = max(since_read, (now - reads.quote.at).total_seconds())
    return ReadAges(tick_s=tick, account_s=since_read, spec_s=since_read)
