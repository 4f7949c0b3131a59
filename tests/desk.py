"""A whole desk in one process for tests: simulated terminal, stepped market clock, armed account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from django.test import override_settings

from execution.adjust import Adjusted, Adjuster, Target
from execution.brokers.base import Broker
from execution.models import Account
from execution.rearm import arm_checked
from execution.safety.control import Needed, State
from execution.safety.gate import LEASE_TTL_S, TRADER_LEASE, Gate, Terms
from execution.safety.journal import Cause
from execution.safety.reconcile import current_account, reconcile
from execution.services import run_session_now
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.reports import SessionReport
from execution.sessions.slots import HOUR, floor_hour, slot_of
from execution.wire import connect_broker
from market.models import Symbol
from market.symbols import chosen_symbols
from market.updating import update_all_data
from ops import clock, leases, runs
from ops.audit import SYSTEM
from ops.clock import SimulatedClock
from simulator import control, metatrader5
from simulator.config import SimConfig
from simulator.exchange import ExchangeServer
from simulator.world import World
from strategies.fitting import fit_models
from strategies.services import sync_default_plan

START = datetime(2026, 1, 5, 8, tzinfo=UTC)


class SteppedClock(SimulatedClock):
    """The simulator's market clock, and a machine clock that passes at once when somebody waits for it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.slept = 0.0

    def mono(self) -> float:
        return super().mono() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


@dataclass
class Desk:
    """What a test of execution works with."""

    world: World
    clock: SteppedClock
    broker: Broker
    account: Account
    state_dir: Path
    exchange: ExchangeServer

    def step(self, delta: timedelta) -> None:
        """Let market time pass."""
        control.step(clock.market_now() + delta)

    def gate(self, *, holder: str = "test") -> Gate:
        """Return the gate of a trader that holds the lease."""
        held = leases.acquire(TRADER_LEASE, holder=holder, ttl_s=LEASE_TTL_S)
        return Gate(self.broker, self.account, lease=held)

    def adjust(self, symbol: str, lots: str, *, cause: str = "slot 1", gate: Gate | None = None) -> Adjusted:
        """Bring a symbol to so many lots, as a session would."""
        adjuster = Adjuster(self.broker, self.account, gate or self.gate())
        return adjuster.adjust(self.target(symbol, lots, cause=cause))

    def target(self, symbol: str, lots: str, *, cause: str = "slot 1") -> Target:
        quote = self.broker.quote(symbol)
        return Target(
            symbol=symbol,
            lots=Decimal(lots),
            spec=self.broker.spec(symbol),
            snapshot=self.broker.account(),
            cause=Cause(family="rebalance", kind="session", id=cause),
            terms=Terms(
                needed=Needed.ENTER,
                plan_price=quote.mid,
                capital_per_asset=Decimal(60_000),
                bar_at=floor_hour(clock.market_now()) - HOUR,
            ),
        )

    def lots(self, symbol: str) -> Decimal:
        """Return what the venue's own ledger holds, in signed lots."""
        return sum((p.signed_volume for p in self.broker.positions() if p.symbol == symbol), Decimal(0))

    def deals(self) -> list[object]:
        """Return the venue's deals but for deposits."""
        return [deal for deal in metatrader5.mounted_account().ledger.deals() if deal.symbol]


@contextmanager
def open_desk(state_dir: Path, *, start: datetime = START, armed: bool = True, **world: object) -> Iterator[Desk]:
    """Open a desk in ``state_dir``; opened again there, the same world goes on."""
    for name in ("run", "safety", "sim", "models", "logs"):
        (state_dir / name).mkdir(exist_ok=True)
    mounted = World(SimConfig(state_dir=state_dir, start=start, **world))  # type: ignore[arg-type]
    metatrader5.mount(mounted)
    folders = {"STATE_DIR": state_dir, "RUN_DIR": state_dir / "run", "SAFETY_DIR": state_dir / "safety"}
    exchange = ExchangeServer(mounted.market, mounted.clock)
    exchange.start()
    more = {"SIM_DIR": state_dir / "sim", "MODEL_DIR": state_dir / "models", "BINANCE_BASE": exchange.url}
    more |= {"MT5_BRIDGE": "module:simulator.metatrader5"}
    more |= {"BINANCE_API_KEY": exchange.credentials.key, "BINANCE_API_SECRET": exchange.credentials.secret}
    stepped = SteppedClock(state_dir / "sim" / "clock.json")
    try:
        with override_settings(**folders, **more), clock.use(stepped):
            broker = connect_broker(patient=False)
            reconcile(broker)
            if armed:
                arm_checked(SYSTEM, reason="a test", start=State.ARMED)
            account = current_account(broker.account())
            yield Desk(
                world=mounted, clock=stepped, broker=broker, account=account, state_dir=state_dir, exchange=exchange
            )
            broker.disconnect()
    finally:
        metatrader5.unmount()
        exchange.stop()


def fill_desk(*symbols: str) -> None:
    """Trade these symbols and bring in their history."""
    for place, name in enumerate(symbols or ("BTCUSD", "ETHUSD", "BNBUSD")):
        Symbol.objects.get_or_create(name=name, defaults={"binance_symbol": f"{name}T", "ordering": place})
    assert not update_all_data().failures


def fit_desk(*symbols: str) -> None:
    """Bring in history and fit the default plan, as a new desk does once."""
    fill_desk(*symbols)
    sync_default_plan()
    assert not fit_models(actor=SYSTEM).failed


def run_slot(desk: Desk, hour: datetime) -> SessionReport:
    """Step to an hour's slot and run its session as the trader does."""
    slot = slot_of(hour, slot_rule())
    control.step(slot.at)
    run, _ = runs.create_run(JOB, slot.key)
    return run_session_now(run, chosen_symbols())
