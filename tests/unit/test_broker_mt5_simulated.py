"""The same adapter against the simulated terminal: what it sends is executed, and the venue's ledger is the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from execution.brokers import connect
from execution.brokers.base import Broker, OrderTicket, Permit, Protection, Reduction, SendResult, require_done
from execution.brokers.magic import Family, encode_magic
from execution.brokers.mt5_session import Mt5Login
from execution.errors import BrokerUnavailableError, ConfigError
from execution.planning.adjust import Plan, plan_adjustment, plan_open_after_close
from execution.planning.orders import MarginMode, Position, Scene, Side
from execution.safety.outcomes import Outcome
from market.terminal.client import Terminal, open_terminal
from simulator import control, metatrader5
from simulator.config import SimConfig
from simulator.server_time import to_utc_ms
from simulator.world import World
from tests.execution_builders import D

SYMBOL = "BTCUSD"
START = datetime(2026, 1, 5, 10, tzinfo=UTC)
MAGIC = encode_magic(Family.REBALANCE, 1)


def to_utc(server_s: int) -> datetime:
    return datetime.fromtimestamp(to_utc_ms(server_s * 1000) / 1000, UTC)


@pytest.fixture(params=["hedging", "netting"])
def world(request, tmp_path) -> Iterator[World]:
    world = World(SimConfig(state_dir=tmp_path, start=START, margin_mode=request.param))
    metatrader5.mount(world)
    yield world
    metatrader5.unmount()


@pytest.fixture
def terminal(world, tmp_path) -> Terminal:
    return open_terminal("module:simulator.metatrader5", run_dir=tmp_path, state_dir=tmp_path)


@pytest.fixture
def broker(world, terminal) -> Broker:
    return make_broker(world, terminal)


def make_broker(world: World, terminal: Terminal, login: Mt5Login | None = None) -> Broker:
    def now() -> datetime:
        return datetime.fromtimestamp(world.clock.now_ms() / 1000, UTC)

    def no_sleep(seconds: float) -> None:
        raise AssertionError(f"a healthy terminal needs no pause, was asked for {seconds} s")

    return connect("mt5", terminal=terminal, login=login, to_utc=to_utc, now=now, sleep=no_sleep)


def permit(broker: Broker, *, reduce: bool = False, fence: int = 1) -> Permit:
    return Permit(fence=fence, not_after=broker.stamp() + 2.0, reduce=reduce)


def ours(broker: Broker) -> tuple[Position, ...]:
    return tuple(position for position in broker.positions() if position.symbol == SYMBOL)


def net(broker: Broker) -> Decimal:
    return sum((position.signed_volume for position in ours(broker)), Decimal(0))


def submit(broker: Broker, lots: str, **changes) -> SendResult:
    signed = D(lots)
    ticket = OrderTicket(symbol=SYMBOL, side=Side.of(signed), volume=abs(signed), magic=MAGIC, **changes)
    return broker.submit(ticket, permit(broker))


def planned(broker: Broker, target: str, planner: Callable[..., Plan] = plan_adjustment) -> Plan:
    mode = broker.account().margin_mode
    return planner(target_lots=D(target), positions=ours(broker), spec=broker.spec(SYMBOL), margin_mode=mode)


def execute(broker: Broker, plan: Plan) -> None:
    """Send a plan's legs as the executor will: every close against the position as it is then."""
    for leg in plan.legs:
        if leg.reduces:
            (position,) = (position for position in ours(broker) if position.ticket == leg.ticket)
            reduction = Reduction(position=position, volume=leg.volume, magic=MAGIC)
            require_done(broker.reduce(reduction, permit(broker, reduce=True)))
        else:
            require_done(submit(broker, str(leg.signed_volume)))


def test_the_account_is_read_as_the_world_was_made(broker, world):
    account = broker.account()
    assert account.margin_mode == MarginMode(world.config.margin_mode)
    assert (account.balance, account.equity, account.leverage) == (100_000, 100_000, 30)
    assert broker.positions() == broker.working_orders() == broker.fills_since(START - timedelta(days=9)) == ()


def test_the_quote_is_of_now(broker):
    quote = broker.quote(SYMBOL)
    assert timedelta(0) <= START - quote.at < timedelta(minutes=2)
    assert 0 < quote.spread_fraction < D("0.01")


def test_every_scene_ends_at_its_target_and_planning_again_holds(broker):
    scenes = []
    for target in ("0.30", "0.50", "0.20", "-0.40", "-0.10", "0", "-0.05", "0.15"):
        plan = planned(broker, target)
        scenes.append(plan.scene)
        execute(broker, plan)
        assert net(broker) == D(target)
        assert planned(broker, target).scene is Scene.HOLD
    assert scenes == [
        Scene.NEW,
        Scene.INCREASE,
        Scene.REDUCE,
        Scene.REVERSE,
        Scene.REDUCE,
        Scene.CLOSE,
        Scene.NEW,
        Scene.REVERSE,
    ]
    sides = {position.side for position in ours(broker)}
    assert len(sides) == 1


