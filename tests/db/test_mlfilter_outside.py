"""What is outside the bars reaches a filter as it was known then, is said when it is away, and is never made up."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.forms.models import model_to_dict
from django_q.models import OrmQ
from threadpoolctl import threadpool_limits

from market.feeds import OUTSIDE_FEEDS, outside_feed
from market.jobs import ask_for_outside, bring_outside
from market.models import FundingRate, Symbol, from_ms
from market.outside_reading import exchange_names
from mlfilter import filters, fresh, gates
from mlfilter.admin import BotSettingsForm
from mlfilter.errors import FeatureMismatchError, FilterDataError, FilterError
from mlfilter.features import FEATURES, OUTSIDE_COLUMNS
from mlfilter.models import BotSettings, BotSymbol, Setup
from mlfilter.outside import in_order
from mlfilter.proposals import Terms, find_setups
from mlfilter.recognizers import unseen
from mlfilter.scanning import preview, scan
from mlfilter.training import n_tried, trained_on
from ops import clock
from ops.audit import SYSTEM
from ops.clock import SimulatedClock, SystemClock
from strategies import lifecycle, registry
from strategies.models import FittedModel
from tests.fits_builders import run_command
from tests.pages_reader import PLAIN_SITE
from tests.setup_builders import (
    BAR,
    LAST_CLOSE,
    SETTLEMENT_MS,
    make_bot,
    make_settings,
    quarter_hours,
    store_funding,
    train_one,
)

pytestmark = pytest.mark.django_db
FUNDING = "funding_rate"
TEN_DAYS_AGO = LAST_CLOSE - timedelta(days=10)


@pytest.fixture(autouse=True)
def _models_dir(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(unseen, "SHUFFLES", 1)
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()), threadpool_limits(1):
        yield


@pytest.fixture
def bot() -> BotSymbol:
    """Return the bot's symbol, whose settings use the funding rate."""
    return make_bot(outside_columns=[FUNDING])


def activate(model: FittedModel) -> None:
    registry.load(model)
    lifecycle.activate(model, lifecycle.Change(actor=SYSTEM, reason="tests"))


def closes_with_setups(bot: BotSymbol, *, days: int = 2) -> list[datetime]:
    """Return when bars that have setups closed, in the last days."""
    return [row.bar_at + BAR for row in preview(bot, since=LAST_CLOSE - timedelta(days=days), until=LAST_CLOSE)]


def rate_at(close: datetime) -> float:
    """Return the settlement that was known at a close: a minute old at least."""
    newest = int((close - timedelta(minutes=1)).timestamp() * 1000) // SETTLEMENT_MS * SETTLEMENT_MS
    return FundingRate.objects.get(at_ms=newest).rate


# --- the setting ----------------------------------------------------------------------------------------------------


def test_nothing_outside_is_used_until_a_person_says_so():
    assert BotSettings().outside_columns == []


@pytest.mark.parametrize("wrong", [["open_interest"], [FUNDING, FUNDING], FUNDING, {FUNDING: 1}, None, [1]])
def test_a_setting_that_names_no_columns_is_refused_in_words(wrong):
    with pytest.raises(ValidationError, match="outside columns must be a list of funding_rate, book_imbalance, fear_g"):
        BotSettings(outside_columns=wrong).clean()
    with pytest.raises(FilterError, match="each once"):
        in_order(wrong)


def test_the_order_in_which_a_person_ticks_them_is_not_that_of_the_features():
    row = BotSettings(outside_columns=["fear_greed", FUNDING])
    row.full_clean(exclude=["id"])
    assert row.outside_columns == [FUNDING, "fear_greed"]


def test_the_admin_lets_columns_be_ticked(admin_client, settings, tmp_path):
    settings.STORAGES, settings.STATIC_ROOT = PLAIN_SITE["STORAGES"], tmp_path
    make_settings(outside_columns=[FUNDING])
    page = admin_client.get("/admin/mlfilter/botsettings/1/change/").content.decode()
    for column in OUTSIDE_COLUMNS:
        assert f'type="checkbox" name="outside_columns" value="{column}"' in page
    assert page.count("checked") == 1


