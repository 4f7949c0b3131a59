"""The simulated futures market, by hand: bid 50,000, ask 50,010, mark 50,005; 0.05 % as taker, 0.02 % as maker."""

from __future__ import annotations

from decimal import Decimal

import pytest

from simulator import exchange_outside
from simulator.binance.rows import Movement, Order, Trade
from tests.exchange_clients import Hand, hand
from tests.sim_builders import MORNING, moment

ORDER, ALGO = "POST /fapi/v1/order", "POST /fapi/v1/algoOrder"
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
STOP = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "algoType": "CONDITIONAL", "triggerPrice": "49000"}


@pytest.fixture(autouse=True)
def _no_premium(monkeypatch):
    monkeypatch.setattr(exchange_outside, "PREMIUM_NOISE", 0.0)


def risk(desk: Hand) -> list[dict[str, str]]:
    return desk.ask("GET /fapi/v3/positionRisk")


def wallet(desk: Hand) -> Decimal:
    return desk.wallet(venue="futures")


def test_a_position_is_opened_at_the_ask_and_valued_at_the_mark():
    desk = hand()
    told = desk.futures("MARKET", "BUY", "0.5")
    [position] = risk(desk)
    assert (told["status"], told["avgPrice"], told["cumQuote"]) == ("FILLED", "50010.00000", "25005")
    assert (position["positionAmt"], position["entryPrice"], position["markPrice"]) == (
        "0.5",
        "50010",
        "50005.00000000",
    )
    assert position["unRealizedProfit"] == "-2.50000000"
    assert wallet(desk) == Decimal(100_000) - Decimal("12.5025")


def test_profit_is_realised_against_the_mean_entry():
    desk = hand(50_000, 51_000, 52_000)
    desk.futures("MARKET", "BUY", "1")  # 50,010
    desk.minutes(1)
    desk.futures("MARKET", "BUY", "1")  # 51,010: mean 50,510
    desk.minutes(1)
    desk.futures("MARKET", "SELL", "0.5")  # 52,000: 745
    [trade] = desk.venue.books.select(Trade)[-1:]
    assert trade.realized == Decimal("745")
    assert risk(desk)[0]["entryPrice"] == "50510"
    desk.futures("MARKET", "SELL", "2.5")  # 1.5 closed with 2,235; one short at 52,000
    assert desk.venue.books.select(Trade)[-1].realized == Decimal("2235")
    assert (risk(desk)[0]["positionAmt"], risk(desk)[0]["entryPrice"]) == ("-1", "52000")
    fees = sum(trade.commission for trade in desk.venue.books.select(Trade))
    assert wallet(desk) == Decimal(100_000) + Decimal(2_980) - fees


def test_a_short_earns_what_the_price_falls():
    desk = hand(50_000, 49_000)
    desk.futures("MARKET", "SELL", "1")  # 50,000
    desk.minutes(1)
    assert risk(desk)[0]["unRealizedProfit"] == "995.00000000"  # the mark is 49,005
    desk.futures("MARKET", "BUY", "0.4")  # 49,010
    desk.futures("MARKET", "BUY", "0.6")
    assert [trade.realized for trade in desk.venue.books.select(Trade)] == [0, Decimal(396), Decimal(594)]


def test_an_ack_tells_only_that_the_order_came():
    desk = hand()
    told = desk.ask(ORDER, **MARKET)
    assert (told["status"], told["executedQty"]) == ("NEW", "0")
    found = desk.ask("GET /fapi/v1/order", symbol="BTCUSDT", orderId=told["orderId"])
    assert (found["status"], found["executedQty"]) == ("FILLED", "1")


def test_margin_is_a_share_of_the_notional_and_bounds_positions():
    desk = hand(balance=10_000.0)
    desk.ask("POST /fapi/v1/leverage", symbol="BTCUSDT", leverage="10")
    desk.futures("MARKET", "BUY", "1")
    account = desk.ask("GET /fapi/v3/account")
    assert account["totalInitialMargin"] == "5000.50000000"
    assert account["totalMaintMargin"] == "200.02000000"
    assert account["availableBalance"] == f"{Decimal(10_000) - Decimal('25.005') - 5 - Decimal('5000.5'):.8f}"
    assert desk.refused(ORDER, **MARKET)[0] == -2019
    desk.futures("MARKET", "SELL", "1")  # what reduces needs no margin


