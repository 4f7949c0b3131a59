"""What the setup bot's page reckons and says from hand-made values: no database."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from html import unescape

import pytest
from django.test import override_settings

from tests import bot_values_builders as build
from tests.pages_reader import PLAIN_SITE, read, render_page, render_panel
from tradingsite.pages.bot import digits_of, venue_name
from tradingsite.pages.bot_data import AccountRow, BotWord, Ending
from tradingsite.pages.bot_results_data import ForegoneRow, curve_chart
from tradingsite.pages.bot_setups import in_words
from tradingsite.pages.overview_data import Level

D = Decimal


@pytest.fixture(autouse=True)
def _addresses_and_plain_static_files() -> Iterator[None]:
    with override_settings(**PLAIN_SITE):
        yield


def text_of(html: str) -> str:
    return " ".join(unescape(" ".join(read(html).text)).split())


def test_a_long_trade_lies_between_its_stop_and_its_target():
    trade = build.make_trade()  # 98 to 104: the entry is a third of the way, 101 a half
    assert (trade.entry_at, trade.now_at) == (33.3, 50.0)
    assert (trade.bar.kind, trade.bar.x, trade.bar.width) == ("up", 33.3, 16.7)


def test_a_short_trade_counts_the_way_down():
    trade = build.make_trade(side="short", stop=D(102), target=D(96), now=D("101.2"))
    assert (trade.entry_at, trade.now_at, trade.bar.kind) == (33.3, 13.3, "down")


@pytest.mark.parametrize(("now", "place"), [("97", 0.0), ("98", 0.0), ("104", 100.0), ("110", 100.0)])
def test_a_price_beyond_stop_or_target_stays_in_the_box(now, place):
    assert build.make_trade(now=D(now)).now_at == place


def test_a_trade_without_a_price_of_now_has_neither_bar_nor_r():
    trade = build.make_trade(now=None, result=None)
    assert (trade.now_at, trade.r, trade.bar.width) == (None, None, 0)
    html = render_panel("bot_trades", build.make_trades(rows=(trade,)))
    assert "the price of now is not known" in html


def test_r_is_the_result_over_what_was_at_risk():
    assert build.make_trade(result=D("-21"), risk=D(14)).r == -1.5


def test_trades_in_several_currencies_are_not_added_up():
    rows = (build.make_trade(), build.make_trade(currency="USDT", result=D(-3)), build.make_trade(result=D("0.50")))
    assert build.make_trades(rows=rows).sums == (("USD", D("7.00")), ("USDT", D(-3)))


@pytest.mark.parametrize(
    ("left", "share", "is_spent"), [("200", 1.0, False), ("50", 0.25, False), ("0", 0.0, True), ("-10", 0.0, True)]
)
def test_the_days_loss_limit_is_spent_at_zero(left, share, is_spent):
    row = AccountRow(name="a", currency="USD", n_open=0, max_open=3, today=D(0), limit=D(200), left=D(left))
    assert (row.left_share, row.is_spent) == (share, is_spent)


def test_a_spent_day_says_that_nothing_is_entered():
    assert "no entries" in text_of(render_panel("bot_standing", build.make_standing()))


@pytest.mark.parametrize(
    ("state", "level"),
    [
        *(("armed", Level.OK), ("paused", Level.UNKNOWN), ("waiting", Level.UNKNOWN)),
        *(("unknown", Level.WARN), ("blocked", Level.WARN), ("killing", Level.CRIT), ("killed", Level.CRIT)),
    ],
)
def test_only_on_is_drawn_as_armed(state, level):
    word = BotWord(state=state, label="x", why="y")
    html = render_panel("bot_standing", build.make_standing(word=word))
    assert word.level is level
    assert ('data-state="armed"' in html) == (state == "armed")


def test_pause_posts_at_once_and_resume_asks_first():
    running = render_panel("bot_standing", build.make_standing())
    paused = render_panel("bot_standing", build.make_standing(is_paused=True))
    assert 'formaction="/bot/pause/"' in running
    assert "data-dialog" not in running
    assert 'formaction="/bot/resume/" data-dialog="bot-resume-dialog"' in paused


@pytest.mark.parametrize("is_paused", [True, False])
def test_a_viewer_sees_the_button_disabled_with_the_reason(is_paused):
    html = render_panel("bot_standing", build.make_standing(is_paused=is_paused, can_operate=False))
    assert 'disabled title="Needs the Operator role"' in html
    assert "data-dialog" not in html


def test_what_the_filter_refused_is_said_in_a_sentence():
    lost, won = (ForegoneRow(name="rejected by the filter", n=3, n_won=1, r=r) for r in (-1.15, 2.5))
    assert build.make_results(foregone=(lost,)).filter_words == "Its refusals saved 1.15\u00a0R"
    assert build.make_results(foregone=(won,)).filter_words == "Its refusals cost 2.50\u00a0R"
    assert build.make_results(foregone=(ForegoneRow(name="x", n=0, n_won=0, r=0.0),)).filter_words == ""


def test_a_bar_of_r_says_its_trade_and_one_r_fills_the_height_at_least():
    results = build.make_results()
    assert results.scale == 2.0
    assert [bar.kind for bar in results.bars] == ["up", "down", "up"]
    assert results.bars[1].label == "SOLUSD stop: −1.05\u00a0R"
    assert build.make_results(trades=()).scale == 1.0


def test_both_curves_are_on_one_scale_with_the_better_one_above():
    chart = curve_chart(build.make_backtests().rows[0].points)
    ends = [float(path.rsplit(" ", 1)[1]) for path in (chart.with_filter, chart.without_filter)]
    assert ends == [8.0, 192.0]  # the highest and the lowest value there is
    assert chart.with_filter.startswith("M0 ")
    assert chart.with_filter.split(" ")[1] == chart.without_filter.split(" ")[1]


def test_a_curve_that_does_not_move_can_be_drawn():
    points = build.make_backtests().rows[0].points
    flat = [point.__class__(at=point.at, with_filter=5.0, without_filter=5.0) for point in points]
    assert curve_chart(flat).start_y == curve_chart(flat).y_ticks[len(curve_chart(flat).y_ticks) // 2].at


@pytest.mark.parametrize(
    ("row", "states"),
    [
        ({"decision": "rejected", "action": ""}, ["passed", "stopped", "not-reached", "not-reached"]),
        ({"action": "missed"}, ["passed", "passed", "stopped", "not-reached"]),
        ({"action": "open", "ending": None}, ["passed", "passed", "passed", "not-reached"]),
        ({}, ["passed"] * 4),
    ],
)
def test_a_setup_stops_where_it_was_stopped(row, states):
    assert list(build.make_setup_page(row=build.make_setup_row(**row)).stages.values()) == states


def test_an_outcome_that_was_not_traded_says_so():
    row = build.make_setup_row(ending=Ending(reason="stop", r=-1.1, is_real=False))
    assert "not traded: as the bars had it" in text_of(
        render_page("pages/setup.html", {"setup": build.make_setup_page(row=row)})
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("entry:too_late: nobody tried", "nobody tried"),
        ("setup_positions: the bot would have 4", "the bot would have 4"),
        ("out_of_distribution: unlike anything seen", "unlike anything seen"),
        ("confidence 0.310 is below the threshold 0.65", "confidence 0.310 is below the threshold 0.65"),
        ("the active filter cannot judge it: no rsi_14", "the active filter cannot judge it: no rsi_14"),
    ],
)
def test_reasons_are_said_without_their_codes(reason, words):
    assert in_words(reason) == words


def test_prices_keep_the_digits_that_they_have():
    assert [digits_of(D(text)) for text in ("142.3500000000", "0.4271000000", "100", "2E+3")] == [2, 4, 2, 2]


def test_venues_have_the_names_that_people_use():
    names = [venue_name(key) for key in ("mt5", "binance_spot", "binance_futures")]
    assert names == ["MetaTrader 5", "Binance spot", "Binance futures"]


def test_an_empty_page_says_what_comes_next():
    text = text_of(render_page("pages/bot.html", {"panels": build.make_empty_bot_page()}))
    for words in (
        "The bot watches nothing.",
        "The bot has nothing open.",
        "No setup was seen yet.",
        "No trade has ended yet.",
        "The bot watches no symbol, so no filter is needed.",
        "No backtest of the filter is kept. Run manage.py setup_backtest ;",
    ):
        assert words in text
