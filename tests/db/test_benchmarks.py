"""The benchmarks of the database use one of their own, and both sides store and read the same."""

from __future__ import annotations

import pytest
from django.db import connection

from benchmarks import command, storage
from benchmarks.database import own_database
from benchmarks.harness import open_contest
from market import windows
from market.models import Bar, Symbol
from tests.bench_builders import make_row
from tests.fits_builders import run_command

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def in_small(monkeypatch):
    for name, value in {"N_UPSERTED": 300, "N_SYMBOLS": 3, "YEAR": 200}.items():
        monkeypatch.setattr(storage, name, value)


def test_a_benchmarks_database_is_not_the_sites():
    Symbol.objects.create(name="BTCUSD")
    site = connection.settings_dict["NAME"]
    with own_database("market"):
        assert connection.settings_dict["NAME"] != site
        assert all(name.startswith("market_") for name in connection.introspection.table_names())
        assert not Symbol.objects.exists()
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode")
            assert cursor.fetchone() == ("wal",)
    assert connection.settings_dict["NAME"] == site
    assert Symbol.objects.get().name == "BTCUSD"


def test_the_sites_database_is_back_after_a_failure():
    with pytest.raises(ZeroDivisionError), own_database("market"):
        raise ZeroDivisionError
    assert Symbol.objects.count() == 0


@pytest.mark.parametrize("name", ["upsert_bars", "read_bars_warm", "read_bars_cold"])
def test_both_sides_have_the_same_in_the_end(name, in_small):
    with open_contest(name) as contest:
        assert contest.difference() == 0.0
        contest.ours()
        contest.peer()


def test_every_upsert_that_is_timed_changes_every_row(in_small):
    with open_contest("upsert_bars") as contest:
        contest.difference()
        assert [contest.ours() for _ in range(3)] == [300] * 3
        before = storage._stored("PEER")
        contest.peer()
        assert storage._stored("PEER") != before
    assert Bar.objects.count() == 0


def test_the_rows_that_are_read_are_a_year_of_every_symbol(in_small):
    with open_contest("read_bars_warm") as contest:
        ours, theirs = contest.ours(), contest.peer()
        assert len(ours) == len(theirs) == 3
        assert all(len(frame) == 200 for frame in (*ours, *theirs))
        assert list(ours[2].columns) == list(theirs[2].columns)
        assert (ours[2].index == theirs[2].index).all()


def test_a_cold_read_begins_with_nothing_and_a_warm_one_fetches_nothing(in_small, monkeypatch):
    fetched = []
    load = windows.load_blocks

    def counted(series, entries):
        fetched.extend(entries)
        return load(series, entries)

    monkeypatch.setattr(windows, "load_blocks", counted)
    found = {}
    for state in ("warm", "cold"):
        with open_contest(f"read_bars_{state}") as contest:
            contest.difference()
            fetched.clear()
            contest.ours()
            found[state] = len(fetched)
    assert found == {"warm": 0, "cold": 3}


def bench(*arguments: str, monkeypatch, **changes) -> tuple[int, dict, str]:
    monkeypatch.setattr(command.harness, "run", lambda name: make_row(name=name, **changes))
    return run_command("bench", *arguments)


def test_the_command_gives_the_document_that_others_rely_on(monkeypatch):
    code, document, _ = bench("rebalance", "sweep", monkeypatch=monkeypatch)
    assert (code, document["ok"], document["schema"], document["warnings"]) == (0, True, "bench/1", [])
    assert [row["name"] for row in document["data"]["rows"]] == ["rebalance", "sweep"]


def test_a_missed_goal_ends_the_command_with_3_and_a_missing_peer_with_0(monkeypatch):
    code, document, _ = bench("sweep", monkeypatch=monkeypatch, ok=False)
    assert (code, document["warnings"]) == (3, ["sweep misses its goal"])
    gone = {"ok": None, "peer": "vectorbt", "peer_s": None, "ratio": None, "max_abs_diff": None}
    code, document, _ = bench("sweep", monkeypatch=monkeypatch, **gone)
    assert (code, document["data"]["rows"][0]["ours_s"]) == (0, 0.002)
    missing = "not installed, so ours ran alone: vectorbt; pip install -r requirements-bench.txt"
    assert document["warnings"] == [missing]


def test_an_unknown_name_is_wrong_usage(monkeypatch):
    code, document, _ = bench("moonshot", monkeypatch=monkeypatch)
    assert code == 2
    assert document["error"].startswith("no benchmark 'moonshot'; known: rolling_ols, ")
