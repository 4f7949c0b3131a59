"""A wild run on real processes: somebody is killed, nothing is broken, and nobody is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.processes, pytest.mark.deep]
ROOT = Path(__file__).resolve().parents[2]


def living_on(state_dir: Path) -> list[psutil.Process]:
    """Return the processes whose state is somewhere in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("STATE_DIR", "").startswith(str(state_dir)):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


def test_a_few_wild_hours_keep_every_promise_and_leave_nobody_behind(tmp_path):
    command = [sys.executable, "manage.py", "chaos_run", "--wild", "--seed", "2", "--hours", "4", "--json"]
    environment = os.environ | {"STATE_DIR": str(tmp_path)}
    done = subprocess.run(  # noqa: S603  # our own command
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.stdout, done.stderr[-2000:]
    data = json.loads(done.stdout)["data"]
    assert (done.returncode, data["violations"]) == (0, [])
    assert data["crashes"] or data["acts"]
    assert data["orders"] > 0
    assert living_on(tmp_path) == []
    assert list((tmp_path / "chaos").iterdir()) == []
