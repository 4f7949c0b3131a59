"""Stop and target of a futures position: two conditional orders that close all of it, whatever its size has become."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Protocol

from execution.brokers.base import Permit, SendResult
from execution.brokers.binance_account import EndedError
from execution.brokers.binance_fence import FenceRefusedError
from execution.brokers.binance_http import HttpReply
from execution.brokers.binance_ids import STOP, TARGET, resting_id_of
from execution.brokers.binance_parse import Resting, SymbolRules, protects
from execution.brokers.binance_parse_futures import parse_algo_order
from execution.brokers.binance_replies import Sent, already_so, done
from execution.brokers.binance_requests import plain_number
from execution.brokers.binance_wire import BinanceWire
from execution.errors import BrokerError, ConfigError
from execution.planning.orders import Position
from execution.safety.outcomes import Outcome, RequestAction

log = logging.getLogger("binance")
Levels = tuple[Decimal | None, Decimal | None]  # stop, target
KINDS = {STOP: "STOP_MARKET", TARGET: "TAKE_PROFIT_MARKET"}
ONE_ALREADY_RESTS = -4130  # the venue takes one closing order of a kind and direction


class Account(Protocol):
    """What the keeper needs of the adapter."""

    wire: BinanceWire

    def _cancel(self, resting: Resting, permit: Permit) -> SendResult: ...
    def _later(self, permit: Permit) -> Permit: ...
    def _moment(self) -> float: ...
    def _send(
        self, endpoint: str, parameters: dict[str, Any], permit: Permit, *, action: RequestAction, reduces: bool
    ) -> tuple[HttpReply, Sent]: ...
    def _understood(self, parse: Callable[[Any], Any], reply: HttpReply, sent: Sent) -> Any: ...


def tied(resting: Resting, ticket: int) -> Resting:
    """Return an order with the ticket of the position that it ends, if it is one that only ends."""
    if not protects(resting):
        return resting
    return replace(resting, order=replace(resting.order, position_ticket=ticket, protects=True))


def levels_of(resting: Iterable[Resting]) -> Levels:
    """Return the stop and the target that rest for a position, None for each that does not."""
    ending = [one for one in resting if one.closes_all]
    stops = [one.level for one in ending if one.kind == KINDS[STOP]]
    targets = [one.level for one in ending if one.kind == KINDS[TARGET]]
    return (stops[0] if stops else None, targets[0] if targets else None)


@dataclass(frozen=True, slots=True)
class AlgoKeeper:
    """Replaces and takes away what rests for one position."""

    account: Account
    position: Position
    rules: SymbolRules
    resting: tuple[Resting, ...]
    position_side: str  # BOTH; LONG or SHORT in hedge mode

    def replace(self, stop: Decimal | None, target: Decimal | None, permit: Permit) -> SendResult:
        """Let the position have this stop and target, and no other; the stop comes first.

        Raises
        ------
        EndedError
            The first of the two that failed: what it was to replace still rests.
        """
        result = already_so(self.account._moment(), f"{self.position.symbol} has this stop and target already")
        for role, level in ((STOP, stop), (TARGET, target)):
            result = self._set(role, self._on_tick(level), permit) or result
        return result

    def sweep(self, permit: Permit) -> None:
        """Take everything away after a whole close. What stays is told, and is taken back by hand or by a kill."""
        for one in self.resting:
            try:
                self.account._cancel(one, permit)
            except (EndedError, FenceRefusedError, BrokerError, ConfigError) as error:
                log.warning("order %s of %s could not be taken back: %s", one.client_id, one.order.symbol, error)

    def _set(self, role: str, level: Decimal | None, permit: Permit) -> SendResult | None:
        """Let one of the two be at a level; None when it is there already."""
        old = [one for one in self.resting if one.kind == KINDS[role]]
        if [one.level for one in old] == ([level] if level is not None else []):
            return None
        result = None
        if level is not None:
            result, old = self._place(role, level, old, permit)
        for one in old:
            result = self.account._cancel(one, permit if level is None else self.account._later(permit))
        return result

    def _place(self, role: str, level: Decimal, old: list[Resting], permit: Permit) -> tuple[SendResult, list[Resting]]:
        """Place the new one, and return with it what is still to be taken back."""
        try:
            return self._send(role, level, permit), old
        except EndedError as ended:
            if ended.result.retcode != ONE_ALREADY_RESTS or not old:
                raise
        # The venue takes no second one beside the old: for a moment there is none, and the old one is put back.
        for one in old:
            self.account._cancel(one, permit)
        try:
            return self._send(role, level, permit), []
        except (EndedError, FenceRefusedError, BrokerError) as error:
            if not (isinstance(error, EndedError) and error.result.outcome is Outcome.AMBIGUOUS):
                self._put_back(role, old[0].level, permit)
            raise

    def _put_back(self, role: str, level: Decimal, permit: Permit) -> None:
        try:
            self._send(role, level, self.account._later(permit))
        except (EndedError, FenceRefusedError, BrokerError, ConfigError) as error:
            log.warning("the old level of %s could not be put back: %s", self.position.symbol, error)

    def _send(self, role: str, level: Decimal, permit: Permit) -> SendResult:
        parameters = {
            "algoType": "CONDITIONAL",
            "symbol": self.position.symbol,
            "side": self.position.side.opposite.name,
            "positionSide": self.position_side,
            "type": KINDS[role],
            "triggerPrice": plain_number(level),
            "workingType": "CONTRACT_PRICE",
            "closePosition": "true",
            "clientAlgoId": resting_id_of(self.position.magic, role, self.account.wire.ms_at(permit.not_after)),
        }
        reply, sent = self.account._send(
            "fapiPrivatePostAlgoOrder", parameters, permit, action=RequestAction.PROTECT, reduces=permit.reduce
        )
        placed: Resting = self.account._understood(parse_algo_order, reply, sent)
        return done(reply, sent, name="PROTECTED", order_id=placed.order.order_id)

    def _on_tick(self, level: Decimal | None) -> Decimal | None:
        if level is None:
            return None
        return (level / self.rules.tick).to_integral_value(rounding=ROUND_HALF_EVEN) * self.rules.tick
