"""The setup bot's page from rows written by hand: every number is reckoned here, not read off the page."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from execution.bot.reading import running_cooldowns
from execution.bot.standing import cooldown_until
from execution.models import ControlRow, DayStart
from execution.safety import control
from execution.safety.risk.days import loss_day
from mlfilter.models import BotSymbol, Setup
from mlfilter.monitor import measure
from mlfilter.reading import live_results
from ops import clock, heartbeats
from ops.alerts import raise_alert
from ops.audit import Actor
from ops.clock import SystemClock
from ops.live import announce
from ops.models import AuditEntry, Run
from tests.bot_page_builders import (
    NOON,
    QUARTER,
    D,
    ask,
    close,
    end,
    enter,
    fill,
    look,
    make_account,
    make_backtest,
    make_filter,
    make_setup,
    position,
    reject,
    watch,
)
from tests.pages_reader import PLAIN_SITE, read
from tests.people import FAST_LOGIN, client_of, make_person
from tradingsite.live.panels import build_panel, panel_messages
from tradingsite.wiring import PANELS

pytestmark = pytest.mark.django_db
NOW = NOON + timedelta(minutes=37)
MARIA = Actor(name="maria", source=AuditEntry.Source.PAGE)
BOT_PANELS = [name for name in PANELS if name.startswith("bot-")]
MANY = 20


class StillClock(SystemClock):
    """The machine's clock, with a market that stands at one moment."""

    market_at = NOW

    def market_now(self) -> datetime:
        return self.market_at


class AnyArmed:
    """An armed file that is there."""

    def read(self) -> object:
        return self


@pytest.fixture(autouse=True)
def _site(settings, tmp_path, monkeypatch):
    """A site whose sentinel lives and whose trading is armed."""
    settings.STORAGES, settings.PASSWORD_HASHERS = PLAIN_SITE["STORAGES"], FAST_LOGIN
    settings.STATE_DIR = settings.STATIC_ROOT = tmp_path
    monkeypatch.setattr("execution.safety.control.armed_file", AnyArmed)
    ControlRow.objects.update_or_create(scope="system", defaults={"state": "armed"})
    heartbeats.beat("sentinel")
    with clock.use(StillClock()):
        yield


@pytest.fixture
def viewer():
    return make_person("viewer")


@pytest.fixture
def account():
    return make_account()


def built(name: str, user):
    return build_panel(f"bot-{name}", user)


def shown(client: Client, path: str = "/bot/") -> str:
    return " ".join(unescape(" ".join(read(client.get(path).content.decode()).text)).split())


