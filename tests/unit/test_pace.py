"""When the panels of one open page are sent, on a clock that the tests move."""

from __future__ import annotations

import pytest

from tradingsite import wiring
from tradingsite.live.pace import AT_ONCE, RETRY_S, Pace
from tradingsite.wiring import PANELS

QUIET = "positions"  # sent when its topics are announced, and otherwise never again
REPEATED = "next"  # sent again by the passing of time too


@pytest.fixture
def page():
    """A page that shows one quiet panel and has been sent it at 100 s."""
    return sent_at(100.0, QUIET)


def sent_at(now: float, *names: str) -> Pace:
    pace = Pace(names, now=now)
    assert pace.take(now=now) == sorted(names)
    return pace


class TestAtFirst:
    def test_every_panel_of_the_page_is_due_at_once(self):
        pace = Pace(["positions", "account"], now=7.0)
        assert pace.next_due == 7.0
        assert pace.take(now=7.0) == ["account", "positions"]

    def test_each_is_sent_once(self, page):
        assert page.take(now=100.0) == []
        assert page.next_due is None

    def test_a_panel_that_does_not_exist_is_nobodys(self):
        pace = Pace(["positions", "nonsense", ""], now=0.0)
        assert pace.take(now=0.0) == ["positions"]

    def test_a_page_named_twice_has_the_panel_once(self):
        assert Pace(["positions", "positions"], now=0.0).take(now=0.0) == ["positions"]

    def test_a_page_without_panels_never_waits_for_anything(self):
        pace = Pace([], now=0.0)
        pace.note("account", now=1.0)
        assert pace.next_due is None


class TestNews:
    def test_news_soon_after_a_send_waits_for_the_rest_of_the_second(self, page):
        page.note("account", now=100.2)
        assert page.next_due == 101.0
        assert page.take(now=100.9) == []
        assert page.take(now=101.0) == [QUIET]

    def test_news_after_a_quiet_time_is_sent_at_once(self, page):
        page.note("account", now=150.0)
        assert page.next_due == 150.0

    def test_a_storm_of_news_is_sent_once_a_second(self, page):
        times = [100 + n / 64 for n in range(1, 640)]  # ten seconds, exact in binary
        sends = []
        for now in times:
            page.note("account", now=now)
            sends += [now] * len(page.take(now=now))
        assert sends == [101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0, 109.0]

    def test_the_last_news_of_a_storm_is_not_lost(self, page):
        for now in (100.1, 100.2, 100.9):
            page.note("account", now=now)
        assert page.take(now=page.next_due) == [QUIET]
        assert page.next_due is None

    def test_news_of_another_topic_changes_nothing(self, page):
        page.note("models", now=100.2)
        assert page.next_due is None

    def test_a_panel_that_is_not_shown_is_not_sent(self, page):
        page.note("alerts", now=100.2)
        assert page.next_due is None

    def test_one_topic_lets_all_of_its_panels_be_sent(self):
        pace = sent_at(100.0, "positions", "account", "next")
        pace.note("fills", now=100.1)
        assert pace.take(now=101.0) == ["account", "positions"]

    def test_a_slow_chart_keeps_its_own_longer_gap(self):
        pace = sent_at(100.0, "equity")
        assert PANELS["equity"].gap_s == 5
        pace.note("account", now=100.1)
        assert pace.next_due == 105.0


class TestWhatCannotWait:
    @pytest.mark.parametrize(("name", "topic"), [("attention", "alerts"), ("state", "state"), ("notice", "kill")])
    def test_it_is_sent_at_once_even_right_after_a_send(self, name, topic):
        pace = sent_at(100.0, name)
        pace.note(topic, now=100.01)
        assert pace.next_due == 100.01
        assert pace.take(now=100.01) == [name]

    def test_it_overtakes_news_that_waits(self):
        pace = sent_at(100.0, "state")
        pace.note("account", now=100.1)
        assert pace.next_due == 101.0
        pace.note("kill", now=100.2)
        assert pace.take(now=100.2) == ["state"]

    def test_news_that_can_wait_does_not_hold_it_back(self):
        pace = sent_at(100.0, "state")
        pace.note("kill", now=100.2)
        pace.note("account", now=100.2)
        assert pace.next_due == 100.2

    def test_only_news_of_state_and_alerts_jump_the_queue(self):
        assert sorted(AT_ONCE) == ["alerts", "kill", "state"]


class TestPassingTime:
    def test_a_panel_that_grows_old_is_sent_again(self):
        pace = sent_at(100.0, REPEATED)
        assert PANELS[REPEATED].every_s == 15
        assert pace.next_due == 115.0
        assert pace.take(now=115.0) == [REPEATED]
        assert pace.next_due == 130.0

    def test_news_in_between_starts_its_time_anew(self):
        pace = sent_at(100.0, REPEATED)
        pace.note("jobs", now=110.0)
        assert pace.take(now=110.0) == [REPEATED]
        assert pace.next_due == 125.0

    def test_the_next_due_is_the_soonest_of_all(self):
        pace = sent_at(100.0, "next", "signals", "positions")  # every 15 s, every 5 s, never
        assert pace.next_due == 105.0


class TestWhatFailed:
    def test_it_is_tried_again_in_a_second(self, page):
        page.give_back([QUIET], now=100.0)
        assert page.next_due == 100.0 + RETRY_S
        assert page.take(now=101.0) == [QUIET]

    def test_news_does_not_push_the_second_try_away(self, page):
        page.give_back([QUIET], now=100.0)
        page.note("account", now=100.5)
        assert page.next_due == 101.0

    def test_a_repeated_panel_is_tried_again_before_its_usual_time(self):
        pace = sent_at(100.0, REPEATED)
        pace.give_back([REPEATED], now=100.0)
        assert pace.next_due == 101.0


def test_a_panel_of_tomorrow_needs_no_more_than_its_line(monkeypatch):
    monkeypatch.setitem(wiring.PANELS, "weather", wiring.Panel("w.html", "w.build", frozenset({"rain"}), gap_s=3))
    pace = sent_at(100.0, "weather")
    pace.note("rain", now=101.0)
    assert pace.next_due == 103.0
