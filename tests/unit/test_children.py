"""Supervised processes: small real ones, awaited by what they do and never by the clock alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tradingsite import children
from tradingsite.children import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, Child, ChildSpec, GroupsFile, stop_all

PATIENCE_S = 15.0
SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
# Starts a process of its group, says its number, and leaves it behind when killed: as a qcluster does its workers.
PARENT = (
    "import subprocess, sys, time\n"
    f"worker = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], stdout=subprocess.DEVNULL)\n"
    "print(worker.pid, flush=True)\n"
    "time.sleep(600)\n"
)


def until(condition, what: str):
    """Return the first true answer of the condition."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        if answer := condition():
            return answer
        time.sleep(0.005)
    raise AssertionError(f"waited {PATIENCE_S} s for: {what}")


def is_gone(pid: int) -> bool:
    """Return whether a process ended; one that nobody has asked about yet has ended too."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Started:
    """Children that a test started, and the lines they said."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.children: list[Child] = []

    def make(self, code: str, *, name: str = "child", env: dict[str, str] | None = None) -> Child:
        """Return a child that runs some Python, not started yet."""
        spec = ChildSpec(name=name, argv=(sys.executable, "-c", code), env=env or {})
        child = Child(spec, lambda name, line: self.lines.append((name, line)))
        self.children.append(child)
        return child

    def run(self, code: str, *, name: str = "child", env: dict[str, str] | None = None) -> Child:
        """Return a child that runs some Python and has said its first line."""
        child = self.make(code, name=name, env=env)
        child.start()
        until(lambda: self.said(name), f"the first line of {name}")
        return child

    def said(self, name: str = "child") -> list[str]:
        return [line for who, line in self.lines if who == name]


@pytest.fixture
def started():
    made = Started()
    yield made
    for child in made.children:
        child.kill()


def revived(child: Child) -> bool:
    return bool(until(child.revive, f"{child.spec.name} is started again"))


# --- one child ----------------------------------------------------------------------------------------------------


def test_lines_come_with_the_name_and_whole_whatever_their_encoding(started):
    started.run(r"import sys; sys.stdout.buffer.write(b'caf\xe9\nprice \xe2\x82\xac\n')")

    until(lambda: len(started.said()) >= 2, "both lines")
    assert started.said()[:2] == ["caf�", "price €"]


def test_a_child_knows_its_name_and_leads_a_group_of_its_own(started):
    child = started.run(
        "import os; print(os.environ['DESK_PROCESS'], os.environ['COLOUR'], os.getpgrp())",
        name="trader",
        env={"COLOUR": "green"},
    )

    assert started.said("trader") == [f"trader green {child.pid}"]
    assert child.pid != os.getpgrp()


def test_a_child_that_runs_is_left_alone(started):
    child = started.run(SLEEPER)
    pid = child.pid

    assert not child.revive()
    assert child.pid == pid
    assert child.exit_code is None


def test_a_child_that_dies_is_revived_after_its_backoff(started):
    child = started.run(SLEEPER)
    first = child.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: not child.is_running, "its death")

    noticed = time.monotonic()
    assert not child.revive(), "not at once"
    assert revived(child)

    assert time.monotonic() - noticed >= FIRST_BACKOFF_S
    assert child.is_running
    assert child.pid != first
    assert any("signal 9" in line and "starting again in 1 s" in line for line in started.said())


def test_the_backoff_doubles_up_to_its_limit_and_starts_anew_after_a_healthy_while(started, monkeypatch):
    child = started.make("raise SystemExit(3)")
    child.start()
    now = time.monotonic()
    waits = []
    for _ in range(8):
        until(lambda: not child.is_running, "its end")
        monkeypatch.setattr(children.time, "monotonic", lambda: now)  # noqa: B023
        began = now
        while not child.revive():
            now += 0.5
        waits.append(now - began)
        monkeypatch.undo()
    assert waits == [1, 2, 4, 8, 16, LONGEST_BACKOFF_S, LONGEST_BACKOFF_S, LONGEST_BACKOFF_S]

    child.spec = ChildSpec(name="child", argv=(sys.executable, "-c", SLEEPER))
    child.kill()
    child.start()
    child.started_mono -= children.HEALTHY_AFTER_S + 1
    assert not child.revive()
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.is_running, "its end")
    child.revive()
    assert "starting again in 1 s" in started.said()[-1]