class TestStanding:
    def test_without_a_symbol_it_is_off(self, viewer):
        assert built("standing", viewer).word.label == "Off"
        watch(is_enabled=False)
        assert built("standing", viewer).word.label == "Off"

    def test_without_an_active_filter_it_is_idle(self, viewer):
        watch()
        make_filter(status="candidate")
        word = built("standing", viewer).word
        assert (word.label, word.why) == ("Idle", "no filter is active: every setup is stored and rejected")

    def test_with_both_it_is_on(self, viewer):
        watch()
        make_filter()
        assert built("standing", viewer).word.label == "On"

    def test_a_pause_of_the_bot_alone_says_who_since_when_and_why(self, viewer):
        watch()
        make_filter()
        control.pause(MARIA, reason="news", scope="family:setup")
        page = built("standing", viewer)
        assert (page.is_paused, page.word.label) == (True, "Paused")
        assert re.fullmatch(r"the bot alone, by maria since [\d-]+ [\d:]+ UTC: news", page.word.why)

    @pytest.mark.parametrize(
        ("scope", "state", "label"),
        [("system", "paused", "Paused"), ("guard:limits", "blocked", "Blocked"), ("system", "killed", "Killed")],
    )
    def test_what_stops_all_trading_stops_the_bot_and_is_not_its_own_pause(self, viewer, scope, state, label):
        watch()
        make_filter()
        ControlRow.objects.update_or_create(scope=scope, defaults={"state": state, "reason": "limits"})
        page = built("standing", viewer)
        assert (page.word.label, page.is_paused) == (label, False)
        assert "limits" in page.word.why

    def test_without_a_sentinel_nobody_knows(self, viewer, monkeypatch):
        watch()
        make_filter()
        monkeypatch.setattr("tradingsite.pages.frame.SENTINEL_LOST_AFTER_S", -1.0)
        assert built("standing", viewer).word.label == "Unknown"

    @pytest.mark.parametrize(
        ("at", "due"), [("12:30:03", "12:30:05"), ("12:30:05", "12:45:05"), ("12:37:00", "12:45:05")]
    )
    def test_the_next_bar_is_the_first_that_closes(self, viewer, at, due):
        watch()
        watch("ADAUSD", interval="1h")
        hours, minutes, seconds = map(int, at.split(":"))
        with clock.use(StillClock()) as still:
            still.market_at = NOON.replace(hour=hours, minute=minutes, second=seconds)
            assert f"{built('standing', viewer).next_bar.at:%H:%M:%S}" == due

    def test_the_newest_run_and_what_it_did_with_each_symbol(self, viewer):
        verdicts = {"SOLUSD": "traded", "binance_spot:ADAUSDT": "quiet"}
        Run.objects.create(job="bot", slot="15m:2026-01-06T12:15", status="done", result={"verdicts": verdicts})
        Run.objects.create(job="bot", slot="15m:2026-01-06T12:30", status="queued")
        Run.objects.create(job="session", slot="x", status="failed")
        run = built("standing", viewer).run
        assert (run.slot, run.status) == ("15m bar of 2026-01-06 12:15", "done")
        assert run.words == "SOLUSD traded, ADAUSDT at Binance spot quiet"

    def test_a_run_that_failed_says_why(self, viewer):
        Run.objects.create(job="bot", slot="15m:2026-01-06T12:15", status="failed", error="no answer")
        assert built("standing", viewer).run.words == "no answer"

    def test_each_account_has_its_own_day(self, viewer, account):
        # 10,000 at the reset, of which 2 per cent may be lost: 200. Booked today -30 and -1, floating +6.50.
        other = make_account(2, currency="USDT", server="X", broker="binance_spot")
        for one, start in ((account, 10_000), (other, 500)):
            note_start(one, start)
        lost = enter(make_setup(NOON - 20 * QUARTER), account, status="closed")
        fill(lost, 70, commission=D(-1))
        fill(lost, 70, "out", profit=D(-30))
        earlier = enter(make_setup(NOON - 70 * QUARTER), account, status="closed")
        fill(earlier, 69, at=NOON - timedelta(hours=15))
        fill(earlier, 69, "out", profit=D(-500), at=NOON - timedelta(hours=14))  # before the reset at 23:00 UTC
        fill(enter(make_setup(), account), 71)
        look(account, position(71, "SOLUSD"), position(99, "BTCUSD", profit="-4000"), at=NOW)
        look(other, at=NOW, balance="500")
        theirs, mine = built("standing", viewer).accounts
        assert (mine.currency, mine.n_open, mine.max_open) == ("USD", 1, 3)
        assert (mine.today, mine.limit, mine.left) == (D("-24.50"), D(200), D("175.50"))
        assert (theirs.currency, theirs.n_open, theirs.today, theirs.limit, theirs.left) == (
            *("USDT", 0),
            *(D(0), D(10), D(10)),
        )

    def test_a_symbol_waits_after_a_loss_for_four_bars(self, viewer, account):
        watch()
        make_filter()
        close(enter(make_setup(NOON - 9 * QUARTER), account, status="closed"), "-14", reason="stop", at=NOON)
        [row] = built("standing", viewer).watched
        assert (row.words, row.until.at, row.until.in_s) == ("waits after a loss", NOON + 4 * QUARTER, 23 * 60)

    @pytest.mark.parametrize(
        "results", [["-14"], ["14"], ["-14", "14"], ["14", "-14"], ["0"]], ids=lambda results: ",".join(results)
    )
    def test_who_waits_is_who_the_rule_refuses(self, account, results):
        for place, result in enumerate(results):
            setup = make_setup(NOON - (9 - place) * QUARTER)
            close(enter(setup, account, status="closed"), result, at=NOON + timedelta(minutes=place))
        found = {one.symbol: one.until for one in running_cooldowns(NOW)}
        assert found.get("SOLUSD") == cooldown_until(account, "SOLUSD", 4)

    def test_a_wait_that_is_over_is_none(self, account):
        setup = make_setup(NOON - 20 * QUARTER)
        close(enter(setup, account, status="closed"), "-14", at=NOW - 4 * QUARTER)
        assert running_cooldowns(NOW) == ()


