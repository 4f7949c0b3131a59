"""What goes wrong with nobody there: each trouble is an alert once, worse is told anew, and its end ends it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import get_type_hints

import pytest
from django.utils.module_loading import import_string

from execution.limits import current_limits, loss_budgets
from execution.loss_alerts import tell_of_losses
from execution.models import Decision
from execution.safety import killswitch
from execution.safety.risk import RULES, LossBudget, LossKind
from execution.sentinel import Sentinel
from execution.sessions.hourly import JOB, slot_rule
from execution.sessions.slots import slot_of
from execution.watches import CAPS, limits_reached, missed_sessions, slow_kills
from market.models import Symbol
from market.watches import stale_series
from ops import alerts, clock, heartbeats, leases, queues, runs
from ops.alerts import Trouble, hold_alerts
from ops.audit import SYSTEM
from ops.lanes import Patience
from ops.models import Alert, Heartbeat, Run
from ops.notifier import Notifier
from ops.watches import dead_queues, failed_jobs, silent_processes
from simulator import control as market
from tests.alert_receiver import QUICK
from tests.db.test_ops import StoppedClock
from tests.desk import START, fill_desk, open_desk
from tradingsite.wiring import WATCHES

pytestmark = pytest.mark.django_db(transaction=True)
CRITICAL, WARNING = Alert.Level.CRITICAL, Alert.Level.WARNING


@pytest.fixture
def hands():
    with clock.use(StoppedClock()) as stopped:
        yield stopped


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        yield opened


def found(watch) -> list[str]:
    return [trouble.key for trouble in watch()]


def open_alerts() -> dict[str, tuple[str, int]]:
    return {alert.key: (alert.level, alert.count) for alert in Alert.objects.open()}


def budget(**changes) -> LossBudget:
    """Of 5,000 that may be lost of 100,000, 80 % stop entries at 96,000 and 90 % flatten at 95,500."""
    lines = {"soft_line": Decimal("0.8"), "hard_line": Decimal("0.9")}
    return LossBudget(
        **({"kind": LossKind.DAILY, "start": Decimal(100_000), "floor": Decimal(95_000)} | lines | changes)
    )


# --- holding ------------------------------------------------------------------------------------------------------


def test_a_trouble_that_lasts_is_one_alert_that_is_not_counted_up():
    for _ in range(3):
        hold_alerts("queue:", [Trouble("queue:trading", "dead")])
    assert open_alerts() == {"queue:trading": ("warning", 1)}


def test_a_trouble_that_gets_worse_is_told_anew_and_one_that_is_over_ends():
    alerts.raise_alert("queue", "another's")
    hold_alerts("queue:", [Trouble("queue:trading", "slow"), Trouble("queue:research", "slow")])
    hold_alerts("queue:", [Trouble("queue:trading", "dead", level=CRITICAL)])
    assert open_alerts() == {"queue": ("warning", 1), "queue:trading": ("critical", 2)}


def test_every_watch_is_a_function_whose_alerts_begin_as_its_line_says():
    assert all(prefix.endswith(":") for prefix in WATCHES)
    for path in WATCHES.values():
        assert "Trouble" in str(get_type_hints(import_string(path))["return"])


def test_a_desk_that_has_just_started_is_given_time_before_it_is_watched():
    watches = {"silent:": WATCHES["silent:"]}
    Notifier(watches=watches, patience=Patience()).round()
    assert open_alerts() == {}
    leases.Lease.objects.update(holder="")
    Notifier(watches=watches, patience=QUICK).round()
    assert open_alerts() == {"silent:sentinel": ("critical", 1)}


def test_a_watch_with_a_mistake_takes_neither_the_others_nor_the_sending_away(monkeypatch):
    monkeypatch.setattr("ops.watches.dead_queues", lambda: 1 / 0)
    Notifier(watches={"queue:": WATCHES["queue:"], "silent:": WATCHES["silent:"]}, patience=QUICK).round()
    assert open_alerts() == {"watch:queue:": ("warning", 1), "silent:sentinel": ("critical", 1)}


# --- the site -----------------------------------------------------------------------------------------------------


def test_a_sentinel_without_a_sign_of_life_is_noticed(hands):
    heartbeats.beat("sentinel")
    assert found(silent_processes) == []
    hands.seconds += 21
    assert found(silent_processes) == ["silent:sentinel"]


def test_a_queue_that_nobody_works_on_is_noticed_and_says_nothing_without_a_sentinel(hands):
    heartbeats.beat("sentinel")
    heartbeats.beat(queues.beat_name("research"))
    assert [(t.key, t.level) for t in dead_queues()] == [("queue:trading", CRITICAL)]
    hands.seconds += 21
    assert found(dead_queues) == []


def test_a_job_that_failed_is_noticed_until_it_ends_well(hands):
    def end(slot: str, status: str, **more) -> None:
        Run.objects.create(job="tune", slot=slot, status=status, finished_at=clock.wall_now(), **more)

    end("by hand", Run.Status.FAILED)  # a command: whoever typed it has seen it
    assert found(failed_jobs) == []
    end("1", Run.Status.DONE, queue="research")
    end("2", Run.Status.CRASHED, queue="research", error="its process died")
    [trouble] = failed_jobs()
    assert (trouble.key, trouble.title) == ("job:tune", "tune of 2 crashed: its process died")
    end("3", Run.Status.DONE, queue="research")
    assert found(failed_jobs) == []
    end("4", Run.Status.FAILED, queue="research")
    assert found(failed_jobs) == ["job:tune"]
    hands.seconds += timedelta(days=1, seconds=1).total_seconds()
    assert found(failed_jobs) == []


def test_a_job_that_told_of_its_failure_itself_is_not_told_of_twice_but_its_crash_is(hands):
    run = Run.objects.create(job="session", slot="1", status="failed", queue="trading", finished_at=clock.wall_now())
    alerts.raise_alert("session:BTCUSD", "of one symbol alone")
    assert found(failed_jobs) == ["job:session"]
    alerts.raise_alert("session", "Session failed: no answer")
    assert found(failed_jobs) == []
    Run.objects.filter(pk=run.pk).update(status="crashed")
    assert found(failed_jobs) == ["job:session"]


# --- the market and trading ---------------------------------------------------------------------------------------


def test_series_that_lack_their_newest_bars_are_noticed(desk):
    assert found(stale_series) == []
    fill_desk("BTCUSD")
    assert found(stale_series) == []
    desk.step(timedelta(hours=3))
    assert found(stale_series) == ["stale:rates:BTCUSD", "stale:klines:BTCUSDT"]


def test_a_slot_that_nobody_ran_is_missed_once_its_bar_is_not_the_newest(desk):
    def due(hour: int):
        return slot_of(START.replace(hour=hour), slot_rule())

    market.step(due(12).at)
    assert found(missed_sessions) == []  # a desk that never ran one misses none
    runs.create_run(JOB, due(9).key)
    Run.objects.update(status=Run.Status.DONE)
    market.step(due(13).at)
    [trouble] = missed_sessions()
    assert (trouble.title, trouble.detail) == (
        "No session ran for the slot of 2026-01-05 12:00",
        "nobody asked for one",
    )
    run, _ = runs.create_run(JOB, due(12).key)
    assert found(missed_sessions) == ["missed:session"]  # asked for, and never begun
    runs.finish(run, Run.Status.DONE)
    assert found(missed_sessions) == []


def test_a_limit_that_refuses_is_noticed_until_the_next_decision(desk):
    def decide(slot: str, verdict: str, blocker: str) -> None:
        Decision.objects.create(
            account=desk.account,
            symbol="BTCUSD",
            slot=slot,
            bar_at=START,
            market_at=START,
            verdict=verdict,
            blocker=blocker,
            target_lots=0,
        )

    Symbol.objects.create(name="BTCUSD")
    decide("1", "blocked", "spread_cap: too wide")
    assert found(limits_reached) == []
    decide("2", "blocked", "orders_per_day: 200 of 200")
    [trouble] = limits_reached()
    assert (trouble.key, trouble.title) == (
        "limit:orders_per_day:BTCUSD",
        "BTCUSD was not traded: orders_per_day: 200 of 200",
    )
    decide("3", "traded", "")
    assert found(limits_reached) == []


def test_every_cap_is_a_rule():
    assert set(RULES) >= CAPS


def test_a_kill_that_takes_longer_than_a_minute_is_noticed_until_it_is_flat(desk):
    event = killswitch.latch(SYSTEM, cause="a test")
    assert found(slow_kills) == []
    type(event).objects.update(latched_at=event.latched_at - timedelta(seconds=61))
    assert found(slow_kills) == ["kill:slow"]
    killswitch.confirm_flat(event, "mt5", read_at=clock.wall_now())
    assert found(slow_kills) == []


# --- losses -------------------------------------------------------------------------------------------------------


def test_each_line_of_a_loss_is_told_once_as_it_is_crossed_and_over_on_the_way_back():
    def at(equity: str) -> dict[str, tuple[str, int]]:
        tell_of_losses("mt5", [budget()], Decimal(equity))
        return open_alerts()

    assert at("96000.01") == {}
    soft = {"loss:daily:limits": ("warning", 1)}
    assert [at(equity) for equity in ("96000", "95900", "96100", "95999")] == [soft] * 4  # one crossing, not three
    hard = {"loss:daily:limits": ("critical", 2)}
    assert [at(equity) for equity in ("95500", "95499", "95600")] == [hard] * 3
    assert at("96250") == hard  # 5 % of the budget of 5,000 past the line
    assert at("96250.01") == {}
    assert at("96000") == soft


def test_two_budgets_are_two_alerts():
    other = budget(kind=LossKind.DRAWDOWN, source="FTMO", floor=Decimal(90_000))
    tell_of_losses("mt5", [budget(), other], Decimal(95_900))
    assert open_alerts() == {"loss:daily:limits": ("warning", 1)}
    tell_of_losses("mt5", [budget(), other], Decimal(92_000))
    assert set(open_alerts()) == {"loss:daily:limits", "loss:drawdown:FTMO"}


def test_the_sentinel_tells_of_a_loss_and_kills_though_telling_fails(desk, monkeypatch):
    def refuse(broker_key, budgets, equity):
        raise RuntimeError("not told")

    lost = budget(start=Decimal(10**9), floor=Decimal(9 * 10**8))
    monkeypatch.setattr("execution.guarding.loss_budgets", lambda *args, **kwargs: (lost,))
    Sentinel().round()
    assert open_alerts()["loss:daily:limits"] == ("critical", 1)
    assert open_alerts()["kill"] == ("critical", 1)
    Alert.objects.all().delete()
    monkeypatch.setattr("execution.guarding.tell_of_losses", refuse)
    type(killswitch.last_kill()).objects.all().delete()
    monkeypatch.setattr("execution.guarding.control.current_control", _armed)
    with pytest.raises(RuntimeError, match="not told"):
        Sentinel().round()
    assert killswitch.last_kill() is not None


def _armed(**scope):
    class Armed:
        state = "armed"

    return Armed


def test_the_budgets_of_the_desk_have_alerts_of_their_own_each(desk):
    budgets = loss_budgets(desk.account, current_limits(), clock.market_now())
    tell_of_losses("mt5", budgets, Decimal(0))
    assert len(open_alerts()) == len(budgets) == len({(b.kind, b.source) for b in budgets})


def test_signs_of_life_of_an_earlier_start_of_the_machine_count_as_none(hands):
    heartbeats.beat("sentinel")
    Heartbeat.objects.update(boot="another")
    assert found(silent_processes) == ["silent:sentinel"]