def test_resting_limits_take_margin_too():
    desk = hand(balance=10_000.0)
    desk.ask("POST /fapi/v1/leverage", symbol="BTCUSDT", leverage="10")
    desk.futures("LIMIT", "BUY", "1.5", price="49000", timeInForce="GTC")
    assert desk.ask("GET /fapi/v3/account")["totalOpenOrderInitialMargin"] == "7350.00000000"
    assert desk.refused(ORDER, **MARKET)[0] == -2019


def test_a_resting_limit_is_a_maker():
    desk = hand(50_000, 48_000)
    desk.futures("LIMIT", "BUY", "1", price="49000", timeInForce="GTX")
    desk.minutes(1)
    [trade] = desk.venue.books.select(Trade)
    assert (trade.price, trade.maker, trade.commission) == (Decimal(49_000), True, Decimal("9.8"))


def test_reduce_only_reduces_and_nothing_else():
    desk = hand()
    assert desk.refused(ORDER, **MARKET, reduceOnly="true") == (-2022, "ReduceOnly Order is rejected.")
    desk.futures("MARKET", "BUY", "1")
    assert desk.refused(ORDER, **MARKET, reduceOnly="true")[0] == -2022
    told = desk.futures("MARKET", "SELL", "3", reduceOnly="true")
    assert told["executedQty"] == "1"
    assert risk(desk) == []


def test_a_resting_reduction_covers_the_position():
    desk = hand()
    desk.futures("MARKET", "BUY", "1")
    told = desk.futures("LIMIT", "SELL", "1.5", price="52000", timeInForce="GTC", reduceOnly="true")
    assert told["origQty"] == "1"
    assert desk.refused(ORDER, **(MARKET | {"side": "SELL"}), reduceOnly="true")[0] == -4118


def test_a_resting_reduction_never_flips_a_position_that_has_shrunk():
    desk = hand(50_000, 52_000, 52_000)
    desk.futures("MARKET", "BUY", "1")
    reduction = desk.futures("LIMIT", "SELL", "1", price="52000", timeInForce="GTC", reduceOnly="true")
    desk.futures("MARKET", "SELL", "0.6")
    desk.minutes(1)
    found = desk.ask("GET /fapi/v1/order", symbol="BTCUSDT", orderId=reduction["orderId"])
    assert (found["status"], found["executedQty"]) == ("FILLED", "0.4")
    assert risk(desk) == []


def test_a_resting_reduction_of_nothing_ends_unfilled():
    desk = hand(50_000, 52_000)
    desk.futures("MARKET", "BUY", "1")
    reduction = desk.futures("LIMIT", "SELL", "1", price="52000", timeInForce="GTC", reduceOnly="true")
    desk.futures("MARKET", "SELL", "1")
    desk.minutes(1)
    found = desk.ask("GET /fapi/v1/order", symbol="BTCUSDT", orderId=reduction["orderId"])
    assert (found["status"], found["executedQty"]) == ("EXPIRED", "0")


def test_a_stop_and_a_target_close_whatever_is_held():
    desk = hand(50_000, 50_500, 48_900)
    desk.futures("MARKET", "BUY", "1")
    stop = desk.algo("STOP_MARKET", "SELL", 49_000, closePosition="true")
    target = desk.algo("TAKE_PROFIT_MARKET", "SELL", 51_000, closePosition="true")
    desk.minutes(1)
    desk.futures("MARKET", "BUY", "0.5")
    desk.minutes(1)
    told = desk.ask("GET /fapi/v1/algoOrder", algoId=stop["algoId"])
    assert (told["algoStatus"], told["actualQty"], told["actualPrice"]) == ("FINISHED", "1.5", "48900.00000")
    order = desk.ask("GET /fapi/v1/order", symbol="BTCUSDT", orderId=told["actualOrderId"])
    assert (order["status"], order["type"], order["clientOrderId"]) == ("FILLED", "MARKET", stop["clientAlgoId"])
    assert [one["algoId"] for one in desk.ask("GET /fapi/v1/openAlgoOrders")] == [target["algoId"]]


