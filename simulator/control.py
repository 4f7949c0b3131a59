"""Stepping and pausing the simulated world: functions for tests in process, an endpoint for a running simulator.

The endpoint (``POST /step {"until": "2026-01-05T09:00Z"}`` or ``{"seconds": 3600}``, ``/pause``, ``/resume``, ``/speed
{"speed": 120}``, ``/faults {"plan": …}``, ``GET /status``) belongs to the simulator, with a token of its own; a real
terminal has nothing like it.
"""

from __future__ import annotations

import hmac
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from simulator import faults
from simulator.clock import SimClock
from simulator.errors import ClockError, ControlError, FaultPlanError
from simulator.http import JsonHandler, LocalServer
from simulator.mounting import mounted
from simulator.world import World


def step(until: datetime) -> None:
    """Move the mounted world's time forward to a moment, and let its account live through what happens until then.

    Raises
    ------
    ControlError
        If no world is mounted in this process, or the moment has no time zone.
    ClockError
        If the moment has passed.
    """
    _mounted().clock.step(_milliseconds(until))
    _advance_account()


def pause() -> None:
    """Hold the mounted world's time."""
    _mounted().clock.pause()
    _advance_account()


def resume() -> None:
    """Let the mounted world's time run."""
    _mounted().clock.resume()


def set_speed(speed: float) -> None:
    """Let the mounted world's time run at another speed, above 0 and at most 240."""
    _mounted().clock.set_speed(speed)


def _mounted() -> World:
    world = mounted()
    if world is None:
        raise ControlError("no world is mounted in this process: call simulator.metatrader5.mount(world) first")
    return world


def _advance_account() -> None:
    """Let the account catch up, if this process has one."""
    module = sys.modules.get("simulator.metatrader5")
    if module is not None and module.mounted() is not None:
        module.advance()


def _milliseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ControlError(f"a moment needs a time zone, was {moment.isoformat()}")
    return round(moment.timestamp() * 1000)


class ControlHandler(JsonHandler):
    """One control request."""

    server: ControlServer
    server_version = "simulator"

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer ``/status``."""
        self._answer("GET")

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
        """Answer a command with the status after it."""
        self._answer("POST")

    def _answer(self, method: str) -> None:
        try:
            text = self.body()
            if not hmac.compare_digest(self.headers.get("Authorization", ""), f"Bearer {self.server.token}"):
                self.reply(401, {"error": "a bearer token is needed: the one in the simulator's control file"})
                return
            act = self.server.actions.get((method, self.path))
            if act is None:
                known = ", ".join(" ".join(key) for key in self.server.actions)
                self.reply(404, {"error": f"no {method} {self.path} here; known: {known}"})
                return
            act(_fields(text))
        except (ValueError, ClockError, ControlError, FaultPlanError) as error:
            self.reply(400, {"error": str(error)})
            return
        self.reply(200, self.server.status())


class ControlServer(LocalServer):
    """Control of one running world.

    Parameters
    ----------
    world : World
    token : str
        What a client has to show.
    """

    def __init__(self, world: World, *, token: str) -> None:
        self.world = world
        self.token = token
        self.actions: dict[tuple[str, str], Callable[[Mapping[str, Any]], None]] = {
            ("GET", "/status"): lambda fields: None,
            ("POST", "/step"): lambda fields: _step(world.clock, fields),
            ("POST", "/pause"): lambda fields: world.clock.pause(),
            ("POST", "/resume"): lambda fields: world.clock.resume(),
            ("POST", "/speed"): lambda fields: world.clock.set_speed(_number(fields, "speed")),
            ("POST", "/faults"): lambda fields: _switch_faults(world, fields),
        }
        super().__init__(ControlHandler)

    def status(self) -> dict[str, Any]:
        """Return what the page shows of the clock."""
        clock = self.world.clock
        now_ms, state = clock.now_ms(), clock.state
        return {
            "market_time": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(),
            "market_ms": now_ms,
            "market_end_ms": self.world.market.end_ms,
            "speed": state.speed,
            "paused": state.paused,
            "ended": state.ended,
            "mode": state.mode,
        }


def _step(clock: SimClock, fields: Mapping[str, Any]) -> None:
    if "until" in fields:
        clock.step(_milliseconds(datetime.fromisoformat(str(fields["until"]))))
    else:
        clock.step(clock.now_ms() + round(_number(fields, "seconds") * 1000))
    _advance_account()


def _switch_faults(world: World, fields: Mapping[str, Any]) -> None:
    """Switch a plan of faults on, or off where there is none."""
    plan = fields.get("plan")
    if plan is None:
        faults.switch_off(world.config.sim_dir)
    else:
        faults.switch_on(world.config.sim_dir, faults.FaultPlan.from_json(json.dumps(plan)))


def _fields(text: bytes) -> Mapping[str, Any]:
    fields = json.loads(text) if text.strip() else {}
    if not isinstance(fields, dict):
        raise ControlError(f"a JSON object is needed, was {text[:60]!r}")
    return fields


def _number(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ControlError(f"{name} must be a number, was {value!r}")
    return float(value)
