"""The pages over HTTP: who may open and do what, what a kill does, and that the numbers agree with one another."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse

from execution.models import ControlRow, Decision, KillEvent
from execution.rearm import arm_phrase
from execution.safety import control
from execution.safety.control import State
from execution.sentinel import Sentinel
from ops import alerts, clock, heartbeats
from ops.clock import SimulatedClock
from ops.live import announce
from ops.models import Alert, AuditEntry, Heartbeat
from tests.desk import fill_desk, fit_desk, open_desk, run_slot
from tests.pages_reader import PLAIN_SITE, assert_says_no_nonsense, read
from tests.people import FAST_LOGIN, PASSWORD, client_of
from tradingsite.live.panels import build_panel
from tradingsite.live.tail import last_seq
from tradingsite.wiring import PANELS

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
real_transactions = pytest.mark.django_db(transaction=True)  # a gate sends nothing from within one

PAGES = ("/", "/portfolio/", "/bot/", "/alerts/", "/kill/", "/rearm/")
OPERATIONS = ("pause", "resume", "kill", "alert_test", "bot_pause", "bot_resume")
SIGNED_IN = ("owner", "risk", "operator", "viewer")


@pytest.fixture(autouse=True)
def _site(settings, tmp_path, monkeypatch):
    """Serve files as they are, keep the latch apart, and note the process that a kill would start."""
    settings.STORAGES = PLAIN_SITE["STORAGES"]
    settings.PASSWORD_HASHERS = FAST_LOGIN
    for name in ("run", "safety", "sim"):
        (tmp_path / name).mkdir()
    settings.STATE_DIR, settings.STATIC_ROOT, settings.RUN_DIR = tmp_path, tmp_path, tmp_path / "run"
    settings.SAFETY_DIR, settings.SIM_DIR = tmp_path / "safety", tmp_path / "sim"
    with clock.use(SimulatedClock(tmp_path / "sim" / "clock.json")):
        yield


@pytest.fixture(autouse=True)
def started(monkeypatch) -> list[list[str]]:
    """Return the commands that a kill from a page started because the sentinel is gone."""
    commands: list[list[str]] = []
    monkeypatch.setattr("execution.killing.Popen", lambda argv, **options: commands.append(argv))
    return commands


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path / "desk") as opened:
        yield opened


@pytest.fixture
def tmp_path(tmp_path):
    (tmp_path / "desk").mkdir()
    return tmp_path


def as_latched() -> list[str]:
    """Return the command that sees the only kill through, and begins no other."""
    event = KillEvent.objects.get()
    return ["trade_kill", f"--reason={event.cause}", "--latched", str(event.pk)]


def text_of(response) -> str:
    return " ".join(unescape(" ".join(read(response.content.decode()).text)).split())


def rearm_form(**changes: str) -> dict[str, str]:
    return {"what_changed": "the spread cap", "phrase": arm_phrase(), "password": PASSWORD} | changes


class TestWhoMayOpenWhat:
    @pytest.mark.parametrize("role", SIGNED_IN)
    @pytest.mark.parametrize("page", PAGES)
    def test_every_page_opens_for_whoever_is_logged_in(self, role, page):
        assert client_of(role).get(page).status_code == 200

    @pytest.mark.parametrize("page", [*PAGES, "/decisions/1/", "/panels/?ids=account"])
    def test_a_stranger_is_led_to_the_login(self, page):
        response = client_of("stranger").get(page)
        assert response.status_code == 302
        assert response.url.startswith("/login/?next=")

    def test_the_login_leads_to_the_page_that_was_asked_for(self):
        client_of("viewer")
        response = Client().post("/login/", {"username": "viewer", "password": PASSWORD, "next": "/portfolio/"})
        assert response.url == "/portfolio/"

    def test_a_login_leads_to_no_other_site(self):
        client_of("viewer")
        form = {"username": "viewer", "password": PASSWORD, "next": "https://elsewhere.example/"}
        assert Client().post("/login/", form).url == "/"

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_what_changes_something_is_post_only(self, operation):
        assert client_of("owner").get(reverse(operation)).status_code == 405
        assert not KillEvent.objects.exists()

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_viewer_may_not(self, operation, desk):
        assert client_of("viewer").post(reverse(operation)).status_code == 403
        assert control.current_control().state == State.ARMED
        assert control.armed_file().read() is not None

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_stranger_may_not(self, operation, desk):
        response = client_of("stranger").post(reverse(operation))
        assert response.url.startswith("/login/")
        assert control.current_control().state == State.ARMED

    def test_a_form_of_another_site_is_refused(self, desk):
        client = Client(enforce_csrf_checks=True)
        client.cookies = client_of("owner").cookies
        assert client.post(reverse("kill")).status_code == 403
        assert control.armed_file().read() is not None

    def test_an_unknown_decision_is_not_found(self):
        response = client_of("viewer").get("/decisions/404/")
        assert response.status_code == 404
        assert "There is no such page" in text_of(response)


@real_transactions
class TestPause:
    def test_pause_and_resume_and_who_did_it(self, desk):
        heartbeats.beat("sentinel")
        client = client_of("operator")
        assert client.post(reverse("pause"), {"reason": "lunch"}).url == "/"
        assert control.current_control().state == State.PAUSED
        assert "Paused by operator" in text_of(client.get("/"))
        client.post(reverse("resume"))
        assert control.current_control().state == State.ARMED
        paused, resumed = AuditEntry.objects.filter(action__in=["trade paused", "trade armed"]).order_by("pk")
        assert (paused.actor, paused.source, paused.reason) == ("operator", "page", "lunch")
        assert (resumed.actor, resumed.before, resumed.after) == ("operator", {"state": "paused"}, {"state": "armed"})

    def test_resume_does_not_undo_a_kill(self, desk):
        client = client_of("owner")
        client.post(reverse("kill"))
        client.post(reverse("resume"))
        assert ControlRow.objects.get(scope="system").state == State.KILLING
        assert "Nothing to resume" in text_of(client.get("/"))


@real_transactions
class TestKill:
    def test_a_kill_latches_at_once_and_says_who(self, desk):
        response = client_of("operator").post(reverse("kill"), {"reason": "odd fills"})
        assert response.url == "/kill/"
        assert control.armed_file().read() is None
        event = KillEvent.objects.get()
        assert (event.actor, event.source, event.cause) == ("operator", "page", "odd fills")
        assert event.terminal_latched_at is not None
        audited = AuditEntry.objects.get(action="trade kill")
        assert (audited.actor, audited.source) == ("operator", "page")
        assert Alert.objects.get(key="kill").level == "critical"

    def test_a_second_kill_finds_the_first(self, desk):
        client = client_of("operator")
        client.post(reverse("kill"), {"reason": "first"})
        client.post(reverse("kill"), {"reason": "second"})
        assert KillEvent.objects.get().cause == "first"
        assert AuditEntry.objects.filter(action="trade kill").count() == 1

    def test_the_page_shows_how_far_it_has_come_and_says_flat_only_with_the_read(self, desk):
        desk.adjust("BTCUSD", "0.10")
        client = client_of("operator")
        client.post(reverse("kill"))
        assert "Flat." not in text_of(client.get("/kill/"))
        Sentinel().round()
        words = text_of(client.get("/kill/"))
        assert f"read from the broker {KillEvent.objects.get().flat_at:%H:%M:%S} UTC" in words
        assert "Killed" in words

    def test_the_result_of_a_kill_is_what_the_balance_changed_by(self, desk):
        desk.adjust("BTCUSD", "0.10")
        desk.adjust("ETHUSD", "-0.50", cause="slot 2")
        desk.step(timedelta(hours=30))
        before = desk.broker.account().balance
        client = client_of("operator")
        client.post(reverse("kill"))
        Sentinel().round()
        assert build_panel("kill-progress", user_of(client)).result == desk.broker.account().balance - before

    def test_without_a_sentinel_a_process_of_its_own_closes(self, desk, started):
        client_of("operator").post(reverse("kill"))
        assert [argv[2:] for argv in started] == [as_latched()]

    def test_with_a_sentinel_one_stands_by_all_the_same(self, desk, started):
        heartbeats.beat("sentinel")
        client_of("operator").post(reverse("kill"))
        assert [argv[2:] for argv in started] == [as_latched()]

    def test_it_latches_by_file_and_terminal_when_the_database_cannot_be_written(self, desk, monkeypatch):
        client = client_of("operator")

        def locked(*args, **kwargs):
            raise DatabaseError("database is locked")

        monkeypatch.setattr("execution.safety.killswitch._write_kill", locked)
        response = client.post(reverse("kill"), follow=True)
        assert control.armed_file().read() is None
        assert control.current_control().state == State.KILLED
        assert "Latched: nothing new is sent" in text_of(response)

    def test_the_page_asks_first_and_says_what_would_happen(self, desk):
        desk.adjust("BTCUSD", "0.10")
        Sentinel().round()
        words = text_of(client_of("operator").get("/kill/"))
        assert "closes 1 position at market" in words
        assert "Kill now" in words


@real_transactions
class TestRearm:
    @pytest.fixture
    def killed(self, desk):
        """Return the owner's client, on a desk that is killed and flat."""
        client = client_of("owner")
        client.post(reverse("kill"), {"reason": "a test"})
        Sentinel().round()
        assert control.current_control().state == State.KILLED
        return client

    def test_everything_right_ends_paused(self, killed):
        fill_desk("BTCUSD")
        assert killed.post("/rearm/", rearm_form()).url == "/"
        assert control.current_control().state == State.PAUSED
        assert control.armed_file().read() is not None
        entry = AuditEntry.objects.filter(action="trade arm").latest("pk")
        assert (entry.actor, entry.source, entry.reason) == ("owner", "page", "the spread cap")

    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("what_changed", "", "Say what has changed"),
            ("phrase", "arm demo", "Type ARM DEMO exactly"),
            ("password", "a guess", "This is not your password"),
        ],
    )
    def test_anything_wrong_is_named_and_arms_nothing(self, killed, field, wrong, words):
        response = killed.post("/rearm/", rearm_form(**{field: wrong}))
        assert response.status_code == 422
        assert words in text_of(response)
        assert control.current_control().state == State.KILLED
        assert control.armed_file().read() is None

    def test_what_was_written_stays_but_for_the_password(self, killed):
        html = killed.post("/rearm/", rearm_form(phrase="ARM", password="wrong")).content.decode()
        assert "the spread cap</textarea>" in html
        assert re.search(r'name="phrase" value="ARM"', html)
        assert "wrong" not in html

    def test_a_check_that_fails_is_named(self, desk):
        desk.adjust("BTCUSD", "0.10")
        client = client_of("owner")
        client.post(reverse("kill"))
        KillEvent.objects.update(flat_at=clock.wall_now())
        ControlRow.objects.update(state=State.KILLED)
        KillEvent.objects.create(cause="another", actor="system", source="system")
        response = client.post("/rearm/", rearm_form())
        assert "not armed: the last kill is flat" in text_of(response)
        assert control.armed_file().read() is None

    def test_guessing_the_password_locks_out(self, killed):
        for _ in range(5):
            killed.post("/rearm/", rearm_form(password="a guess"))
        assert killed.post("/rearm/", rearm_form()).status_code in (403, 422, 429)
        assert control.current_control().state == State.KILLED

    @pytest.mark.parametrize("role", ["operator", "viewer"])
    def test_who_may_not_arm_sees_the_page_and_no_checks(self, killed, role, monkeypatch):
        asked = []
        monkeypatch.setattr("tradingsite.pages.safety.arm_checks", lambda: asked.append(role) or [])
        client = client_of(role)
        assert "Needs the Risk role" in text_of(client.get("/rearm/"))
        assert client.post("/rearm/", rearm_form()).status_code == 403
        assert asked == []

    def test_what_is_armed_is_not_armed_again(self, desk):
        client = client_of("owner")
        assert client.post("/rearm/", rearm_form()).url == "/"
        assert control.current_control().state == State.ARMED


