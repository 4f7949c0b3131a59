"""Plain objects in place of what a gate asks: broker, journal, control, leases and locks."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from execution.brokers.base import OrderTicket, Permit, Reduction, SendResult
from execution.errors import BrokerUnavailableError
from execution.planning.orders import Side
from execution.safety import gate as gate_module
from execution.safety.armed import ArmedMark
from execution.safety.control import Control, Needed, State
from execution.safety.gate import Gate, Terms
from execution.safety.outcomes import Outcome
from execution.safety.reads import VenueReads
from execution.safety.risk import Exposure, Limits, RequestCounts
from execution.safety.risk.hours import QuietHours
from tests.execution_builders import D, make_account, make_budgets, make_position, make_quote, make_spec

NOW = datetime(2025, 3, 3, 12, 0, 30, tzinfo=UTC)
NEWEST_CLOSED = datetime(2025, 3, 3, 11, tzinfo=UTC)
MARK = ArmedMark(login=1001, server="Broker-Demo")
DONE = SendResult(outcome=Outcome.OK, retcode=10009, retcode_name="DONE", message="", sent_mono=100.5, volume=D("0.1"))
ENTRY = Terms(needed=Needed.ENTER, plan_price=D(60_000), capital_per_asset=D(30_000), bar_at=NEWEST_CLOSED)
BEFORE_A_SEND = [
    "lock gate.lock for 15 s",
    "read BTCUSD",
    "doubt",
    "rules",
    "stamp",
    "state",
    "armed",
    "renew for 30 s",
]


class Desk:
    """Everything around a gate. ``steps`` is what was done, in order; the rest is what each part will answer."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.reads = VenueReads(
            account=make_account(),
            positions=(),
            orders=(),
            spec=make_spec(),
            quote=make_quote(at=NOW),
            mono=500.0,
        )
        self.exposure = Exposure()
        self.state = State.ARMED
        self.reason = ""
        self.mark: ArmedMark | None = MARK
        self.renewed = True
        self.newest_token: int | None = 41
        self.result = DONE
        self.lock_is_free = True
        self.can_journal = True
        self.in_doubt = False
        self.budgets = make_budgets()
        self.quiet_hours: tuple[QuietHours, ...] = ()
        self.asked: dict[str, Any] = {}
        self.gate = Gate(self, SimpleNamespace(login=1001, server="Broker-Demo"), lease=SimpleNamespace(token=7))

    # What the gate asks of a broker.

    def stamp(self) -> float:
        self.steps.append("stamp")
        return 100.0

    def submit(self, order: OrderTicket, permit: Permit) -> SendResult:
        return self._sent("submit", order, permit)

    def reduce(self, order: Reduction, permit: Permit) -> SendResult:
        return self._sent("reduce", order, permit)

    def cancel(self, order_id: int, permit: Permit) -> SendResult:
        return self._sent("cancel", order_id, permit)

    def _sent(self, call: str, order: Any, permit: Permit) -> SendResult:
        self.steps.append(call)
        self.asked |= {"order": order, "permit": permit}
        return self.result

    # What stands in for the gate's own neighbours.

    @contextmanager
    def file_lock(self, path: Path, *, timeout_s: float, mono: object, sleep: object):
        self.steps.append(f"lock {path.name} for {timeout_s:g} s")
        self.asked["lock"] = path
        if not self.lock_is_free:
            raise BrokerUnavailableError("somebody holds the lock")
        yield
        self.steps.append("unlock")

    def read_venue(self, broker: object, symbol: str) -> VenueReads:
        self.steps.append(f"read {symbol}")
        return self.reads

    def possible_exposure(self, broker: object, reads: VenueReads, *, ticket: int | None) -> Exposure:
        self.asked["ticket"] = ticket
        return self.exposure

    def evaluate(self, request: Any, context: Any) -> Any:
        self.steps.append("rules")
        self.asked |= {"judged": request, "context": context}
        return EVALUATE(request, context)

    def current_control(self, *, family: str, symbol: str) -> Control:
        self.steps.append("state")
        self.asked["scopes"] = (family, symbol)
        return Control(state=self.state, scope="system", reason=self.reason)

    def armed_mark(self) -> ArmedMark | None:
        self.steps.append("armed")
        return self.mark

    def renew(self, lease: Any, *, ttl_s: float) -> bool:
        self.steps.append(f"renew for {ttl_s:g} s")
        return self.renewed

    IN_DOUBT = "nobody knows"

    def is_in_doubt(self, account: object, symbol: str) -> bool:
        self.steps.append("doubt")
        self.asked["doubt"] = (account, symbol)
        return self.in_doubt

    def begin_attempt(self, leg: object, **what: Any) -> str:
        self.steps.append("journal")
        if not self.can_journal:
            raise OSError("the disk is full")
        self.asked |= what
        return "attempt 1"

    def finish_attempt(self, attempt: str, result: SendResult) -> None:
        self.steps.append(f"answer to {attempt}")
        self.asked["stored"] = result

    def watch_requests(self, result: SendResult) -> None:
        self.steps.append("breaker")

    def lease_rows(self) -> SimpleNamespace:
        """Return rows of leases, of which only the trader's has a token."""

        def values_list(name: str, *, flat: bool) -> SimpleNamespace:
            token = self.newest_token if name == "token" else "another field"
            return SimpleNamespace(first=lambda: token if flat else (token,))

        def named(name: str) -> SimpleNamespace:
            assert name == "trader"
            return SimpleNamespace(values_list=values_list)

        return SimpleNamespace(objects=SimpleNamespace(filter=named))


