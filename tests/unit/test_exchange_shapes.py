"""Replies of the simulated exchange beside recorded ones: the same fields, of the same types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.exchange_clients import Hand, hand

OF_OTHERS = {  # what belongs to accounts, orders or times that are not simulated
    "activatePrice",
    "priceRate",
    "pair",
    "icebergQty",
    "tpTriggerPrice",
    "tpPrice",
    "slTriggerPrice",
    "slPrice",
    "tpOrderType",
    "callbackRate",
}
ONLY_AFTER = {"actualType"}


@pytest.fixture(scope="module")
def recorded(trading_data) -> dict[str, Any]:
    samples = json.loads((trading_data / "recorded" / "binance_net_endpoint_samples.json").read_text())
    return {f"{one['method']} {one['path']}": one["response"] for one in samples}


@pytest.fixture(scope="module")
def desk() -> Hand:
    """An account with something of everything."""
    desk = hand(50_000, 48_900, 48_900)
    desk.spot("MARKET", "BUY", "1")
    desk.futures("MARKET", "BUY", "1")
    desk.algo("STOP_MARKET", "SELL", 49_000, quantity="0.1", reduceOnly="true")
    desk.minutes(1)
    desk.algo("STOP_MARKET", "SELL", 48_000, closePosition="true")
    desk.spot("LIMIT", "BUY", "0.1", price="48000", timeInForce="GTC")
    desk.futures("LIMIT", "BUY", "0.1", price="48000", timeInForce="GTC")
    oco = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1", "aboveType": "LIMIT_MAKER", "abovePrice": "51000"}
    desk.ask("POST /api/v3/orderList/oco", **oco, belowType="STOP_LOSS", belowStopPrice="48000")
    return desk


def kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Return what of theirs is missing in ours, or is of another type."""
    if isinstance(theirs, list):
        return differences(ours[0], theirs[0], f"{where}[0]") if theirs and ours else []
    if not isinstance(theirs, dict):
        same = kind(ours) == kind(theirs) or None in (ours, theirs)
        return [] if same else [f"{where}: {kind(ours)}, was {kind(theirs)}"]
    missing = [f"{where}.{name} is missing" for name in theirs.keys() - ours.keys() - OF_OTHERS - ONLY_AFTER]
    shared = theirs.keys() & ours.keys()
    return missing + [
        line for name in sorted(shared) for line in differences(ours[name], theirs[name], f"{where}.{name}")
    ]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("GET /api/v3/account", {}),
        ("GET /api/v3/openOrders", {}),
        ("GET /api/v3/allOrders", {"symbol": "BTCUSDT"}),
        ("GET /api/v3/myTrades", {"symbol": "BTCUSDT"}),
        ("GET /api/v3/openOrderList", {}),
        ("GET /api/v3/orderList", {"orderListId": "1"}),
        ("GET /fapi/v1/openOrders", {}),
        ("GET /fapi/v1/allOrders", {"symbol": "BTCUSDT"}),
        ("GET /fapi/v1/userTrades", {"symbol": "BTCUSDT"}),
        ("GET /fapi/v1/openAlgoOrders", {}),
        ("GET /fapi/v1/symbolConfig", {}),
        ("GET /fapi/v1/leverageBracket", {}),
        ("GET /fapi/v1/commissionRate", {"symbol": "BTCUSDT"}),
        ("GET /fapi/v2/account", {}),
        ("GET /fapi/v3/account", {}),
        ("GET /fapi/v3/balance", {}),
        ("GET /fapi/v2/positionRisk", {}),
    ],
)
def test_a_reply_has_the_fields_that_were_recorded(desk, recorded, name, given):
    ignored = {"symbolConfig": ["[0].isAutoAddMargin: bool, was str"]}
    found = differences(desk.ask(name, **given), recorded[name])
    assert found == ignored.get(name.rpartition("/")[2], [])


def test_new_orders_and_cancellations_have_the_fields_that_were_recorded(recorded):
    desk = hand()
    market = desk.spot("MARKET", "BUY", "1")
    limit = desk.spot("LIMIT", "SELL", "0.1", price="60000", timeInForce="GTC")
    stop = desk.algo("STOP_MARKET", "SELL", 49_000, closePosition="true")
    order = desk.futures("LIMIT", "BUY", "1", price="49000", timeInForce="GTC")
    oco = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1", "aboveType": "LIMIT_MAKER", "abovePrice": "51000"}
    pair = desk.ask("POST /api/v3/orderList/oco", **oco, belowType="STOP_LOSS", belowStopPrice="48000")
    ended = desk.ask("DELETE /api/v3/order", symbol="BTCUSDT", orderId=limit["orderId"])
    undone = desk.ask("DELETE /api/v3/orderList", symbol="BTCUSDT", orderListId=pair["orderListId"])

    pairs = {
        "POST /api/v3/order": market,
        "DELETE /api/v3/order": ended,
        "DELETE /api/v3/orderList": undone,
        "POST /fapi/v1/algoOrder": stop,
        "POST /fapi/v1/order": order,
    }
    assert {name: differences(ours, recorded[name]) for name, ours in pairs.items()} == {name: [] for name in pairs}
