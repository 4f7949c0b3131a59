"""What a seed decides, and the one clock that it happens on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pkgutil import resolve_name

import pytest

from execution.chaos.clock import VirtualClock
from execution.chaos.crashes import BOT_POINTS, BOT_STEPS, POINTS, STEPS
from execution.chaos.plans import BOT_FAULTS, BOT_FAULTS_A_DAY, CLOSE_BOTS, MIX, TAKE_STOP, make_plan
from execution.chaos.sandbox import Terms
from execution.errors import ConfigError
from simulator.faults import FAULTS, FaultPlan
from simulator.faults.names import SIGNED

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
MONTH = 720
every_seed = pytest.mark.parametrize("seed", range(5))


def planned_faults(seed: int, *, of_the_bot: bool = False, **more) -> list[str]:
    days = make_plan(seed, BEGIN, MONTH, **more).days
    rules = [rule for day in days if day for rule in json.loads(day)["rules"]]
    return [rule["fault"] for rule in rules if ("symbol" in rule) == of_the_bot]


@every_seed
def test_a_seed_decides_everything(seed):
    assert make_plan(seed, BEGIN, MONTH) == make_plan(seed, BEGIN, MONTH)
    assert make_plan(seed, BEGIN, MONTH) != make_plan(seed + 1, BEGIN, MONTH)


@every_seed
def test_fewer_hours_are_the_beginning_of_more(seed):
    short, long = make_plan(seed, BEGIN, 30), make_plan(seed, BEGIN, MONTH)
    assert short.hours == long.hours[:30]
    assert short.days == long.days[:2]


@every_seed
def test_a_month_has_more_than_enough_faults_of_all_kinds(seed):
    faults = planned_faults(seed)
    assert len(faults) >= 400
    assert set(faults) == set(MIX)
    counts = [faults.count(fault) for fault in MIX]
    assert max(counts) - min(counts) <= 1  # dealt, not drawn


@every_seed
def test_every_plan_of_faults_can_be_played_within_its_day(seed):
    for i, day in enumerate(make_plan(seed, BEGIN, MONTH).days):
        begin = BEGIN + timedelta(days=i)
        for rule in FaultPlan.from_json(day).rules:
            assert begin <= rule.at < begin + timedelta(days=1)


def test_the_mix_leaves_out_only_what_is_said_to_be_left_out():
    signed = {name for name, fault in FAULTS.items() if set(fault.calls) <= set(SIGNED)}
    assert len(signed) > 10
    assert set(FAULTS) - set(MIX) == signed | {"M54", "B01", "B08", "B09", "B10", "B36"}
    assert set(MIX) <= set(FAULTS)


@every_seed
def test_the_bots_orders_meet_faults_of_their_own_every_day(seed):
    faults = planned_faults(seed, of_the_bot=True)
    assert len(faults) == BOT_FAULTS_A_DAY * MONTH // 24
    assert set(faults) == set(BOT_FAULTS)
    assert planned_faults(seed, of_the_bot=True, faults=["M20"]) == []


@every_seed
def test_a_person_and_chance_meddle_with_the_bot(seed):
    bots = [hour.bot for hour in make_plan(seed, BEGIN, MONTH).hours]
    acts = [act for bot in bots for _, act in bot.acts]
    assert min(acts.count(TAKE_STOP), acts.count(CLOSE_BOTS)) > 20
    assert {bot.again for bot in bots} == {"", "redeliver", "by hand"}
    assert len({bot.inside for bot in bots}) > 4
    assert {bot.bar for bot in bots} == {0, 1, 2, 3}


@every_seed
def test_processes_die_at_points_that_exist(seed):
    hours = make_plan(seed, BEGIN, MONTH).hours
    points = [p for hour in hours for p in (hour.crash, hour.sentinel_crash, hour.kill_crash) if p]
    assert {name for name, _ in points} <= set(POINTS)
    bots = {p[0] for hour in hours for p in (hour.bot.crash, hour.bot.sentinel_crash) if p}
    assert bots <= set(POINTS) | set(BOT_POINTS)
    assert len(bots & set(BOT_POINTS)) > 10
    assert sum(hour.crash is not None for hour in hours) > 20
    assert {hour.inside for hour in hours} > {"kill", "stall", "second trader"}


def test_every_step_of_the_bot_is_a_function_that_is_there_and_no_sessions():
    assert [path for path in BOT_STEPS.values() if not callable(resolve_name(path))] == []
    assert len(set(BOT_STEPS.values()) | set(STEPS.values())) == len(BOT_STEPS) + len(STEPS)
    assert not set(BOT_POINTS) & set(POINTS)


def test_a_healthy_venue_has_no_faults():
    assert planned_faults(1, faults=[]) == []


def test_chosen_faults_are_played_alone():
    assert set(planned_faults(1, faults=["M20", "M33"])) == {"M20", "M33"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"seed": -1}, "a seed is a whole number"),
        ({"hours": 0}, "hours must be from 1"),
        ({"margin_mode": "exchange"}, "a margin mode is hedging or netting, was 'exchange'"),
        ({"faults": ("M20", "M99")}, "no fault 'M99' can be played"),
    ],
)
def test_terms_that_make_no_sense_are_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        Terms(**({"seed": 1, "hours": 1} | values))


def test_the_margin_mode_is_the_seeds_unless_it_is_given():
    assert {Terms(seed=seed, hours=1).mode for seed in range(2)} == {"hedging", "netting"}
    assert Terms(seed=0, hours=1, margin_mode="netting").mode == "netting"


def test_the_clock_moves_only_when_somebody_waits():
    seen = []
    clock = VirtualClock(BEGIN, seen.append)
    assert clock.market_now() == clock.wall_now() == BEGIN
    clock.sleep(2.5)
    assert seen == [BEGIN + timedelta(seconds=2.5)]
    assert clock.mono() - BEGIN.timestamp() == 2.5
    clock.sleep(0.0)
    assert seen[-1] - seen[-2] == timedelta(milliseconds=1)  # who polls gets on
    clock.sleep_until(BEGIN)
    assert len(seen) == 2
