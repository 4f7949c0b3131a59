"""The harness races fairly, judges strictly, and its peers compute what ours do."""

from __future__ import annotations

import gc
import json
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import BENCHMARKS, bars, command, crossover, harness, peers, report
from benchmarks.harness import Contest, Row, UnknownBenchmarkError, max_abs_diff
from benchmarks.memory import peak_bytes
from benchmarks.peers_strategies import SEE, Peer
from strategies.estimators import STRATEGIES, build
from tests.bars_builders import make_bars, read_bars
from tests.bench_builders import make_row

pytestmark = pytest.mark.slow


class Runner:
    """Work that takes as long as a test says, on a clock that nothing else moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.order: list[str] = []
        self.gc_was_on: list[bool] = []
        monkeypatch.setattr(harness.time, "perf_counter", lambda: self.now)

    def takes(self, name: str, *seconds: float):
        """Return work whose calls take these times, the last one again and again."""
        left = list(seconds)

        def work() -> None:
            self.order.append(name)
            self.gc_was_on.append(gc.isenabled())
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return work


@pytest.fixture
def runner(monkeypatch) -> Runner:
    return Runner(monkeypatch)


def make_contest(runner: Runner, ours: float = 0.1, peer: float = 1.0, **changes) -> Contest:
    values = {
        "ours": runner.takes("ours", ours),
        "peer": runner.takes("peer", peer),
        "peer_name": "theirs",
        "difference": lambda: 0.0,
        "tolerance": 0.0,
        "goal": 5.0,
        "data": "nothing",
    }
    return Contest(**(values | changes))


def judged(monkeypatch, contest: Contest) -> Row:
    @contextmanager
    def prepare():
        yield contest

    monkeypatch.setattr(harness, "open_contest", lambda name: prepare())
    return harness.run("made up")


def test_both_sides_run_in_turn_with_the_garbage_collector_off(runner):
    harness.race(runner.takes("ours", 1.0), runner.takes("peer", 2.0), rounds=3, budget_s=100.0)
    assert runner.order == ["ours", "peer"] * 3
    assert not any(runner.gc_was_on)
    assert gc.isenabled()


def test_medians_are_compared_so_that_one_slow_round_counts_for_nothing(runner):
    ours = runner.takes("ours", 1.0, 90.0, 2.0)
    assert harness.race(ours, runner.takes("peer", 4.0, 6.0, 5.0), rounds=3, budget_s=1e9) == (2.0, 5.0)


def test_what_is_quick_is_repeated_and_counted_per_call(runner):
    ours_s, _ = harness.race(runner.takes("ours", 0.001), runner.takes("peer", 1.0), rounds=1, budget_s=1e9)
    assert ours_s == pytest.approx(0.001)
    assert runner.order.count("ours") == 20


def test_slow_work_makes_do_with_the_fewest_rounds(runner):
    harness.race(runner.takes("ours", 1.0), runner.takes("peer", 10.0), rounds=7, budget_s=4.0)
    assert runner.order.count("peer") == harness.FEWEST_ROUNDS


def test_the_garbage_collector_is_back_after_a_failure(runner):
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        harness.race(fails, fails, rounds=1, budget_s=1.0)
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"peer": 0.4}, False),
        ({"peer": 0.4, "scale": 10.0}, True),
        ({"limit_s": 0.05}, False),
        ({"limit_s": 0.2}, True),
        ({"difference": lambda: 1e-3}, False),
        ({"difference": lambda: 1e-3, "tolerance": 1e-2}, True),
        ({"difference": lambda: float("nan")}, False),
    ],
)
def test_a_goal_is_reached_by_ratio_limit_and_equal_numbers_together(runner, monkeypatch, changes, ok):
    times = {name: changes[name] for name in ("ours", "peer") if name in changes}
    rest = {name: value for name, value in changes.items() if name not in times}
    assert judged(monkeypatch, make_contest(runner, **times, **rest)).ok is ok


def test_a_peer_that_did_a_part_has_its_seconds_multiplied(runner, monkeypatch):
    row = judged(monkeypatch, make_contest(runner, ours=0.1, peer=1.0, scale=50.0))
    assert row.peer_s == pytest.approx(50.0)
    assert row.ratio == pytest.approx(500.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.nan, 1.0], [0.0, 1.0], float("inf")),
        ([1.0], [1.0, 1.0], float("inf")),
        ([], [], 0.0),
    ],
)
def test_a_value_on_one_side_alone_is_an_infinite_difference(ours, theirs, difference):
    assert max_abs_diff(ours, theirs) == difference


def test_an_unknown_benchmark_is_named_with_those_that_are_known():
    with pytest.raises(UnknownBenchmarkError, match=r"no benchmark 'x'; known: rolling_ols, "):
        harness.open_contest("x")


@pytest.mark.parametrize("name", ["fit_predict_vol_scale", "fit_predict_wed_thu"])
def test_a_benchmark_runs_and_finds_the_same_numbers(name, monkeypatch):
    monkeypatch.delenv("TRADING_DATA", raising=False)
    bars.load_bars.cache_clear()
    row = harness.run(name, rounds=1, budget_s=0.0)
    assert row.name == name
    assert row.max_abs_diff <= 1e-9
    assert row.data == "synthetic ETHUSD hours"
    bars.load_bars.cache_clear()


def test_every_strategy_has_a_peer():
    assert set(SEE) == set(STRATEGIES)


@pytest.mark.parametrize("key", STRATEGIES)
def test_a_peer_computes_what_the_strategy_does(key):
    parameters = {"vol_window": 100}
    if "orth" in key:
        parameters |= {"regression_window": 300, "forward_window": 6}
    frame = make_bars(5, 1500)
    peer = Peer.of(key, **parameters)
    seen = peer.see(frame)
    theirs = peer.fit(seen).positions(seen)
    ours = build(key, **parameters, min_values=200).fit(frame).predict(frame)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    assert (theirs != 0).sum() > 100


def test_real_bars_are_taken_where_they_are(trading_data, monkeypatch):
    monkeypatch.setenv("TRADING_DATA", str(trading_data))
    bars.load_bars.cache_clear()
    loaded = bars.load_bars()
    bars.load_bars.cache_clear()
    assert loaded.source == "real ETHUSDT hours"
    np.testing.assert_array_equal(loaded.frame["close"], read_bars(trading_data)["close"])
    assert len(loaded.year()) == len(loaded.year(0.0)) == 8760
    assert loaded.year().index[-1] == loaded.frame.index[-1]


def run_command(monkeypatch, *arguments: str, ok: bool = True) -> int:
    monkeypatch.setattr(command.harness, "run", lambda name: make_row(name=name, ok=ok))
    return command.run_command(arguments)


def test_the_document_has_the_fields_that_others_rely_on(monkeypatch, capsys):
    assert run_command(monkeypatch, "--json", "--only", "rebalance", "--only", "sweep") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["schema"], document["warnings"]) == (True, "bench/1", [])
    assert [row["name"] for row in document["data"]["rows"]] == ["rebalance", "sweep"]
    promised = {"name", "ours_s", "peer", "peer_s", "ratio", "goal", "ok", "max_abs_diff"}
    assert promised <= set(document["data"]["rows"][0])


def test_a_missed_goal_is_said_and_ends_with_3(monkeypatch, capsys):
    assert run_command(monkeypatch, "--json", "--only", "rebalance", ok=False) == 3
    assert json.loads(capsys.readouterr().out)["warnings"] == ["rebalance misses its goal"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(("--only", "x"), "no benchmark 'x'; known: "), (("--write", "--only", "sweep"), "--write runs all")],
)
def test_wrong_usage_ends_with_2_and_runs_nothing(arguments, problem, monkeypatch, capsys):
    monkeypatch.setattr(command.harness, "run", lambda name: pytest.fail("it ran"))
    assert command.run_command(arguments) == 2
    assert problem in capsys.readouterr().err


def test_writing_needs_all_rows(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "DOCS", tmp_path / "benchmarks.md")
    assert run_command(monkeypatch, "--write", "--only", "rebalance") == 2
    assert not command.DOCS.exists()
    assert run_command(monkeypatch, "--write") == 0
    page = command.DOCS.read_text()
    assert [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")] == list(BENCHMARKS)
    assert "## Machine and versions" in page
    capsys.readouterr()


@pytest.mark.parametrize(
    ("value", "text"), [(2.5, "2.5 s"), (0.1, "100 ms"), (0.00052, "520 µs"), (3e-8, "0.03 µs"), (61.24, "61.2 s")]
)
def test_times_are_in_the_unit_that_suits_them(value, text):
    assert report.seconds(value) == text


def test_a_table_says_goal_limit_and_what_was_missed():
    text = report.as_text([make_row(), make_row(name="b", limit_s=0.001, ok=False, ratio=9.94)])
    assert "≥ 100×" in text
    assert "≥ 100×, ≤ 1 ms" in text
    assert "9.9×" in text
    assert "**no**" in text
    assert text.count("synthetic; 8760 bars") == 1


# --- peers that are not there, and memory ---------------------------------------------------------------------------


def test_without_its_peer_ours_is_timed_alone_and_nothing_is_said_of_goals(runner, monkeypatch):
    contest = make_contest(runner, difference=lambda: pytest.fail("it was compared"))
    row = judged(monkeypatch, replace(contest, peer=None))
    assert row.ours_s == pytest.approx(0.1)
    assert (row.peer_s, row.ratio, row.ok, row.max_abs_diff) == (None, None, None, None)


@pytest.mark.parametrize(
    ("module", "package"),
    [("backtests.vectorbt", "vectorbt"), ("backtests.backtesting_py", "backtesting"), ("sweeps.vectorbt", "vectorbt")],
)
def test_a_row_whose_peer_is_missing_still_runs(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(crossover, "long_bars", lambda: bars.long_bars(400))
    monkeypatch.setitem(BENCHMARKS, "made up", f"benchmarks.{module}")
    row = harness.run("made up", rounds=1, budget_s=0.0)
    assert (row.ok, row.ours_s > 0) == (None, True)


def test_a_missing_peer_is_one_line_that_names_its_requirements(monkeypatch, capsys):
    gone = make_row(ok=None, peer="vectorbt", peer_s=None, ratio=None, max_abs_diff=None)
    monkeypatch.setattr(command.harness, "run", lambda name: gone)
    assert command.run_command(["--only", "sweep"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == (
        "warning: not installed, so ours ran alone: vectorbt; pip install -r requirements-bench.txt"
    )
    assert "2 ms" in said.out
    assert "not installed" in said.out


def test_the_docs_are_not_written_without_a_peer(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "DOCS", tmp_path / "benchmarks.md")
    gone = make_row(ok=None, peer_s=None, ratio=None, max_abs_diff=None)
    monkeypatch.setattr(command.harness, "run", lambda name: gone)
    assert command.run_command(["--write"]) == 2
    assert not command.DOCS.exists()
    assert "--write needs all peers" in capsys.readouterr().err


def test_a_package_that_lacks_one_of_its_own_is_an_error_and_not_missing(monkeypatch, tmp_path):
    (tmp_path / "halfpeer.py").write_text("import a_module_that_nobody_has")
    monkeypatch.syspath_prepend(tmp_path)
    assert peers.find_peer("a_module_that_nobody_has") is None
    with pytest.raises(ModuleNotFoundError, match="a_module_that_nobody_has"):
        peers.find_peer("halfpeer")


@pytest.mark.parametrize("size", [40_000_000, 80_000_000])
def test_memory_is_what_the_work_takes_at_its_worst(size):
    assert peak_bytes(lambda: np.ones(size // 8)) == pytest.approx(size, rel=0.2)


def test_work_whose_memory_is_measured_says_when_it_fails(capfd):
    with pytest.raises(ChildProcessError, match="failed"):
        peak_bytes(lambda: 1 / 0)


@pytest.mark.parametrize(("goal", "ok"), [(50.0, True), (5000.0, False)])
def test_a_goal_in_memory_is_judged_too(runner, monkeypatch, goal, ok):
    sizes = iter([2**20, 500 * 2**20])
    monkeypatch.setattr(harness, "peak_bytes", lambda work: next(sizes))
    row = judged(monkeypatch, make_contest(runner, memory_goal=goal))
    assert row.ok is ok
    assert f"memory at the worst moment 1 MiB against 500 MiB (500×, goal ≥ {goal:g}×)" in report.as_text([row])


def test_a_page_is_the_same_for_the_same_rows_and_says_why_a_goal_is_missed():
    rows = [make_row(name="rebalance", ok=False), make_row(name="sweep")]
    page = report.as_markdown(rows)
    assert page == report.as_markdown(rows)
    assert "why it is missed: every model's whole year" in page
    assert page.count("why it is missed") == 1
    assert set(report.GAPS) <= set(BENCHMARKS)
