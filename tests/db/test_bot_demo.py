"""The demo's bot: symbols of its own, settings that show something, and filters that come once the desk is up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django_q.models import OrmQ

from market.models import Symbol
from mlfilter.errors import FilterDataError
from mlfilter.models import BotSettings, BotSymbol
from tests.desk import open_desk
from tradingsite import demo_bot
from tradingsite.demo import offered_symbols

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        yield opened


def test_it_watches_symbols_of_its_own_beside_the_portfolio(desk):
    assert demo_bot.enrol_bot(offered_symbols()) == ("SOLUSD", "ADAUSD")

    assert list(BotSymbol.objects.enabled().values_list("name", "broker", "data_symbol")) == [
        ("SOLUSD", "mt5", "SOLUSDT"),
        ("ADAUSD", "mt5", "ADAUSDT"),
        ("SOLUSDT", "binance_spot", "SOLUSDT"),
        ("ADAUSDT", "binance_futures", "ADAUSDT"),
    ]
    assert not Symbol.objects.traded().filter(name__in=["SOLUSD", "ADAUSD"]).exists()
    BotSettings.objects.get().full_clean()


def test_it_asks_the_research_queue_for_its_filters(desk):
    OrmQ.objects.all().delete()
    demo_bot.enrol_bot(["SOLUSD"])

    [task] = OrmQ.objects.all()
    assert (task.key, task.func()) == ("research", "tradingsite.demo_bot.train_filters")


def test_what_a_person_made_of_it_stays(desk):
    demo_bot.enrol_bot(["SOLUSD"])
    BotSymbol.objects.update(is_enabled=False)
    BotSettings.objects.update(risk_per_trade=0.001)
    demo_bot.enrol_bot(["SOLUSD"])

    assert not BotSymbol.objects.enabled().exists()
    assert BotSettings.objects.get().risk_per_trade == 0.001


def test_a_replay_without_its_symbols_goes_without_it(desk):
    assert demo_bot.enrol_bot(["BTCUSD"]) == ()
    assert not BotSymbol.objects.exists()


def test_a_netting_account_goes_without_it(tmp_path):
    with open_desk(tmp_path, margin_mode="netting"):
        assert demo_bot.enrol_bot(["SOLUSD"]) == ()
    assert not BotSymbol.objects.exists()


def test_a_filter_that_cannot_be_trained_leaves_the_others(desk, monkeypatch):
    demo_bot.enrol_bot(["SOLUSD", "ADAUSD"])
    promoted = []

    def train(target, *, note):
        if target.symbol.name == "SOLUSD":
            raise FilterDataError("too few setups")
        return SimpleNamespace(model=SimpleNamespace(pk=target.symbol.name))

    monkeypatch.setattr("mlfilter.training.train", train)
    monkeypatch.setattr("execution.bot.enrolling.fetch_historical_data", lambda *what: None)
    monkeypatch.setattr("strategies.promotion.promote", lambda pk, **why: promoted.append((pk, why["override"])))
    demo_bot.train_filters()

    assert promoted == [("ADAUSD", True)]