def test_what_is_ticked_is_stored_in_order_and_what_nobody_brings_cannot_be():
    row = make_settings()
    ticked = model_to_dict(row) | {"signal_thresholds": "{}", "outside_columns": ["fear_greed", FUNDING]}
    form = BotSettingsForm(ticked, instance=row)
    assert form.is_valid(), form.errors
    form.save()
    assert BotSettings.objects.get().outside_columns == [FUNDING, "fear_greed"]
    assert "outside_columns" in BotSettingsForm(ticked | {"outside_columns": ["moon"]}, instance=row).errors


def test_each_source_has_its_setting_and_its_feature():
    columns = tuple(outside_feed(name).column for name in OUTSIDE_FEEDS)
    assert columns == OUTSIDE_COLUMNS
    assert [FEATURES[name].names for name in columns] == [(name,) for name in columns]


def test_setups_with_other_columns_than_the_terms_say_are_refused():
    bars = quarter_hours(n=60)
    with pytest.raises(FilterDataError, match=r"must be \['funding_rate'\] as the terms say, were \[\]"):
        find_setups(bars, Terms(outside=(FUNDING,)))
    with pytest.raises(ValueError, match="no outside columns moon"):
        Terms(outside=("moon",))


# --- who brings them --------------------------------------------------------------------------------------------------


def test_the_bots_symbols_are_looked_after_though_nobody_trades_them_in_the_portfolio():
    bot = make_bot()
    bot_symbol = BotSymbol.objects.get(pk=bot.pk)
    assert exchange_names() == ["ETHUSDT"]
    Symbol.objects.update(is_traded=False)
    assert exchange_names() == ["ETHUSDT"]
    BotSymbol.objects.filter(pk=bot_symbol.pk).update(is_enabled=False)
    assert bring_outside() == []


def test_the_research_cluster_is_asked_once_until_it_begins():
    OrmQ.objects.all().delete()
    assert [ask_for_outside() for _ in range(3)] == [True, False, False]
    [task] = OrmQ.objects.all()
    assert (task.key, task.func()) == ("research", "market.jobs.bring_outside")
    bring_outside()
    assert ask_for_outside()


@pytest.mark.slow
def test_a_scan_asks_for_the_next_bars_readings_when_a_filter_or_the_settings_use_them():
    bot = make_bot()
    now = closes_with_setups(bot)[-1]
    OrmQ.objects.all().delete()
    scan(bot, now=now)
    assert not OrmQ.objects.exists()
    BotSettings.objects.update(outside_columns=[FUNDING])
    scan(bot, now=closes_with_setups(bot)[-2])
    assert [task.func() for task in OrmQ.objects.all()] == ["market.jobs.bring_outside"]


# --- learning -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_filter_learns_the_rate_that_was_known_at_each_close(bot):
    store_funding()
    model = train_one().model

    names = [name for name, _ in model.columns]
    assert names[-2:] == [FUNDING, "direction"]
    assert model.params["terms"]["outside"] == [FUNDING]
    read, found, _ = trained_on(model)
    closes = [found.index[row].to_pydatetime() + BAR for row in found.rows]
    assert found.features[FUNDING].tolist() == [rate_at(close) for close in closes]
    assert read[FUNDING].notna().all()


@pytest.mark.slow
def test_rates_of_after_the_training_change_no_trained_filter(bot):
    store_funding()
    first = train_one().model
    found = trained_on(first)[1]
    before = filters.load(first).recognizer.score(found.features)
    late = int(first.fit_to.timestamp() * 1000) + 15 * 60_000
    FundingRate.objects.filter(at_ms__gt=late - 60_000).delete()
    store_funding(since=from_ms(late), seed=77)
    second = train_one().model
    assert second.data_hash == first.data_hash
    np.testing.assert_array_equal(filters.load(second).recognizer.score(found.features), before)


@pytest.mark.slow
def test_a_column_that_is_known_too_rarely_is_left_out_in_words_and_not_filled(bot):
    store_funding(since=TEN_DAYS_AGO)  # the training begins five days earlier and ends five days before the last bar
    trained = train_one()

    [why] = trained.left_out
    assert why.startswith("funding_rate is left out: known at 4")
    assert why.endswith("at least 80% are needed")
    assert trained.model.metrics["words"][0] == why
    assert trained.model.params["terms"]["outside"] == []
    assert FUNDING not in filters.load(trained.model).recognizer.feature_names_
    code, document, _ = run_command("setup_train", "--symbol", "ETHUSDT")
    assert (code, document["warnings"]) == (0, [f"{FittedModel.objects.latest('pk')}: {why}"])


