"""The fast backtest by hand, by the live sizing and slots, by the simulator's money, and by closed forms."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simulator import server_time
from simulator.money import commission, night_swap, profit
from simulator.symbols import CATALOGUE
from strategies.kernels.backtest import EARLY, SLOT, target_atoms
from strategies.research.backtest import Capital, backtest
from strategies.research.costs import Costs
from strategies.research.events import BacktestError
from strategies.research.lots import LotRules, SymbolTerms, kernel_terms
from strategies.research.timeline import build_timeline
from tests.bars_builders import read_bars
from tests.research_builders import LiveAccount, hours, price_bars, timeline_of, wishes

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "backtest.md"
EXACT = LotRules(is_rounded=False)
RICH = Capital(start=1_000_000, fixed=10_000)
BY_HAND = SymbolTerms(
    costs=Costs(spread_fraction=0.001, slippage=0.0002, commission_rate=0.0005, swap_long=-0.36, swap_short=-0.18)
)


def table(header: str) -> pd.DataFrame:
    """Return the table of the document whose header line begins so, as text."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(header))
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines[first:]]
    end = next(i for i, line in enumerate(lines[first:]) if not line.startswith("|"))
    return pd.DataFrame(rows[2:end], columns=rows[0])


@pytest.fixture(scope="module")
def by_hand():
    """Run the ten bars of the document."""
    bars = table("| bar | open | close | decided |")
    frame = bars[["open", "close"]].astype(float).set_index(hours(len(bars)))
    assert [f"{time:%H:%M}" for time in frame.index] == list(bars["bar"])
    early = pd.Series([101.0], index=pd.DatetimeIndex(["2025-01-15 21:00"], tz="UTC"))
    timeline = build_timeline({"COIN": frame}, early_prices={"COIN": early})
    return backtest(timeline, bars["decided"].astype(float).to_numpy(), terms=BY_HAND, capital=Capital(start=20_000))


def test_ten_bars_by_hand_trade_what_the_document_says(by_hand):
    expected = table("| slot | decision of | tenths")
    fills = by_hand.fills
    slots = fills.bar + fills.is_early + by_hand.index[0].hour
    assert [f"{slot % 24:02d}" for slot in slots] == list(expected["slot"])
    for name, column in (
        ("price", "price"),
        ("held before", "before"),
        ("held after", "after"),
        ("spread", "spread"),
        ("slippage", "slippage"),
        ("commission", "commission"),
    ):
        np.testing.assert_allclose(getattr(fills, column), expected[name].astype(float), atol=1e-9, err_msg=name)


def test_ten_bars_by_hand_have_the_equity_that_the_document_says(by_hand):
    np.testing.assert_allclose(by_hand.equity, table("| bar | earned")["equity"].astype(float), atol=1e-9)


def test_ten_bars_by_hand_cost_what_the_document_says(by_hand):
    totals = table("| total | amount |").set_index("total")["amount"].astype(float)
    found = {"gross": by_hand.gross, "end": by_hand.end} | by_hand.costs.as_data()
    assert found == pytest.approx(totals.to_dict(), abs=1e-9)


def test_the_documents_program_runs():
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL).group(1)
    names = {"bars": price_bars(), "positions": wishes(200)}
    exec(compile(code.replace("print", "shown = "), str(DOCUMENT), "exec"), names)  # noqa: S102 - our own page
    assert names["shown"][0] == names["result"].end


@pytest.mark.parametrize(
    ("capital", "price", "position", "lots"),
    # 0.625, 20.325, 78.125 and 102.875 lots exactly, each a little more or less in floats.
    [(1234.5, 1185.12, 0.6, 0.62), (3333.3, 16.4, 0.1, 20.32), (2500, 19.2, 0.6, 78.12), (1234.5, 10.8, 0.9, 102.88)],
)
def test_halves_go_to_the_even_lot_where_floats_would_miss_them(capital, price, position, lots):
    terms = kernel_terms(SymbolTerms(), weight=1.0, funding_rate=0.0)
    assert target_atoms(position, capital, price, terms) == round(lots * 100)


def test_a_position_that_the_largest_no_longer_holds_is_reduced_though_it_still_is_the_nearest():
    bars = pd.DataFrame({"open": [9_000.0, 9_000, 10_100], "close": [9_000.0, 10_100, 10_100]}, index=hours(3))
    whole_lots = SymbolTerms(lots=LotRules(volume_step=1, volume_min=1, lot_precision=0))
    result = backtest(timeline_of(bars), [0.9, 0.9, 0.9], terms=whole_lots, capital=RICH)
    # 0.9 of 10,000 is one lot of 9,000; at 10,100 it is nearest to one still, but one is worth more than 10,000.
    np.testing.assert_array_equal(result.fills.after, [1, 0])


