"""Plans of faults: when they begin, that chance repeats, that they can be switched, and that none changes nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from simulator import metatrader5
from simulator.config import SimConfig
from simulator.control import ControlServer
from simulator.errors import FaultPlanError
from simulator.faults import FAULTS, FaultPlan, Rule, read_log, switch_off, switch_on, switched
from simulator.faults.catalogue import ALWAYS, CATALOGUE, NOT_PLAYED
from simulator.faults.page import PAGE, page, played_in
from simulator.mounting import TERMINAL
from simulator.world import World
from tests.sim_builders import buy, make_world, minute_path, mt5, sell, shown

PROJECT = Path(__file__).resolve().parents[2]
EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)
PATHS = {name: minute_path(50_000.0, 50_500.0, 51_000.0) for name in ("BTCUSD", "ETHUSD")}
DONE = 10009
MIX = {"M20": 1.0, "M21": 2.0, "M24": 1.0, "M26": 3.0, "M56": 1.0, "M67": 1.0, "M04": 0.5}
OFF_ONCE_INJECTED = """
import sys, time
from pathlib import Path
from simulator.faults import read_log, switch_off
while not read_log(Path(sys.argv[1])):
    time.sleep(0.01)
switch_off(Path(sys.argv[1]))
"""


@pytest.fixture
def world(tmp_path):
    (tmp_path / "sim").mkdir()
    with shown(make_world(PATHS, state_dir=tmp_path)) as world:
        yield world


@pytest.fixture
def sim_dir(world):
    return world.config.sim_dir


def requotes(**fields) -> Rule:
    return Rule(fault="M26", **fields)


def codes(n: int, **fields) -> list[int]:
    return [buy(0.1, **fields).retcode for _ in range(n)]


class TestWhen:
    """A rule begins where it says, and nowhere else."""

    @pytest.mark.parametrize(
        ("rule", "refused"),
        [
            (requotes(nth=1), [1]),
            (requotes(nth=3), [3]),
            (requotes(times=2), [1, 2]),
            (requotes(), [1, 2, 3, 4, 5]),
            (requotes(nth=2, times=5), [2]),
        ],
    )
    def test_by_count(self, sim_dir, rule, refused):
        switch_on(sim_dir, FaultPlan(rules=(rule,)))
        assert [n for n, code in enumerate(codes(5), 1) if code != DONE] == refused

    def test_for_a_symbol(self, sim_dir):
        switch_on(sim_dir, FaultPlan(rules=(requotes(symbol="ETHUSD", nth=2),)))
        assert codes(3) == [DONE] * 3
        assert codes(3, symbol="ETHUSD") == [DONE, 10004, DONE]

    def test_at_a_market_time_once(self, world, sim_dir):
        switch_on(sim_dir, FaultPlan(rules=(requotes(at=EIGHT + timedelta(minutes=1)),)))
        assert codes(1) == [DONE]
        world.after(seconds=61)
        assert codes(2) == [10004, DONE]

    def test_between_market_times(self, world, sim_dir):
        rule = requotes(at=EIGHT + timedelta(seconds=30), until=EIGHT + timedelta(seconds=60))
        switch_on(sim_dir, FaultPlan(rules=(rule,)))
        found = []
        for _ in range(4):
            found += codes(1)
            world.after(seconds=20)
        assert found == [DONE, DONE, 10004, DONE]  # at 0, 20, 40 and 60 s

    def test_for_a_while_after_it_began(self, world, sim_dir):
        switch_on(sim_dir, FaultPlan(rules=(requotes(nth=2, lasts_s=45),)))
        found = []
        for _ in range(5):
            found += codes(1)
            world.after(seconds=20)
        assert found == [DONE, 10004, 10004, 10004, DONE]
        assert len(read_log(sim_dir)) == 1

    def test_what_goes_on_stays_with_its_symbol(self, sim_dir):
        switch_on(sim_dir, FaultPlan(rules=(Rule(fault="M27", times=1),)))
        assert (codes(2), codes(2, symbol="ETHUSD")) == ([10004] * 2, [DONE] * 2)

    def test_a_later_rule_is_the_outer_one(self, sim_dir):
        lost = Rule(fault="M20", parameters={"reply": -10005})
        switch_on(sim_dir, FaultPlan(rules=(Rule(fault="M47", parameters={"fraction": 0.1}), lost)))

        assert buy(0.1) is None
        assert mt5.positions_get()[0].price_open == 55_011.0  # a tenth above 50,010
        assert [line["id"] for line in read_log(sim_dir)] == ["M47", "M20"]


class TestChance:
    """The same seed and the same calls meet the same faults."""

    def course(self, folder: Path, seed: int, *, polls: int = 1, mix: dict[str, float] = MIX) -> tuple[list, list]:
        """Trade for an hour, and return the log and the venue's deals."""
        (folder / "sim").mkdir(parents=True)
        with shown(make_world(PATHS, state_dir=folder)) as world:
            switch_on(world.config.sim_dir, FaultPlan(seed=seed, rate=0.3, mix=mix))
            for n in range(40):
                mt5.initialize()
                for _ in range(polls):
                    mt5.symbol_info_tick("BTCUSD")
                (buy if n % 3 else sell)(0.3, symbol=("BTCUSD", "ETHUSD")[n % 2])
                mt5.positions_get()
                world.after(seconds=15)
            deals = [(d.symbol, d.type, d.volume) for d in mt5.mounted_account().ledger.deals()]
            return [(x["id"], x["at"], x["call"], x["what"]) for x in read_log(world.config.sim_dir)], deals

    def test_a_seed_repeats_its_log_and_its_books(self, tmp_path):
        first, again = self.course(tmp_path / "a", 5), self.course(tmp_path / "b", 5)

        assert first == again
        assert len({fault for fault, *_ in first[0]}) >= 5
        assert first[0] != self.course(tmp_path / "c", 6)[0]

    def test_one_poll_more_changes_no_orders_fate(self, tmp_path):
        def orders(log):
            return [line[0] for line in log if line[2] == "order_send"]

        # Faults of orders alone: a connection that a poll loses is lost to the order after it.
        mix = {name: MIX[name] for name in ("M20", "M21", "M24", "M26", "M67")}
        once, often = (self.course(tmp_path / str(n), 5, polls=n, mix=mix) for n in (1, 4))
        assert orders(once[0]) == orders(often[0])
        assert once[1] == often[1]

    def test_the_rate_is_about_as_often_as_it_says(self, tmp_path):
        (tmp_path / "sim").mkdir()
        with shown(make_world(state_dir=tmp_path)):
            switch_on(tmp_path / "sim", FaultPlan(seed=1, rules=(Rule(fault="M56", call="account_info", rate=0.2),)))
            missed = sum(mt5.account_info() is None for _ in range(1000))
        assert 160 <= missed <= 240  # 200 expected, three standard deviations of 12.6


