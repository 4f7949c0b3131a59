"""From the simulated world over its real interfaces into a model's columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from market.jobs import bring_outside
from market.models import BookSnapshot, FundingRate, Sentiment, Symbol
from market.services import default_symbols, get_recent_data, outside_features, update_outside
from market.watches import stale_series
from mlfilter import fresh
from mlfilter.models import BotSymbol, Setup
from mlfilter.recognizers import unseen
from mlfilter.scanning import scan
from mlfilter.training import targets, train
from ops import clock
from ops.audit import SYSTEM
from ops.clock import SimulatedClock
from ops.errors import ExitCode
from simulator import control, metatrader5
from simulator.config import SimConfig
from simulator.exchange import ExchangeServer
from simulator.exchange_outside import FUNDING_MS, fear_greed, funding_rate
from simulator.world import World
from strategies.promotion import promote
from tests.market_builders import HOUR_MS
from tests.setup_builders import BAR, make_settings

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 10, 8, 30, 5, tzinfo=UTC)
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def world(settings, tmp_path):
    for name in ("run", "sim", "safety"):
        (tmp_path / name).mkdir()
    mounted = World(SimConfig(state_dir=tmp_path, start=START))
    metatrader5.mount(mounted)
    exchange = ExchangeServer(mounted.market, mounted.clock)
    exchange.start()
    settings.STATE_DIR, settings.RUN_DIR, settings.BINANCE_BASE = tmp_path, tmp_path / "run", exchange.url
    default_symbols()
    try:
        with clock.use(SimulatedClock(tmp_path / "sim" / "clock.json")):
            yield mounted
    finally:
        metatrader5.unmount()
        exchange.stop()


def test_a_model_sees_the_worlds_own_numbers_at_each_close(world):
    report = update_outside(["ETHUSD"])
    assert report.exit_code == ExitCode.DONE, [str(update.error) for update in report.failures]
    bars = get_recent_data("ETHUSDT", "15m", 200)

    frame = outside_features("ETHUSD", bars.index, interval="15m")

    closes = bars.index.as_unit("ms").asi8 + HOUR_MS // 4
    settled = (closes - 60_000) // FUNDING_MS * FUNDING_MS  # a minute after its hour at the earliest
    expected = [funding_rate(world.market, "ETHUSD", at_ms) for at_ms in settled.tolist()]
    np.testing.assert_allclose(frame["funding_rate"], expected, rtol=0, atol=1e-12)
    days = (closes - HOUR_MS) // DAY_MS * DAY_MS
    np.testing.assert_array_equal(frame["fear_greed"], [fear_greed(world.market, day) for day in days.tolist()])
    assert list(frame.attrs["absent"]) == ["book_imbalance"]  # the book of now is known to no bar yet


def test_bar_by_bar_only_what_is_due_is_brought_and_books_gather(world):
    update_outside(["BTCUSD"])
    n_fundings = FundingRate.objects.count()

    for i in range(1, 5):
        control.step(START + timedelta(minutes=15 * i))
        assert update_outside(["BTCUSD"]).exit_code == ExitCode.DONE

    assert BookSnapshot.objects.count() == 5
    assert FundingRate.objects.count() == n_fundings
    assert Sentiment.objects.first().at.hour == 0
    bars = get_recent_data("BTCUSDT", "15m", 4)
    frame = outside_features("BTCUSD", bars.index, interval="15m")
    stored = [book.imbalance for book in BookSnapshot.objects.order_by("at_ms")[:4]]
    assert frame["book_imbalance"].tolist() == pytest.approx(stored, abs=1e-12)


def next_setup(bot: BotSymbol, *, at_most: int, brings: bool) -> Setup:
    """Let bars close until one has a setup; ``brings`` says whether anybody asks the outside sources meanwhile."""
    for _ in range(at_most):
        control.step(clock.market_now() + BAR)
        get_recent_data("SOLUSDT", "15m", 4)
        found = scan(bot, now=clock.market_now())
        if brings:
            bring_outside()
        if found:
            return found[0]
    raise AssertionError(f"no setup in {at_most} bars")


@pytest.mark.slow
def test_in_the_demo_a_filter_learns_from_funding_and_mood_judges_by_them_and_says_when_they_are_away(
    world, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(unseen, "SHUFFLES", 1)
    monkeypatch.setattr(fresh, "check", lambda task, *, root, key: fresh.answer(task, root=root, key=key))
    settings.MODEL_DIR = tmp_path / "models"
    Symbol.objects.all().delete()
    Symbol.objects.create(name="SOLUSD", binance_symbol="SOLUSDT", is_traded=False)  # as the demo has it
    bot = BotSymbol.objects.create(name="SOLUSD", broker="mt5", data_symbol="SOLUSDT")
    make_settings(outside_columns=["fear_greed", "funding_rate"], train_days=30, unseen_days=1)
    bring_outside()
    get_recent_data("SOLUSDT", "15m", 45 * 96)

    trained = train(targets()[0])

    assert trained.left_out == ()
    names = [name for name, _ in trained.model.columns]
    assert names[-3:] == ["funding_rate", "fear_greed", "direction"]
    promote(trained.model.pk, actor=SYSTEM, reason="a test", override=True)
    bring_outside()

    judged = next_setup(bot, at_most=40, brings=True)
    close_ms = int((judged.bar_at + BAR).timestamp() * 1000)
    settled_ms = (close_ms - 60_000) // FUNDING_MS * FUNDING_MS
    assert judged.features["funding_rate"] == funding_rate(world.market, "SOLUSD", settled_ms)
    assert judged.features["fear_greed"] == fear_greed(world.market, (close_ms - HOUR_MS) // DAY_MS * DAY_MS)
    assert judged.confidence is not None

    control.step(clock.market_now() + timedelta(hours=10))
    get_recent_data("SOLUSDT", "15m", 48)
    blind = next_setup(bot, at_most=40, brings=False)
    assert (blind.approved, blind.confidence, blind.features["funding_rate"]) == (False, None, None)
    assert blind.reasons[0].startswith("features: funding_rate is away since 2026-03-")

    control.step(clock.market_now() + timedelta(hours=20))
    assert "stale:funding:SOLUSDT" in {trouble.key for trouble in stale_series()}