class TestTrades:
    def test_what_a_trade_makes_now(self, viewer, account):
        fill(enter(make_setup(), account), 71)
        look(account, position(71, "SOLUSD"), at=NOW)
        [row] = built("trades", viewer).rows
        assert (row.side, row.entry, row.now, row.result) == ("long", D(100), D(101), D("6.50"))
        assert row.r == pytest.approx(6.5 / 14)
        assert row.bars_left == 23  # until 18:15, which is 5 h 38 min away
        assert (row.confidence, row.threshold) == (0.72, 0.65)

    def test_only_the_positions_that_its_own_deals_opened_are_its(self, viewer, account):
        fill(enter(make_setup(), account), 71)
        look(account, position(70, "SOLUSD", profit="500"), position(71, "SOLUSD"), at=NOW)
        assert built("trades", viewer).rows[0].result == D("6.50")

    def test_before_its_deal_is_booked_it_is_what_is_ours_in_the_symbol(self, viewer, account):
        enter(make_setup(), account, status="planned")
        by_hand, other_side = position(1, "SOLUSD", ours=False), position(2, "SOLUSD", side="sell")
        look(account, by_hand, other_side, position(3, "ADAUSD"), at=NOW)
        [row] = built("trades", viewer).rows
        assert (row.result, row.note) == (None, "sent, not confirmed yet")
        look(account, by_hand, other_side, position(4, "SOLUSD"), at=NOW)
        assert built("trades", viewer).rows[0].result == D("6.50")

    def test_an_open_trade_without_a_position_says_so(self, viewer, account):
        fill(enter(make_setup(), account), 71)
        look(account, at=NOW)
        assert built("trades", viewer).rows[0].note.startswith("not in the newest look")

    def test_accounts_are_told_apart_and_the_oldest_look_counts(self, viewer, account):
        other = make_account(2, currency="USDT", server="X", broker="binance_spot")
        fill(enter(make_setup(), account), 71)
        enter(make_setup(symbol="ETHUSDT", broker="binance_spot"), other)
        stale = look(account, position(71, "SOLUSD"), at=NOW)
        look(other, position(5, "ETHUSDT", profit="-3", swap="0"), at=NOW, balance="500")
        stale.read_at = clock.wall_now() - timedelta(minutes=5)
        stale.save(update_fields=["read_at"])
        page = built("trades", viewer)
        assert page.fresh.is_stale
        assert page.sums == (("USDT", D(-3)), ("USD", D("6.50")))
        assert {(row.venue, row.currency) for row in page.rows} == {("MetaTrader 5", "USD"), ("Binance spot", "USDT")}

    def test_what_is_closed_or_missed_is_not_open(self, viewer, account):
        enter(make_setup(), account, status="closed")
        enter(make_setup(NOON - QUARTER), account, status="missed")
        assert built("trades", viewer).rows == ()


