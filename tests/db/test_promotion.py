"""A version trades when its gates are passed, or when a person says why it should all the same."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from django.core.management import call_command

from market.models import Bar
from market.reading import joined_bars
from ops import clock
from ops.audit import Actor
from ops.clock import SystemClock
from ops.fresh import FreshProcessError
from ops.models import AuditEntry
from strategies import fresh, gates, lifecycle, promotion, registry
from strategies.fitting import fit_models
from strategies.lifecycle import ModelArchivedError, ModelConflictError
from strategies.manifests import ModelFileError, ModelRefusedError, ModelStaleError
from strategies.models import Activation, FittedModel, RegistrySettings
from strategies.promotion import PromotionRefusedError, ReasonMissingError, promote
from strategies.versions import Activate
from tests.bars_builders import make_bars
from tests.fits_builders import SMALL, make_symbol, plan_row, run_command
from tests.promotion_builders import BETTER, UNSEEN, WORSE, in_this_process, make_rivals

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ANNA = Actor(name="anna", source=AuditEntry.Source.PAGE)


@pytest.fixture(autouse=True)
def models_dir(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()):
        yield settings.MODEL_DIR


@pytest.fixture
def _one_process(monkeypatch):
    monkeypatch.setattr(fresh, "check", in_this_process)


one_process = pytest.mark.usefixtures("_one_process")


def statuses() -> list[str]:
    return list(FittedModel.objects.order_by("version").values_list("status", flat=True))


def failed(verdict) -> list[str]:
    return [gate.name for gate in verdict.failed]


def sharpe_after_costs(model: FittedModel, *, cost: float = 0.000475) -> float:
    """Recompute with pandas, from the bars and the stored estimator's positions at a weight of 1."""
    bars = joined_bars("BTCUSD")
    estimator = registry.load(model).estimator
    held = (estimator.predict(bars) / estimator.strat_weight).shift(1)
    earned = held * bars["close"].pct_change() - held.diff().abs() * cost
    earned = earned.iloc[-UNSEEN:]
    return earned.mean() / earned.std() * 8760**0.5


# --- the gates ------------------------------------------------------------------------------------------------------


@one_process
@pytest.mark.parametrize(("seed", "is_better"), [(BETTER, True), (WORSE, False)])
def test_out_of_sample_is_measured_after_costs_on_bars_that_the_candidate_did_not_see(seed, is_better):
    active, candidate = make_rivals(seed=seed)

    (verdict,) = gates.judge([candidate])

    ours, theirs = sharpe_after_costs(candidate), sharpe_after_costs(active)
    assert (ours > theirs) == is_better
    assert verdict.ours.sharpe == pytest.approx(ours, rel=1e-9)
    assert verdict.theirs.sharpe == pytest.approx(theirs, rel=1e-9)
    assert verdict.ours.n_bars == UNSEEN
    assert failed(verdict) == ([] if is_better else ["out of sample"])


@one_process
def test_costs_are_those_of_the_settings():
    _, candidate = make_rivals(half_spread=0.001, commission=0.002)
    (verdict,) = gates.judge([candidate])
    assert verdict.ours.sharpe == pytest.approx(sharpe_after_costs(candidate, cost=0.003), rel=1e-9)


@one_process
def test_a_gain_that_the_settings_ask_for_has_to_be_reached():
    _, candidate = make_rivals(min_sharpe_gain=5.0)
    (verdict,) = gates.judge([candidate])
    assert failed(verdict) == ["out of sample"]
    assert "and 5 more of the active v1" in verdict.failed[0].figure


@one_process
@pytest.mark.parametrize("seed", range(4))
def test_versions_that_differ_by_a_factor_alone_are_equal_whatever_is_rounded(seed):
    """A weekday's position learns nothing but its scale, which a Sharpe does not see."""
    RegistrySettings(unseen_bars=UNSEEN).save()
    bars = make_bars(seed, 400)
    make_symbol(n_bars=400, seed=seed)
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    (active,) = fit_models(until=bars.index[200].to_pydatetime()).models
    (candidate,) = fit_models(activate=Activate.NEVER, hold_out=UNSEEN).models

    (verdict,) = gates.judge([candidate])

    assert candidate.fitted != active.fitted
    assert verdict.ours.sharpe == pytest.approx(verdict.theirs.sharpe, rel=1e-9)
    assert failed(verdict) == ["out of sample"]


