"""A person's day at a real desk: `manage.py up` with its web server, workers and sockets, and Chromium in front of it.

The tests tell one story in the order of the file: nothing held, a session trades, a look around, pause, kill, re-arm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.desk_site import PHONE, REFUSED_FORM, fits, is_live, logged_in, same_document
from tests.processes.market_hand import REAL_SPEED, USUAL_SPEED
from tests.processes.running_desk import RunningDesk
from tests.processes.sessions import reach_next_slot
from tests.processes.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("browser")]

PAGES = ("/", "/portfolio/", "/bot/", "/alerts/", "/kill/", "/rearm/")
N_MODELS = 16  # of the default plan
CLOCK_UTC = re.compile(r"\d\d:\d\d:\d\d UTC")


@pytest.fixture(scope="module")
def desk(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """One desk for all tests of this file; its market's clock stands almost still unless a test steps it."""
    running = RunningDesk(tmp_path_factory.mktemp("desk"), settings={"SIM_SPEED": str(REAL_SPEED)})
    running.start()
    yield running
    running.end()


@pytest.fixture
def page(chromium: Browser, desk: RunningDesk) -> Iterator[Page]:
    """The Overview in front of somebody who has just logged in."""
    with logged_in(chromium, desk) as opened:
        yield opened


@pytest.fixture
def held(desk: RunningDesk) -> None:
    """Let the desk hold positions, by the session of the next slot if it holds none yet."""
    if not desk.ask("trade_status")["positions"]:
        reach_next_slot(desk)
        until(lambda: desk.ask("trade_status")["positions"], "positions")


def state(page: Page):
    return page.locator("#state .state-known")


def positions(page: Page):
    return page.locator("#positions tbody tr")


def equity(page: Page):
    return page.locator("#account .tile").first.locator(".big")


def test_before_the_first_session_the_symbols_and_their_models_are_there(desk, page):
    page.goto(f"{desk.address}/portfolio/")
    assert page.locator("#targets tbody tr").count() == page.locator("#models details").count() > 0
    expect(page.locator("#targets tbody tr").first).to_contain_text("no decision yet")
    expect(page.locator("#models details").first.locator("tbody tr")).to_have_count(N_MODELS)
    expect(page.locator("#funnel")).to_contain_text("No decision yet.")


def test_a_session_puts_its_positions_on_the_open_page(desk, page):
    is_live(page)
    expect(state(page)).to_have_text("Armed")
    expect(page.locator("#positions")).to_contain_text("No open positions.")
    expect(equity(page)).to_contain_text("100\u202f000.00")
    with same_document(page):
        reach_next_slot(desk)
        expect(positions(page).first).to_be_visible()
        expect(page.locator("#decisions li").first).to_be_visible()
        until(lambda: len(desk.ask("trade_status")["positions"]) == positions(page).count(), "the same positions")
    symbols = {row["symbol"] for row in desk.ask("trade_status")["positions"]}
    assert set(positions(page).locator("th").all_inner_texts()) == symbols


def test_equity_changes_on_the_open_page(desk, page, held):
    is_live(page)
    before = equity(page).inner_text()
    with same_document(page):
        desk.market.pace(USUAL_SPEED)
        expect(equity(page)).not_to_have_text(before)
        desk.market.pace(REAL_SPEED)