def test_a_stop_without_a_position_expires_and_one_that_is_tied_to_it_ends_with_it():
    desk = hand(50_000, 50_000, 48_900)
    desk.futures("MARKET", "BUY", "1")
    loose = desk.algo("STOP_MARKET", "SELL", 49_000, closePosition="true")
    tied = desk.algo("TAKE_PROFIT_MARKET", "SELL", 51_000, closePosition="true", timeInForce="GTE_GTC")
    desk.futures("MARKET", "SELL", "1", reduceOnly="true")
    status = {one["algoId"]: one["algoStatus"] for one in desk.ask("GET /fapi/v1/allAlgoOrders", symbol="BTCUSDT")}
    assert status == {loose["algoId"]: "NEW", tied["algoId"]: "EXPIRED"}
    desk.minutes(2)
    assert desk.ask("GET /fapi/v1/algoOrder", algoId=loose["algoId"])["algoStatus"] == "EXPIRED"
    assert len(desk.venue.books.select(Trade)) == 2


def test_a_stop_can_wait_for_the_mark_price():
    desk = hand(50_000, 49_000, 48_995, 48_994)
    desk.futures("MARKET", "BUY", "1")
    stop = desk.algo("STOP_MARKET", "SELL", 49_000, closePosition="true", workingType="MARK_PRICE")
    desk.minutes(1)  # mark 49,005
    assert desk.ask("GET /fapi/v1/algoOrder", algoId=stop["algoId"])["algoStatus"] == "NEW"
    desk.minutes(1)  # mark 49,000
    assert desk.ask("GET /fapi/v1/algoOrder", algoId=stop["algoId"])["algoStatus"] == "FINISHED"


def test_a_stop_with_a_limit_leaves_an_order():
    desk = hand(50_000, 48_900, 48_950, 49_100)
    desk.futures("MARKET", "BUY", "1")
    stop = desk.algo("STOP", "SELL", 49_000, price="49100", quantity="1", reduceOnly="true")
    desk.minutes(2)
    told = desk.ask("GET /fapi/v1/algoOrder", algoId=stop["algoId"])
    assert (told["algoStatus"], told["actualQty"]) == ("TRIGGERED", "0")
    assert len(desk.ask("GET /fapi/v1/openOrders", symbol="BTCUSDT")) == 1
    desk.minutes(1)
    assert desk.ask("GET /fapi/v1/algoOrder", algoId=stop["algoId"])["algoStatus"] == "FINISHED"
    assert risk(desk) == []