class TestAlerts:
    def test_an_operator_acknowledges_and_it_says_who(self):
        alert = alerts.raise_alert("data:stale", "BTCUSD is stale")
        client = client_of("operator")
        assert "BTCUSD is stale" in text_of(client.get("/"))
        client.post(reverse("acknowledge", args=[alert.pk]))
        alert.refresh_from_db()
        assert alert.acknowledged_by == "operator"
        assert "BTCUSD is stale" not in text_of(client.get("/"))

    def test_a_viewer_may_not(self):
        alert = alerts.raise_alert("data:stale", "BTCUSD is stale")
        assert client_of("viewer").post(reverse("acknowledge", args=[alert.pk])).status_code == 403
        alert.refresh_from_db()
        assert alert.acknowledged_at is None


class TestHealthz:
    def test_it_needs_no_login(self):
        response = client_of("stranger").get("/healthz")
        assert response.json() == {"ok": True, "mode": "demo", "sentinel_age_s": None}

    def test_it_says_how_old_the_sentinels_sign_of_life_is(self):
        heartbeats.beat("sentinel")
        assert client_of("stranger").get("/healthz").json()["sentinel_age_s"] < 5

    def test_it_fails_without_the_database(self, monkeypatch):
        def gone(name):
            raise DatabaseError("gone")

        monkeypatch.setattr("tradingsite.views.heartbeats.age_s", gone)
        assert client_of("stranger").get("/healthz").status_code == 503


