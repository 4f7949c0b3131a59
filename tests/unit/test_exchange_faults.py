"""Faults of the simulated exchange's signed part: what a client is told, and what really happened."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from simulator.binance.rows import ALGO, FUTURES, SPOT, Order, Trade
from simulator.faults import FAULTS, FaultPlan, Rule, read_log, switch_off, switch_on
from simulator.market import Market
from tests.exchange_clients import Signer, World, exchange_world, small_market

pytestmark = pytest.mark.slow

SPOT_ORDER, FUTURES_ORDER, ALGO_ORDER = "/api/v3/order", "/fapi/v1/order", "/fapi/v1/algoOrder"
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
SELL = BUY | {"side": "SELL"}
CLOSING = {"symbol": "BTCUSDT", "side": "SELL", "algoType": "CONDITIONAL", "closePosition": "true"}


class Client(Signer):
    """A client of an exchange whose faults a test chooses."""

    world: World

    def meets(self, fault: str, *, call: str | None = None, lasts_s: float | None = None, **parameters: Any) -> None:
        """Have the next call that the fault touches meet it, once."""
        rule = Rule(fault=fault, call=call, times=1, lasts_s=lasts_s, parameters=parameters)
        switch_on(self.clock.path.parent, FaultPlan(rules=(rule,)))

    def places(self, path: str, **given: Any) -> Any:
        """Place an order and return the reply."""
        return self.ask(path, "POST", **given)

    def stop(self, kind: str = "STOP_MARKET", factor: str = "0.999") -> Any:
        """Place a closing stop, or a target, near the price."""
        level = round(self.world.bid() * Decimal(factor), 2)
        return self.places(ALGO_ORDER, **CLOSING, type=kind, triggerPrice=level)

    def pair(self) -> Any:
        """Place two sales that cancel each other."""
        bid = self.world.bid()
        given = {"aboveType": "LIMIT_MAKER", "abovePrice": round(bid * 2, 2), "belowType": "STOP_LOSS"}
        given |= {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.005"}
        return self.places("/api/v3/orderList/oco", **given, belowStopPrice=round(bid * Decimal("0.999"), 2))

    def trades(self, venue: str) -> list[Trade]:
        """Return what really was executed."""
        return self.world.venue.books.select(Trade, venue=venue)

    def codes(self, *replies: Any) -> list[int]:
        """Return the replies' codes."""
        return [reply.json()["code"] for reply in replies]


@pytest.fixture(scope="module")
def market() -> Market:
    return small_market()


@pytest.fixture
def client(market: Market, tmp_path) -> Iterator[Client]:
    with exchange_world(market, tmp_path) as world, requests.Session() as session:
        client = Client(world, session)
        client.world = world
        yield client


@pytest.mark.parametrize(("path", "venue"), [(SPOT_ORDER, SPOT), (FUTURES_ORDER, FUTURES)])
@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize(
    ("fault", "parameters", "status"),
    [
        ("B02", {"body": "unknown"}, 503),
        ("B02", {"body": "html"}, 503),
        ("B03", {"status": 504}, 504),
        ("B04", {"code": -1007}, 504),
        ("B04", {"code": -1006}, 500),
        ("B07", {}, 400),
    ],
)
def test_the_same_answer_comes_whether_an_order_is_executed_or_not(
    client, path, venue, executed, fault, parameters, status
):
    client.meets(fault, call=f"POST {path}", executed=executed, **parameters)
    assert client.places(path, **BUY).status_code == status
    assert len(client.trades(venue)) == executed


@pytest.mark.parametrize("executed", [True, False])
def test_an_order_may_be_live_though_nothing_was_answered(client, executed):
    client.meets("B01", call=f"POST {SPOT_ORDER}", executed=executed, seconds=0.01)
    with pytest.raises(requests.ConnectionError):
        client.places(SPOT_ORDER, **BUY, newClientOrderId="mine")
    found = client.ask(SPOT_ORDER, symbol="BTCUSDT", origClientOrderId="mine").json()
    assert found.get("status", found.get("code")) == ("FILLED" if executed else -2013)
    assert "executed" in read_log(client.clock.path.parent)[0]["what"]


