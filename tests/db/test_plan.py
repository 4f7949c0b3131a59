"""The fitting plan: written once, then a person's; what could not be fitted is refused when it is typed."""

from __future__ import annotations

import pytest
from django.contrib.admin import site
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from ops.models import AuditEntry
from strategies.default_plan import DEFAULT_PLAN
from strategies.estimators import STRATEGIES
from strategies.models import FittedModel, PlanRow
from strategies.services import enabled_plan, sync_default_plan
from tests.fits_builders import plan_row

pytestmark = pytest.mark.django_db


def new_row(**fields) -> PlanRow:
    return PlanRow(**({"strategy": "ema_vol", "params": {"fast_ema_window": 24}, "strat_weight": 0.05} | fields))


def test_the_default_plan_is_the_catalogues_page():
    """strategies.md: sixteen models a symbol, weights that sum to 110 %."""
    assert sync_default_plan() == len(DEFAULT_PLAN)
    enabled = PlanRow.objects.enabled()
    assert len(enabled) == 16
    assert sum(row.strat_weight for row in enabled) == pytest.approx(1.10)
    assert set(PlanRow.objects.values_list("strategy", flat=True)) == set(STRATEGIES)
    assert [row.variant for row in enabled.filter(strategy="ema_vol")] == [
        f"fast_ema_window={window}" for window in (24, 48, 96, 192)
    ]


def test_every_row_of_the_default_plan_is_valid():
    sync_default_plan()
    for row in PlanRow.objects.all():
        row.full_clean()


def test_the_default_plan_is_written_once():
    sync_default_plan()
    assert sync_default_plan() == 0
    assert PlanRow.objects.count() == len(DEFAULT_PLAN)
    assert AuditEntry.objects.filter(action="plan.created").count() == 1


def test_what_a_person_changed_or_deleted_stays_so():
    sync_default_plan()
    row = PlanRow.objects.get(strategy="wed_thu")
    row.strat_weight, row.is_enabled = 0.01, False
    row.save()
    PlanRow.objects.get(strategy="rev").delete()

    sync_default_plan()

    row.refresh_from_db()
    assert (row.strat_weight, row.is_enabled) == (0.01, False)
    assert not PlanRow.objects.filter(strategy="rev").exists()


def test_a_plan_that_a_person_emptied_stays_empty():
    sync_default_plan()
    for row in PlanRow.objects.all():
        row.delete()
    assert sync_default_plan() == 0
    assert not PlanRow.objects.exists()


def test_every_change_of_a_row_is_in_its_history():
    row = plan_row(strat_weight=0.1)
    row.strat_weight = 0.2
    row.save()
    assert [entry.strat_weight for entry in row.history.order_by("history_id")] == [0.1, 0.2]


def test_the_variant_follows_the_parameters():
    row = plan_row("ema_vol", {"fast_ema_window": 24})
    row.params = {"fast_ema_window": 48}
    row.save(update_fields=["params"])
    row.refresh_from_db()
    assert row.variant == "fast_ema_window=48"


def test_a_model_is_planned_once():
    plan_row("ema_vol", {"fast_ema_window": 24})
    with pytest.raises(IntegrityError), transaction.atomic():
        plan_row("ema_vol", {"fast_ema_window": 24})
    with pytest.raises(ValidationError, match="the plan has ema_vol fast_ema_window=24 already"):
        new_row().full_clean()


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_the_database_refuses_a_weight_that_is_no_fraction(weight):
    with pytest.raises(IntegrityError), transaction.atomic():
        plan_row(strat_weight=weight)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strategy": "moonshot"}, "no strategy 'moonshot'; known: vol_scale"),
        ({"params": {"lookback": 3}}, "strategy 'ema_vol' has no parameter 'lookback'; known: "),
        ({"params": {"fast_ema_window": 0}}, "fast_ema_window must be a whole number of at least 1, was 0"),
        ({"params": {"fast_ema_window": "24"}}, "fast_ema_window must be a whole number of at least 1, was '24'"),
        ({"params": {"target_vol": -1}}, "target_vol must be a number above 0, was -1"),
        ({"params": {"strat_weight": 1}}, "strat_weight is a field of the plan, not one of params"),
        ({"params": [24]}, "params must be an object"),
        ({"params": "x"}, "params must be an object"),
        ({"strat_weight": 1.5}, "less than or equal to 1"),
        ({"strat_weight": float("nan")}, "strat_weight must be a number of at least 0"),
    ],
)
def test_a_row_that_could_not_be_fitted_is_refused_with_the_reason(fields, message):
    with pytest.raises(ValidationError) as caught:
        new_row(**fields).full_clean()
    assert message in " ".join(caught.value.messages)


def test_only_what_is_switched_on_is_planned_in_the_order_of_the_plan():
    plan_row("rev", {}, position=2)
    plan_row("ema_vol", {}, position=1, strat_weight=0.3)
    plan_row("wed_thu", {}, is_enabled=False)
    plan = enabled_plan()
    assert [(planned.strategy, planned.variant) for planned in plan] == [("ema_vol", "default"), ("rev", "default")]
    assert plan[0].strat_weight == 0.3


# --- the admin ------------------------------------------------------------------------------------------------------


def add_in_admin(client, **fields):
    form = {"strategy": "ema_vol", "params": "{}", "strat_weight": "0.05", "is_enabled": "on", "position": "0"}
    return client.post(reverse("admin:strategies_planrow_add"), form | fields)


@pytest.fixture
def plain_static(settings, tmp_path):
    """Let pages render without a build of the static files."""
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


def test_a_person_adds_a_row_and_is_in_its_history(plain_static, admin_client, admin_user):
    response = add_in_admin(admin_client, params='{"fast_ema_window": 36}')
    assert response.status_code == 302
    row = PlanRow.objects.get()
    assert row.variant == "fast_ema_window=36"
    assert row.history.get().history_user == admin_user


@pytest.mark.parametrize("params", ["", "{}"])
def test_an_empty_box_means_the_defaults(plain_static, admin_client, params):
    assert add_in_admin(admin_client, params=params).status_code == 302
    assert PlanRow.objects.get().variant == "default"


def test_a_row_that_is_in_the_plan_already_is_refused_on_the_page(plain_static, admin_client):
    plan_row("ema_vol", {})
    response = add_in_admin(admin_client)
    assert "the plan has ema_vol default already" in response.content.decode()


def test_the_pages_of_the_plan_and_of_fitted_models_open(plain_static, admin_client):
    row = plan_row()
    for page, *arguments in (
        ["planrow_changelist"],
        ["planrow_change", row.pk],
        ["planrow_history", row.pk],
        ["fittedmodel_changelist"],
    ):
        assert admin_client.get(reverse(f"admin:strategies_{page}", args=arguments)).status_code == 200


def test_nobody_adds_changes_or_deletes_a_fitted_model_by_hand(rf, admin_user):
    request = rf.get("/")
    request.user = admin_user
    page = site.get_model_admin(FittedModel)
    assert page.get_model_perms(request) == {"add": False, "change": False, "delete": False, "view": True}
