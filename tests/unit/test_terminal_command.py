"""``manage.py terminal``: the server with the site's folders."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from market.terminal.client import open_terminal
from tests.terminal_server import FAKE, PATIENCE_S, ROOT, until

pytestmark = pytest.mark.slow


@pytest.fixture
def manage(tmp_path: Path):
    """Start the command with a state folder of its own."""
    environment = os.environ | {"STATE_DIR": str(tmp_path), "FAKE_TERMINAL_DIR": str(tmp_path)}
    with contextlib.ExitStack() as running:

        def start(*options: str) -> subprocess.Popen[str]:
            command = [sys.executable, "manage.py", "terminal", *options]
            process = subprocess.Popen(  # noqa: S603
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            running.callback(process.communicate)
            running.callback(process.kill)
            return process

        yield start


def test_it_serves_the_module_under_its_own_pid_until_it_is_told_to_stop(manage, tmp_path) -> None:
    process = manage("--module", FAKE)
    until((tmp_path / "run" / "terminal.json").exists, "the run file")
    with contextlib.closing(open_terminal("", run_dir=tmp_path / "run", state_dir=tmp_path)) as terminal:
        assert terminal.call("account_info").value.login == 1001
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert not (tmp_path / "run" / "terminal.json").exists()


def test_a_missing_module_is_one_line_and_exit_code_6(manage) -> None:
    process = manage("--module", "no_such_module")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, len(err.splitlines())) == (6, "", 1)
    assert "cannot import module 'no_such_module'" in err


def test_its_help_starts_with_two_examples(manage) -> None:
    out, _ = manage("--help").communicate(timeout=PATIENCE_S)
    first, second, blank, *_ = out.splitlines()
    assert first.endswith("manage.py terminal")
    assert second.endswith("manage.py terminal --module simulator.metatrader5 --port 8765")
    assert blank == ""