def test_a_refused_order_is_not_executed_whatever_the_fault_says(client):
    client.meets("B04", call=f"POST {SPOT_ORDER}", executed=True)
    assert client.places(SPOT_ORDER, **(BUY | {"quantity": "100"})).status_code == 504
    assert client.trades(SPOT) == []


def test_an_order_that_exists_is_not_found_for_a_while(client):
    placed = client.places(SPOT_ORDER, **BUY).json()
    client.meets("B05")
    look = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert client.codes(client.ask(SPOT_ORDER, **look), client.ask(SPOT_ORDER, **look)) == [-2013, -2013]
    client.clock.step(client.clock.now_ms() + 31_000)
    assert client.ask(SPOT_ORDER, **look).json()["status"] == "FILLED"


@pytest.mark.parametrize("lists", [True, False])
def test_an_order_that_is_not_found_can_be_missing_in_lists_too(client, lists):
    placed = client.places(FUTURES_ORDER, **BUY).json()
    client.meets("B05", lists=lists)
    assert client.codes(client.ask(FUTURES_ORDER, symbol="BTCUSDT", orderId=placed["orderId"])) == [-2013]
    assert len(client.ask("/fapi/v1/userTrades", symbol="BTCUSDT").json()) == (0 if lists else 1)


def test_an_id_is_accepted_again_after_its_fill(client):
    """B06: that is the documented rule, so that a blind second attempt trades twice."""
    for _ in range(2):
        assert client.places(SPOT_ORDER, **BUY, newClientOrderId="mine").status_code == 200
    assert len(client.trades(SPOT)) == 2


@pytest.mark.parametrize(
    ("fault", "code"), [("B08", -1003), ("B09", -1003), ("B36", 0), ("B37", -2015), ("B40", -9999), ("B13", -1013)]
)
def test_an_order_can_be_refused_before_it_is_looked_at(client, fault, code):
    client.meets(fault)
    assert client.codes(client.places(SPOT_ORDER, **BUY)) == [code]
    assert client.trades(SPOT) == []


def test_the_used_weight_is_anothers_too_on_signed_calls(client):
    """B10 and B38: the header and the body of a signed answer can mislead."""
    client.meets("B10")
    assert client.ask("/fapi/v3/account").headers["X-MBX-USED-WEIGHT-1M"] == "5900"
    client.meets("B38", how="truncated", call=f"POST {FUTURES_ORDER}")
    reply = client.places(FUTURES_ORDER, **BUY)
    assert not reply.text.endswith("}")
    assert len(client.trades(FUTURES)) == 1


def test_a_signed_call_is_never_followed_elsewhere_by_the_exchange(client):
    """B39: a client that follows would send its signature there."""
    client.meets("B39")
    url = f"{client.server.url}/api/v3/account"
    assert client.session.get(url, timeout=5, allow_redirects=False).status_code == 302


@pytest.mark.parametrize(("fault", "off_ms"), [("B11", -2000), ("B11", 7000), ("B12", -5000)])
def test_a_clock_that_is_off_refuses_what_was_signed_by_the_right_one(client, fault, off_ms):
    client.meets(fault, off_ms=off_ms)
    assert client.codes(client.places(SPOT_ORDER, **BUY)) == [-1021]
    switch_off(client.clock.path.parent)
    assert client.places(SPOT_ORDER, **BUY).status_code == 200


def test_orders_are_measured_by_filters_that_have_changed(client):
    client.meets("B14")
    assert client.codes(client.places(SPOT_ORDER, **BUY), client.places(FUTURES_ORDER, **BUY)) == [-1013, -1111]
    told = client.session.get(f"{client.server.url}/fapi/v1/exchangeInfo", timeout=5).json()["symbols"][0]
    assert {one["stepSize"] for one in told["filters"] if "stepSize" in one} == {"1.00000000"}
    assert client.places(SPOT_ORDER, **(BUY | {"quantity": "1"})).status_code == 200


def test_dust_can_be_closed_at_the_futures_and_not_at_the_spot_market(client):
    """B15 and B16: the minimum is enforced, reduceOnly is exempt; the fee is taken from what was bought."""
    client.places(SPOT_ORDER, **BUY)
    client.places(SPOT_ORDER, **(SELL | {"quantity": "0.00989"}))
    assert client.codes(client.places(SPOT_ORDER, **(SELL | {"quantity": "0.0001"}))) == [-1013]
    assert client.world.venue.books.balance(SPOT, "BTC") == Decimal("0.0001")
    assert client.codes(client.places(SPOT_ORDER, **SELL)) == [-2010]