class TestSetups:
    def test_each_says_what_was_decided_done_and_came_of_it(self, viewer, account):
        won = enter(make_setup(NOON - 5 * QUARTER), account, status="closed")
        close(won, "28.00", at=NOON)
        enter(make_setup(NOON - 4 * QUARTER, symbol="ADAUSD"), account)
        missed = make_setup(NOON - 3 * QUARTER, missed_reason="setup_positions: 4 open, allowed are 3")
        end(missed, -1.1)
        reject(NOON - 2 * QUARTER)
        vetoed = ["confidence 0.700 is at least the threshold 0.65", "out_of_distribution: unlike anything seen"]
        make_setup(NOON - QUARTER, approved=False, reasons=vetoed)
        make_setup(NOON)
        rows = built("setups", viewer).rows
        assert [(row.decision, row.action, row.action_why or row.why) for row in rows] == [
            ("approved", "waiting", "not entered yet"),
            ("rejected", "", "unlike anything seen"),
            ("rejected", "", "confidence 0.310 is below the threshold 0.65"),
            ("approved", "missed", "4 open, allowed are 3"),
            ("approved", "open", "confidence 0.720 is at least the threshold 0.65"),
            ("approved", "traded", "confidence 0.720 is at least the threshold 0.65"),
        ]
        endings = [row.ending and (row.ending.reason, row.ending.r, row.ending.is_real) for row in rows]
        assert endings == [None, None, None, ("stop", -1.1, False), None, ("target", 2.0, True)]

    def test_no_more_than_fifty_are_shown_and_how_many_there_are_is_said(self, viewer):
        for place in range(52):
            reject(NOON - place * QUARTER)
        page = built("setups", viewer)
        assert (len(page.rows), page.n_all, page.rows[0].bar_at) == (50, 52, NOON)


class TestResults:
    def test_each_account_is_summed_in_its_own_currency(self, viewer, account):
        other = make_account(2, currency="USDT", server="X", broker="binance_spot")
        results = [(account, "28.00", "target"), (account, "-14.70", "stop"), (account, "0", "timeout")]
        for place, (whose, result, reason) in enumerate([*results, (other, "7.00", "target")]):
            setup = make_setup(NOON - (9 - place) * QUARTER)
            at = NOON + timedelta(minutes=place)
            close(enter(setup, whose, status="closed"), result, reason=reason, at=at)
        page = built("results", viewer)
        mine, theirs = page.accounts
        assert (mine.n_trades, mine.win_rate, mine.result) == (3, pytest.approx(1 / 3), D("13.30"))
        assert mine.mean_r == pytest.approx((2 - 1.05 + 0) / 3)
        assert mine.profit_factor == pytest.approx(28 / 14.7)
        assert (theirs.currency, theirs.result, theirs.profit_factor) == ("USDT", D(7), None)
        assert dict(page.exits) == {"target": 2, "stop": 1, "timeout": 1}
        assert [trade.r for trade in page.trades] == [2.0, pytest.approx(-1.05), 0.0, 0.5]

    def test_what_was_not_traded_is_told_apart_by_why(self, viewer, account):
        for place, r in enumerate((-1.05, 0.9, -1.0)):
            end(reject(NOON - (9 - place) * QUARTER), r)
        end(reject(NOON - 5 * QUARTER, confidence=None), -1.0)
        end(make_setup(NOON - 4 * QUARTER, missed_reason="entry:too_late: x"), 2.0, reason="target")
        close(enter(make_setup(NOON - 3 * QUARTER), account, status="closed"), "-14", at=NOON)
        page = built("results", viewer)
        assert [(row.n, row.n_won, pytest.approx(row.r)) for row in page.foregone] == [
            (3, 1, -1.15),
            (1, 0, -1.0),
            (1, 1, 2.0),
        ]
        assert page.filter_words == "Its refusals saved 1.15\u00a0R"


