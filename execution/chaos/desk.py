"""A whole desk in this process on the virtual clock: the simulated world, a queue in a list, nothing left to chance."""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from execution.bot.enrolling import SYMBOLS, enrol, train_filters
from execution.chaos.clock import VirtualClock
from execution.chaos.facts import is_the_bots
from execution.errors import ConfigError, ExecutionError
from execution.models import Decision, RebalanceSettings
from execution.sentinel import Sentinel
from market.symbols import default_symbols
from market.terminal import calls
from market.terminal.local import LocalTransport
from market.updating import update_all_data
from mlfilter.filters import active_filter
from mlfilter.models import current_settings
from ops import clock, queues
from ops.audit import SYSTEM
from strategies.fitting import fit_models
from strategies.services import sync_default_plan

MODULE = "simulator.metatrader5"
BRIDGE = f"module:{MODULE}"
# By name: nothing here imports the outside world.
OPEN_WORLD, STEP = "simulator.stepped.stepped_world", "simulator.control.step"
TERMINAL, FAULT_PLAN = "simulator.mounting.TERMINAL", "simulator.faults.FaultPlan"
SWITCH_ON, SWITCH_OFF = "simulator.faults.switch_on", "simulator.faults.switch_off"
ACCOUNT = "simulator.mounting.mounted_account"
READ_FAULTS, BY_HAND, LEVELS_BY_HAND = "simulator.faults.read_log", "simulator.hand.trade", "simulator.hand.set_levels"
JOBS = (".session_job", ".bot_job")  # what the trader does here
SIZING_CAPITAL = Decimal(60_000)  # enough for orders of several steps, which can be filled in part
LONGEST_CALL_S = 10.0  # a call that hangs is given up by the terminal's guard


@dataclass
class VirtualDesk:
    """What a run works with.

    Attributes
    ----------
    queue : deque
        Calls that wait for the trader: dotted function and arguments.
    sentinel : Sentinel
        The process of that name; a new one after it died.
    """

    clock: VirtualClock
    sim_dir: Path
    queue: deque[tuple[str, tuple[Any, ...]]] = field(default_factory=deque)
    sentinel: Sentinel = field(default_factory=Sentinel)

    def switch_faults(self, plan: str) -> None:
        """Play a plan of faults, given as JSON, from now on; an empty one ends them."""
        if plan:
            import_string(SWITCH_ON)(self.sim_dir, import_string(FAULT_PLAN).from_json(plan))
        else:
            import_string(SWITCH_OFF)(self.sim_dir)

    def faults(self) -> list[dict[str, Any]]:
        """Return what was played, oldest first."""
        log: list[dict[str, Any]] = import_string(READ_FAULTS)(self.sim_dir)
        return log

    def n_requests(self) -> int:
        """Return how many trade requests have reached the venue."""
        return int(import_string(ACCOUNT)().ledger.meta("requests"))

    def trade_by_hand(self, symbol: str, side: str, volume: Decimal, *, position: int = 0) -> int:
        """Trade as a person does in the terminal's own window, and return the venue's code."""
        retcode: int = import_string(BY_HAND)(symbol, side, float(volume), position=position)
        return retcode

    def positions(self) -> list[Any]:
        """Return the positions in the venue's books."""
        return list(import_string(ACCOUNT)().ledger.positions())

    def naked(self) -> list[int]:
        """Return the tickets of the bot's positions that have no stop in the venue's books."""
        return [p.ticket for p in self.positions() if is_the_bots(p.magic) and not p.sl > 0]

    def take_stop_by_hand(self, symbol: str, ticket: int) -> int:
        """Take a position's stop and target away in the terminal's own window, and return the venue's code."""
        retcode: int = import_string(LEVELS_BY_HAND)(symbol, ticket)
        return retcode

    def _enqueue(self, function: str, *args: Any, queue: str) -> None:
        if queue == queues.TRADING and function.endswith(JOBS):
            self.queue.append((function, args))


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Give an object another attribute for the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def require_own_state() -> None:
    """Refuse to run where anything real could be reached or mixed up."""
    if settings.TRADING_MODE != "demo" or settings.MT5_BRIDGE != BRIDGE:
        raise ConfigError(f"this needs TRADING_MODE=demo and MT5_BRIDGE={BRIDGE}: `chaos_run` sets them")
    if Decision.objects.exists():
        raise ConfigError("this needs a state that has not traded: `chaos_run` makes one")


@contextmanager
def virtual_desk(seed: int) -> Iterator[VirtualDesk]:
    """Open a desk with history, fitted models and the simulated world that the environment describes.

    Raises
    ------
    ExecutionError
        The history could not be brought in, or a model not be fitted.
    """
    step: Callable[[datetime], None] = import_string(STEP)
    with import_string(OPEN_WORLD)(run_dir=settings.RUN_DIR) as world, ExitStack() as stack:
        now = datetime.fromtimestamp(world.clock.now_ms() / 1000, UTC)
        virtual = VirtualClock(now, step)
        desk = VirtualDesk(clock=virtual, sim_dir=Path(settings.SIM_DIR))
        stack.enter_context(clock.use(virtual))
        stack.enter_context(_everything_virtual(desk, seed))
        _fill()
        yield desk


@contextmanager
def _everything_virtual(desk: VirtualDesk, seed: int) -> Iterator[None]:
    """Put the fence, calls that hang, the queue and all chance on the virtual clock and the seed."""
    chance = random.Random(f"ids {seed}")  # noqa: S311 - chance, not secrecy
    # Held here, this one is what every client of the module in this process gets.
    transport = LocalTransport.open(MODULE, Path(settings.STATE_DIR))
    player = import_string(TERMINAL).player
    with ExitStack() as stack:
        stack.enter_context(replaced(transport, "clock", desk.clock.mono))
        stack.enter_context(replaced(calls, "server_now", desk.clock.mono))
        stack.enter_context(replaced(transport.fence, "_now", desk.clock.mono))
        stack.enter_context(replaced(player, "wait", lambda s: desk.clock.sleep(min(s, LONGEST_CALL_S))))
        stack.enter_context(replaced(queues, "enqueue", desk._enqueue))
        stack.enter_context(replaced(queues, "send_beat", lambda queue: False))  # a list needs no sign of life
        stack.enter_context(replaced(uuid, "uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4)))
        yield


def _fill() -> None:
    """Bring in symbols, history, plan and models, as a new desk does once."""
    default_symbols()
    RebalanceSettings.load()
    RebalanceSettings.objects.update(sizing_capital=SIZING_CAPITAL)
    failures = update_all_data().failures
    if failures:
        raise ExecutionError(f"bars could not be brought in: {failures[0]}")
    sync_default_plan()
    failed = fit_models(actor=SYSTEM).failed
    if failed:
        raise ExecutionError(f"a model could not be fitted: {failed[0]}")
    _enrol_bot()


def _enrol_bot() -> None:
    """Let the bot watch symbols of its own where the account lets it, each with a filter."""
    for name in enrol([name for name, _ in SYMBOLS]):
        train_filters()
        if active_filter(name, current_settings().interval) is None:
            raise ExecutionError(f"no filter could be trained for {name}: see the log")