class TestSwitching:
    """A plan goes on and off while the venue runs."""

    def test_on_and_off(self, sim_dir):
        assert codes(1) == [DONE]
        switch_on(sim_dir, FaultPlan(rules=(requotes(),)))
        assert codes(2) == [10004] * 2
        switch_off(sim_dir)
        assert (codes(2), switched(sim_dir)) == ([DONE] * 2, None)

    def test_what_lasts_ends_with_its_plan(self, sim_dir):
        switch_on(sim_dir, FaultPlan(rules=(Rule(fault="M05"),)))
        assert not mt5.terminal_info().connected
        switch_on(sim_dir, FaultPlan(rules=(requotes(nth=9),)))
        assert mt5.terminal_info().connected

    def test_what_is_under_way_at_the_venue_happens_all_the_same(self, world, sim_dir):
        switch_on(sim_dir, FaultPlan(rules=(Rule(fault="M22", parameters={"after_s": 5.0}),)))
        buy(0.1)
        switch_off(sim_dir)
        world.after(seconds=6)
        assert len(mt5.positions_get()) == 1

    def test_a_plan_that_is_switched_on_again_begins_again(self, sim_dir):
        for _ in range(2):
            switch_on(sim_dir, FaultPlan(rules=(requotes(nth=2),)))
            assert codes(3) == [DONE, 10004, DONE]

    def test_a_process_that_is_started_again_does_not_repeat_what_was(self, world, sim_dir):
        switch_on(sim_dir, FaultPlan(rules=(requotes(nth=1),)))
        assert codes(1) == [10004]
        mt5.mount(world)
        mt5.initialize()
        assert codes(2) == [DONE] * 2

    def test_a_hang_ends_when_the_plan_is_switched_off(self, world, sim_dir):
        switch_on(sim_dir, FaultPlan(rules=(Rule(fault="M03", call="account_info"),)))
        other = subprocess.Popen([sys.executable, "-c", OFF_ONCE_INJECTED, str(sim_dir)], cwd=PROJECT)  # noqa: S603 - our own
        began = time.monotonic()

        assert (mt5.account_info(), mt5.last_error()[0]) == (None, -10005)
        assert time.monotonic() - began < 10
        assert other.wait() == 0


