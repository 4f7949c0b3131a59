"""What stored bars are, read another way: by the ORM, and joined by pandas."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from market.models import Bar, Kline, PriceBar, SeriesBlock, Symbol
from market.reading import read_mtbars
from market.services import joined_bars, read_klines
from market.tables import KLINES, RATES
from ops.clock import market_now
from tests.market_builders import HOUR_MS

READ = {Bar: RATES.read, Kline: KLINES.read}


def empty_blocks() -> None:
    """Delete all blocks, as anybody may."""
    SeriesBlock.objects.all().delete()


def rows_by_hand(
    model: type[PriceBar], symbol: str, *, until: datetime | None = None, limit: int | None = None, since: int = 0
) -> pd.DataFrame:
    """Return stored hours that have ended, as the ORM reads them."""
    now = market_now()
    closed_by = int(min(now, until or now).timestamp() * 1000)
    stored = model.objects.filter(symbol=symbol, interval="1h", open_ms__gte=since, open_ms__lte=closed_by - HOUR_MS)
    rows = list(stored.order_by("-open_ms").values_list("open_ms", *READ[model])[:limit])[::-1]
    index = pd.DatetimeIndex(np.array([row[0] for row in rows], "datetime64[ms]"), tz="UTC", name="open_at")
    return pd.DataFrame([row[1:] for row in rows], index=index, columns=list(READ[model]), dtype=np.float64)


def joined_by_hand(symbol: str, binance_symbol: str, **selection: object) -> pd.DataFrame:
    """Return rates with the volumes of the klines of the same open time."""
    rates = rows_by_hand(Bar, symbol, **selection).drop(columns="spread")
    klines = rows_by_hand(Kline, binance_symbol)[["volume", "taker_buy_base_volume"]]
    return rates.join(klines.rename(columns={"taker_buy_base_volume": "taker_buy_base_vol"}), how="left")


def assert_same_bits(frame: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(frame, expected, check_exact=True)
    assert np.ascontiguousarray(frame.to_numpy()).tobytes() == np.ascontiguousarray(expected.to_numpy()).tobytes()


def assert_reads_are_rows(
    symbol: str, binance_symbol: str, *, until: datetime | None = None, limit: int | None = None
) -> None:
    """Assert that every way to read gives what the rows are."""
    same = {"until": until, "limit": limit}
    assert_same_bits(read_mtbars(symbol, limit, until), rows_by_hand(Bar, symbol, **same))
    assert_same_bits(read_klines(binance_symbol, **same), rows_by_hand(Kline, binance_symbol, **same))
    if Symbol.objects.filter(name=symbol).exists() and len(rows_by_hand(Bar, symbol, **same)):
        expected = joined_by_hand(symbol, binance_symbol, **same)
        assert_same_bits(joined_bars(symbol, limit or 10**6, until), expected)
