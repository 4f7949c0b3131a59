"""Walk-forward: the model of a window learned from what was known before it, and from nothing else."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from mlfilter import walkforward
from mlfilter.backtest import BacktestSettings, compare
from mlfilter.errors import FilterDataError
from mlfilter.proposals import Terms, find_setups
from mlfilter.recognizers import unseen
from mlfilter.setups import Barriers
from mlfilter.walkforward import walk_forward
from tests.recognizer_builders import make_recognizer
from tests.setup_builders import EASY, quarter_hours

pytestmark = pytest.mark.slow

HORIZON = 8
TERMS = Terms(thresholds=EASY, barriers=Barriers(stop_pct=0.01, target_pct=0.01, horizon=HORIZON))
WINDOWS = 3


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(unseen, "SHUFFLES", 1)


def judged(bars: pd.DataFrame):
    found = find_setups(bars, TERMS)
    recognizer = make_recognizer(embargo=TERMS.embargo, threshold=0.45)
    return found, walk_forward(found, recognizer, n_windows=WINDOWS)


def rewritten(bars: pd.DataFrame, now: int) -> pd.DataFrame:
    """Return bars whose future, from row ``now`` on, is another one."""
    other = quarter_hours(seed=99)
    columns = ["open", "high", "low", "close"]
    other[columns] *= bars["close"].iloc[now - 1] / other["close"].iloc[now - 1]
    return pd.concat([bars.iloc[:now], other.iloc[now:]])


@pytest.fixture(scope="module")
def whole():
    bars = quarter_hours()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unseen, "SHUFFLES", 1)
        return bars, *judged(bars)


@pytest.mark.parametrize("now", [520, 799, 875, 1250, 1499])
def test_rewriting_the_future_changes_no_score_no_known_label_and_no_trade_made(whole, now):
    bars, found, walked = whole
    later, other = judged(rewritten(bars, now))
    before = int(np.searchsorted(found.rows, now))
    np.testing.assert_array_equal(later.rows[:before], found.rows[:before])
    # Windows are cut by the number of bars, which rewriting does not change.
    np.testing.assert_array_equal(other.probability[:before], walked.probability[:before])
    np.testing.assert_array_equal(other.approved[:before], walked.approved[:before])
    known = found.known_at[:before] < bars.index[now]
    columns = ["label", "r", "exit_index"]
    pd.testing.assert_frame_equal(later.labels[columns][:before][known], found.labels[columns][:before][known])
    trades = [made(bars.index[now], each, run) for each, run in ((found, walked), (later, other))]
    assert trades[0] == trades[1]
    assert trades[0] or now < 875


def made(now: pd.Timestamp, found, walked) -> list[dict]:
    """Return the trades that had ended when a bar opened."""
    tail = slice(walked.start, None)
    # Two weeks hold too few weekdays for the veto of what was never seen: here the probability alone approves.
    approved = found.per_bar(walked.probability >= 0.45, empty=False)[tail]
    settings = BacktestSettings(barriers=TERMS.barriers, costs=TERMS.costs)
    both = compare(found.bars.iloc[tail], found.direction.iloc[tail], approved, settings=settings)
    assert len(both.unfiltered.trades)
    trades = both.filtered.trades
    return trades[trades["exit_at"] < now].to_dict("records")


def test_every_model_knows_only_what_was_known_an_embargo_before_its_window(whole):
    _, found, walked = whole
    assert len(walked.windows) == WINDOWS
    for window in walked.windows:
        assert window.known_to + HORIZON * timedelta(minutes=15) <= window.since
    assert np.isnan(walked.probability[found.rows < walked.start]).all()


def test_windows_follow_each_other_without_a_gap_to_the_last_bar(whole):
    bars, _, walked = whole
    edges = [(window.since, window.until) for window in walked.windows]
    for (_, until), (since, _) in pairwise(edges):
        assert since - until == timedelta(minutes=15)
    assert edges[-1][1] == bars.index[-1]


def test_the_report_pools_what_the_models_had_not_seen(whole):
    _, found, walked = whole
    told = np.isfinite(walked.probability) & found.labels["label"].notna().to_numpy()
    assert walked.report.n_unseen == told.sum()
    assert walked.report.base_rate == found.labels["label"].to_numpy()[told].mean()
    assert walked.report.importance


def test_too_few_setups_are_said():
    bars = quarter_hours(n=420)
    with pytest.raises(FilterDataError, match="too few to train on"):
        judged(bars)


def test_an_importance_is_asked_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr(walkforward, "permutation", lambda *a: asked.append(a) or {})
    judged(quarter_hours())
    assert len(asked) == 1


@pytest.mark.parametrize("changed", [{"family": "moon"}, {"label": "luck"}, {"interval": "7m"}])
def test_terms_that_nobody_knows_are_refused(changed):
    with pytest.raises(ValueError, match=r"moon|luck|7m"):
        Terms(**changed)