class TestFilter:
    def test_the_active_version_and_the_newer_candidates(self, viewer):
        watch()
        for version, status in ((1, "retired"), (2, "candidate"), (3, "active"), (4, "shadow"), (5, "candidate")):
            make_filter(version=version, status=status)
        [row] = built("filter", viewer).rows
        assert (row.symbol, row.version, row.auc, row.base_rate) == ("SOLUSD", "v3", 0.58, 0.21)
        assert row.threshold == 0.65
        assert row.words[0] == "approves 3 of 214 setups"
        assert [(other.name, other.status) for other in row.others] == [("v4", "shadow"), ("v5", "candidate")]

    def test_two_venues_that_trade_one_symbol_share_its_filter(self, viewer):
        watch()
        watch("SOLUSDT", "binance_spot", data_symbol="SOLUSDT")
        make_filter()
        assert len(built("filter", viewer).rows) == 1
        assert [row.words for row in built("standing", viewer).watched] == ["looked at every bar"] * 2

    @pytest.mark.parametrize(
        ("status", "words"),
        [("candidate", "promote one with manage.py model_promote"), ("retired", "setup_train --symbol SOLUSD")],
    )
    def test_without_one_it_says_what_to_do(self, viewer, status, words):
        watch()
        make_filter(status=status)
        assert words in built("filter", viewer).rows[0].missing

    def test_a_symbol_that_is_not_registered_has_none(self, viewer):
        BotSymbol.objects.create(name="X", broker="mt5", data_symbol="XUSDT")
        assert "not a registered symbol" in built("filter", viewer).rows[0].missing

    def test_what_the_monitor_found_is_its_state(self, viewer):
        watch()
        make_filter()
        assert built("filter", viewer).rows[0].state == "too early to say: 0 of 30 outcomes"
        raise_alert("setup-filter:drift:SOLUSD:15m", "another market", detail="a fifth is unlike anything")
        raise_alert("setup-filter:drift:ADAUSD:15m", "another market", detail="not ours")
        assert built("filter", viewer).rows[0].state == "a fifth is unlike anything"

    def test_after_thirty_outcomes_without_an_alert_it_is_well(self, viewer):
        watch()
        model = make_filter()
        for place in range(30):
            end(reject(NOON - place * QUARTER, model=model), 0.9, reason="target" if place < 12 else "stop")
        [row] = built("filter", viewer).rows
        assert (row.n_setups, row.n_outcomes, row.succeeded) == (30, 30, 0.4)
        assert row.expected == pytest.approx(0.31)
        assert row.state == "calibrated, and in the market that it knows"

    @pytest.mark.slow  # the monitor loads scikit-learn, which the page does not
    @pytest.mark.parametrize("label", ["triple_barrier", "forward_return"])
    def test_live_figures_are_the_monitors(self, label):
        watch()
        terms = {"label": label, "success_threshold": 0.01, "barriers": {"stop_pct": 0.02}}
        model = make_filter(params={"terms": terms, "recognizer": {}})
        endings = [("target", 0.4), ("target", 1.2), ("stop", -1.0), ("timeout", 0.6), ("kill", 0.9)]
        for place, (reason, r) in enumerate(endings):
            end(reject(NOON - place * QUARTER, model=model, confidence=0.1 * place), r, reason=reason)
        reject(NOON - 6 * QUARTER, model=model)
        reject(NOON - timedelta(days=31), model=model)
        ours, theirs = live_results([model], now=NOW)[model.pk], measure(model, now=NOW)
        assert (ours.n_setups, ours.n_outcomes) == (theirs.n_setups, theirs.n_outcomes) == (6, 4)
        assert (ours.succeeded, ours.expected) == (theirs.success_rate, pytest.approx(theirs.mean_confidence))


class TestBacktests:
    def test_the_newest_of_each_symbol_with_both_columns(self, viewer):
        make_backtest(auc=0.4)
        make_backtest()
        make_backtest("ADAUSDT")
        ada, sol = built("backtest", viewer).rows
        assert (ada.symbol, sol.symbol, sol.auc, sol.base_rate) == ("ADAUSDT", "SOLUSDT", 0.58, 0.21)
        figures = {row.name: (row.with_filter, row.without_filter) for row in sol.figures}
        assert figures["trades"] == ("12", "214")
        assert figures["total return"] == ("+2.0\u00a0%", "−10.0\u00a0%")
        assert figures["Sharpe ratio, a year of 365 days"] == ("0.90", "—")
        assert (sol.points[-1].with_filter, sol.points[-1].without_filter) == (10_200.0, 9_000.0)

    def test_without_one_it_says_how_to_make_one(self, viewer):
        watch()
        assert built("backtest", viewer).symbol == "SOLUSDT"
        assert "setup_backtest --symbol SOLUSDT" in shown(client_of("operator"))