@one_process
def test_too_few_unseen_bars_are_counted():
    _, candidate = make_rivals(hold_out=UNSEEN - 1)
    (verdict,) = gates.judge([candidate])
    assert failed(verdict) == ["unseen bars"]
    assert verdict.failed[0].figure == "99 bars after the fit, at least 100 are needed"


@one_process
def test_what_was_fitted_on_all_bars_has_nothing_to_be_judged_on():
    _, candidate = make_rivals(hold_out=0)
    (verdict,) = gates.judge([candidate])
    assert failed(verdict) == ["unseen bars", "out of sample"]
    assert "fit with --hold-out" in verdict.failed[1].figure


@one_process
def test_a_version_that_trades_and_saw_the_bars_is_said_to():
    active, _ = make_rivals()
    (newer,) = fit_models().models
    (verdict,) = gates.judge([active])
    assert newer.status == "active"
    assert "of the active v3, which was fitted on 200 of them" in verdict.gates[1].figure


@one_process
def test_in_a_slot_in_which_nothing_trades_only_repetition_is_asked():
    active, candidate = make_rivals(seed=WORSE)
    lifecycle.retire(active.pk, actor=ANNA)
    (verdict,) = gates.judge([candidate])
    assert [gate.name for gate in verdict.gates] == ["reproducible"]
    assert promote(candidate.pk, actor=ANNA).status == "active"


@one_process
def test_a_version_that_trades_and_does_not_open_any_more_is_not_in_the_way(models_dir):
    active, candidate = make_rivals(seed=WORSE)
    (models_dir / active.path / "model.joblib").unlink()
    (verdict,) = gates.judge([candidate])
    assert verdict.failed == ()
    assert "the active v1 cannot say" in verdict.gates[1].figure


@one_process
def test_bars_that_changed_since_the_fit_are_noticed():
    _, candidate = make_rivals()
    bar = Bar.objects.filter(symbol="BTCUSD").order_by("open_ms")[150]
    Bar.objects.filter(pk=bar.pk).update(close=np.nextafter(bar.close, np.inf))
    (verdict,) = gates.judge([candidate])
    assert failed(verdict) == ["reproducible"]
    assert "its bars changed since" in verdict.failed[0].figure


@one_process
def test_bars_that_are_gone_are_noticed():
    active, candidate = make_rivals()
    lifecycle.retire(active.pk, actor=ANNA)
    Bar.objects.filter(symbol="BTCUSD", open_ms__lte=candidate.fit_to.timestamp() * 1000).delete()
    (verdict,) = gates.judge([candidate])
    assert failed(verdict) == ["reproducible"]
    assert "its bars are gone" in verdict.failed[0].figure


@pytest.mark.parametrize(
    ("answer", "figure"),
    [
        ({"refit_sha256": "f" * 64}, "fitting again gives ffffffff, stored is "),
        ({"positions_sha256": "e" * 64}, "a fresh process predicts eeeeeeee, this one "),
        ({"error": "no such column"}, "a fresh process failed: no such column"),
    ],
)
def test_a_model_that_does_not_come_out_the_same_again_is_noticed(monkeypatch, answer, figure):
    def another(tasks, **where):
        return [fresh.Answer(**(vars_of(real) | answer)) for real in in_this_process(tasks, **where)]

    def vars_of(real):
        return {"refit_sha256": real.refit_sha256, "positions_sha256": real.positions_sha256, "error": real.error}

    monkeypatch.setattr(fresh, "check", another)
    _, candidate = make_rivals()
    (verdict,) = gates.judge([candidate])
    assert failed(verdict) == ["reproducible"]
    assert verdict.failed[0].figure.startswith(figure)


# --- a fresh process ------------------------------------------------------------------------------------------------


