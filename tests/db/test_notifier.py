"""Alerts reach a person: through apprise, to a service of this machine that takes, fails, hangs or is away."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction
from loguru import logger

from execution.sentinel import Sentinel
from ops import alerts, clock, delivery, lanes, leases, notifier
from ops.audit import SYSTEM
from ops.lanes import Patience
from ops.models import Alert, AlertDelivery, AuditEntry
from ops.notifier import Notifier, is_working, see_through, unreadable_destinations
from ops.pacing import Due
from ops.watches import undelivered_alerts
from tests.alert_receiver import key_of, listening, told_to, work, working
from tests.desk import open_desk
from tests.pages_reader import PLAIN_SITE
from tests.people import client_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
CRITICAL = Alert.Level.CRITICAL
Status = AlertDelivery.Status
TOKEN = "hunter2-SECRET-token"


@pytest.fixture
def receiver():
    with listening() as open_receiver:
        yield open_receiver


@pytest.fixture
def told(receiver):
    with told_to(receiver.url):
        yield receiver


def owed() -> list[tuple[str, str]]:
    return list(AlertDelivery.objects.order_by("pk").values_list("kind", "title"))


def statuses() -> set[str]:
    return set(AlertDelivery.objects.values_list("status", flat=True))


def nothing_waits() -> bool:
    return not AlertDelivery.objects.waiting().exists()


def make_old(by: timedelta) -> None:
    """Let everything that is owed have been owed for so long."""
    for row in AlertDelivery.objects.all():
        AlertDelivery.objects.filter(pk=row.pk).update(created_at=row.created_at - by)


# --- what is owed -------------------------------------------------------------------------------------------------


def test_each_destination_is_owed_what_was_raised_and_repeats_only_count():
    with told_to("json://127.0.0.1:1/", "json://127.0.0.1:2/"):
        for _ in range(3):
            alerts.raise_alert("session", "no answer")
    assert list(AlertDelivery.objects.order_by("pk").values_list("label", "kind", "alert__count")) == [
        ("json 1", "raised", 3),
        ("json 2", "raised", 3),
    ]


def test_what_gets_worse_and_the_end_of_what_was_critical_are_owed_too(told):
    alerts.raise_alert("loss", "soft")
    alerts.raise_alert("loss", "hard", level=CRITICAL)
    alerts.raise_alert("loss", "soft again")
    alerts.resolve_alert("loss")
    assert owed() == [("raised", "soft"), ("worse", "hard"), ("over", "soft again")]


def test_mere_information_and_the_end_of_a_warning_are_not_told_outside(told):
    alerts.raise_alert("note", "by the way", level=Alert.Level.INFO)
    alerts.raise_alert("session", "no answer")
    alerts.resolve_alert("session")
    assert owed() == [("raised", "no answer")]


def test_nothing_is_owed_of_what_is_rolled_back(told):
    with transaction.atomic():
        alerts.raise_alert("session", "no answer")
        transaction.set_rollback(True)
    assert owed() == []


def test_without_a_destination_nothing_is_owed():
    alerts.raise_alert("session", "no answer", level=CRITICAL)
    assert owed() == []


# --- what arrives -------------------------------------------------------------------------------------------------


def test_an_alert_arrives_with_its_mode_level_and_words(told):
    alerts.raise_alert("kill", "Killed by ann", detail="the spread", level=CRITICAL)
    with working() as ours:
        work(ours, nothing_waits)
    [message] = told.taken
    assert message["title"] == "[DEMO] CRITICAL: Killed by ann"
    assert "critical Killed by ann: the spread" in message["message"]
    assert message["type"] == "failure"
    row = AlertDelivery.objects.get()
    assert (row.status, row.attempts, row.error) == ("sent", 1, "")


def test_a_burst_is_one_message_with_counts(told):
    for symbol in ("BTCUSD", "ETHUSD", "BNBUSD"):
        alerts.raise_alert(f"session:{symbol}", f"{symbol}: no answer")
    for _ in range(4):
        alerts.raise_alert("flap", "It flaps")
        alerts.resolve_alert("flap")
    with working() as ours:
        work(ours, nothing_waits)
    [message] = told.taken
    assert message["title"] == "[DEMO] 7 alerts"
    lines = message["message"].splitlines()
    assert [line.split("warning ")[1].split(" (")[0] for line in lines] == [
        *("BTCUSD: no answer", "ETHUSD: no answer", "BNBUSD: no answer"),
        "It flaps ×4",
    ]
    assert "(over since " in lines[-1]


def test_a_flood_is_cut_and_says_by_how_much(told):
    for n in range(delivery.MOST_LINES + 5):
        alerts.raise_alert(f"n:{n}", f"number {n}")
    message = delivery.compose(delivery.owed_to(key_of("json"), at_most=200))
    assert message.body.splitlines()[-1] == "and 5 more: see the Alerts page"


def test_after_failures_all_that_waits_arrives_in_order(told):
    told.answers = [500, 503]
    alerts.raise_alert("first", "first")
    with working() as ours:
        work(ours, lambda: AlertDelivery.objects.filter(error="the service answered with status 500").exists())
        alerts.raise_alert("second", "second")
        work(ours, nothing_waits)
        alerts.raise_alert("third", "third")
        work(ours, nothing_waits)
    assert len(told.asked) == 4
    said = "\n".join(f"{message['title']}\n{message['message']}" for message in told.taken)
    assert said.index(" first") < said.index(" second") < said.index(" third")
    assert told.titles[-1] == "[DEMO] third"
    assert statuses() == {"sent"}
    assert AlertDelivery.objects.get(title="first").attempts == 3


def test_what_was_raised_while_the_service_was_away_arrives_when_it_is_back(told):
    told.close()
    alerts.raise_alert("kill", "Killed", level=CRITICAL)
    with working() as ours:
        work(ours, lambda: AlertDelivery.objects.filter(attempts__gte=1).exists())
        assert "not be reached" in AlertDelivery.objects.get().error
        told.open()
        work(ours, nothing_waits)
    assert told.titles == ["[DEMO] CRITICAL: Killed"]


def test_a_service_that_hangs_is_given_up_in_time_and_holds_up_no_other():
    with listening() as hung, listening() as healthy, told_to(f"{hung.url}?rto=600", healthy.url):
        hung.is_hung.set()
        alerts.raise_alert("session", "no answer")
        with working(patience=Patience(first_s=3600.0)) as ours:
            work(ours, lambda: bool(healthy.taken and hung.asked))
            waiting = AlertDelivery.objects.get(label="json 1")
            assert (waiting.status, waiting.attempts) == ("waiting", 0)
            ours._lanes[0].call._deadline = time.monotonic()  # its 20 s are over
            ours.round()
        row = AlertDelivery.objects.get(label="json 1")
        assert (row.status, row.attempts, row.error) == ("waiting", 1, "no answer within 20 s")


@pytest.mark.django_db(transaction=True)
def test_a_service_that_hangs_delays_neither_an_alert_nor_the_sentinel(told, tmp_path):
    told.is_hung.set()
    alerts.raise_alert("before", "before")
    with working() as ours:
        work(ours, lambda: len(told.asked) == 1)
        assert_nobody_waits(told, tmp_path)


def assert_nobody_waits(told, tmp_path) -> None:
    with open_desk(tmp_path) as desk:
        watch = Sentinel()
        watch.round()
        desk.step(timedelta(seconds=1))
        began = time.monotonic()
        watch.round()
        alerts.raise_alert("loss", "soft", level=CRITICAL)
        alerts.resolve_alert("loss")
        assert time.monotonic() - began < 1.0
        assert len(told.asked) == 1  # nobody but the notifier asks


def test_a_crash_between_sending_and_marking_sends_twice_and_never_not_at_all(told):
    alerts.raise_alert("kill", "Killed", level=CRITICAL)
    with working() as first:
        work(first, lambda: bool(told.taken))  # it arrived, and the one who sent it never learns
    assert statuses() == {"waiting"}
    with working() as second:
        work(second, nothing_waits)
    assert told.titles == ["[DEMO] CRITICAL: Killed"] * 2


def test_a_database_that_is_busy_when_it_is_marked_does_not_make_it_sent_again(told, monkeypatch):
    busy = [DatabaseError("locked"), DatabaseError("locked")]

    def mark(rows):
        if busy:
            raise busy.pop()
        delivery.note_sent(rows)

    monkeypatch.setattr(lanes, "note_sent", mark)
    monkeypatch.setattr(notifier, "close_old_connections", lambda: None)
    alerts.raise_alert("kill", "Killed", level=CRITICAL)
    with working() as ours:
        work(ours, nothing_waits)
    assert busy == []
    assert len(told.asked) == 1


def test_after_a_day_it_is_given_up_with_its_reason_and_an_alert_says_so(told):
    told.answers = [500]
    alerts.raise_alert("session", "no answer")
    with working(patience=Patience(first_s=3600.0)) as ours:
        work(ours, lambda: AlertDelivery.objects.filter(attempts=1).exists())
    make_old(delivery.GIVEN_UP_AFTER - timedelta(minutes=1))
    assert delivery.give_up() == 0
    make_old(timedelta(minutes=2))
    assert delivery.give_up() == 1
    row = AlertDelivery.objects.get()
    assert (row.status, row.error) == ("failed", "the service answered with status 500")
    [trouble] = undelivered_alerts()
    assert (trouble.key, trouble.title) == (
        "undelivered:json",
        "Alerts do not reach json: the service answered with status 500",
    )


def test_a_critical_alert_is_told_again_until_somebody_acknowledges_it(told):
    alert = alerts.raise_alert("kill", "Killed", level=CRITICAL)
    alerts.raise_alert("session", "no answer")
    assert delivery.remind() == 0

    for _ in range(2):
        make_old(delivery.REMIND_AFTER + timedelta(seconds=1))
        assert delivery.remind() == 1
        assert delivery.remind() == 0
    assert owed() == [("raised", "Killed"), ("raised", "no answer"), ("again", "Killed"), ("again", "Killed")]

    alerts.acknowledge_alert(alert.pk, SYSTEM)
    make_old(delivery.REMIND_AFTER + timedelta(seconds=1))
    assert delivery.remind() == 0


def test_the_notifier_reminds_and_says_that_it_is_an_old_one(told):
    alerts.raise_alert("kill", "Killed", level=CRITICAL)
    with working() as ours:
        work(ours, lambda: len(told.taken) == 1)
        make_old(delivery.REMIND_AFTER + timedelta(seconds=1))
        ours._tidy_due = Due(0.0)
        work(ours, lambda: len(told.taken) == 2)
    assert told.titles[1].endswith("CRITICAL: still: Killed")


def test_an_address_that_apprise_cannot_read_fails_with_a_reason_and_the_others_are_told(receiver):
    with told_to("carrier-pigeon://loft/", receiver.url):
        alerts.raise_alert("session", "no answer")
        with working() as ours:
            work(ours, nothing_waits)
        assert [label for label, _ in unreadable_destinations()] == ["carrier-pigeon"]
    row = AlertDelivery.objects.get(label="carrier-pigeon")
    assert (row.status, row.error) == ("failed", "apprise knows no such service, or the address lacks a part")
    assert receiver.titles == ["[DEMO] no answer"]


def test_what_is_owed_to_an_address_that_was_taken_away_is_ended_with_a_reason(told):
    alerts.raise_alert("session", "no answer")
    with told_to():
        delivery.give_up()
    row = AlertDelivery.objects.get()
    assert (row.status, row.error) == ("failed", "its address is not in ALERT_URLS any more")


def test_only_one_notifier_works_and_the_next_takes_over(told):
    with working() as first, working() as second:
        first.round()
        alerts.raise_alert("session", "no answer")
        second.round()
        assert [lane.call for lane in second._lanes] == [None]
        work(first, nothing_waits)
        assert is_working()
        first.let_go()
        assert not is_working()
        alerts.raise_alert("more", "more")
        second._lease_due.at_mono = float("-inf")
        work(second, nothing_waits)
    assert told.titles == ["[DEMO] no answer", "[DEMO] more"]


def test_a_notifier_whose_lease_somebody_took_stops_sending(told):
    told.is_hung.set()
    with working() as first:
        alerts.raise_alert("session", "no answer")
        work(first, lambda: bool(told.asked))
        leases.Lease.objects.filter(name=notifier.LEASE).update(holder="another", token=99)
        first._lease_due.at_mono = float("-inf")
        first.round()
        told.is_hung.clear()
        alerts.raise_alert("more", "more")
        first.round()
        assert [lane.call for lane in first._lanes] == [None]
    assert len(told.asked) == 1
    assert statuses() == {"waiting"}


# --- the test -----------------------------------------------------------------------------------------------------


def test_a_test_is_sent_though_the_service_failed_a_moment_ago_and_is_audited(told):
    told.answers = [500]
    alerts.raise_alert("session", "no answer")
    with working(patience=Patience(first_s=3600.0)) as ours:
        work(ours, lambda: AlertDelivery.objects.filter(attempts=1).exists())
        alerts.send_test(SYSTEM)
        work(ours, nothing_waits)
    assert "test: Alerts reach you here: a test asked for by system" in told.taken[0]["message"]
    entry = AuditEntry.objects.get(action="alert test")
    assert entry.after == {"destinations": ["json"]}


def test_whoever_asks_for_a_test_sends_it_where_no_notifier_works(told):
    [row] = see_through(alerts.send_test(SYSTEM), within_s=30)
    assert row.status == "sent"
    assert told.titles == ["[DEMO] test: Alerts reach you here: a test asked for by system"]
    assert not is_working()


# --- secrets ------------------------------------------------------------------------------------------------------


def test_no_part_of_an_address_reaches_a_row_a_page_the_admin_a_log_or_an_error(receiver, settings, tmp_path):
    receiver.answers = [500] * 9
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="DEBUG")
    address = f"json://desk:{TOKEN}@127.0.0.1:{receiver.port}/{TOKEN}/?+X-Key={TOKEN}"
    broken = f"carrier-pigeon://{TOKEN}/"
    settings.STORAGES, settings.STATIC_ROOT = PLAIN_SITE["STORAGES"], tmp_path
    try:
        with told_to(address, broken), working() as ours:
            shown = [repr(settings.ALERT_URLS), str(settings.ALERT_URLS[0])]
            alerts.raise_alert("session", "no answer")
            work(ours, lambda: AlertDelivery.objects.filter(attempts__gte=2).exists())
            unreadable_destinations()
            client = client_of("owner")
            pages = ("/", "/alerts/", "/admin/ops/alertdelivery/", "/admin/ops/alert/")
            shown += [client.get(page).content.decode() for page in pages]
            row = AlertDelivery.objects.first()
            shown.append(client.get(f"/admin/ops/alertdelivery/{row.pk}/change/").content.decode())
    finally:
        logger.remove(sink)
    shown += [str(list(AlertDelivery.objects.values())), str(list(AuditEntry.objects.values())), *lines]
    assert any("status 500" in text for text in shown)
    assert [text for text in shown if TOKEN in text] == []
    assert get_user_model().objects.exists()


def test_back_off_doubles_up_to_its_longest():
    patience = Patience(first_s=5.0, longest_s=600.0)
    assert [patience.after(n) for n in (1, 2, 3, 8, 1000)] == [5.0, 10.0, 20.0, 600.0, 600.0]


def test_the_loop_ends_when_it_is_asked_to(told, monkeypatch):
    rounds = iter([False, False, True])
    monkeypatch.setattr(clock.current(), "sleep", lambda seconds: None, raising=False)
    Notifier(patience=Patience(start_s=3600.0)).run(lambda: next(rounds))
    assert not is_working()
