"""The words of execution, and stops, where one step more or less, or a default, would have let nonsense in."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from execution.planning.invariants import require_finite, require_not_negative, require_positive, require_utc
from execution.planning.orders import (
    AccountKind,
    CashKind,
    CashMovement,
    Fill,
    FillEntry,
    Leg,
    MarginMode,
    OrderKind,
    Scene,
    Side,
    TradeMode,
    WorkingOrder,
)
from execution.planning.stops import least_distance, require_stops
from tests.execution_builders import NOON, D, make_account, make_position, make_quote, make_spec

HEDGING, NETTING = MarginMode.HEDGING, MarginMode.NETTING
ELSEWHERE = datetime(2025, 3, 3, 13, tzinfo=timezone(timedelta(hours=1)))
NAIVE = datetime(2025, 3, 3, 12)  # noqa: DTZ001 (what is refused)


def test_a_bound_belongs_to_what_is_allowed_only_where_it_says_so():
    require_not_negative(volume=D(0))
    require_positive(volume=D("0.5"))
    for check, bad, words in (
        (require_not_negative, "-0.01", "volume must be at least 0, was -0.01"),
        (require_positive, "0", "volume must be above 0, was 0"),
        (require_positive, "-0.01", "volume must be above 0"),
        (require_finite, "NaN", "volume must be finite, was NaN"),
        (require_not_negative, "Infinity", "volume must be finite"),
        (require_positive, "Infinity", "volume must be finite"),
    ):
        with pytest.raises(ValueError, match=words):
            check(volume=D(bad))


def test_every_value_is_checked_and_not_only_the_first():
    for check in (require_finite, require_positive, require_not_negative):
        with pytest.raises(ValueError, match="second"):
            check(first=D(1), second=D("NaN"))
    for check in (require_positive, require_not_negative):
        with pytest.raises(ValueError, match="second"):
            check(first=D(1), second=D(-1))


@pytest.mark.parametrize("moment", [NAIVE, ELSEWHERE])
def test_a_time_is_aware_and_utc(moment):
    require_utc(at=NOON)
    with pytest.raises(ValueError, match="second must be an aware UTC time"):
        require_utc(first=NOON, second=moment)


def test_a_side_has_a_sign_an_opposite_and_a_volume():
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)
    assert (Side.of(D("0.01")), Side.of(D("-0.01")), Side.of(D(1))) == (Side.BUY, Side.SELL, Side.BUY)
    with pytest.raises(ValueError, match="a volume of 0 has no side"):
        Side.of(D(0))


def test_a_symbol_is_unlimited_and_open_unless_its_venue_says_otherwise():
    spec = make_spec()
    assert (spec.volume_limit, spec.stops_distance, spec.freeze_distance) == (0, 0, 0)
    assert spec.trade_mode is TradeMode.FULL


@pytest.mark.parametrize("name", ["point", "contract_size", "volume_min", "volume_step", "volume_max"])
def test_a_symbol_without_a_grid_is_refused(name):
    for bad in ("0", "-1", "NaN"):
        with pytest.raises(ValueError, match=name):
            make_spec(**{name: bad})


@pytest.mark.parametrize("name", ["volume_limit", "stops_distance", "freeze_distance"])
def test_a_symbols_distances_are_not_negative(name):
    assert getattr(make_spec(**{name: "0"}), name) == 0
    with pytest.raises(ValueError, match=name):
        make_spec(**{name: "-1"})


def test_the_largest_volume_may_be_the_smallest():
    assert make_spec(volume_min="1", volume_max="1").volume_max == 1
    with pytest.raises(ValueError, match=r"volume_max 0\.9 of BTCUSD is below volume_min 1"):
        make_spec(volume_min="1", volume_max="0.9")


@pytest.mark.parametrize(
    ("least", "step", "smallest"), [("0.01", "0.01", "0.01"), ("0.1", "0.01", "0.1"), ("0.05", "0.02", "0.06")]
)
def test_the_smallest_order_is_on_the_grid(least, step, smallest):
    assert make_spec(volume_min=least, volume_step=step).smallest_order == D(smallest)


def test_a_position_is_a_persons_and_without_a_result_unless_it_says_so():
    position = make_position("-0.3")
    assert (position.magic, position.stop, position.target, position.profit, position.swap) == (0, None, None, 0, 0)
    assert position.signed_volume == D("-0.3")


@pytest.mark.parametrize(
    "changes",
    [{"volume": D(0)}, {"price_open": D(0)}, {"profit": D("NaN")}, {"swap": D("NaN")}, {"opened_at": ELSEWHERE}],
)
def test_a_position_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        replace(make_position("0.1"), **changes)


@pytest.mark.parametrize("name", ["balance", "equity", "margin", "margin_free"])
def test_money_of_an_account_is_a_number(name):
    assert make_account().kind is AccountKind.REAL
    with pytest.raises(ValueError, match=name):
        make_account(**{name: "NaN"})


def test_a_quote_has_a_middle_a_spread_and_a_price_for_each_side():
    quote = make_quote("99", "101")
    assert (quote.mid, quote.spread_fraction) == (100, D("0.02"))
    assert (quote.price_for(Side.BUY), quote.price_for(Side.SELL)) == (101, 99)
    assert make_quote("100", "100").spread_fraction == 0
    with pytest.raises(ValueError, match="the ask of BTCUSD must not be below its bid 100"):
        make_quote("100", "99.99")
    for changes in ({"bid": "0"}, {"ask": "NaN"}, {"at": ELSEWHERE}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            make_quote(**changes)


def make_order(**changes) -> WorkingOrder:
    values = {"order_id": 1, "symbol": "BTCUSD", "side": Side.BUY, "kind": OrderKind.LIMIT}
    return WorkingOrder(**values | {"volume_left": D(1), "price": D(1), "placed_at": NOON} | changes)


def make_fill(**changes) -> Fill:
    values = {"deal_id": 1, "order_id": 1, "position_id": 1, "symbol": "BTCUSD", "side": Side.SELL}
    money = dict.fromkeys(("profit", "commission", "swap", "fee"), D(0))
    rest = {"entry": FillEntry.IN, "volume": D(2), "price": D(1), "magic": 0, "at": NOON}
    return Fill(**values | money | rest | changes)


def test_an_order_and_a_fill_are_whole():
    assert (make_order().magic, make_order().position_ticket, make_fill().signed_volume) == (0, None, -2)
    assert make_order().protects is False
    nan = D("NaN")
    bad_orders = [{"volume_left": D(0)}, {"price": nan}, {"placed_at": ELSEWHERE}]
    bad_fills = [{"volume": D(0)}, {"price": D(0)}, {"at": ELSEWHERE}]
    bad_fills += [{name: nan} for name in ("profit", "commission", "swap", "fee")]
    for make, cases in ((make_order, bad_orders), (make_fill, bad_fills)):
        for changes in cases:
            with pytest.raises(ValueError, match=next(iter(changes))):
                make(**changes)


def test_a_movement_of_cash_is_a_number_at_a_time():
    for changes in ({"amount": D("NaN")}, {"at": ELSEWHERE}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            CashMovement(**{"deal_id": 1, "kind": CashKind.CASH, "amount": D(1), "at": NOON} | changes)


def test_a_leg_that_reduces_may_carry_a_ticket_and_has_a_sign():
    leg = Leg(scene=Scene.CLOSE, symbol="BTCUSD", side=Side.SELL, volume=D(2), ticket=7, reduces=True, sequence=0)
    assert (leg.signed_volume, leg.ticket) == (-2, 7)
    netting = replace(leg, ticket=None)
    assert netting.reduces


@pytest.mark.parametrize(
    ("spec", "least"),
    [({}, 4), ({"stops_distance": "5"}, 5), ({"freeze_distance": "6"}, 6), ({"stops_distance": "3"}, 4)],
)
def test_a_stop_keeps_the_largest_of_the_distances(spec, least):
    assert least_distance(make_quote("99", "101"), make_spec(**spec)) == least


@pytest.mark.parametrize(
    ("side", "stop", "target"), [(Side.BUY, "95", "103"), (Side.SELL, "105", "97"), (Side.BUY, "1", "999")]
)
def test_stops_at_the_least_distance_are_taken(side, stop, target):
    require_stops(side, make_quote("99", "101"), make_spec(), stop=D(stop), target=D(target))
    require_stops(side, make_quote("99", "101"), make_spec(), stop=None, target=None)


@pytest.mark.parametrize(
    ("side", "levels", "words"),
    [
        (Side.BUY, {"stop": "95.01"}, "the stop of a buy of BTCUSD must be at least 4 below 99, was 95.01"),
        (Side.BUY, {"stop": "103"}, "the stop of a buy of BTCUSD must be at least 4 below 99"),
        (Side.BUY, {"target": "102.99"}, "the target of a buy of BTCUSD must be at least 4 above 99, was 102.99"),
        (Side.SELL, {"stop": "104.99"}, "the stop of a sell of BTCUSD must be at least 4 above 101, was 104.99"),
        (Side.SELL, {"target": "97.01"}, "the target of a sell of BTCUSD must be at least 4 below 101, was 97.01"),
        (Side.BUY, {"stop": "NaN"}, "was NaN"),
        (Side.SELL, {"target": "-Infinity"}, "was -Infinity"),
    ],
)
def test_a_stop_that_is_too_near_or_on_the_wrong_side_is_refused(side, levels, words):
    given = {"stop": None, "target": None} | {name: D(level) for name, level in levels.items()}
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        require_stops(side, make_quote("99", "101"), make_spec(), **given)
