"""What a bar may know of the outside: what was out when it closed, while it counts, and never a zero for nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from market.feeds import OUTSIDE_FEEDS, outside_feed
from market.feeds.outside import Timing
from market.intervals import DAY_MS, HOUR_MS, MINUTE_MS
from market.outside import Readings, join_outside, known_at
from tests.market_builders import MONDAY

QUARTER_MS = 15 * MINUTE_MS
TIMING = Timing(delay_ms=MINUTE_MS, max_age_ms=2 * HOUR_MS, every_ms=HOUR_MS, stale_ms=DAY_MS)


def quarters(n: int, start: int = MONDAY) -> pd.DatetimeIndex:
    return pd.DatetimeIndex((start + QUARTER_MS * np.arange(n)).astype("datetime64[ms]"), tz="UTC")


def source(
    *readings: tuple[int, float],
    column: str = "funding_rate",
    timing: Timing = TIMING,
    came: tuple[int | None, ...] | None = None,
) -> Readings:
    """Return readings at minutes after Monday's midnight, which came at the minutes ``came``, None: history."""
    at_ms = np.array([MONDAY + minute * MINUTE_MS for minute, _ in readings], dtype=np.int64)
    values = np.array([value for _, value in readings], dtype=float)
    newest = int(at_ms[-1]) if len(at_ms) else None
    received = None if came is None else np.array([0 if at is None else MONDAY + at * MINUTE_MS for at in came])
    return Readings(
        column=column,
        of="BTCUSDT",
        timing=timing,
        at_ms=at_ms,
        values=values,
        received_ms=received,
        newest_ms=newest,
    )


def joined(n: int, *sources: Readings) -> list[float]:
    return join_outside(quarters(n), sources, interval="15m")["funding_rate"].tolist()


def test_a_reading_is_seen_by_the_first_bar_that_closes_when_it_is_out():
    # out at 00:16: the bar of 00:00 closes before that, the bar of 00:15 closes at 00:30
    np.testing.assert_equal(joined(3, source((15, 7.0))), [np.nan, 7.0, 7.0])


def test_a_reading_that_is_out_exactly_at_the_close_is_known():
    np.testing.assert_equal(joined(2, source((14, 7.0))), [7.0, 7.0])


def test_a_bar_is_told_what_came_during_it_not_what_stood_at_its_open():
    np.testing.assert_equal(joined(2, source((-30, 1.0), (5, 2.0))), [2.0, 2.0])


def test_a_reading_counts_to_its_last_moment_and_no_longer():
    # stamped at 00:00, counts to 02:00, which the bar of 01:45 closes at
    values = joined(9, source((0, 7.0)))

    np.testing.assert_equal(values, [7.0] * 8 + [np.nan])


def test_a_late_reading_counts_from_the_close_at_which_it_was_there():
    # stamped at 00:00, came at 00:40: the bars that close at 00:15 and 00:30 did without
    values = joined(4, source((0, 7.0), came=(40,)))

    np.testing.assert_equal(values, [np.nan, np.nan, 7.0, 7.0])


def test_a_reading_that_came_before_it_was_out_counts_from_when_it_was_out():
    np.testing.assert_equal(joined(3, source((15, 7.0), came=(15,))), [np.nan, 7.0, 7.0])


def test_a_reading_that_came_when_it_no_longer_counts_never_does():
    np.testing.assert_equal(joined(12, source((-60, 1.0), (0, 7.0), came=(None, 130)))[4:], [np.nan] * 8)


def test_a_late_reading_that_is_older_than_what_is_known_changes_nothing():
    np.testing.assert_equal(joined(4, source((0, 1.0), (15, 2.0), came=(40, 16))), [np.nan, 2.0, 2.0, 2.0])


def test_a_newer_reading_that_is_not_out_yet_does_not_hide_the_older_one():
    np.testing.assert_equal(joined(3, source((0, 1.0), (30, 2.0))), [1.0, 1.0, 2.0])


def test_a_bar_before_a_hole_closes_when_it_ends_not_when_the_next_one_opens():
    index = quarters(5)[[0, 1, 4]]  # the bar of 00:15 closes at 00:30, and the next one opens at 01:00

    frame = join_outside(index, [source((40, 7.0))], interval="15m")

    np.testing.assert_equal(frame["funding_rate"].tolist(), [np.nan, np.nan, 7.0])


