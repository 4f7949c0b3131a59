"""The live layer in a real browser, against a socket and pages made up here; the real server's tests are elsewhere."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests import pages_builders as build
from tests.browser.conftest import ORIGIN
from tests.pages_reader import PLAIN_SITE, render_page, render_panel
from tradingsite.pages.frame_data import FrameData, StateWord
from tradingsite.templatetags import desk

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.slow]
AGES = (0, 0.83, 9.94, 9.96, 22.9, 89.9, 90, 131, 5399, 5400, 172_799, 172_800, 900_000)
LEFT = (-5, 0, 59.9, 60, 703, 3398, 3600, 28_598, 172_799, 172_800, 187_200)
KILLED = {"since": build.NOW, "by": "system", "flat_at": build.NOW, "n_positions": 0, "n_orders": 0}


def beat(seq: int, **changes: Any) -> dict[str, Any]:
    now = desk.iso(build.NOW)
    return {"type": "beat", "seq": seq, "market_at": now, "wall_at": now, "speed": 60, "state": "armed"} | changes


class Server:
    """Plays the server's part: keeps what the page says, sends what the test wants."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hellos: list[dict[str, Any]] = []
        self.sockets: list[WebSocketRoute] = []
        self.polls: list[str] = []
        self.is_up = True
        self.is_polled = False

    def accept(self, socket: WebSocketRoute) -> None:
        if not self.is_up:
            socket.close()
            return
        self.sockets.append(socket)
        socket.on_message(lambda text: self.hellos.append(json.loads(text)))

    def send(self, message: dict[str, Any]) -> None:
        self.sockets[-1].send(json.dumps(message))

    def panel(self, seq: int, partial: str, value: Any, *, id: str = "") -> None:
        html = render_panel(partial, value)
        self.send({"type": "panel", "id": id or partial, "seq": seq, "html": html, "at": desk.iso(build.NOW)})

    def go_down(self) -> None:
        self.is_up = False
        for socket in self.sockets:
            socket.close()

    def answer_poll(self, route: Route) -> None:
        self.polls.append(route.request.url)
        if self.is_polled:
            route.fulfill(json={"messages": [beat(50)]})
        else:
            route.abort()

    def wait_until(self, what: str, count: int) -> None:
        for _ in range(200):
            if len(getattr(self, what)) >= count:
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(f"waited 5 s for {count} {what}, were {len(getattr(self, what))}")


@pytest.fixture
def server(blank: Page):
    made = Server(blank)
    blank.clock.install(time=build.NOW)
    blank.clock.pause_at(build.NOW + timedelta(seconds=1))
    blank.route_web_socket("**/ws/live/", made.accept)
    with override_settings(**PLAIN_SITE):
        yield made


def open_overview(server: Server, frame: FrameData | None = None) -> Page:
    frame = build.make_frame() if frame is None else frame
    html = render_page("pages/overview.html", {"panels": build.make_overview(), "frame": frame})
    page = server.page
    page.route(f"{ORIGIN}/panels/**", server.answer_poll)
    page.route(f"{ORIGIN}/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{ORIGIN}/")
    return page


def pass_time(page: Page, seconds: float) -> None:
    """Let the page's clock run on, a second at a time, so that its timers and the socket's answers take turns."""
    for _ in range(round(seconds)):
        page.clock.run_for(1000)
        page.wait_for_timeout(5)


@pytest.mark.parametrize(("script", "write", "values"), [("ago", desk.ago, AGES), ("countdown", desk.countdown, LEFT)])
def test_the_browser_writes_ages_and_countdowns_as_the_server_does(blank, script, write, values):
    code = "async ([name, values]) => values.map((await import('/static/js/clock.js'))[name])"
    assert blank.evaluate(code, [script, list(values)]) == [write(value) for value in values]


def test_waiting_grows_to_half_a_minute_and_has_jitter(blank):
    code = """async () => {
      const {backoff} = await import('/static/js/live.js');
      return [1, 2, 3, 5, 6, 99].map(attempt => [backoff(attempt, 0), backoff(attempt, 1)]);
    }"""
    assert blank.evaluate(code) == [[0.5, 1], [1, 2], [2, 4], [8, 16], [15, 30], [15, 30]]


def test_on_connecting_the_page_says_what_it_last_saw_and_shows(server):
    open_overview(server)
    server.wait_until("hellos", 1)
    hello = server.hellos[0]
    assert (hello["after"], hello["page"]) == (0, "overview")
    assert {"state", "notice", "account", "positions", "signals", "kill-facts"} <= set(hello["panels"])