@pytest.mark.slow
def test_a_few_bars_without_a_rate_are_not_learned_from(bot):
    rows = store_funding()
    FundingRate.objects.filter(pk__in=[row.pk for row in rows[18:21]]).delete()  # a day, of the ten and a half
    trained = train_one()
    assert trained.left_out == ()
    assert trained.report.as_data()["n_left_out"]["feature not finite"] > 0
    found = trained_on(trained.model)[1]
    known = found.features[FUNDING].dropna()
    assert set(known) <= {row.rate for row in FundingRate.objects.all()}
    assert len(known) < len(found)


@pytest.mark.slow
def test_it_is_made_again_the_same_until_a_reading_is_changed(bot, monkeypatch):
    monkeypatch.setattr(fresh, "check", lambda task, *, root, key: fresh.answer(task, root=root, key=key))
    store_funding()
    model = train_one().model
    gate = gates._repeats(model, filters.load(model))
    assert gate.passed, gate.figure
    FundingRate.objects.filter(pk=FundingRate.objects.order_by("at_ms")[10].pk).update(rate=0.5)
    assert "its bars changed since" in gates._repeats(model, filters.load(model)).figure


@pytest.mark.slow
def test_one_with_and_one_without_are_compared_each_on_its_own_features(monkeypatch):
    make_bot()
    monkeypatch.setattr(fresh, "check", lambda task, *, root, key: fresh.answer(task, root=root, key=key))
    store_funding()
    activate(train_one().model)
    BotSettings.objects.update(outside_columns=[FUNDING])
    (verdict,) = gates.judge([train_one().model])
    gate = {gate.name: gate for gate in verdict.gates}[gates.ACTIVE]
    assert "of the active v1" in gate.figure
    assert "cannot say" not in gate.figure


@pytest.mark.slow
def test_another_column_is_another_configuration_and_older_versions_had_none():
    make_bot()
    store_funding()
    model = train_one().model
    old = {name: value for name, value in model.params["terms"].items() if name != "outside"}
    FittedModel.objects.filter(pk=model.pk).update(params=model.params | {"terms": old})
    train_one()
    assert n_tried("ETHUSDT", "15m") == 1
    assert len(trained_on(FittedModel.objects.get(pk=model.pk))[1])
    BotSettings.objects.update(outside_columns=[FUNDING])
    assert train_one().report.n_configurations == 2


# --- judging --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_setup_is_judged_by_the_newest_rate_and_rejected_in_words_when_it_is_away(bot):
    store_funding(until=LAST_CLOSE - timedelta(days=1))
    activate(train_one().model)
    closes = closes_with_setups(bot)
    ended = from_ms(FundingRate.objects.latest("at_ms").at_ms) + timedelta(hours=9)
    settled = ended - timedelta(hours=1)  # the next settlement, which nobody brings
    fine, blind = [c for c in closes if c <= settled][-1], next(c for c in closes if c > ended)

    (judged,) = scan(bot, now=fine)
    assert judged.features[FUNDING] == rate_at(fine)
    assert judged.confidence is not None
    (setup,) = scan(bot, now=blind)
    assert (setup.approved, setup.confidence, setup.features[FUNDING]) == (False, None, None)
    assert setup.reasons == [
        f"features: funding_rate is away since {ended:%Y-%m-%d %H:%M}: the newest reading of ETHUSDT is of "
        f"{ended - timedelta(hours=9):%Y-%m-%d %H:%M}, which counts for 9 h"
    ]
    ranged = {row.bar_at + BAR: row.reasons for row in preview(bot, since=blind - BAR, until=LAST_CLOSE)}
    assert ranged[blind] == ["features: funding_rate was not known at the bar's close"]


@pytest.mark.slow
def test_a_filter_that_was_trained_without_goes_on_while_a_source_is_away():
    bot = make_bot()
    activate(train_one().model)
    BotSettings.objects.update(outside_columns=[FUNDING])  # from the next training on
    (setup,) = scan(bot, now=closes_with_setups(bot)[-1])
    assert setup.confidence is not None
    assert FUNDING not in setup.features


