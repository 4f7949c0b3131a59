"""The filter of setups: a whole backtest, and one prediction with the trades that look most like it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from benchmarks.harness import Contest, max_abs_diff
from mlfilter.backtest import Comparison, compare
from mlfilter.features import calculate_features
from mlfilter.proposals import Terms, find_setups, setups_in, with_direction
from mlfilter.recognizers.recognizer import MLPatternRecognizer
from mlfilter.recognizers.trainingset import training_set

N_BARS = 100_000
N_ROW_BY_ROW = 500  # bars that the peer scores; the others would take it a minute
N_TRAIN = 60_000  # bars that the filter learns from
TOLERANCE = 1e-12
DATA = f"{N_BARS:,} bars of 15 minutes of a random walk"


def random_bars(n: int = N_BARS, seed: int = 0) -> pd.DataFrame:
    """Return bars whose closes are a random walk."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.003 * rng.standard_normal(n)))
    opened = np.concatenate([[100.0], close[:-1]])
    reach = 1.0 + 0.002 * rng.random((2, n))
    index = pd.date_range("2023-01-01", periods=n, freq="15min", tz="UTC", name="open_at")
    high, low = np.maximum(opened, close) * reach[0], np.minimum(opened, close) / reach[1]
    volume = rng.lognormal(size=n)
    return pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": volume}, index=index)


def trained(bars: pd.DataFrame, terms: Terms) -> MLPatternRecognizer:
    """Return a filter that learned from the first of the bars."""
    found = find_setups(bars.iloc[:N_TRAIN], terms)
    known = training_set(found.features, found.labels["label"], known_at=found.known_at, r=found.r)
    return MLPatternRecognizer(embargo=terms.embargo).fit_known(known)


@contextmanager
def backtest() -> Iterator[Contest]:
    """Features, probabilities of all bars in one batch, and both accounts, against scoring each bar by itself."""
    bars, terms = random_bars(), Terms()
    recognizer = trained(bars, terms)
    features = with_direction(calculate_features(bars), pd.Series(1.0, index=bars.index))
    rows = np.flatnonzero(np.isfinite(features.to_numpy()).all(axis=1))[:: N_BARS // N_ROW_BY_ROW][:N_ROW_BY_ROW]
    chosen = features.to_numpy()[rows]

    def scores() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return recognizer.score(with_direction(calculate_features(bars), pd.Series(1.0, index=bars.index)))

    def ours() -> Comparison:
        computed = calculate_features(bars)
        found = setups_in(bars, computed, terms)
        sides = pd.Series(np.where(found.direction < 0, -1.0, 1.0), index=bars.index)
        approved = recognizer.score(with_direction(computed, sides)) >= recognizer.threshold
        return compare(bars, found.direction, approved)

    def peer() -> list[float]:
        return [float(recognizer.pipeline_.predict_proba(row[None, :])[0, 1]) for row in chosen]

    def difference() -> float:
        ours()
        return max_abs_diff(scores()[rows], recognizer.calibration_(np.array(peer())))

    yield Contest(
        ours=ours,
        peer=peer,
        peer_name="scikit-learn",
        difference=difference,
        tolerance=TOLERANCE,
        goal=25.0,
        scale=N_BARS / N_ROW_BY_ROW,
        data=DATA,
        note=f"ours: features, batch, two accounts; scikit-learn only scores, {N_ROW_BY_ROW} bars for all",
    )


@contextmanager
def prediction() -> Iterator[Contest]:
    """Confidence, vetoes and the ten nearest trades of one setup, against scikit-learn for the two of them."""
    bars, terms = random_bars(), Terms()
    recognizer = trained(bars, terms)
    row = find_setups(bars.iloc[N_TRAIN:], terms).features.iloc[-1]
    values = row.to_numpy()[None, :]
    scaler = recognizer.pipeline_[0]
    neighbours = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(recognizer.similar_.X)

    def ours() -> list[float]:
        quality = recognizer.predict_trade_quality(row)
        return [trade["distance"] for trade in quality["similar"]]

    def peer() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        recognizer.pipeline_.predict_proba(values)
        distances: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = neighbours.kneighbors(scaler.transform(values))[
            0
        ][0]
        return distances

    yield Contest(
        ours=ours,
        peer=peer,
        peer_name="scikit-learn",
        difference=lambda: max_abs_diff(ours(), peer()),
        tolerance=1e-6,  # scikit-learn's distances are differences of squares
        goal=1.0,
        limit_s=0.005,
        data=DATA,
        note=f"{len(recognizer.similar_):,} past trades; ours also decides, says why and describes the ten",
    )
