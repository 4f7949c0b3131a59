"""Fitting the plan: every model or a named failure, whole versions, and one of them active."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from datetime import UTC, datetime

import joblib
import numpy as np
import pandas as pd
import pytest
from django.db import connection

from market.reading import joined_bars
from ops import clock
from ops.audit import Actor
from ops.clock import SystemClock
from ops.errors import ExitCode
from ops.models import Announcement, AuditEntry
from strategies import artifacts, fitting, registry, versions
from strategies.estimators import build
from strategies.estimators.ema_vol import EmaVolStrategy
from strategies.fits import FitError, fitted_values
from strategies.fitting import fit_models
from strategies.models import FittedModel, RegistrySettings
from strategies.provenance import bars_hash, library_versions
from strategies.services import PlanError
from strategies.versions import Activate
from tests.bars_builders import make_bars
from tests.fits_builders import EMA, SMALL, make_symbol, plan_row, store_bars

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ANNA = Actor(name="anna", source=AuditEntry.Source.PAGE)


@pytest.fixture(autouse=True)
def models_dir(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    settings.MODEL_DIR.mkdir()
    with clock.use(SystemClock()):
        yield settings.MODEL_DIR


def folders(models_dir) -> list[str]:
    return sorted(str(path.relative_to(models_dir)) for path in models_dir.glob("*/*"))


def test_every_planned_model_becomes_an_active_version_with_a_file(models_dir):
    for name, seed in (("BTCUSD", 0), ("ETHUSD", 1)):
        make_symbol(name, seed=seed)
    plan_row()
    plan_row("rev", SMALL | {"reversal_window": 5})
    plan_row("wed_thu", {}, is_enabled=False)

    report = fit_models(actor=ANNA, note="first")

    assert report.failed == ()
    assert [(model.symbol.name, model.strategy, model.version, model.status) for model in report.models] == [
        ("BTCUSD", "ema_vol", 1, "active"),
        ("BTCUSD", "rev", 1, "active"),
        ("ETHUSD", "ema_vol", 1, "active"),
        ("ETHUSD", "rev", 1, "active"),
    ]
    assert folders(models_dir) == sorted(model.path for model in report.models)


def test_a_version_says_what_it_was_made_of(models_dir):
    make_symbol()
    plan_row("rev", SMALL | {"reversal_window": 5}, strat_weight=0.07)

    (model,) = fit_models(actor=ANNA, note="first").models
    model.refresh_from_db()

    bars = make_bars(0, 300)
    content = (models_dir / model.path / "model.joblib").read_bytes()
    assert model.sha256 == hashlib.sha256(content).hexdigest()
    assert (model.fit_from, model.fit_to, model.n_bars) == (bars.index[0], bars.index[-1], 300)
    assert model.columns == [
        ["open", "mt5"],
        ["high", "mt5"],
        ["low", "mt5"],
        ["close", "mt5"],
        ["volume", "binance:BTCUSDT"],
    ]
    assert (model.strat_weight, model.fitted_by, model.note) == (0.07, "anna", "first")
    assert model.variant == "min_values=30,reversal_window=5,vol_window=20"
    assert model.params["reversal_threshold"] == 0.3  # a default, written down all the same
    assert model.libraries == library_versions()
    assert model.data_hash == bars_hash(joined_bars("BTCUSD"))


def test_the_stored_model_is_what_the_strategy_fits_by_itself():
    make_symbol()
    plan_row(strat_weight=0.05)
    (model,) = fit_models().models

    bars = joined_bars("BTCUSD")
    alone = build("ema_vol", **EMA, strat_weight=0.05).fit(bars)
    (loaded,) = registry.active("BTCUSD")

    np.testing.assert_array_equal(loaded.estimator.predict(bars), alone.predict(bars))
    assert model.fitted == {
        "cdf_median_": alone.cdf_median_,
        "defactor_": alone.defactor_,
        "to_target_scaler_": alone.to_target_scaler_,
    }


def test_metrics_are_those_of_positions_times_next_returns():
    """Recomputed with pandas from the predictions of a strategy at full weight."""
    make_symbol()
    plan_row(strat_weight=0.05)
    (model,) = fit_models().models

    bars = joined_bars("BTCUSD")
    strategy = build("ema_vol", **EMA).fit(bars)
    held = strategy.predict(bars).iloc[strategy.warm_up :]
    pnl = (held.shift(1) * bars["close"].pct_change()).loc[held.index].dropna()
    assert model.metrics["pnl_volatility"] == pytest.approx(pnl.std() * 8760**0.5, rel=1e-9)
    assert model.metrics["sharpe"] == pytest.approx(pnl.mean() / pnl.std() * 8760**0.5, rel=1e-9)
    assert model.metrics["turnover"] == pytest.approx(held.diff().abs().mean() * 24, rel=1e-9)


def test_a_model_without_weight_is_fitted_and_measured():
    make_symbol()
    plan_row(strat_weight=0.0)
    (model,) = fit_models().models
    assert model.metrics["pnl_volatility"] > 0


def test_fitting_again_retires_the_version_before_and_keeps_its_file(models_dir):
    make_symbol()
    plan_row()
    fit_models()
    fit_models()

    statuses = dict(FittedModel.objects.values_list("version", "status"))
    assert statuses == {1: "retired", 2: "active"}
    assert len(folders(models_dir)) == 2


def test_an_activation_is_audited_and_announced():
    make_symbol()
    plan_row()
    fit_models(actor=ANNA, note="why not")
    (model,) = fit_models(actor=ANNA, note="why not").models

    entry = AuditEntry.objects.filter(action="model.promoted").latest("id")
    assert (entry.actor, entry.source, entry.reason) == ("anna", "page", "why not")
    assert entry.before == {"active": [1]}
    assert entry.after["id"] == model.pk
    assert Announcement.objects.filter(topic="models", payload__id=model.pk).exists()


def test_candidates_do_not_trade_before_somebody_promotes_them():
    make_symbol()
    plan_row()
    fit_models()
    (candidate,) = fit_models(activate=Activate.NEVER).models

    assert candidate.status == "candidate"
    assert [model.version for model in registry.active("BTCUSD")] == [1]


def test_a_fit_until_a_moment_sees_nothing_later():
    symbol = make_symbol(n_bars=0)
    bars = make_bars(0, 300)
    store_bars(symbol, bars.iloc[:250])
    plan_row()
    (before,) = fit_models().models
    store_bars(symbol, bars.iloc[250:])

    (until,) = fit_models(until=bars.index[250].to_pydatetime()).models
    (whole,) = fit_models().models

    assert until.fit_to == bars.index[249]  # the bar that closed at that very moment
    assert (until.data_hash, until.fitted) == (before.data_hash, before.fitted)
    assert whole.fitted != until.fitted


def test_only_the_newest_bars_of_the_given_number_are_fitted():
    make_symbol(n_bars=300)
    plan_row()
    (model,) = fit_models(max_history_hours=200).models
    assert (model.n_bars, model.fit_from) == (200, make_bars(0, 300).index[100])


def test_a_symbol_named_twice_is_fitted_once():
    make_symbol()
    plan_row()
    assert len(fit_models(symbols=["BTCUSD", "BTCUSDT", "BTCUSD"]).models) == 1


def test_a_symbol_without_bars_does_not_keep_the_others_from_fitting():
    make_symbol("BTCUSD", n_bars=0)
    make_symbol("ETHUSD")
    plan_row()
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})

    report = fit_models()

    assert report.exit_code == ExitCode.PARTLY
    assert [model.symbol.name for model in report.models] == ["ETHUSD", "ETHUSD"]
    assert [(failure.symbol, failure.strategy) for failure in report.failed] == [
        ("BTCUSD", "ema_vol"),
        ("BTCUSD", "wed_thu"),
    ]
    assert "no closed 1h bars of BTCUSD" in report.failed[0].error


def test_a_strategy_that_breaks_does_not_keep_the_others_from_fitting(monkeypatch):
    def broken(self, bars):
        raise KeyError("no such thing")

    make_symbol()
    plan_row()
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    monkeypatch.setattr(EmaVolStrategy, "_indicators_of", broken)

    report = fit_models()

    assert [model.strategy for model in report.models] == ["wed_thu"]
    (failure,) = report.failed
    assert (failure.symbol, failure.strategy, failure.variant) == (
        "BTCUSD",
        "ema_vol",
        "fast_ema_window=5,min_values=30,vol_window=20",
    )
    assert failure.error == "KeyError: 'no such thing'"


def test_a_row_whose_parameters_no_strategy_takes_is_that_rows_failure():
    make_symbol()
    plan_row()
    plan_row("ema_vol", SMALL | {"fast_ema_window": 0})
    plan_row("ema_vol", SMALL | {"lookback": 3})

    report = fit_models()

    assert len(report.models) == 1
    assert [failure.error for failure in report.failed] == [
        "EmaVolStrategy: fast_ema_window must be a whole number of at least 1, was 0",
        next(failure.error for failure in report.failed if "no parameter 'lookback'" in failure.error),
    ]


def test_a_disk_that_is_full_for_one_model_does_not_lose_the_others(monkeypatch):
    save = artifacts.save

    def full_for_ema(root, manifest, estimator, *, key):
        if manifest.slot.strategy == "ema_vol":
            raise OSError(28, "No space left on device")
        return save(root, manifest, estimator, key=key)

    make_symbol()
    plan_row()
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    monkeypatch.setattr(artifacts, "save", full_for_ema)

    report = fit_models()

    assert [model.strategy for model in report.models] == ["wed_thu"]
    assert "No space left" in report.failed[0].error
    assert not FittedModel.objects.filter(strategy="ema_vol").exists()


def test_thirty_bars_are_too_few_and_the_message_counts_them():
    make_symbol(n_bars=30)
    plan_row()
    report = fit_models()
    assert report.exit_code == ExitCode.DATA
    assert "got 30" in report.failed[0].error
    assert not FittedModel.objects.exists()


def test_prices_that_are_not_numbers_are_refused(monkeypatch):
    bars = make_bars(0, 300)
    bars.loc[bars.index[100], "close"] = float("nan")
    make_symbol(n_bars=0)
    plan_row()
    monkeypatch.setattr(fitting, "joined_bars", lambda symbol, limit, until: bars)

    report = fit_models()

    assert report.exit_code == ExitCode.DATA
    assert "column close must be finite" in report.failed[0].error


def test_a_symbol_that_binance_does_not_list_fails_only_what_needs_binance():
    make_symbol(binance=False)
    plan_row()
    plan_row("rev", SMALL | {"reversal_window": 5})

    report = fit_models()

    assert [model.strategy for model in report.models] == ["ema_vol"]
    assert "requires the column volume" in report.failed[0].error


def test_a_fitted_value_that_is_not_finite_is_an_error():
    strategy = build("ema_vol")
    strategy.to_target_scaler_ = float("nan")
    with pytest.raises(FitError, match="to_target_scaler_ = nan"):
        fitted_values(strategy)


def test_a_strategy_that_the_plan_has_switched_off_is_refused():
    make_symbol()
    plan_row("wed_thu", {}, is_enabled=False)
    plan_row()
    with pytest.raises(PlanError, match="nothing switched on for wed_thu"):
        fit_models(strategies=["wed_thu"])


def test_a_site_without_a_plan_gets_the_default_one():
    make_symbol(n_bars=0)
    assert len(fit_models().failed) == 16


def test_processes_fit_what_one_process_fits():
    for name, seed in (("BTCUSD", 0), ("ETHUSD", 1), ("BNBUSD", 2)):
        make_symbol(name, seed=seed)
    make_symbol("XRPUSD", n_bars=0)
    plan_row()
    plan_row("rev", SMALL | {"reversal_window": 5})

    serial = fit_models()
    with joblib.parallel_config(backend="threading"):  # what joblib does with processes, without their start
        spread = fit_models(jobs=2)

    assert [(str(model.symbol), model.strategy, model.fitted) for model in spread.models] == [
        (str(model.symbol), model.strategy, model.fitted) for model in serial.models
    ]
    assert [failure.symbol for failure in spread.failed] == ["XRPUSD", "XRPUSD"]


def test_a_worker_process_needs_no_django():
    code = "import sys, strategies.fits; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  # our own code


# --- at the same time, and interrupted ------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_fits_of_one_slot_at_once_give_whole_versions_and_one_active(models_dir):
    n_fits = 4
    make_symbol()
    plan_row()
    start = threading.Barrier(n_fits)
    reports = []

    def fit() -> None:
        try:
            start.wait()
            reports.append(fit_models())
        finally:
            connection.close()

    threads = [threading.Thread(target=fit) for _ in range(n_fits)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [report.failed for report in reports] == [()] * n_fits
    models = FittedModel.objects.order_by("version")
    assert [model.version for model in models] == [1, 2, 3, 4]
    # One that ends after a later version was activated stays a candidate.
    assert models[3].status == "active"
    assert {model.status for model in models[:3]} <= {"retired", "candidate"}
    assert folders(models_dir) == sorted(model.path for model in models)


def stale_once(monkeypatch, version: int) -> None:
    """Let the next look for a free version see what it was a moment ago."""
    real, answers = versions._next_version, [version]
    monkeypatch.setattr(versions, "_next_version", lambda slot: answers.pop() if answers else real(slot))


def test_a_version_whose_file_was_just_written_is_left_to_its_owner(monkeypatch):
    make_symbol()
    plan_row()
    (first,) = fit_models().models
    stale_once(monkeypatch, 1)
    (second,) = fit_models().models
    assert (first.version, second.version) == (1, 2)


def test_a_version_whose_row_was_just_written_elsewhere_is_left_and_our_file_removed(models_dir, monkeypatch):
    """As when another machine, with a models' folder of its own, fits for the same database."""
    make_symbol()
    plan_row()
    (first,) = fit_models().models
    (models_dir / first.path).rename(models_dir / "elsewhere")
    stale_once(monkeypatch, 1)

    (second,) = fit_models().models

    assert second.version == 2
    assert not (models_dir / first.path).exists()
    assert (models_dir / second.path).exists()


