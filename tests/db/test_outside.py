"""Outside readings from their sources to a model's columns: each source on its own, each reading once."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from market import watching
from market.errors import FeedReplyError, FeedUnavailableError, UnknownSymbolError
from market.feeds import OUTSIDE_FEEDS, outside_feed
from market.feeds.outside import BookReading, FundingReading, SentimentReading
from market.intervals import DAY_MS, HOUR_MS, MINUTE_MS
from market.jobs import bring_outside
from market.models import BookSnapshot, FundingRate, KlineHole, QuarantinedRow, Sentiment, Symbol
from market.outside_reading import model_of
from market.outside_updating import store_readings, update_outside
from market.services import default_symbols, outside_features, outside_status
from market.updating import UpdateReport
from market.watches import stale_series
from ops import clock
from ops.errors import ExitCode
from tests.market_builders import MONDAY, StoppedClock
from tests.pages_reader import PLAIN_SITE

pytestmark = pytest.mark.django_db

NOON = MONDAY + 12 * HOUR_MS
FUNDING_MS = 8 * HOUR_MS
SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT"]


class Source:
    """A source that has what a test wrote down, up to the market's time, and fails when it is told to."""

    def __init__(self, name, readings):
        self.name, self.all, self.error = name, readings, None
        self.model = {"funding": "FundingRate", "depth": "BookSnapshot", "fear_greed": "Sentiment"}[name]
        self.asked = []

    def readings(self, symbol, *, since_ms):
        self.asked.append((symbol, since_ms))
        if self.error:
            raise self.error
        now_ms = int(clock.market_now().timestamp() * 1000)
        return [reading for reading in self.all if since_ms <= reading.at_ms <= now_ms]

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
        "funding": Source("funding", [FundingReading(MONDAY + i * FUNDING_MS, i / 1e4, 9.5) for i in range(-9, 30)]),
        "depth": Source("depth", [BookReading(NOON, 99.0, 100.0, 3.0, 1.0, 10)]),
        "fear_greed": Source(
            "fear_greed", [SentimentReading(MONDAY + i * DAY_MS, 40 + i, "Fear") for i in range(-3, 5)]
        ),
    }