def test_cancelling_all_orders_leaves_the_conditional_ones():
    desk = hand()
    desk.futures("LIMIT", "BUY", "1", price="49000", timeInForce="GTC")
    desk.algo("STOP_MARKET", "SELL", 49_000, closePosition="true")
    desk.ask("DELETE /fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert desk.ask("GET /fapi/v1/openOrders") == []
    assert len(desk.ask("GET /fapi/v1/openAlgoOrders")) == 1
    desk.ask("DELETE /fapi/v1/algoOpenOrders", symbol="BTCUSDT")
    assert desk.ask("GET /fapi/v1/openAlgoOrders") == []


def test_longs_and_shorts_are_apart_in_hedge_mode():
    desk = hand()
    desk.ask("POST /fapi/v1/positionSide/dual", dualSidePosition="true")
    assert desk.refused(ORDER, **MARKET)[0] == -4061
    desk.futures("MARKET", "BUY", "1", positionSide="LONG")
    desk.futures("MARKET", "SELL", "2", positionSide="SHORT")
    assert [(one["positionSide"], one["positionAmt"]) for one in risk(desk)] == [("LONG", "1"), ("SHORT", "-2")]
    sell = MARKET | {"side": "SELL", "positionSide": "LONG"}
    assert desk.refused(ORDER, **sell, reduceOnly="true")[0] == -1106
    assert desk.refused(ORDER, **(sell | {"quantity": "1.5"}))[0] == -2022
    assert desk.refused("POST /fapi/v1/positionSide/dual", dualSidePosition="false")[0] == -4068
    desk.futures("MARKET", "SELL", "1", positionSide="LONG")
    desk.algo("STOP_MARKET", "BUY", 51_000, positionSide="SHORT", closePosition="true")
    assert [one["positionSide"] for one in risk(desk) if one["positionAmt"] != "0"] == ["SHORT"]


def test_funding_is_paid_every_eight_hours(monkeypatch):
    desk = hand(start_ms=moment("2026-01-05T15:59"))
    desk.futures("MARKET", "BUY", "1")
    before = wallet(desk)
    desk.minutes(2)
    [paid] = desk.ask("GET /fapi/v1/income", incomeType="FUNDING_FEE")
    assert paid["income"] == "-5.00050000"  # 0.01 % of 50,005
    assert paid["time"] == moment("2026-01-05T16:00")
    assert wallet(desk) == before - Decimal("5.0005")
    desk.minutes(7 * 60)
    assert len(desk.venue.books.select(Movement, kind="FUNDING_FEE")) == 1
    desk.minutes(60)
    assert len(desk.venue.books.select(Movement, kind="FUNDING_FEE")) == 2


def test_an_account_below_its_maintenance_margin_is_liquidated():
    desk = hand(50_000, 47_700, 47_600, 40_000, balance=2_600.0)
    desk.futures("MARKET", "BUY", "1", newClientOrderId="mine")
    [position] = risk(desk)
    # 2600 - 25.005 + (p - 50010) = 0.004 p: p = 47625.50...
    assert float(position["liquidationPrice"]) == pytest.approx((50_010 - 2_574.995) / 0.996, abs=1e-6)
    desk.minutes(1)  # mark 47,705
    assert len(risk(desk)) == 1
    desk.minutes(1)  # mark 47,605
    assert risk(desk) == []
    last = desk.venue.books.select(Order)[-1]
    assert last.client_id == f"autoclose-{MORNING + 120_000}"
    assert wallet(desk) == Decimal(2_600) - Decimal("25.005") - Decimal(2_410) - Decimal("23.8")


def test_a_loss_beyond_the_wallet_is_the_exchanges():
    desk = hand(50_000, 30_000, balance=2_600.0)
    desk.futures("MARKET", "BUY", "1")
    desk.minutes(1)
    assert wallet(desk) == 0
    assert desk.ask("GET /fapi/v1/income")[-1]["incomeType"] == "INSURANCE_CLEAR"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "99999999"}, -4005),
        ({"type": "STOP_MARKET"}, -4120),
        ({"type": "TAKE_PROFIT"}, -4120),
        ({"type": "TRAILING_STOP_MARKET"}, -4120),
        ({"type": "NONE"}, -1116),
        ({"type": "LIMIT", "price": "50000"}, -1102),
        ({"type": "LIMIT", "timeInForce": "GTC", "price": "50000.001"}, -4014),
        ({"type": "LIMIT", "timeInForce": "GTC", "price": "0"}, -4001),
        ({"type": "LIMIT", "timeInForce": "GTC", "price": "60000"}, -4016),
        ({"type": "LIMIT", "timeInForce": "GTC", "price": "40000", "side": "SELL"}, -4024),
        ({"type": "LIMIT", "timeInForce": "GTX", "price": "50010"}, -5022),
        ({"timeInForce": "GTC"}, -1106),
        ({"price": "50000"}, -1106),
        ({"positionSide": "LONG"}, -4061),
        ({"newClientOrderId": "ä"}, -1100),
        ({"symbol": "NOPE"}, -1121),
    ],
)
def test_a_wrong_order_is_refused(changes, code):
    assert hand().refused(ORDER, **(MARKET | changes))[0] == code


