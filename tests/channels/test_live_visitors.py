"""Who comes back hears what was missed, once; who may no longer look is shut out."""

from __future__ import annotations

import asyncio

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.test import Client

from execution.models import ControlRow
from execution.safety import control
from execution.safety.armed import ArmedMark
from ops import alerts
from ops.audit import SYSTEM
from ops.live import prune_announcements
from ops.models import Announcement
from tests.channels.conftest import OpenPage, announce_now, caught_up, raise_alert, sign_of_life
from tradingsite.live import consumer
from tradingsite.live.consumer import NOT_LOGGED_IN, LiveConsumer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


@database_sync_to_async
def arm() -> None:
    control.armed_file().arm(ArmedMark(login=1, server="S"))
    ControlRow.objects.create(scope=ControlRow.SYSTEM, state=ControlRow.State.ARMED)


# --- coming back -----------------------------------------------------------------------------------------------------


async def seen_by(page: OpenPage) -> int:
    """Return the id that the page's script would come back with."""
    return max(message.get("seq", 0) for message in page.heard)


async def test_who_comes_back_hears_what_was_missed_once_and_in_order(visit, viewer, tail):
    page = await visit(viewer)
    await raise_alert("seen before")
    await page.hear_alert("seen before")
    after = await seen_by(page)
    await page.leave()
    for title in ("missed 1", "missed 2"):
        await raise_alert(title)
    await caught_up(tail)  # so that nothing but the replay can tell it
    again = await visit(viewer, after=after)
    await again.hear_alert("missed 2")
    await raise_alert("new")
    await again.hear_alert("new")
    assert again.alerts() == ["missed 1", "missed 2", "new"]


async def test_who_missed_nothing_hears_nothing_twice(visit, viewer):
    page = await visit(viewer)
    await raise_alert("seen")
    await page.hear_alert("seen")
    again = await visit(viewer, after=await seen_by(page))
    await raise_alert("new")
    await again.hear_alert("new")
    assert again.alerts() == ["new"]


async def test_a_page_that_was_just_loaded_is_not_told_of_old_alerts(visit, viewer, tail):
    await raise_alert("on the page already")
    await caught_up(tail)
    page = await visit(viewer, after=0)
    await raise_alert("new")
    await page.hear_alert("new")
    assert page.alerts() == ["new"]


async def test_a_missed_alert_that_is_gone_is_not_told(visit, viewer, tail):
    await raise_alert("before")
    after = await caught_up(tail)
    await raise_alert("solved meanwhile")
    await database_sync_to_async(alerts.resolve_alert)("solved meanwhile")
    again = await visit(viewer, after=after)
    await raise_alert("new")
    await again.hear_alert("new")
    assert again.alerts() == ["new"]


async def test_news_between_subscribing_and_replaying_is_told_once(visit, viewer, tail, monkeypatch):
    """It is in the replay, and comes through the queue as well."""
    await raise_alert("old")
    after = await caught_up(tail)
    read = consumer.missed_alerts

    def read_just_after_a_commit(seq: int):
        alerts.raise_alert("in between", "in between")
        return read(seq)

    monkeypatch.setattr(consumer, "missed_alerts", read_just_after_a_commit)
    page = await visit(viewer, after=after)
    await page.hear_alert("in between")
    await raise_alert("new")
    await page.hear_alert("new")
    assert page.alerts() == ["in between", "new"]


async def test_no_message_claims_an_id_whose_alert_was_not_told_yet(visit, viewer, tail, fast_beat, monkeypatch):
    """A page that loses its connection in the middle of the replay must ask for the rest of it again."""
    await raise_alert("seen")
    after = await caught_up(tail)
    await raise_alert("missed")
    await caught_up(tail)
    gate, tell = asyncio.Event(), LiveConsumer._tell

    async def held(self, news):
        await gate.wait()
        await tell(self, news)

    monkeypatch.setattr(LiveConsumer, "_tell", held)
    page = await visit(viewer, after=after)
    for _ in range(3):
        await page.hear_until(lambda message: message["type"] == "beat")
    assert await seen_by(page) <= after
    gate.set()
    told = await page.hear_alert("missed")
    await page.hear_until(lambda message: message["type"] == "beat" and message["seq"] >= told["seq"])


async def test_an_outbox_that_was_pruned_meanwhile_costs_nothing_but_the_old_news(visit, viewer, tail):
    await raise_alert("old")
    after = await caught_up(tail)
    await raise_alert("too old to be told")
    await caught_up(tail)
    await database_sync_to_async(Announcement.objects.update)(created_at="2020-01-01T00:00Z")
    assert await database_sync_to_async(prune_announcements)() == 2
    page = await visit(viewer, "attention", after=after)
    assert "too old to be told" in page.panels("attention")[0]  # what is missed is in its panel
    await raise_alert("new")
    assert (await page.hear_alert("new"))["seq"] > after
    assert page.alerts() == ["new"]


# --- who may see it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["logs out", "is deactivated", "gets a new password"])
async def test_the_open_page_of_who_may_no_longer_look_is_closed(visit, viewer, fast_beat, how):
    page = await visit(viewer, "account")
    await database_sync_to_async(shut_out)(viewer, how)
    assert await page.hear_close() == NOT_LOGGED_IN
    n_heard = len(page.heard)
    await raise_alert("not for them")
    assert await page.socket.receive_nothing()
    assert len(page.heard) == n_heard


def shut_out(client: Client, how: str) -> None:
    user = get_user_model().objects.get(pk=client.session["_auth_user_id"])
    if how == "logs out":
        client.logout()
    elif how == "is deactivated":
        get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    else:
        user.set_password("another horse battery")
        user.save(update_fields=["password"])


async def test_who_lost_a_role_sees_its_controls_locked(visit, operator, fast_beat):
    await sign_of_life()
    await arm()
    page = await visit(operator, "controls")
    assert "Pause" in page.panels("controls")[0]
    assert "disabled" not in page.panels("controls")[0]
    await database_sync_to_async(take_roles_away)("operator")
    n_beats = len([message for message in page.heard if message["type"] == "beat"])
    for _ in range(n_beats + 2):  # the person is looked at anew before each
        await page.hear_until(lambda message: message["type"] == "beat")
    await announce_now("state")
    await page.hear_until(lambda message: "disabled" in message.get("html", ""))
    assert "Needs the Operator role" in page.panels("controls")[-1]


def take_roles_away(name: str) -> None:
    get_user_model().objects.get(username=name).groups.clear()


async def test_pausing_anywhere_changes_the_controls_of_an_open_page(visit, operator):
    await sign_of_life()
    await arm()
    page = await visit(operator, "controls", "state")
    await database_sync_to_async(control.pause)(SYSTEM, reason="lunch")
    await page.hear_until(lambda message: "Resume" in message.get("html", ""))
    await page.hear_until(lambda message: 'data-word="paused"' in message.get("html", ""))