def test_a_panel_message_replaces_its_panel(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    server.panel(7, "positions", build.make_positions(rows=(build.make_position(symbol="XRPUSD"),)))
    expect(page.locator("#positions tbody th")).to_have_text(["XRPUSD"])


def test_a_reconnect_asks_for_what_was_missed(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    server.panel(41, "positions", build.make_positions())
    server.send(beat(42))
    page.wait_for_timeout(50)
    server.sockets[-1].close()
    pass_time(page, 3)
    server.wait_until("hellos", 2)
    assert server.hellos[1]["after"] == 42


def test_killed_changes_state_title_and_favicon_and_is_announced(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    state = build.make_state(StateWord.KILLED, **KILLED)
    server.panel(1, "state", state)
    server.panel(2, "notice", state)
    expect(page.locator("#state .state-known")).to_have_text("Killed")
    expect(page).to_have_title("▼ −0.36\u00a0% · DEMO DATA · killed – Overview")
    assert "favicon-killed" in (page.get_attribute("link[data-favicon]", "href") or "")
    expect(page.get_by_role("alert").filter(has_text="broker-confirmed")).to_be_visible()


def test_the_pause_button_still_posts_after_its_panel_was_replaced(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    server.panel(1, "controls", build.make_state(StateWord.BLOCKED))
    posted: list[str] = []
    page.route(f"{ORIGIN}/trading/pause/", lambda route: (posted.append(route.request.post_data or ""), route.abort()))
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(100)
    assert posted
    assert "csrfmiddlewaretoken=" in posted[0]


def test_a_clock_that_is_five_minutes_wrong_does_no_harm(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    page.clock.set_system_time(build.NOW + timedelta(minutes=5))
    server.send(beat(1))
    pass_time(page, 2)
    expect(page.locator("time[data-clock]")).to_have_text("14:05:22")  # two seconds at 60 x
    expect(page.locator("#account time[data-age]")).to_have_text("2.0\u00a0s")


def test_a_silent_server_makes_the_state_unknown_and_then_the_numbers_stale(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    server.send(beat(1))
    server.is_up = False
    pass_time(page, 22)
    expect(page.locator("#state .state-lost")).to_be_visible()
    expect(page.locator("#state .state-known")).to_be_hidden()
    pass_time(page, 42)
    expect(page.locator("#account")).to_have_attribute("data-state", "stale")


def test_a_lost_feed_is_said_with_whether_trading_goes_on_and_polled_after_two_failures(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    server.go_down()
    pass_time(page, 5)
    banner = page.locator("#feed-banner")
    expect(banner).to_be_visible()
    expect(banner.locator("[data-words]")).to_have_text("Live feed lost. Trading continues on the server.")
    pass_time(page, 5)
    assert server.polls
    assert "ids=state%2C" in server.polls[0]


def test_a_page_whose_socket_is_blocked_stays_live_by_polling_and_says_so(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    server.is_polled = True
    server.go_down()
    pass_time(page, 40)
    assert len(server.polls) in (2, 3)
    expect(page.locator("#feed-banner [data-words]")).to_contain_text("updating every 15 s")
    expect(page.locator("#state .state-known")).to_be_visible()


def test_a_reconnected_feed_takes_the_banner_away(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    server.go_down()
    pass_time(page, 5)
    server.is_up = True
    page.get_by_role("button", name="Retry now").click()
    server.wait_until("hellos", 2)
    server.send(beat(9))
    pass_time(page, 2)
    expect(page.locator("#feed-banner")).to_be_hidden()


def test_shift_k_opens_the_kill_dialog_on_cancel_and_escape_gives_the_focus_back(server):
    page = open_overview(server)
    page.focus(".top .btn.kill")
    page.keyboard.press("Shift+K")
    dialog = page.get_by_role("alertdialog", name="Stop all trading?")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(".top .btn.kill")).to_be_focused()


def test_shortcuts_are_silent_in_fields_and_when_switched_off(server):
    page = open_overview(server)
    page.keyboard.press("Shift+K")
    page.focus("#kill-dialog input[name=reason]")
    page.keyboard.type("t?")
    assert page.input_value("#kill-dialog input[name=reason]") == "t?"
    page.keyboard.press("Escape")
    page.evaluate("document.documentElement.dataset.keys = 'off'")
    page.keyboard.press("?")
    expect(page.locator("#keys-dialog")).to_be_hidden()


def test_without_scripts_kill_leads_to_its_page(chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    with override_settings(**PLAIN_SITE):
        html = render_page("pages/overview.html", {"panels": build.make_overview()})
    page.route(f"{ORIGIN}/**", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{ORIGIN}/")
    page.get_by_role("button", name="Kill", exact=True).click()
    assert page.url.rstrip("?") == f"{ORIGIN}/kill/"
    context.close()


def test_a_hidden_tab_keeps_only_the_newest_and_shows_it_when_seen(server):
    page = open_overview(server)
    server.wait_until("hellos", 1)
    hide = """value => {
      Object.defineProperty(document, 'hidden', {value, configurable: true});
      document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(hide, True)
    for seq, symbol in enumerate(("AAA", "BBB"), start=1):
        server.panel(seq, "positions", build.make_positions(rows=(build.make_position(symbol=symbol),)))
    page.wait_for_timeout(50)
    assert page.locator("#positions tbody th").first.text_content() == "BTCUSD"
    page.evaluate(hide, False)
    expect(page.locator("#positions tbody th")).to_have_text(["BBB"])


def test_the_theme_is_set_before_the_first_paint_and_kept(server):
    page = open_overview(server)
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("t")
    assert page.evaluate("localStorage.getItem('theme')") == "auto"
    page.keyboard.press("t")
    assert page.evaluate("localStorage.getItem('theme')") == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
