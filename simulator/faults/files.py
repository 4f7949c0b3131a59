"""The plan that is switched on and the log of what it did: two files beside the clock's, for all processes.

``faults.json`` is the plan with the number of the switch; ``faults.jsonl`` has a line for each fault that began.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.errors import FaultPlanError
from simulator.faults.plan import FaultPlan
from simulator.files import write_json

PLAN, LOG = "faults.json", "faults.jsonl"
_n_switched = 0  # in this process, so that its own players look at once


@dataclass(frozen=True, slots=True)
class Switched:
    """A plan that is on, and the how-manieth it is in this folder."""

    number: int
    plan: FaultPlan


def switch_on(sim_dir: Path, plan: FaultPlan) -> None:
    """Play a plan from now on, from its beginning; in other processes within a quarter of a second."""
    _switch(sim_dir, plan.to_json())


def switch_off(sim_dir: Path) -> None:
    """Play nothing any more; faults that go on end."""
    if _read(sim_dir / PLAN)[1]:
        _switch(sim_dir, "")


def switched(sim_dir: Path) -> Switched | None:
    """Return the plan that is on."""
    number, text = _read(sim_dir / PLAN)
    return Switched(number, FaultPlan.from_json(text)) if text else None


def n_switched() -> int:
    """Return how often this process has switched plans."""
    return _n_switched


def read_log(sim_dir: Path) -> list[dict[str, Any]]:
    """Return every fault that was played on this state, oldest first."""
    try:
        lines = (sim_dir / LOG).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("}")]  # a killed writer may leave half a line


def append_log(sim_dir: Path, line: dict[str, Any]) -> None:
    """Add a line, whole even when several processes write."""
    handle = os.open(sim_dir / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, (json.dumps(line) + "\n").encode())
    finally:
        os.close(handle)


def _switch(sim_dir: Path, text: str) -> None:
    global _n_switched
    number, _ = _read(sim_dir / PLAN)
    write_json(sim_dir / PLAN, {"number": number + 1, "plan": text})
    _n_switched += 1


def _read(path: Path) -> tuple[int, str]:
    try:
        held = json.loads(path.read_text())
        return int(held["number"]), str(held["plan"])
    except FileNotFoundError:
        return 0, ""
    except (ValueError, KeyError, TypeError) as error:
        raise FaultPlanError(f"{path} holds no fault plan ({error}): delete it") from error
