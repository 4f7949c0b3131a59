"""Backtests on the fast engine: what they hold, what they must not know, how they are counted and kept."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from execution.backtest_requests import BacktestOptions
from execution.models import PortfolioWeight, RebalanceSettings
from market.models import Symbol
from market.reading import joined_bars
from ops import clock
from ops.clock import SystemClock
from ops.models import Announcement
from simulator.replay import symbol_for
from strategies import registry
from strategies.backtesting import planned, requests
from strategies.backtesting.windowed import windowed_positions
from strategies.fits import fit_plan
from strategies.models import Backtest, FittedModel
from strategies.research.backtest import Capital, backtest
from strategies.research.costs import Costs
from strategies.research.lots import LotRules, SymbolTerms
from strategies.research.timeline import TimelineRules, build_timeline
from strategies.services import enabled_plan
from tests.backtest_builders import BEGIN, END, FIT_UNTIL, FREE, backtested, fit_small, options, rewrite
from tests.bars_builders import make_bars
from tests.fits_builders import plan_row

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
HOUR = timedelta(hours=1)
N_SLOTS = 240
CUT = datetime(2024, 1, 17, 6, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _models_dir(tmp_path, settings):
    settings.MODEL_DIR = tmp_path / "models"
    with clock.use(SystemClock()):
        yield


def by_hand(names=("BTCUSD",), *, windowed: int | None = None):
    """Return the pure engine's result of the active models, on bars that came from no database."""
    frames, positions = {}, {}
    for seed, name in enumerate(names):
        bars = make_bars(seed, 600)
        bars = bars[bars.index < END]
        models = [model.estimator for model in registry.active(name)]
        whole = sum(model.predict(bars) for model in models)
        if windowed:
            asked = bars.index[(bars.index >= BEGIN - HOUR)]
            tails = [bars[bars.index <= at].tail(windowed) for at in asked]
            whole = pd.Series([sum(m.one_step_predict(tail) for m in models) for tail in tails], index=asked)
        frames[name], positions[name] = bars[bars.index >= BEGIN - HOUR], whole
    return run_engine(frames, positions)


def run_engine(frames, positions):
    """Return the pure engine's result at the assumed costs."""
    costs = Costs(spread_fraction=0.0003, slippage=0.0001, commission_rate=0.000325, swap_long=-0.18, swap_short=-0.06)
    terms = SymbolTerms(lots=LotRules(), costs=costs, weight=1 / len(frames))
    capital = Capital(start=100_000.0, fixed=100_000.0)
    timeline = build_timeline(frames, TimelineRules())
    return backtest(timeline, positions, terms=dict.fromkeys(frames, terms), capital=capital)


# --- what it holds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("BTCUSD",), ("BTCUSD", "ETHUSD")])
def test_a_row_is_what_the_pure_engine_gives_by_hand(names):
    fit_small(*names)

    row = backtested(symbols=names)

    expected = by_hand(names)
    equity, fills = row.equity(), row.fills()
    np.testing.assert_array_equal(equity.to_numpy()[1:], expected.equity[1:])
    assert (equity.index[0], equity.iloc[0], equity.index[-1], len(equity)) == (BEGIN, 100_000.0, END, N_SLOTS + 1)
    assert row.costs == expected.costs.as_data()
    np.testing.assert_array_equal(fills["lots"], expected.fills.lots)
    np.testing.assert_array_equal(fills["price"], expected.fills.price)
    assert len(fills) > 20
    assert (row.metrics["gross"], row.metrics["net"]) == (expected.gross, expected.net)


def test_the_figures_are_those_of_the_equity():
    fit_small()
    row = backtested()

    returns = row.equity().pct_change().iloc[1:]
    assert row.metrics["n_bars"] == N_SLOTS == len(returns)
    assert row.metrics["total_return"] == pytest.approx(row.equity().iloc[-1] / 100_000 - 1)
    assert row.metrics["sharpe"] == pytest.approx(returns.mean() / returns.std() * math.sqrt(8760))
    assert row.metrics["net"] == pytest.approx(row.metrics["gross"] - sum(row.costs.values()))