def test_a_reverse_opens_from_what_is_really_left(broker):
    execute(broker, planned(broker, "0.3"))
    plan = planned(broker, "-0.2")
    (close,) = plan.closing_legs
    (position,) = ours(broker)
    broker.reduce(Reduction(position=position, volume=D("0.1"), magic=MAGIC), permit(broker))  # filled in part
    assert close.volume == D("0.3")
    assert planned(broker, "-0.2", plan_open_after_close).legs == ()
    execute(broker, planned(broker, "0"))
    execute(broker, planned(broker, "-0.2", plan_open_after_close))
    assert net(broker) == D("-0.2")


def test_hedging_closes_the_oldest_position_first(broker):
    if broker.account().margin_mode is MarginMode.NETTING:
        pytest.skip("a netting account has one position")
    for minute in (1, 2, 3):
        control.step(START + timedelta(minutes=minute))
        require_done(submit(broker, "0.1"))
    _, middle, youngest = sorted(ours(broker), key=lambda position: position.opened_at)
    execute(broker, planned(broker, "0.15"))
    left = {position.ticket: position.volume for position in ours(broker)}
    assert left == {middle.ticket: D("0.05"), youngest.ticket: D("0.1")}


def test_fills_add_up_to_the_position_and_carry_our_magic(broker):
    for target in ("0.3", "0.1", "-0.2"):
        execute(broker, planned(broker, target))
    fills = broker.fills_since(START - timedelta(minutes=1))
    assert sum(fill.signed_volume for fill in fills) == net(broker) == D("-0.2")
    assert {fill.magic for fill in fills} == {MAGIC}
    assert broker.fills_since(START + timedelta(hours=1)) == ()
    booked = sum(fill.profit + fill.commission + fill.swap + fill.fee for fill in fills)
    assert broker.account().balance == 100_000 + booked


def test_a_result_names_its_deal_and_its_order(broker):
    result = submit(broker, "0.1")
    (fill,) = broker.fills_since(START - timedelta(minutes=1))
    assert (result.outcome, result.retcode) == (Outcome.OK, 10009)
    assert (result.deal_id, result.order_id) == (fill.deal_id, fill.order_id)
    assert (result.volume, result.price) == (fill.volume, fill.price)


def test_stop_and_target_ride_on_the_entry_and_can_be_moved(broker):
    price = broker.quote(SYMBOL).bid
    stop, target = round(price * D("0.95"), 1), round(price * D("1.05"), 1)
    require_done(submit(broker, "0.1", stop=stop, target=target))
    (position,) = ours(broker)
    assert (position.stop, position.target) == (stop, target)
    moved = Protection(symbol=SYMBOL, side=Side.BUY, ticket=position.ticket, stop=stop - 100, target=target)
    assert broker.protect(moved, permit(broker)).outcome is Outcome.OK
    assert broker.protect(moved, permit(broker)).outcome is Outcome.NOOP
    assert ours(broker)[0].stop == stop - 100


def test_a_close_of_a_position_that_has_changed_is_refused(broker):
    execute(broker, planned(broker, "0.3"))
    (seen,) = ours(broker)
    reduction = Reduction(position=seen, volume=D("0.1"), magic=MAGIC)
    assert broker.reduce(reduction, permit(broker)).outcome is Outcome.OK
    again = broker.reduce(reduction, permit(broker))
    assert (again.outcome, again.retcode_name) == (Outcome.REJECT, "FENCE_REDUCE")
    assert net(broker) == D("0.2")


def test_a_close_of_a_position_that_is_gone_opens_nothing(broker):
    execute(broker, planned(broker, "0.3"))
    (seen,) = ours(broker)
    execute(broker, planned(broker, "0"))
    result = broker.reduce(Reduction(position=seen, volume=D("0.3"), magic=MAGIC), permit(broker))
    assert not result.outcome.may_have_executed
    assert ours(broker) == ()


def test_the_latch_lets_only_reductions_pass(broker, terminal):
    execute(broker, planned(broker, "0.3"))
    broker.latch()
    refused = submit(broker, "0.1")
    assert (refused.outcome, refused.retcode_name) == (Outcome.HALT, "FENCE_LATCHED")
    execute(broker, planned(broker, "0"))
    assert ours(broker) == ()


@pytest.mark.parametrize(
    ("permit_changes", "outcome"), [({"not_after": -1.0}, Outcome.LATER), ({"fence": 0}, Outcome.HALT)]
)
def test_a_permit_that_has_lapsed_sends_nothing(broker, permit_changes, outcome):
    require_done(submit(broker, "0.1"))
    values = {"fence": 1, "not_after": broker.stamp() + 2.0} | permit_changes
    ticket = OrderTicket(symbol=SYMBOL, side=Side.BUY, volume=D("0.1"), magic=MAGIC)
    assert broker.submit(ticket, Permit(**values)).outcome is outcome
    assert net(broker) == D("0.1")


def test_an_order_beyond_the_margin_is_rejected_and_nothing_is_held(broker):
    result = submit(broker, "90")
    assert (result.outcome, result.retcode_name, result.volume) == (Outcome.REJECT, "NO_MONEY", D("0"))
    assert ours(broker) == ()


def test_an_unknown_symbol_is_unavailable(broker):
    with pytest.raises(BrokerUnavailableError, match="symbol_info"):
        broker.spec("NONSENSE")


def test_another_account_than_ours_is_refused(world, terminal):
    theirs = make_broker(world, terminal).account()
    with pytest.raises(ConfigError):
        make_broker(world, terminal, Mt5Login(login=theirs.login + 1, server=theirs.server))
