"""Stops on the market's own path, premium and all, are triggered at the very tick that a look at every tick finds."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.binance.rows import FUTURES, Trade
from simulator.exchange_outside import mark_price
from simulator.hourbars import HOUR_MS
from simulator.market import Market
from tests.exchange_clients import NOW, Hand, StandingClock, small_market

HOURS = 8
market = cache(small_market)


def first_reached(prices: Market, level: float, *, above: bool, by_mark: bool) -> int | None:
    """Return the time of the first tick after now at the level or beyond, looking at each."""
    for tick in prices.ticks("BTCUSD", NOW, NOW + HOURS * HOUR_MS):
        t_ms = int(tick["time_ms"])
        price = round(mark_price(prices, "BTCUSD", t_ms), 8) if by_mark else float(tick["bid"])
        if (price >= level) if above else (price <= level):
            return t_ms
    return None


@settings(max_examples=15, deadline=None)
@given(st.integers(-60, 60), st.booleans())
def test_a_stop_is_triggered_at_the_tick_that_reaches_it(offset, by_mark):
    prices = market()
    last = prices.quote("BTCUSD", NOW)
    start = mark_price(prices, "BTCUSD", NOW) if by_mark else last.bid
    level = round(start * (1 + offset / 10_000), 2)
    above = level > start
    if level == start:
        return
    desk = Hand(prices, StandingClock(NOW))
    working = "MARK_PRICE" if by_mark else "CONTRACT_PRICE"
    kind = "STOP_MARKET" if above else "TAKE_PROFIT_MARKET"  # to buy: the one waits above, the other below
    desk.algo(kind, "BUY", level, quantity="0.1", workingType=working)
    desk.minutes(60 * HOURS)

    expected = first_reached(prices, level, above=above, by_mark=by_mark)
    found = [trade.time_ms for trade in desk.venue.books.select(Trade, venue=FUTURES)]
    assert found == ([] if expected is None else [expected])


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6 * 60))
def test_stopping_on_the_way_changes_nothing(offset, minutes):
    prices = market()
    level = round(mark_price(prices, "BTCUSD", NOW) * (1 + offset / 10_000), 2)
    told = []
    for pauses in ((), (minutes, minutes / 3)):
        desk = Hand(prices, StandingClock(NOW))
        desk.futures("MARKET", "SELL", "0.1")
        desk.algo("STOP_MARKET", "BUY", level, closePosition="true", workingType="MARK_PRICE")
        for pause in pauses:
            desk.minutes(pause)
        desk.minutes(60 * 24 - sum(pauses))
        told.append([(trade.price, trade.time_ms, trade.realized) for trade in desk.venue.books.select(Trade)])
        told[-1].append(desk.wallet(venue="futures"))
    assert told[0] == told[1]
