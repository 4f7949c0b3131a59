"""Whatever is stored later, a bar knows what it knew; and a join is what pandas makes of the same readings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from market.feeds.outside import Timing
from market.intervals import INTERVAL_MS, MINUTE_MS
from market.outside import Readings, join_outside
from tests.market_builders import MONDAY

SPAN_MINUTES = 600

timings = st.builds(
    lambda delay, age: Timing(
        delay_ms=delay * MINUTE_MS,
        max_age_ms=(delay + age) * MINUTE_MS,
        every_ms=MINUTE_MS,
        stale_ms=10**9,
    ),
    st.integers(0, 90),
    st.integers(1, 240),
)
stamps = st.lists(st.integers(-SPAN_MINUTES * 60, 2 * SPAN_MINUTES * 60), max_size=40, unique=True).map(sorted)
opens = st.lists(st.integers(0, 40), min_size=1, max_size=25, unique=True).map(sorted)
intervals = st.sampled_from(["1m", "5m", "15m", "1h"])


def readings(seconds: list[int], values: np.ndarray, timing: Timing, late: list[int] | None = None) -> Readings:
    """Return readings with their stamps in seconds, and by how many seconds each came after it; None: history."""
    at_ms = MONDAY + 1000 * np.array(seconds, dtype=np.int64)
    newest = int(at_ms[-1]) if len(at_ms) else None
    came = None if late is None else at_ms + 1000 * np.array(late, dtype=np.int64)
    return Readings(
        column="x", of="BTCUSDT", timing=timing, at_ms=at_ms, values=values, received_ms=came, newest_ms=newest
    )


def values_of(index: pd.DatetimeIndex, source: Readings, interval: str) -> np.ndarray:
    frame = join_outside(index, [source], interval=interval)
    return frame["x"].to_numpy() if "x" in frame else np.full(len(index), np.nan)


def index_of(places: list[int], interval: str) -> pd.DatetimeIndex:
    open_ms = MONDAY + INTERVAL_MS[interval] * np.array(places, dtype=np.int64)
    return pd.DatetimeIndex(open_ms.astype("datetime64[ms]"), tz="UTC")


@settings(max_examples=80, deadline=None)
@given(opens, intervals, stamps, timings, st.integers(0, 2**32 - 1))
def test_rewriting_all_that_comes_out_after_a_close_changes_nothing_known_by_then(
    places, interval, seconds, timing, seed
):
    rng = np.random.default_rng(seed)
    index = index_of(places, interval)
    values = rng.normal(size=len(seconds))
    whole = values_of(index, readings(seconds, values, timing), interval)
    for i in range(len(index)):
        close_s = (places[i] + 1) * INTERVAL_MS[interval] // 1000
        out = [second + timing.delay_ms // 1000 <= close_s for second in seconds]
        past = [second for second, is_out in zip(seconds, out, strict=True) if is_out]
        first = max([second + 1 for second in past] + [close_s - timing.delay_ms // 1000 + 1])
        future = sorted(rng.choice(np.arange(first, first + 5000), size=5, replace=False).tolist())
        rewritten = np.concatenate([values[np.array(out, dtype=bool)], rng.normal(size=5) + 1e6])
        again = values_of(index[: i + 1], readings(past + future, rewritten, timing), interval)
        np.testing.assert_array_equal(again, whole[: i + 1])


@settings(max_examples=80, deadline=None)
@given(opens, intervals, stamps, timings)
def test_a_join_is_the_asof_merge_of_pandas_at_the_close(places, interval, seconds, timing):
    index = index_of(places, interval)
    values = np.arange(1.0, len(seconds) + 1)
    ours = values_of(index, readings(seconds, values, timing), interval)

    bars = pd.DataFrame({"close": index + pd.Timedelta(interval.replace("m", "min"))})
    at = pd.to_datetime(MONDAY + 1000 * np.array(seconds, dtype=np.int64), unit="ms", utc=True).as_unit("ms")
    known = pd.DataFrame({"out": at + pd.Timedelta(milliseconds=timing.delay_ms), "at": at, "value": values})
    merged = pd.merge_asof(bars, known, left_on="close", right_on="out")
    fresh = merged["close"] - merged["at"] <= pd.Timedelta(milliseconds=timing.max_age_ms)

    np.testing.assert_array_equal(ours, merged["value"].where(fresh).to_numpy(dtype=float))


@settings(max_examples=80, deadline=None)
@given(opens, intervals, stamps, timings, st.data())
def test_what_comes_after_a_close_changes_nothing_however_old_its_stamp_is(places, interval, seconds, timing, data):
    index = index_of(places, interval)
    late = data.draw(st.lists(st.integers(0, 36_000), min_size=len(seconds), max_size=len(seconds)))
    values = np.arange(1.0, len(seconds) + 1)
    whole = values_of(index, readings(seconds, values, timing, late), interval)
    for i in range(len(index)):
        close_s = (places[i] + 1) * INTERVAL_MS[interval] // 1000
        there = [k for k, second in enumerate(seconds) if second + late[k] <= close_s]
        then = readings([seconds[k] for k in there], values[there], timing, [late[k] for k in there])
        np.testing.assert_array_equal(values_of(index[: i + 1], then, interval), whole[: i + 1])


@settings(max_examples=80, deadline=None)
@given(opens, intervals, stamps, timings, st.data())
def test_a_late_reading_is_found_as_a_search_by_hand_finds_it(places, interval, seconds, timing, data):
    index = index_of(places, interval)
    late = data.draw(st.lists(st.integers(0, 36_000), min_size=len(seconds), max_size=len(seconds)))
    ours = values_of(index, readings(seconds, np.array(seconds, dtype=float), timing, late), interval)
    for place, value in zip(places, ours, strict=True):
        close_s = (place + 1) * INTERVAL_MS[interval] // 1000
        known = [
            second
            for second, delay in zip(seconds, late, strict=True)
            if second + max(delay, timing.delay_ms // 1000) <= close_s
        ]
        fresh = bool(known) and close_s - max(known) <= timing.max_age_ms // 1000
        np.testing.assert_equal(value, float(max(known)) if fresh else np.nan)