# Timing


def test_slots_act_on_the_bar_that_just_closed_and_hour_22_acts_before_it():
    bars = price_bars(48, start="2025-07-01 00:00")
    timeline = timeline_of(bars)
    marks, hour = timeline.arrays.marks[0], timeline.index.hour
    np.testing.assert_array_equal(marks[1:] & SLOT != 0, (hour != 22)[1:])
    np.testing.assert_array_equal(marks & EARLY != 0, hour == 21)
    assert marks[0] & SLOT == 0  # before the first bar nothing was decided


def test_a_decision_is_filled_at_the_next_open_and_not_earlier():
    bars = pd.DataFrame({"open": [100.0, 100, 110, 120], "close": [100.0, 110, 120, 130]}, index=hours(4))
    result = backtest(timeline_of(bars), [0.0, 1.0, 0, 0], terms=SymbolTerms(lots=EXACT), capital=RICH)
    np.testing.assert_array_equal(result.fills.bar, [2, 3])
    np.testing.assert_array_equal(result.fills.price, [110, 120])
    assert result.gross == pytest.approx(10_000 / 110 * 10)


def test_after_quiet_days_the_early_slot_trades_at_its_own_price():
    """Nothing asks for a trade in four days but the price of the last 21:55, at which 5,000 are twice the volume."""
    bars = pd.DataFrame({"open": 100.0, "close": 100.0}, index=hours(100, "2025-01-15 00:00"))
    at_21 = bars.index[bars.index.hour == 21]
    early = pd.Series([100.0] * (len(at_21) - 1) + [50.0], index=at_21)
    timeline = build_timeline({"COIN": bars}, early_prices={"COIN": early})
    fills = backtest(timeline, np.full(100, 0.5), capital=RICH).fills

    np.testing.assert_array_equal(fills.after, [50, 100, 50])
    np.testing.assert_array_equal(fills.price, [100, 50, 100])
    assert [f"{bars.index[bar]:%d %H}" for bar in fills.bar] == ["15 01", "18 21", "18 23"]
    np.testing.assert_array_equal(fills.is_early, [0, 1, 0])


def test_the_decision_of_the_bar_before_the_early_hour_is_never_acted_on_in_a_market_without_a_break():
    bars = pd.DataFrame({"open": 100.0, "close": 100.0}, index=hours(9))  # 16:00 .. 00:00
    only_21 = np.where(bars.index.hour == 21, 1.0, 0.0)
    assert len(backtest(timeline_of(bars), only_21, capital=RICH).fills) == 0


def test_after_a_daily_break_the_bar_before_it_is_the_newest_and_acts():
    bars = pd.DataFrame({"open": 100.0, "close": 100.0}, index=hours(9)).drop(pd.Timestamp("2025-01-15 22:00Z"))
    only_21 = np.where(bars.index.hour == 21, 1.0, 0.0)
    fills = backtest(timeline_of(bars), only_21, capital=RICH).fills
    assert [str(bars.index[bar])[11:16] for bar in fills.bar] == ["23:00", "00:00"]


def test_a_slot_after_a_gap_does_nothing():
    bars = pd.DataFrame({"open": 100.0, "close": 100.0}, index=hours(8, "2025-01-15 08:00")).drop(
        pd.Timestamp("2025-01-15 11:00Z")
    )
    always = np.ones(7)
    always[0] = 0.0  # decided at 08:00 and 09:00; 10:00 acts on 09:00, 12:00 would act on 10:00, 13:00 acts on 12:00
    always[1] = 0.0
    fills = backtest(timeline_of(bars), always, capital=RICH).fills
    assert [str(bars.index[bar])[11:16] for bar in fills.bar] == ["13:00"]


def test_the_future_has_no_influence_on_the_past():
    bars, other = price_bars(120, seed=1), price_bars(120, seed=2)
    wish = wishes(120)
    terms = SymbolTerms(costs=Costs(spread_fraction=0.001, swap_long=-0.2))
    whole = backtest(timeline_of(bars), wish, terms=terms).equity
    for now in range(1, 120):
        rewritten = pd.concat([bars.iloc[:now], other.iloc[now:]])
        later = np.concatenate([wish[:now], -wish[now:]])
        np.testing.assert_array_equal(backtest(timeline_of(rewritten), later, terms=terms).equity[:now], whole[:now])


