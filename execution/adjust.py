"""``adjust_position``: move one symbol's position to its target, through the gate, at most once per cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from loguru import logger

from execution.brokers.base import Broker, SendResult
from execution.brokers.magic import decode_magic
from execution.errors import BrokerUnavailableError, ExecutionError, RiskRefusedError
from execution.models import Account, Decision, Intent, LegRecord
from execution.planning.adjust import Plan, plan_adjustment, plan_open_after_close
from execution.planning.orders import AccountSnapshot, Leg, Position, Quote, Scene, SymbolSpec
from execution.safety import journal
from execution.safety.control import Needed
from execution.safety.gate import Gate, Terms
from execution.safety.journal import Cause
from execution.safety.outcomes import Outcome
from execution.safety.ownership import claim_symbol, read_ownership
from execution.safety.reconcile import book_fills
from execution.safety.steps import cancel_leg, carry_out, record_step
from ops import clock

MAX_REPRICES = 2
NEWER_TICK_WITHIN_S = 2.0
POLL_S = 0.05
GOOD = (Outcome.OK, Outcome.PARTIAL, Outcome.NOOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a symbol's position is to go, why, and by what right."""

    symbol: str
    lots: Decimal  # signed
    spec: SymbolSpec
    snapshot: AccountSnapshot
    cause: Cause
    terms: Terms
    band: Decimal = Decimal(0)
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLeg:
    """A leg and what came of it."""

    leg: LegRecord
    result: SendResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """What an adjustment did."""

    plan: Plan
    intent: Intent | None
    sent: tuple[SentLeg, ...] = ()
    blocker: str = ""  # the first thing that stood in the way; empty when the plan was carried out


def send_repriced(gate: Gate, record: LegRecord, terms: Terms) -> SendResult:
    """Send a leg; a price that moved is asked for again at most twice, each time on a newer tick."""
    result = gate.send(record, terms)
    for reprices in range(1, MAX_REPRICES + 1):
        if result.outcome is not Outcome.REPRICE:
            break
        _await_newer_tick(gate.broker, record.intent.symbol)
        result = gate.send(record, terms, reprices=reprices)
    return result


def _await_newer_tick(broker: Broker, symbol: str) -> None:
    seen: Quote = broker.quote(symbol)
    deadline = clock.mono() + NEWER_TICK_WITHIN_S
    while broker.quote(symbol).at <= seen.at:
        if clock.mono() > deadline:
            raise BrokerUnavailableError(f"no newer price of {symbol} within {NEWER_TICK_WITHIN_S:.0f} s")
        clock.sleep(POLL_S)


