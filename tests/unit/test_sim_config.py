"""The simulated world's settings, and what makes two worlds the same."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.config import SimConfig
from simulator.errors import SimConfigError
from simulator.files import only_one
from simulator.terms import Terms
from simulator.world import World


def config(tmp_path: Path, **fields) -> SimConfig:
    return replace(SimConfig(state_dir=tmp_path), **fields)


def test_with_nothing_set_it_is_a_synthetic_world_at_sixty():
    read = SimConfig.from_env({})
    assert read == SimConfig(state_dir=Path("var"))
    assert (read.speed, read.seed, read.replay, read.start) == (60.0, 7, (), None)
    assert (read.margin_mode, read.balance, read.leverage) == ("hedging", 100_000.0, 30)


def test_all_settings_are_read():
    read = SimConfig.from_env(
        {
            "STATE_DIR": "/srv/desk",
            "SIM_START": "2026-02-01T08:30",
            "SIM_SPEED": "240",
            "SIM_SEED": "0",
            "SIM_REPLAY": os.pathsep.join(["BTCUSD=a.parquet", "ETHUSDT_1h.parquet"]) + ", c.csv ,",
            "SIM_MARGIN_MODE": "netting",
            "SIM_BALANCE": "5000",
            "SIM_LEVERAGE": "100",
            "SIM_SPREAD": "0",
            "SIM_COMMISSION": "0.5",
            "SIM_SWAP": "2",
            "SIM_HOLD_OPEN": "true",
        }
    )
    assert read == SimConfig(
        state_dir=Path("/srv/desk"),
        start=datetime(2026, 2, 1, 8, 30, tzinfo=UTC),
        speed=240.0,
        seed=0,
        replay=("BTCUSD=a.parquet", "ETHUSDT_1h.parquet", "c.csv"),
        margin_mode="netting",
        balance=5000.0,
        leverage=100,
        terms=Terms(spread=0, commission=0.5, swap=2, hold_open=True),
    )


def test_a_start_with_an_offset_is_taken_to_utc():
    assert SimConfig.from_env({"SIM_START": "2026-02-01T08:30+02:00"}).start == datetime(2026, 2, 1, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SIM_SPREAD", "-1", "a factor of at least 0"),
        ("SIM_SWAP", "inf", "a factor of at least 0"),
        ("SIM_HOLD_OPEN", "maybe", "true or false"),
        ("SIM_START", "yesterday", "ISO date"),
        ("SIM_SPEED", "0", "above 0 and at most 240"),
        ("SIM_SPEED", "241", "above 0 and at most 240"),
        ("SIM_SPEED", "fast", "above 0 and at most 240"),
        ("SIM_SEED", "-1", "from 0"),
        ("SIM_SEED", "1.5", "whole number"),
        ("SIM_MARGIN_MODE", "both", "hedging or netting"),
        ("SIM_BALANCE", "0", "positive"),
        ("SIM_BALANCE", "nan", "positive"),
        ("SIM_LEVERAGE", "0", "1 to 1000"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(name, value, allowed):
    with pytest.raises(SimConfigError) as error:
        SimConfig.from_env({name: value})
    assert f"{name}={value!r}" in str(error.value)
    assert allowed in str(error.value)


def test_a_new_world_stands_at_its_start(tmp_path):
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    world = World(config(tmp_path, start=start))
    assert world.clock.paused
    assert world.clock.now_ms() == start.timestamp() * 1000
    assert world.ledger_path == tmp_path / "sim" / "ledger.sqlite3"


def test_two_processes_make_the_same_world(tmp_path):
    one, other = World(config(tmp_path)), World(config(tmp_path))
    one.clock.step(one.clock.now_ms() + 5_400_000)
    now = other.clock.now_ms()
    assert now == one.clock.now_ms()
    assert one.market.quote("ETHUSD", now) == other.market.quote("ETHUSD", now)


def test_the_start_counts_for_a_new_world_only(tmp_path):
    first = World(config(tmp_path))
    first.clock.step(first.clock.now_ms() + 1000)
    later = World(config(tmp_path, start=datetime(2027, 1, 1, tzinfo=UTC)))
    assert later.clock.now_ms() == first.clock.now_ms()


def test_a_start_outside_the_market_is_refused(tmp_path):
    with pytest.raises(SimConfigError, match=r"SIM_START=2021.*2022-01-01.*2032-01-01"):
        World(config(tmp_path, start=datetime(2021, 1, 1, tzinfo=UTC)))


def test_an_account_is_not_traded_on_other_prices(tmp_path):
    World(config(tmp_path))
    with pytest.raises(SimConfigError, match=r"holds a world of seed 7 .* seed 8 .* another STATE_DIR"):
        World(config(tmp_path, seed=8))


def test_the_environment_describes_a_world(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("SIM_SPEED", "12")
    assert World.from_env().clock.speed == 12.0


def test_only_one_simulator_runs_on_a_state(tmp_path):
    lock = tmp_path / "running.lock"
    with only_one(lock), pytest.raises(SimConfigError, match="another simulator"), only_one(lock):
        pass
    with only_one(lock):  # it was given back
        pass


def test_other_terms_make_another_world_whose_bars_are_the_same(tmp_path):
    usual = World(config(tmp_path / "a")).market
    free = World(config(tmp_path / "b", terms=Terms(spread=0, commission=0, swap=0, hold_open=True))).market
    at_ms = usual.first_trading_ms
    quote = free.quote("BTCUSD", at_ms)

    assert (quote.bid, quote.ask) == (usual.quote("BTCUSD", at_ms).bid,) * 2
    symbol = free.symbols["BTCUSD"]
    assert (symbol.commission_rate, symbol.swap_long_pct, symbol.swap_short_pct) == (0, 0, 0)
    assert (free.hour_bars("BTCUSD").close == usual.hour_bars("BTCUSD").close).all()


def test_a_state_is_not_gone_on_with_on_other_terms(tmp_path):
    World(config(tmp_path, terms=Terms(spread=0)))
    with pytest.raises(SimConfigError, match=r"on other terms: spread 0"):
        World(config(tmp_path))
