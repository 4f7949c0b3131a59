"""Who earned it: by hand on the ten bars and on ledgers of a few rows."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from strategies.research.backtest import Capital, backtest
from strategies.research.costs import Costs
from strategies.research.ledgers import ledger_of
from strategies.research.lots import LotRules, SymbolTerms
from strategies.research.pnl import (
    AMOUNTS,
    ModelName,
    PnlError,
    PnlLedger,
    cents,
    decompose,
    largest_remainder,
)
from strategies.research.timeline import build_timeline
from tests.research_builders import hours, price_bars, timeline_of, wishes

RICH = Capital(start=100_000, fixed=10_000)
EXACT = LotRules(is_rounded=False)


def make_ledger(*gross: float, side=None, symbol=None, at=None, shares=None, **costs) -> PnlLedger:
    """Return a ledger of a few rows; what is not given is 0, long, one symbol, and hourly."""
    n = len(gross)
    amounts = {name: np.zeros(n) for name in AMOUNTS} | {"gross": np.array(gross, dtype=float)}
    amounts |= {name: np.array(values, dtype=float) for name, values in costs.items()}
    return PnlLedger(
        at=hours(n, "2025-01-15 00:00") if at is None else at,
        symbols=("A", "B"),
        symbol=np.zeros(n, dtype=np.int64) if symbol is None else np.array(symbol),
        side=np.ones(n, dtype=np.int64) if side is None else np.array(side),
        amounts=amounts,
        shares=shares or {},
    )


def nets(ledger: PnlLedger, by: str) -> dict[str, str]:
    return {row.label: str(row.net) for row in decompose(ledger, by).rows}


def test_rows_are_summed_by_symbol_side_weekday_and_hour():
    at = pd.DatetimeIndex(["2025-01-15 21:00", "2025-01-15 22:00", "2025-01-16 21:00"], tz="UTC")  # Wed, Wed, Thu
    ledger = make_ledger(10, 20, 30, at=at, side=[1, -1, 1], symbol=[0, 0, 1], commission=[1, 2, 3])
    assert nets(ledger, "symbol") == {"A": "27.00", "B": "27.00"}
    assert nets(ledger, "side") == {"long": "36.00", "short": "18.00"}
    assert nets(ledger, "weekday") == {"Wednesday": "27.00", "Thursday": "27.00"}
    assert nets(ledger, "hour") == {"21": "36.00", "22": "18.00"}


def test_models_are_paid_pro_rata_with_their_signs():
    shares = {ModelName("trend", "x"): np.array([1.5]), ModelName("rev", ""): np.array([-0.5])}
    ledger = make_ledger(100.0, commission=[10.0], shares=shares)
    assert nets(ledger, "model") == {"trend x": "135.00", "rev": "-45.00"}


def test_a_strategy_is_all_its_models():
    shares = {
        ModelName("trend", "x"): np.array([0.5]),
        ModelName("rev", ""): np.array([0.2]),
        ModelName("trend", "y"): np.array([0.3]),
    }
    assert nets(make_ledger(10.0, shares=shares), "strategy") == {"trend": "8.00", "rev": "2.00"}


def test_cents_go_where_most_was_cut_off():
    np.testing.assert_array_equal(largest_remainder(np.array([0.336, 0.336, 0.328]), 100), [34, 33, 33])
    np.testing.assert_array_equal(largest_remainder(np.array([-0.336, -0.336, -0.328]), -100), [-33, -34, -33])
    np.testing.assert_array_equal(largest_remainder(np.array([1 / 3] * 3), 100), [34, 33, 33])
    assert largest_remainder(np.zeros(0), 0).size == 0


def test_halves_of_a_cent_go_to_the_even_one():
    assert [cents(amount) for amount in (0.125, 0.375, -0.125)] == [12, 38, -12]


def test_thirds_of_a_dollar_add_up_in_every_grouping():
    at = hours(3, "2025-01-17 23:00")  # a Friday, then Saturday
    ledger = make_ledger(1 / 3, 1 / 3, 1 / 3, at=at, side=[1, -1, 1], symbol=[0, 1, 1])
    for by in ("symbol", "side", "weekday", "hour"):
        rows = decompose(ledger, by).rows
        assert sum(row.net for row in rows) == Decimal("1.00")


def test_an_empty_ledger_has_a_total_of_nothing():
    part = decompose(make_ledger(), "symbol")
    assert part.rows == ()
    assert part.total.net == 0
    assert part.frame().empty


def test_a_decomposition_is_a_table_and_json():
    part = decompose(make_ledger(10, 5, side=[1, -1], swap=[0.5, -0.25]), "side")
    assert part.frame().loc["short", "net"] == 5.25
    assert part.rows[0].as_data() | {} == {
        "label": "long",
        "gross": "10.00",
        "spread": "0.00",
        "slippage": "0.00",
        "commission": "0.00",
        "swap": "0.50",
        "funding": "0.00",
        "costs": "0.50",
        "net": "9.50",
    }


def test_an_unknown_dimension_and_unknown_models_are_refused():
    with pytest.raises(PnlError, match="no dimension 'moon'; known: symbol, strategy, model, side, weekday, hour"):
        decompose(make_ledger(1.0), "moon")
    with pytest.raises(PnlError, match="knows no models"):
        decompose(make_ledger(1.0), "model")


def test_a_ledger_with_holes_is_refused():
    with pytest.raises(PnlError, match="finite"):
        make_ledger(float("nan"))
    with pytest.raises(PnlError, match="shape"):
        make_ledger(1.0, side=[1, 1])


# From a backtest


def test_turning_round_pays_each_side_its_part_of_the_costs():
    bars = pd.DataFrame({"open": 100.0, "close": 100.0}, index=hours(5, "2025-01-15 01:00"))
    terms = SymbolTerms(lots=EXACT, costs=Costs(commission_rate=0.01))
    result = backtest(timeline_of(bars), [1.0, -0.5, 0, 0, 0], terms=terms, capital=RICH)
    # Bought 100 coins, sold those and 50 more, bought back 50.
    part = decompose(ledger_of(result), "side")
    assert {row.label: str(row.commission) for row in part.rows} == {"long": "200.00", "short": "100.00"}


def test_the_gap_to_the_open_belongs_to_what_was_held_before_the_slot():
    bars = pd.DataFrame({"open": [100.0, 100, 90], "close": [100.0, 100, 80]}, index=hours(3, "2025-01-15 01:00"))
    result = backtest(timeline_of(bars), [1.0, -1.0, 0], terms=SymbolTerms(lots=EXACT), capital=RICH)
    # 100 coins lose the gap of 10; the short of 111.11 earns the 10 inside the bar.
    assert nets(ledger_of(result), "side") == {"long": "-1000.00", "short": "1111.11"}


def test_the_early_slots_stretch_follows_the_same_decision_at_its_own_price():
    bars = pd.DataFrame({"open": 100.0, "close": [100.0, 100, 100, 110]}, index=hours(4, "2025-01-15 18:00"))
    early = pd.Series([50.0], index=bars.index[-1:])
    timeline = build_timeline({"BTCUSD": bars}, early_prices={"BTCUSD": early})
    result = backtest(timeline, np.ones(4), terms=SymbolTerms(lots=EXACT), capital=RICH)
    # 100 coins to 50 lose 5,000; 200 from there to 110 earn 12,000.
    assert decompose(ledger_of(result), "symbol").total.gross == Decimal("7000.00")
    assert result.gross == pytest.approx(7_000)


def test_models_of_a_backtest_share_what_their_sum_earned():
    bars, n = price_bars(300), 300
    trend, against = wishes(n), -0.25 * wishes(n)
    result = backtest(timeline_of(bars), trend + against, capital=RICH)
    models = {"BTCUSD": {ModelName("trend", "x"): trend, ModelName("against", ""): against}}
    rows = {row.label: row for row in decompose(ledger_of(result, models), "model").rows}
    # One is always -1/4 of the other, so together 3/4 of it.
    assert float(rows["trend x"].net) == pytest.approx(result.net / 0.75, abs=0.05)
    assert float(rows["against"].net) == pytest.approx(-result.net / 3, abs=0.05)


def test_models_that_are_not_where_positions_came_from_are_refused():
    result = backtest(timeline_of(price_bars(50)), np.ones(50), capital=RICH)
    with pytest.raises(PnlError, match="do not explain"):
        ledger_of(result, {"BTCUSD": {ModelName("trend", ""): -np.ones(50)}})
    with pytest.raises(PnlError, match="must be of BTCUSD"):
        ledger_of(result, {"ETHUSD": {}})