def test_a_notional_that_is_too_small_is_refused_in_binances_words():
    desk = hand(900.0)
    expected = (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only).")
    assert desk.refused(ORDER, **(MARKET | {"quantity": "0"}))[0] == -4003
    step = desk.venue.rules["futures"]["BTCUSDT"].step
    assert desk.refused(ALGO, **(STOP | {"triggerPrice": "10", "quantity": str(step)})) == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": "1", "triggerPrice": "50000"}, -2021),
        ({"quantity": "1", "side": "BUY"}, -2021),
        ({"quantity": "1", "closePosition": "true"}, -1106),
        ({"closePosition": "true", "reduceOnly": "true"}, -1106),
        ({}, -1102),
        ({"quantity": "1", "triggerPrice": ""}, -1102),
        ({"quantity": "1", "triggerPrice": "49000.001"}, -4014),
        ({"quantity": "1", "type": "LIMIT"}, -1116),
        ({"quantity": "1", "timeInForce": "GTE_GTC"}, -4509),
    ],
)
def test_a_wrong_conditional_order_is_refused(changes, code):
    assert hand().refused(ALGO, **(STOP | changes))[0] == code


def test_one_closing_stop_a_direction():
    desk = hand()
    desk.ask(ALGO, **STOP, closePosition="true")
    assert desk.refused(ALGO, **STOP, closePosition="true")[0] == -4130
    assert desk.refused(ALGO, **STOP, quantity="1", clientAlgoId="x" * 37)[0] == -1100


def test_a_batch_places_what_is_right_and_says_what_is_not():
    orders = '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1"},'
    orders += '{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1","reduceOnly":true}]'
    desk = hand()
    placed, refused = desk.ask("POST /fapi/v1/batchOrders", batchOrders=orders)
    assert placed["symbol"] == "BTCUSDT"
    assert refused == {"code": -2022, "msg": "ReduceOnly Order is rejected."}
    assert len(desk.venue.books.select(Trade)) == 1


def test_leverage_that_the_margin_cannot_carry_is_refused():
    desk = hand(balance=10_000.0)
    desk.futures("MARKET", "BUY", "1")
    assert desk.refused("POST /fapi/v1/leverage", symbol="BTCUSDT", leverage="2")[0] == -2028
    assert desk.refused("POST /fapi/v1/leverage", symbol="BTCUSDT", leverage="126")[0] == -4028
    assert desk.ask("GET /fapi/v1/symbolConfig", symbol="BTCUSDT")[0]["leverage"] == 20


def test_a_limit_can_be_amended_and_keeps_its_number():
    desk = hand(50_000, 48_000, balance=10_000.0)
    desk.ask("POST /fapi/v1/leverage", symbol="BTCUSDT", leverage="5")
    first = desk.futures("LIMIT", "BUY", "1", price="49000", timeInForce="GTC")  # 9,800 of the 10,000
    order = {"symbol": "BTCUSDT", "orderId": first["orderId"], "side": "BUY", "quantity": "1"}
    assert desk.ask("PUT /fapi/v1/order", **order, price="48500")["orderId"] == first["orderId"]
    assert desk.refused("PUT /fapi/v1/order", **(order | {"quantity": "2"}), price="48500")[0] == -2019
    desk.minutes(1)
    [trade] = desk.venue.books.select(Trade)
    assert (trade.price, trade.quantity, trade.order_id) == (Decimal(48_500), 1, first["orderId"])
    assert desk.refused("PUT /fapi/v1/order", **order, price="48500")[0] == -2013


def test_a_batch_of_cancellations_answers_each():
    desk = hand()
    orders = [desk.futures("LIMIT", "BUY", "0.1", price="49000", timeInForce="GTC")["orderId"] for _ in range(2)]
    told = desk.ask("DELETE /fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=f"[{orders[0]},7,{orders[1]}]")
    assert [one.get("status", one.get("code")) for one in told] == ["CANCELED", -2011, "CANCELED"]