def test_fills_say_which_slot_they_are_of_and_when_it_acted():
    fit_small()
    fills = backtested().fills()

    early = fills["slot"].dt.hour == 22
    assert early.any()
    assert (fills.loc[early, "slot"] - fills.loc[early, "at"] == timedelta(minutes=4, seconds=15)).all()
    assert (fills.loc[~early, "at"] - fills.loc[~early, "slot"] == timedelta(seconds=45)).all()


def test_windowed_positions_are_asked_bar_by_bar_and_traded():
    fit_small()
    RebalanceSettings.objects.create(max_history_hours=200)

    row = backtested(windowed=True)

    expected = by_hand(windowed=200)
    np.testing.assert_allclose(row.equity().to_numpy()[1:], expected.equity[1:], rtol=1e-12)
    (drift,) = row.drift
    assert (drift["symbol"], drift["n_slots"]) == ("BTCUSD", N_SLOTS)


def test_the_drift_of_a_window_is_the_difference_of_its_positions():
    fit_small()
    RebalanceSettings.objects.create(max_history_hours=200)

    (drift,) = backtested(windowed=True).drift

    bars = joined_bars("BTCUSD", until=END).iloc[-(200 + N_SLOTS) :]
    models = [model.estimator for model in registry.active("BTCUSD")]
    at = bars.index[(bars.index >= BEGIN - HOUR) & (bars.index < END - HOUR)]
    whole = sum(model.predict(bars) for model in models)[at]
    tails = [sum(m.one_step_predict(bars[bars.index <= one].tail(200)) for m in models) for one in at]
    apart = np.abs(np.array(tails) - whole)
    assert drift["max_abs_diff"] == pytest.approx(apart.max()) != 0.0
    assert drift["mean_abs_diff"] == pytest.approx(apart.mean())
    assert drift["correlation"] == pytest.approx(np.corrcoef(tails, whole)[0, 1])
    sampled = backtested().drift[0]
    assert sampled["n_slots"] == 48
    assert sampled["max_abs_diff"] <= drift["max_abs_diff"]


def test_the_settings_of_the_desk_are_those_of_a_backtest():
    fit_small("BTCUSD", "ETHUSD")
    RebalanceSettings.objects.create(
        sizing_capital=7_000, max_position_pct="0.5", lot_precision=1, drift_band_lots="0.2", early_hour=21
    )
    PortfolioWeight.objects.create(symbol=Symbol.objects.get(name="ETHUSD"), weight="0.2")

    request = options(capital=None, sizing_capital=None).request()

    assert (request.start, request.fixed, request.early_hour) == (7_000.0, 7_000.0, 21)
    terms = request.terms_of("ETHUSD")
    assert (terms.weight, request.terms_of("BTCUSD").weight) == (0.2, 0.5)
    assert (terms.lots.max_position_pct, terms.lots.lot_precision, terms.lots.drift_band) == (0.5, 1, 0.2)


def test_a_desk_that_sizes_by_its_balance_compounds():
    fit_small()
    RebalanceSettings.objects.create(size_by="balance", sizing_capital=7_000, vol_target="0.3", weighting="inverse_vol")

    request = options(capital=None, sizing_capital=None).request()

    assert (request.start, request.fixed) == (7_000.0, None)
    assert request.warnings == (
        "symbols have their fixed weights, not those of inverse_vol",
        "the volatility target is not applied",
    )


def test_without_costs_nothing_is_paid_and_the_result_is_the_gross_one():
    fit_small()
    free = backtested(**FREE)
    assert set(free.costs.values()) == {0.0}
    assert free.metrics["net"] == free.metrics["gross"]


def test_the_assumed_costs_are_the_simulated_brokers():
    symbol = symbol_for("XYZUSD", binance_symbol="", digits=6, price=1000.0)
    assert pytest.approx(symbol.spread_points * symbol.point / 1000.0) == requests.SPREAD
    assert symbol.commission_rate == requests.COMMISSION
    assert (symbol.swap_long_pct, symbol.swap_short_pct) == (requests.SWAP_LONG * 100, requests.SWAP_SHORT * 100)


# --- what it must not know ------------------------------------------------------------------------------------------


