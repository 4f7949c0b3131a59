"""``bot_run``, the bot's job and its clock: one run a bar, whoever asks for it."""

from __future__ import annotations

import pytest

from execution.bot import services
from execution.bot.jobs import bot_job
from execution.errors import BrokerUnavailableError
from execution.models import BotTrade
from mlfilter.models import BotSymbol
from ops import runs
from ops.models import Alert, Run
from tests.bot_builders import SYMBOL, bot_slot, found_setup, next_bar, scanning, venue_deals, watch_symbol
from tests.command_line import Ended, manage
from tests.desk import open_desk
from tests.docs_shapes import assert_documented

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        watch_symbol()
        next_bar(opened)
        yield opened


def typed(code: int, *arguments: str) -> Ended:
    ended = manage("bot_run", *arguments, "--json")
    assert ended.code == code, ended.err
    return ended


def test_the_command_acts_on_the_newest_closed_bar(desk):
    setup = found_setup(desk)
    with scanning(setup):
        document = typed(0, "--once").data

    assert_documented("bot_run", document)
    [run] = document["runs"]
    assert run["slot"] == bot_slot().key
    assert [(row["symbol"], row["verdict"]) for row in run["symbols"]] == [(SYMBOL, "traded")]
    assert [(row["id"], row["approved"]) for row in run["symbols"][0]["setups"]] == [(setup.pk, True)]
    assert run["n_open"] == 1
    assert Run.objects.get(job="bot").status == Run.Status.DONE


def test_typed_again_it_looks_again_and_enters_nothing_twice(desk):
    with scanning(found_setup(desk)):
        typed(0, "--once")
        [again] = typed(0, "--once").data["runs"]

    assert again["symbols"][0]["verdict"] == "known"
    assert len(venue_deals()) == 1
    assert Run.objects.filter(job="bot").count() == 2


def test_a_dry_run_says_what_it_would_look_at(desk):
    document = typed(0, "--once", "--dry-run").data

    assert_documented("bot_run --dry-run", document)
    [run] = document["runs"]
    assert (run["slot"], run["symbols"]) == (bot_slot().key, [SYMBOL])
    assert not Run.objects.filter(job="bot").exists()


def test_without_a_symbol_it_says_what_to_do(desk):
    BotSymbol.objects.update(is_enabled=False)
    assert "watches no symbol" in manage("bot_run", "--once").complaint


def test_a_netting_account_ends_the_command_in_words(tmp_path):
    with open_desk(tmp_path, margin_mode="netting") as netting:
        watch_symbol()
        next_bar(netting)
        assert "needs a hedging account" in manage("bot_run", "--once").complaint


def test_the_job_delivered_twice_trades_once(desk):
    run, _ = runs.create_run(services.JOB, bot_slot().key)
    with scanning(found_setup(desk)):
        bot_job(run.pk)
        bot_job(run.pk)

    assert len(venue_deals()) == 1
    assert BotTrade.objects.get().status == BotTrade.Status.OPEN
    assert Run.objects.get(pk=run.pk).result == {"verdicts": {SYMBOL: "traded"}}


def test_the_job_of_a_bar_that_is_past_is_skipped(desk):
    run, _ = runs.create_run(services.JOB, bot_slot().key)
    next_bar(desk)
    bot_job(run.pk)

    assert Run.objects.get(pk=run.pk).status == Run.Status.SKIPPED
    assert venue_deals() == []


def test_a_job_that_fails_says_so_until_one_ends_well(desk, monkeypatch):
    def unreachable(broker_key: str) -> None:
        raise BrokerUnavailableError("nobody answers")

    with monkeypatch.context() as patch:
        patch.setattr(services, "named_broker", unreachable)
        bot_job(runs.create_run(services.JOB, bot_slot().key)[0].pk)
    assert Run.objects.get(job="bot").status == Run.Status.FAILED
    assert Alert.objects.open().filter(key="bot").exists()

    next_bar(desk)
    with scanning():
        bot_job(runs.create_run(services.JOB, bot_slot().key)[0].pk)
    assert not Alert.objects.open().filter(key="bot").exists()
