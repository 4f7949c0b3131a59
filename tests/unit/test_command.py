"""What every command does when its surroundings fail it: one line on stderr, one document on stdout."""

from __future__ import annotations

import io
import json
import sys

import pytest
from django.core.management.base import CommandError
from django.db import OperationalError

from ops.command import DeskCommand, Outcome


class Broken(DeskCommand):
    """A command whose database fails it."""

    examples = ("broken", "broken --json")
    schema = "broken/1"

    def run(self, **options: object) -> Outcome:
        raise OperationalError("database is locked")


class Asking(DeskCommand):
    """A command that asks first."""

    examples = ("asking", "asking --json")
    schema = "asking/1"

    def run(self, **options: object) -> Outcome:
        self.confirm("Delete everything?", no_input=False)
        return Outcome(data={"deleted": True}, text="deleted")


class Person(io.StringIO):
    """A terminal with somebody in front of it."""

    def isatty(self) -> bool:
        return True


def ran(command: type[DeskCommand], **options: object) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    command(stdout=out, stderr=err).handle(json=True, **options)
    return out.getvalue(), err.getvalue()


def test_a_database_that_fails_is_one_line_and_one_document():
    out = io.StringIO()
    with pytest.raises(CommandError, match="the database cannot be used: database is locked;") as error:
        Broken(stdout=out, stderr=io.StringIO()).handle(json=True)
    assert error.value.returncode == 1
    assert json.loads(out.getvalue())["error"].startswith("the database cannot be used")


def test_with_traceback_the_error_itself_is_shown():
    with pytest.raises(OperationalError):
        ran(Broken, traceback=True)


def test_a_question_is_asked_on_stderr_for_stdout_is_data(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Person("yes\n"))
    out, err = ran(Asking)
    assert json.loads(out)["data"] == {"deleted": True}
    assert err == "Delete everything? [yes/no] "


def test_any_other_answer_changes_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Person("y\n"))
    with pytest.raises(CommandError, match="nothing was changed"):
        ran(Asking)