class TestOneSetup:
    def test_it_shows_the_way_from_its_signals_to_its_deals(self, account):
        setup = make_setup(model=(watch(), make_filter(version=3))[1])
        trade = enter(setup, account)
        ask(trade)
        fill(trade, 71, price=D("100.02"))
        fill(trade, 71, "out", profit=D("28.00"), price=D(104), at=NOON + QUARTER)
        fill(enter(make_setup(NOON - QUARTER, symbol="ADAUSD"), account), 72, profit=D(-999))
        close(trade, "28.00", at=NOON + QUARTER)
        text = shown(client_of("viewer"), reverse("setup", args=[setup.pk]))
        for words in (
            "RSI, 14 bars 27.50",
            "average true range, of the price 0.42\u00a0%".replace("\u00a0", " "),
            "approved: 72.0 % of 65 % wanted by SOLUSD 15m v3",
            "1 of 2 won",
            "2025-11-02 long win ▲ +1.20 0.81",
            "lost at the stop, costs included: one R 14.00 USD",
            "risk per trade the order loses 14.00 at its stop",
            "ok retcode 10009: done 7.00 100.02",
            "in: buy 7.00 100.02 0.00",
            "out: sell 7.00 104.00 ▲ +28.00",
            "target: ▲ +2.00 R , +28.00 USD at 2026-01-06 12:15 UTC",
        ):
            assert words in text
        assert "999" not in text

    def test_a_rejected_one_says_why_and_has_no_journal(self):
        setup = reject(NOON)
        text = shown(client_of("viewer"), reverse("setup", args=[setup.pk]))
        assert "confidence 0.310 is below the threshold 0.65" in text
        assert "nothing was entered" in text
        assert "Journal" not in text

    def test_an_unknown_one_is_not_found(self):
        assert client_of("viewer").get("/bot/setups/404/").status_code == 404


class TestSeveralAccounts:
    @pytest.fixture(autouse=True)
    def _three_of_them(self, account):
        """The hourly session's account with two positions, one by hand, and two of the bot's, read later."""
        spot = make_account(2, currency="USDT", server="spot", broker="binance_spot")
        futures = make_account(3, currency="USD", server="futures", broker="binance_futures")
        look(account, position(1, "BTCUSD"), position(2, "ETHUSD", ours=False), at=NOW)
        look(spot, position(3, "ETHUSDT", profit="-3", swap="0"), at=NOW, balance="500")
        look(futures, position(4, "SOLUSDT", profit="2.50", swap="0"), at=NOW, balance="900")

    def test_the_frame_is_about_the_account_of_the_hourly_session(self, viewer):
        assert build_panel("account", viewer).equity == D(10_000)
        assert [row.symbol for row in build_panel("positions", viewer).rows] == ["BTCUSD", "ETHUSD"]

    def test_an_account_that_was_traded_before_counts_no_more(self, viewer):
        left = look(make_account(4), position(9, "BTCUSD", profit="-700"), at=NOON)
        left.read_at = clock.wall_now() - timedelta(days=3)
        left.save(update_fields=["read_at"])
        facts = build_panel("kill-facts", viewer)
        assert (facts.n_positions, facts.estimate, facts.n_others) == (3, D("9.00"), 2)
        assert len(built("standing", viewer).accounts) == 3

    def test_a_kill_says_what_it_closes_on_all_of_them(self, viewer):
        facts = build_panel("kill-facts", viewer)
        assert (facts.n_positions, facts.n_foreign, facts.n_others) == (3, 1, 2)
        assert (facts.estimate, facts.others) == (D("9.00"), (("USDT", D(-3)),))  # 7 - 0.50 + 2.50 in USD


