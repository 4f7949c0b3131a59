"""A stock ccxt client trades on the simulated Binance, and gets ccxt's own errors for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import ccxt
import pytest

from simulator.faults import FaultPlan, Rule, switch_on
from simulator.market import Market
from tests.exchange_clients import World, exchange_world, small_market

pytestmark = pytest.mark.slow

SPOT, FUTURES = "BTC/USDT", "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def market() -> Market:
    return small_market()


@pytest.fixture
def world(market: Market, tmp_path) -> Iterator[World]:
    with exchange_world(market, tmp_path, balance=10_000.0) as world:
        yield world


@pytest.fixture
def spot(world: World) -> ccxt.binance:
    return world.client("binance")


@pytest.fixture
def futures(world: World) -> ccxt.binanceusdm:
    return world.client("binanceusdm")


def test_its_markets_have_the_filters_of_the_exchange(spot):
    markets = spot.load_markets()
    assert {SPOT, "ETH/USDT", FUTURES, "ETH/USDT:USDT"} == set(markets)
    assert markets[SPOT]["precision"] == {"amount": 0.00001, "price": 0.01, "base": 1e-08, "quote": 1e-08}
    assert markets[FUTURES]["precision"]["amount"] == 0.001
    assert markets[FUTURES]["limits"]["cost"]["min"] == 5
    assert markets[SPOT]["active"]
    assert markets[FUTURES]["active"]


def test_prices_are_told_as_the_market_has_them(world, spot, futures):
    bid, ask = float(world.bid()), float(world.bid() + world.spread())
    for client, symbol in ((spot, SPOT), (futures, FUTURES)):
        ticker = client.fetch_ticker(symbol)
        assert ticker["last"] == bid
        assert ticker["low"] <= bid <= ticker["high"]
        best = client.fetch_bids_asks([symbol])[symbol]
        assert (best["bid"], best["ask"]) == (bid, ask)
        book = client.fetch_order_book(symbol)
        assert (book["bids"][0][0], book["asks"][0][0]) == (bid, ask)
    assert futures.fetch_funding_rate(FUTURES)["markPrice"] == float(world.venue.mark("BTCUSDT"))


def test_a_market_order_fills_at_the_ask_and_pays_in_the_coin(world, spot):
    order = spot.create_order(SPOT, "market", "buy", 0.01)
    ask = world.bid() + world.spread()

    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.01, float(ask))
    assert order["fee"] == {"currency": "BTC", "cost": 0.00001}
    balance = spot.fetch_balance()
    assert balance["BTC"] == {"free": 0.00999, "used": 0, "total": 0.00999}
    assert balance["USDT"]["total"] == float(10_000 - ask * Decimal("0.01"))
    [trade] = spot.fetch_my_trades(SPOT)
    assert (trade["order"], trade["price"], trade["takerOrMaker"]) == (order["id"], float(ask), "taker")


def test_an_order_can_say_what_to_spend(spot):
    order = spot.create_market_buy_order_with_cost(SPOT, 500)
    assert 499 < order["cost"] <= 500
    assert order["filled"] == pytest.approx(order["cost"] / order["average"])


def test_a_limit_rests_locks_and_is_cancelled(world, spot):
    price = float(world.bid() * Decimal("0.9") // 1)
    order = spot.create_order(SPOT, "limit", "buy", 0.01, price, {"clientOrderId": "mine-1"})

    assert order["status"] == "open"
    assert [one["id"] for one in spot.fetch_open_orders(SPOT)] == [order["id"]]
    assert spot.fetch_balance()["USDT"]["used"] == pytest.approx(price * 0.01)
    found = spot.fetch_order("", SPOT, {"origClientOrderId": "mine-1"})
    assert (found["id"], found["clientOrderId"], found["price"]) == (order["id"], "mine-1", price)
    assert spot.cancel_order(order["id"], SPOT)["status"] == "canceled"
    assert spot.fetch_open_orders(SPOT) == []
    assert spot.fetch_balance()["USDT"]["used"] == 0


@pytest.mark.parametrize("above", [True, False])
def test_of_an_oco_one_leg_fills_and_the_other_ends(world, spot, above):
    spot.create_order(SPOT, "market", "buy", 0.02)
    near, far = (Decimal("1.005"), Decimal("0.5")) if above else (Decimal("3"), Decimal("0.999"))
    target, stop = round(world.bid() * near, 2), round(world.bid() * far, 2)
    request = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "aboveType": "LIMIT_MAKER"}
    request |= {"abovePrice": str(target), "belowType": "STOP_LOSS", "belowStopPrice": str(stop)}
    placed = spot.privatePostOrderListOco(request)
    hours = world.hours_until(target if above else stop, above=above)

    assert placed["listOrderStatus"] == "EXECUTING"
    assert len(spot.fetch_open_orders(SPOT)) == 2
    assert spot.fetch_balance()["BTC"]["used"] == 0.01
    world.pass_hours(hours)
    assert spot.privateGetOrderList({"orderListId": placed["orderListId"]})["listOrderStatus"] == "ALL_DONE"
    legs = {one["info"]["type"]: one for one in spot.fetch_orders(SPOT) if one["info"]["orderListId"] != "-1"}
    filled, ended = ("LIMIT_MAKER", "STOP_LOSS") if above else ("STOP_LOSS", "LIMIT_MAKER")
    assert (legs[filled]["status"], legs[ended]["status"]) == ("closed", "expired")
    assert spot.fetch_balance()["BTC"]["used"] == 0


def test_an_oco_is_cancelled_whole(world, spot):
    spot.create_order(SPOT, "market", "buy", 0.02)
    request = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "price": str(round(world.bid() * 2, 2))}
    placed = spot.privatePostOrderOco(request | {"stopPrice": str(round(world.bid() / 2, 2))})
    assert spot.privateGetOpenOrderList()[0]["orderListId"] == placed["orderListId"]
    done = spot.privateDeleteOrderList({"symbol": "BTCUSDT", "orderListId": placed["orderListId"]})
    assert [one["status"] for one in done["orderReports"]] == ["CANCELED", "CANCELED"]
    assert spot.fetch_open_orders(SPOT) == []


def test_a_futures_position_is_opened_and_closed(world, futures):
    futures.set_leverage(10, FUTURES)
    opened = futures.create_order(FUTURES, "market", "buy", 0.01)
    [position] = futures.fetch_positions()
    ask = float(world.bid() + world.spread())

    assert (opened["status"], opened["average"]) == ("closed", ask)
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 0.01, ask)
    closed = futures.create_order(FUTURES, "market", "sell", 0.01, None, {"reduceOnly": True})
    assert closed["average"] == float(world.bid())
    assert futures.fetch_positions() == []
    fees = sum(Decimal(str(one["fee"]["cost"])) for one in futures.fetch_my_trades(FUTURES))
    lost = world.spread() * Decimal("0.01")
    assert futures.fetch_balance()["USDT"]["total"] == float(10_000 - lost - fees)


def test_a_stop_and_a_target_close_the_position_at_the_path(world, futures):
    futures.create_order(FUTURES, "market", "buy", 0.01)
    bid, closing = world.bid(), {"closePosition": True}
    stop = float(round(bid * Decimal("0.5"), 2))
    target = round(bid * Decimal("1.005"), 2)
    below = futures.create_order(FUTURES, "market", "sell", None, None, closing | {"stopLossPrice": stop})
    above = futures.create_order(FUTURES, "market", "sell", None, None, closing | {"takeProfitPrice": float(target)})

    assert (below["status"], above["triggerPrice"]) == ("open", float(target))
    assert len(futures.fetch_open_orders(FUTURES, params={"trigger": True})) == 2
    assert futures.fetch_open_orders(FUTURES) == []
    world.pass_hours(world.hours_until(target, above=True))
    told = futures.fetch_order(above["id"], FUTURES, {"trigger": True})["info"]
    assert (told["algoStatus"], told["actualQty"]) == ("FINISHED", "0.01")
    assert float(told["actualPrice"]) >= float(target)
    assert futures.fetch_positions() == []
    futures.cancel_order(below["id"], FUTURES, {"trigger": True})
    assert futures.fetch_open_orders(FUTURES, params={"trigger": True}) == []


def test_both_sides_can_be_held_in_hedge_mode(futures):
    futures.set_position_mode(True)
    assert futures.fetch_position_mode()["hedged"]
    futures.create_order(FUTURES, "market", "buy", 0.01, None, {"positionSide": "LONG"})
    futures.create_order(FUTURES, "market", "sell", 0.02, None, {"positionSide": "SHORT"})
    held = {one["side"]: one["contracts"] for one in futures.fetch_positions()}
    assert held == {"long": 0.01, "short": 0.02}


def test_a_batch_answers_each_order(futures):
    orders = [
        {"symbol": FUTURES, "type": "market", "side": "buy", "amount": 0.01},
        {"symbol": FUTURES, "type": "market", "side": "sell", "amount": 0.01, "params": {"reduceOnly": True}},
    ]
    told = futures.create_orders(orders)
    assert [one["amount"] for one in told] == [0.01, 0.01]
    assert futures.fetch_positions() == []


def test_an_order_can_be_edited_and_several_cancelled(world, spot, futures):
    low = float(world.bid() * Decimal("0.95") // 1)
    for client, symbol in ((spot, SPOT), (futures, FUTURES)):
        order = client.create_order(symbol, "limit", "buy", 0.01, low)
        edited = client.edit_order(order["id"], symbol, "limit", "buy", 0.02, low - 100)
        assert (edited["amount"], edited["price"]) == (0.02, low - 100)
        assert [one["id"] for one in client.fetch_open_orders(symbol)] == [edited["id"]]
    futures.cancel_orders([edited["id"]], FUTURES)
    spot.cancel_all_orders(SPOT)
    assert futures.fetch_open_orders(FUTURES) == spot.fetch_open_orders(SPOT) == []


def test_settings_are_told_as_they_were_made(futures):
    assert futures.set_leverage(7, FUTURES)["leverage"] == 7
    futures.set_margin_mode("isolated", FUTURES)
    [config] = futures.fapiPrivateGetSymbolConfig({"symbol": "BTCUSDT"})
    assert (config["leverage"], config["marginType"]) == (7, "ISOLATED")
    with pytest.raises(ccxt.MarginModeAlreadySet):
        futures.fapiPrivatePostMarginType({"symbol": "BTCUSDT", "marginType": "ISOLATED"})


@pytest.mark.parametrize(
    ("error", "order"),
    [
        (ccxt.InsufficientFunds, ("market", "buy", 9.0, None)),
        (ccxt.InsufficientFunds, ("market", "sell", 0.01, None)),
        (ccxt.InvalidOrder, ("limit", "buy", 0.01, 1.0)),  # PERCENT_PRICE_BY_SIDE
        (ccxt.OrderImmediatelyFillable, ("limit", "buy", 0.01, 90_000.0, {"postOnly": True})),
        (ccxt.OrderImmediatelyFillable, ("market", "sell", 0.01, None, {"stopLossPrice": 90_000.0})),
        (ccxt.BadRequest, ("market", "buy", 0.00003, None)),  # NOTIONAL
        (ccxt.BadRequest, ("market", "buy", 0.01, None, {"newClientOrderId": "not good"})),
    ],
)
def test_a_bad_spot_order_is_ccxts_own_error(spot, error, order):
    *fields, params = order if len(order) == 5 else (*order, {})
    with pytest.raises(error):
        spot.create_order(SPOT, *fields, params)
    assert spot.fetch_my_trades(SPOT) == []


@pytest.mark.parametrize(
    ("error", "order"),
    [
        (ccxt.InsufficientFunds, ("market", "buy", 90.0, None)),
        (ccxt.InvalidOrder, ("market", "sell", 0.01, None, {"reduceOnly": True})),
        (ccxt.OrderImmediatelyFillable, ("market", "sell", 0.01, None, {"stopLossPrice": 90_000.0})),
        (ccxt.OperationRejected, ("market", "buy", 0.01, None, {"positionSide": "LONG"})),
        (ccxt.OrderNotFillable, ("limit", "buy", 0.01, 35_000.0, {"postOnly": True})),
        (ccxt.BadRequest, ("limit", "buy", 0.01, 90_000.0)),
    ],
)
def test_a_bad_futures_order_is_ccxts_own_error(futures, error, order):
    *fields, params = order if len(order) == 5 else (*order, {})
    with pytest.raises(error):
        futures.create_order(FUTURES, *fields, params)
    assert futures.fetch_my_trades(FUTURES) == []


def test_an_unknown_order_is_not_found(spot, futures):
    spot.load_markets()
    for client, symbol in ((spot, SPOT), (futures, FUTURES)):
        for ask in (client.fetch_order, client.cancel_order):
            with pytest.raises(ccxt.OrderNotFound):
                ask("42", symbol)


def test_a_second_order_of_an_id_is_refused_while_the_first_is_open(world, spot, futures):
    low = float(world.bid() * Decimal("0.95") // 1)
    for client, symbol in ((spot, SPOT), (futures, FUTURES)):
        client.create_order(symbol, "limit", "buy", 0.01, low, {"newClientOrderId": "twice"})
        with pytest.raises(ccxt.InvalidOrder, match=r"Duplicate order sent|-4116"):
            client.create_order(symbol, "limit", "buy", 0.01, low, {"newClientOrderId": "twice"})
        assert len(client.fetch_open_orders(symbol)) == 1


def test_a_conditional_order_at_the_old_address_is_refused(futures):
    futures.load_markets()
    request = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": "1000", "closePosition": "true"}
    with pytest.raises(ccxt.InvalidOrder, match="-4120"):
        futures.fapiPrivatePostOrder(request)


@pytest.mark.parametrize("kind", ["binance", "binanceusdm"])
def test_who_signs_wrongly_is_not_let_in(world, kind):
    for fields in ({"secret": "x" * 64}, {"apiKey": "k" * 64}, {"apiKey": "short"}):
        with pytest.raises(ccxt.AuthenticationError):
            world.client(kind, **fields).fetch_balance()


@pytest.mark.parametrize("off_ms", [-6000, 1500])
def test_a_clock_that_is_off_is_an_invalid_nonce(world, spot, off_ms):
    spot.load_markets()
    spot.nonce = lambda: world.clock.now_ms() + off_ms
    spot.options["recvWindow"] = 5000
    with pytest.raises(ccxt.InvalidNonce):
        spot.fetch_balance()


@pytest.mark.parametrize(
    ("fault", "parameters", "error"),
    [
        ("B08", {"status": 429}, ccxt.DDoSProtection),
        ("B08", {"status": 400}, ccxt.RateLimitExceeded),
        ("B09", {}, ccxt.DDoSProtection),
        ("B02", {"body": "html"}, ccxt.ExchangeNotAvailable),
        ("B04", {"code": -1007}, ccxt.RequestTimeout),
        ("B37", {}, ccxt.AuthenticationError),
        ("B40", {}, ccxt.ExchangeError),
    ],
)
def test_a_fault_of_the_exchange_is_ccxts_own_error(world, futures, fault, parameters, error):
    futures.load_markets()
    switch_on(world.clock.path.parent, FaultPlan(rules=(Rule(fault=fault, times=1, parameters=parameters),)))
    with pytest.raises(error):
        futures.fetch_balance()


def test_a_client_whose_key_may_withdraw_can_tell(world, spot):
    assert spot.sapiGetAccountApiRestrictions()["enableWithdrawals"] is False
    world.venue.books.set_setting("may withdraw", "true")
    assert spot.sapiGetAccountApiRestrictions()["enableWithdrawals"] is True