class TestContentPolicy:
    @pytest.mark.parametrize("page", [*PAGES, "/login/", "/healthz", "/panels/?ids=state", "/admin/", "/nowhere/"])
    def test_every_answer_carries_the_policy(self, page):
        policy = client_of("owner").get(page).headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy

    @pytest.mark.parametrize("page", [*PAGES, "/login/"])
    def test_no_page_breaks_it(self, page):
        role = "stranger" if page == "/login/" else "owner"
        html = client_of(role).get(page).content.decode()
        for tag, attrs in read(html).elements:
            assert tag != "style"
            assert not [name for name in attrs if name.startswith("on") or name == "style"]
            assert not re.match(r"(?:https?:)?//", attrs.get("src") or attrs.get("href") or "")
        assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []


class TestPanels:
    def test_a_page_without_a_websocket_gets_the_panels_it_names(self):
        messages = client_of("viewer").get("/panels/?ids=account,nowhere,positions").json()["messages"]
        assert [(m["type"], m.get("id")) for m in messages] == [
            ("beat", None),
            ("panel", "account"),
            ("panel", "positions"),
        ]

    def test_it_gets_the_alerts_it_missed(self):
        seen = announce_and_count()
        alerts.raise_alert("data:stale", "BTCUSD is stale")
        messages = client_of("viewer").get(f"/panels/?ids=&after={seen}").json()["messages"]
        assert [m["title"] for m in messages if m["type"] == "alert"] == ["BTCUSD is stale"]

    @pytest.mark.parametrize("after", ["", "0", "x", "-1", "9" * 40])
    def test_it_gets_none_when_it_has_seen_nothing_yet(self, after):
        alerts.raise_alert("data:stale", "BTCUSD is stale")
        messages = client_of("viewer").get(f"/panels/?ids=&after={after}").json()["messages"]
        assert [m["type"] for m in messages] == ["beat"]


