"""Unit files and proxy examples name commands, units and ports that exist."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs_reader import DOCS, ROOT
from tests.docs_shell import parse_manage

DEPLOY = DOCS / "deploy"
UNITS = sorted(path for path in DEPLOY.iterdir() if path.suffix in (".service", ".target", ".timer"))
INSTALLED = "/opt/trading-desk"
PYTHON = f"{INSTALLED}/.venv/bin/python"
OF_THE_SYSTEM = {"network-online.target", "multi-user.target"}


def directives(unit: Path) -> list[tuple[str, str]]:
    """Return a unit's settings in order; systemd lets a name come again."""
    lines = [line for line in unit.read_text().splitlines() if line and not line.startswith(("#", "["))]
    return [tuple(line.split("=", 1)) for line in lines]


def named_units(unit: Path) -> set[str]:
    names = {"After", "Wants", "PartOf", "Conflicts", "WantedBy", "Requires"}
    return {word for name, value in directives(unit) if name in names for word in value.split()}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_names_only_units_that_are_shipped(unit):
    shipped = {path.name for path in UNITS}
    for name in named_units(unit) - OF_THE_SYSTEM:
        assert re.sub(r"@\w+\.", "@.", name) in shipped, name


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_a_service_starts_commands_that_exist_as_a_user_without_rights(unit):
    given = directives(unit)
    values = dict(given)
    commands = [value for name, value in given if name.startswith("ExecStart")]
    assert commands
    for command in commands:
        words = shlex.split(command.replace("%i", "trading"))
        words = shlex.split(words[2].split(" -- ")[1].split(" || ")[0]) if words[0] == "/bin/sh" else words
        assert words[0] == PYTHON, command
        if words[1] == "manage.py":
            parse_manage(words[2:])
        else:
            assert words[1:4] == ["-m", "uvicorn", "tradingsite.asgi:application"]
    assert values["WorkingDirectory"] == INSTALLED
    assert values.get("User", "root" if unit.name == "desk-watchdog.service" else "") != ""
    if values.get("User") == "desk":
        assert {"NoNewPrivileges", "ProtectSystem", "ReadWritePaths"} <= set(values)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_reads_the_units_without_a_complaint(tmp_path):
    for unit in UNITS:
        text = unit.read_text().replace(PYTHON, sys.executable).replace(INSTALLED, str(ROOT))
        (tmp_path / unit.name.replace("@", "@trading" if unit.suffix == ".service" else "@")).write_text(text)
    shutil.copy(tmp_path / "desk-queue@trading.service", tmp_path / "desk-queue@.service")
    done = subprocess.run(  # noqa: S603
        ["systemd-analyze", "verify", "--recursive-errors=no", *map(str, tmp_path.glob("desk*"))],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or line.startswith("desk")]
    assert complaints == []


def test_the_queues_are_stopped_by_a_signal_to_the_parent_alone():
    values = dict(directives(DEPLOY / "desk-queue@.service"))
    assert values["KillMode"] == "mixed"
    assert dict(directives(DEPLOY / "desk.service"))["KillMode"] == "mixed"


@pytest.mark.parametrize("name", ["Caddyfile", "nginx.conf"])
def test_a_proxy_leads_to_the_port_of_the_example(name):
    text = (DEPLOY / name).read_text()
    port = re.search(r"^PORT=(\d+)$", (ROOT / ".env.example").read_text(), re.MULTILINE)[1]
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) == {port}
    served = (ROOT / "tradingsite" / "asgi.py").read_text()
    live = re.search(r'path\("([\w/]+)"', served)[1]
    assert name == "Caddyfile" or f"location /{live} " in text


def test_every_file_of_the_folder_is_named_by_its_page():
    text = (DEPLOY / "README.md").read_text()
    for path in DEPLOY.iterdir():
        assert path.name in text or path.name == "README.md", path.name
