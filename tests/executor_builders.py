"""Sessions of one symbol whose target a test sets, and the venue's own ledger as the judge of what they did."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import cycle, product
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import pytest

from execution.adjust import Adjuster
from execution.brokers.magic import Family, encode_magic
from execution.chaos.clock import VirtualClock
from execution.chaos.facts import Repeat
from execution.chaos.judge import TimeLine, Violation, judge
from execution.deciding import Moment, Wish
from execution.errors import ExecutionError
from execution.models import Attempt, Decision, Intent
from execution.planning.portfolio import ModelPosition, combine
from execution.planning.rounding import round_down_to_step
from execution.rearm import arm_checked
from execution.safety.control import State
from execution.safety.gate import Gate
from execution.sentinel import Sentinel
from execution.services import run_session_now
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.slots import slot_of
from execution.venue_guard import RECONCILE_EVERY_S
from market.models import Symbol
from market.terminal import calls
from market.terminal.local import LocalTransport
from ops import clock, runs
from ops.audit import SYSTEM
from ops.errors import DeskError
from ops.models import Run
from simulator import constants as mt5
from simulator import control, metatrader5, trading
from simulator.ledger import Deal, Ledger
from simulator.mounting import TERMINAL
from simulator.structs import TradeRequest
from tests.desk import START, Desk, open_desk

NAME = "BTCUSD"
MARGIN_MODES = ("hedging", "netting")
LONGEST_CALL_S = 10.0  # a call that hangs is given up by the terminal's guard
DEAD_S = 46.0  # after which a lease is free, a run that does not beat is dead, and a horizon is over


def on_accounts(cases: list[Any], n: int | None = None) -> list[Any]:
    """Return a kind of account and a case: a part that the seed draws, each on one kind in turn, or all on both."""
    if os.environ.get("CRASH_PAIRS") == "all":
        return list(product(MARGIN_MODES, cases))
    drawn = cases if n is None else Random(int(os.environ.get("CRASH_SEED", "1"))).sample(cases, n)
    return list(zip(cycle(MARGIN_MODES), drawn, strict=False))


def mostly_deep(cases: list[Any]) -> list[Any]:
    """Return the cases with seven of eight marked as deep: CI tries every eighth, `make deep` the rest."""
    return [case if i % 8 == 0 else pytest.param(*case, marks=pytest.mark.deep) for i, case in enumerate(cases)]


class JumpingClock(VirtualClock):
    """A virtual clock whose readings can be set apart, as those of real machines are."""

    def __init__(self, now: datetime, step: Callable[[datetime], None]) -> None:
        super().__init__(now, step)
        self.stood_s = 0.0  # how long the machine's own clock has stood still
        self.set_back = timedelta(0)  # how far somebody has turned the wall clock back

    def mono(self) -> float:
        return super().mono() - self.stood_s

    def wall_now(self) -> datetime:
        return super().wall_now() - self.set_back

    def jump(self, seconds: float) -> None:
        """Let the market's time pass, and none of the machine's: it was suspended."""
        self.sleep(seconds)
        self.stood_s += seconds


@contextmanager
def trading_desk(state_dir: Path, *, margin_mode: str) -> Iterator[Desk]:
    """Open a desk that trades one symbol on a virtual clock, and whose sessions need neither bars nor models."""
    with ExitStack() as stack:
        desk = stack.enter_context(open_desk(state_dir, margin_mode=margin_mode, armed=False))
        virtual = JumpingClock(clock.market_now(), control.step)
        stack.enter_context(clock.use(virtual))
        transport = LocalTransport.open("simulator.metatrader5", state_dir)  # held here, it is everybody's
        for owner, name in ((transport, "clock"), (calls, "server_now"), (transport.fence, "_now")):
            stack.enter_context(mock.patch.object(owner, name, virtual.mono))
        stack.enter_context(mock.patch.object(TERMINAL.player, "wait", lambda s: virtual.sleep(min(s, LONGEST_CALL_S))))
        arm_checked(SYSTEM, reason="a test", start=State.ARMED)
        for skipped in ("execution.sessions.hourly.update_all_data", "execution.sessions.rebalance.observe"):
            stack.enter_context(mock.patch(skipped))
        stack.enter_context(mock.patch("execution.rearm._data_checks", return_value=()))
        Symbol.objects.get_or_create(name=NAME, defaults={"binance_symbol": f"{NAME}T"})
        yield desk


def wait_until(moment: datetime) -> None:
    """Let virtual time pass until a moment, unless it has passed."""
    left = (moment - clock.market_now()).total_seconds()
    if left > 0:
        clock.sleep(left)


def session(hour: int, position_pct: float) -> None:
    """Run a slot's session towards a position; delivered again, or refused, it ends with an error of ours."""

    def wish(symbol: Symbol, moment: Moment) -> Wish:
        model = ModelPosition(strategy="test", variant="fixed", version="1", position_pct=position_pct)
        return Wish(bar_at=moment.bar_at, portfolio=combine([model], 1.0), missing=())

    slot = slot_of(START + timedelta(hours=hour - START.hour), slot_rule())
    wait_until(slot.at)
    run, _ = runs.create_run(JOB, slot.key)
    with mock.patch("execution.deciding.ask_models", wish), suppress(DeskError):
        run_session_now(run, list(Symbol.objects.filter(name=NAME)))