def test_an_older_fit_that_ends_late_does_not_take_a_newer_ones_place(monkeypatch):
    make_symbol()
    plan_row()
    fit_models()
    (newer,) = fit_models().models
    FittedModel.objects.filter(version=1).delete()
    stale_once(monkeypatch, 1)
    monkeypatch.setattr(artifacts, "folder_of", lambda slot: f"BTCUSD/late-v{slot.version}")

    (late,) = fit_models().models

    assert (late.version, late.status) == (1, "candidate")
    assert FittedModel.objects.active().get() == newer


def kill_before_the_row(monkeypatch) -> None:
    """Fit, and be killed when the file is there and its row is not."""

    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(versions, "_register", killed)
        with pytest.raises(KeyboardInterrupt):
            fit_models()


def test_a_fit_killed_between_file_and_row_changes_nothing_that_trades(monkeypatch):
    make_symbol()
    plan_row()
    (trading,) = fit_models().models

    kill_before_the_row(monkeypatch)

    assert FittedModel.objects.get() == trading
    assert [model.version for model in registry.active("BTCUSD")] == [1]


def test_after_a_kill_the_next_fit_takes_a_version_of_its_own(models_dir, monkeypatch):
    make_symbol()
    plan_row()

    kill_before_the_row(monkeypatch)

    (model,) = fit_models().models

    assert model.version == 2
    assert len(folders(models_dir)) == 2


