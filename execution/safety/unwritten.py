"""Closing without the database: the one thing that is sent while no row can be written, and how it is booked later."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import DatabaseError, transaction
from loguru import logger

from execution.brokers.base import Broker, Permit, Reduction, SendResult
from execution.brokers.magic import EMERGENCY_COUNTER, Family, encode_magic, is_ours
from execution.errors import BrokerUnavailableError
from execution.models import Account, Attempt, FillRecord, Intent
from execution.planning.orders import AccountSnapshot, Leg, MarginMode, Position, Scene, Side, WorkingOrder
from execution.safety import journal
from execution.safety.control import Needed
from execution.safety.emergency import EmergencyEntry, EmergencyLog, emergency_log
from execution.safety.gate import NOT_AFTER_S, sending_lock
from execution.safety.outcomes import Outcome
from execution.safety.ownership import read_ownership, tell_apart
from ops import clock
from ops.boot import boot_id


def close_unwritten(broker: Broker) -> bool:
    """Cancel and close everything of ours once, then read twice; True when both reads show nothing of ours.

    Raises
    ------
    ExecutionError, OSError
        A read failed, or the line could not be written: unknown is not flat, and what is not journalled is not sent.
    """
    closer = _Closer(broker, broker.account(), emergency_log())
    orders, positions = closer.ours()
    with sending_lock(Needed.KILL):
        for order in orders:
            closer.cancel(order)
        for position in positions:
            closer.close(position)
    return not any(any(closer.ours()) for _ in range(2))


class _Closer:
    """Sends reductions alone, each with a line of the emergency log before it."""

    def __init__(self, broker: Broker, snapshot: AccountSnapshot, log: EmergencyLog) -> None:
        self.broker = broker
        self.snapshot = snapshot
        self.log = log
        self.fence = broker.highest_fence()

    def ours(self) -> tuple[tuple[WorkingOrder, ...], tuple[Position, ...]]:
        """Read what is ours; where the account nets, that takes a database that can be read.

        Stops and targets of what is held are no orders of their own: the close takes them away, and not before.
        """
        positions = self.broker.positions()
        held = {position.ticket for position in positions}
        resting = (order for order in self.broker.working_orders() if is_ours(order.magic))
        orders = tuple(order for order in resting if not (order.protects and order.position_ticket in held))
        try:
            account = Account.objects.get(login=self.snapshot.login, server=self.snapshot.server)
            return orders, read_ownership(account, positions, mode=self.snapshot.margin_mode, family=None).ours
        except (DatabaseError, Account.DoesNotExist) as error:
            if self.snapshot.margin_mode is not MarginMode.HEDGING:
                words = "without the database nobody knows which part of a net position is ours: close it by hand"
                raise BrokerUnavailableError(words) from error
            return orders, tell_apart(positions, mode=MarginMode.HEDGING, booked={}, given=()).ours

    def close(self, position: Position) -> None:
        side, volume = position.side.opposite, position.volume
        number = self._begin("reduce", position.symbol, side, volume, position.ticket)
        magic = encode_magic(Family.REBALANCE, EMERGENCY_COUNTER + number)
        reduction = Reduction(position=position, volume=volume, magic=magic, comment=f"emergency close {number}")
        self._finish(number, self.broker.reduce(reduction, self._permit()))

    def cancel(self, order: WorkingOrder) -> None:
        number = self._begin("cancel", order.symbol, order.side.opposite, order.volume_left, order.order_id)
        self._finish(number, self.broker.cancel(order.order_id, self._permit()))

    def _permit(self) -> Permit:
        return Permit(fence=self.fence, not_after=self.broker.stamp() + NOT_AFTER_S, reduce=True)

    def _begin(self, call: str, symbol: str, side: Side, volume: Decimal, ticket: int) -> int:
        return self.log.begin(
            login=self.snapshot.login,
            server=self.snapshot.server,
            call=call,
            symbol=symbol,
            side=side.value,
            volume=str(volume),
            ticket=ticket,
        )

    def _finish(self, number: int, result: SendResult) -> None:
        logger.bind(number=number, outcome=result.outcome, retcode=result.retcode).warning(
            "closed without the database"
        )
        self.log.finish(
            number,
            outcome=result.outcome.value,
            retcode=result.retcode,
            message=f"{result.retcode_name} {result.message}".strip(),
            volume=str(result.volume),
        )


def import_unwritten(account: Account) -> int:
    """Bring the account's emergency lines into the database, and return how many; asked again, nothing more happens."""
    log = emergency_log()
    entries = log.entries()
    own = [entry for entry in entries if (entry.login, entry.server) == (account.login, account.server)]
    with transaction.atomic():
        imported = sum(_import(account, entry) for entry in own)
    if own and len(own) == len(entries):
        log.clear(entries)
    return imported


def _import(account: Account, entry: EmergencyEntry) -> bool:
    """Write an entry as what it was, an intent of a kill with one leg and one attempt."""
    known = {"account": account, "symbol": entry.symbol, "family": Family.REBALANCE, "cause": "kill"}
    cause_id = f"emergency {entry.number} {entry.at}"
    if Intent.objects.filter(**known, cause_id=cause_id).exists():
        return False
    counter, side, volume = EMERGENCY_COUNTER + entry.number, Side(entry.side), Decimal(entry.volume)
    intent = Intent.objects.create(
        **known,
        cause_id=cause_id,
        counter=counter,
        magic=encode_magic(Family.REBALANCE, counter),
        mode=account.mode,
        target_lots=0,
        from_lots=volume * (1 if side is Side.SELL else -1) if entry.call == "reduce" else 0,
        created_at=datetime.fromisoformat(entry.at),
    )
    leg = Leg(
        scene=Scene.CLOSE,
        symbol=entry.symbol,
        side=side,
        volume=volume,
        ticket=entry.ticket,
        reduces=True,
        sequence=0,
    )
    [record] = journal.record_legs(intent, [leg])
    attempt = Attempt.objects.create(
        leg=record,
        number=1,
        request={"call": entry.call, "ticket": entry.ticket, "volume": entry.volume, "magic": intent.magic},
        fence=0,
        boot=boot_id(),  # with the present time of this machine: its horizon begins at the latest it can have been sent
        market_at=clock.market_now(),
        sent_at=datetime.fromisoformat(entry.at),
    )
    FillRecord.objects.filter(account=account, magic=intent.magic, intent=None).update(intent=intent)
    if entry.result is not None:
        _settle(attempt, entry)
    return True


def _settle(attempt: Attempt, entry: EmergencyEntry) -> None:
    """Book the result that was written; one that was not, or is in doubt, is left to the venue's history."""
    result = entry.result or {}
    outcome, volume = Outcome(result["outcome"]), Decimal(result["volume"] if entry.call == "reduce" else 0)
    Attempt.objects.filter(pk=attempt.pk).update(
        outcome=outcome,
        retcode=result["retcode"],
        message=result["message"][:300],
        volume=volume,
        resolved_at=None if outcome is Outcome.AMBIGUOUS else clock.wall_now(),
    )
    if outcome is Outcome.AMBIGUOUS:
        journal.set_status(attempt.leg.intent, Intent.Status.AMBIGUOUS, reason="the outcome of a request is not known")
        return
    journal.add_fill(attempt.leg, volume)
    done = Intent.Status.DONE if outcome in (Outcome.OK, Outcome.NOOP) else Intent.Status.FAILED
    journal.set_status(attempt.leg.intent, done, reason="sent while the database took no row")
