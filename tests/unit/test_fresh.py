"""A module that is asked in a process of its own: its answer, or words for why there is none."""

from __future__ import annotations

import io
import sys

import pytest

from ops.fresh import FreshProcessError, ask, serve


def test_the_answer_is_what_the_module_writes():
    assert ask("json.tool", {"key": "none of the process list's business"}, what="it") == {
        "key": "none of the process list's business"
    }


def test_a_process_that_fails_says_what_it_said_last():
    with pytest.raises(FreshProcessError, match=r"checks the models ended with 1; it said: .*No module named nowhere"):
        ask("nowhere", {}, what="the models")


def test_a_process_that_takes_too_long_is_given_up():
    with pytest.raises(FreshProcessError, match="did not check the filter within 0 s"):
        ask("json.tool", {}, what="the filter", timeout_s=0.001)


def test_a_module_serves_one_request(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"n": 2}'))
    serve(lambda request: request["n"] + 1)
    assert capsys.readouterr().out == "3"