def test_the_split_is_at_the_close_of_the_last_bar_that_was_fitted_on_and_shares_nothing():
    fit_small()
    row = backtested()

    fitted_to = FittedModel.objects.latest("fit_to").fit_to
    assert fitted_to == FIT_UNTIL - HOUR
    assert row.samples["split_at"] == FIT_UNTIL.isoformat()
    inside, outside = row.samples["in_sample"], row.samples["out_of_sample"]
    assert (inside["n_bars"], outside["n_bars"]) == (5 * 24, 5 * 24)
    at_split = row.equity()[FIT_UNTIL]
    assert inside["total_return"] == pytest.approx(at_split / 100_000 - 1)
    assert outside["total_return"] == pytest.approx(row.equity().iloc[-1] / at_split - 1)
    assert row.warnings == [
        f"50% of it is in-sample: only the figures from {FIT_UNTIL.isoformat()} on say how models do"
    ]


def test_a_time_before_or_after_the_fit_is_of_one_kind():
    fit_small()
    early = backtested(end=FIT_UNTIL)
    late = backtested(begin=FIT_UNTIL)
    assert (early.samples["out_of_sample"], late.samples["in_sample"]) == (None, None)
    assert early.warnings == [
        "all of it is in-sample: the models were fitted on these bars, and any result flatters them"
    ]
    assert late.warnings == []


@pytest.mark.parametrize("windowed", [False, True], ids=["whole", "windowed"])
@pytest.mark.parametrize("source", ["active", "plan"])
def test_rewriting_the_bars_after_a_slot_changes_no_earlier_equity_and_no_fill_up_to_it(source, windowed):
    fit_small("BTCUSD", "ETHUSD")
    asked = {"source": source, "windowed": windowed, "refit_hours": 20, "begin": CUT - 30 * HOUR, "end": CUT + 8 * HOUR}
    before = backtested(**asked)

    for cut in reversed([CUT + n * HOUR for n in range(-6, 7)]):
        for name in ("BTCUSD", "ETHUSD"):
            rewrite(name, cut)
        after = backtested(**asked)

        pd.testing.assert_series_equal(before.equity()[:cut], after.equity()[:cut])
        assert (before.equity()[cut + HOUR :] != after.equity()[cut + HOUR :]).any()
        ours, theirs = (row.fills()[row.fills()["slot"] <= cut] for row in (before, after))
        pd.testing.assert_frame_equal(ours, theirs)
    assert len(ours) > 20


def test_windowed_positions_know_nothing_of_later_bars():
    fit_small()
    models = [model.estimator for model in registry.active("BTCUSD")]
    bars, at = make_bars(0, 600), 400
    rewritten = pd.concat([bars.iloc[: at + 1], make_bars(7, 600).iloc[at + 1 :]])

    asked = bars.index[at - 50 : at + 1]
    pd.testing.assert_series_equal(
        windowed_positions(models, bars, asked, 200), windowed_positions(models, rewritten, asked, 200)
    )


def test_an_hour_that_bars_lack_has_no_windowed_position():
    fit_small()
    bars = make_bars(0, 100)
    with pytest.raises(KeyError, match="no bar opens at 2024-01-09 08:00"):
        windowed_positions([], bars, make_bars(0, 300).index[200:240])


def test_every_refit_sees_the_bars_that_closed_before_it_and_no_other(monkeypatch):
    fit_small()
    seen = []

    def watched(plan, bars):
        seen.append((bars.index[0], bars.index[-1], len(bars)))
        return fit_plan(plan, bars)

    monkeypatch.setattr(planned, "fit_plan", watched)
    RebalanceSettings.objects.create(max_history_hours=150)
    backtested(source="plan", refit_hours=100)

    assert [last for _, last, _ in seen] == [BEGIN - HOUR + n * 100 * HOUR for n in range(3)]
    assert {length for _, _, length in seen} == {150}


