"""What an open page notices of a database that fails, a slow reader and a bug, and how it lives without a socket."""

from __future__ import annotations

import asyncio
import json

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError

from tests.channels.conftest import caught_up, eventually, raise_alert
from tradingsite.live import consumer, pace, panels
from tradingsite.live import tail as tail_module
from tradingsite.live.consumer import FAILED, TOO_SLOW, LiveConsumer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


async def test_panels_that_a_locked_database_held_back_are_tried_again(visit, viewer, monkeypatch):
    monkeypatch.setattr(pace, "RETRY_S", 0.05)
    render, failures = panels.panel_messages, iter([OperationalError("database is locked")] * 2)

    def locked_at_first(*arguments):
        for error in failures:
            raise error
        return render(*arguments)

    monkeypatch.setattr(consumer, "panel_messages", locked_at_first)
    await visit(viewer, "account")
    assert next(failures, None) is None


async def test_news_that_a_locked_database_held_back_is_read_later(visit, viewer, monkeypatch):
    """The database says once that it changed; whoever could not read then has to remember it."""
    page = await visit(viewer)
    monkeypatch.setattr(tail_module, "RETRY_S", 0.01)
    read, failures = tail_module.read_after, iter([OperationalError("database is locked")] * 3)

    def locked_at_first(*arguments, **options):
        for error in failures:
            raise error
        return read(*arguments, **options)

    monkeypatch.setattr(tail_module, "read_after", locked_at_first)
    await raise_alert("late")
    await page.hear_alert("late")
    assert next(failures, None) is None


async def test_a_page_that_cannot_be_rendered_is_asked_to_come_back_and_not_left_silent(visit, viewer, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(consumer, "panel_messages", broken)
    page = await visit(viewer, "account", settled=False)
    assert await page.hear_close() == FAILED
    assert await page.socket.receive_nothing()


async def test_a_page_that_reads_too_slowly_is_told_to_come_back(visit, viewer, tail, monkeypatch):
    monkeypatch.setattr(tail_module, "QUEUE_SIZE", 5)
    page = await visit(viewer, "account")
    gate, send = asyncio.Event(), LiveConsumer.send_json

    async def congested(self, content, close=False):
        await gate.wait()
        await send(self, content, close)

    monkeypatch.setattr(LiveConsumer, "send_json", congested)
    for n in range(8):
        await raise_alert(f"alert {n}")
    await caught_up(tail)
    gate.set()
    assert await page.hear_close() == TOO_SLOW == 4000


async def test_other_pages_do_not_wait_for_a_slow_one(visit, viewer, operator, monkeypatch):
    slow = await visit(viewer)
    gate, send = asyncio.Event(), LiveConsumer.send_json

    async def congested(self, content, close=False):
        if self.scope["user"].username == "viewer":
            await gate.wait()
        await send(self, content, close)

    monkeypatch.setattr(LiveConsumer, "send_json", congested)
    quick = await visit(operator)
    await raise_alert("for the quick")
    await quick.hear_alert("for the quick")
    assert slow.alerts() == []
    gate.set()
    await slow.hear_alert("for the quick")


async def test_a_closed_tab_is_not_handed_news_any_more(visit, viewer, tail):
    page = await visit(viewer)
    assert len(tail._subscribers) == 1
    await page.leave()
    await eventually(lambda: not tail._subscribers)


# --- without a socket ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["", "0", "-1", "x", "²", "9" * 18, "9" * 30, "9" * 5000], ids=range(8))
async def test_polling_with_any_id_is_answered_with_the_panels(viewer, after):
    ask = database_sync_to_async(viewer.get)
    response = await ask("/panels/", {"ids": "account,nonsense", "after": after})
    assert response.status_code == 200
    kinds = [message["type"] for message in json.loads(response.content)["messages"]]
    assert kinds == ["beat", "panel"]


async def test_a_bug_in_one_panel_is_told_in_its_place_and_the_others_stay_live(visit, viewer, monkeypatch):
    def broken(user):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("tradingsite.pages.overview.build_positions", broken)
    page = await visit(viewer, "account", "positions")
    await raise_alert("still here")
    assert (await page.hear_alert("still here"))["title"] == "still here"
    messages = await database_sync_to_async(panels.panel_messages)(["account", "positions"], viewer, 1)
    account, positions = (message["html"] for message in messages)
    assert 'id="account"' in account
    assert 'id="positions"' in positions
    assert "Could not load positions." in positions
    assert "a bug" not in positions


async def test_a_bug_leaves_the_kill_button_where_it_is(viewer, monkeypatch):
    def broken(user):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("tradingsite.pages.frame.build_state", broken)
    assert await database_sync_to_async(panels.panel_messages)(["controls", "state"], viewer, 1) == []