def test_the_portfolio_page_shows_targets_and_every_models_signal(desk, page, held):
    page.get_by_role("link", name="Signals", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Portfolio & signals")
    n_symbols = len(desk.ask("status")["data"]) // 2  # each from MetaTrader and from Binance
    targets = page.locator("#targets tbody tr")
    expect(targets).to_have_count(n_symbols)
    assert all(re.search(r"[+−]?\d+\.\d", text) for text in targets.all_inner_texts())
    for panel in ("#funnel", "#models"):
        expect(page.locator(f"{panel} details").first.locator("tbody tr")).to_have_count(N_MODELS)


def test_a_decision_can_be_opened_and_explains_itself(page, held):
    page.locator("#decisions a").first.click()
    expect(page.locator(".stages .stage")).to_have_count(6)
    expect(page.locator(".votes tbody tr")).to_have_count(N_MODELS)
    for stage in ("Data", "Models", "Size", "Drift", "Risk", "Order"):
        expect(page.locator(".stage h3", has_text=stage)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier_that_axe_finds(desk, page, held, scheme):
    page.emulate_media(color_scheme=scheme)
    decision = page.locator("#decisions a").first.get_attribute("href")
    for path in (*PAGES, decision):
        page.goto(f"{desk.address}{path}")
        found = Axe().run(page).response["violations"]
        assert [(path, one["id"], one["help"]) for one in found if one["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_has_kill_in_reach_and_no_sideways_scrolling(chromium, desk, held, path):
    with logged_in(chromium, desk, size=PHONE) as page:
        page.goto(f"{desk.address}{path}")
        assert fits(page)
        kill = page.locator(".top .btn.kill")
        expect(kill).to_be_in_viewport(ratio=1)
        box = kill.bounding_box()
        assert min(box["width"], box["height"]) >= 44
        page.keyboard.press("End")
        expect(kill).to_be_in_viewport(ratio=1)


def test_the_admin_has_kill_in_reach_on_a_phone(chromium, desk):
    with logged_in(chromium, desk, size=PHONE) as page:
        page.goto(f"{desk.address}/admin/")
        kill, title = page.get_by_role("link", name="Kill", exact=True), page.get_by_role("heading", level=1)
        expect(kill).to_be_in_viewport(ratio=1)
        assert kill.bounding_box()["y"] + kill.bounding_box()["height"] <= title.bounding_box()["y"]


def test_pause_and_resume_change_every_open_page(chromium, desk, page, held):
    with logged_in(chromium, desk) as other:
        is_live(other)
        with same_document(other):
            page.get_by_role("button", name="Pause").click()
            expect(state(page)).to_have_text("Paused")
            expect(state(other)).to_have_text("Paused")
            expect(other.locator("#notice")).to_contain_text("Paused by admin")
            assert desk.ask("status")["state"] == "paused"
            page.locator("#controls").get_by_role("button", name="Resume").click()
            page.locator("#resume-dialog").get_by_role("button", name="Resume").click()
            expect(state(page)).to_have_text("Armed")
            expect(state(other)).to_have_text("Armed")
    assert desk.ask("status")["state"] == "armed"


def test_the_bot_alone_is_paused_and_resumed_by_keyboard(desk, page):
    page.goto(f"{desk.address}/bot/")
    is_live(page)
    standing = page.locator("#bot-standing")
    n_symbols = 4  # two at the broker, one at each market of Binance
    expect(standing.locator("tbody").last.locator("tr")).to_have_count(n_symbols)
    page.get_by_role("button", name="Pause the bot").focus()
    page.keyboard.press("Enter")
    expect(standing).to_contain_text("the bot alone, by admin")
    assert desk.ask("status")["state"] == "armed"
    is_live(page)
    standing.get_by_role("button", name="Resume the bot").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Resume the setup bot?")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause the bot")).to_be_visible()
    expect(standing).not_to_contain_text("the bot alone")


def test_kill_closes_everything_and_says_flat_with_the_time_it_was_read(desk, page, held):
    n_open = len(desk.ask("trade_status")["positions"])
    page.locator(".top .btn.kill").click()
    dialog = page.get_by_role("alertdialog", name="Stop all trading?")
    expect(dialog).to_contain_text(f"closes {n_open} position")
    dialog.get_by_label("Reason").fill("a test of the switch")
    dialog.get_by_role("button", name="Kill now").click()
    page.wait_for_url("**/kill/")
    with same_document(page):
        flat = page.locator("#kill-progress").get_by_role("alert")
        expect(flat).to_contain_text("Flat. 0 positions, 0 orders, read from the broker")
        assert CLOCK_UTC.search(flat.inner_text())
        expect(state(page)).to_have_text("Killed")
        expect(page).to_have_title(re.compile("killed"))
    expect(page.locator("#kill-progress")).to_contain_text("a test of the switch")
    now = desk.ask("trade_status")
    assert (now["state"], now["positions"]) == ("killed", [])


def test_while_killed_no_session_trades(desk, page):
    kill_by_command_unless_killed(desk)
    assert reach_next_slot(desk)["status"] != "done"
    assert desk.ask("trade_status")["positions"] == []
    page.reload()
    expect(page.locator("#positions")).to_contain_text("No open positions.")


def test_re_arming_wants_phrase_and_password_and_ends_paused(chromium, desk, page):
    kill_by_command_unless_killed(desk)
    with logged_in(chromium, desk) as other:
        other.goto(f"{desk.address}/kill/")
        is_live(other)
        page.goto(f"{desk.address}/rearm/")
        page.get_by_label("What has changed since?").fill("looked at it")
        page.get_by_label("Type ARM DEMO").fill("ARM DEMO")
        page.get_by_label("Your password").fill("a guess")
        with page.expect_navigation() as refused:
            page.get_by_role("button", name="Re-arm, paused").click()
        assert refused.value.status == REFUSED_FORM
        expect(page.get_by_text("This is not your password.")).to_be_visible()
        assert desk.ask("status")["state"] == "killed"
        with same_document(other):
            page.get_by_label("Your password").fill(desk.password)
            page.get_by_role("button", name="Re-arm, paused").click()
            expect(state(page)).to_have_text("Paused")
            expect(other.locator("#kill-progress")).to_contain_text("Nothing is killed any more.")
    assert desk.ask("status")["state"] == "paused"


def kill_by_command_unless_killed(desk: RunningDesk) -> None:
    if desk.ask("status")["state"] != "killed":
        desk.ask("trade_kill", "--reason", "a test", "--no-input")
