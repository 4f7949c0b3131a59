"""Whether a model does live what it does on paper."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from django.core.management import call_command

from market.models import Bar
from market.reading import joined_bars
from ops import clock
from ops.audit import SYSTEM
from ops.clock import SystemClock
from strategies import drift, lifecycle, registry
from strategies.drift import compare, measure_drift
from strategies.fitting import fit_models
from strategies.manifests import ModelMissingError
from strategies.models import FittedModel, LivePrediction
from strategies.shadowing import observe
from strategies.versions import Activate
from tests.bars_builders import make_bars
from tests.fits_builders import make_symbol, plan_row, run_command

pytestmark = pytest.mark.django_db
N_BARS = 300
END = make_bars(0, N_BARS).index[-1].to_pydatetime() + timedelta(hours=1)


class Then(SystemClock):
    """The market's clock as the last bar closed."""

    def market_now(self) -> datetime:
        return END


@pytest.fixture(autouse=True)
def models_dir(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(Then()):
        yield settings.MODEL_DIR


@pytest.fixture
def shadow() -> FittedModel:
    make_symbol(n_bars=N_BARS)
    plan_row()
    (model,) = fit_models(activate=Activate.NEVER, hold_out=100).models
    return lifecycle.shadow(model.pk, actor=SYSTEM)


def hours(n: int) -> list[datetime]:
    """Return the open times of the last ``n`` bars."""
    return [time.to_pydatetime() for time in joined_bars("BTCUSD").index[-n:]]


# --- the comparison -------------------------------------------------------------------------------------------------


def test_correlation_and_differences_are_numpys():
    rng = np.random.default_rng(0)
    index = pd.date_range("2026-01-01", periods=50, freq="h", tz="UTC")
    recomputed = pd.Series(rng.normal(size=50), index=index)
    live = {time.to_pydatetime(): value + 0.1 * rng.normal() for time, value in recomputed.iloc[::2].items()}

    found = compare(live, recomputed)

    ours, theirs = np.array(list(live.values())), recomputed.iloc[::2].to_numpy()
    assert found.correlation == pytest.approx(np.corrcoef(ours, theirs)[0, 1])
    assert found.mean_abs_diff == pytest.approx(np.mean(np.abs(ours - theirs)))
    assert found.max_abs_diff == pytest.approx(np.max(np.abs(ours - theirs)))
    assert (found.n_bars, found.n_live, found.coverage) == (50, 25, 0.5)
    assert (found.since, found.until) == (index[0], index[-1])


def test_what_does_not_move_has_no_correlation():
    index = pd.date_range("2026-01-01", periods=3, freq="h", tz="UTC")
    recomputed = pd.Series([0.1, 0.2, 0.3], index=index)
    found = compare(dict.fromkeys(index, 0.1), recomputed)
    assert (found.correlation, found.mean_abs_diff) == (None, pytest.approx(0.1))


def test_predictions_that_all_failed_leave_nothing_to_compare():
    recomputed = pd.Series([0.1], index=pd.date_range("2026-01-01", periods=1, freq="h", tz="UTC"))
    found = compare({}, recomputed, n_failed=1)
    assert (found.n_live, found.coverage, found.correlation, found.mean_abs_diff) == (0, 0.0, None, None)
    assert found.n_failed == 1


# --- of a model -----------------------------------------------------------------------------------------------------


def test_sessions_on_all_of_history_do_not_drift(shadow):
    for bar_at in hours(20):
        observe("BTCUSD", bar_at)
    found = measure_drift(shadow)
    assert (found.n_live, found.n_bars, found.coverage) == (20, 20, 1.0)
    assert found.correlation == pytest.approx(1.0)
    assert found.max_abs_diff == 0.0  # causal: the last of a prefix is that of the whole


def test_a_shorter_window_shows_as_drift(shadow):
    """Averages that begin later are others: the difference is that between both predictions."""
    for bar_at in hours(20):
        observe("BTCUSD", bar_at, limit=100)
    found = measure_drift(shadow)
    estimator, bars = registry.load(shadow).estimator, joined_bars("BTCUSD")
    whole = estimator.predict(bars)
    apart = [
        abs(estimator.predict(bars.iloc[: end + 1].iloc[-100:]).iloc[-1] - whole.iloc[end])
        for end in range(N_BARS - 20, N_BARS)
    ]
    assert found.mean_abs_diff == pytest.approx(np.mean(apart))
    assert found.max_abs_diff == pytest.approx(max(apart))
    assert found.mean_abs_diff > 0
    assert found.correlation < 1.0


def test_bars_that_were_corrected_since_show_as_drift(shadow):
    for bar_at in hours(20):
        observe("BTCUSD", bar_at)
    corrected = Bar.objects.filter(symbol="BTCUSD").order_by("-open_ms")[10]
    Bar.objects.filter(pk=corrected.pk).update(close=corrected.low)
    assert measure_drift(shadow).max_abs_diff > 0


def test_sessions_that_did_not_run_lower_the_coverage(shadow):
    for bar_at in hours(20)[::2]:
        observe("BTCUSD", bar_at)
    found = measure_drift(shadow)
    assert (found.n_live, found.n_bars) == (10, 20)  # a shadow should have predicted to the newest bar


def test_a_retired_model_is_covered_to_its_last_prediction(shadow):
    for bar_at in hours(20)[:10]:
        observe("BTCUSD", bar_at)
    assert measure_drift(shadow).n_bars == 20
    retired = lifecycle.retire(shadow.pk, actor=SYSTEM)
    assert measure_drift(retired).n_bars == 10


def test_failures_are_counted_apart(shadow, models_dir):
    for bar_at in hours(4)[:2]:
        observe("BTCUSD", bar_at)
    file = models_dir / shadow.path / "model.joblib"
    content = file.read_bytes()
    file.unlink()
    for bar_at in hours(4)[2:]:
        observe("BTCUSD", bar_at)
    file.write_bytes(content)
    found = measure_drift(shadow)
    assert (found.n_live, found.n_failed, found.n_bars) == (2, 2, 4)


def test_only_the_last_days_count(shadow):
    for bar_at in hours(49):
        observe("BTCUSD", bar_at)
    assert measure_drift(shadow, days=1).n_bars == 24
    assert measure_drift(shadow, days=30).n_bars == 49


def test_a_model_that_never_predicted_live_has_no_drift(shadow):
    assert measure_drift(shadow) is None


def test_a_model_whose_file_is_gone_says_so(shadow, models_dir):
    observe("BTCUSD", hours(1)[0])
    (models_dir / shadow.path / "model.joblib").unlink()
    with pytest.raises(ModelMissingError):
        measure_drift(shadow)


def test_predictions_on_bars_that_are_gone_have_no_drift(shadow):
    LivePrediction.objects.create(model=shadow, bar_at=END, position=0.1, was_traded=False)
    lifecycle.retire(shadow.pk, actor=SYSTEM)
    shadow.refresh_from_db()
    assert measure_drift(shadow) is None


# --- shown ----------------------------------------------------------------------------------------------------------


def test_model_show_prints_drift(shadow, capsys):
    for bar_at in hours(20):
        observe("BTCUSD", bar_at, limit=100)
    code, document, _ = run_command("model_show", str(shadow.pk), "--days", "30")
    found = measure_drift(shadow).as_data()
    shown = document["data"]["drift"]
    assert code == 0
    assert {name: shown[name] for name in ("n_bars", "n_live", "coverage", "correlation", "mean_abs_diff")} == {
        name: found[name] for name in ("n_bars", "n_live", "coverage", "correlation", "mean_abs_diff")
    }
    call_command("model_show", str(shadow.pk))
    assert f"20 of 20 bars (100.0%), correlation {found['correlation']:.4f}" in capsys.readouterr().out


def test_drift_that_cannot_be_computed_says_why(shadow, models_dir, capsys):
    observe("BTCUSD", hours(1)[0])
    (models_dir / shadow.path / "model.joblib").unlink()
    assert "model.joblib is missing" in run_command("model_show", str(shadow.pk))[1]["data"]["drift"]["error"]
    call_command("model_show", str(shadow.pk))
    assert "drift      unknown: BTCUSD" in capsys.readouterr().out


def test_days_of_drift_are_thirty_unless_told_otherwise():
    assert drift.DAYS == 30
