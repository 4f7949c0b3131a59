"""The Alerts page, its commands and the doctor: what is shown of alerts and of who was told, and who may do what."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse

from ops import alerts, clock, heartbeats
from ops.dead_man import NOT_PINGED, PINGED
from ops.delivery import note_failed, note_sent
from ops.models import Alert, AlertDelivery, AuditEntry, Heartbeat
from ops.notifier import BEAT
from tests.alert_receiver import listening, told_to
from tests.fits_builders import run_command
from tests.pages_reader import PLAIN_SITE, read
from tests.people import FAST_LOGIN, client_of
from tradingsite.doctor import examine
from tradingsite.health import telling
from tradingsite.health.finding import State
from tradingsite.live.panels import panel_messages

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
CRITICAL = Alert.Level.CRITICAL
NOWHERE = "json://127.0.0.1:1/"


@pytest.fixture(autouse=True)
def _site(settings, tmp_path):
    settings.STORAGES, settings.PASSWORD_HASHERS = PLAIN_SITE["STORAGES"], FAST_LOGIN
    for name in ("run", "safety", "sim"):
        (tmp_path / name).mkdir()
    settings.STATE_DIR, settings.STATIC_ROOT, settings.RUN_DIR = tmp_path, tmp_path, tmp_path / "run"
    settings.SAFETY_DIR, settings.SIM_DIR = tmp_path / "safety", tmp_path / "sim"


def shown(client=None) -> str:
    html = (client or client_of("viewer")).get("/alerts/").content.decode()
    return " ".join(unescape(" ".join(read(html).text)).split())


def rows() -> list[AlertDelivery]:
    return list(AlertDelivery.objects.order_by("pk"))


class TestThePage:
    def test_nothing_wrong_and_nobody_to_tell_are_said(self):
        text = shown()
        assert "Nothing is wrong." in text
        assert "Alerts stay on this site: ALERT_URLS names no address." in text
        assert "not set: nobody outside would miss a dead desk" in text

    def test_the_worst_comes_first_with_its_count_and_what_is_over_last(self):
        alerts.raise_alert("over", "This is over")
        alerts.resolve_alert("over")
        for _ in range(3):
            alerts.raise_alert("session", "No answer", detail="a timeout")
        alerts.raise_alert("kill", "Killed by ann", level=CRITICAL)
        text = shown()
        assert text.index("Killed by ann") < text.index("No answer ×3 a timeout session") < text.index("This is over")
        assert "Open 2" in text

    def test_how_far_each_message_has_come(self):
        with told_to(NOWHERE, "json://127.0.0.1:2/"):
            alerts.raise_alert("session", "No answer")
            first, second = rows()
            note_sent([first])
            note_failed([second], "the service answered with status 500", is_final=False)
            text = shown()
        assert re.search(r"json 1: sent \d\d:\d\d:\d\d · json 2: waiting, tried 1×", text)
        assert "json 2 1 waiting: the service answered with status 500" in text

    def test_the_notifier_and_the_pings(self):
        client = client_of("viewer")
        with told_to(heartbeat="https://hc.example.org/x"):
            assert "no sign of life: nothing is sent" in shown(client)
            heartbeats.beat(BEAT)
            assert "notifier running" in shown(client)
            assert "nothing reconciled yet" in shown(client)
            heartbeats.beat(PINGED)
            assert "taken by hc.example.org" in shown(client)
            heartbeats.beat(NOT_PINGED, why="answered with status 404")
            assert "answered with status 404" in shown(client)
            Heartbeat.objects.filter(name=NOT_PINGED).delete()
            Heartbeat.objects.filter(name=PINGED).update(beat_at=clock.wall_now() - timedelta(minutes=10))
            assert "silent since the last successful reconcile" in shown(client)

    def test_it_is_live(self):
        user = client_of("viewer").get("/alerts/").wsgi_request.user
        alerts.raise_alert("session", "No answer")
        [message] = panel_messages(["alerts"], user, 1)
        assert "No answer" in message["html"]


class TestSeen:
    def test_an_operator_has_seen_it_is_led_back_and_it_is_audited(self):
        alert = alerts.raise_alert("session", "No answer")
        client = client_of("operator")
        [address] = re.findall(r'formaction="([^"]*acknowledge[^"]*)"', client.get("/alerts/").content.decode())
        assert client.post(unescape(address)).url == "/alerts/"
        assert "seen by operator" in shown(client)
        assert AuditEntry.objects.get(action="alert acknowledge").after == {"id": alert.pk, "title": "No answer"}
        client.post(unescape(address))
        assert AuditEntry.objects.filter(action="alert acknowledge").count() == 1

    def test_a_viewer_is_offered_neither_that_nor_a_test(self):
        alerts.raise_alert("session", "No answer")
        with told_to(NOWHERE):
            assert "formaction" not in client_of("viewer").get("/alerts/").content.decode()

    def test_from_a_command(self):
        alert = alerts.raise_alert("session", "No answer")
        assert run_command("alert_acknowledge", str(alert.pk), "--dry-run")[1]["data"]["dry_run"] is True
        assert Alert.objects.needing_action().exists()
        assert run_command("alert_acknowledge", str(alert.pk))[1]["data"]["acknowledged"] is True
        assert not Alert.objects.needing_action().exists()
        assert run_command("alert_acknowledge", str(alert.pk))[1]["data"]["acknowledged"] is False
        assert run_command("alert_acknowledge", "0")[0] == 2


class TestATest:
    def test_an_operator_sends_one_and_reads_where_it_goes(self):
        client = client_of("operator")
        with told_to(NOWHERE, "json://127.0.0.1:2/"):
            assert 'formaction="/alerts/test/"' in client.get("/alerts/").content.decode()
            assert client.post(reverse("alert_test")).url == "/alerts/"
            assert "A test goes to json 1, json 2" in shown(client)
        assert {(row.kind, row.status) for row in rows()} == {("test", "waiting")}
        assert AuditEntry.objects.get(action="alert test").actor == "operator"

    def test_without_an_address_it_says_so(self):
        client = client_of("operator")
        client.post(reverse("alert_test"))
        assert "There is nowhere to send a test to" in shown(client)

    def test_a_viewer_may_not_and_a_link_does_not(self):
        with told_to(NOWHERE):
            assert client_of("viewer").post(reverse("alert_test")).status_code == 403
            assert client_of("owner").get(reverse("alert_test")).status_code == 405
        assert rows() == []

    def test_the_command_says_for_each_address_whether_it_was_taken(self):
        with listening() as receiver, told_to(receiver.url, NOWHERE):
            assert run_command("alert_test", "--dry-run")[1]["data"]["destinations"] == ["json 1", "json 2"]
            assert rows() == []
            code, document, _ = run_command("alert_test")
        assert code == 7
        assert document["data"]["deliveries"] == [
            {"to": "json 1", "ok": True, "reason": ""},
            {"to": "json 2", "ok": False, "reason": "the service could not be reached, or refused it"},
        ]
        assert len(receiver.taken) == 1

    def test_the_command_ends_with_6_when_nobody_takes_it_and_with_2_when_there_is_nobody(self):
        with told_to(NOWHERE):
            assert run_command("alert_test")[0] == 6
        assert run_command("alert_test")[0] == 2


class TestTheList:
    def test_open_ones_with_who_was_told_and_all_on_request(self):
        with told_to(NOWHERE):
            alerts.raise_alert("kill", "Killed", level=CRITICAL)
        alerts.raise_alert("over", "Over")
        alerts.resolve_alert("over")
        [alert] = run_command("alert_list")[1]["data"]["alerts"]
        assert (alert["key"], alert["deliveries"][0]["to"], alert["deliveries"][0]["status"]) == (
            "kill",
            "json",
            "waiting",
        )
        assert len(run_command("alert_list", "--all")[1]["data"]["alerts"]) == 2
        assert len(run_command("alert_list", "--all", "--limit", "1")[1]["data"]["alerts"]) == 1


class TestTheDoctor:
    def look(self) -> dict[str, tuple[State, str]]:
        return {check.name: (check.state, check.detail) for check in examine(["alerts"])}

    def test_in_the_demo_nobody_has_to_be_told(self):
        assert {state for state, _ in self.look().values()} == {State.SKIP}

    def test_with_real_money_that_is_a_warning(self, settings):
        settings.TRADING_MODE = "live"
        found = self.look()
        assert (found["destinations"][0], found["heartbeat"][0]) == (State.WARN, State.WARN)

    def test_an_address_that_cannot_be_used_fails_and_one_that_took_its_message_is_well(self):
        with told_to("carrier-pigeon://hunter2/", NOWHERE):
            assert self.look()["json"] == (State.WARN, "never used")
            alerts.raise_alert("session", "No answer")
            note_sent(rows()[1:])
            found = self.look()
            assert found["carrier-pigeon"][0] == State.FAIL
            assert "hunter2" not in str(found)
            assert found["json"][0] == State.OK
            note_failed(_waiting_again(), "no answer within 20 s", is_final=False)
            assert self.look()["json"] == (State.FAIL, "its service took nothing: no answer within 20 s; 1 waiting")

    def test_the_process_that_sends(self, monkeypatch):
        heartbeats.beat(BEAT)
        assert self.look()["notifier"][0] == State.OK
        Heartbeat.objects.update(beat_mono=clock.mono() - 61)
        assert self.look()["notifier"][0] == State.SKIP
        monkeypatch.setattr(telling, "groups_file", _Supervised)
        assert self.look()["notifier"][0] == State.FAIL

    def test_the_pings(self, monkeypatch):
        with told_to(heartbeat="https://hc.example.org/x"):
            assert self.look()["heartbeat"][0] == State.SKIP
            heartbeats.beat(PINGED)
            assert self.look()["heartbeat"][0] == State.OK
            monkeypatch.setattr(telling, "groups_file", _Supervised)
            Heartbeat.objects.update(beat_at=clock.wall_now() - timedelta(minutes=4))
            assert self.look()["heartbeat"][0] == State.WARN
            heartbeats.beat(NOT_PINGED, why="answered with status 404")
            assert self.look()["heartbeat"] == (State.FAIL, "hc.example.org: answered with status 404")


class _Supervised:
    def is_supervised(self) -> bool:
        return True


def _waiting_again() -> list[AlertDelivery]:
    AlertDelivery.objects.filter(label="json").update(status="waiting")
    return list(AlertDelivery.objects.filter(label="json"))
