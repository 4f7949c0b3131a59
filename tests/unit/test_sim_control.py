"""Control of the simulated world: in process for tests, over HTTP for a running simulator, and the command itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from simulator import control, metatrader5
from simulator.child import Child
from simulator.config import SimConfig
from simulator.control import ControlServer
from simulator.errors import ClockError, ControlError
from simulator.world import World

START = datetime(2026, 1, 5, tzinfo=UTC)
PROJECT = Path(__file__).resolve().parents[2]
TOKEN = "t" * 43


@pytest.fixture
def world(tmp_path) -> World:
    return World(SimConfig(state_dir=tmp_path))


@pytest.fixture
def mounted(world: World) -> Iterator[World]:
    metatrader5.mount(world)
    yield world
    metatrader5.unmount()


@pytest.fixture
def server(world: World) -> Iterator[ControlServer]:
    server = ControlServer(world, token=TOKEN)
    server.start()
    yield server
    server.stop()


def post(server: ControlServer, path: str, token: str = TOKEN, **fields) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(server.url + path, json=fields, headers=headers, timeout=5)


def test_stepping_moves_the_mounted_world(mounted):
    control.step(START + timedelta(hours=3))
    assert mounted.clock.now_ms() == (START + timedelta(hours=3)).timestamp() * 1000


def test_stepping_lets_the_account_live_through_it(mounted, monkeypatch):
    moments = []
    monkeypatch.setattr(metatrader5, "advance", lambda: moments.append(mounted.clock.now_ms()))
    control.step(START + timedelta(minutes=1))
    assert moments == [(START + timedelta(minutes=1)).timestamp() * 1000]


def test_without_a_world_there_is_nothing_to_step():
    with pytest.raises(ControlError, match="no world is mounted"):
        control.step(START)


def test_a_moment_without_a_zone_is_refused(mounted):
    with pytest.raises(ControlError, match="time zone"):
        control.step(START.replace(tzinfo=None))


def test_stepping_back_is_refused(mounted):
    with pytest.raises(ClockError, match="never goes back"):
        control.step(START - timedelta(seconds=1))


def test_pausing_and_speed_reach_the_mounted_world(mounted):
    control.set_speed(12)
    control.resume()
    assert (mounted.clock.speed, mounted.clock.paused) == (12.0, False)
    control.pause()
    assert mounted.clock.paused


def test_the_endpoint_tells_the_clock(server, world):
    reply = requests.get(server.url + "/status", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
    assert reply.json() == {
        "market_time": "2026-01-05T00:00:00+00:00",
        "market_ms": START.timestamp() * 1000,
        "market_end_ms": world.market.end_ms,
        "speed": 60.0,
        "paused": True,
        "ended": False,
        "mode": "synthetic",
    }


def test_the_endpoint_steps_to_a_moment_or_by_seconds(server):
    assert post(server, "/step", until="2026-01-05T08:00Z").json()["market_time"] == "2026-01-05T08:00:00+00:00"
    assert post(server, "/step", seconds=90).json()["market_time"] == "2026-01-05T08:01:30+00:00"


def test_the_endpoint_pauses_resumes_and_changes_speed(server):
    assert not post(server, "/resume").json()["paused"]
    assert post(server, "/speed", speed=120).json()["speed"] == 120.0
    assert post(server, "/pause").json()["paused"]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "t"])
def test_without_the_token_nothing_moves(server, world, token):
    assert post(server, "/step", token=token, seconds=60).status_code == 401
    assert world.clock.now_ms() == START.timestamp() * 1000


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        ("/step", {}, "seconds must be a number, was None"),
        ("/step", {"seconds": -1}, "never goes back"),
        ("/step", {"until": "2026-01-04T00:00Z"}, "never goes back"),
        ("/step", {"until": "2026-01-06"}, "time zone"),
        ("/step", {"until": "soon"}, "soon"),
        ("/speed", {"speed": 1000}, "at most 240, was 1000"),
        ("/speed", {"speed": True}, "must be a number"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(server, path, fields, message):
    reply = post(server, path, **fields)
    assert reply.status_code == 400
    assert message in reply.json()["error"]


def test_a_body_that_is_no_object_is_refused(server):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for body in ("[1]", "{", "x" * 2_000_000):
        assert requests.post(server.url + "/step", data=body, headers=headers, timeout=5).status_code == 400


def test_an_unknown_path_names_the_known_ones(server):
    reply = post(server, "/rewind")
    assert reply.status_code == 404
    assert "POST /step" in reply.json()["error"]


def test_a_child_that_dies_is_started_again_after_a_while():
    now, said = [0.0], list[str]()
    command, env = [sys.executable, "-c", "raise SystemExit(3)"], os.environ | {"PYTHONPATH": str(PROJECT)}
    child = Child("it", command, env=env, mono=lambda: now[0], say=said.append)
    for _ in range(2):
        child.watch()
        first = child.pid
        assert first
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        child.watch()
        assert child.pid is None
        now[0] += 1.0
        child.watch()
        assert child.pid is None  # not yet
        now[0] += 4.0
    assert said == ["it ended with code 3; started again in 2 s", "it ended with code 3; started again in 4 s"]


def wait_for(condition, *, within_s: float = 30.0):
    """Wait for a condition and return its first true answer."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{condition} within {within_s} s")


