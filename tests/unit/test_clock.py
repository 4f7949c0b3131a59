"""The two clocks: the market's can be simulated, the machine's cannot."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops import clock
from ops.clock import MAX_EXTRAPOLATION_S, ClockMissingError, SimulatedClock, SystemClock, use

MARKET = datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp()


def write(path: Path, *, wall: float, speed: float = 60.0, paused: bool = False, ended: bool = False) -> SimulatedClock:
    fields = {"wall_anchor": wall, "market_anchor": MARKET, "speed": speed, "paused": paused, "ended": ended}
    path.write_text(json.dumps(fields))
    return SimulatedClock(path)


def test_a_second_of_the_world_is_a_minute_of_a_market_at_speed_60(tmp_path: Path) -> None:
    now = time.time()
    simulated = write(tmp_path / "clock.json", wall=now)

    assert simulated.anchor().market_at(now + 1.0) == pytest.approx(MARKET + 60.0)


def test_a_paused_market_stands_still(tmp_path: Path) -> None:
    simulated = write(tmp_path / "clock.json", wall=time.time() - 10, paused=True)

    assert simulated.market_now().timestamp() == MARKET
    assert simulated.speed() == 0.0


def test_time_stops_when_the_simulator_died(tmp_path: Path) -> None:
    simulated = write(tmp_path / "clock.json", wall=time.time() - 1000)

    assert simulated.market_now().timestamp() == MARKET + MAX_EXTRAPOLATION_S * 60.0


def test_a_new_anchor_is_seen_at_once(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    simulated = write(path, wall=time.time(), paused=True)
    simulated.market_now()
    draft = tmp_path / "draft"
    draft.write_text(path.read_text().replace(str(MARKET), str(MARKET + 3600)))
    draft.replace(path)

    assert simulated.market_now().timestamp() == MARKET + 3600


def test_without_a_simulator_the_message_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ClockMissingError, match=r"manage\.py up"):
        SimulatedClock(tmp_path / "clock.json").market_now()


def test_the_system_clock_is_the_worlds(tmp_path: Path) -> None:
    before = datetime.now(UTC)

    with use(SystemClock()):
        assert before <= clock.market_now() <= datetime.now(UTC)
        assert clock.speed() == 1.0
