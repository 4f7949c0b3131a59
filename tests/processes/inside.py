"""What tests have a process of the desk's own do: called through `manage.py shell`, or by a worker of its queues."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from decimal import Decimal
from itertools import cycle

from execution.adjust import Adjuster, Target
from execution.brokers.base import Broker
from execution.models import LimitRow, PortfolioWeight
from execution.safety.control import Needed
from execution.safety.gate import LEASE_TTL_S, TRADER_LEASE, Gate, Terms, request_counts
from execution.safety.journal import Cause
from execution.safety.reconcile import current_account
from execution.sessions.slots import HOUR, floor_hour
from execution.wire import the_broker
from market.models import Symbol
from ops import clock, heartbeats, leases, queues, runs
from ops.models import Run
from ops.progress import RowProgress

# Market time is stepped here: hours of orders fall into one real minute, and ten positions of three symbols are more
# than a rebalance ever holds. A person may allow as much.
ROOM = {"max_orders_per_minute": 60, "max_gross": 3, "max_net": 3}
LOTS = Decimal("0.05")


def give_room() -> None:
    """Widen the limits as the admin does, as far as their ceilings."""
    for name, value in ROOM.items():
        LimitRow.objects.update_or_create(name=name, defaults={"value": Decimal(value)})


def set_weights(weight: str) -> None:
    """Give every traded symbol this share of the capital, as the admin does: each next target is another one."""
    for symbol in Symbol.objects.traded():
        PortfolioWeight.objects.update_or_create(symbol=symbol, defaults={"weight": Decimal(weight)})


def hold_positions(count: int) -> int:
    """Open positions of ours, through the gate, until so many are held; return how many are."""
    give_room()
    _await_room(count)
    names = cycle(Symbol.objects.traded().values_list("name", flat=True))
    with the_broker() as broker, _adjuster(broker) as adjuster:
        while (held := len(broker.positions())) < count:
            adjusted = adjuster.adjust(_one_more(broker, next(names)))
            assert not adjusted.blocker, adjusted.blocker
        return held


def _await_room(count: int) -> None:
    """Wait until so many orders fit into the minute's limit, of which a kill before has used some."""
    while request_counts(clock.market_now()).orders_last_minute + count > ROOM["max_orders_per_minute"]:
        clock.sleep(0.2)


@contextmanager
def _adjuster(broker: Broker):
    lease = leases.acquire(TRADER_LEASE, holder="a test", ttl_s=LEASE_TTL_S)
    try:
        account = current_account(broker.account())
        yield Adjuster(broker, account, Gate(broker, account, lease=lease))
    finally:
        leases.release(lease)


def _one_more(broker: Broker, symbol: str) -> Target:
    """Return a little more of what is held: on a hedging account another position."""
    held = sum((p.signed_volume for p in broker.positions() if p.symbol == symbol), Decimal(0))
    snapshot = broker.account()
    return Target(
        symbol=symbol,
        lots=held + LOTS.copy_sign(held),
        spec=broker.spec(symbol),
        snapshot=snapshot,
        cause=Cause(family="rebalance", kind="person", id=str(uuid.uuid4())),
        terms=Terms(
            needed=Needed.ENTER,
            plan_price=broker.quote(symbol).mid,
            capital_per_asset=snapshot.equity,
            bar_at=floor_hour(clock.market_now()) - HOUR,
        ),
    )


def enqueue_work(seconds: float, queue: str) -> int:
    """Put work of so many seconds into a queue and return its run."""
    run, _ = runs.create_run("test work", str(uuid.uuid4()), {"seconds": seconds}, queue=queue)
    queues.enqueue("tests.processes.inside.work", run.pk, queue=queue)
    return run.pk


def work(run_id: int) -> None:
    """Be busy, with the signs of life that every run gives; note how long the queue itself could not give any."""
    run = runs.begin(run_id)
    assert run is not None, f"run {run_id} has begun before"
    end = clock.mono() + run.params["seconds"]
    progress = RowProgress(run)
    with runs.beating(run):
        progress.start(int(run.params["seconds"]), "being busy")
        while clock.mono() < end:
            clock.sleep(1.0)
            progress.advance("being busy")
    silent_s = heartbeats.age_s(queues.beat_name(run.queue))
    runs.finish(run, Run.Status.DONE, result={"queue_silent_s": silent_s})