@pytest.mark.slow
def test_features_in_another_order_than_the_files_are_refused(bot):
    store_funding()
    model = train_one().model
    recognizer = filters.load(model).recognizer
    features = trained_on(model)[1].features
    mixed = features[[FUNDING, *(name for name in features if name != FUNDING)]]
    with pytest.raises(FeatureMismatchError, match="their order differs"):
        recognizer.score(mixed)
    with pytest.raises(FeatureMismatchError, match="missing funding_rate"):
        recognizer.predict_trade_quality(features.drop(columns=FUNDING).iloc[-1])


@pytest.mark.slow
def test_a_late_rate_is_not_known_earlier_when_the_same_bar_is_looked_at_again(bot):
    store_funding(until=LAST_CLOSE - timedelta(days=1))
    activate(train_one().model)
    stamp = LAST_CLOSE - timedelta(days=1) + timedelta(hours=8) - timedelta(hours=LAST_CLOSE.hour % 8)
    late = stamp + timedelta(hours=3)
    closes = [c for c in closes_with_setups(bot, days=1) if stamp < c < stamp + timedelta(hours=6)]
    for now in closes:
        if now == min(close for close in closes if close >= late):
            rate = FundingRate(symbol="ETHUSDT", at_ms=int(stamp.timestamp() * 1000), rate=0.25)
            rate.received_ms = int(late.timestamp() * 1000)
            rate.save()
        scan(bot, now=now)

    live = {row.bar_at: row.features[FUNDING] for row in Setup.objects.all()}
    again = {row.bar_at: row.features[FUNDING] for row in preview(bot, since=LAST_CLOSE - timedelta(days=1))}
    assert {at: again[at] for at in live} == live
    used = {at for at, value in live.items() if value == 0.25}
    assert used == {at for at in live if late <= at + BAR <= stamp + timedelta(hours=9)} != set()


# --- the backtest ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_backtest_reads_them_and_chooses_by_what_it_only_learns_from(bot):
    store_funding()
    first = run_command("setup_backtest", "--symbol", "ETHUSDT", "--days", "16")[1]["data"]
    assert first["params"]["terms"]["outside"] == [FUNDING]
    FundingRate.objects.filter(at_ms__gt=int(TEN_DAYS_AGO.timestamp() * 1000)).delete()
    second = run_command("setup_backtest", "--symbol", "ETHUSDT", "--days", "16")[1]["data"]
    assert second["params"]["terms"]["outside"] == [FUNDING]  # what came later does not say
    assert second["data_hash"] != first["data_hash"]
    FundingRate.objects.all().delete()
    store_funding(since=TEN_DAYS_AGO)
    third = run_command("setup_backtest", "--symbol", "ETHUSDT", "--days", "16")[1]["data"]
    assert third["params"]["terms"]["outside"] == []
    assert third["report"]["words"][0].startswith("funding_rate is left out: known at 0% of the first 375 bars")


# --- without a running market ---------------------------------------------------------------------------------------


@pytest.fixture
def no_clock(tmp_path):
    with clock.use(SimulatedClock(tmp_path / "never" / "clock.json")):
        yield


@pytest.mark.slow
def test_research_on_stored_bars_needs_no_simulator(no_clock):
    make_bot()
    code, document, _ = run_command("setup_train", "--symbol", "ETHUSDT")
    assert (code, document["data"]["failed"]) == (0, [])
    assert document["data"]["models"][0]["fit_to"] == (LAST_CLOSE - timedelta(days=5) - BAR).isoformat()
    code, document, _ = run_command("setup_backtest", "--symbol", "ETHUSDT", "--days", "16")
    assert (code, document["data"]["until"]) == (0, (LAST_CLOSE - BAR).isoformat())
    code, document, _ = run_command("setup_scan", "--symbol", "ETHUSDT", "--since", f"{LAST_CLOSE - 96 * BAR:%Y-%m-%d}")
    assert code == 0
    assert document["data"]["setups"]


def test_a_scan_of_the_newest_bar_without_a_simulator_says_what_to_start(no_clock):
    make_settings()
    code, document, _ = run_command("setup_scan")
    assert code == 6
    assert "start it with `manage.py up` or `manage.py simulator`" in document["error"]


def test_without_a_simulator_and_bars_the_bars_are_what_is_missing(no_clock):
    bot = make_bot(n=0)
    for command in ("setup_train", "setup_backtest"):
        code, document, _ = run_command(command, "--symbol", bot.name)
        said = document.get("error") or document["data"]["failed"][0]["error"]
        assert (code, "no closed 15m klines of ETHUSDT are stored" in said) == (5, True), said
