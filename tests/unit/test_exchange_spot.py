"""The simulated spot market, by hand: bid 50,000, ask 50,010, a tenth of a per cent on every fill."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from simulator.binance.rows import Movement, Order, Trade
from tests.exchange_clients import hand

ORDER, OCO = "POST /api/v3/order", "POST /api/v3/orderList/oco"
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}
SELL_OCO = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "1", "aboveType": "LIMIT_MAKER", "abovePrice": "51000"}
SELL_OCO |= {"belowType": "STOP_LOSS", "belowStopPrice": "49000"}


def test_a_purchase_pays_the_ask_and_loses_its_commission_in_the_coin():
    desk = hand()
    told = desk.spot("MARKET", "BUY", "0.5")
    [fill] = told["fills"]
    assert (told["status"], told["executedQty"]) == ("FILLED", "0.50000000")
    assert told["cummulativeQuoteQty"] == "25005.00000000"
    assert (fill["price"], fill["commission"], fill["commissionAsset"]) == ("50010.00000000", "0.00050000", "BTC")
    assert (desk.wallet("BTC"), desk.wallet()) == (Decimal("0.4995"), Decimal(74_995))


def test_a_sale_gets_the_bid_and_loses_its_commission_in_the_quote():
    desk = hand()
    desk.spot("MARKET", "BUY", "0.5")
    desk.spot("MARKET", "SELL", "0.4")
    assert (desk.wallet("BTC"), desk.wallet()) == (Decimal("0.0995"), Decimal(74_995) + Decimal(20_000) - Decimal(20))


def test_what_to_spend_buys_whole_steps():
    told = hand().spot("MARKET", "BUY", None, quoteOrderQty="1000")
    assert told["executedQty"] == "0.01999000"  # 1000 / 50010 = 0.019996..., down to 0.00001
    assert told["cummulativeQuoteQty"] == "999.69990000"
    assert told["origQuoteOrderQty"] == "1000.00000000"


def test_a_limit_waits_for_the_ask_and_fills_at_its_own_price():
    desk = hand(50_000, 49_995, 49_989, 49_000)
    told = desk.spot("LIMIT", "BUY", price="50000", timeInForce="GTC")
    desk.minutes(1)
    assert desk.ask("GET /api/v3/order", symbol="BTCUSDT", orderId=told["orderId"])["status"] == "NEW"
    desk.minutes(2)  # 49,989 + 10 is below it
    [trade] = desk.venue.books.select(Trade)
    assert (trade.price, trade.maker, trade.time_ms) == (Decimal(50_000), True, desk.market.bids["BTCUSD"][2][0])


def test_a_limit_that_crosses_takes_the_quote():
    told = hand().spot("LIMIT", "BUY", price="50500", timeInForce="GTC")
    assert (told["status"], told["fills"][0]["price"]) == ("FILLED", "50010.00000000")


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_what_is_to_fill_at_once_ends_when_it_cannot(tif):
    desk = hand()
    assert desk.spot("LIMIT", "BUY", price="49000", timeInForce=tif)["status"] == "EXPIRED"
    assert desk.venue.spot.locked() == {}


def test_open_orders_hold_back_what_they_need():
    desk = hand()
    desk.spot("LIMIT", "BUY", price="49000", timeInForce="GTC")
    [usdt] = [one for one in desk.ask("GET /api/v3/account")["balances"] if one["asset"] == "USDT"]
    assert (usdt["free"], usdt["locked"]) == ("51000.00000000", "49000.00000000")
    assert desk.refused(ORDER, **LIMIT, price="51001")[0] == -2010
    desk.spot("LIMIT", "BUY", "0.9", price="49000", timeInForce="GTC")


def test_a_stop_sells_at_the_bid_that_reaches_it():
    desk = hand(50_000, 49_500, 48_700)
    desk.spot("MARKET", "BUY")
    desk.spot("STOP_LOSS", "SELL", "0.5", stopPrice="49000")
    desk.minutes(1)
    assert len(desk.venue.books.open_orders()) == 1
    desk.minutes(1)
    assert desk.venue.books.select(Trade)[-1].price == Decimal(48_700)  # the gap is the stop's loss


def test_a_stop_limit_can_be_jumped_over_and_rests():
    desk = hand(50_000, 48_000, 49_000)
    desk.spot("MARKET", "BUY")
    stop = {"stopPrice": "49500", "price": "49000", "timeInForce": "GTC"}
    desk.spot("STOP_LOSS_LIMIT", "SELL", "0.5", **stop)
    desk.minutes(1)
    [order] = desk.venue.books.open_orders()
    assert (order.working, order.status) == (True, "NEW")
    desk.minutes(1)
    assert desk.venue.books.select(Trade)[-1].price == Decimal(49_000)


@pytest.mark.parametrize(
    ("last", "filled", "price"), [(51_500, "LIMIT_MAKER", Decimal(51_000)), (48_500, "STOP_LOSS", Decimal(48_500))]
)
def test_of_two_that_cancel_each_other_one_fills(last, filled, price):
    desk = hand(50_000, last, 48_000, 52_000)
    desk.spot("MARKET", "BUY", "1.1")
    desk.ask(OCO, **SELL_OCO)
    assert desk.venue.spot.locked() == {"BTC": 1}
    desk.minutes(3)
    legs = {order.type: order.status for order in desk.venue.books.select(Order, list_id=1)}
    assert legs == dict.fromkeys(("LIMIT_MAKER", "STOP_LOSS"), "EXPIRED") | {filled: "FILLED"}
    assert desk.venue.books.select(Trade)[-1].price == price
    assert desk.venue.spot.locked() == {}


def test_cancelling_one_leg_ends_the_list():
    desk = hand()
    desk.spot("MARKET", "BUY", "1.1")
    told = desk.ask(OCO, **SELL_OCO, listClientOrderId="mine")
    desk.ask("DELETE /api/v3/order", symbol="BTCUSDT", orderId=told["orders"][0]["orderId"])
    found = desk.ask("GET /api/v3/orderList", origClientOrderId="mine")
    assert found["listOrderStatus"] == "ALL_DONE"
    assert desk.ask("GET /api/v3/openOrderList") == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"belowStopPrice": "50500"}, -1165),
        ({"abovePrice": "49900"}, -1165),
        ({"quantity": "2"}, -2010),
        ({"aboveType": "STOP_LOSS"}, -1116),
        ({"belowType": "LIMIT_MAKER", "belowPrice": "49000", "belowStopPrice": ""}, -1116),
        ({"aboveClientOrderId": "same", "belowClientOrderId": "same"}, -2010),
    ],
)
def test_a_pair_that_makes_no_sense_is_refused(changes, code):
    desk = hand()
    desk.spot("MARKET", "BUY", "1.1")
    assert desk.refused(OCO, **(SELL_OCO | changes))[0] == code


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"price": "100000.005"}, -1013, "PRICE_FILTER"),
        ({"price": "0"}, -1013, "PRICE_FILTER"),
        ({"price": "300000"}, -1013, "PERCENT_PRICE_BY_SIDE"),
        ({"price": "9000"}, -1013, "PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.000001"}, -1013, "LOT_SIZE"),
        ({"quantity": "0"}, -1013, "LOT_SIZE"),
        ({"quantity": "0.0000000001"}, -1111, "too much precision"),
        ({"quantity": "0.00005"}, -1013, "NOTIONAL"),
        ({"quantity": "-1"}, -1100, "quantity"),
        ({"quantity": ""}, -1102, "quantity"),
        ({"symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
        ({"side": "UP"}, -1117, "Invalid side."),
        ({"type": "MAYBE"}, -1116, "Invalid orderType."),
        ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({"timeInForce": ""}, -1102, "timeInForce"),
        ({"stopPrice": "1"}, -1106, "'stopPrice' sent when not required"),
        ({"newClientOrderId": "a b"}, -1100, "newClientOrderId"),
        ({"type": "LIMIT_MAKER", "timeInForce": "", "price": "50010"}, -2010, "immediately match and take"),
        ({"type": "STOP_LOSS_LIMIT", "stopPrice": "50000"}, -2010, "would trigger immediately"),
    ],
)
def test_what_a_filter_forbids_is_refused_in_binances_words(changes, code, words):
    refusal = hand().refused(ORDER, **(LIMIT | {"price": "50000"} | changes))
    assert (refusal[0], words in refusal[1]) == (code, True), refusal


def test_an_id_is_unique_among_open_orders_only():
    desk = hand()
    order = LIMIT | {"price": "49000", "quantity": "0.1", "newClientOrderId": "mine"}
    first = desk.ask(ORDER, **order)
    assert desk.refused(ORDER, **order) == (-2010, "Duplicate order sent.")
    desk.ask("DELETE /api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    second = desk.ask(ORDER, **order)
    found = desk.ask("GET /api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert found["orderId"] == second["orderId"] != first["orderId"]


def test_too_many_stops_are_refused():
    desk = hand()
    desk.spot("MARKET", "BUY", "1")
    for i in range(5):
        desk.spot("STOP_LOSS", "SELL", "0.1", stopPrice=40_000 + i)
    given = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "0.1", "stopPrice": "40000"}
    assert desk.refused(ORDER, **given) == (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")


def test_nothing_trades_while_the_market_is_closed():
    desk = hand()
    desk.market.closed.append((desk.clock.t_ms, desk.clock.t_ms + 60_000))
    given = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert desk.refused(ORDER, **given) == (-1013, "Market is closed.")


def test_a_test_order_is_checked_and_not_placed():
    desk = hand()
    assert desk.ask("POST /api/v3/order/test", **LIMIT, price="49000") == {}
    assert desk.venue.books.select(Order) == []


def test_pages_of_orders_and_trades_follow_ids_and_times():
    desk = hand(*range(50_000, 50_010))
    for _ in range(5):
        desk.spot("MARKET", "BUY", "0.1")
        desk.minutes(1)
    orders = desk.ask("GET /api/v3/allOrders", symbol="BTCUSDT")
    assert [b["orderId"] - a["orderId"] for a, b in pairwise(orders)] == [1, 1, 1, 1]
    assert desk.ask("GET /api/v3/allOrders", symbol="BTCUSDT", orderId=orders[3]["orderId"]) == orders[3:]
    assert desk.ask("GET /api/v3/allOrders", symbol="BTCUSDT", limit=2) == orders[3:]
    trades = desk.ask("GET /api/v3/myTrades", symbol="BTCUSDT")
    assert desk.ask("GET /api/v3/myTrades", symbol="BTCUSDT", fromId=trades[2]["id"], limit=1) == trades[2:3]
    assert desk.ask("GET /api/v3/myTrades", symbol="BTCUSDT", startTime=trades[1]["time"], limit=2) == trades[1:3]
    assert desk.ask("GET /api/v3/myTrades", symbol="BTCUSDT", orderId=orders[4]["orderId"]) == trades[4:]


def test_a_request_finds_the_account_as_the_path_has_left_it():
    desk = hand(50_000, 48_000, 50_000)
    told = desk.spot("LIMIT", "BUY", price="49000", timeInForce="GTC")
    desk.clock.t_ms += 120_000
    found = desk.ask("GET /api/v3/order", symbol="BTCUSDT", orderId=told["orderId"])
    assert (found["status"], found["updateTime"]) == ("FILLED", told["transactTime"] + 60_000)


def test_the_account_goes_on_after_a_restart(tmp_path):
    desk = hand(50_000, 50_000, 48_000, path=tmp_path / "exchange.sqlite3")
    desk.spot("MARKET", "BUY")
    desk.spot("STOP_LOSS", "SELL", "0.5", stopPrice="49000")
    key = desk.venue.credentials
    desk.venue.books.close()
    desk.clock.t_ms += 120_000  # the stop is reached while nothing runs
    desk.open()
    desk.venue.catch_up()
    assert desk.venue.credentials == key
    assert [trade.price for trade in desk.venue.books.select(Trade)] == [Decimal(50_010), Decimal(48_000)]
    assert desk.wallet() == sum(row.amount for row in desk.venue.books.select(Movement, venue="spot", asset="USDT"))


def test_an_order_after_a_pause_does_not_meet_prices_before_it(tmp_path):
    desk = hand(50_000, 40_000, 50_000, 50_000, path=tmp_path / "exchange.sqlite3")
    desk.minutes(2)
    desk.spot("LIMIT", "BUY", price="45000", timeInForce="GTC")
    desk.venue.books.close()
    desk.open()
    desk.minutes(1)
    assert desk.venue.books.select(Trade) == []
