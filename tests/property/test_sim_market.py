"""What must hold for any hour bars: paths touch them, timeframes agree, and nothing depends on when it is asked."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from simulator.clock import SimClock
from simulator.hourbars import HOUR_MS, HourBars
from simulator.market import Market
from simulator.path import build_paths
from simulator.symbols import CATALOGUE

pytestmark = pytest.mark.slow

START = 1_700_000_400_000 // HOUR_MS * HOUR_MS
few = settings(max_examples=80, deadline=None)


@st.composite
def hour_bars(draw: st.DrawFn) -> HourBars:
    """Return a handful of bars with any shape, gaps between some of them, and any volumes."""
    n = draw(st.integers(1, 6))
    hours = sorted(draw(st.sets(st.integers(0, 12), min_size=n, max_size=n)))
    prices = [sorted(draw(st.lists(st.integers(1, 10**6), min_size=4, max_size=4))) for _ in hours]
    swap = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    low, one, other, high = (np.array(column, np.int64) for column in zip(*prices, strict=True))
    volume = np.array(draw(st.lists(st.floats(0, 1e6), min_size=n, max_size=n)))
    share = np.array(draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    average = draw(st.floats(0, 1)) * (high - low) + low
    return HourBars(
        digits=2,
        open_ms=START + HOUR_MS * np.array(hours, np.int64),
        open=np.where(swap, one, other),
        high=high,
        low=low,
        close=np.where(swap, other, one),
        volume=volume,
        quote_volume=volume * average / 100,
        trades=np.array(draw(st.lists(st.integers(0, 10**6), min_size=n, max_size=n))),
        taker_base=volume * share,
        taker_quote=volume * average / 100 * share,
    )


def market_of(bars: HourBars, seed: int = 1) -> Market:
    return Market({"BTCUSD": bars}, {"BTCUSD": CATALOGUE["BTCUSD"]}, seed=seed)


seeds = st.integers(0, 2**32 - 1)
moments = st.integers(-HOUR_MS, 14 * HOUR_MS).map(lambda t: START + t)


@few
@given(hour_bars(), seeds)
def test_any_hours_path_touches_its_bar_exactly(bars: HourBars, seed: int) -> None:
    path = build_paths(bars, 0, len(bars), key=seed)
    ticks = path.ticks.reshape(len(bars), -1)
    for seen, told in (
        (ticks[:, 0], bars.open),
        (ticks.max(1), bars.high),
        (ticks.min(1), bars.low),
        (ticks[:, -1], bars.close),
    ):
        np.testing.assert_array_equal(seen, told)
    assert (path.open[:, 1:] == path.close[:, :-1]).all()
    assert (path.high >= np.maximum(path.open, path.close)).all()
    assert (path.low <= np.minimum(path.open, path.close)).all()
    assert (np.diff(path.tick_ms.reshape(len(bars), -1)) > 0).all()
    assert (path.tick_ms // HOUR_MS == (bars.open_ms // HOUR_MS)[:, None, None]).all()


@few
@given(hour_bars(), seeds)
def test_the_minutes_volumes_add_up_and_stay_possible(bars: HourBars, seed: int) -> None:
    flow = build_paths(bars, 0, len(bars), key=seed).flow
    np.testing.assert_allclose(flow.volume.sum(1), bars.volume, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(flow.quote_volume.sum(1), bars.quote_volume, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(flow.taker_base.sum(1), bars.taker_base, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(flow.trades.sum(1), bars.trades)
    assert (flow.trades >= 0).all()
    assert (flow.taker_base >= 0).all()
    assert (flow.taker_base <= flow.volume * (1 + 1e-12)).all()
    assert (flow.taker_quote <= flow.quote_volume).all()


@few
@given(hour_bars(), seeds)
def test_an_hour_is_the_same_whichever_hours_are_built_with_it(bars: HourBars, seed: int) -> None:
    whole = build_paths(bars, 0, len(bars), key=seed)
    for row in range(len(bars)):
        alone = build_paths(bars, row, row + 1, key=seed)
        for name in ("open", "high", "low", "close", "ticks", "tick_ms"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[row])
        for name in ("volume", "quote_volume", "trades", "taker_base", "taker_quote"):
            np.testing.assert_array_equal(getattr(alone.flow, name)[0], getattr(whole.flow, name)[row])


@few
@given(hour_bars(), seeds, moments, st.sampled_from([60, 300, 900, 1800, 3600, 14_400, 86_400]), st.integers(-12, 12))
def test_any_timeframe_at_any_moment_is_made_of_the_ticks_so_far(
    bars: HourBars, seed: int, now_ms: int, interval_s: int, align_h: int
) -> None:
    market = market_of(bars, seed)
    ticks = market.ticks("BTCUSD", START - 1, now_ms)
    align_ms = align_h * HOUR_MS
    owner = (ticks["time_ms"] - align_ms) // (interval_s * 1000) * (interval_s * 1000) + align_ms
    first = START - 2 * 86_400_000
    rates = market.rates("BTCUSD", interval_s, first, now_ms + 1, now_ms=now_ms, align_ms=align_ms)
    assert rates["open_ms"].tolist() == sorted(set(owner.tolist()))
    for rate in rates:
        bids = ticks["bid"][owner == rate["open_ms"]]
        assert tuple(rate[["open", "high", "low", "close"]]) == (bids[0], bids.max(), bids.min(), bids[-1])


@few
@given(hour_bars(), moments, st.sampled_from([60, 900, 3600, 14_400]))
def test_klines_are_the_rates(bars: HourBars, now_ms: int, interval_s: int) -> None:
    market = market_of(bars)
    rates = market.rates("BTCUSD", interval_s, START, now_ms + 1, now_ms=now_ms)
    klines = market.klines("BTCUSDT", interval_s, START, now_ms + 1, now_ms=now_ms)
    assert [k[0] for k in klines] == rates["open_ms"].tolist()
    assert [[float(x) for x in k[1:5]] for k in klines] == [list(r[["open", "high", "low", "close"]]) for r in rates]
    assert all(float(k[9]) <= float(k[5]) + 1e-8 for k in klines)
    assert all(float(k[10]) <= float(k[7]) + 1e-8 for k in klines)


@few
@given(hour_bars(), seeds, moments)
def test_a_market_made_again_answers_the_same_whatever_was_asked_before(bars: HourBars, seed: int, now_ms: int) -> None:
    asked, fresh = market_of(bars, seed), market_of(bars, seed)
    asked.ticks("BTCUSD", START, now_ms)
    asked.rates("BTCUSD", 60, START, now_ms, now_ms=now_ms)
    if now_ms >= bars.start_ms:
        assert asked.quote("BTCUSD", now_ms) == fresh.quote("BTCUSD", now_ms)
    assert asked.is_open("BTCUSD", now_ms) == fresh.is_open("BTCUSD", now_ms)
    np.testing.assert_array_equal(asked.ticks("BTCUSD", START, now_ms), fresh.ticks("BTCUSD", START, now_ms))


@few
@given(hour_bars(), st.lists(moments, min_size=2, max_size=6))
def test_stepping_through_time_sees_every_tick_once(bars: HourBars, stops: list[int]) -> None:
    market, path = market_of(bars), sorted(stops)
    seen = [market.ticks("BTCUSD", a, b) for a, b in pairwise(path)]
    np.testing.assert_array_equal(np.concatenate(seen), market.ticks("BTCUSD", path[0], path[-1]))


class ClockMachine(RuleBasedStateMachine):
    """Whatever is done to a simulated clock, by whichever process, market time never goes back."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "clock.json"
        self.wall_s = 1_800_000_000.0
        self.seen_ms = START
        self.restart()

    @rule()
    def restart(self) -> None:
        self.clock = SimClock(self.path, end_ms=START + 10**8, wall=lambda: self.wall_s)
        self.clock.create(start_ms=START, speed=60, mode="synthetic")

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.wall_s += seconds

    @rule()
    def beat(self) -> None:
        self.clock.persist()

    @rule()
    def pause(self) -> None:
        self.clock.pause()

    @rule()
    def resume(self) -> None:
        if not self.clock.ended:
            self.clock.resume()

    @rule(speed=st.floats(0.01, 240))
    def change_speed(self, speed: float) -> None:
        self.clock.set_speed(speed)

    @rule(ahead_ms=st.integers(0, 10**7))
    def step(self, ahead_ms: int) -> None:
        self.clock.step(self.clock.now_ms() + ahead_ms)

    @invariant()
    def time_never_goes_back(self) -> None:
        reader = SimClock(self.path, end_ms=START + 10**8, wall=lambda: self.wall_s)
        now_ms = self.clock.now_ms()
        assert self.seen_ms <= now_ms <= START + 10**8
        assert reader.now_ms() == now_ms
        self.seen_ms = now_ms

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


ClockMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestClock = ClockMachine.TestCase