class TestWithout:
    """Without a plan, and on calls that a plan does not mean, everything is as before."""

    def trades(self, world) -> list:
        results = [buy(1.0, magic=3, sl=45_000.0), sell(0.5, symbol="ETHUSD"), mt5.order_check({"action": 1})]
        world.after(seconds=90)
        results += [mt5.positions_get(), mt5.account_info(), mt5.symbol_info("BTCUSD"), mt5.symbol_info_tick("ETHUSD")]
        results += [
            mt5.copy_rates_from_pos("BTCUSD", 1, 0, 5).tolist(),
            mt5.history_deals_get(0, 2**33),
            mt5.last_error(),
        ]
        return [*results, mt5.mounted_account().ledger.deals()]

    def test_no_plan_and_one_that_means_nothing_are_the_same(self, tmp_path):
        found = []
        for name, plan in (("a", None), ("b", FaultPlan(rules=(requotes(symbol="SOLUSD"),)))):
            (tmp_path / name / "sim").mkdir(parents=True)
            world = make_world(PATHS, state_dir=tmp_path / name)
            with shown(world):
                if plan:
                    switch_on(world.config.sim_dir, plan)
                found.append(self.trades(world))
                assert read_log(world.config.sim_dir) == []
        assert found[0] == found[1]

    def test_no_file_is_written_where_nothing_is_switched(self, sim_dir):
        switch_off(sim_dir)
        codes(2)
        assert list(sim_dir.iterdir()) == []

    def test_a_call_costs_less_than_a_microsecond_more(self, world):
        player, costs = TERMINAL.player, []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(2000):
                _ = player.is_on
            costs.append((time.perf_counter() - began) / 2000)
        assert min(costs) < 1e-6


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[", "not JSON"),
        ('["M99"]', "no fault 'M99' can be played; known: M01"),
        ('["M12"]', "no fault 'M12'"),
        ('[{"fault": "M26", "call": "account_info"}]', "M26 does not touch 'account_info'; it touches order_send"),
        ('[{"fault": "M26", "with": {"code": 1}}]', "M26 has no code; it has retcode"),
        ('[{"fault": "M26", "rate": 0}]', "rate must be above 0 and at most 1, was 0"),
        ('[{"fault": "M26", "nth": 0}]', "nth must be a count from 1, was 0"),
        ('[{"fault": "M26", "often": 3}]', "a Rule is an object of fault, call"),
        ('{"mix": {"M26": -1}}', "the weight of M26 must be above 0, was -1"),
        ('{"rates": 1}', "a FaultPlan is an object of seed, rules, rate, mix"),
    ],
)
def test_a_plan_that_cannot_be_played_says_why(text, wrong):
    with pytest.raises(FaultPlanError, match=wrong.replace("[", "\\[")):
        FaultPlan.from_json(text)


def test_a_plan_survives_its_file():
    rule = Rule(
        fault="M22", nth=2, symbol="BTCUSD", at=EIGHT, until=EIGHT + timedelta(hours=1), parameters={"after_s": 3.0}
    )
    plan = FaultPlan(seed=4, rules=(rule, requotes(rate=0.5, times=3)), rate=0.1, mix={"M20": 1.0})
    assert FaultPlan.from_json(plan.to_json()) == plan


class TestControl:
    """The control endpoint of a running simulator switches faults too."""

    def test_faults_are_switched_over_http(self, tmp_path):
        world = World(SimConfig(state_dir=tmp_path))
        server = ControlServer(world, token="t" * 43)
        server.start()
        headers = {"Authorization": "Bearer " + "t" * 43}

        def post(plan):
            return requests.post(f"{server.url}/faults", json={"plan": plan}, headers=headers, timeout=5)

        try:
            assert post([{"fault": "M20", "nth": 3}]).status_code == 200
            assert switched(world.config.sim_dir).plan.rules == (Rule(fault="M20", nth=3),)
            assert "no fault 'M99'" in post(["M99"]).json()["error"]
            assert post(None).status_code == 200
            assert switched(world.config.sim_dir) is None
        finally:
            server.stop()


class TestPage:
    """``docs/faults.md`` says what the code has."""

    def test_it_is_up_to_date(self):
        assert PAGE.read_text() == page(), "run python -m simulator.faults --write"

    def test_every_fault_is_of_the_catalogue_and_every_one_of_it_is_accounted_for(self):
        assert set(FAULTS) <= set(CATALOGUE)
        assert not set(FAULTS) & (set(ALWAYS) | set(NOT_PLAYED))
        assert set(ALWAYS) | set(NOT_PLAYED) <= set(CATALOGUE)

    def test_every_fault_that_can_be_played_is_played_by_a_test(self):
        assert set(FAULTS) | set(ALWAYS) <= set(played_in(PROJECT / "tests" / "unit"))

    def test_each_fault_touches_calls_that_exist(self):
        calls = {call for fault in FAULTS.values() for call in fault.calls if " /" not in call}
        assert {name for name in calls if not callable(getattr(metatrader5, name, None))} == set()
