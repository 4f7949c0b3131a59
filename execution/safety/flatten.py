"""Close everything of ours and have the broker confirm it: the second half of the kill switch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F

from execution.brokers.base import Broker
from execution.brokers.magic import Family, is_ours
from execution.models import Account, Attempt, KillEvent
from execution.planning.orders import Leg, MarginMode, Position, Scene, WorkingOrder
from execution.safety.control import Needed
from execution.safety.gate import Gate, Terms
from execution.safety.journal import Cause
from execution.safety.killswitch import confirm_flat, note_left_alone
from execution.safety.ownership import Ownership, read_ownership
from execution.safety.reconcile import reconcile
from execution.safety.steps import cancel_leg, carry_out, end_steps, record_step
from ops import clock
from ops.live import announce


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What one read of the broker showed."""

    ownership: Ownership
    orders: tuple[WorkingOrder, ...]  # ours
    foreign_orders: tuple[WorkingOrder, ...] = ()

    @property
    def is_flat(self) -> bool:
        return not self.ownership.ours and not self.orders

    @property
    def to_cancel(self) -> list[WorkingOrder]:
        """Our orders but for the stops and targets of what we hold: the close takes those away, and not before."""
        held = {position.ticket for position in self.ownership.ours}
        return [order for order in self.orders if not (order.protects and order.position_ticket in held)]

    @property
    def left_alone(self) -> list[str]:
        """Positions and orders of other people, one line each."""
        return in_words(self.ownership.foreign, self.foreign_orders)


def in_words(positions: Iterable[Position], orders: Iterable[WorkingOrder]) -> list[str]:
    """Return positions and orders as a person names them, one line each."""
    held = [f"{p.symbol} {p.side} {p.volume} (ticket {p.ticket})" for p in positions]
    return held + [f"{o.symbol} {o.side} {o.volume_left} (order {o.order_id})" for o in orders]


def read_book(broker: Broker, account: Account) -> Book:
    """Read positions and orders; a read that fails raises: unknown is not flat."""
    mode = broker.account().margin_mode
    orders = broker.working_orders()
    return Book(
        ownership=read_ownership(account, broker.positions(), mode=mode, family=None),
        orders=tuple(order for order in orders if is_ours(order.magic)),
        foreign_orders=tuple(order for order in orders if not is_ours(order.magic)),
    )


def flatten_round(broker: Broker, account: Account, event: KillEvent) -> bool:
    """Cancel and close once, then read twice; True when both reads show nothing of ours."""
    gate = Gate(broker, account)
    book = read_book(broker, account)
    note_left_alone(event, account.broker, n_foreign=len(book.ownership.foreign), log=book.left_alone)
    cancelled = sum(_cancel(gate, account, event, order) for order in book.to_cancel)
    closed = sum(_close(gate, account, event, position) for position in _closable(account, book))
    KillEvent.objects.filter(pk=event.pk).update(
        n_cancelled=F("n_cancelled") + cancelled, n_closed=F("n_closed") + closed
    )
    announce("kill", {"id": event.pk})
    reconcile(broker)
    if not all(read_book(broker, account).is_flat for _ in range(2)):
        return False
    end_steps(account, _cause(f"{event.pk}:"))  # first: once it is flat nobody comes here again
    confirm_flat(event, account.broker, read_at=clock.wall_now())
    return True


def _closable(account: Account, book: Book) -> list[Position]:
    """Return what may be closed now: on a netting account nothing whose last close may still be executed.

    There a second close would open the other side. The close of a hedging ticket can be repeated without harm.
    """
    if account.margin_mode == MarginMode.HEDGING:
        return list(book.ownership.ours)
    doubtful = Attempt.objects.unresolved().filter(leg__intent__account=account)
    frozen = set(doubtful.values_list("leg__intent__symbol", flat=True))
    return [position for position in book.ownership.ours if position.symbol not in frozen]


def _close(gate: Gate, account: Account, event: KillEvent, position: Position) -> bool:
    """Close one position at market; a failure leaves it to the next round."""
    leg = Leg(
        scene=Scene.CLOSE,
        symbol=position.symbol,
        side=position.side.opposite,
        volume=position.volume,
        ticket=position.ticket,
        reduces=True,
        sequence=0,
    )
    cause = _cause(f"{event.pk}:{position.ticket}:{event.rounds}")
    terms = Terms(needed=Needed.KILL, plan_price=position.price_open)
    record = record_step(account, cause, leg, current=position.signed_volume)
    return carry_out(record, lambda one: gate.send(one, terms))


def _cancel(gate: Gate, account: Account, event: KillEvent, order: WorkingOrder) -> bool:
    """Take one resting order back; a failure leaves it to the next round."""
    record = record_step(account, _cause(f"{event.pk}:order {order.order_id}:{event.rounds}"), cancel_leg(order))
    return carry_out(record, lambda one: gate.cancel(one, needed=Needed.KILL))


def _cause(step: str) -> Cause:
    return Cause(family=Family.REBALANCE, kind="kill", id=step)