def test_a_plan_is_asked_as_by_hand():
    fit_small()
    row = backtested(source="plan", refit_hours=100)

    bars, parts = make_bars(0, 600), []
    for begin in (BEGIN + n * 100 * HOUR for n in range(3)):
        fits = fit_plan(enabled_plan(), bars[bars.index < begin])
        wanted = sum(fit.estimator.predict(bars) for fit in fits)
        parts.append(wanted[begin - HOUR : begin + 98 * HOUR])
    seen = bars[(bars.index >= BEGIN - HOUR) & (bars.index < END)]
    expected = run_engine({"BTCUSD": seen}, {"BTCUSD": pd.concat(parts)[seen.index]})
    np.testing.assert_allclose(row.equity().to_numpy()[1:], expected.equity[1:], rtol=1e-12)


def test_a_refit_decides_from_its_own_slot_on_and_not_before():
    fit_small()
    asked = FREE | {"source": "plan", "refit_hours": 120, "capital": 200_000.0}  # more than positions are sized from
    whole, second = backtested(**asked), backtested(**asked, begin=BEGIN + 120 * HOUR)

    fills, later = whole.fills(), second.fills()
    changed = fills[fills["slot"] > BEGIN + 121 * HOUR].reset_index(drop=True)
    pd.testing.assert_frame_equal(changed, later[later["slot"] > BEGIN + 121 * HOUR].reset_index(drop=True))


def test_a_plan_is_never_in_sample_and_says_what_could_not_be_fitted():
    fit_small()
    plan_row("rev", {})

    row = backtested(source="plan", refit_hours=120)

    assert (row.samples["split_at"], row.samples["in_sample"]) == (None, None)
    (warning,) = row.warnings
    assert warning.startswith("BTCUSD rev default was not fitted 2 times of 2, first: ")
    assert [one["strategy"] for one in row.config["plan"]] == ["ema_vol", "wed_thu", "rev"]


# --- how it is counted and kept -------------------------------------------------------------------------------------


def test_every_configuration_is_one_trial_however_often_it_is_run():
    fit_small("BTCUSD", "ETHUSD")
    first = backtested(note="a note is no part of it")
    again = backtested()
    other = backtested(spread=0.001)
    once_more = backtested()

    assert [row.n_trials for row in (first, again, other, once_more)] == [1, 1, 2, 2]
    assert first.config_hash == again.config_hash == once_more.config_hash != other.config_hash
    assert Backtest.objects.count() == 4
    assert first.luck == again.luck < once_more.luck


def test_trials_on_other_symbols_or_another_time_are_no_trials_here():
    fit_small("BTCUSD", "ETHUSD")
    middle = BEGIN + 120 * HOUR
    backtested(symbols=["BTCUSD"], end=middle)
    assert backtested(symbols=["BTCUSD"], begin=middle).n_trials == 1
    assert backtested(symbols=["ETHUSD"]).n_trials == 1
    assert backtested(symbols=["BTCUSD"], begin=middle - HOUR).n_trials == 2  # nearly the same as the second
    assert backtested(symbols=["BTCUSD"]).n_trials == 4  # half of it, or more, is in each of the three
    assert backtested(symbols=["BTCUSD"], end=BEGIN + 24 * HOUR).n_trials == 1  # a day of it


def test_what_changes_a_result_changes_the_configuration():
    fit_small()
    hashes = {
        backtested(**changes).config_hash
        for changes in (
            {},
            {"capital": 50_000.0},
            {"sizing_capital": 50_000.0},
            {"windowed": True},
            {"end": END - HOUR},
            {"source": "plan"},
            {"source": "plan", "refit_hours": 24},
            {"commission": 0.0},
        )
    }
    rewrite("BTCUSD", CUT)
    hashes.add(backtested().config_hash)
    plan_row("rev", {}, is_enabled=False)
    assert len(hashes) == 9
    assert backtested().config_hash in hashes


def test_a_row_tells_open_pages_and_says_who_and_with_which_code():
    fit_small()
    row = backtested()
    assert Announcement.objects.filter(topic="backtests").get().payload == {"id": row.pk}
    assert row.created_by == "system"
    assert str(row) == f"#{row.pk} fast BTCUSD 2024-01-10 to 2024-01-20"


def test_options_are_plain_values():
    assert BacktestOptions(begin="", end="").symbols == ()
