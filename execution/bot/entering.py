"""The entry of an approved setup: planned at the present price, written down, and sent through the gate once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from loguru import logger

from execution.adjust import send_repriced
from execution.bot.naked import Protector
from execution.bot.watching import take_back_leftovers
from execution.bot.writing import write_entry, write_missed, write_open
from execution.brokers.base import SendResult
from execution.brokers.magic import Family
from execution.errors import ExecutionError, RiskRefusedError
from execution.limits import current_limits
from execution.models import BotTrade, Intent, LegRecord
from execution.planning.entries import EntryPlan, plan_entry, wished
from execution.planning.orders import Side, SymbolSpec
from execution.safety import journal
from execution.safety.control import Needed
from execution.safety.gate import Gate, Terms
from execution.safety.outcomes import Outcome
from execution.safety.ownership import claim_symbol
from execution.safety.reads import conversion_rate
from execution.safety.reconcile import book_fills
from execution.sessions.bot_slots import BotSlot
from market.models import Symbol
from mlfilter.models import BotSettings, Setup
from mlfilter.setups import Costs, decimal_of
from mlfilter.sizing import RiskRules

SIDES = {Setup.Direction.LONG: Side.BUY, Setup.Direction.SHORT: Side.SELL}
FILLED = (Outcome.OK, Outcome.PARTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What came of a setup."""

    setup: Setup
    verdict: str  # traded, missed, doubtful, or known: it was dealt with before
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Planned:
    plan: EntryPlan
    terms: Terms
    spec: SymbolSpec


@dataclass(frozen=True, slots=True)
class Entering:
    """Enters the setups of one slot."""

    gate: Gate
    slot: BotSlot
    settings: BotSettings

    def enter(self, setup: Setup) -> Entered:
        """Send the entry of an approved setup; asked again, send nothing."""
        trade = BotTrade.objects.filter(setup=setup).first()
        if trade is not None or setup.missed_reason:
            return Entered(setup=setup, verdict="known", reason=setup.missed_reason or str(trade))
        try:
            planned = self._plan(setup)
            leg = self._write(setup, planned)
        except RiskRefusedError as error:
            return self._missed(setup, in_words(error))
        return self._send(setup, leg, planned)

    def _plan(self, setup: Setup) -> _Planned:
        """Return the order at the price of now, or refuse it by the first thing that stands in the way."""
        self._require_tradable(setup)
        broker, settings = self.gate.broker, self.settings
        snapshot, spec, quote = broker.account(), broker.spec(setup.symbol), broker.quote(setup.symbol)
        rate, costs = conversion_rate(broker, spec, snapshot), costs_of(settings)
        entry, stop, target = (decimal_of(level) for level in (setup.entry, setup.stop, setup.target))
        plan = plan_entry(
            wished(SIDES[Setup.Direction(setup.direction)], entry=entry, stop=stop, target=target),
            equity=snapshot.equity,
            spec=spec,
            quote=quote,
            rate=rate,
            rules=rules_of(settings),
            costs=costs,
        )
        terms = Terms(
            needed=Needed.ENTER,
            plan_price=plan.price,
            rate=rate,
            capital_per_asset=snapshot.equity * decimal_of(settings.leverage),
            bar_at=setup.bar_at,
            interval=self.slot.length,
            stop=plan.stop,
            target=plan.target,
            costs=costs,
        )
        return _Planned(plan, terms, spec)

    def _require_tradable(self, setup: Setup) -> None:
        if setup.bar_at != self.slot.bar_at:
            words = f"its bar opened at {setup.bar_at:%H:%M}, the newest closed one at {self.slot.bar_at:%H:%M}"
            raise RiskRefusedError(words, codes=["entry:too_late"])
        if Symbol.objects.traded().filter(name=setup.symbol).exists():
            words = f"{setup.symbol} is in the portfolio of the hourly session: a symbol has one owner"
            raise RiskRefusedError(words, codes=["owner:rebalance"])
        if setup.direction == Setup.Direction.SHORT and not self.gate.broker.capabilities.can_short:
            raise RiskRefusedError("this venue sells nothing that is not held", codes=["entry:no_shorts"])

    def _write(self, setup: Setup, planned: _Planned) -> LegRecord:
        account, broker = self.gate.account, self.gate.broker
        if journal.is_in_doubt(account, setup.symbol):
            raise RiskRefusedError(journal.IN_DOUBT, codes=["outcome:unknown"])
        claim_symbol(account, setup.symbol, Family.SETUP, broker.positions)
        life: timedelta = (1 + self.settings.horizon) * self.slot.length
        spec, rate = planned.spec, planned.terms.rate
        return write_entry(account, setup, planned.plan, contract_size=spec.contract_size, rate=rate, life=life)

    def _send(self, setup: Setup, leg: LegRecord, planned: _Planned) -> Entered:
        intent = leg.intent
        try:
            result = send_repriced(self.gate, leg, planned.terms)
        except RiskRefusedError as error:
            journal.set_status(intent, Intent.Status.REFUSED, reason=str(error))
            return self._missed(setup, in_words(error))
        except ExecutionError as error:
            journal.set_status(intent, Intent.Status.FAILED, reason=str(error))
            return self._missed(setup, f"venue: {error}")
        return self._answered(setup, intent, result)

    def _answered(self, setup: Setup, intent: Intent, result: SendResult) -> Entered:
        if result.outcome is Outcome.AMBIGUOUS:
            return Entered(setup=setup, verdict="doubtful", reason=f"{result.retcode_name}: {result.message}")
        if result.outcome not in FILLED:
            words = f"{result.retcode_name}: {result.message}"
            journal.set_status(intent, Intent.Status.FAILED, reason=words)
            return self._missed(setup, f"venue: {words}")
        journal.set_status(intent, Intent.Status.DONE)
        write_open(intent.trade)
        self._look_after(intent)
        return Entered(setup=setup, verdict="traded")

    def _look_after(self, intent: Intent) -> None:
        """Protect what was filled without its stop, and book the deals; what fails here is done at the next look."""
        broker, account = self.gate.broker, self.gate.account
        try:
            take_back_leftovers(self.gate)
            if not broker.capabilities.stops_with_entry:
                Protector(self.gate).protect_until_safe()
            book_fills(broker, account)
        except ExecutionError as error:
            logger.bind(symbol=intent.symbol).warning("entered, and yet to be looked after: {}", error)

    def _missed(self, setup: Setup, reason: str) -> Entered:
        write_missed(setup, reason)
        logger.bind(symbol=setup.symbol, setup=setup.pk).info("setup missed: {}", reason)
        return Entered(setup=setup, verdict="missed", reason=reason)


def in_words(error: RiskRefusedError) -> str:
    """Return a refusal with its first code before it; a rule's own message begins with the rule's name already."""
    code = error.codes[0]
    return str(error) if str(error).startswith(f"{code.partition(':')[0]}:") else f"{code}: {error}"


def costs_of(settings: BotSettings) -> Costs:
    """Return what fills are reckoned to cost beside the spread, which a quote shows."""
    return Costs(half_spread=0.0, slippage=settings.slippage, fee=settings.fee)


def rules_of(settings: BotSettings) -> RiskRules:
    """Return how much an entry may risk: the smaller of the bot's own bound and the gate's."""
    most = min(Decimal(str(settings.max_risk_per_trade)), current_limits().max_risk_per_trade)
    return RiskRules(risk_per_trade=settings.risk_per_trade, max_risk_per_trade=float(most), leverage=settings.leverage)
