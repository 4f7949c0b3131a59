"""What a crash leaves behind is what SIGKILL leaves behind at the same point, to the row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.crash_processes import POINTS

pytestmark = pytest.mark.deep

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what killed processes and crashed ones have left."""
    folder = tmp_path_factory.mktemp("killed")
    rest = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "MODEL_DIR")}
    # A new state folder makes its own keys and its own SQLite file.
    env = rest | {"STATE_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "tradingsite.settings"}
    command = [sys.executable, "-m", "tests.crash_processes"]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=180, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr[-3000:]
    result: list[dict[str, Any]] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("number", range(len(POINTS)), ids=lambda number: POINTS[number][0])
def test_a_crash_leaves_to_the_row_what_sigkill_leaves(seen, number):
    pair = seen[number]

    assert pair["point"] == list(POINTS[number])
    assert (pair["killed"]["code"], pair["crashed"]["code"]) == (-signal.SIGKILL, 0)
    assert pair["killed"]["left"] == pair["crashed"]["left"]


def test_what_is_compared_is_not_nothing(seen):
    sent = next(pair["killed"]["left"] for pair in seen if pair["point"] == ["after the venue's write", 2])

    assert [deal[0] for deal in sent["deals"]] == ["", *["BTCUSD"] * 3]  # a deposit, and open, close, open
    assert sent["runs"][-1][2] == "running"
    assert sent["leases"] == [["trader", 2, 0]]
    assert [attempt[1] for attempt in sent["attempts"]] == ["ok", "ok", ""]
    assert sent["the gate's lock is free"]