# --- where bars came from -------------------------------------------------------------------------------------------


def test_the_hash_of_bars_depends_on_their_values_and_times_only():
    bars = make_bars(0, 50)
    other = np.asfortranarray(bars.to_numpy())
    same = pd.DataFrame(other, index=pd.DatetimeIndex(bars.index).as_unit("ms"), columns=bars.columns)
    assert bars_hash(bars) == bars_hash(same)
    assert bars_hash(bars) != bars_hash(bars.shift(freq="h"))
    assert bars_hash(bars) != bars_hash(bars.iloc[1:])
    assert bars_hash(bars) != bars_hash(bars.rename(columns={"volume": "tick_volume", "tick_volume": "volume"}))
    changed = bars.copy()
    changed.loc[bars.index[25], "close"] = np.nextafter(bars["close"].to_numpy()[25], np.inf)
    assert bars_hash(bars) != bars_hash(changed)


def test_times_of_versions_are_utc():
    make_symbol()
    plan_row()
    (model,) = fit_models().models
    assert model.fit_from == datetime(2024, 1, 1, tzinfo=UTC)


# --- out of sample --------------------------------------------------------------------------------------------------


def test_a_version_knows_how_a_twin_did_on_bars_that_it_was_not_fitted_on():
    """Recomputed with pandas: fitted on the bars before, positions times next returns less costs on those after."""
    RegistrySettings.objects.create(pk=1, unseen_bars=100, half_spread=0.001, commission=0.002)
    make_symbol(n_bars=400)
    plan_row(strat_weight=0.05)

    (model,) = fit_models().models

    bars = joined_bars("BTCUSD")
    held = build("ema_vol", **EMA).fit(bars.iloc[:300]).predict(bars).shift(1)
    earned = (held * bars["close"].pct_change() - 0.003 * held.diff().abs()).iloc[300:]
    found = model.metrics["out_of_sample"]
    assert found["n_bars"] == 100
    assert found["sharpe"] == pytest.approx(earned.mean() / earned.std() * 8760**0.5, rel=1e-6)
    assert found["total_return"] == pytest.approx(earned.sum(), rel=1e-6)
    assert found["costs"] == pytest.approx(0.003 * held.diff().abs().iloc[300:].sum(), rel=1e-6)
    assert model.n_bars == 400  # the version itself is fitted on all of them


def test_a_history_too_short_to_hold_bars_out_has_no_out_of_sample_metrics():
    make_symbol(n_bars=300)
    plan_row()
    assert fit_models().models[0].metrics["out_of_sample"] is None


def test_bars_held_out_are_left_out_of_the_fit():
    make_symbol(n_bars=300)
    plan_row()
    (held_out,) = fit_models(hold_out=50).models
    (until,) = fit_models(until=make_bars(0, 300).index[250].to_pydatetime()).models
    assert (held_out.n_bars, held_out.data_hash, held_out.fitted) == (250, until.data_hash, until.fitted)


def test_a_fit_that_activates_nothing_leaves_an_empty_slot_empty():
    make_symbol()
    plan_row()
    assert fit_models(activate=Activate.NEVER).models[0].status == "candidate"
    assert registry.active("BTCUSD") == ()
