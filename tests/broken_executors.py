"""Ways to break the executor on purpose: each takes one care away, and what else would still catch its absence."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from execution import adjust
from execution.adjust import Adjuster
from execution.brokers.base import OrderTicket, Permit, Reduction, SendResult
from execution.brokers.magic import Family, encode_magic
from execution.brokers.mt5 import Mt5Broker
from execution.errors import BrokerUnavailableError
from execution.models import Account, LegRecord
from execution.planning.adjust import Plan
from execution.planning.orders import Leg, Position, Scene, Side
from execution.safety import gate as gate_module
from execution.safety import journal
from execution.safety.gate import Gate
from execution.safety.outcomes import Outcome
from execution.safety.ownership import Ownership
from execution.safety.risk import RULES
from execution.safety.risk.verdict import allowed
from market.terminal.fence import Fence
from market.terminal.local import LocalTransport


def retries_on_a_timeout(patch: pytest.MonkeyPatch) -> None:
    send = Adjuster._send

    def again(adjuster: Adjuster, record: LegRecord, target: Any) -> SendResult:
        result = send(adjuster, record, target)
        return send(adjuster, record, target) if result.outcome is Outcome.AMBIGUOUS else result

    patch.setattr(Adjuster, "_send", again)
    ignores_the_freeze(patch)  # at which the gate else refuses it


def ignores_the_freeze(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal, "is_in_doubt", lambda account, symbol: False)


def does_not_look_at_the_latch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "_require_state", lambda gate, leg, needed: None)
    patch.setattr(LocalTransport, "latch", lambda transport: None)


def takes_none_for_flat(patch: pytest.MonkeyPatch) -> None:
    read = Mt5Broker.positions

    def positions(broker: Mt5Broker) -> tuple[Position, ...]:
        try:
            return read(broker)
        except BrokerUnavailableError:
            return ()

    patch.setattr(Mt5Broker, "positions", positions)


def has_one_magic_for_all(patch: pytest.MonkeyPatch) -> None:
    order = gate_module._order

    def marked(leg: LegRecord, reads: Any, *, reprices: int) -> OrderTicket | Reduction:
        return replace(order(leg, reads, reprices=reprices), magic=encode_magic(Family.REBALANCE, 1))

    patch.setattr(gate_module, "_order", marked)


def takes_its_symbols_positions_for_its_own(patch: pytest.MonkeyPatch) -> None:
    def all_ours(account: Account, positions: Sequence[Position], **_: object) -> Ownership:
        return Ownership(ours=tuple(positions), foreign=())

    patch.setattr(adjust, "read_ownership", all_ours)


def counts_days_of_new_york(patch: pytest.MonkeyPatch) -> None:
    def begin_of_day(now: datetime) -> datetime:
        return (now - timedelta(hours=5)).replace(hour=5, minute=0, second=0, microsecond=0)

    class Days(datetime):
        """A moment whose day begins when New York's does."""

        def replace(self, **changes: Any) -> datetime:
            return begin_of_day(self) if changes.get("hour") == 0 else super().replace(**changes)

    count = gate_module.request_counts
    patch.setattr(gate_module, "last_reset", begin_of_day)
    patch.setattr(gate_module, "request_counts", lambda now: count(Days.fromisoformat(now.isoformat())))


def journals_after_the_send(patch: pytest.MonkeyPatch) -> None:
    begin, hand_over = journal.begin_attempt, Gate._hand_over
    unwritten: list[dict[str, Any]] = []

    def later(leg: LegRecord, **fields: Any) -> LegRecord:
        unwritten.append({"leg": leg, **fields})
        return leg

    def sent_first(gate: Gate, order: OrderTicket | Reduction, permit: Permit) -> SendResult:
        return hand_over(gate, order, permit)

    def finish(leg: LegRecord, result: SendResult) -> None:
        finish_attempt(begin(**unwritten.pop()), result)

    finish_attempt = journal.finish_attempt
    patch.setattr(journal, "begin_attempt", later)
    patch.setattr(journal, "finish_attempt", finish)
    patch.setattr(Gate, "_hand_over", sent_first)


def has_no_lease_and_no_fence(patch: pytest.MonkeyPatch) -> None:
    admit = Fence.admit
    patch.setattr(Gate, "_fence", lambda gate, needed: gate.lease.token)
    patch.setattr(Fence, "admit", lambda fence, terms: admit(fence, replace(terms, fence=fence.state.highest)))


def closes_without_the_ticket(patch: pytest.MonkeyPatch) -> None:
    def opposite(broker: Mt5Broker, reduction: Reduction, permit: Permit) -> SendResult:
        held = reduction.position
        ticket = OrderTicket(
            symbol=held.symbol, side=held.side.opposite, volume=reduction.volume, magic=reduction.magic
        )
        return broker.submit(ticket, replace(permit, reduce=False))

    patch.setattr(Mt5Broker, "reduce", opposite)


def crosses_zero_in_one_order(patch: pytest.MonkeyPatch) -> None:
    plan_adjustment = adjust.plan_adjustment

    def at_once(**known: Any) -> Plan:
        plan = plan_adjustment(**known)
        return replace(plan, legs=(one_leg(plan),)) if plan.scene is Scene.REVERSE else plan

    patch.setattr(adjust, "plan_adjustment", at_once)
    _without_rule(patch, "no_crossing")  # which else refuses it at the gate


def one_leg(plan: Plan) -> Leg:
    """Return all of a plan in one order."""
    return replace(plan.legs[0], side=Side.of(plan.delta_lots), volume=abs(plan.delta_lots), ticket=None, reduces=False)


def counts_a_part_as_the_whole(patch: pytest.MonkeyPatch) -> None:
    plan_adjustment = adjust.plan_adjustment
    plans: list[Plan] = []

    def remembered(**known: Any) -> Plan:
        plans.append(plan_adjustment(**known))
        return plans[-1]

    patch.setattr(adjust, "plan_adjustment", remembered)
    patch.setattr(Adjuster, "_replan_opening", lambda adjuster, target: plans[-1])
    _without_rule(patch, "no_crossing")


def has_a_new_cause_each_time(patch: pytest.MonkeyPatch) -> None:
    open_intent, numbers = journal.open_intent, itertools.count()

    def opened(account: Account, symbol: str, cause: journal.Cause, **fields: Any) -> Any:
        return open_intent(account, symbol, replace(cause, id=f"{cause.id} {next(numbers)}"), **fields)

    patch.setattr(journal, "open_intent", opened)


def _without_rule(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let a rule allow everything; taken out and put back it would stand at the end of the rules."""
    patch.setitem(RULES, name, replace(RULES[name], check=lambda request, context: allowed("left out")))
