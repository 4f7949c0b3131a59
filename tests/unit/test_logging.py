"""What a process of the desk writes into its log, and what it never writes there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import logging, sys
from pathlib import Path
from loguru import logger
from ops.logging import configure_logging
configure_logging("trader", folder=Path(sys.argv[1]), secrets=("", "hunter2"))
logger.info("watching")
logger.bind(symbol="BTCUSD", login="of hunter2").info("sent with hunter2 {braces} <tags>")
logging.getLogger("urllib3").warning("a library knows hunter2")
logger.debug("only for the file")
secret_of_a_frame = "swordfish"
try:
    raise ValueError("{'login': 'hunter2'} at <broker>")
except ValueError:
    logger.exception("failed")
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[str, str]:
    """Return what a process of its own wrote to the console and to its file."""
    folder = tmp_path_factory.mktemp("logs")
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  # our own script
    return ended.stderr, (folder / "trader.log").read_text()


def test_a_line_ends_with_what_was_bound_to_it_and_only_then(written):
    for text in written:
        lines = text.splitlines()
        assert lines[0].endswith(" watching")
        assert lines[1].endswith("sent with ••• {braces} <tags> {'symbol': 'BTCUSD', 'login': 'of •••'}")


def test_no_secret_is_ever_written_whoever_logs_it(written):
    for text in written:
        assert "hunter2" not in text
        assert "a library knows •••" in text


def test_a_traceback_is_written_without_the_values_of_variables(written):
    for text in written:
        assert "ValueError: {'login': '•••'} at <broker>" in text
        assert "swordfish" not in text.replace('secret_of_a_frame = "swordfish"', "")


def test_the_file_has_more_than_the_console(written):
    console, file = written
    assert "only for the file" in file
    assert "only for the file" not in console
