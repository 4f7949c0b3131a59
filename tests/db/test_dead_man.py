"""The dead man's switch: pinged after a reconcile that succeeded, and at no other time."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from loguru import logger

from execution.errors import BrokerUnavailableError
from execution.safety.reconcile import HEARTBEAT, reconcile
from ops import clock, dead_man, heartbeats
from ops.dead_man import EVERY_S, FRESH_S, RECONCILED, DeadMan, last_ping
from ops.destinations import heartbeat_destination
from tests.alert_receiver import listening, told_to, work, working
from tests.db.test_ops import StoppedClock
from tests.desk import open_desk

pytestmark = pytest.mark.django_db
SECRET = "/ping/hunter2-SECRET"


@pytest.fixture
def service():
    with listening() as receiver, told_to(heartbeat=f"http://127.0.0.1:{receiver.port}{SECRET}"):
        yield receiver


@pytest.fixture
def hands():
    with clock.use(StoppedClock()) as stopped:
        yield stopped


def test_it_waits_for_the_sign_of_life_that_a_reconcile_leaves():
    assert RECONCILED == HEARTBEAT


@pytest.mark.django_db(transaction=True)
def test_a_reconcile_that_succeeds_is_told_and_one_that_fails_is_not(service, tmp_path, monkeypatch):
    with open_desk(tmp_path) as desk, working() as notifier:
        notifier.round()
        assert service.asked == [SECRET]
        monkeypatch.setattr(desk.broker, "positions", _unavailable)
        for _ in range(3):
            with pytest.raises(BrokerUnavailableError):
                reconcile(desk.broker)
            clock.sleep(EVERY_S)
            notifier.round()
        assert service.asked == [SECRET]
        monkeypatch.undo()
        reconcile(desk.broker)
        notifier.round()
        assert service.asked == [SECRET, SECRET]


def _unavailable():
    raise BrokerUnavailableError("no answer")


def test_it_is_pinged_at_most_once_in_a_minute_and_once_for_each_reconcile(service, hands):
    switch = DeadMan()
    assert not switch.round()
    for _ in range(int(EVERY_S)):
        heartbeats.beat(RECONCILED)
        switch.round()
        hands.seconds += 1
    assert len(service.asked) == 1
    heartbeats.beat(RECONCILED)
    assert switch.round()
    hands.seconds += EVERY_S
    assert not switch.round()  # nobody has reconciled since
    assert not DeadMan().round()  # nor does a notifier that has just started think so
    assert len(service.asked) == 2


def test_a_reconcile_of_long_ago_proves_nothing(service, hands):
    heartbeats.beat(RECONCILED)
    hands.seconds += FRESH_S + 1
    assert not DeadMan().round()
    assert service.asked == []


@pytest.mark.parametrize(("status", "words"), [(302, "answered with status 302"), (500, "answered with status 500")])
def test_what_is_no_success_is_none_and_a_redirect_is_not_followed(service, hands, status, words):
    service.answers, service.headers = [status], {"Location": f"http://127.0.0.1:{service.port}/elsewhere"}
    heartbeats.beat(RECONCILED)
    assert not DeadMan().round()
    assert service.asked == [SECRET]
    assert last_ping() == (None, words)


def test_a_ping_that_failed_is_tried_again_for_the_same_reconcile(service, hands):
    service.answers = [500]
    switch = DeadMan()
    heartbeats.beat(RECONCILED)
    switch.round()
    hands.seconds += EVERY_S
    assert switch.round()
    assert last_ping()[1] == ""


def test_a_service_that_hangs_costs_its_time_limit_and_its_address_stays_a_secret(service, monkeypatch):
    monkeypatch.setattr(dead_man, "TIMEOUT_S", 0.2)
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)))
    service.is_hung.set()
    heartbeats.beat(RECONCILED)
    began = clock.mono()
    assert not DeadMan().round()
    assert clock.mono() - began < 5
    service.close()
    assert not DeadMan().round()
    logger.remove(sink)
    assert last_ping() == (None, "not reached (ConnectionError)")
    assert lines
    assert "SECRET" not in "".join(lines)


def test_without_an_address_nobody_is_pinged(hands):
    heartbeats.beat(RECONCILED)
    with told_to():
        assert not DeadMan().round()


@pytest.mark.parametrize(
    "url",
    ["http://example.org/x", "ftp://example.org/x", "https:///x", "example.org/SECRET", "http://[::1/", "http:/x"],
)
def test_an_address_that_others_could_read_stops_the_start_without_being_shown(url):
    with pytest.raises(ImproperlyConfigured, match=r"^HEARTBEAT_URL: use https") as raised:
        heartbeat_destination(url, salt="x")
    assert url not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["https://hc.example.org/x", "http://127.0.0.1:8/x", "http://[::1]:8/", "http://localhost/"]
)
def test_https_and_this_machine_are_accepted(url):
    assert heartbeat_destination(url, salt="x").url == url


def test_a_whole_round_pings_though_nothing_is_sent(service):
    heartbeats.beat(RECONCILED)
    with working() as notifier:
        work(notifier, lambda: bool(service.asked))
