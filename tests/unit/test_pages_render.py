"""Every panel and page in every state, from hand-made values: no database, no server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.forms import AuthenticationForm
from django.test import override_settings

from tests import alerts_builders as alarm
from tests import bot_values_builders as bot
from tests import pages_builders as build
from tests import portfolio_builders as more
from tests.pages_reader import (
    PLAIN_SITE,
    assert_says_no_nonsense,
    assert_tables_are_named,
    read,
    render_page,
    render_panel,
)
from tradingsite.pages.frame_data import ClockData, FrameData, Mode, StateWord
from tradingsite.pages.overview_data import AccountData, LossRoom

PANELS: dict[str, tuple[str, Any]] = {
    **{f"state {word}": ("state", build.make_state(word)) for word in StateWord},
    **{f"notice {word}": ("notice", build.make_state(word, since=build.NOW, by="maria")) for word in StateWord},
    "notice flat": ("notice", build.make_state(StateWord.KILLED, flat_at=build.NOW, n_positions=0, n_orders=1)),
    "notice viewer": ("notice", build.make_state(StateWord.KILLED, can_arm=False)),
    **{f"controls {word}": ("controls", build.make_state(word)) for word in StateWord},
    "controls viewer": ("controls", build.make_state(can_operate=False)),
    "kill-facts": ("kill_facts", build.make_kill_facts(n_foreign=1)),
    "kill-facts of several accounts": (
        "kill_facts",
        build.make_kill_facts(n_others=2, others=(("USDT", Decimal("-3.20")),)),
    ),
    "kill-facts unknown": ("kill_facts", build.make_kill_facts(n_orders=None, n_positions=None, estimate=None)),
    "account": ("account", build.make_account()),
    "account stale": ("account", build.make_account(fresh=build.STALE)),
    "account unknown": ("account", AccountData(fresh=build.NEVER)),
    "account no limit left": (
        "account",
        build.make_account(daily=LossRoom(limit=Decimal(5000), left=Decimal("-1.50"), floor=Decimal(95000))),
    ),
    "account unknown limit": ("account", build.make_account(daily=LossRoom(limit=None, left=None, floor=None))),
    "equity": ("equity", build.make_equity()),
    "equity one point": ("equity", build.make_equity(n_points=1)),
    "equity empty": ("equity", build.make_equity(n_points=0)),
    "attention": ("attention", build.make_attention()),
    "attention viewer": ("attention", build.make_attention(can_operate=False)),
    "attention empty": ("attention", build.make_attention(items=())),
    "positions": ("positions", build.make_positions()),
    "positions stale": ("positions", build.make_positions(fresh=build.STALE)),
    "positions empty": ("positions", build.make_positions(rows=(), next_decision=build.due(minutes=12))),
    "positions unknown": (
        "positions",
        build.make_positions(
            rows=(build.make_position(now=None, pnl=None, move=float("nan"), weight=None, swap=None, is_ours=False),),
            pnl=None,
            swap=None,
        ),
    ),
    "signals": ("signals", build.make_signals()),
    "signals empty": ("signals", build.make_signals(rows=(), bar_open_at=None, bar_close_at=None)),
    "next": ("next", build.make_next()),
    "next empty": ("next", build.make_next(events=())),
    "decisions": ("decisions", build.make_decisions()),
    "decisions empty": ("decisions", build.make_decisions(rows=())),
    "data": ("data", build.make_data()),
    "data empty": ("data", build.make_data(sources=(), processes=())),
    "days": ("days", build.make_days()),
    "days empty": ("days", build.make_days(n_days=0)),
    "days unknown": ("days", build.make_days(total_fraction=None, won_fraction=None, max_drawdown=None)),
    "targets": ("targets", more.make_targets()),
    "targets empty": ("targets", more.make_targets(rows=())),
    "targets unknown": (
        "targets",
        more.make_targets(target=None, actual=None, gross=None, max_gross=None, capital=None, edit_url=""),
    ),
    "funnel": ("funnel", more.make_funnel()),
    "funnel empty": ("funnel", more.make_funnel(decisions=())),
    "models": ("models", more.make_models()),
    "models empty": ("models", more.make_models(symbols=())),
    "kill-progress": ("kill_progress", more.make_progress()),
    "kill-progress late": ("kill_progress", more.make_progress(is_late=True)),
    "kill-progress flat": ("kill_progress", more.make_flat_progress()),
    "alerts": ("alerts", alarm.make_alerts()),
    "alerts viewer": ("alerts", alarm.make_alerts(can_operate=False)),
    "alerts empty": ("alerts", alarm.make_alerts(open=(), over=())),
    "deliveries": ("deliveries", alarm.make_deliveries()),
    "deliveries viewer": ("deliveries", alarm.make_deliveries(can_operate=False)),
    "deliveries nowhere": ("deliveries", alarm.make_deliveries(destinations=(), messages=())),
    **{name: (name.replace("-", "_"), panel) for name, panel in bot.make_bot_page().items()},
    **{f"{name} empty": (name.replace("-", "_"), panel) for name, panel in bot.make_empty_bot_page().items()},
    "bot-standing viewer": ("bot_standing", bot.make_standing(can_operate=False, is_paused=True, edit_url="")),
    "positions failed": ("problem", build.make_problem()),
    "positions denied": ("problem", build.make_problem(kind="denied", words="Needs the Operator role.", error_id="")),
}
KILLED = build.make_frame(build.make_state(StateWord.KILLED))
BARE = FrameData(mode=Mode.DEMO, clock=ClockData(market_at=None, wall_at=build.NOW))
PAGES_SHOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "overview": ("pages/overview.html", {"panels": build.make_overview()}),
    "overview killed": ("pages/overview.html", {"panels": build.make_overview(), "frame": KILLED}),
    "portfolio": ("pages/portfolio.html", {"panels": more.make_portfolio()}),
    "decision held": ("pages/decision.html", {"decision": more.make_decision()}),
    "decision traded": ("pages/decision.html", {"decision": more.make_traded_decision()}),
    "decision stale": ("pages/decision.html", {"decision": more.make_stale_decision()}),
    "decision refused": ("pages/decision.html", {"decision": more.make_refused_decision()}),
    "alerts": ("pages/alerts.html", {"panels": alarm.make_alerts_page()}),
    "bot": ("pages/bot.html", {"panels": bot.make_bot_page()}),
    "bot paused": (
        "pages/bot.html",
        {"panels": bot.make_bot_page() | {"bot-standing": bot.make_standing(is_paused=True)}},
    ),
    "bot empty": ("pages/bot.html", {"panels": bot.make_empty_bot_page()}),
    "setup": ("pages/setup.html", {"setup": bot.make_setup_page()}),
    "setup rejected": (
        "pages/setup.html",
        {"setup": bot.make_setup_page(row=bot.make_setup_row(decision="rejected", action=""), plan=None, similar=())},
    ),
    "kill": ("pages/kill.html", {"facts": build.make_kill_facts(), "frame": build.make_frame(page="kill_page")}),
    "kill viewer": ("pages/kill.html", {"facts": build.make_kill_facts(), "frame": build.make_frame(can_kill=False)}),
    "kill progress": ("pages/kill.html", {"progress": more.make_progress(), "frame": KILLED}),
    "rearm": ("pages/rearm.html", {"rearm": more.make_rearm(), "frame": KILLED}),
    "rearm ready": ("pages/rearm.html", {"rearm": more.make_ready_rearm(), "frame": KILLED}),
    "rearm armed": ("pages/rearm.html", {"rearm": more.make_rearm(word=StateWord.ARMED)}),
    "login": ("registration/login.html", {"form": AuthenticationForm(), "next": "/", "frame": BARE}),
    "lockout": ("lockout.html", {"cooloff_timedelta": timedelta(minutes=15), "frame": BARE}),
    "404": ("404.html", {}),
    "403": ("403.html", {"exception": "Needs the Operator role."}),
}

every_panel = pytest.mark.parametrize(("partial", "panel"), PANELS.values(), ids=PANELS.keys())
every_page = pytest.mark.parametrize(("template", "context"), PAGES_SHOWN.values(), ids=PAGES_SHOWN.keys())


@pytest.fixture(autouse=True)
def _addresses_and_plain_static_files() -> Iterator[None]:
    with override_settings(**PLAIN_SITE):
        yield


@every_panel
def test_a_panel_has_one_root_with_an_id(partial, panel):
    reader = read(render_panel(partial, panel))
    assert reader.n_roots == 1
    _, attrs = reader.elements[0]
    assert attrs.get("id")
    assert "data-panel" in attrs


@every_panel
def test_a_panel_never_says_none_or_nan(partial, panel):
    assert_says_no_nonsense(render_panel(partial, panel))


@every_panel
def test_a_panels_tables_have_a_caption_and_scopes(partial, panel):
    assert_tables_are_named(render_panel(partial, panel))


@every_panel
def test_a_panel_has_no_ticking_number_in_a_live_region(partial, panel):
    html = render_panel(partial, panel)
    regions = re.findall(r'<(\w+)[^>]*role="(?:status|alert)"[^>]*>(.*?)</\1>', html, flags=re.DOTALL)
    assert all("data-age" not in inside and "data-until" not in inside for _, inside in regions)


@every_panel
def test_a_panel_has_no_inline_handler_style_or_script(partial, panel):
    for tag, attrs in read(render_panel(partial, panel)).elements:
        assert tag not in ("script", "style")
        assert not [name for name in attrs if name.startswith("on") or name == "style"]


@every_page
def test_a_page_is_whole_and_says_no_nonsense(template, context):
    html = render_page(template, context)
    assert_says_no_nonsense(html)
    assert_tables_are_named(html)


@every_page
def test_a_pages_ids_are_unique(template, context):
    ids = [attrs["id"] for _, attrs in read(render_page(template, context)).elements if "id" in attrs]
    assert sorted(ids) == sorted(set(ids))


@every_page
def test_what_a_page_points_at_by_id_is_there(template, context):
    elements = read(render_page(template, context)).elements
    ids = {attrs["id"] for _, attrs in elements if "id" in attrs}
    names = ("aria-labelledby", "aria-describedby", "form", "for")
    for _, attrs in elements:
        pointed = {attrs[name] for name in names if attrs.get(name)}
        assert pointed <= ids, f"{pointed - ids} of {attrs}"
    assert {attrs["data-dialog"] for _, attrs in elements if "data-dialog" in attrs} <= ids


@every_page
def test_every_page_names_its_environment_in_the_bar_and_the_title(template, context):
    html = render_page(template, context)
    title = re.search(r"<title>(.*?)</title>", html, flags=re.DOTALL)
    assert title
    mode = context.get("frame", build.make_frame()).mode
    assert mode.label.upper() in title[1].upper()
    assert f'class="env" data-mode="{mode}"' in html


@every_page
def test_scripts_are_files_and_forms_that_change_something_are_protected(template, context):
    html = render_page(template, context)
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    for form in re.findall(r'<form[^>]*method="post".*?</form>', html, flags=re.DOTALL):
        assert "csrfmiddlewaretoken" in form


@pytest.mark.parametrize(
    "name", [name for name, (_, context) in PAGES_SHOWN.items() if context.get("frame") is not BARE]
)
def test_kill_is_on_every_page(name):
    assert re.search(r'<form action="/kill/".*?>\s*<button class="btn kill"', render_page(*PAGES_SHOWN[name]))
