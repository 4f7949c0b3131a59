"""The simulated clock: accelerated, able to pause and step, and never going back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator.clock import SimClock
from simulator.errors import ClockError

START_MS = 1_767_571_200_000
END_MS = START_MS + 10 * 3_600_000


class Wall:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sim" / "clock.json"


def make_clock(path: Path, wall: Wall, *, speed: float = 60.0, running: bool = True) -> SimClock:
    clock = SimClock(path, end_ms=END_MS, wall=wall)
    clock.create(start_ms=START_MS, speed=speed, mode="synthetic")
    if running and clock.is_new:
        clock.resume()
    return clock


def test_a_new_clock_stands_at_its_start(path, wall):
    clock = make_clock(path, wall, running=False)
    wall.s += 100
    assert clock.now_ms() == START_MS
    assert clock.paused
    assert clock.is_new


def test_time_runs_at_its_speed(path, wall):
    clock = make_clock(path, wall, speed=60)
    wall.s += 2
    assert clock.now_ms() == START_MS + 120_000


def test_the_file_has_the_agreed_fields(path, wall):
    make_clock(path, wall)
    assert json.loads(path.read_text()) == {
        "wall_anchor": wall.s,
        "market_anchor": START_MS / 1000,
        "speed": 60.0,
        "paused": False,
        "ended": False,
        "start": START_MS / 1000,
        "mode": "synthetic",
    }
    assert [p.name for p in path.parent.iterdir()] == ["clock.json"]  # nothing temporary is left


def test_three_seconds_after_the_last_beat_time_stops(path, wall):
    clock = make_clock(path, wall)
    wall.s += 1000
    assert clock.now_ms() == START_MS + 180_000


def test_beats_keep_it_running(path, wall):
    clock = make_clock(path, wall)
    for _ in range(10):
        wall.s += 1
        clock.persist()
    assert clock.now_ms() == START_MS + 600_000


def test_after_a_restart_it_goes_on_from_where_it_stopped(path, wall):
    clock = make_clock(path, wall)
    wall.s += 1
    clock.persist()
    wall.s += 3600  # dead for an hour
    again = make_clock(path, wall)
    assert again.now_ms() == START_MS + 60_000 + 180_000
    again.persist()
    wall.s += 1
    assert again.now_ms() == START_MS + 60_000 + 180_000 + 60_000


def test_another_process_reads_the_same_time(path, wall):
    clock, reader = make_clock(path, wall), SimClock(path, wall=wall)
    wall.s += 1.5
    assert reader.now_ms() == clock.now_ms() == START_MS + 90_000
    clock.step(START_MS + 7_200_000)
    assert reader.now_ms() == START_MS + 7_200_000


def test_pausing_holds_and_resuming_goes_on(path, wall):
    clock = make_clock(path, wall)
    wall.s += 1
    clock.pause()
    wall.s += 50
    assert clock.now_ms() == START_MS + 60_000
    clock.resume()
    assert clock.now_ms() == START_MS + 60_000
    wall.s += 1
    assert clock.now_ms() == START_MS + 120_000


def test_another_speed_counts_from_now_on(path, wall):
    clock = make_clock(path, wall, speed=60)
    wall.s += 1
    clock.set_speed(120)
    assert clock.now_ms() == START_MS + 60_000
    wall.s += 1
    assert clock.now_ms() == START_MS + 180_000


@pytest.mark.parametrize("speed", [0, -1, 240.1, float("nan"), float("inf")])
def test_a_speed_that_processes_cannot_follow_is_refused(path, wall, speed):
    clock = make_clock(path, wall)
    with pytest.raises(ValueError, match="above 0 and at most 240, was"):
        clock.set_speed(speed)


def test_stepping_moves_time_while_it_is_paused(path, wall):
    clock = make_clock(path, wall, running=False)
    clock.step(START_MS + 45_000)
    wall.s += 10
    assert clock.now_ms() == START_MS + 45_000
    assert clock.paused
    assert not clock.is_new


def test_stepping_back_is_refused(path, wall):
    clock = make_clock(path, wall, running=False)
    clock.step(START_MS + 45_000)
    with pytest.raises(ClockError, match="never goes back"):
        clock.step(START_MS + 44_999)
    clock.step(START_MS + 45_000)  # standing still is no way back


def test_a_wall_clock_that_is_set_back_does_not_take_market_time_with_it(path, wall):
    clock = make_clock(path, wall)
    wall.s += 2
    before = clock.now_ms()
    wall.s -= 3600
    assert clock.now_ms() == before
    clock.persist()
    wall.s += 1
    assert clock.now_ms() == before + 60_000


def test_at_the_end_of_the_market_time_stops(path, wall):
    clock = make_clock(path, wall, speed=240)
    clock.step(END_MS - 1000)
    wall.s += 1
    assert clock.now_ms() == END_MS
    clock.persist()
    assert clock.ended
    assert json.loads(path.read_text())["market_anchor"] == END_MS / 1000
    assert json.loads(path.read_text())["paused"]  # so that readers who do not know the end stand still too
    with pytest.raises(ClockError, match="over"):
        clock.resume()


def test_a_step_beyond_the_end_stops_there(path, wall):
    clock = make_clock(path, wall)
    clock.step(END_MS + 10_000)
    assert clock.now_ms() == END_MS
    assert clock.ended


def test_creating_twice_keeps_the_first(path, wall):
    make_clock(path, wall).step(START_MS + 5_000)
    assert make_clock(path, wall).now_ms() == START_MS + 5_000


def test_without_a_file_the_error_says_what_to_start(path, wall):
    with pytest.raises(ClockError, match=r"manage\.py simulator"):
        SimClock(path, wall=wall).now_ms()


def test_a_file_that_is_no_clock_is_said_to_be_none(path, wall):
    path.parent.mkdir()
    path.write_text('{"speed": 1}')
    with pytest.raises(ClockError, match="is not a market clock"):
        SimClock(path, wall=wall).now_ms()
