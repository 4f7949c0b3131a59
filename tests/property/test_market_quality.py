"""Whatever rows come: each is good or has a reason, and what is good are bars."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from market.bars import as_bars
from market.quality import check_rows
from market.raw import PRICES, RawBars
from tests.market_builders import HOUR_MS, MONDAY

prices = st.one_of(
    st.floats(min_value=90, max_value=110), st.sampled_from([0.0, -1.0, 1e-9, 5000.0, float("nan"), float("inf")])
)
opens = st.integers(0, 15).map(lambda i: MONDAY + i * HOUR_MS) | st.sampled_from([-1, MONDAY + 60_000])
rows = st.tuples(opens, prices, prices, prices, prices, st.floats(-1, 1000), st.floats(-1, 1000))


@st.composite
def raw_bars(draw) -> RawBars:
    table = draw(st.lists(rows, max_size=30))
    values = np.array([row[1:] for row in table], dtype=np.float64).reshape(len(table), 6)
    names = (*PRICES, "volume", "taker_buy_base_volume")
    return RawBars(np.array([row[0] for row in table], dtype=np.int64), dict(zip(names, values.T, strict=True)))


def as_set(raw: RawBars) -> list[str]:
    return sorted(str(raw.row(i)) for i in range(len(raw)))


@settings(max_examples=150, deadline=None)
@given(raw_bars())
def test_no_row_is_lost_and_none_is_kept_twice(raw):
    checked = check_rows(raw, interval="1h", now_ms=MONDAY + 12 * HOUR_MS)

    assert sorted(as_set(checked.good) + as_set(checked.bad)) == as_set(raw)
    assert len(checked.reasons) == len(checked.bad)
    assert all(checked.reasons)


@settings(max_examples=150, deadline=None)
@given(raw_bars())
def test_good_rows_are_closed_bars_that_everything_downstream_takes(raw):
    good = check_rows(raw, interval="1h", now_ms=MONDAY + 12 * HOUR_MS).good

    assert (good.open_ms + HOUR_MS <= MONDAY + 12 * HOUR_MS).all()
    assert (good.open_ms % HOUR_MS == 0).all()
    frame = pd.DataFrame(good.columns, index=pd.to_datetime(good.open_ms, unit="ms", utc=True))
    as_bars(frame, required=(*PRICES, "volume"))


@settings(max_examples=100, deadline=None)
@given(raw_bars(), st.randoms(use_true_random=False))
def test_the_order_in_which_rows_come_changes_no_verdict(raw, random):
    order = list(range(len(raw)))
    random.shuffle(order)

    shuffled = check_rows(raw.take(np.array(order, dtype=np.int64)), interval="1h")

    assert as_set(shuffled.good) == as_set(check_rows(raw, interval="1h").good)