def test_real_hours_are_traded_as_the_live_slots_sizing_and_planning_would(trading_data):
    bars = read_bars(trading_data)[["open", "close"]].iloc[-1500:]
    positions = pd.Series(wishes(len(bars)), index=bars.index)
    live = LiveAccount(bars, positions, LotRules())
    expected = [float(equity) for equity in live.run()]
    result = backtest(timeline_of(bars), positions)
    np.testing.assert_allclose(result.equity, expected, rtol=1e-9)
    assert len(result.fills) == len(live.fills) > 500


# Money


def test_buying_and_holding_is_the_price_ratio_less_costs():
    bars = price_bars(500)
    terms = SymbolTerms(lots=LotRules(is_rounded=False, drift_band=np.inf), costs=Costs(commission_rate=0.001))
    result = backtest(timeline_of(bars), np.ones(500), terms=terms, capital=Capital(start=500.0, fixed=None))
    ratio = bars["close"].iloc[-1] / bars["open"].iloc[1]
    assert result.end == pytest.approx(500 * (ratio - 0.001))


def test_a_flat_signal_has_flat_equity_and_no_costs():
    result = backtest(timeline_of(price_bars(100)), np.zeros(100), terms=BY_HAND)
    assert (result.equity == 10_000).all()
    assert result.costs.total == result.gross == len(result.fills) == 0


def test_equity_falls_as_each_cost_rises():
    bars, wish = timeline_of(price_bars(300)), wishes(300)
    capital = Capital(start=1e6, fixed=10_000.0)  # so that what is held does not depend on what was paid
    ends = [
        backtest(bars, wish, terms=SymbolTerms(costs=costs), capital=capital).end
        for costs in (
            Costs(),
            Costs(spread_fraction=0.001),
            Costs(spread_fraction=0.001, slippage=0.001),
            Costs(spread_fraction=0.001, slippage=0.001, commission_rate=0.001),
            Costs(spread_fraction=0.001, slippage=0.001, commission_rate=0.001, swap_long=-1.0, swap_short=-1.0),
        )
    ]
    assert (np.diff(ends) < 0).all()


def test_an_account_with_nothing_left_is_closed_and_stays_flat():
    bars = pd.DataFrame({"open": [100.0, 100, 250, 250, 100], "close": [100.0, 250, 250, 100, 50]}, index=hours(5))
    result = backtest(timeline_of(bars), -np.ones(5), terms=SymbolTerms(lots=EXACT))
    assert result.fills.after[-1] == 0
    np.testing.assert_allclose(result.equity[1:], -5_000)
    assert (result.returns[2:] == 0).all()


def test_positions_are_sized_from_the_lesser_of_fixed_capital_and_equity():
    bars = pd.DataFrame({"open": [100.0, 100, 50, 50], "close": [100.0, 50, 50, 50]}, index=hours(4))
    result = backtest(timeline_of(bars), [1, -1, -1, -1], terms=SymbolTerms(lots=EXACT))
    assert result.fills.after[1] * 50 == pytest.approx(-5_000)  # half of the 10,000 is lost


def test_nights_are_charged_as_the_simulator_charges_them():
    symbol = CATALOGUE["BTCUSD"]
    bars = price_bars(400, start="2025-02-25 00:00", gaps=0.05)  # across the change of clocks on 9 March
    costs = Costs(swap_long=symbol.swap_long_pct / 100, swap_short=symbol.swap_short_pct / 100)
    timeline = timeline_of(bars)
    for side in (1, -1):
        result = backtest(timeline, np.full(len(bars), 0.4 * side), terms=SymbolTerms(costs=costs), capital=RICH)
        paid = -sum(
            night_swap(symbol, 0 if lots > 0 else 1, Decimal(f"{abs(lots):.2f}"), price)
            for lots, price in nights(bars, result)
        )
        # The simulator rounds each night to cents.
        assert result.costs.swap == pytest.approx(float(paid), abs=0.005 * 20)
        assert result.costs.swap > 0


