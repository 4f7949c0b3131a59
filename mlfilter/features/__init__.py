"""The features that setups are judged by. To add one: one file, and one line in ``FEATURES``."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from mlfilter.features import (
    calendar,
    higher,
    mean_reversion,
    momentum,
    outside,
    shapes,
    structure,
    trend,
    volatility,
    volume,
)
from mlfilter.features.base import FeatureBars, FeatureGroup
from mlfilter.features.calculate import (
    HIGHER_WARMUP_BARS,
    OUTSIDE_COLUMNS,
    WARMUP_BARS,
    calculate,
    feature_names,
    warmup_bars,
)

__all__ = [
    "FEATURES",
    "HIGHER_WARMUP_BARS",
    "OUTSIDE_COLUMNS",
    "WARMUP_BARS",
    "FeatureBars",
    "FeatureGroup",
    "calculate_features",
    "get_feature_list",
    "warmup_bars",
]

FEATURES: dict[str, FeatureGroup] = {
    "mean_reversion": mean_reversion.GROUP,
    "volatility": volatility.GROUP,
    "trend": trend.GROUP,
    "volume": volume.GROUP,
    "taker": volume.TAKER,
    "momentum": momentum.GROUP,
    "structure": structure.GROUP,
    "shapes": shapes.GROUP,
    "calendar": calendar.GROUP,
    "higher": higher.GROUP,
    "funding_rate": outside.passed_through("funding_rate"),
    "book_imbalance": outside.passed_through("book_imbalance"),
    "fear_greed": outside.passed_through("fear_greed"),
}


def calculate_features(
    bars: pd.DataFrame,
    *,
    higher: Mapping[str, pd.DataFrame] | None = None,
    outside: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the features of every bar, as known at its close.

    Parameters
    ----------
    bars : DataFrame with columns open, high, low, close, volume and perhaps taker_buy_base_vol
        Closed bars of one symbol: index of open times, aware UTC, strictly increasing. Binance's name of the taker
        column is known too; other columns are left out.
    higher : mapping of "1h" and "4h" to DataFrame, optional
        Bars of these intervals, of which only the closed ones are looked at. An interval that is not given is made of
        the bars.
    outside : DataFrame on the index of ``bars``, optional
        Any of ``OUTSIDE_COLUMNS`` as known at each bar's close, NaN while unknown.

    Returns
    -------
    DataFrame of shape (n_bars, n_features), float64
        The columns of ``get_feature_list``, in its order, on the index of ``bars``. NaN while warming up, and where a
        feature says that it is undefined; never an infinity.

    Raises
    ------
    BarsError
        If the bars are none, or a column is missing or not what it may be.
    """
    return calculate(FEATURES, bars, higher=higher, outside=outside)


def get_feature_list(columns: Collection[str] | None = None) -> list[str]:
    """Return the names of the features, in the order that models are trained and served with.

    ``columns`` are those that bars and outside data have; without them, what any bars give. A feature whose column is
    absent is absent.
    """
    return feature_names(FEATURES, columns)
