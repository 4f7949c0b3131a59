"""A trained filter is a version like any model's: a candidate, judged, promoted, rolled back; never by itself."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from market.models import Kline, Symbol
from mlfilter import filters, fresh, gates
from mlfilter.errors import FilterDataError
from mlfilter.filters import FAMILY, active_filter, active_recognizer
from mlfilter.history import read_bars
from mlfilter.models import BotSettings, BotSymbol
from mlfilter.recognizers import unseen
from mlfilter.recognizers.recognizer import MLPatternRecognizer
from mlfilter.training import n_tried, targets, train, trained_on
from ops import clock
from ops.audit import SYSTEM
from ops.clock import SystemClock
from strategies import lifecycle, promotion, registry, shadowing
from strategies.manifests import ModelRefusedError, ModelStaleError
from strategies.models import FittedModel
from tests.docs_shapes import assert_documented
from tests.fits_builders import run_command
from tests.setup_builders import make_bot, make_settings, quarter_hours, store_klines, train_one

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _models_dir(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(unseen, "SHUFFLES", 1)
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()), threadpool_limits(1):  # threads that wait for each other take twice as long
        yield


@pytest.fixture
def same_process(monkeypatch):
    """Let this process answer for the fresh one, which takes seconds to start."""
    monkeypatch.setattr(fresh, "check", lambda task, *, root, key: fresh.answer(task, root=root, key=key))


def test_a_trained_filter_is_a_candidate_and_decides_nothing():
    bot = make_bot()
    trained = train_one()
    model = trained.model
    assert (model.strategy, model.variant, model.version, model.status) == (FAMILY, "15m", 1, "candidate")
    assert active_recognizer(bot) is None
    assert model.metrics["words"] == list(trained.report.words)
    assert model.columns[-1] == ["direction", "features"] or model.columns[-1] == ("direction", "features")


def test_the_unseen_days_are_not_trained_on():
    make_bot()
    model = train_one(unseen_days=3).model
    bars = quarter_hours()
    assert model.fit_to == bars.index[-1 - 3 * 96]
    assert model.n_bars == len(bars) - 3 * 96


def test_what_it_was_trained_on_can_be_read_again():
    make_bot()
    model = train_one().model
    bars, found, recognizer = trained_on(model)
    assert len(bars) == model.n_bars
    again = recognizer.train(found.features, found.labels["label"], known_at=found.known_at, r=found.r)
    stored = filters.load(model).recognizer
    np.testing.assert_array_equal(again.score(found.features), stored.score(found.features))


@pytest.mark.slow
def test_rewriting_what_came_after_changes_no_trained_filter():
    make_bot()
    first = train_one().model
    bars = quarter_hours()
    found = trained_on(first)[1]
    before = filters.load(first).recognizer.score(found.features)
    late = int(first.fit_to.timestamp() * 1000)
    Kline.objects.filter(open_ms__gt=late).delete()
    other = quarter_hours(seed=7)
    store_klines(other[other.index > first.fit_to] * (bars["close"].iloc[-1] / other["close"].iloc[-1]))
    second = train_one().model
    assert second.data_hash == first.data_hash
    np.testing.assert_array_equal(filters.load(second).recognizer.score(found.features), before)


def test_the_registry_does_not_take_it_for_a_strategy():
    make_bot()
    model = train_one().model
    lifecycle.shadow(model.pk, actor=SYSTEM)
    assert registry.shadows("ETHUSD") == ()
    assert registry.active("ETHUSD") == ()
    assert shadowing.shadow_positions("ETHUSD", None) == ()
    assert list(FittedModel.objects.of_strategies()) == []


@pytest.mark.slow
def test_a_filter_that_passes_its_gates_is_promoted_and_can_be_rolled_back(same_process):
    # Without costs and with everything approved nothing beats "no filter": the gates are asked, one is overridden.
    bot = make_bot()
    first, second = train_one().model, train_one(unseen_days=6).model
    for model in (first, second):
        promotion.promote(model.pk, actor=SYSTEM, reason="tried elsewhere", override=True)
    assert active_filter("ETHUSD", "15m") == second
    lifecycle.rollback(second.pk, actor=SYSTEM)
    assert active_filter("ETHUSD", "15m") == first
    assert active_recognizer(bot).feature_names_ == filters.load(first).recognizer.feature_names_


def test_a_gate_that_is_not_passed_refuses_and_nothing_changes(same_process):
    make_bot(min_unseen_trades=9999)
    model = train_one().model
    with pytest.raises(promotion.PromotionRefusedError, match=r"enough trades: .* at least 9999 are needed"):
        promotion.promote(model.pk, actor=SYSTEM)
    assert active_filter("ETHUSD", "15m") is None


def test_a_filter_that_makes_no_more_than_none_is_not_better(same_process, monkeypatch):
    make_bot()
    everything = lambda self, features: (np.ones(len(features)), np.full(len(features), True))  # noqa: E731
    monkeypatch.setattr(MLPatternRecognizer, "approve", everything)
    (verdict,) = gates.judge([train_one().model])
    gate = {gate.name: gate for gate in verdict.gates}[gates.NO_FILTER]
    assert not gate.passed
    assert "of taking every setup" in gate.figure


def test_a_filter_that_is_not_calibrated_is_refused(same_process):
    make_bot(max_calibration_error=0.0)
    (verdict,) = gates.judge([train_one().model])
    assert gates.CALIBRATION in {gate.name for gate in verdict.failed}


@pytest.mark.slow
def test_it_has_to_beat_the_active_one(same_process):
    make_bot()
    first, second = train_one().model, train_one().model
    promotion.promote(first.pk, actor=SYSTEM, reason="the first", override=True)
    (verdict,) = gates.judge([second])
    gate = {gate.name: gate for gate in verdict.gates}[gates.ACTIVE]
    assert not gate.passed  # the same filter made the same
    assert "of the active v1" in gate.figure


def test_without_unseen_bars_there_is_nothing_to_judge(same_process):
    make_bot()
    (verdict,) = gates.judge([train_one(unseen_days=0).model])
    assert [gate.name for gate in verdict.failed] == [gates.TRADES]


def test_bars_that_changed_since_are_not_reproducible(same_process):
    make_bot()
    model = train_one().model
    row = Kline.objects.order_by("open_ms")[100]
    Kline.objects.filter(pk=row.pk).update(volume=row.volume + 1)
    (verdict,) = gates.judge([model])
    assert "its bars changed since" in verdict.failed[-1].figure


@pytest.mark.slow
def test_a_fresh_process_says_the_same():
    make_bot()
    model = train_one().model
    gate = gates._repeats(model, filters.load(model))
    assert gate.passed, gate.figure


def test_another_labelling_is_seen_by_the_gate_of_reproduction(same_process):
    make_bot()
    model = train_one().model
    FittedModel.objects.filter(pk=model.pk).update(
        params=model.params | {"terms": model.params["terms"] | {"label": "forward_return"}}
    )
    gate = gates._repeats(FittedModel.objects.get(pk=model.pk), filters.load(model))
    assert not gate.passed


def test_a_damaged_file_is_not_opened():
    make_bot()
    model = train_one().model
    file = registry.model_dir() / model.path / "model.joblib"
    content = bytearray(file.read_bytes())
    content[50] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelRefusedError, match="setup_train --symbol ETHUSD"):
        filters.load(model)


def test_a_feature_that_is_gone_refuses_the_file(monkeypatch):
    make_bot()
    model = train_one().model
    sources = filters.sources(model)
    monkeypatch.setattr(filters, "sources", lambda m: {n: s for n, s in sources.items() if n != "adx_14"})
    with pytest.raises(ModelStaleError, match="it needs the column adx_14"):
        filters.load(model)


def test_todays_rules_decide_and_not_those_of_the_training():
    make_bot()
    model = train_one().model
    BotSettings.objects.update(confidence_threshold=0.77, min_similar_win_rate=0.4)
    recognizer = filters.load(model).recognizer
    assert (recognizer.threshold, recognizer.min_similar_win_rate) == (0.77, 0.4)
    assert filters.registry.load(model).estimator.threshold == 0.3  # the shared one is as it was


@pytest.mark.slow
def test_the_takers_share_is_a_feature_where_every_bar_has_it():
    bars = quarter_hours()
    bot = make_bot()
    assert "taker_ratio_20" not in filters.load(train_one().model).recognizer.feature_names_
    Kline.objects.all().delete()
    store_klines(bars, taker=True)
    recognizer = filters.load(train_one().model).recognizer
    assert "taker_ratio_20" in recognizer.feature_names_
    stored = read_bars(targets()[0].symbol, bot.interval)
    assert "taker_buy_base_volume" in filters.bars_for(recognizer, stored).columns


@pytest.mark.slow
def test_configurations_are_counted_once_each():
    make_bot()
    assert train_one().report.n_configurations == 1
    train_one()
    assert n_tried("ETHUSDT", "15m") == 1
    BotSettings.objects.update(horizon=9)
    assert train_one().report.n_configurations == 2


def test_nothing_to_train_is_said():
    make_settings()
    with pytest.raises(FilterDataError, match="no enabled symbol"):
        targets()
    make_bot_without_bars()
    with pytest.raises(FilterDataError, match="no closed 15m klines of ETHUSDT are stored"):
        train(targets()[0])


def make_bot_without_bars() -> None:
    Symbol.objects.create(name="ETHUSD", binance_symbol="ETHUSDT")
    BotSymbol.objects.create(name="ETHUSDT", broker="binance_spot", data_symbol="ETHUSD")


def test_the_command_trains_and_says_what_it_found():
    make_bot()
    code, document, _ = run_command("setup_train", "--symbol", "ETHUSDT")
    (model,) = document["data"]["models"]
    assert_documented("setup_train", document["data"])
    assert code == 0
    assert (document["schema"], model["symbol"], model["status"]) == ("setup_train/1", "ETHUSD", "candidate")
    assert {"auc", "base_rate", "brier", "log_loss", "curve", "importance", "everything"} <= model["report"].keys()


def test_a_dry_run_trains_nothing():
    make_bot()
    assert run_command("setup_train", "--dry-run")[0] == 0
    assert not FittedModel.objects.exists()


def test_the_models_commands_know_it():
    make_bot()
    model = train_one().model
    assert run_command("model_show", str(model.pk))[1]["data"]["strategy"] == FAMILY
    listed = run_command("model_list", "--all", "--symbol", "ETHUSD")[1]["data"]["models"]
    assert [row["id"] for row in listed] == [model.pk]