def read(path: Path):
    return json.loads(path.read_text()) if path.exists() else None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


@pytest.fixture
def running(tmp_path) -> Iterator[subprocess.Popen[str]]:
    env = os.environ | {"STATE_DIR": str(tmp_path), "SIM_SPEED": "240"}
    command = [sys.executable, "manage.py", "simulator"]
    process = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    yield process
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()


@pytest.mark.processes
def test_the_command_serves_publishes_and_leaves_within_two_seconds(running, tmp_path):
    run = tmp_path / "run"
    terminal = wait_for(lambda: read(run / "terminal.json"))
    binance, controller = read(run / "binance.json"), read(run / "control.json")
    assert [oct((run / f"{name}.json").stat().st_mode)[-3:] for name in ("binance", "control")] == ["600", "600"]
    address = f"http://127.0.0.1:{binance['port']}/api/v3/time"
    first = requests.get(address, timeout=5).json()["serverTime"]
    wait_for(lambda: requests.get(address, timeout=5).json()["serverTime"] > first)
    headers = {"Authorization": f"Bearer {controller['token']}"}
    status = requests.get(f"http://127.0.0.1:{controller['port']}/status", headers=headers, timeout=5).json()

    began = time.monotonic()
    running.send_signal(signal.SIGTERM)
    assert running.wait(5) == 0
    assert time.monotonic() - began < 2.0
    assert not is_alive(terminal["pid"])
    assert not any((run / name).exists() for name in ("terminal.json", "binance.json", "control.json"))
    assert read(tmp_path / "sim" / "clock.json")["market_anchor"] * 1000 >= status["market_ms"]
    assert running.stdout.read().startswith("synthetic market of BTCUSD")


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_killed_simulator_leaves_no_terminal_behind_and_time_goes_on_from_there(running, tmp_path):
    terminal = wait_for(lambda: read(tmp_path / "run" / "terminal.json"))
    running.kill()
    running.wait()
    wait_for(lambda: not is_alive(terminal["pid"]), within_s=20)
    stopped = read(tmp_path / "sim" / "clock.json")
    world = World(SimConfig(state_dir=tmp_path))
    assert world.clock.now_ms() / 1000 >= stopped["market_anchor"]


@pytest.mark.processes
def test_a_wrong_setting_ends_the_command_with_one_line(tmp_path):
    env = os.environ | {"STATE_DIR": str(tmp_path), "SIM_SPEED": "1000"}
    command = [sys.executable, "manage.py", "simulator"]
    ended = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=30)  # noqa: S603 - ours
    assert ended.returncode == 2
    assert "SIM_SPEED='1000': use above 0 and at most 240" in ended.stderr
    assert "Traceback" not in ended.stderr