class Adjuster:
    """Carries out targets for one account."""

    def __init__(self, broker: Broker, account: Account, gate: Gate) -> None:
        self.broker = broker
        self.account = account
        self.gate = gate

    def plan(self, target: Target) -> Plan:
        """Return what would be sent, from a fresh read of our positions."""
        return plan_adjustment(
            target_lots=target.lots,
            positions=self._ours(target),
            spec=target.spec,
            margin_mode=target.snapshot.margin_mode,
            band=target.band,
        )

    def adjust(self, target: Target) -> Adjusted:
        """Bring the position to its target; asked again for the same cause, send nothing."""
        resting = self._take_back(target)  # in doubt, too: what still works may keep the doubt for ever
        frozen = self.why_frozen(target.symbol) or resting
        plan = self.plan(target)
        if frozen or plan.scene is Scene.HOLD:
            return Adjusted(plan=plan, intent=None, blocker=frozen or plan.reason)
        if plan.opening_legs and (taken := self._why_not_ours(target)):
            return Adjusted(plan=plan, intent=None, blocker=taken)
        intent, is_new = journal.open_intent(
            self.account,
            target.symbol,
            target.cause,
            target=plan.target_lots,
            current=plan.current_lots,
            decision=target.decision,
        )
        if not is_new:
            return Adjusted(plan=plan, intent=intent, blocker=f"already done for {target.cause.kind} {target.cause.id}")
        return self._carry_out(target, plan, intent)

    def why_frozen(self, symbol: str) -> str:
        """Return why nothing may be sent for a symbol now, empty when something may."""
        return journal.IN_DOUBT if journal.is_in_doubt(self.account, symbol) else ""

    def _why_not_ours(self, target: Target) -> str:
        """Return why another family keeps the symbol, empty once it is this one's."""
        try:
            claim_symbol(self.account, target.symbol, target.cause.family, self.broker.positions)
        except RiskRefusedError as error:
            return str(error)
        return ""

    def _take_back(self, target: Target) -> str:
        """Cancel what rests of ours, as the rest of an order filled in part does; return why something still does.

        What rests may be filled at any time, on top of what is planned from the positions that are held now.
        """
        family = target.cause.family
        for order in self.broker.working_orders():
            magic = decode_magic(order.magic)
            if order.symbol != target.symbol or magic is None or magic.family != family:
                continue
            cause = Cause(family=family, kind="cancel", id=f"{order.order_id}:{target.cause.id}")
            record = record_step(self.account, cause, cancel_leg(order))
            if not carry_out(record, lambda leg: self.gate.cancel(leg, needed=Needed.REDUCE)):
                return f"order {order.order_id} of ours still rests and could not be cancelled"
        return ""

    def _carry_out(self, target: Target, plan: Plan, intent: Intent) -> Adjusted:
        """Close first; open only what a fresh read still asks for."""
        sent: list[SentLeg] = []
        try:
            self._send_all(intent, plan.closing_legs, target, sent)
            opening = plan.opening_legs
            if opening and sent:
                opening = self._replan_opening(target).opening_legs
            self._send_all(intent, opening, target, sent)
        except ExecutionError as error:
            return self._stopped(plan, intent, sent, error)
        journal.set_status(intent, Intent.Status.DONE, reason=plan.reason)
        self._book(intent)
        return Adjusted(plan=plan, intent=intent, sent=tuple(sent))

    def _book(self, intent: Intent) -> None:
        """Store the deals of what is done; a venue that cannot tell them now tells the next reconcile."""
        try:
            book_fills(self.broker, self.account)
        except ExecutionError as error:
            logger.bind(symbol=intent.symbol).warning("done, and yet to be booked: {}", error)

    def _replan_opening(self, target: Target) -> Plan:
        book_fills(self.broker, self.account)
        return plan_open_after_close(
            target_lots=target.lots,
            positions=self._ours(target),
            spec=target.spec,
            margin_mode=target.snapshot.margin_mode,
            band=target.band,
        )

    def _stopped(self, plan: Plan, intent: Intent, sent: list[SentLeg], error: ExecutionError) -> Adjusted:
        refused = isinstance(error, RiskRefusedError)
        if intent.status != Intent.Status.AMBIGUOUS:
            journal.set_status(intent, Intent.Status.REFUSED if refused else Intent.Status.FAILED, reason=str(error))
        logger.bind(symbol=intent.symbol).warning("adjustment stopped: {}", error)
        return Adjusted(plan=plan, intent=intent, sent=tuple(sent), blocker=str(error))

    def _send_all(self, intent: Intent, legs: Sequence[Leg], target: Target, sent: list[SentLeg]) -> None:
        for record in journal.record_legs(intent, legs):
            journal.require_open(intent)
            result = self._send(record, target)
            sent.append(SentLeg(leg=record, result=result))
            if result.outcome not in GOOD:
                intent.refresh_from_db(fields=["status"])
                raise BrokerUnavailableError(f"{result.retcode_name}: {result.message}", result.retcode)
            if result.outcome is Outcome.PARTIAL and (rest := self._take_back(target)):
                raise BrokerUnavailableError(rest)

    def _send(self, record: LegRecord, target: Target) -> SendResult:
        terms = target.terms
        if record.reduces and terms.needed is Needed.ENTER:
            terms = Terms(needed=Needed.REDUCE, plan_price=terms.plan_price, rate=terms.rate, bar_at=terms.bar_at)
        return send_repriced(self.gate, record, terms)

    def _ours(self, target: Target) -> tuple[Position, ...]:
        mode = target.snapshot.margin_mode
        ownership = read_ownership(self.account, self.broker.positions(), mode=mode, family=target.cause.family)
        if target.symbol in ownership.doubtful:
            raise RiskRefusedError(
                f"the venue's position of {target.symbol} is not what our book says; look at it, then close it by hand",
                codes=["ownership:doubtful"],
            )
        return ownership.of(target.symbol)