def nights(bars, result):
    """Yield lots held and price at each of the simulator's midnights, by stepping its clock."""
    now_ms = int(bars.index[0].timestamp()) * 1000
    while (now_ms := server_time.next_midnight_ms(now_ms)) <= int(bars.index[-1].timestamp()) * 1000:
        at = pd.Timestamp(now_ms, unit="ms", tz="UTC")
        row = bars.index.searchsorted(at)
        held = [after for bar, after in zip(result.fills.bar, result.fills.after, strict=True) if bar < row]
        price = bars["open"].iloc[row] if bars.index[row] == at else bars["close"].iloc[row - 1]
        if held and held[-1]:
            yield held[-1], price


def test_a_triple_night_is_three_and_the_weekends_none():
    bars = pd.DataFrame({"open": 100.0, "close": 100.0}, index=hours(24 * 15, "2025-01-06 00:00"))  # from a Monday
    terms = SymbolTerms(costs=Costs(swap_long=-0.36))
    once = backtest(timeline_of(bars), np.ones(len(bars)), terms=terms, capital=RICH)
    triple = backtest(timeline_of(bars, triple_swap_weekday=2), np.ones(len(bars)), terms=terms, capital=RICH)
    assert once.costs.swap == pytest.approx(10 * 15)
    assert triple.costs.swap == pytest.approx(10 * 15)  # two weeks are fourteen either way, and a Monday is one
    first_week = slice(0, 24 * 2)
    cut = backtest(timeline_of(bars.iloc[first_week], triple_swap_weekday=2), np.ones(48), terms=terms, capital=RICH)
    assert cut.costs.swap == pytest.approx(10 * 2)
    to_thursday = backtest(timeline_of(bars.iloc[:96], triple_swap_weekday=2), np.ones(96), terms=terms, capital=RICH)
    assert to_thursday.costs.swap == pytest.approx(10 * (1 + 1 + 3 + 1))


def test_assumed_funding_is_due_three_times_a_day_and_recorded_funding_when_it_was():
    bars = pd.DataFrame({"open": 100.0, "close": 100.0}, index=hours(25, "2025-01-15 01:00"))
    assumed = SymbolTerms(lots=EXACT, costs=Costs(funding_rate=0.001))
    held = backtest(timeline_of(bars), np.ones(25), terms=assumed, capital=RICH)
    assert held.costs.funding == pytest.approx(10 * 3)  # at 08, 16 and 00
    short = backtest(timeline_of(bars), -np.ones(25), terms=assumed, capital=RICH)
    assert short.costs.funding == pytest.approx(-10 * 3)
    rates = pd.Series([0.01, -0.002], index=pd.DatetimeIndex(["2025-01-15 08:00:00.007", "2025-01-15 12:30"], tz="UTC"))
    timeline = build_timeline({"BTCUSD": bars}, funding={"BTCUSD": rates})
    recorded = backtest(timeline, np.ones(25), terms=SymbolTerms(lots=EXACT), capital=RICH)
    assert recorded.costs.funding == pytest.approx(10_000 * 0.008)
    with pytest.raises(BacktestError, match="funding_rate must be 0"):
        backtest(timeline, np.ones(25), terms=assumed)


def test_fills_and_profit_are_the_simulators_to_the_cent():
    symbol = CATALOGUE["ETHUSD"]
    bars = price_bars(60, price=3_000.0)
    terms = SymbolTerms(costs=Costs(commission_rate=symbol.commission_rate))
    result = backtest(timeline_of(bars), wishes(60), terms=terms, capital=RICH)
    paid = sum(
        float(-commission(symbol, Decimal(f"{abs(lots):.2f}"), price))
        for lots, price in zip(result.fills.lots, result.fills.price, strict=True)
    )
    assert result.costs.commission == pytest.approx(paid, abs=0.005 * len(result.fills))
    for trip in result.trips():
        volume = Decimal(f"{trip.lots:.2f}")
        booked = profit(symbol, 0 if trip.side > 0 else 1, volume, price_open=trip.price_in, price_close=trip.price_out)
        assert trip.gross == pytest.approx(float(booked), abs=0.006)


def test_trips_add_up_to_gross_and_to_the_costs_of_fills():
    result = backtest(timeline_of(price_bars(400)), wishes(400), terms=BY_HAND, capital=RICH)
    trips = result.trips()
    assert sum(trip.gross for trip in trips) == pytest.approx(result.gross)
    assert sum(trip.costs for trip in trips) == pytest.approx(result.costs.total - result.costs.swap)
    assert all(trip.closed is None or trip.closed >= trip.opened for trip in trips)
    assert sum(trip.closed is None for trip in trips) == (result.fills.after[-1] != 0)