def test_a_fresh_process_predicts_the_same_and_fits_the_same_file_again():
    """For strategies with and without klines, tilt, decay and words among their parameters; one process for all."""
    make_symbol()
    plan_row("ema_vol", SMALL | {"fast_ema_window": 5, "decay_mode": "protective"}, strat_weight=1 / 3)
    plan_row("rev", SMALL | {"reversal_window": 5, "volume_column": "tick_volume"})
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    fit_models()
    models = list(fit_models().models)

    verdicts = gates.judge(models)

    assert [verdict.failed for verdict in verdicts] == [(), (), ()]
    assert all("fitted again in a fresh process" in verdict.gates[-1].figure for verdict in verdicts)


def test_a_fresh_process_that_fails_is_an_error_and_promotes_nothing(monkeypatch):
    _, candidate = make_rivals()
    monkeypatch.setattr("ops.fresh.PROJECT", "/")  # where there is no module to run
    with pytest.raises(FreshProcessError, match=r"ended with 1; it said: .*strategies"):
        promote(candidate.pk, actor=ANNA)
    assert statuses() == ["active", "candidate"]


def test_a_fresh_process_that_hangs_is_given_up():
    _, candidate = make_rivals()
    task = fresh.Task(
        path=candidate.path, slot=candidate.slot, sha256="", sources={}, params={}, bars=joined_bars("BTCUSD")
    )
    with pytest.raises(FreshProcessError, match="within 0 s"):
        fresh.check([task], root=registry.model_dir(), key=registry.signing_key(), timeout_s=0.001)


# --- promotion ------------------------------------------------------------------------------------------------------


@one_process
def test_a_better_version_trades_and_what_the_gates_said_is_kept():
    active, candidate = make_rivals()

    promoted = promote(candidate.pk, actor=ANNA, reason="monthly")

    assert (promoted, promoted.status) == (candidate, "active")
    assert statuses() == ["retired", "active"]
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.action, entry.reason) == ("anna", "model.promoted", "monthly")
    assert (entry.before, entry.after) == ({"active": [1]}, {"status": "active", "id": candidate.pk})
    activation = Activation.objects.latest("id")
    assert (activation.kind, activation.previous.model) == ("promoted", active)
    assert {gate["name"]: gate["passed"] for gate in activation.gates} == {
        "unseen bars": True,
        "out of sample": True,
        "reproducible": True,
    }


@one_process
def test_a_worse_version_does_not_trade_and_the_gate_is_named_with_its_figure():
    active, candidate = make_rivals(seed=WORSE)
    before = AuditEntry.objects.count()
    with pytest.raises(PromotionRefusedError) as refused:
        promote(candidate.pk, actor=ANNA)
    ours, theirs = sharpe_after_costs(candidate), sharpe_after_costs(active)
    assert f"v2 is not promoted: gate out of sample: Sharpe (365 d, after costs) {ours:+.4f}" in str(refused.value)
    assert f"must be above {theirs:+.4f} of the active v1" in str(refused.value)
    assert statuses() == ["active", "candidate"]
    assert AuditEntry.objects.count() == before


@one_process
def test_a_gate_is_overridden_with_a_reason_which_the_audit_keeps():
    _, candidate = make_rivals(seed=WORSE, hold_out=1)
    promote(candidate.pk, actor=ANNA, override=True, reason="shadowed for a month")
    assert statuses() == ["retired", "active"]
    entry = AuditEntry.objects.latest("id")
    assert entry.reason == "shadowed for a month"
    assert entry.after["overridden"] == ["unseen bars", "out of sample"]


@one_process
@pytest.mark.parametrize("reason", ["", "  "])
def test_overriding_without_a_reason_is_refused(reason):
    _, candidate = make_rivals(seed=WORSE)
    with pytest.raises(ReasonMissingError, match="takes a reason"):
        promote(candidate.pk, actor=ANNA, override=True, reason=reason)
    assert statuses() == ["active", "candidate"]


def test_promoting_what_trades_changes_nothing():
    active, _ = make_rivals()
    before = AuditEntry.objects.count()
    assert promote(active.pk, actor=ANNA) == active
    assert statuses() == ["active", "candidate"]
    assert AuditEntry.objects.count() == before


@one_process
def test_rolling_a_promotion_back_restores_what_traded():
    active, candidate = make_rivals()
    promote(candidate.pk, actor=ANNA)
    assert lifecycle.rollback(candidate.pk, actor=ANNA) == active
    assert statuses() == ["active", "retired"]


