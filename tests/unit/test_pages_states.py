"""What the pages say in the states that matter: killed, stale, unknown, empty, refused, not allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.test import override_settings

from tests import pages_builders as build
from tests import portfolio_builders as more
from tests.pages_reader import PLAIN_SITE, assert_says_no_nonsense, read, render_page, render_panel
from tradingsite.pages import PAGES
from tradingsite.pages.frame_data import Freshness, StateWord
from tradingsite.pages.overview_data import AccountData, Level, LossRoom

TEMPLATES = Path(__file__).parents[2] / "templates"
KILLED = build.make_frame(build.make_state(StateWord.KILLED))


@pytest.fixture(autouse=True)
def _addresses_and_plain_static_files() -> Iterator[None]:
    with override_settings(**PLAIN_SITE):
        yield


def render_overview(**context):
    return render_page("pages/overview.html", {"panels": build.make_overview()} | context)


def test_kill_is_a_form_in_the_top_bar_and_not_in_a_menu():
    top = re.search(r'<header class="top">(.*?)</header>', render_overview(), flags=re.DOTALL)
    assert top
    assert re.search(r'<form action="/kill/" data-dialog="kill-dialog">\s*<button class="btn kill"', top[1])
    assert "<details" not in top[1]


def test_the_kill_dialog_posts_and_cancel_has_the_focus():
    html = render_overview()
    dialog = re.search(r'<dialog id="kill-dialog".*?</dialog>', html, flags=re.DOTALL)
    assert dialog
    assert 'role="alertdialog"' in dialog[0]
    assert 'method="post" action="/trading/kill/"' in dialog[0]
    assert re.findall(r"<button[^>]*autofocus[^>]*>(\w+)", dialog[0]) == ["Cancel"]


def test_a_viewer_sees_kill_disabled_with_the_reason_and_gets_no_dialog():
    html = render_overview(frame=build.make_frame(can_kill=False))
    assert 'disabled title="Needs the Operator role"' in html
    assert 'id="kill-dialog"' not in html


@pytest.mark.parametrize("word", [word for word in StateWord if word is not StateWord.ARMED])
def test_only_armed_is_drawn_as_armed(word):
    html = render_panel("state", build.make_state(word))
    assert 'data-state="armed"' not in html
    assert "#armed" not in html
    assert word.label in html


def test_a_state_has_an_icon_of_its_own():
    sprite = (TEMPLATES.parent / "static" / "icons.svg").read_text()
    for word in StateWord:
        assert f'id="{word}"' in sprite
        assert f"icons.svg#{word}" in render_panel("state", build.make_state(word))


def test_every_icon_that_is_used_is_in_the_sprite():
    sprite = set(re.findall(r'<symbol id="([\w-]+)"', (TEMPLATES.parent / "static" / "icons.svg").read_text()))
    written = {
        name for path in TEMPLATES.rglob("*.html") for name in re.findall(r'\{% icon "([\w-]+)"', path.read_text())
    }
    assert written | {page.icon for page in PAGES} | {"ok", "warn", "crit", "unknown"} <= sprite


def test_unknown_offers_neither_pause_nor_resume():
    assert "<button" not in render_panel("controls", build.make_state(StateWord.UNKNOWN))


def test_a_killed_account_says_when_the_broker_confirmed_it_flat():
    state = build.make_state(
        StateWord.KILLED, since=build.NOW, by="system", flat_at=build.NOW, n_positions=0, n_orders=0
    )
    assert "0 positions, 0 orders, broker-confirmed 14:03:22 UTC" in render_panel("notice", state)
    assert "Not confirmed flat yet" in render_panel("notice", build.make_state(StateWord.KILLED))


def test_progress_says_flat_only_with_the_time_of_the_brokers_read():
    assert "Flat." not in render_panel("kill_progress", more.make_progress())
    assert "read from the broker 14:07:41 UTC" in render_panel("kill_progress", more.make_flat_progress())


def test_a_stale_panel_keeps_its_numbers_and_says_how_old_and_what_follows():
    html = render_panel("account", build.make_account(fresh=build.STALE))
    assert 'data-state="stale"' in html
    assert "100\u202f489.51" in html
    assert "Last update" in html
    assert "2\u00a0min" in html
    assert "Entries are blocked until it returns." in html


def test_what_was_never_read_is_stale():
    assert Freshness().is_stale
    assert 'data-state="stale"' in render_panel("account", AccountData(fresh=build.NEVER))


def test_an_empty_panel_says_what_comes_next():
    html = render_panel("positions", build.make_positions(rows=(), next_decision=build.due(minutes=12)))
    assert "No open positions. Next decision 14:15 UTC (in " in " ".join(read(html).text)


def test_a_failed_panel_keeps_its_id_and_gives_the_error_its_number():
    html = render_panel("problem", build.make_problem())
    assert 'id="positions"' in html
    assert "Could not load positions (error 7F3A) The engine is not affected." in " ".join(
        " ".join(read(html).text).split()
    )


def test_gains_and_losses_have_sign_arrow_and_class():
    html = render_panel("positions", build.make_positions())
    assert '<td role="cell" class="n pnl gain">▲ +353.45</td>' in html
    assert '<td role="cell" class="n pnl loss">▼ −9.99</td>' in html


@pytest.mark.parametrize(
    ("left", "level"), [("1000.01", "ok"), ("1000.00", "warn"), ("500.01", "warn"), ("500.00", "crit"), ("-3", "crit")]
)
def test_a_limit_changes_its_level_at_the_soft_and_the_hard_line(left, level):
    room = LossRoom(limit=Decimal(5000), left=Decimal(left), floor=Decimal(95000))
    assert room.level is Level(level)


def test_a_bar_of_room_stays_inside_its_box():
    assert LossRoom(limit=Decimal(10000), left=Decimal("10489.51"), floor=None).bar[0] == 100
    assert LossRoom(limit=Decimal(10000), left=Decimal(-5), floor=None).bar[0] == 0
    assert LossRoom(limit=Decimal(5000), left=Decimal("4632.06"), floor=None).bar == (92.6, 20.0, 10.0)


def test_every_stage_after_the_blocker_is_not_reached():
    stages = more.make_refused_decision().stages
    assert list(stages.values()) == ["passed", "passed", "passed", "passed", "stopped", "not-reached"]
    assert set(more.make_traded_decision().stages.values()) == {"passed"}
    assert list(more.make_stale_decision().stages.values()) == ["stopped"] + 5 * ["not-reached"]


def test_the_first_blocker_is_named():
    html = render_panel("funnel", more.make_funnel())
    assert "First blocker: <strong>max gross: 1.04 of 1.00 of equity</strong>" in html


def test_rearming_is_locked_while_a_check_fails_and_keeps_what_was_written():
    locked = render_page("pages/rearm.html", {"rearm": more.make_rearm(what_changed="new spread cap"), "frame": KILLED})
    assert "Possible again after 2025-08-22 22:00:00 UTC" in locked
    assert re.search(r'<input id="password"[^>]*disabled', locked)
    assert "new spread cap</textarea>" in locked
    ready = render_page("pages/rearm.html", {"rearm": more.make_ready_rearm(typed="ARM"), "frame": KILLED})
    assert not re.search(r'<input id="password"[^>]*(disabled|value=)', ready)


def test_an_unanswered_check_counts_as_failed():
    checks = (more.ArmCheck(name="clock", passed=None),)
    assert not more.make_ready_rearm(checks=checks).is_ready
    assert not more.make_ready_rearm(can_arm=False).is_ready
    assert more.make_ready_rearm().is_ready


def test_the_rail_links_only_pages_that_exist():
    html = render_overview()
    rail = re.search(r'<nav class="rail".*?</nav>', html, flags=re.DOTALL)
    assert rail
    assert re.findall(r'<a href="([^"]+)"', rail[0]) == ["/", "/portfolio/", "/bot/", "/alerts/", "/admin/"]


def test_the_phones_bar_leads_to_the_panel_that_stands_in_for_a_page():
    html = render_overview()
    tabs = re.search(r'<nav class="tabs".*?</nav>', html, flags=re.DOTALL)
    assert tabs
    assert re.findall(r'class="tab" href="([^"]+)"', tabs[0]) == [
        "/",
        "/#positions",
        "/portfolio/",
        "/bot/",
        "/#account",
    ]


def test_the_error_page_needs_no_context():
    html = render_to_string("500.html")
    assert_says_no_nonsense(html)
    assert "trade_kill" in html