def test_what_a_dead_parent_left_behind_ends_before_it_is_started_again(started):
    child = started.run(PARENT)
    worker = int(started.said()[0])
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.is_running, "its death")
    assert not is_gone(worker), "a worker outlives its parent: that is the danger"

    assert revived(child)

    until(lambda: is_gone(worker), "the worker's end")


# --- stopping -----------------------------------------------------------------------------------------------------


def test_who_listens_stops_by_itself_and_only_the_leader_is_asked(started):
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nprint('ready')\nsignal.pause()"
    child = started.run(code)

    stop_all([child], within_s=PATIENCE_S)

    assert child.exit_code == 7


def test_what_ignores_the_wish_to_stop_is_killed_with_its_group(started):
    deaf, parent = started.run(DEAF, name="deaf"), started.run(PARENT.replace("time.sleep(600)", DEAF), name="parent")
    worker = int(started.said("parent")[0])
    began = time.monotonic()

    stop_all([deaf, parent], within_s=0.3)

    assert time.monotonic() - began < 5
    assert deaf.exit_code == parent.exit_code == -signal.SIGKILL
    until(lambda: is_gone(worker), "the worker's end")


def test_stopping_what_never_started_or_ended_before_is_no_error(started):
    ended = started.make("pass", name="ended")
    ended.start()
    until(lambda: not ended.is_running, "its end")

    stop_all([started.make(SLEEPER), ended], within_s=0.1)

    assert ended.exit_code == 0


# --- what a successor finds ---------------------------------------------------------------------------------------


def test_a_successor_ends_what_was_left_running(started, tmp_path: Path):
    child, path = started.run(SLEEPER, name="web"), tmp_path / "up.json"
    GroupsFile(path).write([child])
    assert path.stat().st_mode & 0o777 == 0o600

    assert GroupsFile(path).running() == {"web": True}
    assert GroupsFile(path).end_leftovers() == ["web"]

    until(lambda: not child.is_running, "its end")
    assert not path.exists()
    assert GroupsFile(path).end_leftovers() == []


def test_a_successor_ends_workers_whose_parent_is_dead(started, tmp_path: Path):
    child = started.run(PARENT, name="trader")
    worker = int(started.said("trader")[0])
    groups = GroupsFile(tmp_path / "up.json")
    groups.write([child])
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.is_running, "its death")

    assert groups.end_leftovers() == ["trader"]

    until(lambda: is_gone(worker), "the worker's end")


def test_a_process_that_got_a_dead_ones_number_is_not_touched(started, tmp_path: Path):
    child = started.run(SLEEPER, name="web")
    groups = GroupsFile(tmp_path / "up.json")
    groups.write([child])
    text = groups.path.read_text()
    created = str(psutil.Process(child.pid).create_time())
    groups.path.write_text(text.replace(created, str(float(created) - 3600)))

    assert groups.end_leftovers() == []
    assert child.is_running


@pytest.mark.parametrize("text", ["", "{", "[]", '{"groups": {}}', '{"supervisor": 17}'])
def test_a_file_that_says_nothing_ends_nothing(tmp_path: Path, text: str):
    groups = GroupsFile(tmp_path / "up.json")
    groups.path.write_text(text)

    assert not groups.is_supervised()
    assert groups.end_leftovers() == []


def test_the_file_knows_whether_its_supervisor_lives(tmp_path: Path):
    path = tmp_path / "up.json"
    code = (
        "import sys; from pathlib import Path; from tradingsite.children import GroupsFile\n"
        f"GroupsFile(Path({str(path)!r})).write([]); print('written', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=children.PROJECT
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"written\n"
    assert GroupsFile(path).is_supervised()

    other.communicate()
    assert not GroupsFile(path).is_supervised()
