"""Command lines of the docs, read as the programs that they name would read them; nothing is run."""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache

from django.core.management import get_commands, load_command_class

from benchmarks.command import parser as benchmarks_parser
from tests.docs_reader import ROOT

# Programs of the system that a runbook may name.
PROGRAMS = {"cp", "du", "git", "journalctl", "mkdir", "mv", "rm", "ssh", "systemctl"}
ASSIGNMENT = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.DOTALL)


@cache
def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    return set(re.findall(r"^([.\w/-]+):(?!=)", text, re.MULTILINE))


@cache
def settings_names() -> set[str]:
    return set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def parse_manage(arguments: list[str]) -> None:
    """Read a command line of manage.py as it would be read; CommandError when it would be refused."""
    name, *rest = arguments
    commands = get_commands()
    assert name in commands, f"there is no command {name}"
    app = commands[name]
    command = load_command_class(app, name) if isinstance(app, str) else app
    command.create_parser("manage.py", name).parse_args(rest)


def parse_make(arguments: list[str]) -> None:
    given = dict(match.groups() for word in arguments if (match := ASSIGNMENT.match(word)))
    assert set(given) <= {"ARGS", "PYTHON"}, given
    targets = [word for word in arguments if "=" not in word]
    assert set(targets) <= make_targets(), targets
    handed_on = shlex.split(given.get("ARGS", ""))
    if targets == ["up"]:
        parse_manage(["up", *handed_on])
    elif targets == ["bench"]:
        benchmarks_parser().parse_args(handed_on)


def parse_python(arguments: list[str]) -> None:
    first, *rest = arguments
    if first == "manage.py":
        parse_manage(rest)
    elif first == "-c":
        compile(rest[0], "docs", "exec")
    else:
        assert first == "-m", arguments
        assert importlib.util.find_spec(rest[0]), rest[0]
        if rest[0] == "benchmarks":
            benchmarks_parser().parse_args(rest[1:])


def parse_shell(line: str) -> None:
    words = shlex.split(line)
    while match := ASSIGNMENT.match(words[0]):
        assert match[1] in settings_names(), f"there is no setting {match[1]}"
        words = words[1:]
    if words[0] == "sudo":
        words = words[3:] if words[1] == "-u" else words[1:]
    readers = {"make": parse_make, "manage.py": parse_manage, ".venv/bin/python": parse_python}
    if words[0] in readers:
        readers[words[0]](words[1:])
    else:
        assert words[0] in PROGRAMS, f"{words[0]} is no program that the docs may name"
