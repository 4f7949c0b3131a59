"""Killed at any moment while a version is written, nothing half-written trades; and of two fits at once one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.deep]

PROJECT = Path(__file__).resolve().parents[2]
FIT_POINTS = (
    "the draft's folder is made",
    "the model is half written",
    "the model is written",
    "the manifest is half written",
    "both are written",
    "the draft is verified",
    "the folder is in place",
    "the file is saved, the row is not",
    "the row is written, nothing else is",
    "the old version is retired, the new one not active",
    "the new version is active, not audited",
    "all is written, not committed",
)
ROLLBACK_POINTS = (
    "the new version is retired, the old one not active",
    "the old version is active, not audited",
    "all is written, not committed",
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a run of real, killed processes saw."""
    folder = tmp_path_factory.mktemp("crashes")
    rest = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "MODEL_DIR")}
    # A new state folder makes its own keys and its own SQLite file.
    env = rest | {"STATE_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "tradingsite.settings"}
    command = [sys.executable, "-m", "tests.fit_crashes"]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_every_point_was_tried(seen):
    assert set(seen["fits"]) == {*FIT_POINTS, "it is committed"}
    assert set(seen["rollbacks"]) == set(ROLLBACK_POINTS)


@pytest.mark.parametrize("point", FIT_POINTS)
def test_a_fit_killed_while_it_writes_changes_nothing_that_trades(seen, point):
    killed = seen["fits"][point]
    assert killed["signal"] == signal.SIGKILL
    assert killed["after"] == killed["before"]
    assert killed["after"]["active"] == [1]
    assert killed["after"]["damaged"] == []


def test_a_fit_killed_when_it_is_committed_is_whole(seen):
    killed = seen["fits"]["it is committed"]
    assert killed["signal"] == signal.SIGKILL
    assert killed["before"]["active"] == [1]
    (version,) = killed["after"]["active"]
    assert killed["after"]["statuses"] == {"1": "retired", str(version): "active"}
    assert killed["after"]["damaged"] == []


def test_the_next_fit_goes_on_after_all_of_that(seen):
    whole = seen["whole"]
    assert list(whole["statuses"].values()) == ["retired", "retired", "active"]
    assert whole["damaged"] == []
    assert whole["positions"] == seen["fits"][FIT_POINTS[0]]["before"]["positions"]  # the same bars, the same model


@pytest.mark.parametrize("point", ROLLBACK_POINTS)
def test_a_rollback_killed_half_way_did_not_happen(seen, point):
    killed = seen["rollbacks"][point]
    assert killed["signal"] == signal.SIGKILL
    assert killed["after"] == killed["before"] == seen["whole"]


def test_a_rollback_after_that_brings_back_what_traded(seen):
    assert list(seen["rolled_back"]["statuses"].values()) == ["retired", "active", "retired"]


def test_two_processes_that_fit_a_slot_at_once_give_two_whole_versions_and_one_active(seen):
    both = seen["at_once"]
    assert both["ended"] == [0, 0]
    statuses = {int(version): status for version, status in both["after"]["statuses"].items()}
    newer = sorted(statuses)[-2:]
    assert len(statuses) == 5
    assert both["after"]["active"] == newer[1:]
    assert statuses[newer[0]] in ("retired", "candidate")  # it ended first, or last
    assert list(statuses.values()).count("active") == 1
    assert both["after"]["damaged"] == []


def test_what_killed_fits_left_is_drafts_that_nobody_opens(seen):
    """They are deleted an hour later, see ``artifacts.remove_abandoned``."""
    assert seen["drafts"] == 6