def test_conditional_orders_have_their_own_address_and_survive_a_cancellation_of_all(client):
    """B17 and B25."""
    client.places(FUTURES_ORDER, **BUY)
    old = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": "1000", "closePosition": "true"}
    assert client.codes(client.places(FUTURES_ORDER, **old)) == [-4120]
    client.stop()
    client.ask("/fapi/v1/allOpenOrders", "DELETE", symbol="BTCUSDT")
    assert len(client.ask("/fapi/v1/openAlgoOrders").json()) == 1


@pytest.mark.parametrize(("fault", "futures", "spot"), [("B18", -4045, -1013), ("B21", -2021, -2010)])
def test_a_stop_can_be_refused_after_the_entry(client, fault, futures, spot):
    client.places(FUTURES_ORDER, **BUY)
    client.places(SPOT_ORDER, **BUY)
    client.meets(fault)
    refused = client.codes(client.stop())
    client.meets(fault)
    assert refused + client.codes(client.pair()) == [futures, spot]
    assert client.world.venue.books.open_orders() == []


@pytest.mark.parametrize(("fault", "status"), [("B19", "REJECTED"), ("B19", "EXPIRED"), ("B20", "FINISHED")])
def test_a_stop_can_end_unfilled_when_it_is_triggered(client, fault, status):
    client.places(FUTURES_ORDER, **BUY)
    client.meets(fault, status=status)
    stop = client.stop().json()
    client.world.pass_hours(client.world.hours_until(Decimal(stop["triggerPrice"]), above=False))
    told = client.ask(ALGO_ORDER, algoId=stop["algoId"]).json()
    assert (told["algoStatus"], told["actualQty"], told["actualOrderId"]) == (status, "0", "")
    assert len(client.trades(FUTURES)) == 1


def test_a_spot_stop_can_expire_when_it_is_triggered(client):
    """B19: both of a list are gone then, and nothing was sold."""
    client.places(SPOT_ORDER, **BUY)
    client.meets("B19", status="EXPIRED")
    client.pair()
    stop = next(one for one in client.world.venue.books.open_orders() if one.stop_price)
    client.world.pass_hours(client.world.hours_until(stop.stop_price, above=False))
    assert client.world.venue.books.open_orders() == []
    assert len(client.trades(SPOT)) == 1


@pytest.mark.parametrize("code", [-4118, -2022])
def test_a_reduction_can_be_refused(client, code):
    client.places(FUTURES_ORDER, **BUY)
    client.meets("B22", code=code)
    assert client.codes(client.places(FUTURES_ORDER, **SELL, reduceOnly="true")) == [code]
    assert client.places(FUTURES_ORDER, **SELL, reduceOnly="true").status_code == 200


def test_a_leg_can_fill_while_its_list_is_being_cancelled(client):
    client.places(SPOT_ORDER, **BUY)
    pair = client.pair().json()
    client.meets("B23")
    reply = client.ask("/api/v3/orderList", "DELETE", symbol="BTCUSDT", orderListId=pair["orderListId"])
    assert client.codes(reply) == [-2011]
    assert sorted(leg.status for leg in client.world.venue.books.select(Order, list_id=1)) == ["EXPIRED", "FILLED"]


def test_mode_leverage_and_margin_type_can_change_from_outside(client):
    client.meets("B27")
    assert client.ask("/fapi/v1/positionSide/dual").json() == {"dualSidePosition": True}
    assert client.codes(client.places(FUTURES_ORDER, **BUY)) == [-4061]
    client.places(FUTURES_ORDER, **BUY, positionSide="LONG")
    client.meets("B27")
    assert client.ask("/fapi/v1/positionSide/dual").json() == {"dualSidePosition": True}  # not while one is open
    client.meets("B28")
    [config] = client.ask("/fapi/v1/symbolConfig", symbol="BTCUSDT").json()
    assert (config["leverage"], config["marginType"]) == (125, "ISOLATED")


