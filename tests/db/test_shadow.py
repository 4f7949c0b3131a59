"""Shadows predict at every session, and never trade; nothing that they do is in the way of trading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from execution.models import Decision, Intent
from market.bars import bar_arrays
from market.reading import joined_bars
from ops import clock
from ops.audit import SYSTEM
from ops.clock import SystemClock
from strategies import lifecycle, registry, shadowing
from strategies.estimators.ema_vol import EmaVolStrategy
from strategies.fitting import fit_models
from strategies.models import FittedModel, LivePrediction, PlanRow
from strategies.shadowing import observe, record_shadows, record_traded, shadow_positions
from strategies.versions import Activate
from tests.desk import fill_desk, open_desk, run_slot
from tests.fits_builders import SMALL, make_symbol, plan_row

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def models_dir(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()):
        yield settings.MODEL_DIR


@pytest.fixture
def watching():
    """Return a shadow beside a version that trades."""
    make_symbol()
    plan_row()
    fit_models()
    (model,) = fit_models(activate=Activate.NEVER, hold_out=50).models
    return lifecycle.shadow(model.pk, actor=SYSTEM)


def newest() -> datetime:
    return joined_bars("BTCUSD").index[-1].to_pydatetime()


def test_a_shadow_predicts_what_the_model_predicts(watching):
    bars = joined_bars("BTCUSD")
    (position,) = shadow_positions("BTCUSD", bar_arrays(bars))
    assert (position.model_id, position.symbol, position.version) == (watching.pk, "BTCUSD", 2)
    assert position.position == registry.load(watching).estimator.predict(bars).iloc[-1]
    assert position.error == ""


def test_only_shadows_of_the_symbol_are_asked(watching):
    make_symbol("ETHUSD", seed=1)
    assert shadow_positions("ETHUSD", joined_bars("ETHUSD")) == ()
    lifecycle.retire(watching.pk, actor=SYSTEM)
    assert shadow_positions("BTCUSD", joined_bars("BTCUSD")) == ()


def test_a_session_keeps_what_was_traded_and_what_shadows_say(watching):
    traded = [{"strategy": watching.strategy, "variant": watching.variant, "version": "1", "position_pct": 0.25}]

    (said,) = observe("BTCUSD", newest(), traded=traded)

    rows = LivePrediction.objects.order_by("model__version")
    assert [(row.model.version, row.was_traded, row.position) for row in rows] == [
        (1, True, 0.25),
        (2, False, said.position),
    ]
    assert {row.bar_at for row in rows} == {newest()}


def test_what_is_kept_twice_is_kept_once_and_stays_what_it_was(watching):
    for position in (0.25, 0.5):
        row = {"strategy": watching.strategy, "variant": watching.variant, "version": "1", "position_pct": position}
        observe("BTCUSD", newest(), traded=[row])
    assert LivePrediction.objects.count() == 2
    assert LivePrediction.objects.get(was_traded=True).position == 0.25


def test_shadows_see_no_bar_later_than_the_sessions(watching):
    bar_at = newest() - timedelta(hours=3)
    (said,) = observe("BTCUSD", bar_at)
    bars = joined_bars("BTCUSD")
    assert said.position == registry.load(watching).estimator.predict(bars.iloc[:-3]).iloc[-1]


def test_without_the_sessions_bar_nobody_is_asked(watching):
    assert observe("BTCUSD", newest() + timedelta(hours=1)) == ()
    assert not LivePrediction.objects.exists()


def test_models_see_as_many_bars_as_the_session(watching):
    (said,) = observe("BTCUSD", newest(), limit=120)
    assert said.position == registry.load(watching).estimator.predict(joined_bars("BTCUSD", 120)).iloc[-1]


# --- nothing is in the way of trading -------------------------------------------------------------------------------


def test_a_shadow_whose_file_is_gone_is_a_row_that_says_so_and_the_others_go_on(watching, models_dir):
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    (other,) = fit_models(strategies=["wed_thu"], activate=Activate.NEVER).models
    lifecycle.shadow(other.pk, actor=SYSTEM)
    (models_dir / watching.path / "model.joblib").unlink()

    observe("BTCUSD", newest())

    broken, good = LivePrediction.objects.get(model=watching), LivePrediction.objects.get(model=other)
    assert (broken.position, "model.joblib is missing" in broken.error) == (None, True)
    assert (good.position is None, good.error) == (False, "")


def test_a_shadow_fitted_on_columns_that_are_gone_says_so():
    symbol = make_symbol()
    plan_row("rev", SMALL | {"reversal_window": 5})
    (model,) = fit_models(activate=Activate.NEVER).models
    lifecycle.shadow(model.pk, actor=SYSTEM)
    symbol.binance_symbol = ""
    symbol.save(update_fields=["binance_symbol"])
    (said,) = observe("BTCUSD", newest())
    assert (said.position, "needs the column volume" in said.error) == (None, True)


def test_a_shadow_with_a_mistake_in_its_code_says_so(watching, monkeypatch):
    def broken(self, bars):
        raise KeyError("no such thing")

    monkeypatch.setattr(EmaVolStrategy, "_indicators_of", broken)
    (said,) = observe("BTCUSD", newest())
    assert (said.position, said.error) == (None, "KeyError: 'no such thing'")


def test_a_shadow_that_says_nan_says_so(watching, monkeypatch):
    monkeypatch.setattr(EmaVolStrategy, "one_step_predict", lambda self, bars: float("nan"))
    observe("BTCUSD", newest())
    row = LivePrediction.objects.get()
    assert (row.position, row.error) == (None, "ValueError: its position is nan")


def test_a_table_that_cannot_be_written_stops_nothing(watching, monkeypatch):
    def locked(*args, **kwargs):
        raise DatabaseError("database is locked")

    monkeypatch.setattr(shadowing, "_keep", locked)
    assert observe("BTCUSD", newest()) == ()


def test_a_symbol_without_bars_stops_nothing(watching):
    assert observe("NOSUCH", newest()) == ()


def test_what_was_traded_by_a_model_that_is_gone_is_left_out(watching):
    record_traded("BTCUSD", newest(), [{"strategy": "x", "variant": "y", "version": "1", "position_pct": 0.1}])
    assert not LivePrediction.objects.exists()


def test_the_database_refuses_a_prediction_that_is_neither_a_position_nor_an_error(watching):
    for position, error in ((None, ""), (0.5, "both")):
        with pytest.raises(IntegrityError), transaction.atomic():
            LivePrediction.objects.create(
                model=watching, bar_at=newest(), position=position, error=error, was_traded=False
            )


def test_nothing_said_is_nothing_written(django_assert_num_queries):
    with django_assert_num_queries(0):
        record_shadows(datetime(2026, 1, 1, tzinfo=UTC), [])


# --- in a session ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_session_with_a_shadow_trades_the_same_as_one_without(tmp_path):
    """The shadow wants twice as much; the decision is that of the active version alone."""
    with open_desk(tmp_path) as desk:
        fill_desk("BTCUSD")
        plan_row("vol_scale", {}, strat_weight=0.5)
        fit_models()
        PlanRow.objects.update(strat_weight=1.0)
        (heavy,) = fit_models(activate=Activate.NEVER).models
        lifecycle.shadow(heavy.pk, actor=SYSTEM)

        report = run_slot(desk, datetime(2026, 1, 5, 9, tzinfo=UTC))
        for symbol in report.symbols:
            observe(symbol.symbol, report.bar_time, traded=symbol.models)

        decision = Decision.objects.get()
        light, shadow = LivePrediction.objects.order_by("model__version")
        assert (light.was_traded, shadow.was_traded) == (True, False)
        assert light.position == decision.position_pct
        assert shadow.position == pytest.approx(2 * light.position)
        assert light.bar_at == shadow.bar_at == decision.bar_at
        assert Intent.objects.get().target_lots == decision.target_lots == desk.lots("BTCUSD")
        assert FittedModel.objects.get(pk=heavy.pk).status == "shadow"