def trade(desk: Desk, lots: str, *, slot: str, gate: Gate | None = None, kind: str = "session") -> Decision:
    """Decide on a target and bring the symbol to it, as a session does without models; return what came of it."""
    plain = desk.target(NAME, lots, cause=slot)
    whole = round_down_to_step(plain.lots, plain.spec.volume_step)  # as sizing does
    plain = replace(
        plain,
        lots=whole if abs(whole) >= plain.spec.volume_min else Decimal(0),
        cause=replace(plain.cause, kind=kind),
    )
    row = Decision.objects.create(
        account=desk.account,
        symbol=NAME,
        slot=slot,
        bar_at=plain.terms.bar_at,
        market_at=clock.market_now(),
        sizing={"capital_per_asset": str(plain.terms.capital_per_asset)},
        target_lots=plain.lots,
        verdict="failed",
    )
    try:
        adjusted = Adjuster(desk.broker, desk.account, gate or desk.gate()).adjust(replace(plain, decision=row))
    except ExecutionError as error:
        row.blocker = str(error)
    else:
        is_held = adjusted.intent is None and adjusted.blocker == adjusted.plan.reason
        row.verdict = "hold" if is_held else "failed" if adjusted.blocker else "traded"
        row.blocker = "" if is_held else adjusted.blocker
    row.save()
    return row


def settle(rounds: int = 1) -> None:
    """Be a sentinel that starts when every lease and horizon is over; its first round reconciles twice."""
    sentinel = Sentinel()
    clock.sleep(DEAD_S)
    for _ in range(rounds):
        sentinel.round()
        clock.sleep(RECONCILE_EVERY_S + 1)


# --- the venue's ledger as the judge --------------------------------------------------------------------------------


def judged(
    desk: Desk, *, is_settled: bool = True, is_disturbed: bool = False, repeats: Sequence[Repeat] = ()
) -> list[Violation]:
    """Return every promise that was not kept, by the venue's own books and log."""
    sim_dir, course = desk.state_dir / "sim", {"is_settled": is_settled, "is_disturbed": is_disturbed}
    return judge(sim_dir, time_line=TimeLine.MARKET, repeats=repeats, **course)


def ledger() -> Ledger:
    return metatrader5.mounted_account().ledger


def venue_lots(symbol: str = NAME) -> Decimal:
    """Return what the ledger holds of a symbol, in signed lots."""
    held = [p for p in ledger().positions() if p.symbol == symbol]
    return sum((p.volume if p.type == mt5.POSITION_TYPE_BUY else -p.volume for p in held), Decimal(0))


def our_deals() -> list[Deal]:
    """Return what was executed for us, in the order in which it happened."""
    return [deal for deal in ledger().deals() if deal.symbol and deal.reason == mt5.DEAL_REASON_EXPERT]


def assert_nothing_is_left_open() -> None:
    """Nothing half-written is active: no request in doubt, no intent or run that has not ended."""
    assert not Attempt.objects.unresolved().exists()
    assert not Intent.objects.open().exists(), list(Intent.objects.open())
    assert not Run.objects.filter(status=Run.Status.RUNNING).exists()
    assert not ledger().orders()


def assert_at_target() -> None:
    """What the newest decision wants is what the venue holds."""
    decision = Decision.objects.latest("pk")
    assert decision.verdict in ("traded", "hold"), decision.blocker
    assert venue_lots() == decision.target_lots != 0


# --- others at the venue ---------------------------------------------------------------------------------------------


def resting_order(symbol: str, volume: float) -> None:
    """Let an order of ours wait far below the market, as if a request of long ago had left it there."""
    price = round(metatrader5.symbol_info_tick(symbol).bid * 0.8, 2)
    fields = dict.fromkeys(TradeRequest._fields, 0) | {"symbol": symbol, "volume": volume, "price": price}
    fields |= {"action": mt5.TRADE_ACTION_PENDING, "type": mt5.ORDER_TYPE_BUY_LIMIT, "comment": ""}
    fields |= {"type_filling": mt5.ORDER_FILLING_RETURN, "magic": encode_magic(Family.REBALANCE, 123_456)}
    placed = trading.send(metatrader5.mounted_account(), TradeRequest(**fields), 1)
    assert placed.retcode == mt5.TRADE_RETCODE_DONE, placed
