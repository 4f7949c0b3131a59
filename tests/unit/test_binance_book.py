"""What trades add up to, reckoned by hand, and how they are read: once, and whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from execution.brokers import binance_ids as ids
from execution.brokers.binance_book import PAGE, FuturesLedger, SpotLedger, TradeBook
from execution.brokers.binance_parse import Trade
from execution.planning.orders import FillEntry, Side

D = Decimal
START = datetime(2026, 1, 5, 10, tzinfo=UTC)
MAGIC, OTHER = 6452112484892673, 6452112484892674


def trade(number: int, side: Side, volume: str, price: str, *, fee="0", asset="USDT", **changes) -> Trade:
    values = {
        "trade_id": number,
        "order_id": number,
        "symbol": "BTCUSDT",
        "side": side,
        "volume": D(volume),
        "price": D(price),
        "commission": D(fee),
        "commission_asset": asset,
        "at": START + timedelta(minutes=number),
    }
    return Trade(**values | changes)


@pytest.fixture
def spot():
    return SpotLedger(base="BTC", quote="USDT", step=D("0.001"), dust=D("0.01"))


def test_a_purchase_with_its_fee_in_the_base_asset_by_hand(spot):
    # 2 at 100 cost 200; 0.002 stay with the venue, worth 0.2; 1.998 are held, which is on the grid.
    fill = spot.add(trade(1, Side.BUY, "2", "100", fee="0.002", asset="BTC"), MAGIC)
    assert (fill.volume, fill.commission, fill.profit, fill.entry) == (D("1.998"), D("-0.2"), 0, FillEntry.IN)
    assert (spot.holding("BOTH").volume, spot.holding("BOTH").price) == (D("1.998"), 100)


def test_a_sale_brings_the_profit_over_the_average_cost(spot):
    spot.add(trade(1, Side.BUY, "1", "100"), MAGIC)
    spot.add(trade(2, Side.BUY, "3", "120"), OTHER)  # 4 at (100 + 360) / 4 = 115
    fill = spot.add(trade(3, Side.SELL, "2", "130", fee="0.26"), OTHER)
    assert (fill.profit, fill.commission, fill.entry) == (30, D("-0.26"), FillEntry.OUT)
    held = spot.holding("BOTH")
    assert (held.volume, held.cost, held.magic, held.opened_at) == (2, 230, MAGIC, START + timedelta(minutes=1))


def test_dust_that_was_carried_does_not_keep_the_next_position_from_being_new(spot):
    spot.add(trade(1, Side.BUY, "1", "100"), MAGIC)
    spot.add(trade(2, Side.SELL, "0.995", "100"), MAGIC)
    spot.add(trade(3, Side.BUY, "1", "200"), OTHER)
    held = spot.holding("BOTH")
    assert (held.volume, held.magic, held.opened_at) == (D("1.005"), OTHER, START + timedelta(minutes=3))


def test_what_was_paid_in_is_sold_without_a_profit(spot):
    fill = spot.add(trade(1, Side.SELL, "2", "100"), 0)
    assert (fill.profit, spot.holding("BOTH").volume) == (0, 0)


def test_a_fee_in_a_third_asset_moves_neither_volume_nor_money(spot):
    fill = spot.add(trade(1, Side.BUY, "1", "100", fee="0.5", asset="BNB"), MAGIC)
    assert (fill.volume, fill.commission) == (1, 0)


def test_fills_add_up_to_the_position_on_the_grid_and_their_money_to_what_was_spent(spot):
    # 0.0104 with a fee of 0.0000104 leaves 0.0103896 a time: on the grid 0.010, then 0.020, then 0.031.
    fills = [spot.add(trade(n, Side.BUY, "0.0104", "100", fee="0.0000104", asset="BTC"), MAGIC) for n in (1, 2, 3)]
    assert [fill.volume for fill in fills] == [D("0.010"), D("0.010"), D("0.011")]
    assert sum(fill.commission for fill in fills) + 3 * D("1.04") == spot.holding("BOTH").cost


def test_a_trade_too_small_to_change_the_position_leaves_its_fee_to_the_next_fill(spot):
    assert spot.add(trade(1, Side.BUY, "0.001", "100", fee="0.000001", asset="BTC"), MAGIC) is None
    fill = spot.add(trade(2, Side.BUY, "0.001", "100", fee="0.000001", asset="BTC"), MAGIC)
    assert (fill.volume, fill.commission) == (D("0.001"), D("-0.0002"))


@pytest.mark.parametrize("fee", ["0.05", "-0.05"])  # sent, and documented
def test_a_futures_fee_is_a_cost_whichever_sign_it_is_written_with(fee):
    assert FuturesLedger(quote="USDT").add(trade(1, Side.BUY, "1", "100", fee=fee), MAGIC).commission == D("-0.05")


def test_a_futures_position_turns_and_belongs_to_who_turned_it():
    ledger = FuturesLedger(quote="USDT")
    steps = [(Side.BUY, "1", MAGIC), (Side.BUY, "1", OTHER), (Side.SELL, "1", OTHER), (Side.SELL, "3", OTHER)]
    entries = [ledger.add(trade(n, side, lots, "100"), by).entry for n, (side, lots, by) in enumerate(steps)]
    assert entries == [FillEntry.IN, FillEntry.IN, FillEntry.OUT, FillEntry.IN_OUT]
    held = ledger.holding("BOTH")
    assert (held.volume, held.magic, held.opened_at) == (-2, OTHER, START + timedelta(minutes=3))


def test_hedge_sides_are_reckoned_apart():
    ledger = FuturesLedger(quote="USDT")
    long = ledger.add(trade(1, Side.BUY, "2", "100", position_side="LONG"), MAGIC)
    short = ledger.add(trade(2, Side.SELL, "1", "100", position_side="SHORT"), OTHER)
    assert (ledger.holding("LONG").volume, ledger.holding("SHORT").volume) == (2, -1)
    assert {long.entry, short.entry} == {FillEntry.IN}
    assert long.position_id != short.position_id


def test_each_position_has_a_number_of_its_own_which_all_its_fills_bear(spot):
    futures = FuturesLedger(quote="USDT")
    sides = (Side.BUY, Side.BUY, Side.SELL, Side.BUY, Side.SELL)
    lots = ("1", "1", "2", "1", "1")
    for ledger in (spot, futures):
        trades = [trade(n, side, size, "100") for n, (side, size) in enumerate(zip(sides, lots, strict=True), start=1)]
        numbers = [ledger.add(one, MAGIC).position_id for one in trades]
        first, second = ids.deal_number("BTCUSDT", 1), ids.deal_number("BTCUSDT", 4)
        assert numbers == [first, first, first, second, second]


# --- reading -----------------------------------------------------------------------------------------------------


def book(trades, magics, ledger=None) -> TradeBook:
    return TradeBook(
        ledger or FuturesLedger(quote="USDT"),
        read_trades=lambda first: tuple(t for t in trades if t.trade_id >= first)[:PAGE],
        read_magics=lambda first: {k: v for k, v in sorted(magics.items()) if k >= first},
    )


def test_every_page_is_read_and_no_trade_taken_twice():
    trades = [trade(n, Side.BUY, "1", "100") for n in range(1, 2 * PAGE + 8)]
    one = book(trades, dict.fromkeys(range(1, 2 * PAGE + 8), MAGIC))
    assert len(one.refresh()) == len(one.refresh()) == len(trades)
    assert one.ledger.holding("BOTH").volume == len(trades)
    trades.append(trade(9000, Side.SELL, "1", "100"))
    assert len(one.refresh()) == len(trades)


def test_an_order_that_the_venue_has_forgotten_is_a_person_s():
    fills = book([trade(1, Side.BUY, "1", "100"), trade(2, Side.BUY, "1", "100")], {2: MAGIC}).refresh()
    assert [fill.magic for fill in fills] == [0, MAGIC]


def test_trades_are_read_again_only_when_what_is_held_has_changed():
    trades = [trade(1, Side.BUY, "1", "100")]
    one = book(trades, {1: MAGIC})
    asked = []
    read, one._read_trades = one._read_trades, lambda first: asked.append(first) or read(first)
    for held in (1, 1, 1, 2):
        one.refresh_for(held)
    assert asked == [0, 2]


# --- numbers and ids ------------------------------------------------------------------------------------------------


def test_a_magic_comes_back_out_of_every_id():
    made = [ids.order_id_of(MAGIC), *(ids.resting_id_of(MAGIC, role, 1767607200000) for role in "stlr")]
    assert {ids.magic_of(one) for one in made} == {MAGIC}
    assert [ids.role_of(one) for one in made] == ["", "s", "t", "l", "r"]
    assert all(len(one) <= ids.LONGEST_ID for one in made)


@pytest.mark.parametrize(
    "foreign", [None, "", "web_1f2e", "bd-", "bd-x", "x-bd-1", "bd-1-q1", "BD-1", "bd-1-s", "bd-1 "]
)
def test_other_people_s_ids_bear_no_magic(foreign):
    assert (ids.magic_of(foreign), ids.role_of(foreign)) == (0, "")


def test_numbers_differ_by_symbol_and_fit_a_database():
    symbols = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "1000SHIBUSDT")
    deals = {ids.deal_number(symbol, number) for symbol in symbols for number in (1, 2, 7_000_000_000)}
    positions = {ids.position_number(symbol, side) for symbol in symbols for side in ("BOTH", "LONG", "SHORT")}
    assert (len(deals), len(positions)) == (12, 12)
    assert all(0 < number < 2**63 for number in deals | positions)