def quarters(start_ms: int, n: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex((start_ms + 15 * MINUTE_MS * np.arange(n)).astype("datetime64[ms]"), tz="UTC")


def said(*arguments: str) -> tuple[int, dict]:
    out = StringIO()
    try:
        call_command(*arguments, "--json", stdout=out, stderr=StringIO())
        code = 0
    except SystemExit as end:
        code = end.code
    return code, json.loads(out.getvalue())


# --- bringing -----------------------------------------------------------------------------------------------------


def test_every_source_brings_what_it_has_for_each_symbol_and_the_market_once(feeds):
    report = update_outside(feeds=feeds)

    assert report.exit_code == ExitCode.DONE
    assert {(update.source, update.symbol) for update in report.updates} == {
        *(("funding", symbol) for symbol in SYMBOLS),
        *(("depth", symbol) for symbol in SYMBOLS),
        ("fear_greed", ""),
    }
    assert FundingRate.objects.filter(symbol="ETHUSDT").count() == 11  # to 08:00
    assert BookSnapshot.objects.get(symbol="BTCUSDT").imbalance == 0.5
    assert Sentiment.objects.count() == 4


def test_the_second_time_nothing_is_due_and_nobody_is_asked(feeds):
    feeds["funding"].all.append(FundingReading(NOON - 30 * MINUTE_MS, 0.0, None))  # younger than an hour
    feeds["funding"].all.sort()
    update_outside(feeds=feeds)
    for feed in feeds.values():
        feed.asked.clear()

    report = update_outside(["BTCUSD"], feeds=feeds)

    assert [feed.asked for feed in feeds.values()] == [[], [], []]
    assert report.exit_code == ExitCode.DONE


def test_only_what_came_since_is_asked_for(feeds, now):
    update_outside(feeds=feeds)
    for feed in feeds.values():
        feed.asked.clear()
    now.pass_by(timedelta(hours=5))

    report = update_outside(["BTCUSD"], feeds=feeds)

    assert feeds["funding"].asked == [("BTCUSDT", MONDAY + FUNDING_MS)]
    assert feeds["depth"].asked == [("BTCUSDT", NOON)]
    assert feeds["fear_greed"].asked == []  # today's is there
    assert [update.n_new for update in report.updates] == [1, 0, 0]


def test_one_source_that_fails_stops_no_other_and_is_partly_done(feeds):
    feeds["funding"].error = FeedReplyError("funding 0: fundingRate must be a number, was 'x'")

    report = update_outside(feeds=feeds)

    assert [update.source for update in report.failures] == ["funding"] * 3
    assert len(feeds["funding"].asked) == 3  # another symbol's reply may be fine
    assert report.exit_code == ExitCode.PARTLY
    assert (BookSnapshot.objects.count(), Sentiment.objects.count()) == (3, 4)


def test_a_source_that_does_not_answer_is_not_asked_again_for_each_symbol(feeds):
    feeds["depth"].error = FeedUnavailableError("nobody answers")

    report = update_outside(feeds=feeds)

    assert len(feeds["depth"].asked) == 1
    assert [update.symbol for update in report.failures] == SYMBOLS
    assert FundingRate.objects.count() == 33


def test_a_source_that_is_not_there_stops_no_other(feeds):
    feeds["funding"] = FeedUnavailableError("no address")

    assert [update.source for update in update_outside(feeds=feeds).failures] == ["funding"] * 3
    assert Sentiment.objects.count() == 4


def test_symbols_that_are_not_traded_or_not_listed_are_left_alone(feeds):
    Symbol.objects.filter(name="ETHUSD").update(is_traded=False)
    Symbol.objects.create(name="XAUUSD")

    update_outside(feeds=feeds)

    assert set(FundingRate.objects.values_list("symbol", flat=True)) == {"BTCUSDT", "BNBUSDT"}
    with pytest.raises(UnknownSymbolError):
        update_outside(["DOGE"], feeds=feeds)


def test_the_first_value_of_a_moment_stands_and_the_other_is_kept_apart():
    store_readings(Sentiment, "", [SentimentReading(MONDAY, 40, "Fear")], source="fear_greed")

    again = [SentimentReading(MONDAY, 41, "Fear"), SentimentReading(MONDAY + DAY_MS, 50, "Neutral")]
    for expected in [(1, 1), (0, 1)]:
        assert store_readings(Sentiment, "", again, source="fear_greed") == expected

    assert Sentiment.objects.get(at_ms=MONDAY).value == 40
    kept = QuarantinedRow.objects.get()
    assert (kept.row["value"], kept.open_ms, kept.reason) == (41, MONDAY, "differs from the stored reading")


@pytest.mark.parametrize(
    "row",
    [
        FundingRate(symbol="A", at_ms=1, rate=1.0),
        FundingRate(symbol="A", at_ms=1, rate=0.1, mark_price=0.0),
        BookSnapshot(symbol="A", at_ms=1, bid=2.0, ask=2.0, bid_quantity=1.0, ask_quantity=1.0, n_levels=10),
        BookSnapshot(symbol="A", at_ms=1, bid=1.0, ask=2.0, bid_quantity=0.0, ask_quantity=1.0, n_levels=10),
        Sentiment(at_ms=1, value=101, label="x"),
    ],
)
def test_the_database_refuses_what_is_no_reading(row):
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()


@pytest.mark.parametrize("feed", ["funding", "depth", "fear_greed"])
def test_the_database_holds_a_reading_once(feeds, feed):
    reading = feeds[feed].all[0]
    model = {"funding": FundingRate, "depth": BookSnapshot, "fear_greed": Sentiment}[feed]
    model.objects.create(symbol="A", **reading._asdict())
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.create(symbol="A", **reading._asdict())


@pytest.mark.parametrize("name", OUTSIDE_FEEDS)
def test_each_table_has_the_fields_of_its_sources_readings(name):
    feed = outside_feed(name)
    [reading] = get_args(get_type_hints(feed.readings)["return"])

    assert {field.name for field in model_of(feed)._meta.get_fields()} == {
        "id",
        "symbol",
        "received_ms",
        *reading._fields,
    }


# --- features -----------------------------------------------------------------------------------------------------


def test_features_are_what_each_bar_could_know(feeds):
    update_outside(feeds=feeds)

    frame = outside_features("ETHUSD", quarters(NOON - HOUR_MS, 8), interval="15m")

    # the settlement of 08:00 until the end; the book of 12:00 at closes from 12:00 to 12:15; Monday's index
    assert frame["funding_rate"].tolist() == [0.0001] * 8
    np.testing.assert_equal(frame["book_imbalance"].tolist(), [np.nan] * 3 + [0.5] * 2 + [np.nan] * 3)
    assert frame["fear_greed"].tolist() == [40.0] * 8
    assert frame.attrs["absent"] == {}
    assert list(frame.attrs["ended"]) == ["book_imbalance"]
    assert outside_features("ETHUSDT", frame.index, interval="15m").equals(frame)


def test_columns_that_nobody_wants_are_not_read(feeds, django_assert_num_queries):
    update_outside(feeds=feeds)
    index = quarters(NOON - HOUR_MS, 8)
    with django_assert_num_queries(3):  # the symbol's name, the rates, the newest of them
        frame = outside_features("ETHUSD", index, interval="15m", columns=["funding_rate"])
    assert list(frame.columns) == ["funding_rate"]
    assert (frame.attrs["absent"], frame.attrs["ended"]) == ({}, {})


def test_a_source_that_is_away_leaves_its_column_out_and_says_so(feeds):
    feeds["funding"].error = FeedUnavailableError("nobody answers")
    update_outside(feeds=feeds)

    frame = outside_features("BTCUSD", quarters(NOON - HOUR_MS, 8), interval="15m")

    assert list(frame.columns) == ["book_imbalance", "fear_greed"]
    assert "funding_rate is away: no reading of BTCUSDT is stored" in frame.attrs["absent"]["funding_rate"]


def test_a_symbol_without_a_name_at_the_exchange_has_the_markets_mood_alone(feeds):
    Symbol.objects.create(name="XAUUSD")
    update_outside(feeds=feeds)

    frame = outside_features("XAUUSD", quarters(NOON, 2), interval="15m")

    assert list(frame.columns) == ["fear_greed"]
    assert "a symbol without a name at the exchange" in frame.attrs["absent"]["funding_rate"]


def test_what_is_stored_later_changes_no_earlier_bar(feeds, now):
    update_outside(feeds=feeds)
    index = quarters(NOON - 48 * HOUR_MS, 4 * 48)
    before = outside_features("BTCUSD", index, interval="15m")

    now.pass_by(timedelta(days=2))
    feeds["depth"].all.append(BookReading(NOON + 30 * HOUR_MS, 1.0, 2.0, 1.0, 9.0, 10))
    update_outside(feeds=feeds)

    assert FundingRate.objects.filter(at_ms__gt=NOON).exists()
    pd.testing.assert_frame_equal(outside_features("BTCUSD", index, interval="15m"), before)


def test_what_comes_late_counts_from_when_it_came_and_the_history_from_when_it_was_out(feeds, now):
    update_outside(feeds=feeds)
    history = outside_features("BTCUSD", quarters(NOON - DAY_MS, 96), interval="15m")
    assert history["funding_rate"].notna().all()
    feeds["funding"].error = FeedUnavailableError("nobody answers")
    now.pass_by(timedelta(hours=6))  # the settlement of 16:00 is not brought
    update_outside(feeds=feeds)
    feeds["funding"].error = None
    now.pass_by(timedelta(hours=1, minutes=14))  # but at 19:14:45
    update_outside(feeds=feeds)

    index = quarters(NOON + 4 * HOUR_MS, 16)
    frame = outside_features("BTCUSD", index, interval="15m")

    # closes: 16:15 .. 17:00 still have that of 08:00, which counts to 17:00; 19:15 is the first to know the new one
    expected = [1e-4] * 4 + [np.nan] * 8 + [2e-4] * 4
    np.testing.assert_equal(frame["funding_rate"].tolist(), expected)
    assert FundingRate.objects.filter(received_ms=None).count() == 33
    short = outside_features("BTCUSD", index[:8], interval="15m")
    assert short.attrs["ended"]["funding_rate"] == (
        "funding_rate is away since 2025-06-02 17:00: the newest reading of BTCUSDT is of 2025-06-02 08:00, which "
        "counts for 9 h"
    )


def test_symbols_that_another_app_watches_are_brought_and_missed_as_the_traded_ones(feeds, now, monkeypatch):
    monkeypatch.setitem(watching.WATCHERS, "somebody", "tests.db.test_outside.watched_names")
    Symbol.objects.create(name="SOLUSD", binance_symbol="SOLUSDT", is_traded=False)

    update_outside(feeds=feeds)

    assert {update.symbol for update in update_outside(feeds=feeds).updates} == {*SYMBOLS, "SOLUSDT", ""}
    assert "SOLUSDT" in {each.symbol for each in outside_status(now_ms=NOON)}
    now.pass_by(timedelta(hours=21))
    assert "stale:funding:SOLUSDT" in {trouble.key for trouble in stale_series()}


def test_a_desk_that_trades_nothing_but_watches_has_its_readings(feeds, now, monkeypatch):
    monkeypatch.setitem(watching.WATCHERS, "somebody", "tests.db.test_outside.watched_names")
    Symbol.objects.all().delete()
    Symbol.objects.create(name="SOLUSD", binance_symbol="SOLUSDT", is_traded=False)

    assert {update.symbol for update in update_outside(feeds=feeds).updates} == {"SOLUSDT", ""}

    now.pass_by(timedelta(hours=21))
    assert {trouble.key for trouble in stale_series()} == {"stale:funding:SOLUSDT", "stale:depth:SOLUSDT"}


def watched_names() -> list[str]:
    return ["SOLUSDT", "never registered"]


# --- status, watches, commands, the job ---------------------------------------------------------------------------


def test_what_was_never_there_is_said_but_missed_by_nobody(feeds):
    assert {each.state for each in outside_status(now_ms=NOON)} == {
        f"none stored: models go without {column}" for column in ("funding_rate", "book_imbalance", "fear_greed")
    }
    assert list(stale_series()) == []


def test_a_source_that_fell_silent_is_said_once_for_each_symbol(feeds, now):
    update_outside(feeds=feeds)
    assert list(stale_series()) == []

    now.pass_by(timedelta(hours=21))  # the newest settlement is of yesterday's 08:00, the book of noon

    troubles = {trouble.key: trouble.title for trouble in stale_series()}
    assert troubles == {
        **{f"stale:funding:{symbol}": f"No funding reading of {symbol} comes" for symbol in SYMBOLS},
        **{f"stale:depth:{symbol}": f"No depth reading of {symbol} comes" for symbol in SYMBOLS},
    }
    now.pass_by(timedelta(days=3))
    assert "stale:fear_greed:market" in {trouble.key for trouble in stale_series()}
    [stale, *_] = [each for each in outside_status(now_ms=NOON + 21 * HOUR_MS) if each.source == "funding"]
    assert stale.state == "stale, 25.0 h old: models go without funding_rate"


def test_status_shows_each_source_and_warns_of_those_that_are_not_there(feeds):
    update_outside(feeds=feeds)
    FundingRate.objects.filter(symbol="BNBUSDT").delete()

    _, document = said("data_status")

    rows = {(row["source"], row["symbol"]): row for row in document["data"]["outside"]}
    assert len(rows) == 7
    assert rows["funding", "BTCUSDT"]["n_readings"] == 11
    assert rows["funding", "BTCUSDT"]["last_at"] == "2025-06-02T08:00:00+00:00"
    assert rows["fear_greed", ""]["state"] == "ok"
    assert "BNBUSDT funding: none stored: models go without funding_rate" in document["warnings"]


@pytest.fixture
def brought_bars(monkeypatch):
    """Let the bars' part of the command find nothing to complain of."""
    monkeypatch.setattr(
        "market.management.commands.data_update.update_all_data", lambda names, progress: UpdateReport(())
    )


@pytest.mark.usefixtures("brought_bars")
def test_the_update_command_is_partly_done_when_an_outside_source_fails_after_the_bars(settings, tmp_path):
    settings.RUN_DIR, settings.BINANCE_BASE = tmp_path, ""

    code, document = said("data_update")

    assert code == 7
    assert {row["source"] for row in document["data"]["outside"]} == set(OUTSIDE_FEEDS)
    [line] = document["warnings"]
    assert line.startswith("funding, depth, fear_greed: no simulated Binance has published itself")


@pytest.mark.usefixtures("brought_bars")
def test_the_update_command_tells_what_each_source_brought(feeds, monkeypatch):
    monkeypatch.setattr(
        "market.management.commands.data_update.update_outside", lambda names: update_outside(names, feeds=feeds)
    )

    code, document = said("data_update", "--symbol", "BTCUSD")

    assert code == 0
    assert [(row["source"], row["new"], row["error"]) for row in document["data"]["outside"]] == [
        ("funding", 11, None),
        ("depth", 1, None),
        ("fear_greed", 4, None),
    ]


def test_the_job_does_nothing_while_nothing_is_traded():
    Symbol.objects.all().delete()

    assert bring_outside() == []


def test_the_job_says_what_failed_and_ends(settings, tmp_path):
    settings.RUN_DIR, settings.BINANCE_BASE = tmp_path, ""

    assert {row["error"].partition(" (")[0] for row in bring_outside()} == {
        "no simulated Binance has published itself in binance.json"
    }


# --- the admin ----------------------------------------------------------------------------------------------------


def test_the_admin_shows_readings_as_facts_and_lets_a_hole_be_forgotten(admin_client, feeds, settings, tmp_path):
    settings.STORAGES, settings.STATIC_ROOT = PLAIN_SITE["STORAGES"], tmp_path
    update_outside(feeds=feeds)
    hole = KlineHole.objects.create(symbol="ETHUSDT", interval="15m", first_ms=MONDAY, last_ms=NOON)

    pages = {name: admin_client.get(f"/admin/market/{name}/") for name in ("fundingrate", "booksnapshot", "sentiment")}
    assert {name: page.status_code for name, page in pages.items()} == dict.fromkeys(pages, 200)
    assert "/admin/market/fundingrate/add/" not in pages["fundingrate"].content.decode()
    book = admin_client.get(f"/admin/market/booksnapshot/{BookSnapshot.objects.first().pk}/change/").content.decode()
    assert "99.0" in book
    assert "deletelink" not in book
    assert "June 2, 2025" in admin_client.get("/admin/market/klinehole/").content.decode()
    assert admin_client.post(f"/admin/market/klinehole/{hole.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not KlineHole.objects.exists()
