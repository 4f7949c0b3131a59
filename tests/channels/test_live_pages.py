"""What an open page is told at first and when something changes, and who is told nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError, transaction
from django.test import Client

from execution.models import Account, BrokerState
from ops import alerts
from ops.live import announce
from tests.channels.conftest import OpenPage, announce_now, raise_alert, slowly
from tests.pages_reader import assert_says_no_nonsense
from tradingsite.live.consumer import NOT_LOGGED_IN
from tradingsite.wiring import PANELS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio, pytest.mark.slow]

GARBAGE = (
    "not json",
    "[" * 100_000,  # too deep
    '{"after": ' + "9" * 5000 + "}",  # too long a number
    "[1, 2]",
    "null",
    '"panels"',
    "{}",
    '{"after": "1", "panels": ["account"]}',
    '{"after": 1.5, "panels": ["account"]}',
    '{"after": 0, "panels": "account"}',
    '{"after": 0, "panels": null}',
)


@database_sync_to_async
def set_equity(equity: str) -> None:
    """Let the account be read, as the sentinel does each second."""
    money = {"balance": Decimal(100_000), "equity": Decimal(equity), "margin": Decimal(0)}
    with transaction.atomic():
        account, _ = Account.objects.get_or_create(
            login=1, server="S", mode="demo", currency="USD", margin_mode="hedging", initial_balance=100_000
        )
        BrokerState.objects.update_or_create(account=account, defaults=money)
        announce("account")


# --- at the door -----------------------------------------------------------------------------------------------------


async def test_a_stranger_is_told_to_log_in_and_nothing_else(tail):
    page = OpenPage(Client())
    assert await page.connect()
    await page.greet("account", "state")
    assert await page.hear_close() == NOT_LOGGED_IN == 4401
    assert page.heard == [{"type": "close", "code": 4401}]
    assert await page.socket.receive_nothing()
    await page.leave()


async def test_a_page_of_another_site_is_not_let_in(tail, viewer):
    assert not await OpenPage(viewer, origin="https://elsewhere.example").connect()


async def test_a_page_that_says_nothing_is_told_nothing(tail, viewer):
    page = OpenPage(viewer)
    assert await page.connect()
    assert await page.socket.receive_nothing()
    await page.leave()


# --- at first --------------------------------------------------------------------------------------------------------


async def test_after_the_greeting_every_panel_of_the_page_comes_once(visit, viewer, monkeypatch):
    for name in PANELS:
        slowly(monkeypatch, name, 3600)
    page = await visit(viewer, *PANELS)
    await raise_alert("the end")
    await page.hear_alert("the end")
    again = {name for name in PANELS if "alerts" in PANELS[name].topics}
    assert {name: len(page.panels(name)) for name in PANELS if name not in again} == dict.fromkeys(
        PANELS.keys() - again, 1
    )


async def test_what_comes_is_the_panel_as_the_page_has_it(visit, viewer):
    page = await visit(viewer, *PANELS)
    for name in PANELS:
        [html, *_] = page.panels(name)
        assert f'id="{name}"' in html
        assert "data-panel" in html
        assert_says_no_nonsense(html)


async def test_a_beat_comes_with_the_greeting(visit, viewer):
    [beat] = (await visit(viewer)).heard
    assert beat["type"] == "beat"
    assert beat["state"] == "killed"  # never armed: fail closed
    assert {"seq", "market_at", "wall_at", "speed", "data_at"} <= beat.keys()


@pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_before_the_greeting_does_no_harm(tail, viewer, text):
    page = OpenPage(viewer)
    assert await page.connect()
    await page.say(text=text)
    await page.say(data=b"\x00\xff")
    await page.greet("account")
    await page.hear_panels("account")
    await page.leave()


async def test_panels_that_do_not_exist_are_left_out(visit, viewer):
    page = await visit(viewer, "nonsense", None, 7, ["account"], {"account": 1}, "__class__", "account")
    await raise_alert("the end")
    await page.hear_alert("the end")
    assert {message["id"] for message in page.heard if message["type"] == "panel"} == {"account"}


async def test_only_the_first_greeting_counts(visit, viewer):
    page = await visit(viewer, "positions")
    await page.greet("account")
    await page.say(text="garbage")
    await raise_alert("the end")
    await page.hear_alert("the end")
    assert page.panels("account") == []


async def test_an_id_from_the_far_future_does_no_harm(visit, viewer):
    page = await visit(viewer, "account", after=10**30)
    await raise_alert("still told")
    await page.hear_alert("still told")


# --- news ------------------------------------------------------------------------------------------------------------


async def test_a_committed_change_reaches_the_open_page(visit, viewer):
    page = await visit(viewer, "account")
    await set_equity("123456.78")
    await page.hear_panels("account")
    assert "123\u202f456.78" in page.panels("account")[-1]


async def test_a_change_that_was_rolled_back_is_nobodys_news(visit, viewer):
    page = await visit(viewer, "positions")

    with pytest.raises(OperationalError):
        await database_sync_to_async(change_and_fail)()
    await raise_alert("the end")
    await page.hear_alert("the end")
    assert page.alerts() == ["the end"]
    assert len(page.panels("positions")) == 1


@transaction.atomic
def change_and_fail() -> None:
    alerts.raise_alert("never", "never")
    announce("account")
    raise OperationalError("the disk is full")


async def test_a_storm_of_news_reaches_a_page_as_few_panels_and_the_last_of_them(visit, viewer, monkeypatch):
    slowly(monkeypatch, "account", 0.3)
    page = await visit(viewer, "account")
    loop = asyncio.get_running_loop()
    began = loop.time()
    for cents in range(60):
        await set_equity(f"100000.{cents:02}")
    await page.hear_until(lambda message: "100\u202f000.59" in message.get("html", ""))
    took_s = loop.time() - began
    assert len(page.panels("account")) - 1 <= took_s / 0.3 + 1


async def test_alerts_overtake_panels_that_have_to_wait(visit, viewer, monkeypatch):
    slowly(monkeypatch, "account", 3600)
    slowly(monkeypatch, "attention", 3600)
    page = await visit(viewer, "account", "attention")
    for _ in range(20):
        await announce_now("account")
    await raise_alert("fire")
    await page.hear_alert("fire")
    await page.hear_panels("attention")  # at once too, whatever its gap
    assert "fire" in page.panels("attention")[-1]
    assert len(page.panels("account")) == 1


async def test_alerts_come_in_the_order_in_which_they_were_raised(visit, viewer):
    page = await visit(viewer)
    titles = [f"alert {n}" for n in range(12)]
    for title in titles:
        await raise_alert(title)
    await page.hear_alert(titles[-1])
    assert page.alerts() == titles
    seqs = [message["seq"] for message in page.heard if message["type"] == "alert"]
    assert seqs == sorted(set(seqs))


async def test_every_open_page_hears_it(visit, viewer, operator):
    first, second = await visit(viewer), await visit(operator)
    await raise_alert("for all")
    await first.hear_alert("for all")
    await second.hear_alert("for all")