def announce_and_count() -> int:
    announce("data")
    return last_seq()


def user_of(client: Client):
    return get_user_model().objects.get(pk=client.session["_auth_user_id"])


class TestAnEmptyDatabase:
    """No account, no symbol, no clock: the first minute of a new desk."""

    @pytest.mark.parametrize("page", PAGES)
    def test_pages_say_unknown_and_never_none_or_nan(self, page):
        response = client_of("owner").get(page)
        assert response.status_code == 200
        assert_says_no_nonsense(response.content.decode())

    @pytest.mark.parametrize("name", PANELS)
    def test_every_panel_can_be_sent(self, name):
        for message in client_of("viewer").get(f"/panels/?ids={name}").json()["messages"][1:]:
            assert message["id"] == name
            assert_says_no_nonsense(message["html"])

    def test_it_is_killed_and_says_why(self):
        assert "never armed" in text_of(client_of("owner").get("/"))

    def test_a_kill_works(self):
        assert client_of("operator").post(reverse("kill")).status_code == 302
        assert ControlRow.objects.get(scope="system").state == State.KILLING


class TestStates:
    def test_a_lost_sentinel_is_unknown_and_never_armed(self, desk):
        Sentinel().round()
        client = client_of("viewer")
        assert 'data-word="armed"' in client.get("/").content.decode()
        Heartbeat.objects.filter(name="sentinel").update(beat_mono=clock.mono() - 21)
        html = client.get("/").content.decode()
        assert 'data-word="unknown"' in html
        assert 'data-word="armed"' not in html

    def test_queues_that_nobody_asks_are_unknown_not_dead(self, desk):
        Sentinel().round()
        Heartbeat.objects.update(beat_mono=clock.mono() - 100)
        rows = {row.name: row.level for row in build_panel("data", user_of(client_of("viewer"))).processes}
        assert rows == {"sentinel": "crit", "trading queue": "unknown", "research queue": "unknown"}

    @pytest.mark.parametrize("role", ["viewer", "stranger"])
    def test_the_admin_shows_the_environment_too(self, role):
        response = client_of(role).get("/admin/login/")
        assert response.status_code == 200
        assert "DEMO DATA" in response.content.decode().upper()