class TestPause:
    def test_an_operator_pauses_the_bot_alone_and_it_is_audited(self):
        watch()
        client = client_of("operator")
        assert client.post(reverse("bot_pause"), {"reason": "news"}).url == "/bot/"
        assert control.current_control().state == "armed"
        assert control.current_control(family="setup").state == "paused"
        assert "the bot alone, by operator" in shown(client)
        client.post(reverse("bot_resume"))
        assert control.current_control(family="setup").state == "armed"
        paused, resumed = AuditEntry.objects.filter(subject="family:setup").order_by("pk")
        assert (paused.action, paused.actor, paused.source, paused.reason) == (
            *("trade paused", "operator"),
            *("page", "news"),
        )
        assert resumed.action == "trade armed"

    def test_resuming_the_bot_resumes_nothing_else(self):
        control.pause(MARIA)
        client = client_of("operator")
        client.post(reverse("bot_resume"))
        assert control.current_control(family="setup").state == "paused"
        assert "the bot itself is not paused" in shown(client)

    def test_resuming_all_trading_leaves_the_bot_paused(self):
        client = client_of("operator")
        client.post(reverse("bot_pause"))
        client.post(reverse("pause"))
        client.post(reverse("resume"))
        assert control.current_control().state == "armed"
        assert control.current_control(family="setup").state == "paused"

    @pytest.mark.parametrize("operation", ["bot_pause", "bot_resume"])
    def test_who_may_not_changes_nothing(self, operation):
        control.pause(MARIA, scope="family:setup") if operation == "bot_resume" else None
        before = list(ControlRow.objects.order_by("scope").values())
        viewer, owner = client_of("viewer"), client_of("owner")
        guarded = Client(enforce_csrf_checks=True)
        guarded.cookies = owner.cookies
        assert viewer.post(reverse(operation)).status_code == 403
        assert client_of("stranger").post(reverse(operation)).url.startswith("/login/")
        assert guarded.post(reverse(operation)).status_code == 403
        assert owner.get(reverse(operation)).status_code == 405
        assert list(ControlRow.objects.order_by("scope").values()) == before


class TestThePage:
    def test_a_busy_bot_costs_no_more_queries_than_an_idle_one(self, viewer, account, django_assert_max_num_queries):
        for n in (1, MANY):
            _fill_page(account, n)
            for name in BOT_PANELS:
                with django_assert_max_num_queries(20 if name == "bot-standing" else 7):
                    panel_messages([name], viewer, 1)

    def test_the_whole_page_in_sixty_queries(self, account, django_assert_max_num_queries):
        _fill_page(account, MANY)
        client = client_of("viewer")
        with django_assert_max_num_queries(60):
            assert client.get("/bot/").status_code == 200

    def test_the_page_of_a_setup_in_twenty_four(self, account, django_assert_max_num_queries):
        _fill_page(account, 1)
        client = client_of("viewer")
        with django_assert_max_num_queries(24):
            client.get(reverse("setup", args=[Setup.objects.exclude(trade=None).latest("pk").pk]))

    def test_news_of_setups_reaches_every_panel_of_the_bot(self):
        announce("setups", {"id": 1})
        assert all("setups" in PANELS[name].topics for name in BOT_PANELS)

    def test_a_viewer_has_no_way_into_the_admin(self, viewer, account):
        _fill_page(account, 1)
        html = "".join(message["html"] for message in panel_messages(BOT_PANELS, viewer, 1))
        assert "/admin/" not in html


def _fill_page(account, n: int) -> None:
    """Store ``n`` more of everything that the page lists: symbols that are open, closed trades, refusals."""
    first = Setup.objects.count()
    held = []
    for place in range(first, first + n):
        bar_at = NOON - place * QUARTER
        name = f"S{place}USD"
        watch(name)
        model = make_filter(name)
        trade = enter(make_setup(bar_at, symbol=name, model=model), account)
        fill(trade, 1000 + place)
        ask(trade)
        held.append(position(1000 + place, name))
        closed = enter(
            make_setup(bar_at, direction="short", stop=102, target=96, model=model), account, status="closed"
        )
        close(closed, "-14", at=NOON)
        end(reject(bar_at - timedelta(days=90), model=model), 1.0)
    look(account, *held, at=NOW)
    note_start(account, 10_000)
    make_backtest()


def note_start(account, balance: int) -> None:
    """Store what the day began with."""
    figures = {"balance": D(balance), "at_midnight": D(balance), "is_exact": True, "noted_at": NOW}
    DayStart.objects.get_or_create(account=account, day_on=loss_day(NOW), defaults=figures)
