"""Setups are stored once, judged by who is active, and what becomes of them is kept, real before computed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from threadpoolctl import threadpool_limits

from market.models import Symbol
from mlfilter import jobs, monitor, scanning
from mlfilter.errors import FilterDataError
from mlfilter.filters import active_recognizer
from mlfilter.models import BotSettings, BotSymbol, Outcome, Setup
from mlfilter.outcomes import OutcomeConflictError, as_outcome, compute_outcomes, record_outcome
from mlfilter.recognizers import unseen
from mlfilter.scanning import preview, scan
from mlfilter.setups import Direction, ExitReason, TradeOutcome
from mlfilter.training import trained_on
from ops import clock
from ops.audit import SYSTEM
from ops.clock import SystemClock
from ops.models import Alert, Run
from strategies import lifecycle, promotion, registry
from tests.docs_shapes import assert_documented
from tests.fits_builders import run_command
from tests.setup_builders import (
    BAR,
    LAST_CLOSE,
    flat_bars,
    make_bot,
    make_settings,
    store_klines,
    store_setup,
    train_one,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _models_dir(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(unseen, "SHUFFLES", 1)
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()), threadpool_limits(1):  # threads that wait for each other take twice as long
        yield


@pytest.fixture
def bot() -> BotSymbol:
    return make_bot()


def newest_setup(bot: BotSymbol):
    """Return the moment at which the newest bar with a setup had just closed."""
    rows = preview(bot, since=LAST_CLOSE - timedelta(days=1), until=LAST_CLOSE)
    return max(row.bar_at for row in rows) + BAR


def activate(model) -> None:
    change = lifecycle.Change(actor=SYSTEM, reason="tests")
    registry.load(model)
    lifecycle.activate(model, change)


def make_outcome(setup: Setup, **changed) -> TradeOutcome:
    usual = {
        "symbol": setup.symbol,
        "bar_at": setup.bar_at,
        "direction": Direction(setup.direction),
        "entry_at": setup.bar_at + BAR,
        "exit_at": setup.bar_at + 3 * BAR,
        "entry_price": Decimal("100"),
        "exit_price": Decimal("101"),
        "quantity": Decimal("0.5"),
        "exit_reason": ExitReason.TARGET,
        "pnl": Decimal("0.4"),
        "r": 0.8,
        "fees": Decimal("0.1"),
        "slippage": Decimal("0"),
    }
    return TradeOutcome(**(usual | changed))


# --- scanning -------------------------------------------------------------------------------------------------------


def test_without_a_filter_a_setup_is_stored_and_not_approved(bot):
    (setup,) = scan(bot, now=newest_setup(bot))
    assert not setup.approved
    assert setup.confidence is None
    assert setup.reasons[0].startswith("no filter is active: train one with")
    assert {"rsi_14", "bb_position", "zscore_20"} == setup.signals.keys()
    assert setup.bar_at + BAR == newest_setup(bot)


def test_scanning_twice_stores_once_and_the_first_answer_stands(bot):
    now = newest_setup(bot)
    (first,) = scan(bot, now=now)
    activate(train_one().model)
    (second,) = scan(bot, now=now)
    assert (first.pk, second.confidence) == (second.pk, None)
    assert Setup.objects.count() == 1


@pytest.mark.slow
def test_the_active_filter_decides_and_shadows_only_score(bot):
    active, shadow = train_one().model, train_one(unseen_days=4).model
    activate(active)
    lifecycle.shadow(shadow.pk, actor=SYSTEM)
    (setup,) = scan(bot, now=newest_setup(bot))
    row = {name: setup.features[name] for name in active_recognizer(bot).feature_names_}
    assert setup.model == active
    assert setup.confidence == active_recognizer(bot).predict_trade_quality(row)["confidence"]
    assert setup.approved == (setup.confidence >= 0.3 and len(setup.reasons) == 1)
    assert set(setup.shadows) == {str(shadow.pk)}
    assert 0.0 < setup.shadows[str(shadow.pk)] < 1.0
    assert len(setup.similar) == 10


def test_a_filter_whose_file_is_damaged_approves_nothing(bot):
    model = train_one().model
    activate(model)
    (registry.model_dir() / model.path / "model.joblib").write_bytes(b"")
    (setup,) = scan(bot, now=newest_setup(bot))
    assert not setup.approved
    assert "cannot be used" in setup.reasons[0]


def test_a_scan_says_what_the_batch_says_about_the_same_bar(bot):
    activate(train_one().model)
    now = newest_setup(bot)
    ranged = {row.bar_at: row for row in preview(bot, since=now - timedelta(days=1), until=LAST_CLOSE)}
    (setup,) = scan(bot, now=now)
    assert ranged[setup.bar_at].confidence == pytest.approx(setup.confidence, abs=1e-9)
    assert ranged[setup.bar_at].approved == setup.approved


def test_stale_bars_are_refused(bot):
    with pytest.raises(FilterDataError, match="is stale"):
        scan(bot, now=LAST_CLOSE + 2 * BAR)


def test_the_forming_bar_is_not_looked_at(bot):
    now = newest_setup(bot)
    with pytest.raises(FilterDataError, match="no closed"):
        scan(bot, now=now - timedelta(days=400))
    assert [row.bar_at for row in scan(bot, now=now + BAR / 2)] == [now - BAR]


def test_the_command_scans_a_range_and_stores_nothing(bot):
    code, document, _ = run_command(
        "setup_scan", "--symbol", "ETHUSDT", "--since", f"{LAST_CLOSE - 96 * BAR:%Y-%m-%dT%H:%M}", "--until",
        f"{LAST_CLOSE:%Y-%m-%dT%H:%M}",
    )  # fmt: skip
    assert code == 0
    assert document["schema"] == "setup_scan/1"
    assert_documented("setup_scan", document["data"])
    assert document["data"]["setups"][0]["reasons"]
    assert not Setup.objects.exists()


def test_the_command_says_that_bars_are_stale(bot):
    code, document, _ = run_command("setup_scan")
    assert code == 5
    assert "stale" in document["data"]["failed"][0]["error"]


# --- outcomes -------------------------------------------------------------------------------------------------------


def test_an_outcome_is_recorded_once(bot):
    setup = store_setup(bot, LAST_CLOSE)
    first, second = (record_outcome(setup, make_outcome(setup)) for _ in range(2))
    assert first == second
    assert (first.is_real, first.exit_reason, first.r) == (True, "target", 0.8)
    assert as_outcome(first) == make_outcome(setup)


def test_another_outcome_of_the_same_trade_is_refused(bot):
    setup = store_setup(bot, LAST_CLOSE)
    record_outcome(setup, make_outcome(setup))
    with pytest.raises(OutcomeConflictError, match="r differ"):
        record_outcome(setup, make_outcome(setup, r=0.9))
    with pytest.raises(OutcomeConflictError, match="not its own"):
        record_outcome(setup, make_outcome(setup, direction=Direction.SHORT))


def test_a_real_outcome_takes_the_place_of_a_computed_one(bot):
    bars = flat_bars()
    setup = store_setup(bot, bars.index[0].to_pydatetime() + 4 * BAR)
    Outcome.objects.create(
        setup=setup, is_real=False, entry_at=setup.bar_at, exit_at=setup.bar_at, entry_price=1, exit_price=1,
        quantity=1, exit_reason="stop", pnl=0, r=-1, fees=0, slippage=0, known_at=setup.bar_at,
    )  # fmt: skip
    assert record_outcome(setup, make_outcome(setup)).is_real
    assert Outcome.objects.get().r == 0.8


@pytest.mark.parametrize(
    ("bar", "high", "low", "direction", "reason", "r"),
    [
        (3, 101.5, 100.0, "long", "target", 1.0),
        (3, 100.0, 98.5, "long", "stop", -1.0),
        (3, 102.0, 98.0, "long", "stop", -1.0),  # both in one bar: the stop
        (3, 101.5, 100.0, "short", "stop", -1.0),
        (20, 101.5, 100.0, "long", "timeout", 0.0),  # after the horizon
    ],
)
def test_what_became_of_a_rejected_setup_is_computed(bar, high, low, direction, reason, r):
    # The setup on bar 0 enters at the open of bar 1, at 100; stop 1 %, target 1 %, 8 bars, no costs.
    make_settings()
    Symbol.objects.create(name="ETHUSD", binance_symbol="ETHUSDT")
    bot = BotSymbol.objects.create(name="ETHUSDT", broker="binance_spot", data_symbol="ETHUSD")
    bars = flat_bars()
    bars.iloc[bar, [1, 2]] = high, low
    store_klines(bars)
    sides = {} if direction == "long" else {"direction": "short", "stop": 101.0, "target": 99.0}
    at = bars.index[0].to_pydatetime()
    setup = store_setup(bot, at, **sides)
    assert compute_outcomes(now=bars.index[-1].to_pydatetime() + BAR) == 1
    outcome = Outcome.objects.get(setup=setup)
    assert (outcome.is_real, outcome.exit_reason, outcome.r) == (False, reason, pytest.approx(r))
    assert outcome.entry_at == at + BAR
    expected = at + (bar + 1) * BAR if reason != "timeout" else at + 9 * BAR
    assert outcome.exit_at == expected
    assert compute_outcomes(now=bars.index[-1].to_pydatetime() + BAR) == 0


def test_what_may_be_traded_and_what_is_not_over_has_no_computed_outcome(bot):
    last = LAST_CLOSE - BAR
    store_setup(bot, last - BAR)
    store_setup(bot, last - 90 * BAR, approved=True, confidence=0.9)
    missed = store_setup(bot, last - 91 * BAR, approved=True, confidence=0.9, missed_reason="3 positions are open")
    assert compute_outcomes(now=LAST_CLOSE) == 1
    assert Outcome.objects.get().setup == missed


@pytest.mark.slow
def test_real_trades_are_among_the_similar_ones_and_in_the_next_training(bot):
    model = train_one().model
    activate(model)
    # A label is a fact of its bar; the real trade ended otherwise.
    found = trained_on(model)[1]
    place = len(found) // 2
    at = found.index[found.rows[place]].to_pydatetime()
    side = "long" if found.direction.iloc[found.rows[place]] > 0 else "short"
    sides = {} if side == "long" else {"direction": "short", "stop": 101.0, "target": 99.0}
    features = found.features.iloc[place].to_dict()
    past = store_setup(bot, at, features=features, **sides)
    won = found.labels["label"].iloc[place] == 1.0
    reason, r = (ExitReason.STOP, -1.0) if won else (ExitReason.TARGET, 1.0)
    record_outcome(past, make_outcome(past, exit_reason=reason, r=r))
    assert train_one().n_real == 1
    assert trained_on(model)[1].labels["label"].iloc[place] == float(not won)
    # One after the training joins the similar trades at once.
    live = store_setup(bot, LAST_CLOSE - 50 * BAR, features=features)
    before = len(active_recognizer(bot).similar_)
    record_outcome(live, make_outcome(live))
    assert len(active_recognizer(bot).similar_) == before + 1


# --- what the database itself refuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"stop": 101.0},
        {"target": 99.0},
        {"direction": "short"},
        {"direction": "up"},
        {"approved": True},
        {"approved": True, "confidence": 0.4},
    ],
)
def test_a_setup_that_contradicts_itself_is_no_row(bot, changed):
    with pytest.raises(IntegrityError), transaction.atomic():
        store_setup(bot, LAST_CLOSE, **changed)


def test_a_bar_has_one_setup_a_direction(bot):
    store_setup(bot, LAST_CLOSE)
    with pytest.raises(IntegrityError), transaction.atomic():
        store_setup(bot, LAST_CLOSE)


@pytest.mark.parametrize("changed", [{"stop_pct": 0.3}, {"risk_per_trade": 0.015}, {"max_risk_per_trade": 0.03}])
def test_settings_beyond_their_range_are_no_row(changed):
    with pytest.raises(IntegrityError), transaction.atomic():
        BotSettings.objects.create(**changed)


# --- watching and the jobs ------------------------------------------------------------------------------------------


def judged_live(bot: BotSymbol, model, n: int, won: int, confidence: float, **changed) -> None:
    for i in range(n):
        setup = store_setup(bot, LAST_CLOSE - (i + 1) * BAR, model=model, confidence=confidence, **changed)
        reason = ExitReason.TARGET if i < won else ExitReason.STOP
        record_outcome(setup, make_outcome(setup, exit_reason=reason, r=1.0 if i < won else -1.0))


def test_a_filter_that_is_not_calibrated_any_more_is_told_once_per_crossing(bot):
    model = train_one().model
    activate(model)
    judged_live(bot, model, 40, 10, 0.7)
    for _ in range(3):
        (trouble,) = monitor.watch(now=LAST_CLOSE)
    alert = Alert.objects.get(key="setup-filter:calibration:ETHUSD:15m")
    assert alert.count == 1
    assert "25% succeeded, it expected 70%" in trouble.detail
    BotSettings.objects.update(max_calibration_error=0.5)
    assert monitor.watch(now=LAST_CLOSE) == []
    alert.refresh_from_db()
    assert alert.resolved_at is not None


def test_few_outcomes_say_nothing(bot):
    model = train_one().model
    activate(model)
    judged_live(bot, model, 29, 0, 0.9)
    assert monitor.watch(now=LAST_CLOSE) == []
    health = monitor.measure(model, now=LAST_CLOSE)
    assert (health.n_outcomes, health.success_rate) == (29, 0.0)
    assert health.calibration_error == pytest.approx(0.9)


def test_setups_unlike_the_training_are_told(bot):
    model = train_one().model
    activate(model)
    judged_live(bot, model, 30, 20, 0.66, reasons=["confidence 0.66", "out_of_distribution: unlike anything seen"])
    assert [trouble.key for trouble in monitor.watch(now=LAST_CLOSE)] == ["setup-filter:drift:ETHUSD:15m"]


@pytest.mark.slow
def test_the_scheduled_training_makes_candidates_once_a_period_and_promotes_nothing(bot):
    assert jobs.enqueue_training() is None  # nobody trained the first one
    activate(first := train_one().model)
    run_id = jobs.enqueue_training()
    assert jobs.enqueue_training() == run_id
    jobs.train_job(run_id)
    jobs.train_job(run_id)
    run = Run.objects.get(pk=run_id)
    assert run.status == Run.Status.DONE
    assert len(run.result["models"]) == 1
    first.refresh_from_db()
    assert first.status == "active"
    BotSettings.objects.update(retrain_every_days=0)
    assert jobs.enqueue_training() is None


def test_a_scheduled_training_that_fails_is_told(bot):
    from market.models import Kline

    train_one()
    Kline.objects.all().delete()
    jobs.train_job(jobs.enqueue_training())
    assert Alert.objects.open().get(key=jobs.UNATTENDED)
    assert Run.objects.get(job="setup_train").status == Run.Status.FAILED


def test_setups_are_followed_by_the_schedule(bot, monkeypatch):
    monkeypatch.setattr(jobs.clock, "market_now", lambda: LAST_CLOSE)
    store_setup(bot, LAST_CLOSE - 90 * BAR)
    assert jobs.follow_setups() == 1


# --- the backtest ---------------------------------------------------------------------------------------------------


def test_the_backtest_command_reports_both_and_keeps_a_row(bot):
    code, document, _ = run_command("setup_backtest", "--symbol", "ETHUSDT", "--days", "16")
    data = document["data"]
    assert_documented("setup_backtest", data)
    assert code == 0
    names = {"trades", "win_rate", "avg_win", "avg_loss", "profit_factor", "sharpe", "max_drawdown", "total_return"}
    assert names <= data["with_filter"].keys()
    assert names <= data["without_filter"].keys()
    assert data["auc"] == data["report"]["auc"]
    assert any("taking every setup" in sentence for sentence in data["report"]["words"])
    (row,) = bot_rows()
    assert len(row.curves["at"]) == len(row.curves["with_filter"])
    assert len(row.trades) == data["with_filter"]["trades"]


def test_a_dry_run_of_the_backtest_keeps_no_row(bot):
    assert run_command("setup_backtest", "--dry-run", "--days", "16")[0] == 0
    assert bot_rows() == []


def test_a_backtest_without_bars_says_what_to_do():
    Symbol.objects.create(name="ETHUSD", binance_symbol="ETHUSDT")
    code, document, _ = run_command("setup_backtest")
    assert code == 5
    assert "data_import FILE --symbol ETHUSD" in document["error"]


def bot_rows():
    from mlfilter.models import SetupBacktest

    return list(SetupBacktest.objects.all())


def test_an_unwatched_symbol_can_be_looked_at(bot):
    BotSymbol.objects.all().delete()
    assert scanning.watched_symbol("ETHUSD").pk is None


def test_a_promotion_takes_a_person(bot):
    model = train_one().model
    with pytest.raises(promotion.ReasonMissingError):
        promotion.promote(model.pk, actor=SYSTEM, override=True)