@one_process
def test_what_was_compared_with_another_version_than_the_one_that_trades_is_not_promoted():
    _, candidate = make_rivals()
    (verdict,) = gates.judge([candidate])
    fit_models()
    with pytest.raises(ModelConflictError, match=r"v3 trades by now, not .* v1 trades"):
        promotion.apply(verdict, actor=ANNA)
    assert statuses() == ["retired", "candidate", "active"]


def test_an_archived_version_is_not_promoted():
    _, candidate = make_rivals()
    FittedModel.objects.filter(pk=candidate.pk).update(status="retired", archived_at=clock.wall_now())
    with pytest.raises(ModelArchivedError):
        promote(candidate.pk, actor=ANNA, override=True, reason="I want it")


# --- nothing overrides a file that is not good ----------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["half", "empty", "no manifest", "another's"])
def test_a_file_that_is_not_whole_never_trades(models_dir, broken):
    active, candidate = make_rivals()
    folder = models_dir / candidate.path
    content = (folder / "model.joblib").read_bytes()
    if broken == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        other = (models_dir / active.path / "model.joblib").read_bytes()
        damaged = {"half": content[: len(content) // 2], "empty": b"", "another's": other}[broken]
        (folder / "model.joblib").write_bytes(damaged)

    with pytest.raises(ModelFileError):
        promote(candidate.pk, actor=ANNA, override=True, reason="it must")

    assert statuses() == ["active", "candidate"]
    assert [model.version for model in registry.active("BTCUSD")] == [1]


def test_a_version_fitted_on_columns_that_are_gone_never_trades():
    symbol = make_symbol()
    plan_row("rev", SMALL | {"reversal_window": 5})
    plan_row("ema_vol", SMALL | {"fast_ema_window": 5})
    fit_models()
    candidate, _ = fit_models(activate=Activate.NEVER).models[::-1]
    assert candidate.strategy == "ema_vol"
    rev = FittedModel.objects.get(strategy="rev", version=2)
    symbol.binance_symbol = ""
    symbol.save(update_fields=["binance_symbol"])

    with pytest.raises(ModelStaleError, match="it needs the column volume from binance:BTCUSDT"):
        promote(rev.pk, actor=ANNA, override=True, reason="it must")

    assert FittedModel.objects.get(strategy="rev", version=1).status == "active"
    with pytest.raises(ModelStaleError):  # nor does the old one: the symbol is skipped and says why
        registry.active("BTCUSD")


@one_process
def test_a_file_damaged_between_gate_and_promotion_is_not_what_was_judged(models_dir):
    _, candidate = make_rivals()
    (verdict,) = gates.judge([candidate])
    (models_dir / candidate.path / "model.joblib").write_bytes(b"")
    with pytest.raises(ModelRefusedError):
        promotion.apply(verdict, actor=ANNA)
    assert statuses() == ["active", "candidate"]


# --- the commands ---------------------------------------------------------------------------------------------------


@one_process
def test_the_command_promotes_and_shows_the_gates():
    _, candidate = make_rivals()
    code, document, errors = run_command("model_promote", str(candidate.pk), "--reason", "monthly")
    assert (code, errors, document["schema"]) == (0, "", "model_promote/1")
    (model,) = document["data"]["models"]
    assert (model["id"], model["version"], model["status"], model["active"]) == (candidate.pk, 2, "active", 1)
    assert [gate["passed"] for gate in model["gates"]] == [True, True, True]
    assert model["out_of_sample"]["n_bars"] == UNSEEN
    assert statuses() == ["retired", "active"]
    assert AuditEntry.objects.latest("id").source == "command"


@one_process
def test_a_refusal_is_exit_code_4_and_one_line_with_gate_and_figure():
    _, candidate = make_rivals(seed=WORSE)
    code, document, _ = run_command("model_promote", str(candidate.pk))
    assert (code, document["ok"]) == (4, False)
    assert "gate out of sample: Sharpe (365 d, after costs)" in document["error"]
    assert "\n" not in document["error"]
    assert statuses() == ["active", "candidate"]


@one_process
@pytest.mark.parametrize(("seed", "code"), [(BETTER, 0), (WORSE, 4)])
def test_a_dry_run_asks_the_gates_and_changes_nothing(seed, code, capsys):
    _, candidate = make_rivals(seed=seed)
    answered, document, _ = run_command("model_promote", str(candidate.pk), "--dry-run")
    assert answered == code
    assert len(document["data"]["models"][0]["gates"]) == 3
    assert statuses() == ["active", "candidate"]


@one_process
def test_the_command_overrides_with_a_reason_only():
    _, candidate = make_rivals(seed=WORSE)
    code, document, _ = run_command("model_promote", str(candidate.pk), "--override")
    assert (code, document["error"].startswith("overriding a gate takes a reason")) == (2, True)
    code, _, _ = run_command("model_promote", str(candidate.pk), "--override", "--reason", "because")
    assert (code, statuses()) == (0, ["retired", "active"])


@one_process
def test_without_ids_the_newest_waiting_version_of_every_slot_is_promoted():
    make_rivals()
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    fit_models(strategies=["wed_thu"], activate=Activate.NEVER)
    fit_models(strategies=["wed_thu"], activate=Activate.NEVER)

    code, document, _ = run_command("model_promote")

    promoted = [(model["strategy"], model["version"]) for model in document["data"]["models"]]
    assert (code, promoted) == (0, [("ema_vol", 2), ("wed_thu", 2)])
    assert run_command("model_promote")[1]["data"]["models"] == []  # the older candidate of wed_thu stays one
    assert run_command("model_promote", "--strategy", "rev")[0] == 0


@one_process
def test_one_gate_that_refuses_does_not_keep_the_others_from_trading():
    make_rivals(seed=WORSE)
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    fit_models(strategies=["wed_thu"], activate=Activate.NEVER)
    code, document, _ = run_command("model_promote")
    assert code == 7
    assert [row["status"] for row in document["data"]["models"]] == ["candidate", "active"]
    assert "gate out of sample" in document["data"]["failed"][0]["error"]


def test_the_command_makes_shadows_without_asking_gates():
    _, candidate = make_rivals(seed=WORSE)
    code, document, _ = run_command("model_promote", str(candidate.pk), "--shadow", "--dry-run")
    assert (code, statuses()) == (0, ["active", "candidate"])
    code, document, _ = run_command("model_promote", str(candidate.pk), "--shadow", "--reason", "let us see")
    assert (code, document["data"]["models"][0]["status"]) == (0, "shadow")
    assert statuses() == ["active", "shadow"]


@pytest.mark.parametrize("command", ["model_show", "model_promote", "model_rollback"])
def test_an_unknown_id_is_wrong_usage(command):
    make_symbol(n_bars=0)
    code, document, _ = run_command(command, "404")
    assert (code, document["error"]) == (2, "no fitted model 404; see `manage.py model_list`")


def test_a_missing_file_is_data_missing(models_dir):
    _, candidate = make_rivals()
    (models_dir / candidate.path / "model.joblib").unlink()
    code, document, _ = run_command("model_promote", str(candidate.pk), "--override", "--reason", "it must")
    assert (code, "model.joblib is missing" in document["error"]) == (5, True)


def test_the_command_rolls_back():
    active, candidate = make_rivals()
    lifecycle.replace(active, candidate, lifecycle.Change(actor=ANNA))
    code, document, _ = run_command("model_rollback", str(candidate.pk), "--dry-run")
    assert (code, statuses()) == (0, ["retired", "active"])
    code, document, _ = run_command("model_rollback", str(candidate.pk), "--reason", "too fast")
    assert (code, document["schema"], statuses()) == (0, "model_rollback/1", ["active", "retired"])
    assert [(row["from"], row["to"]) for row in document["data"]["models"]] == [(2, 1)]
    assert AuditEntry.objects.latest("id").reason == "too fast"


def test_a_bad_refit_of_everything_is_rolled_back_at_once():
    make_symbol("BTCUSD")
    make_symbol("ETHUSD", seed=1)
    plan_row()
    fit_models()
    plan_row("wed_thu", {"vol_window": 14, "min_values": 30})
    fit_models()

    code, document, _ = run_command("model_rollback", "--all")

    assert code == 7  # wed_thu has nothing to go back to
    assert [(row["symbol"], row["from"], row["to"]) for row in document["data"]["models"]] == [
        ("BTCUSD", 2, 1),
        ("ETHUSD", 2, 1),
    ]
    assert len(document["data"]["failed"]) == 2
    assert {model.version for model in registry.active("BTCUSD")} == {1}


def test_a_rollback_of_nothing_in_particular_is_wrong_usage():
    make_rivals()
    assert run_command("model_rollback")[0] == 2


def test_a_rollback_with_nothing_before_fails_and_says_so():
    active, _ = make_rivals()
    code, document, _ = run_command("model_rollback", str(active.pk))
    assert (code, "nothing traded before" in document["error"]) == (1, True)


@one_process
def test_a_version_is_shown_with_everything_it_was_made_of():
    _, candidate = make_rivals()
    promote(candidate.pk, actor=ANNA, reason="monthly")

    code, document, _ = run_command("model_show", str(candidate.pk), "--gates")

    data = document["data"]
    assert (code, document["schema"]) == (0, "model_show/1")
    assert (data["version"], data["active_version"], data["file"]["ok"]) == (2, 2, True)
    assert {"params", "fitted", "metrics", "data_hash", "columns", "libraries", "commit", "sha256"} <= set(data)
    (activation,) = data["activations"]
    assert (activation["kind"], activation["reason"], activation["previous"]) == ("promoted", "monthly", 1)
    assert datetime.fromisoformat(activation["at"])
    assert data["drift"] is None
    assert [gate["name"] for gate in data["promotion"]["gates"]] == ["reproducible"]


@one_process
def test_a_person_reads_a_page_of_lines(capsys, models_dir):
    active, candidate = make_rivals()
    promote(candidate.pk, actor=ANNA, reason="monthly")
    (models_dir / active.path / "manifest.json").unlink()
    for model in (active, candidate):
        call_command("model_show", str(model.pk))
    text = capsys.readouterr().out
    assert "v2  active" in text
    assert "promoted by anna monthly, instead of v1" in text
    assert "manifest.json is missing; refit with" in text
    assert "Sharpe (365 d, after costs)" in text
    assert "drift      no live predictions" in text


def test_archiving_asks_and_the_next_fit_starts_over():
    make_rivals()
    assert run_command("model_list", "--archive", "--no-input")[0] == 2
    assert run_command("model_list", "--archive", "--dry-run")[0] == 0
    assert statuses() == ["active", "candidate"]

    code, document, _ = run_command("model_list", "--archive", "--yes", "--reason", "new data")

    assert (code, len(document["data"]["models"]), statuses()) == (0, 2, ["retired", "retired"])
    assert run_command("model_list", "--all")[1]["data"]["models"] == []
    (newest, first) = run_command("model_list", "--archived")[1]["data"]["models"]
    assert (newest["version"], first["version"]) == (2, 1)
    assert run_command("model_list", "--restore", str(first["id"]))[0] == 0
    assert [model["version"] for model in run_command("model_list", "--all")[1]["data"]["models"]] == [1]
    assert run_command("model_list", "--restore", str(first["id"]))[0] == 2


@pytest.mark.parametrize("command", ["model_list", "model_show", "model_promote", "model_rollback"])
def test_every_commands_help_begins_with_two_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        call_command(command, "--help")
    assert ended.value.code == 0
    assert capsys.readouterr().out.count(f"\n  manage.py {command}") == 2


def test_settings_have_defaults_that_nobody_has_to_write():
    settings = RegistrySettings.current()
    assert (settings.unseen_bars, settings.refit_as) == (720, "candidate")
    assert settings.costs.rate == pytest.approx(0.000475)
    assert not RegistrySettings.objects.exists()


def test_settings_that_a_person_changed_have_a_history():
    settings = RegistrySettings.current()
    settings.save()
    settings.unseen_bars = 48
    settings.save(update_fields=["unseen_bars"])
    assert RegistrySettings.current().unseen_bars == 48
    assert [row.unseen_bars for row in settings.history.order_by("history_id")] == [720, 48]
