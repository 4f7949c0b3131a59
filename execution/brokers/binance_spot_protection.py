"""Stop and target of a spot position: an OCO, or one resting sale where there is only one of the two.

Resting sales bind what they would sell, so the old ones must go before new ones can come. Whenever what should follow
does not, the old levels are placed again on what is free.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Protocol

from execution.brokers.base import Permit, SendResult
from execution.brokers.binance_account import EndedError
from execution.brokers.binance_fence import FenceRefusedError
from execution.brokers.binance_http import HttpReply
from execution.brokers.binance_ids import LIST, STOP, TARGET, resting_id_of
from execution.brokers.binance_parse import Resting, SymbolRules, parse_report, protects
from execution.brokers.binance_parse_spot import SpotAccount, parse_order_list
from execution.brokers.binance_replies import Sent, already_so, done
from execution.brokers.binance_requests import plain_number
from execution.brokers.binance_wire import BinanceWire
from execution.errors import BrokerError, ConfigError
from execution.planning.orders import OrderKind, Position, Side
from execution.safety.outcomes import Outcome, RequestAction

log = logging.getLogger("binance")
OCO = "privatePostOrderListOco"
Levels = tuple[Decimal | None, Decimal | None]  # stop, target
STOP_KINDS = frozenset({OrderKind.STOP, OrderKind.STOP_LIMIT})


class Account(Protocol):
    """What the keeper needs of the adapter."""

    wire: BinanceWire

    def _account(self) -> SpotAccount: ...
    def _cancel(self, resting: Resting, permit: Permit) -> SendResult: ...
    def _later(self, permit: Permit) -> Permit: ...
    def _moment(self) -> float: ...
    def _send(
        self, endpoint: str, parameters: dict[str, Any], permit: Permit, *, action: RequestAction, reduces: bool
    ) -> tuple[HttpReply, Sent]: ...
    def _understood(self, parse: Callable[[Any], Any], reply: HttpReply, sent: Sent) -> Any: ...


def tied(resting: Resting, ticket: int) -> Resting:
    """Return an order with the ticket of the position that it ends: a sale that is our stop or target, or an OCO's."""
    if resting.order.side is not Side.SELL or not protects(resting):
        return resting
    return replace(resting, order=replace(resting.order, position_ticket=ticket, protects=True))


def levels_of(resting: Iterable[Resting]) -> Levels:
    """Return the stop and the target that rest for a position, None for each that does not."""
    ending = [one for one in resting if one.order.position_ticket]
    stops = [one.level for one in ending if not one.is_target and one.order.kind in STOP_KINDS]
    targets = [one.level for one in ending if one.is_target]
    return max(stops, default=None), min(targets, default=None)


@dataclass(frozen=True, slots=True)
class OcoKeeper:
    """Replaces, lifts and puts back what rests for one position."""

    account: Account
    position: Position
    rules: SymbolRules
    resting: tuple[Resting, ...]

    def replace(self, stop: Decimal | None, target: Decimal | None, permit: Permit) -> SendResult:
        """Let the position have this stop and target, and no other.

        Raises
        ------
        EndedError
            With what became of it; the old levels rest again where the new ones are proven not to.
        """
        wanted = (self._on_tick(stop), self._on_tick(target))
        if wanted == levels_of(self.resting) and self._covers():
            return already_so(self.account._moment(), f"{self.position.symbol} has this stop and target already")
        result = self._take_back(permit)
        if wanted == (None, None):
            return result
        try:
            return self._place(wanted, permit)
        except (EndedError, FenceRefusedError, BrokerError) as error:
            if not (isinstance(error, EndedError) and error.result.outcome is Outcome.AMBIGUOUS):
                self._put_back(permit)
            raise

    @contextmanager
    def lifted(self, permit: Permit) -> Iterator[None]:
        """Take everything back for the block; afterwards the levels rest again on what is left."""
        self._take_back(permit)
        try:
            yield
        finally:
            self._put_back(permit)

    def _covers(self) -> bool:
        """Tell whether what rests would sell all that can be sold."""
        least = min((one.order.volume_left for one in self.resting), default=Decimal(0))
        return not self.resting or least == self.position.volume

    def _take_back(self, permit: Permit) -> SendResult:
        """Cancel what rests; the two legs of an OCO go with one request."""
        result = already_so(self.account._moment(), f"nothing rests for {self.position.symbol}")
        groups = {(one.list_id, one.order.order_id if one.list_id < 0 else 0): one for one in self.resting}
        for one in groups.values():
            result = self.account._cancel(one, permit)
        return result

    def _put_back(self, permit: Permit) -> None:
        """Place the old levels again. A failure is told, and the sweep for naked positions finds it."""
        levels = levels_of(self.resting)
        try:
            if levels == (None, None) or self._free() <= 0:
                return
            self._place(levels, self.account._later(permit))
        except (EndedError, FenceRefusedError, BrokerError, ConfigError) as error:
            log.warning("the stop of %s could not be put back: %s", self.position.symbol, error)

    def _place(self, levels: Levels, permit: Permit) -> SendResult:
        """Place levels on what is free, which after a buy is what was filled less the fee."""
        free = self._free()
        if free <= 0:
            raise ValueError(f"nothing of {self.position.symbol} is free to be protected")
        endpoint, parameters = self._request(levels, min(free, self.position.volume), permit)
        reply, sent = self.account._send(
            endpoint, parameters, permit, action=RequestAction.PROTECT, reduces=permit.reduce
        )
        parse = parse_order_list if endpoint == OCO else parse_report
        self.account._understood(parse, reply, sent)
        return done(reply, sent, name="PROTECTED")

    def _free(self) -> Decimal:
        return self.rules.floor(self.account._account().free.get(self.rules.base, Decimal(0)))

    def _request(self, levels: Levels, volume: Decimal, permit: Permit) -> tuple[str, dict[str, Any]]:
        stop, target = levels
        common = {"symbol": self.position.symbol, "side": Side.SELL.name, "quantity": plain_number(volume)}
        common |= {"newOrderRespType": "RESULT"}  # else a stop's answer says no more than its number
        if stop is not None and target is not None:
            return OCO, common | self._oco(stop, target, permit)
        if stop is not None:
            kind = {"type": "STOP_LOSS", "stopPrice": plain_number(stop), "newClientOrderId": self._id(STOP, permit)}
        else:
            level = plain_number(target or Decimal(0))
            kind = {"type": "LIMIT_MAKER", "price": level, "newClientOrderId": self._id(TARGET, permit)}
        return "privatePostOrder", common | kind

    def _oco(self, stop: Decimal, target: Decimal, permit: Permit) -> dict[str, Any]:
        return {
            "listClientOrderId": self._id(LIST, permit),
            "aboveType": "LIMIT_MAKER",
            "abovePrice": plain_number(target),
            "aboveClientOrderId": self._id(TARGET, permit),
            "belowType": "STOP_LOSS",  # at market: a stop with a limit can be jumped over
            "belowStopPrice": plain_number(stop),
            "belowClientOrderId": self._id(STOP, permit),
        }

    def _id(self, role: str, permit: Permit) -> str:
        return resting_id_of(self.position.magic, role, self.account.wire.ms_at(permit.not_after))

    def _on_tick(self, level: Decimal | None) -> Decimal | None:
        if level is None:
            return None
        return (level / self.rules.tick).to_integral_value(rounding=ROUND_HALF_EVEN) * self.rules.tick
