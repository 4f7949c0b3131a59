"""A crash at every step of a kill and of arming: never new risk after the latch, and flat in the end or shouting."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from execution.chaos.crashes import POINTS, crash_at, passages
from execution.killing import kill_and_flatten
from execution.models import KillEvent
from execution.rearm import arm_checked
from execution.safety import control
from execution.safety.control import State
from execution.sentinel import Sentinel
from execution.wire import open_site_terminal
from ops import clock
from ops.audit import SYSTEM
from ops.models import Alert
from simulator import constants as mt5
from tests.desk import Desk
from tests.executor_builders import (
    MARGIN_MODES,
    assert_nothing_is_left_open,
    judged,
    ledger,
    mostly_deep,
    on_accounts,
    our_deals,
    resting_order,
    session,
    settle,
    trading_desk,
    venue_lots,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

NOT_OF_A_KILL = ("run", "decision", "lease", "arming", "armed row", "latch off", "emergency", "rules", "pausing")
NOT_OF_A_KILL += ("resuming", "orphans", "space", "writing the armed file", "booking", "settling an attempt")
OF_A_KILL = [name for name, point in POINTS.items() if not any(word in point.step for word in NOT_OF_A_KILL)]
AGAIN = [(point, nth) for point in OF_A_KILL for nth in (2, 3)]
OF_ARMING = [
    f"{moment} {step}"
    for step in ("arming", "taking the latch off", "writing the armed row", "writing the armed file")
    for moment in ("before", "after")
]


on_both = pytest.mark.parametrize("desk", MARGIN_MODES, indirect=True)


@pytest.fixture
def desk(request, tmp_path) -> Iterator[Desk]:
    with trading_desk(tmp_path, margin_mode=request.param) as opened:
        session(9, 0.5)
        opened.adjust("ETHUSD", "-0.50")
        resting_order("BNBUSD", 1.0)
        assert venue_lots("BTCUSD") > 0 > venue_lots("ETHUSD")
        yield opened


def kill() -> None:
    kill_and_flatten(SYSTEM, cause="a test", timeout_s=5)


def watch() -> None:
    """Be a sentinel that was started again, for two rounds."""
    sentinel = Sentinel()
    for _ in range(2):
        sentinel.round()
        clock.sleep(1.0)


def assert_flat_and_killed(desk: Desk) -> None:
    """Only closes followed the latch, everything of ours is gone, and the desk knows and says so."""
    assert {deal.entry for deal in our_deals()[2:]} == {mt5.DEAL_ENTRY_OUT}
    assert ledger().positions() == ledger().orders() == []
    assert control.current_control().state == State.KILLED
    assert KillEvent.objects.get().flat_at is not None
    assert Alert.objects.open().filter(key="kill", level=Alert.Level.CRITICAL).exists()
    assert judged(desk) == []


@on_both
def test_a_kill_passes_every_point_that_is_said_to_be_one_of_it(desk):
    with passages() as passed:
        kill()
    assert set(OF_A_KILL) - set(passed) == {"before renewing the lease", "after renewing the lease"} & set(OF_A_KILL)
    assert_flat_and_killed(desk)


@pytest.mark.parametrize(
    ("desk", "crash"),
    mostly_deep(on_accounts([(p, 1) for p in OF_A_KILL]) + on_accounts(AGAIN, 6)),
    indirect=["desk"],
)
def test_a_kill_whose_process_dies_at_any_step_is_brought_to_its_end_by_the_sentinel(desk, crash):
    with crash_at(crash) as doom:
        with doom.process():
            kill()
        pressed = control.armed_file().read() is None
        n_deals = len(our_deals())
        if pressed:
            session(10, 0.9)  # a trader that did not hear of it
            assert len(our_deals()) == n_deals
    watch()
    if not pressed:  # its process died before it did anything: a person presses again
        assert control.current_control().state == State.ARMED
        kill()
    settle()

    assert_flat_and_killed(desk)
    assert_nothing_is_left_open()


@pytest.mark.deep
@pytest.mark.parametrize(("desk", "points"), on_accounts(list(product(OF_A_KILL, OF_A_KILL)), 12), indirect=["desk"])
def test_a_sentinel_that_dies_at_two_steps_of_flattening_goes_on_when_it_is_started_again(desk, points):
    control.armed_file().disarm()  # by hand
    with crash_at(*((point, 1) for point in points)) as doom:
        for _ in range(3):
            with doom.process():
                watch()
            with doom.process():
                session(10, 0.9)
    settle()

    assert_flat_and_killed(desk)
    assert_nothing_is_left_open()


@pytest.mark.parametrize(("desk", "point"), on_accounts(OF_ARMING), indirect=["desk"])
def test_arming_that_dies_at_any_step_arms_wholly_or_not_at_all(desk, point):
    kill()
    n_deals = len(our_deals())
    with crash_at((point, 1)) as doom, doom.process():
        arm_checked(SYSTEM, reason="a test", start=State.ARMED)
    armed = control.armed_file().read() is not None
    assert doom.crashed == [point]
    assert armed == (point in ("after writing the armed file", "after arming"))
    if armed:
        assert control.current_control().state == State.ARMED
        assert not open_site_terminal().status().latched
    session(10, 0.5)
    assert (len(our_deals()) > n_deals) == armed
    watch()
    session(11, 0.9)
    assert (len(our_deals()) > n_deals) == armed
    assert control.current_control().state == (State.ARMED if armed else State.KILLED)
