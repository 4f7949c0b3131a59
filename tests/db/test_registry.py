"""The registry: one active version per slot, whatever happens, and nothing trades that is not in the plan."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from ops import clock
from ops.audit import Actor
from ops.clock import SystemClock
from ops.models import Announcement, AuditEntry
from strategies import archive, lifecycle, registry
from strategies.fitting import fit_models
from strategies.lifecycle import (
    Change,
    ModelArchivedError,
    ModelConflictError,
    ModelInUseError,
    NothingBeforeError,
    retire,
    rollback,
    shadow,
)
from strategies.manifests import ModelMissingError, ModelRefusedError, ModelStaleError
from strategies.models import Activation, FittedModel, PlanRow
from strategies.registry import UnknownModelError, active, missing_models
from strategies.versions import Activate
from tests.bars_builders import make_bars
from tests.fits_builders import EMA, SMALL, make_symbol, plan_row

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ANNA = Actor(name="anna", source=AuditEntry.Source.PAGE)


@pytest.fixture(autouse=True)
def models_dir(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()):
        yield settings.MODEL_DIR


@pytest.fixture
def fitted():
    """Return two versions of one model, the second active."""
    make_symbol()
    plan_row()
    fit_models()
    fit_models()
    return list(FittedModel.objects.order_by("version"))


def statuses() -> list[str]:
    return list(FittedModel.objects.order_by("version").values_list("status", flat=True))


# --- what the database itself refuses -------------------------------------------------------------------------------


def test_the_database_refuses_a_second_active_version_of_a_slot(fitted):
    with pytest.raises(IntegrityError), transaction.atomic():
        FittedModel.objects.filter(version=1).update(status="active")
    assert statuses() == ["retired", "active"]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": 0},
        {"status": "trading"},
        {"n_bars": 0},
        {"strat_weight": -0.1},
        {"strat_weight": float("nan")},
        {"path": "BTCUSD/ema_vol-fast_ema_window-5-min_values-30-vol_window-20-v2"},
    ],
)
def test_the_database_refuses_rows_that_cannot_be(fitted, change):
    with pytest.raises(IntegrityError), transaction.atomic():
        FittedModel.objects.filter(version=1).update(**change)


def test_a_symbol_with_models_is_not_deleted(fitted):
    with pytest.raises(ProtectedError):
        fitted[0].symbol.delete()


# --- what trades ----------------------------------------------------------------------------------------------------


def test_active_models_come_in_the_order_of_the_plan():
    make_symbol()
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30}, position=2)
    plan_row("rev", SMALL | {"reversal_window": 5}, position=1)
    plan_row(position=3, strat_weight=0.25)
    fit_models()

    models = active("BTCUSD")

    assert [model.strategy for model in models] == ["rev", "wed_thu", "ema_vol"]
    assert (models[2].symbol, models[2].version, models[2].strat_weight) == ("BTCUSD", 1, 0.25)
    assert models[2].estimator.strat_weight == 0.25
    assert isinstance(models[0].estimator.one_step_predict(make_bars(0, 300)), float)


def test_a_model_is_unpickled_once_in_a_process(fitted):
    (first,), (again,) = active("BTCUSD"), active("BTCUSD")
    assert first.estimator is again.estimator


def test_what_was_never_fitted_is_missing_by_name(fitted):
    plan_row("wed_thu", {})
    plan_row("rev", {}, is_enabled=False)
    assert missing_models("BTCUSD") == ("wed_thu default",)
    assert [model.strategy for model in active("BTCUSD")] == ["ema_vol"]


def test_a_symbol_that_nobody_fitted_lacks_everything():
    make_symbol("ETHUSD", n_bars=0)
    plan_row()
    assert active("ETHUSD") == ()
    assert missing_models("ETHUSD") == ("ema_vol fast_ema_window=5,min_values=30,vol_window=20",)


def test_what_is_switched_off_stops_trading_at_once(fitted):
    PlanRow.objects.update(is_enabled=False)
    assert active("BTCUSD") == ()
    assert missing_models("BTCUSD") == ()


def test_a_model_of_parameters_that_the_plan_no_longer_has_does_not_trade(fitted):
    row = PlanRow.objects.get()
    row.params = EMA | {"fast_ema_window": 7}
    row.save(update_fields=["params"])
    assert active("BTCUSD") == ()
    assert missing_models("BTCUSD") == ("ema_vol fast_ema_window=7,min_values=30,vol_window=20",)


def test_a_model_whose_file_was_changed_stops_the_symbol_and_is_named(fitted, models_dir):
    active("BTCUSD")  # now it is in the cache of this process
    file = models_dir / fitted[1].path / "model.joblib"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelRefusedError, match=f"^{fitted[1].path}: model.joblib .* fit_models --symbol BTCUSD"):
        active("BTCUSD")


def test_a_model_whose_file_is_gone_stops_the_symbol(fitted, models_dir):
    active("BTCUSD")
    (models_dir / fitted[1].path / "model.joblib").unlink()
    with pytest.raises(ModelMissingError):
        active("BTCUSD")


def test_a_model_signed_with_a_key_of_before_is_refused(fitted, settings):
    settings.MODEL_SIGNING_KEY = "another key of at least thirty-two bytes"
    with pytest.raises(ModelRefusedError, match="another MODEL_SIGNING_KEY"):
        active("BTCUSD")


def test_a_row_that_points_at_another_model_of_ours_is_refused(fitted):
    old, new = fitted
    path, digest = old.path, old.sha256
    FittedModel.objects.filter(pk=old.pk).update(path="aside")
    FittedModel.objects.filter(pk=new.pk).update(path=path, sha256=digest)
    with pytest.raises(ModelRefusedError, match=r"v1 where .* v2 belongs"):
        active("BTCUSD")


def test_volume_from_another_market_than_the_fitted_one_is_refused():
    symbol = make_symbol()
    plan_row("rev", SMALL | {"reversal_window": 5})
    fit_models()
    active("BTCUSD")
    symbol.binance_symbol = "BTCUSDC"
    symbol.save(update_fields=["binance_symbol"])
    with pytest.raises(ModelStaleError, match="volume from binance:BTCUSDT, today's comes from binance:BTCUSDC"):
        active("BTCUSD")


# --- one instead of another -----------------------------------------------------------------------------------------


def test_what_replaces_a_version_retires_it_and_is_audited(fitted):
    old, new = fitted
    lifecycle.replace(new, old, Change(actor=ANNA, reason="the new one turns over too much"))

    assert old.status == "active"
    assert statuses() == ["active", "retired"]
    assert [model.version for model in active("BTCUSD")] == [1]
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.action, entry.reason) == ("anna", "model.promoted", "the new one turns over too much")
    assert entry.before == {"active": [new.version]}
    assert Announcement.objects.filter(topic="models", payload__id=old.pk).exists()


def test_what_trades_by_now_is_not_replaced_by_who_saw_another(fitted):
    old, new = fitted
    lifecycle.replace(new, old, Change(actor=ANNA))
    third = fit_models(activate=Activate.NEVER).models[0]

    with pytest.raises(ModelConflictError, match=r"v1 trades by now, not .* v2 trades"):
        lifecycle.replace(new, third, Change(actor=ANNA))
    with pytest.raises(ModelConflictError, match=r"v1 trades by now, not nothing trades"):
        lifecycle.replace(None, third, Change(actor=ANNA))

    assert statuses() == ["active", "retired", "candidate"]
    assert AuditEntry.objects.filter(actor="anna").count() == 1


def test_replacing_with_what_somebody_else_changed_meanwhile_is_refused_and_undone(fitted):
    old, new = fitted
    FittedModel.objects.filter(pk=old.pk).update(status="shadow")
    with pytest.raises(ModelConflictError, match="is not retired any more"):
        lifecycle.replace(new, old, Change(actor=ANNA))
    assert statuses() == ["shadow", "active"]
    assert not AuditEntry.objects.filter(actor="anna").exists()


def test_a_promotion_that_loses_the_race_says_so(fitted, monkeypatch):
    """The other one commits between our look at what is active and our write, as PostgreSQL allows."""
    old, new = fitted
    set_status = lifecycle._set_status

    def after_the_other(model, status):
        set_status(model, status)
        FittedModel.objects.filter(version=2).update(status="active")

    monkeypatch.setattr(lifecycle, "_set_status", after_the_other)
    with pytest.raises(ModelConflictError, match="promoted meanwhile"):
        lifecycle.replace(new, old, Change(actor=ANNA))
    assert statuses() == ["retired", "active"]


def test_a_retired_version_stops_trading(fitted):
    assert retire(fitted[1].pk, actor=ANNA, reason="bad data").status == "retired"
    assert active("BTCUSD") == ()
    assert missing_models("BTCUSD") == ("ema_vol fast_ema_window=5,min_values=30,vol_window=20",)
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.before, entry.reason) == ("model.retired", {"status": "active"}, "bad data")


def test_retiring_twice_is_audited_once(fitted):
    for _ in range(2):
        retire(fitted[1].pk, actor=ANNA)
    assert AuditEntry.objects.filter(action="model.retired").count() == 1


@pytest.mark.parametrize("act", [rollback, retire, shadow, archive.archive, archive.restore])
def test_a_model_that_does_not_exist_is_named(act):
    with pytest.raises(UnknownModelError, match="no fitted model 404"):
        act(404, actor=ANNA)


# --- back again -----------------------------------------------------------------------------------------------------


def test_rolling_back_brings_back_what_traded_before(fitted):
    old, new = fitted
    restored = rollback(new.pk, actor=ANNA, reason="too fast")

    assert (restored, restored.status) == (old, "active")
    assert statuses() == ["active", "retired"]
    assert [model.version for model in active("BTCUSD")] == [1]
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.before, entry.reason) == ("model.rolled_back", {"active": [2]}, "too fast")


def test_rolling_back_again_goes_further_down_and_not_up_again(fitted):
    """1, 2, 3, then 1 again: back from there it is 3, 2, 1, and then there is nothing."""
    (third,) = fit_models().models
    lifecycle.replace(third, fitted[0], Change(actor=ANNA))

    ids = dict(FittedModel.objects.values_list("version", "pk"))
    assert [rollback(ids[version], actor=ANNA).version for version in (1, 3, 2)] == [3, 2, 1]

    with pytest.raises(NothingBeforeError, match=r"nothing traded before BTCUSD ema_vol .* v1"):
        rollback(fitted[0].pk, actor=ANNA)
    assert statuses() == ["active", "retired", "retired"]


def test_a_second_click_on_the_same_version_changes_nothing(fitted):
    rollback(fitted[1].pk, actor=ANNA)
    with pytest.raises(ModelConflictError, match="v2 is retired, not active"):
        rollback(fitted[1].pk, actor=ANNA)
    assert statuses() == ["active", "retired"]
    assert AuditEntry.objects.filter(action="model.rolled_back").count() == 1


def test_two_clicks_at_once_roll_back_once(fitted, monkeypatch):
    """Both saw version 2 active; the first has committed when the second writes."""
    load = registry.load

    def meanwhile(model):
        monkeypatch.setattr(registry, "load", load)
        rollback(fitted[1].pk, actor=ANNA)
        return load(model)

    (third,) = fit_models().models
    rollback(third.pk, actor=ANNA)
    monkeypatch.setattr(registry, "load", meanwhile)
    with pytest.raises(ModelConflictError, match="v2 is not active any more"):
        rollback(fitted[1].pk, actor=ANNA)
    assert statuses() == ["active", "retired", "retired"]


def test_a_version_whose_file_does_not_verify_is_not_rolled_back_to(fitted, models_dir):
    file = models_dir / fitted[0].path / "model.joblib"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelRefusedError):
        rollback(fitted[1].pk, actor=ANNA)
    assert statuses() == ["retired", "active"]


def test_a_version_fitted_on_columns_that_are_gone_is_not_rolled_back_to():
    symbol = make_symbol()
    plan_row("rev", SMALL | {"reversal_window": 5})
    fit_models()
    (new,) = fit_models().models
    symbol.binance_symbol = ""
    symbol.save(update_fields=["binance_symbol"])
    with pytest.raises(ModelStaleError, match="needs the column volume from binance:BTCUSDT, which today's bars lack"):
        rollback(new.pk, actor=ANNA)
    assert statuses() == ["retired", "active"]


def test_a_retirement_is_not_undone_by_the_next_versions_rollback(fitted):
    retire(fitted[1].pk, actor=ANNA, reason="bad data")
    (third,) = fit_models().models
    with pytest.raises(NothingBeforeError):
        rollback(third.pk, actor=ANNA)


def test_the_migration_remembers_what_traded_before_there_were_activations(fitted):
    from importlib import import_module

    Activation.objects.all().delete()
    import_module("strategies.migrations.0003_remember_active_models").remember(apps, None)

    (third,) = fit_models().models
    assert rollback(third.pk, actor=ANNA) == fitted[1]


# --- shadows and the archive ----------------------------------------------------------------------------------------


def test_a_shadow_does_not_trade(fitted):
    watching = shadow(fitted[0].pk, actor=ANNA, reason="let us see")
    assert watching.status == "shadow"
    assert [model.version for model in active("BTCUSD")] == [2]
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.before, entry.reason) == ("model.shadowed", {"status": "retired"}, "let us see")


def test_what_trades_does_not_become_a_shadow(fitted):
    with pytest.raises(ModelInUseError, match="v2 trades"):
        shadow(fitted[1].pk, actor=ANNA)
    assert statuses() == ["retired", "active"]


def test_a_version_whose_file_does_not_verify_does_not_become_a_shadow(fitted, models_dir):
    (models_dir / fitted[0].path / "manifest.json").unlink()
    with pytest.raises(ModelMissingError):
        shadow(fitted[0].pk, actor=ANNA)
    assert statuses() == ["retired", "active"]


def test_an_archived_version_is_kept_and_not_used(fitted, models_dir):
    old, new = fitted
    archive.archive(old.pk, actor=ANNA, reason="old")
    archive.archive(old.pk, actor=ANNA, reason="again")

    assert list(FittedModel.objects.kept()) == [new]
    assert (models_dir / old.path / "model.joblib").exists()
    for act in (lambda: rollback(new.pk, actor=ANNA), lambda: shadow(old.pk, actor=ANNA)):
        with pytest.raises(ModelArchivedError, match=f"model_list --restore {old.pk}"):
            act()
    assert AuditEntry.objects.filter(action="model.archived").count() == 1


def test_the_database_refuses_an_archived_version_that_trades(fitted):
    archive.archive(fitted[0].pk, actor=ANNA)
    retire(fitted[1].pk, actor=ANNA)
    with pytest.raises(IntegrityError), transaction.atomic():
        FittedModel.objects.filter(pk=fitted[0].pk).update(status="active")


def test_a_restored_version_may_be_used_again(fitted):
    archive.archive(fitted[0].pk, actor=ANNA)
    assert archive.restore(fitted[0].pk, actor=ANNA, reason="after all").archived_at is None
    assert rollback(fitted[1].pk, actor=ANNA) == fitted[0]
    assert AuditEntry.objects.get(action="model.restored").before == {"status": "retired", "archived": True}


def test_what_trades_is_not_archived_by_itself(fitted):
    with pytest.raises(ModelInUseError):
        archive.archive(fitted[1].pk, actor=ANNA)
    assert statuses() == ["retired", "active"]


def test_archiving_a_symbol_lets_it_start_over(fitted):
    archived = archive.archive_symbols([fitted[0].symbol], actor=ANNA)
    assert len(archived) == 2
    assert active("BTCUSD") == ()
    assert not FittedModel.objects.kept().exists()

    (third,) = fit_models(activate=Activate.WHERE_NEW).models
    assert (third.version, third.status) == (3, "active")
