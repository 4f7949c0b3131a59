"""The simulated market: one truth behind ticks, bars and klines, and a synthetic market that looks like one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulator.hourbars import HOUR_MS, HourBars
from simulator.market import Market
from simulator.symbols import CATALOGUE, symbol_for
from simulator.synthetic import START_MS, synthetic_bars

DAY_MS = 24 * HOUR_MS
NOW = START_MS + 400 * DAY_MS + 10 * HOUR_MS + 37 * 60_000 + 12_345
HOUR = NOW // HOUR_MS * HOUR_MS


@pytest.fixture(scope="module")
def market() -> Market:
    return Market.synthetic(seed=11, end_ms=START_MS + 800 * DAY_MS)


def bar(o: int, h: int, low: int, c: int, *, volume: float = 100.0, trades: int = 1000, hours: int = 1) -> HourBars:
    """Return identical bars in points of 2 digits, from 1970 on."""
    same = {
        name: np.full(hours, value, np.int64) for name, value in (("open", o), ("high", h), ("low", low), ("close", c))
    }
    return HourBars(
        digits=2,
        open_ms=HOUR_MS * np.arange(hours, dtype=np.int64),
        **same,
        volume=np.full(hours, volume),
        quote_volume=np.full(hours, volume * (o + h + low + c) / 400),
        trades=np.full(hours, trades),
        taker_base=np.full(hours, volume / 3),
        taker_quote=np.full(hours, volume * (o + h + low + c) / 1200),
    )


def one_symbol(bars: HourBars, **options) -> Market:
    return Market({"BTCUSD": bars}, {"BTCUSD": CATALOGUE["BTCUSD"]}, seed=3, **options)


def rates(market: Market, interval_s: int, from_ms: int, to_ms: int, now_ms: int = NOW):
    return market.rates("BTCUSD", interval_s, from_ms, to_ms, now_ms=now_ms)


def test_the_minutes_of_an_hour_start_at_its_open_and_end_at_its_close(market):
    hour = rates(market, 3600, HOUR - HOUR_MS, HOUR)[0]
    minutes = rates(market, 60, HOUR - HOUR_MS, HOUR)
    assert len(minutes) == 60
    assert (minutes["open"][0], minutes["close"][-1]) == (hour["open"], hour["close"])
    assert (minutes["high"].max(), minutes["low"].min()) == (hour["high"], hour["low"])
    assert minutes["tick_volume"].sum() == hour["tick_volume"]


def test_a_minute_opens_where_the_one_before_closed(market):
    minutes = rates(market, 60, HOUR - HOUR_MS, HOUR)
    assert (minutes["open"][1:] == minutes["close"][:-1]).all()


def test_ticks_make_the_same_minutes(market):
    ticks = market.ticks("BTCUSD", HOUR - HOUR_MS - 1, HOUR - 1)
    minutes = rates(market, 60, HOUR - HOUR_MS, HOUR)
    of_minute = ticks["time_ms"] // 60_000
    for minute in minutes:
        bids = ticks["bid"][of_minute == minute["open_ms"] // 60_000]
        assert len(bids) >= 4
        assert (bids[0], bids.max(), bids.min(), bids[-1]) == tuple(minute[["open", "high", "low", "close"]])


def test_ticks_exclude_the_start_and_include_the_end(market):
    ticks = market.ticks("BTCUSD", HOUR, HOUR + HOUR_MS)
    assert ticks["time_ms"][0] > HOUR
    assert ticks["time_ms"][-1] == HOUR + HOUR_MS  # the next hour's first tick
    assert (np.diff(ticks["time_ms"]) > 0).all()
    cut = int(ticks["time_ms"][100])
    halves = [market.ticks("BTCUSD", HOUR, cut), market.ticks("BTCUSD", cut, HOUR + HOUR_MS)]
    assert (np.concatenate(halves) == ticks).all()


def test_ticks_over_many_hours_are_those_of_each_hour(market):
    whole = market.ticks("BTCUSD", HOUR - 5 * HOUR_MS, HOUR)
    parts = [market.ticks("BTCUSD", HOUR - i * HOUR_MS, HOUR - (i - 1) * HOUR_MS) for i in range(5, 0, -1)]
    assert (np.concatenate(parts) == whole).all()


def test_a_quote_is_the_last_tick_and_the_ask_is_one_spread_above(market):
    quote = market.quote("BTCUSD", NOW)
    last = market.ticks("BTCUSD", HOUR - 1, NOW)[-1]
    assert quote == (last["time_ms"], last["bid"], last["ask"])
    assert quote.ask - quote.bid == pytest.approx(10.0)  # 1000 points of a cent


def test_at_the_hour_the_price_is_the_bars_open(market):
    assert market.quote("BTCUSD", HOUR).bid == rates(market, 3600, HOUR, HOUR + 1)["open"][0]


def test_the_forming_bar_holds_the_ticks_so_far(market):
    forming = rates(market, 3600, HOUR, NOW)[0]
    bids = market.ticks("BTCUSD", HOUR - 1, NOW)["bid"]
    assert tuple(forming[["open", "high", "low", "close"]]) == (bids[0], bids.max(), bids.min(), bids[-1])
    full = rates(market, 3600, HOUR, NOW, now_ms=HOUR + HOUR_MS)[0]
    assert 0 < forming["tick_volume"] < full["tick_volume"]


def test_a_bar_that_has_not_begun_is_not_there(market):
    assert not len(rates(market, 3600, HOUR + HOUR_MS, HOUR + 9 * HOUR_MS))
    assert rates(market, 60, HOUR, HOUR + HOUR_MS)["open_ms"][-1] == NOW // 60_000 * 60_000


def test_closed_bars_do_not_depend_on_when_they_are_asked_for(market):
    then = rates(market, 900, HOUR - DAY_MS, HOUR, now_ms=HOUR)
    later = rates(market, 900, HOUR - DAY_MS, HOUR, now_ms=HOUR + 90 * DAY_MS)
    assert (then == later).all()


def test_a_kline_of_an_hour_is_the_rate_of_that_hour(market):
    klines = market.klines("BTCUSDT", 3600, HOUR - DAY_MS, NOW, now_ms=NOW)
    bars = rates(market, 3600, HOUR - DAY_MS, NOW)
    assert [k[0] for k in klines] == bars["open_ms"].tolist()
    assert [[float(x) for x in k[1:5]] for k in klines] == [list(b[["open", "high", "low", "close"]]) for b in bars]
    assert [k[8] for k in klines] == bars["tick_volume"].tolist()


def test_a_kline_has_binances_twelve_fields(market):
    kline = market.klines("BTCUSDT", 900, HOUR - HOUR_MS, HOUR, now_ms=NOW)[0]
    assert [type(x) for x in kline] == [int, *[str] * 5, int, str, int, *[str] * 3]
    assert kline[6] == kline[0] + 900_000 - 1
    volume, quote, taker, taker_quote = (float(kline[i]) for i in (5, 7, 9, 10))
    assert 0 <= taker <= volume
    assert 0 <= taker_quote <= quote
    assert float(kline[3]) <= quote / volume <= float(kline[2])


def test_a_day_is_made_of_its_hours(market):
    day = rates(market, 86_400, HOUR // DAY_MS * DAY_MS - DAY_MS, HOUR // DAY_MS * DAY_MS)[0]
    hours = rates(market, 3600, day["open_ms"], day["open_ms"] + DAY_MS)
    assert len(hours) == 24
    assert (day["open"], day["close"]) == (hours["open"][0], hours["close"][-1])
    assert (day["high"], day["low"]) == (hours["high"].max(), hours["low"].min())
    assert day["tick_volume"] == hours["tick_volume"].sum()


def test_days_can_follow_a_server_clock(market):
    bars = market.rates("BTCUSD", 86_400, HOUR - 9 * DAY_MS, HOUR, now_ms=NOW, align_ms=-2 * HOUR_MS)
    assert (bars["open_ms"] % DAY_MS == 22 * HOUR_MS).all()
    assert len(bars) == 9


def test_bars_between_any_edges_serve_months_and_summer_time(market):
    edges = HOUR + HOUR_MS * np.array([-48, -25, 0])  # a day of 23 hours, one of 25
    short, long = market.rates_between("BTCUSD", edges, now_ms=NOW)
    hours = rates(market, 3600, int(edges[0]), int(edges[2]))
    assert short["close"] == hours["close"][22]
    assert long["tick_volume"] == hours["tick_volume"][23:].sum()


@pytest.mark.parametrize("interval_s", [0, -60, 90, 1])
def test_an_interval_off_the_minute_is_refused(market, interval_s):
    with pytest.raises(ValueError, match=f"multiple of 60, was {interval_s}"):
        rates(market, interval_s, HOUR, NOW)


def test_before_its_first_bar_a_symbol_has_no_price(market):
    with pytest.raises(ValueError, match="no price before"):
        market.quote("BTCUSD", market.start_ms - 1)
    assert not market.is_open("BTCUSD", market.start_ms - 1)
    assert not len(rates(market, 3600, market.start_ms - DAY_MS, market.start_ms))


def test_a_missing_hour_is_a_closed_market():
    bars = bar(10_000, 10_100, 9_900, 10_050, hours=5)
    kept = np.array([0, 1, 3, 4])
    names = ("open_ms", "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base", "taker_quote")
    market = one_symbol(replace(bars, **{name: getattr(bars, name)[kept] for name in names}))
    inside = 2 * HOUR_MS + 1_800_000
    assert [market.is_open("BTCUSD", t) for t in (0, 2 * HOUR_MS - 1, inside, 3 * HOUR_MS)] == [True, True, False, True]
    assert market.quote("BTCUSD", inside).time_ms < 2 * HOUR_MS
    assert market.quote("BTCUSD", inside).bid == 100.5
    assert not len(market.ticks("BTCUSD", 2 * HOUR_MS, 3 * HOUR_MS - 1))
    assert market.rates("BTCUSD", 3600, 0, 5 * HOUR_MS, now_ms=inside)["open_ms"].tolist() == [0, HOUR_MS]
    assert len(market.rates("BTCUSD", 60, 0, 5 * HOUR_MS, now_ms=9 * HOUR_MS)) == 4 * 60


def test_a_flat_hour_stays_flat():
    market = one_symbol(bar(10_000, 10_000, 10_000, 10_000, volume=0.0, trades=0))
    minutes = rates(market, 60, 0, HOUR_MS, now_ms=HOUR_MS)
    assert len(minutes) == 60
    assert {float(minutes[name][i]) for name in ("open", "high", "low", "close") for i in range(60)} == {100.0}
    assert float(market.klines("BTCUSDT", 900, 0, HOUR_MS, now_ms=HOUR_MS)[0][5]) == 0.0


@pytest.mark.parametrize("shape", [(1, 2, 1, 2), (2, 2, 1, 1), (2, 3, 1, 2), (1, 2, 1, 1), (5, 5, 1, 5)])
def test_the_smallest_bars_keep_their_extremes(shape):
    market = one_symbol(bar(*shape))
    bids = np.rint(market.ticks("BTCUSD", -1, HOUR_MS - 1)["bid"] * 100).astype(int)
    assert (bids[0], bids.max(), bids.min(), bids[-1]) == shape


def test_with_a_held_open_the_first_minute_does_not_move():
    bars = bar(10_000, 10_100, 9_900, 10_050, hours=200)
    ticks = one_symbol(bars, hold_open=True).ticks("BTCUSD", -1, 200 * HOUR_MS - 1)
    first = ticks["time_ms"] % HOUR_MS < 60_000
    assert (ticks["bid"][first] == 100.0).all()
    assert (ticks["bid"][:360].max(), ticks["bid"][:360].min(), ticks["bid"][359]) == (101.0, 99.0, 100.5)


def test_another_seed_takes_another_way_through_the_same_bars():
    bars = bar(10_000, 10_100, 9_900, 10_050, hours=3)
    spec = {"BTCUSD": CATALOGUE["BTCUSD"]}
    one, other = (Market({"BTCUSD": bars}, spec, seed=seed).ticks("BTCUSD", -1, HOUR_MS - 1) for seed in (1, 2))
    assert (one["bid"] != other["bid"]).mean() > 0.5
    assert (
        len(
            {
                tuple(Market({"BTCUSD": bars}, spec, seed=1).ticks("BTCUSD", t, t + HOUR_MS - 1)["bid"])
                for t in (-1, HOUR_MS - 1)
            }
        )
        == 2
    )


def test_a_longer_horizon_or_another_symbol_changes_no_bar():
    digits = {name: spec.digits for name, spec in CATALOGUE.items()}
    few = synthetic_bars(["ETHUSD"], digits=digits, seed=5, end_ms=START_MS + 1000 * HOUR_MS)["ETHUSD"]
    many = synthetic_bars(list(CATALOGUE), digits=digits, seed=5, end_ms=START_MS + 5000 * HOUR_MS)["ETHUSD"]
    for name in ("open_ms", "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:1000])


@pytest.fixture(scope="module")
def returns() -> dict[str, np.ndarray]:
    market = Market.synthetic(seed=1, end_ms=START_MS + 4 * 365 * DAY_MS)
    return {name: np.diff(np.log(market.hour_bars(name).close)) for name in market.symbols}


def test_synthetic_returns_have_fat_tails_and_bursts_but_no_trend_to_lean_on(returns):
    r = returns["BTCUSD"]
    assert ((r - r.mean()) ** 4).mean() / r.var() ** 2 > 6  # a normal has 3
    assert np.corrcoef(np.abs(r[24:]), np.abs(r[:-24]))[0, 1] > 0.05
    assert abs(np.corrcoef(r[1:], r[:-1])[0, 1]) < 0.03
    assert 0.3 < r.std() * np.sqrt(8760) < 0.9


def test_synthetic_symbols_move_together(returns):
    correlation = np.corrcoef(np.stack(list(returns.values())))
    assert correlation[np.triu_indices(5, 1)].min() > 0.4
    assert correlation[np.triu_indices(5, 1)].max() < 0.95


def test_synthetic_weekends_are_quiet_and_takers_lean_with_the_return(returns):
    market = Market.synthetic(seed=1, names=["BTCUSD"], end_ms=START_MS + 4 * 365 * DAY_MS)
    bars = market.hour_bars("BTCUSD")
    weekday = (bars.open_ms[1:] // DAY_MS + 3) % 7
    size = np.abs(returns["BTCUSD"])
    assert size[weekday >= 5].mean() < 0.85 * size[weekday < 5].mean()
    share = (bars.taker_base / bars.volume)[1:]
    assert np.corrcoef(share, returns["BTCUSD"])[0, 1] > 0.3
    assert 0.4 < share.mean() < 0.6


def test_the_whole_synthetic_market_starts_trading_with_years_of_history():
    market = Market.synthetic(7, names=["BNBUSD"])
    assert (market.first_trading_ms - market.start_ms) / DAY_MS > 4 * 365
    assert market.end_ms - market.first_trading_ms > 5 * 365 * DAY_MS


def test_an_unknown_synthetic_symbol_is_refused():
    with pytest.raises(ValueError, match="no synthetic market for XAUUSD"):
        synthetic_bars(["XAUUSD"], digits={"XAUUSD": 2}, seed=1)


@pytest.mark.parametrize(
    ("price", "step", "most"), [(4_000.0, 0.01, 1000.0), (40.0, 0.01, 100_000.0), (0.2, 1.0, 10_000_000.0)]
)
def test_an_unknown_symbol_gets_lots_that_suit_its_price(price, step, most):
    spec = symbol_for("XXXUSD", binance_symbol="", digits=3, price=price)
    assert (spec.volume_min, spec.volume_step, spec.volume_max) == (step, step, most)
    assert spec.binance_symbol == "XXXUSDT"
    assert spec.spread_points * spec.point == pytest.approx(0.0003 * price, abs=spec.point)


def test_bars_that_no_market_can_have_are_refused():
    with pytest.raises(ValueError, match="low <= open"):
        bar(10, 9, 8, 9)
    with pytest.raises(ValueError, match="on the hour"):
        replace(bar(10, 11, 9, 10, hours=2), open_ms=np.array([0, HOUR_MS + 1]))
    with pytest.raises(ValueError, match="increasing"):
        replace(bar(10, 11, 9, 10, hours=2), open_ms=np.array([HOUR_MS, 0]))


def test_a_symbol_without_bars_is_refused():
    with pytest.raises(ValueError, match="must be the same ones"):
        Market({"BTCUSD": bar(10, 11, 9, 10)}, CATALOGUE, seed=1)