EVALUATE = gate_module.evaluate


def around_the_gate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Desk:
    """Return a desk whose parts stand in for everything that the gate asks."""
    desk = Desk()
    own = ("file_lock", "read_venue", "possible_exposure", "evaluate", "current_control", "armed_mark")
    for name in (*own, "watch_requests"):
        monkeypatch.setattr(gate_module, name, getattr(desk, name))
    monkeypatch.setattr(gate_module, "journal", desk)
    monkeypatch.setattr(gate_module, "leases", desk)
    monkeypatch.setattr(gate_module, "Lease", desk.lease_rows())
    monkeypatch.setattr(gate_module, "settings", SimpleNamespace(SAFETY_DIR=str(folder)))
    monkeypatch.setattr(gate_module, "connection", SimpleNamespace(in_atomic_block=False))
    clock = SimpleNamespace(market_now=lambda: NOW, mono=lambda: 500.5, sleep=None)
    monkeypatch.setattr(gate_module, "clock", clock)
    monkeypatch.setattr(gate_module, "current_limits", Limits)
    monkeypatch.setattr(gate_module, "current_quiet_hours", lambda: desk.quiet_hours)
    monkeypatch.setattr(gate_module, "loss_budgets", lambda *of, balance: desk.budgets)
    none_sent = RequestCounts(orders_last_minute=0, orders_today=0, requests_today=0)
    monkeypatch.setattr(gate_module, "request_counts", lambda now: none_sent)
    return desk


def make_leg(lots: str = "0.1", *, filled: str = "0", **changes: Any) -> SimpleNamespace:
    """Return a leg of signed lots as the journal has it."""
    signed = D(lots)
    intent = SimpleNamespace(symbol="BTCUSD", family="rebalance", counter=12, magic=7_000_012)
    values = {"side": Side.of(signed).value, "volume": abs(signed), "filled": D(filled), "reduces": False}
    return SimpleNamespace(**{"intent": intent, "ticket": None, "scene": "new"} | values | changes)


def make_close(lots: str = "-0.1", **changes: Any) -> SimpleNamespace:
    return make_leg(lots, **{"reduces": True, "ticket": 1, "scene": "close"} | changes)


def reducing(needed: Needed = Needed.REDUCE) -> Terms:
    return Terms(needed=needed, plan_price=D(60_000))


def hold(desk: Desk, lots: str, *, ticket: int = 1) -> None:
    position = make_position(lots, ticket=ticket)
    side = {"long_lots": position.volume} if position.side is Side.BUY else {"short_lots": position.volume}
    desk.reads = replace(desk.reads, positions=(position,))
    desk.exposure = Exposure(ticket_lots=position.volume, ticket_side=position.side, n_positions=1, **side)


def nothing_was_sent(desk: Desk) -> bool:
    return not {"journal", "submit", "reduce", "cancel"} & set(desk.steps)
