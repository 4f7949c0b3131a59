"""The setup bot's page beside the venue's own books: a trade is entered, seen, closed by hand and booked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from execution.sentinel import Sentinel
from simulator import hand
from tests.bot_builders import SYMBOL, bot_bar, found_setup, next_bar, venue_deals, venue_positions, watch_symbol
from tests.desk import open_desk
from tests.people import make_person
from tradingsite.live.panels import build_panel

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def desk(tmp_path):
    with open_desk(tmp_path) as opened:
        watch_symbol()
        next_bar(opened)
        yield opened


def test_the_page_says_of_a_trade_what_the_venue_says(desk):
    viewer = make_person("viewer")
    bot_bar(desk, found_setup(desk))
    next_bar(desk)
    Sentinel().round()
    [row] = build_panel("bot-trades", viewer).rows
    [held] = [position for position in desk.broker.positions() if position.symbol == SYMBOL]
    assert (row.lots, row.entry, row.result) == (held.volume, held.price_open, held.profit + held.swap)
    assert (float(row.stop), float(row.target)) == (venue_positions()[0].sl, venue_positions()[0].tp)
    assert row.bars_left == 23  # of 24, one of which has passed
    [account] = build_panel("bot-standing", viewer).accounts
    assert (account.n_open, account.left) == (1, account.limit + min(account.today, Decimal(0)))

    hand.trade(SYMBOL, held.side.opposite, float(held.volume), position=held.ticket)
    bot_bar(desk)
    Sentinel().round()
    assert build_panel("bot-trades", viewer).rows == ()
    results = build_panel("bot-results", viewer)
    earned = sum(Decimal(str(deal.profit + deal.commission + deal.swap)) for deal in venue_deals())
    assert [(one.n_trades, one.result) for one in results.accounts] == [(1, earned.quantize(Decimal("0.01")))]
    assert dict(results.exits) == {"manual": 1}
    [account] = build_panel("bot-standing", viewer).accounts
    assert account.today == results.accounts[0].result
