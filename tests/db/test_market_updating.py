"""Updates ask for what is missing, and a failure stays where it happened."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from market import updating
from market.errors import FeedReplyError, FeedUnavailableError, UnknownSymbolError
from market.lookback import fetch_historical_data, get_recent_data, update_recent_trades
from market.models import Bar, Kline, QuarantinedRow, RecentTrade, Symbol
from market.services import default_symbols, joined_bars, update_all_data, update_symbol
from ops import clock
from ops.alerts import raise_alert
from ops.errors import ExitCode
from ops.models import Alert, Announcement
from tests.market_builders import HOUR_MS, MONDAY, StoppedClock, change, make_raw, ms

pytestmark = pytest.mark.django_db

NOON = MONDAY + 12 * HOUR_MS


class WrittenFeed:
    """A feed that has the rows that a test gave it, and fails for some symbols."""

    def __init__(self, name, kind, raw, *, failing=()):
        self.name, self.kind, self.raw, self.failing = name, kind, raw, failing
        self.asked = []

    def closed_bars(self, symbol, interval, *, since_ms):
        self.asked.append((symbol, since_ms))
        if symbol in self.failing:
            raise FeedReplyError(f"nothing of {symbol}")
        return self.raw.take(self.raw.open_ms >= since_ms)

    def klines(self, symbol, interval, *, start_ms, end_ms=None):
        self.asked.append((symbol, start_ms, end_ms))
        return self.raw.take((self.raw.open_ms >= start_ms) & (self.raw.open_ms < (end_ms or 2**62)))

    def close(self):
        """Nothing to let go of."""


@pytest.fixture(autouse=True)
def now():
    default_symbols()
    with clock.use(StoppedClock("2025-06-02T12:00:45")) as stopped:
        yield stopped


@pytest.fixture
def feeds():
    return {
        "mt5": WrittenFeed("mt5", "rates", make_raw(12, klines=False)),
        "binance": WrittenFeed("binance", "klines", make_raw(12)),
    }


def test_every_traded_symbol_is_brought_from_every_feed(feeds):
    report = update_all_data(feeds=feeds)

    assert report.exit_code == ExitCode.DONE
    assert {(bar.symbol, bar.interval) for bar in Bar.objects.all()} == {
        (s, "1h") for s in ("BTCUSD", "ETHUSD", "BNBUSD")
    }
    assert Kline.objects.filter(symbol="BNBUSDT").count() == 12
    assert joined_bars("BTCUSD").index[-1].hour == 11
    assert report.summary() == "72 bars new, 0 changed"


def test_a_symbol_that_is_not_traded_is_left_alone(feeds):
    Symbol.objects.filter(name="ETHUSD").update(is_traded=False)

    update_all_data(feeds=feeds)

    assert not Bar.objects.filter(symbol="ETHUSD").exists()


def test_the_second_time_only_the_end_is_asked_for(feeds):
    update_all_data(["BTCUSD"], feeds=feeds)
    update_all_data(["BTCUSD"], feeds=feeds)

    first, second = (since for _, since in feeds["mt5"].asked)
    assert first == NOON - updating.FIRST_HISTORY_BARS * HOUR_MS
    assert second == MONDAY + 11 * HOUR_MS - updating.OVERLAP_BARS * HOUR_MS
    assert Bar.objects.count() == 12


def test_one_symbols_failure_stops_no_other(feeds):
    feeds["mt5"].failing = ("BTCUSD",)

    report = update_all_data(feeds=feeds)

    assert [(update.symbol, update.source) for update in report.failures] == [("BTCUSD", "mt5")]
    assert report.exit_code == ExitCode.PARTLY
    assert set(Bar.objects.values_list("symbol", flat=True)) == {"ETHUSD", "BNBUSD"}
    assert Kline.objects.filter(symbol="BTCUSDT").count() == 12
    assert Alert.objects.get().title == "no data of BTCUSD from mt5"
    assert report.summary().endswith("1 of 6 sources failed")


def test_a_failure_of_the_database_stays_where_it_happened_too(feeds, monkeypatch):
    bring = updating.bring

    def locked(feed, name, raw, interval):
        if name == "BTCUSD":
            raise OperationalError("database is locked")
        return bring(feed, name, raw, interval)

    monkeypatch.setattr(updating, "bring", locked)

    report = update_all_data(feeds=feeds)

    assert [str(update.error) for update in report.failures] == ["database is locked"]
    assert Bar.objects.filter(symbol="ETHUSD").count() == 12


def test_the_alert_ends_with_the_failure(feeds):
    feeds["mt5"].failing = ("BTCUSD",)
    update_all_data(feeds=feeds)
    feeds["mt5"].failing = ()

    update_all_data(feeds=feeds)

    assert not Alert.objects.open().exists()


def test_a_source_that_is_not_there_stops_no_other(feeds):
    feeds["binance"] = FeedUnavailableError("nobody answers")

    report = update_all_data(feeds=feeds)

    assert report.unreachable == ["binance"]
    assert report.exit_code == ExitCode.UNREACHABLE
    assert Bar.objects.count() == 36


def test_data_that_stays_old_is_said(feeds):
    feeds["mt5"].raw = make_raw(5, klines=False)

    report = update_all_data(["BTCUSD"], feeds=feeds)

    assert [(update.source, update.bars_behind) for update in report.stale] == [("mt5", 7)]
    assert report.exit_code == ExitCode.DATA


def test_a_source_without_a_single_bar_is_stale(feeds):
    feeds["binance"].raw = make_raw(0)

    report = update_all_data(["BTCUSD"], feeds=feeds)

    assert [(update.source, update.newest_ms) for update in report.stale] == [("binance", None)]


def test_an_unknown_symbol_is_refused_before_anything_is_asked(feeds):
    with pytest.raises(UnknownSymbolError, match="known: BTCUSD, ETHUSD, BNBUSD"):
        update_all_data(["BTCUSD", "DOGE"], feeds=feeds)
    assert feeds["mt5"].asked == []


def test_a_symbol_without_a_binance_name_is_asked_of_the_broker_alone(feeds):
    Symbol.objects.create(name="XAUUSD")

    updates = update_symbol("XAUUSD", feeds=feeds)

    assert [update.source for update in updates] == ["mt5"]


def test_a_revised_bar_is_taken_and_told(feeds):
    update_all_data(["BTCUSD"], feeds=feeds)
    feeds["mt5"].raw = change(make_raw(12, klines=False), 10, close=105.0)

    report = update_all_data(["BTCUSD"], feeds=feeds)

    [mt5, _] = report.updates
    assert mt5.stored.differing == (MONDAY + 10 * HOUR_MS,)
    assert Bar.objects.get(open_ms=MONDAY + 10 * HOUR_MS).close == 105.0
    assert Alert.objects.get().title == "mt5 revised 1 bars of BTCUSD"
    assert QuarantinedRow.objects.get().row["close"] == 104


def test_a_bar_that_a_feed_hands_on_unfinished_is_not_stored(feeds):
    feeds["mt5"].raw = make_raw(13, klines=False)  # the last one opened at 12:00

    update_all_data(["BTCUSD"], feeds=feeds)

    assert Bar.objects.order_by("open_ms").last().open_ms == MONDAY + 11 * HOUR_MS


def test_pages_are_told_once_for_what_changed(feeds):
    update_all_data(["BTCUSD"], feeds=feeds)
    told = Announcement.objects.filter(topic="data").count()
    update_all_data(["BTCUSD"], feeds=feeds)

    assert told == 2
    assert Announcement.objects.filter(topic="data").count() == told


def test_an_update_with_nothing_new_asks_little_and_writes_nothing(feeds):
    update_all_data(feeds=feeds)

    with CaptureQueriesContext(connection) as queries:
        update_all_data(feeds=feeds)

    statements = [query["sql"].split()[0] for query in queries]
    assert statements.count("SELECT") == 2 + 6 * 2  # symbols, alerts; a series' newest bar and its last rows
    assert set(statements) <= {"SELECT", "SAVEPOINT", "RELEASE"}


def test_another_keys_alert_is_left_open(feeds):
    raise_alert("data-update-of-another:mt5:BTCUSD", "not ours")
    raise_alert("data-update:mt5:BTCUSD", "ours, from before")

    update_all_data(feeds=feeds)

    assert [alert.title for alert in Alert.objects.open()] == ["not ours"]


# --- looking back ------------------------------------------------------------------------------------------------


def test_recent_data_asks_once_and_then_only_for_what_is_new(feeds, now):
    feed = feeds["binance"]
    feed.raw = make_raw(13)

    first = get_recent_data("BTCUSDT", "1h", 5, feed=feed)
    again = get_recent_data("BTCUSDT", "1h", 5, feed=feed)

    assert first.index.hour.tolist() == again.index.hour.tolist() == [7, 8, 9, 10, 11]
    assert feed.asked == [("BTCUSDT", MONDAY + 7 * HOUR_MS, NOON)]
    now.pass_by(timedelta(hours=1))
    assert get_recent_data("BTCUSDT", "1h", 5, feed=feed).index.hour.tolist() == [8, 9, 10, 11, 12]
    assert feed.asked[1:] == [("BTCUSDT", NOON, NOON + HOUR_MS)]


def test_historical_data_fills_holes_and_both_ends(feeds):
    feed = feeds["binance"]
    updating.bring(feed, "BTCUSDT", make_raw(12).take([2, 3, 4, 7, 8]), "1h")

    frame = fetch_historical_data("BTCUSDT", "1h", 0.5, feed=feed)

    assert frame.index.hour.tolist() == list(range(1, 12))  # 00:00 opened before the last twelve hours
    assert [(start - MONDAY) // HOUR_MS for _, start, _ in feed.asked] == [1, 5, 9]
    assert [(end - MONDAY) // HOUR_MS for _, _, end in feed.asked] == [2, 7, 12]


def test_many_holes_are_asked_for_as_one(feeds, monkeypatch):
    from market import lookback

    monkeypatch.setattr(lookback, "MOST_RANGES", 2)
    feed = feeds["binance"]
    updating.bring(feed, "BTCUSDT", make_raw(12).take([2, 4, 6, 8]), "1h")

    fetch_historical_data("BTCUSDT", "1h", 0.5, feed=feed)

    assert feed.asked == [("BTCUSDT", MONDAY + HOUR_MS, NOON)]


def test_recent_trades_are_stored_once():
    from market.feeds.binance_replies import Trade

    class Trades:
        def recent_trades(self, symbol):
            return [Trade(i, ms("2025-06-02T11:00"), 100.0, 0.5, 50.0, i % 2 == 0) for i in range(5)]

    assert update_recent_trades("BTCUSDT", feed=Trades()) == 5
    assert update_recent_trades("BTCUSDT", feed=Trades()) == 0
    assert f"{RecentTrade.objects.first().traded_at:%H:%M}" == "11:00"