@pytest.mark.parametrize(("by", "share", "left"), [("autoclose", 1.0, "0"), ("adl_autoclose", 0.5, "0.005")])
def test_the_exchange_can_close_a_position_by_itself(client, by, share, left):
    client.places(FUTURES_ORDER, **BUY)
    client.meets("B29", by=by, share=share)
    [position] = client.ask("/fapi/v2/positionRisk", symbol="BTCUSDT").json()
    assert position["positionAmt"] == left
    last = client.ask("/fapi/v1/allOrders", symbol="BTCUSDT").json()[-1]
    assert last["clientOrderId"].startswith(by)
    assert client.trades(FUTURES)[-1].order_id == last["orderId"]


def test_a_halted_symbol_takes_no_orders(client):
    client.meets("B34", status="CANCEL_ONLY")
    told = client.session.get(f"{client.server.url}/api/v3/exchangeInfo", timeout=5).json()
    assert {one["status"] for one in told["symbols"]} == {"CANCEL_ONLY"}
    assert client.codes(client.places(SPOT_ORDER, **BUY)) == [-1013]


def test_before_a_delisting_a_position_can_only_be_reduced(client):
    client.places(FUTURES_ORDER, **BUY)
    client.meets("B35")
    assert client.codes(client.places(FUTURES_ORDER, **BUY)) == [-4140]
    assert client.places(FUTURES_ORDER, **SELL, reduceOnly="true").status_code == 200


def test_a_key_that_is_revoked_stays_so(client):
    client.meets("B37")
    assert client.codes(client.ask("/api/v3/account"), client.ask("/fapi/v3/account")) == [-2015, -2015]
    assert client.session.get(f"{client.server.url}/api/v3/time", timeout=5).status_code == 200


def test_each_fault_touches_endpoints_that_exist(client):
    touched = {call for fault in FAULTS.values() for call in fault.calls if " /" in call}
    assert touched <= {" ".join(key) for key in client.server.routes}


def test_the_same_plan_and_calls_meet_the_same_faults(client):
    mix = dict.fromkeys(("B02", "B04", "B07", "B08", "B13"), 1.0)
    told = []
    for _ in range(2):
        switch_on(client.clock.path.parent, FaultPlan(seed=3, rate=0.5, mix=mix))
        told.append([client.places(SPOT_ORDER, **BUY).status_code for _ in range(12)])
    assert told[0] == told[1]
    assert len(set(told[0])) > 2


def test_what_waits_at_the_exchange_is_seen_by_two_lists(client):
    client.places(FUTURES_ORDER, **BUY)
    client.stop()
    client.stop("TAKE_PROFIT_MARKET", "1.5")
    assert client.ask("/fapi/v1/openOrders").json() == []
    assert len(client.world.venue.books.open_orders(ALGO)) == 2


def test_a_replacement_can_be_done_by_half(client):
    bid = client.world.bid()
    limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    low, lower = round(bid * Decimal("0.8"), 2), round(bid * Decimal("0.7"), 2)
    first = client.places(SPOT_ORDER, **limit, price=low).json()["orderId"]
    replace = limit | {"price": lower, "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": first}
    whole = client.places("/api/v3/order/cancelReplace", **replace).json()
    assert (whole["cancelResult"], whole["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    second = whole["newOrderResponse"]["orderId"]
    again = client.places("/api/v3/order/cancelReplace", **replace)
    assert (again.status_code, again.json()["code"]) == (400, -2022)
    assert again.json()["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    client.meets("B24")
    half = client.places("/api/v3/order/cancelReplace", **(replace | {"cancelOrderId": second}))
    assert (half.status_code, half.json()["code"]) == (409, -2021)
    assert client.world.venue.books.open_orders() == []


@pytest.mark.parametrize("strips", [True, False])
def test_a_countdown_takes_orders_and_with_a_fault_stops_too(client, strips):
    client.places(FUTURES_ORDER, **BUY)
    client.stop(factor="0.5")
    price = round(client.world.bid() * Decimal("0.9"), 2)
    limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    client.places(FUTURES_ORDER, **limit, price=price)
    if strips:
        client.meets("B26")
    client.places("/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime="60000")
    client.world.pass_hours(1 / 120)
    assert len(client.world.venue.books.open_orders()) == 2
    client.world.pass_hours(1 / 120)
    assert len(client.world.venue.books.open_orders()) == (0 if strips else 1)
