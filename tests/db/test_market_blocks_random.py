"""After any sequence of writes, a read through blocks is a read of the rows, bit for bit."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from market.models import BLOCK_MS, Bar, Kline, SeriesBlock, Symbol
from market.raw import RawBars
from market.store import store_rows
from market.tables import KLINES, RATES
from ops import clock
from tests.market_blocks_builders import assert_reads_are_rows
from tests.market_builders import HOUR_MS, StoppedClock, ms

SPAN = BLOCK_MS["1h"]
FIRST = ms("2025-01-01T00:00") // SPAN * SPAN
# The borders of some blocks, near and far, and a few hours beside them.
TIMES = [FIRST + block * SPAN + hour * HOUR_MS for block in (0, 1, 2, 7) for hour in (0, 1, 2, 1022, 1023)]
NAMES = {"rates": ("BTCUSD", "ETHUSD"), "klines": ("BTCUSDT", "ETHUSDT")}
MODELS = {"rates": Bar, "klines": Kline}

kinds = st.sampled_from(["rates", "klines"])
places = st.integers(0, 1)
times = st.sets(st.sampled_from(TIMES), min_size=1, max_size=6).map(sorted)
halves = st.integers(1, 8).map(lambda n: n / 8)  # of the bar's range: always a bar
extras = st.none() | st.integers(0, 5)


def raw(kind: str, opens: list[int], close: float, extra: int | None) -> RawBars:
    """Return bars of one shape whose close and extra column differ."""
    n = len(opens)
    columns = {"open": [1.0] * n, "high": [2.0] * n, "low": [1.0] * n, "close": [1.0 + close] * n}
    value = np.nan if extra is None else float(extra)
    if kind == "rates":
        columns |= {"tick_volume": [10.0] * n, "spread": [value] * n}
    else:
        columns |= {"volume": [10.0] * n, "taker_buy_base_volume": [value] * n}
    return RawBars(np.array(opens, np.int64), {name: np.array(values) for name, values in columns.items()})


def store(kind, place, opens, close, extra, replace):
    table = RATES if kind == "rates" else KLINES
    rows = raw(kind, opens, close, extra)
    store_rows(table, NAMES[kind][place], rows, interval="1h", source="t", now_ms=2 * FIRST, replace=replace)


def some(kind, place, opens):
    return MODELS[kind].objects.filter(symbol=NAMES[kind][place], open_ms__in=opens)


def delete(kind, place, opens):
    some(kind, place, opens).delete()


def revise(kind, place, opens, close):
    some(kind, place, opens).update(close=1.0 + close)


def blank(kind, place, opens):
    some(kind, place, opens).update(**{"spread" if kind == "rates" else "taker_buy_base_volume": None})


def move(kind, place, opens, target):
    """Give a row another time, or another symbol, by a statement of our own, where no row is in the way."""
    table = MODELS[kind]._meta.db_table
    symbol = NAMES[kind][1 - place]
    query = (
        f"UPDATE {table} SET symbol = %s, open_ms = %s WHERE symbol = %s AND open_ms = %s "
        f"AND NOT EXISTS (SELECT 1 FROM {table} AS other WHERE other.symbol = %s AND other.open_ms = %s)"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [symbol, target, NAMES[kind][place], opens[0], symbol, target])


def rolled_back(kind, place, opens, close):
    with transaction.atomic():
        store(kind, place, opens, close, 3, True)
        delete(kind, place, opens[:1])
        read_all()
        transaction.set_rollback(True)


def lose(kind, place, opens):
    SeriesBlock.objects.filter(kind=kind, symbol=NAMES[kind][place], number__in=[t // SPAN for t in opens]).delete()


def read_all(limit=None, until=None):
    for rates, klines in zip(*NAMES.values(), strict=True):
        assert_reads_are_rows(rates, klines, limit=limit, until=until)


storing = st.tuples(st.just(store), kinds, places, times, halves, extras, st.booleans())
steps = st.one_of(
    storing,
    storing,
    st.tuples(st.just(delete), kinds, places, times),
    st.tuples(st.just(revise), kinds, places, times, halves),
    st.tuples(st.just(blank), kinds, places, times),
    st.tuples(st.just(move), kinds, places, times, st.sampled_from(TIMES)),
    st.tuples(st.just(rolled_back), kinds, places, times, halves),
    st.tuples(st.just(lose), kinds, places, times),
)
moments = st.none() | st.sampled_from(TIMES).map(lambda t: datetime.fromtimestamp(t / 1000 + 1800, UTC))
reads = st.tuples(st.none() | st.integers(1, 9), moments)


class BlocksAreRows(TestCase):
    """Every example in a transaction of its own."""

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.tuples(steps, reads), min_size=1, max_size=9))
    def test_a_read_through_blocks_is_a_read_of_the_rows(self, history):
        Symbol.objects.bulk_create(
            Symbol(name=name, binance_symbol=f"{name}T", ordering=place) for place, name in enumerate(NAMES["rates"])
        )
        with clock.use(StoppedClock("2026-06-01T00:00")):
            for kind in NAMES:
                store(kind, 0, TIMES, 0.5, 1, True)
            read_all()
            for (step, *arguments), (limit, until) in history:
                step(*arguments)
                read_all(limit, until)
            read_all()


pytestmark = [pytest.mark.django_db, pytest.mark.slow]