def test_a_source_without_a_reading_is_absent_and_says_why():
    frame = join_outside(quarters(3), [source(), source((0, 5.0), column="fear_greed")], interval="15m")

    assert list(frame.columns) == ["fear_greed"]
    assert frame.attrs["absent"] == {
        "funding_rate": "funding_rate is away: no reading of BTCUSDT is stored by then; "
        "`manage.py data_update` brings it"
    }
    assert frame.attrs["ended"] == {}


def test_a_source_whose_readings_are_all_too_old_is_absent_and_says_of_when_they_are():
    frame = join_outside(quarters(3), [source((-300, 5.0))], interval="15m")

    assert list(frame.columns) == []
    assert len(frame) == 3
    [why] = frame.attrs["absent"].values()
    assert why == (
        "funding_rate is away since 2025-06-01 21:00: the newest reading of BTCUSDT is of 2025-06-01 19:00, which "
        "counts for 2 h"
    )


def test_a_source_that_ended_before_the_newest_bar_is_said():
    frame = join_outside(quarters(12), [source((0, 5.0))], interval="15m")

    assert frame["funding_rate"].notna().sum() == 8
    assert list(frame.attrs["ended"]) == ["funding_rate"]


def test_a_zero_that_was_read_is_a_value():
    assert joined(1, source((0, 0.0))) == [0.0]


def test_no_bars_have_no_columns():
    frame = join_outside(quarters(0), [source((0, 5.0))], interval="15m")

    assert frame.shape == (0, 0)
    assert list(frame.attrs["absent"]) == ["funding_rate"]


@pytest.mark.parametrize(
    ("index", "named"),
    [
        (quarters(3).tz_localize(None), "an index in UTC, was without a zone"),
        (quarters(3).tz_convert("Europe/Berlin"), "an index in UTC, was Europe/Berlin"),
        (quarters(3)[::-1], "in order of time"),
        (quarters(3).repeat(2), "in order of time"),
    ],
)
def test_an_index_that_is_none_of_bars_is_refused(index, named):
    with pytest.raises(ValueError, match=named):
        join_outside(index, [], interval="15m")


def test_bars_that_are_shorter_than_it_is_said_are_refused_for_they_would_know_the_future():
    with pytest.raises(ValueError, match="bars of 1h open at least 1h apart, some were 900 s apart"):
        join_outside(quarters(3), [], interval="1h")
    with pytest.raises(ValueError, match="interval must be one of"):
        join_outside(quarters(3), [], interval="7m")


@pytest.mark.parametrize(
    "timing",
    [{"delay_ms": -1}, {"max_age_ms": MINUTE_MS}, {"stale_ms": HOUR_MS}],
    ids=lambda timing: next(iter(timing)),
)
def test_a_timing_that_makes_no_sense_is_refused(timing):
    usual = {"delay_ms": MINUTE_MS, "max_age_ms": 2 * HOUR_MS, "every_ms": HOUR_MS, "stale_ms": DAY_MS}
    with pytest.raises(ValueError, match="delay_ms < max_age_ms <= stale_ms"):
        Timing(**(usual | timing))


def test_columns_of_registered_sources_are_those_that_models_know():
    assert [outside_feed(name).column for name in OUTSIDE_FEEDS] == ["funding_rate", "book_imbalance", "fear_greed"]
    assert [outside_feed(name).name for name in OUTSIDE_FEEDS] == list(OUTSIDE_FEEDS)


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no outside feed 'moon'; known: funding, depth, fear_greed"):
        outside_feed("moon")


@pytest.mark.parametrize(
    ("name", "closes_h", "knows"),
    [
        ("funding", [0.0, 0.25, 8.0, 9.0, 9.25], [0, 1, 1, 1, 0]),  # stamped at 00:00, the next one due at 08:00
        ("fear_greed", [0.0, 0.75, 1.0, 24.0, 26.0, 26.25], [0, 0, 1, 1, 1, 0]),
        ("depth", [0.0, 0.25, 1 / 3, 0.5], [1, 1, 1, 0]),
    ],
)
def test_each_source_counts_from_when_it_is_out_until_the_next_one_had_its_time(name, closes_h, knows):
    timing = outside_feed(name).timing
    close_ms = np.array([MONDAY + round(hours * HOUR_MS) for hours in closes_h], dtype=np.int64)

    values = known_at(close_ms, source((0, 5.0), timing=timing))

    assert np.isfinite(values).tolist() == [bool(known) for known in knows]
