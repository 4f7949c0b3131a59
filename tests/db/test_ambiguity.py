"""The benchmark of doubt finds nothing in what trades, and finds it at once where one of its promises is broken."""

from __future__ import annotations

import json

import pytest

from benchmarks import ambiguity
from benchmarks.ambiguity import run
from benchmarks.ambiguous_desk import Found
from execution.adjust import Adjuster
from execution.safety import reconcile

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_fill_comes_twice_and_none_is_lost():
    found = run(40, seed=3)
    assert found.doubtful >= 40
    assert 0 < found.executed_in_doubt < found.doubtful
    assert (found.double_fills, found.lost_fills) == (0, 0)
    assert min(found.frozen_s) >= reconcile.HORIZON_S


@pytest.mark.deep
@pytest.mark.parametrize(
    ("seed", "owner", "name", "value"),
    [
        pytest.param(2, reconcile, "HORIZON_S", 0.0, id="no horizon"),
        pytest.param(1, reconcile, "PROOFS_OF_ABSENCE", 1, id="one proof of absence"),
        pytest.param(2, Adjuster, "why_frozen", lambda *_: "", id="no freeze"),
    ],
)
def test_without_its_rules_doubt_costs_fills(monkeypatch, seed, owner, name, value):
    monkeypatch.setattr(ambiguity, "PAUSES_S", [(0.5, 3)])  # in a hurry a few dozen are enough to find some
    monkeypatch.setattr(owner, name, value)
    assert not run(60, seed=seed).is_ok


@pytest.mark.deep
def test_in_a_hurry_the_rules_turn_targets_away_and_lose_nothing(monkeypatch):
    monkeypatch.setattr(ambiguity, "PAUSES_S", [(0.5, 3)])
    found = run(60, seed=2)
    assert found.is_ok
    assert found.turned_away > 30


def test_the_command_ends_with_3_when_it_found_something(monkeypatch, capsys):
    monkeypatch.setattr(ambiguity, "run", lambda n, **_: Found(attempts=n, doubtful=n, double_fills=1))
    assert ambiguity.run_command(["--n", "5", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["schema"], document["data"]["double_fills"]) == (False, "ambiguity/1", 1)
    monkeypatch.setattr(ambiguity, "run", lambda n, **_: Found(attempts=n, doubtful=n))
    assert ambiguity.run_command(["--n", "5"]) == 0
