"""The scheduled refit: once a period, candidates where something trades, with bars left to judge them on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django_q.models import OrmQ

from ops import clock
from ops.audit import SYSTEM, Actor
from ops.clock import SystemClock
from ops.models import Alert, AuditEntry, Run
from strategies import archive, jobs, lifecycle, registry
from strategies.fitting import fit_models
from strategies.models import FittedModel, PlanRow, RegistrySettings
from strategies.refitting import due_refit, period_start
from strategies.versions import Activate
from tests.bars_builders import make_bars
from tests.fits_builders import make_symbol, plan_row

pytestmark = pytest.mark.django_db
ANNA = Actor(name="anna", source=AuditEntry.Source.PAGE)
N_BARS, UNSEEN = 300, 60
END = make_bars(0, N_BARS).index[-1].to_pydatetime() + timedelta(hours=1)  # Saturday, 2024-01-13 12:00


class Then(SystemClock):
    """A market's clock that stands where a test puts it."""

    now = END

    def market_now(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def then(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    RegistrySettings.objects.create(pk=1, unseen_bars=UNSEEN)
    with clock.use(Then()) as standing:
        yield standing


@pytest.fixture
def trading(then):
    """Return what trades since the week before."""
    make_symbol(n_bars=N_BARS)
    plan_row()
    (model,) = fit_models(until=datetime(2024, 1, 7, 12, tzinfo=UTC)).models
    return model


def refit() -> Run:
    run_id = jobs.enqueue_refit()
    assert run_id is not None
    jobs.fit_job(run_id)
    return Run.objects.get(pk=run_id)


def statuses() -> list[str]:
    return list(FittedModel.objects.order_by("version").values_list("status", flat=True))


# --- when -----------------------------------------------------------------------------------------------------------


def test_it_is_asked_for_once_a_week_however_often_the_schedule_comes_by(trading, then):
    first = jobs.enqueue_refit()
    assert jobs.enqueue_refit() == first
    assert [task.key for task in OrmQ.objects.all()] == ["research"]
    run = Run.objects.get()
    assert (run.job, run.slot, run.queue) == ("fit_models", "refit 2024-01-08", "research")

    then.now = datetime(2024, 1, 14, 23, 59, tzinfo=UTC)
    assert jobs.enqueue_refit() == first
    then.now = datetime(2024, 1, 15, tzinfo=UTC)
    assert jobs.enqueue_refit() != first
    assert Run.objects.latest("id").slot == "refit 2024-01-15"


def test_a_site_that_was_just_fitted_waits_for_the_next_period(then):
    make_symbol(n_bars=N_BARS)
    plan_row()
    fit_models()
    assert due_refit() is None
    then.now = datetime(2024, 1, 15, tzinfo=UTC)
    assert due_refit() is not None


def test_a_site_that_nobody_fitted_is_left_alone():
    make_symbol(n_bars=N_BARS)
    plan_row()
    assert jobs.enqueue_refit() is None


def test_zero_days_switch_it_off(trading):
    RegistrySettings.objects.update(refit_every_days=0)
    assert jobs.enqueue_refit() is None


@pytest.mark.parametrize(
    ("today", "every_days", "start"),
    [
        (date(2026, 1, 5), 7, date(2026, 1, 5)),  # a Monday
        (date(2026, 1, 11), 7, date(2026, 1, 5)),
        (date(2026, 1, 12), 7, date(2026, 1, 12)),
        (date(2026, 1, 12), 1, date(2026, 1, 12)),
    ],
)
def test_weeks_begin_on_mondays(today, every_days, start):
    assert period_start(today, every_days) == start


# --- what -----------------------------------------------------------------------------------------------------------


def test_where_a_version_trades_the_new_one_is_a_candidate_with_bars_left_to_judge_it_on(trading):
    run = refit()
    candidate = FittedModel.objects.get(version=2)
    assert (run.status, run.result["models"]) == ("done", [candidate.pk])
    assert statuses() == ["active", "candidate"]
    assert candidate.n_bars == N_BARS - UNSEEN
    assert candidate.fit_to == END - timedelta(hours=1 + UNSEEN)
    assert (candidate.note, candidate.fitted_by) == ("scheduled refit", "system")
    assert [model.version for model in registry.active("BTCUSD")] == [1]


def test_the_settings_may_let_it_trade_at_once(trading):
    RegistrySettings.objects.update(refit_as="active")
    refit()
    assert statuses() == ["retired", "active"]
    entry = AuditEntry.objects.filter(action="model.promoted").latest("id")
    assert (entry.actor, entry.reason) == ("system", "scheduled refit")
    assert lifecycle.rollback(FittedModel.objects.get(version=2).pk, actor=ANNA) == trading


def test_a_new_row_of_the_plan_starts_trading_with_its_first_refit(trading):
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    refit()
    assert FittedModel.objects.get(strategy="wed_thu").status == "active"
    assert FittedModel.objects.get(strategy="ema_vol", version=2).status == "candidate"


def test_what_a_person_retired_stays_retired(trading):
    lifecycle.retire(trading.pk, actor=ANNA, reason="bad data")
    refit()
    assert statuses() == ["retired", "candidate"]
    assert registry.active("BTCUSD") == ()


def test_what_was_archived_starts_over(trading):
    archive.archive_symbols([trading.symbol], actor=ANNA)
    (model,) = fit_models(activate=Activate.WHERE_NEW).models
    assert model.status == "active"


def test_switched_off_rows_are_not_fitted(trading):
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    PlanRow.objects.filter(strategy="ema_vol").update(is_enabled=False)
    refit()
    assert set(FittedModel.objects.filter(version=2).values_list("strategy", flat=True)) == set()
    assert FittedModel.objects.filter(strategy="wed_thu").exists()


def test_a_history_that_is_used_up_by_what_is_left_out_is_data_missing():
    make_symbol(n_bars=50)
    plan_row()
    (failure,) = fit_models(hold_out=50).failed
    assert failure.error == "BTCUSD has 50 bars, of which 50 were to be left out"


# --- nobody watches it ----------------------------------------------------------------------------------------------


def test_a_refit_that_fails_raises_an_alert_which_the_next_one_closes(trading, then):
    RegistrySettings.objects.update(unseen_bars=N_BARS)
    assert refit().status == "failed"
    alert = Alert.objects.get()
    assert "Models were not refitted: 1 not fitted" in alert.title
    assert "of which 300 were to be left out" in alert.detail

    RegistrySettings.objects.update(unseen_bars=UNSEEN)
    then.now = datetime(2024, 1, 15, tzinfo=UTC)
    assert refit().status == "done"
    assert not Alert.objects.open().exists()


def test_a_fit_that_a_person_asked_for_raises_none():
    make_symbol(n_bars=0)
    plan_row()
    run = jobs.enqueue_fit("x", {}, actor=ANNA)
    jobs.fit_job(run.pk)
    assert Run.objects.get().status == "failed"
    assert not Alert.objects.exists()


def test_a_refit_that_breaks_raises_an_alert_too(trading, monkeypatch):
    def broken(**options):
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(jobs, "fit_models", broken)
    with pytest.raises(RuntimeError):
        refit()
    assert "unexpected error" in Alert.objects.get().title


def test_a_refit_that_a_person_cancels_raises_none(trading):
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    run_id = jobs.enqueue_refit()
    Run.objects.filter(pk=run_id).update(cancel_requested=True)
    jobs.fit_job(run_id)
    assert Run.objects.get().status == "cancelled"
    assert not Alert.objects.exists()


def test_the_alert_is_for_the_systems_fits(trading):
    assert SYSTEM.source == "system"
    run = jobs.enqueue_fit("y", {"activate": "never"}, actor=SYSTEM)
    jobs.fit_job(run.pk)
    assert statuses() == ["active", "candidate"]