@real_transactions
class TestNumbersAgree:
    """What is on the screen at one moment adds up, whichever panel one looks at."""

    @pytest.fixture
    def held(self, desk):
        """Return a viewer on a desk that has traded, held over two nights, closed a part, and holds the rest."""
        Sentinel().round()
        desk.adjust("BTCUSD", "0.10")
        desk.adjust("ETHUSD", "-0.70", cause="slot 2")
        desk.adjust("BNBUSD", "3", cause="slot 3")
        desk.step(timedelta(hours=50))
        Sentinel().round()
        desk.adjust("BNBUSD", "1", cause="slot 4")
        desk.step(timedelta(hours=1))
        Sentinel().round()
        return user_of(client_of("viewer"))

    def test_equity_is_balance_and_what_is_open(self, held, desk):
        account = build_panel("account", held)
        assert account.equity == account.balance + account.unrealised
        assert account.equity == desk.broker.account().equity

    def test_today_is_realised_and_what_is_open(self, held):
        account = build_panel("account", held)
        assert account.today == account.realised_today + account.unrealised
        assert account.today == account.equity - account.day_start

    def test_positions_add_up_to_what_is_open_swap_included(self, held):
        positions, account = build_panel("positions", held), build_panel("account", held)
        assert positions.swap != 0
        assert sum(row.pnl for row in positions.rows) == positions.pnl == account.unrealised

    def test_a_kill_would_make_what_the_positions_show(self, held):
        assert build_panel("kill-facts", held).estimate == build_panel("positions", held).pnl

    def test_room_to_lose_is_measured_from_the_same_equity(self, held):
        account = build_panel("account", held)
        for room in (account.daily, account.maximum):
            assert room.left == account.equity - room.floor
        assert account.daily.floor == account.day_start - Decimal("0.05") * 100_000

    def test_the_days_add_up_to_the_equity(self, held):
        days, account = build_panel("days", held), build_panel("account", held)
        known = [day.pnl for day in days.days if day.pnl is not None]
        assert len(days.days) == 30
        assert len(known) == 3  # the day between, on which nobody looked, is worked out from the deals
        assert days.days[-1].pnl == account.today
        assert sum(known) == account.equity - 100_000

    def test_the_state_says_the_same_result_as_the_tile(self, held):
        state, account = build_panel("state", held), build_panel("account", held)
        assert (state.today, state.today_fraction) == (account.today, account.today_fraction)

    def test_the_page_shows_what_the_panels_hold(self, held):
        account = build_panel("account", held)
        words = text_of(client_of("operator").get("/"))
        assert f"{account.equity:,.2f}".replace(",", " ") in words
        assert f"{abs(account.unrealised):,.2f}".replace(",", " ") in words


@real_transactions
class TestASession:
    """What is shown after a session has traded."""

    @pytest.fixture
    def traded(self, desk):
        fit_desk("BTCUSD", "ETHUSD")
        Sentinel().round()
        run_slot(desk, clock.market_now().replace(hour=9, minute=0, second=0, microsecond=0))
        Sentinel().round()
        return user_of(client_of("viewer"))

    def test_targets_are_what_was_sized_and_agree_with_what_is_held(self, traded):
        signals, targets = build_panel("signals", traded), build_panel("targets", traded)
        traded_rows = [row for row in signals.rows if row.target]
        assert traded_rows
        for row in traded_rows:
            decision = Decision.objects.get(symbol=row.symbol)
            assert row.target == pytest.approx(round(decision.clipped_pct * 10) / 10)
            step_worth = Decimal(decision.sizing["volume_step"]) / Decimal(decision.sizing["all_in_lots"])
            assert abs(row.drift) <= float(step_worth) + 0.001
        by_symbol = {row.symbol: row for row in targets.rows}
        for row in signals.rows:
            assert by_symbol[row.symbol].target == pytest.approx(row.target * by_symbol[row.symbol].weight)
            assert by_symbol[row.symbol].trade == "none: on target"

    def test_actual_weights_are_those_of_the_positions(self, traded):
        actual = {row.symbol: row.actual for row in build_panel("targets", traded).rows if row.actual}
        weights = {row.symbol: row.weight for row in build_panel("positions", traded).rows}
        assert actual == pytest.approx(weights)

    def test_a_models_sum_is_shown_where_models_are(self, traded):
        for group in build_panel("models", traded).symbols:
            assert group.position == pytest.approx(sum(model.position for model in group.models))

    def test_the_funnel_names_the_lot_step_and_every_rule_in_words(self, traded):
        shown = [decision for decision in build_panel("funnel", traded).decisions if decision.legs]
        assert shown
        for decision in shown:
            assert decision.step_lots == Decimal("0.01")
            assert decision.rules
            assert not [rule.rule for rule in decision.rules if "_" in rule.rule]

    def test_pages_and_decisions_say_no_nonsense(self, traded):
        client = client_of("operator")
        for page in ("/", "/portfolio/", f"/decisions/{Decision.objects.first().pk}/"):
            response = client.get(page)
            assert response.status_code == 200
            assert_says_no_nonsense(re.sub(r"must be True|: True", "", response.content.decode()))
