"""The session of every slot of a period, one after the other, on a simulated world in this process.

A backtest by the very code that trades: only the broker and the clock are others. It writes decisions, orders and fills
as the live session does, so it needs a state of its own, which ``sandbox`` makes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from execution.brokers.base import Broker
from execution.errors import ConfigError, ExecutionError, RiskRefusedError
from execution.guarding import guard_account
from execution.models import Decision, EquityPoint, FillRecord
from execution.rearm import arm_checked
from execution.safety import killswitch
from execution.safety.control import State
from execution.safety.flatten import flatten_round
from execution.safety.reconcile import reconcile
from execution.services import run_session_now
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.slots import HOUR, Slot, slot_of
from execution.wire import the_broker
from market.symbols import chosen_symbols
from market.updating import update_all_data
from ops import clock, runs
from ops.audit import SYSTEM
from ops.clock import SimulatedClock
from ops.progress import Progress

BRIDGE = "module:simulator.metatrader5"
# By name: nothing here imports the outside world.
OPEN_WORLD, STEP = "simulator.stepped.stepped_world", "simulator.control.step"


class ReplayClock(SimulatedClock):
    """Time that passes only when somebody waits: the machine's, and the market's with it."""

    def __init__(self, path: Path, step: Callable[[datetime], None]) -> None:
        super().__init__(path)
        self._step = step
        self._slept = 0.0

    def mono(self) -> float:
        return super().mono() + self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += seconds
        self._step(self.market_now() + timedelta(seconds=seconds))

    def sleep_until(self, moment: datetime) -> None:
        """Let time pass until a moment of the market."""
        left_s = (moment - self.market_now()).total_seconds()
        if left_s > 0:
            self.sleep(left_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of a period: verdicts by name, the account after each slot, and every deal of the venue."""

    slots: int
    verdicts: dict[str, int]
    equity: tuple[dict[str, Any], ...]
    fills: tuple[dict[str, Any], ...]

    def as_data(self) -> dict[str, Any]:
        """Return the document of ``session_replay/1``."""
        return {
            "slots": self.slots,
            "verdicts": self.verdicts,
            "equity": list(self.equity),
            "fills": list(self.fills),
        }


def replay_slots(begin: datetime, end: datetime, *, progress: Progress) -> Replayed:
    """Run the session of every slot whose hour is in ``[begin, end)``.

    Raises
    ------
    ConfigError
        This state trades elsewhere, or has traded already.
    ExecutionError
        A session could not be run at all; one that skips a symbol goes on.
    """
    require_own_state()
    slots = slots_between(begin, end)
    progress.start(len(slots), "bringing bars in")
    with stepped_desk() as (broker, time):
        points = tuple(_pass(slot, broker, time, progress) for slot in slots)
    verdicts = Counter(Decision.objects.values_list("verdict", flat=True))
    return Replayed(slots=len(slots), verdicts=dict(verdicts), equity=points, fills=tuple(_fills()))


def require_own_state() -> None:
    """Refuse to replay where anything real could be reached or mixed up."""
    if settings.TRADING_MODE != "demo" or settings.MT5_BRIDGE != BRIDGE:
        raise ConfigError(f"a replay needs TRADING_MODE=demo and MT5_BRIDGE={BRIDGE}: `backtest_run` sets them")
    if Decision.objects.exists() or EquityPoint.objects.exists():
        raise ConfigError("a replay needs a state that has not traded: `backtest_run` makes one")


def slots_between(begin: datetime, end: datetime) -> list[Slot]:
    """Return the slots whose hour is in ``[begin, end)``, in the order in which they act."""
    rule, n_hours = slot_rule(), int((end - begin) / HOUR)
    return [slot_of(begin + HOUR * i, rule) for i in range(n_hours)]


@contextmanager
def stepped_desk() -> Iterator[tuple[Broker, ReplayClock]]:
    """Open the simulated world that the environment describes, with bars, and armed."""
    step: Callable[[datetime], None] = import_string(STEP)
    time = ReplayClock(Path(settings.SIM_DIR) / "clock.json", step)
    with import_string(OPEN_WORLD)(run_dir=settings.RUN_DIR), clock.use(time), the_broker() as broker:
        failures = update_all_data().failures
        if failures:
            raise ExecutionError(f"bars could not be brought in: {failures[0]}")
        reconcile(broker)
        arm_checked(SYSTEM, reason="a replay", start=State.ARMED)
        yield broker, time


def _pass(slot: Slot, broker: Broker, time: ReplayClock, progress: Progress) -> dict[str, Any]:
    """Let time pass to a slot, guard the account as the sentinel does, run the session, and look again."""
    time.sleep_until(slot.at)
    _guard(broker)
    refused = _run_session(slot)
    snapshot = broker.account()
    progress.advance(slot.key)
    return {
        "slot": slot.key,
        "at": clock.market_now(),
        "equity": str(snapshot.equity),
        "balance": str(snapshot.balance),
        "refused": refused,
    }


def _guard(broker: Broker) -> None:
    account, kill = guard_account(broker), killswitch.running_kill()
    if kill:
        flatten_round(broker, account, kill)


def _run_session(slot: Slot) -> str:
    """Run a slot's session as the trader's queue does; return what refused it, as after a kill by a loss limit."""
    run, _ = runs.create_run(JOB, slot.key)
    try:
        run_session_now(run, chosen_symbols())
    except RiskRefusedError as error:
        return str(error)
    return ""


def _fills() -> Iterator[dict[str, Any]]:
    rows = FillRecord.objects.exclude(symbol="").select_related("intent").order_by("deal_id")
    for fill in rows:
        yield {
            "slot": fill.intent.cause_id if fill.intent else "",
            "at": fill.at,
            "symbol": fill.symbol,
            "side": fill.side,
            "entry": fill.entry,
            "volume": _plain(fill.volume),
            "price": _plain(fill.price),
            "profit": str(fill.profit),
            "commission": str(fill.commission),
            "swap": str(fill.swap),
            "position": fill.position_id,
        }


def _plain(value: Decimal) -> str:
    """Return a number as text without the zeros that its column adds."""
    return f"{value.normalize():f}"
