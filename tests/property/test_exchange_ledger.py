"""Random orders on random paths: the exchange's books always add up, and no two that exclude each other both fill."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.binance.rows import ALGO, FUTURES, SPOT, Movement, Order, Trade
from simulator.exchange_errors import BinanceError
from tests.exchange_clients import Hand, hand

pytestmark = pytest.mark.slow

SPREAD = 10
DEPOSIT = Decimal(100_000)
sides = st.sampled_from(["BUY", "SELL"])
amounts = st.integers(1, 40).map(lambda n: str(Decimal(n) / 20))
levels = st.integers(470, 530).map(lambda n: str(n * 100))
futures = st.tuples(st.just("futures"), sides, amounts, levels, st.sampled_from(["MARKET", "LIMIT", "reduce"]))
waits = st.tuples(st.just("wait"), st.integers(1, 6))
steps = st.one_of(
    futures,
    waits,
    st.tuples(
        st.just("spot"), sides, amounts, levels, st.sampled_from(["MARKET", "LIMIT", "STOP_LOSS", "TAKE_PROFIT"])
    ),
    st.tuples(st.just("oco"), sides, amounts, levels, levels),
    st.tuples(st.just("algo"), sides, amounts, levels, st.sampled_from(["STOP_MARKET", "TAKE_PROFIT_MARKET", "STOP"])),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
)
paths = st.lists(st.integers(4_700_000, 5_300_000).map(lambda n: n / 100), min_size=60, max_size=60)
quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def play(desk: Hand, plan: list[tuple[Any, ...]]) -> None:
    """Do the steps; what the exchange refuses is refused."""
    for name, *rest in plan:
        try:
            STEPS[name](desk, *rest)
        except BinanceError:
            continue


def _spot(desk: Hand, side: str, quantity: str, level: str, kind: str) -> None:
    priced = {"MARKET": {}, "LIMIT": {"price": level, "timeInForce": "GTC"}}.get(kind, {"stopPrice": level})
    desk.spot(kind, side, quantity, **priced)


def _oco(desk: Hand, side: str, quantity: str, one: str, other: str) -> None:
    low, high = sorted((one, other))
    maker, stop = ("above", "below") if side == "SELL" else ("below", "above")
    prices = {"above": high, "below": low}
    given = {f"{maker}Type": "LIMIT_MAKER", f"{maker}Price": prices[maker]}
    given |= {f"{stop}Type": "STOP_LOSS", f"{stop}StopPrice": prices[stop]}
    desk.ask("POST /api/v3/orderList/oco", symbol="BTCUSDT", side=side, quantity=quantity, **given)


def _futures(desk: Hand, side: str, quantity: str, level: str, kind: str) -> None:
    if kind == "LIMIT":
        desk.futures("LIMIT", side, quantity, price=level, timeInForce="GTC")
    else:
        desk.futures("MARKET", side, quantity, reduceOnly=str(kind == "reduce").lower())


def _algo(desk: Hand, side: str, quantity: str, level: str, kind: str) -> None:
    given = {"quantity": quantity, "price": level} if kind == "STOP" else {"closePosition": "true"}
    desk.algo(kind, side, level, **given)


def _cancel(desk: Hand, i: int) -> None:
    orders = desk.venue.books.open_orders()
    if orders:
        order = orders[i % len(orders)]
        names = {SPOT: "DELETE /api/v3/order", FUTURES: "DELETE /fapi/v1/order", ALGO: "DELETE /fapi/v1/algoOrder"}
        desk.ask(names[order.venue], symbol=order.symbol, orderId=order.id, algoId=order.id)


STEPS = {"spot": _spot, "oco": _oco, "futures": _futures, "algo": _algo, "cancel": _cancel, "wait": Hand.minutes}


def balances_from_trades(desk: Hand) -> dict[tuple[str, str], Decimal]:
    """Return what the wallets must hold: deposits, what the trades moved, their commissions, and the funding."""
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for venue in (SPOT, FUTURES):
        held[venue, "USDT"] += DEPOSIT
    for trade in desk.venue.books.select(Trade):
        sign = 1 if trade.side == "BUY" else -1
        if trade.venue == SPOT:
            held[SPOT, "BTC"] += sign * trade.quantity
            held[SPOT, "USDT"] -= sign * trade.quote
        else:
            held[FUTURES, "USDT"] += trade.realized
        held[trade.venue, trade.commission_asset] -= trade.commission
    for row in desk.venue.books.select(Movement, kind=("FUNDING_FEE", "INSURANCE_CLEAR")):
        held[row.venue, row.asset] += row.amount
    return held


@quick
@given(paths, st.lists(steps, max_size=40))
def test_balances_are_deposits_and_trades_less_fees(path, plan):
    desk = hand(50_000.0, *path)
    play(desk, plan)
    for (venue, asset), amount in balances_from_trades(desk).items():
        assert desk.wallet(asset, venue) == amount
        assert amount >= 0
    for asset, amount in desk.venue.spot.locked().items():
        assert 0 <= amount <= desk.wallet(asset)


@quick
@given(paths, st.lists(steps, max_size=40))
def test_every_fill_is_one_trade_of_its_order(path, plan):
    desk = hand(50_000.0, *path)
    play(desk, plan)
    trades = desk.venue.books.select(Trade)
    for order in desk.venue.books.select(Order, venue=(SPOT, FUTURES)):
        own = [trade for trade in trades if trade.order_id == order.id]
        assert sum(trade.quantity for trade in own) == order.executed <= order.quantity
        assert sum(trade.quote for trade in own) == order.quote_executed
        assert (order.status == "FILLED") == bool(own) == (len(own) == 1)
    numbers = [trade.id for trade in trades]
    assert numbers == sorted(set(numbers))


@quick
@given(paths, st.lists(st.one_of(steps, st.tuples(st.just("oco"), sides, amounts, levels, levels)), max_size=40))
def test_two_that_cancel_each_other_never_both_fill(path, plan):
    desk = hand(50_000.0, *path)
    play(desk, [("spot", "BUY", "1", "50000", "MARKET"), *plan])
    legs = [order for order in desk.venue.books.select(Order, venue=SPOT) if order.list_id != -1]
    for _, pair in groupby(sorted(legs, key=lambda leg: leg.list_id), key=lambda leg: leg.list_id):
        status = sorted(leg.status for leg in pair)
        assert status in (["NEW", "NEW"], ["EXPIRED", "FILLED"], ["CANCELED", "CANCELED"], ["EXPIRED", "EXPIRED"])


@quick
@given(paths, st.lists(st.one_of(futures, futures, waits), min_size=8, max_size=40))
def test_a_futures_account_is_worth_what_its_cash_flows_say(path, plan):
    """Cash in and out at each trade, the rest of the coins at the mark: the same equity, without any entry price."""
    desk = hand(50_000.0, *path)
    play(desk, plan)
    futures, cash, coins = desk.venue.futures, DEPOSIT, Decimal(0)
    for trade in desk.venue.books.select(Trade, venue=FUTURES):
        sign = 1 if trade.side == "BUY" else -1
        cash -= sign * trade.quantity * trade.price + trade.commission
        coins += sign * trade.quantity
    cash += sum(row.amount for row in desk.venue.books.select(Movement, kind=("FUNDING_FEE", "INSURANCE_CLEAR")))
    equity = futures.wallet() + futures.floating()
    assert abs(equity - (cash + coins * desk.venue.mark("BTCUSDT"))) < Decimal("0.000001")
    assert sum(position.amount for position in futures.open_positions()) == coins


@quick
@given(paths, st.lists(steps, max_size=30), st.integers(0, 30))
def test_a_restart_changes_nothing(path, plan, cut):
    through, stopped = hand(50_000.0, *path), hand(50_000.0, *path)
    for desk in (through, stopped):
        play(desk, plan[:cut])
        if desk is stopped:
            books, venue = desk.venue.books, desk.venue
            venue.now_ms = int(books.setting("advanced_ms", "0"))  # all that a new process knows of the time
            books._open = books._positions = books._balances = None
        play(desk, [*plan[cut:], ("wait", 60)])
    told = [(t.side, t.price, t.quantity, t.time_ms, t.venue) for t in through.venue.books.select(Trade)]
    assert [(t.side, t.price, t.quantity, t.time_ms, t.venue) for t in stopped.venue.books.select(Trade)] == told


NAMES = ("symbol", "side", "type", "quantity", "price", "stopPrice", "triggerPrice", "timeInForce", "orderId", "limit")
NAMES += ("newClientOrderId", "origClientOrderId", "quoteOrderQty", "positionSide", "reduceOnly", "closePosition")
NAMES += (
    "algoType",
    "algoId",
    "batchOrders",
    "leverage",
    "marginType",
    "startTime",
    "endTime",
    "fromId",
    "workingType",
)
NAMES += ("dualSidePosition", "aboveType", "abovePrice", "belowType", "belowStopPrice", "orderListId", "incomeType")
WORDS = ("BTCUSDT", "BUY", "SELL", "MARKET", "LIMIT", "STOP_MARKET", "STOP_LOSS", "GTC", "CONDITIONAL", "true", "false")
WORDS += ("1", "0", "0.001", "49000", "99999999999999999999", "-1", "1e5", "NaN", "LONG", "[]", "[{}]", "ISOLATED", "")


@quick
@given(st.dictionaries(st.sampled_from(NAMES), st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=12))
def test_whatever_is_asked_is_answered_or_refused_in_binances_shape(given):
    desk = hand()
    for name in desk.routes:
        with suppress(BinanceError):
            assert isinstance(desk.ask(name, **{"symbol": "BTCUSDT"} | given), dict | list)
