"""The ledger of an account that was booked deal by deal: by hand on a few deals, and as an invariant on many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from strategies.research.booked import UNATTRIBUTED, Wish, booked_ledger, in_whole_cents
from strategies.research.courses import AccountPeriod, Deal
from strategies.research.holdings import held_lots, positions_and_returns, weights_at
from strategies.research.pnl import DIMENSIONS, ModelName, PnlError, decompose

DAY = datetime(2025, 1, 15, tzinfo=UTC)  # a Wednesday
TREND, REV = ModelName("trend", "x"), ModelName("rev", "")


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def make_deal(hour: float, lots: float, price: float, **facts) -> Deal:
    return Deal(at=at(hour), symbol=facts.pop("symbol", "A"), lots=lots, price=price, **facts)


def closes(prices: dict[float, float], symbol: str = "A") -> pd.DataFrame:
    """Return closes by the hour at which each bar closed."""
    return pd.DataFrame({symbol: prices.values()}, index=pd.DatetimeIndex([at(hour) for hour in prices]))


def make_period(*deals: Deal, net: str, prices: dict[float, float] | None = None, **facts) -> AccountPeriod:
    return AccountPeriod(
        **{"begin": at(0), "end": at(24), "lot_values": {"A": 1.0, "B": 1.0}, "closes": closes(prices or {0: 100.0})}
        | facts,
        net=Decimal(net),
        deals=deals,
    )


def nets(period: AccountPeriod, by: str, wishes=None) -> dict[str, str]:
    """Return what each part earned, once prices have explained all of it."""
    ledger, gap = booked_ledger(period, wishes)
    assert gap == pytest.approx(0.0, abs=1e-9)
    return {row.label: str(row.net) for row in decompose(ledger, by).rows}


def test_a_position_earns_in_every_hour_what_its_price_moves():
    prices = {0: 100, 1: 102, 2: 105, 3: 101}
    period = make_period(make_deal(0.5, 2, 101), make_deal(2.25, -2, 106), net="10.00", prices=prices)
    # 2 lots: from 101 to 102, to 105, to 106.
    assert nets(period, "hour") == {"00": "2.00", "01": "6.00", "02": "2.00"}
    assert booked_ledger(period)[1] == pytest.approx(0.0)


def test_a_lot_is_worth_what_its_contract_says():
    period = make_period(make_deal(0.5, 2, 101), make_deal(2, -2, 102), net="20.00", lot_values={"A": 10.0})
    assert nets(period, "symbol") == {"A": "20.00"}


def test_a_short_and_its_commission_and_swap_are_its_own():
    deals = (
        make_deal(0.5, -1, 100, commission=-0.3),
        make_deal(1.5, 3, 90, commission=-0.9, swap=-0.5),  # covers 1 and buys 2
        make_deal(2.5, -2, 95, commission=-0.6, swap=0.25),
    )
    period = make_period(*deals, net="17.95", prices={0: 100, 1: 95, 2: 92})
    part = decompose(booked_ledger(period)[0], "side")
    rows = {row.label: (str(row.gross), str(row.commission), str(row.swap), str(row.net)) for row in part.rows}
    assert rows == {"long": ("10.00", "1.20", "-0.25", "9.05"), "short": ("10.00", "0.60", "0.50", "8.90")}
    assert part.total.net == Decimal("17.95")


def test_what_a_price_hides_is_paid_and_was_earned_at_the_middle():
    deals = (make_deal(0.5, 1, 100.2, spread=0.15, slippage=0.05), make_deal(1.5, -1, 109.9, spread=0.1))
    ledger, gap = booked_ledger(make_period(*deals, net="9.70"))
    total = decompose(ledger, "symbol").total
    assert gap == pytest.approx(0.0)
    assert (str(total.gross), str(total.spread), str(total.slippage)) == ("10.00", "0.25", "0.05")


def test_only_the_period_counts_of_a_position_that_is_older_and_younger():
    deals = (make_deal(-5, 1, 80), make_deal(30, -1, 130))
    period = make_period(*deals, net="7.00", prices={-1: 100, 0: 103, 12: 104, 24: 110})
    assert nets(period, "symbol") == {"A": "7.00"}
    assert booked_ledger(period)[1] == pytest.approx(0.0)


def test_what_no_price_explains_is_shared_by_what_was_open_and_said():
    deals = (make_deal(-5, 1, 80), make_deal(1, 2, 100, symbol="B"))
    prices = closes({0: 100, 24: 100}).join(closes({0: 100, 24: 100}, "B"))
    period = make_period(*deals, net="4.00", closes=prices)
    ledger, gap = booked_ledger(period)
    assert gap == pytest.approx(4.0)
    # 100 of A when it begins; 100 of A and 200 of B when it ends.
    assert {row.label: str(row.net) for row in decompose(ledger, "symbol").rows} == {"A": "2.00", "B": "2.00"}
    assert {row.label: str(row.net) for row in decompose(ledger, "hour").rows} == {"00": "1.00", "23": "3.00"}


def test_a_swap_that_waits_at_the_end_is_a_cost_of_what_it_waits_on():
    period = make_period(make_deal(1, 2, 100), net="-1.50", prices={0: 100, 24: 100}, accrued={"A": -1.5})
    ledger, gap = booked_ledger(period)
    assert gap == pytest.approx(0.0)
    assert str(decompose(ledger, "side").total.swap) == "1.50"


def test_a_close_whose_opening_is_not_known_is_booked_when_it_happens():
    deal = make_deal(3, -2, 120, unopened=12.5, commission=-0.5)
    part = decompose(booked_ledger(make_period(deal, net="12.00"))[0], "side")
    assert [(row.label, str(row.net)) for row in part.rows] == [("long", "12.00")]


def test_a_correction_without_lots_belongs_to_what_is_held():
    deals = (make_deal(0.5, -1, 100), make_deal(1, 0, 0, commission=-0.7), make_deal(1.5, 1, 100))
    period = make_period(*deals, make_deal(3, 0, 0, commission=-0.2), net="-0.90")
    assert nets(period, "side") == {"long": "-0.20", "short": "-0.70"}


def test_prices_before_the_first_close_are_those_of_the_deals():
    period = make_period(make_deal(0.5, 1, 50), make_deal(1.5, -1, 53), net="3.00", closes=pd.DataFrame())
    assert nets(period, "symbol") == {"A": "3.00"}


def test_money_without_a_position_is_refused_and_nothing_at_all_is_nothing():
    with pytest.raises(PnlError, match=r"changed by 5.00, and nothing was held: deals are missing"):
        booked_ledger(make_period(net="5.00"))
    ledger, _ = booked_ledger(make_period(net="0.00"))
    assert len(ledger) == 0
    assert decompose(ledger, "symbol").total.net == 0


def test_a_lot_of_unknown_worth_is_refused():
    with pytest.raises(PnlError, match="not known what a lot of C is worth"):
        booked_ledger(make_period(make_deal(1, 1, 1, symbol="C"), net="0.00"))


# Models


def test_models_are_paid_by_what_they_wanted_when_the_position_was_taken():
    wishes = {"A": [Wish(at(0.4), {TREND: 0.6, REV: -0.2}), Wish(at(1.4), {TREND: 0.1, REV: 0.3})]}
    prices = {0: 100, 1: 104, 2: 100}
    deals = (make_deal(0.5, 1, 100, commission=-0.4), make_deal(1.5, 1, 106), make_deal(2.5, -2, 107))
    # +4 and +2 on the first wish (1.5 and -0.5 of it), then 2 x (107 - 106) on the second; the commission on the first.
    assert nets(make_period(*deals, net="7.60", prices=prices), "model", wishes) == {
        "trend x": "8.90",  # 1.5 x 5.60 + 0.25 x 2
        "rev": "-1.30",  # -0.5 x 5.60 + 0.75 x 2
    }


def test_what_models_did_not_want_is_nobodys():
    wishes = {"A": [Wish(at(0.4), {TREND: -0.5})]}
    deals = (make_deal(0.5, 1, 100), make_deal(0.75, -1, 102), make_deal(1, -1, 102, is_ours=False))
    period = make_period(*deals, make_deal(2, 1, 99, is_ours=False), net="5.00")
    assert nets(period, "strategy", wishes) == {"trend": "0.00", "unattributed": "5.00"}
    assert nets(period, "model", {})[str(UNATTRIBUTED)] == "5.00"


def test_the_leaving_part_of_a_reversal_is_of_the_wish_before():
    wishes = {"A": [Wish(at(0.4), {TREND: 0.5}), Wish(at(1.4), {REV: -0.5})]}
    deals = (make_deal(0.5, 1, 100), make_deal(1.5, -2, 100, commission=-1.0), make_deal(2.5, 1, 100))
    assert nets(make_period(*deals, net="-1.00"), "strategy", wishes) == {"trend": "-0.50", "rev": "-0.50"}


# Sums


@pytest.mark.parametrize("seed", range(6))
def test_every_decomposition_adds_up_to_the_change_of_equity(seed):
    rng = np.random.default_rng(seed)
    n_hours, net, deals = 24 * 9, Decimal(0), []
    prices = {s: np.round(100 * np.exp(np.cumsum(0.01 * rng.standard_normal(n_hours + 50))), 2) for s in "AB"}
    table = pd.DataFrame(prices, index=pd.DatetimeIndex([at(hour) for hour in range(-49, n_hours + 1)]))
    held, value = dict.fromkeys("AB", 0.0), Decimal(0)
    for hour in range(-40, n_hours, 3):
        symbol = rng.choice(["A", "B"])
        lots = round(rng.uniform(-2, 2), 2)
        price = round(float(table.at[at(hour), symbol]) * rng.uniform(0.999, 1.001), 2)
        paid = round(-0.001 * abs(lots) * price, 2)
        deals.append(make_deal(hour + 0.0125, lots, price, symbol=symbol, commission=paid, swap=round(rng.normal(), 2)))
        if hour >= 0:  # what the account paid, plus the worth of what it holds, is what it earned
            value += Decimal(str(deals[-1].commission)) + Decimal(str(deals[-1].swap))
            value -= Decimal(str(lots)) * Decimal(str(price))
        else:
            held[symbol] = round(held[symbol] + lots, 2)
    begin = sum(Decimal(str(lots)) * Decimal(str(table.at[at(0), s])) for s, lots in held.items())
    ends = {s: sum(Decimal(str(d.lots)) for d in deals if d.symbol == s) for s in "AB"}
    end = sum(lots * Decimal(str(table.at[at(n_hours), s])) for s, lots in ends.items())
    net = (value + end - begin).quantize(Decimal("0.01"))
    period = make_period(*deals, net=str(net), closes=table, end=at(n_hours))
    ledger, gap = booked_ledger(period, {"A": [Wish(at(-100), {TREND: 0.4, REV: 0.1})]})
    assert abs(gap) < 0.01
    for by in DIMENSIONS:
        part = decompose(ledger, by)
        assert sum(row.net for row in part.rows) == part.total.net == net, by


def test_fractions_of_cents_add_up_to_the_cents_of_the_equity():
    deals = [make_deal(n + 0.5, lots, 100, commission=-1 / 3) for n, lots in enumerate((1, -1, 1))]
    ledger, _ = booked_ledger(make_period(*deals, make_deal(4.5, -1, 100), net="-1.00"))
    assert sum(row.net for row in decompose(ledger, "hour").rows) == Decimal("-1.00")


def test_kinds_of_cost_that_all_round_down_leave_the_net_whole():
    hidden = {"spread": 0.004, "slippage": 0.004, "commission": -0.004, "swap": -0.004}
    deals = (make_deal(0.5, 1, 100), make_deal(1.5, -1, 101.008, **hidden))
    total = decompose(booked_ledger(make_period(*deals, net="1.00"))[0], "symbol").total
    assert (str(total.costs), str(total.gross), str(total.net)) == ("0.00", "1.00", "1.00")


def test_whole_cents_move_no_row_by_more_than_a_few():
    ledger, _ = booked_ledger(make_period(make_deal(0.5, 1, 100), make_deal(1.5, -1, 101.004), net="1.00"))
    rounded = in_whole_cents(ledger, Decimal("1.00"))
    assert np.abs(rounded.amounts["gross"] - ledger.amounts["gross"]).max() < 0.01
    assert rounded.amounts["gross"].sum() == pytest.approx(1.0, abs=1e-12)


# What was held


FILLS = pd.DataFrame({"at": [at(2), at(1), at(1)], "symbol": ["A", "A", "B"], "lots": [-3.0, 1.0, 2.0]})


def test_lots_are_held_from_their_very_moment_on():
    moments = pd.DatetimeIndex([at(0.99), at(1), at(1.99), at(2)])
    held = held_lots(FILLS, moments, ["A", "B", "C"])
    assert held["A"].tolist() == [0, 1, 1, -2]
    assert held["B"].tolist() == [0, 2, 2, 2]
    assert held["C"].tolist() == [0, 0, 0, 0]


def test_weights_are_worth_over_equity_and_unknown_once_nothing_is_left():
    equity = pd.Series([1000.0, 500.0, 0.0], index=pd.DatetimeIndex([at(0), at(1), at(3)]))
    prices = closes({0: 10.0, 1: 20.0, 2: 50.0}).join(closes({0: 1.0, 1: 2.0, 2: 3.0}, "B"))
    weights = weights_at(FILLS, prices, {"A": 10.0, "B": 1.0}, equity)
    assert weights["A"].tolist()[:2] == [0.0, 1 * 20 * 10 / 500]
    assert weights["B"].tolist()[:2] == [0.0, 2 * 2 / 500]
    assert weights.iloc[2].isna().all()


def test_a_position_is_paired_with_the_return_of_the_bar_that_it_is_held_over():
    fills = pd.DataFrame({"at": [at(1) + timedelta(seconds=45)], "symbol": ["A"], "lots": [2.0]})
    held, returned = positions_and_returns(fills, closes({0: 100.0, 1: 110.0, 2: 121.0}), {"A": 1.0}, 1000.0)
    # Bought just after the close at 1, held over the bar that closes at 2.
    assert held["A"].tolist() == pytest.approx([0.0, 0.22, 0.242])
    assert returned["A"].tolist() == pytest.approx([0.0, 0.1, 0.1])
