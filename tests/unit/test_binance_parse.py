"""Binance's recorded replies, parsed: every one that concerns orders, accounts and positions."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.brokers import binance_parse as parse
from execution.brokers import binance_parse_futures as futures
from execution.brokers import binance_parse_spot as spot
from execution.brokers.binance_fields import as_object, from_json
from execution.planning.orders import CashKind, Side, TradeMode

D = Decimal
Parser = Callable[[Any], Any]


def at_ms(value: Any) -> Any:
    return parse.parse_quote(value, at_ms=1_700_000_000_000)


def one_order(value: Any) -> Any:
    return parse.parse_order(as_object(value, "order"))


SAMPLES: dict[tuple[str, str], Parser] = {
    ("GET", "/api/v3/account"): spot.parse_account,
    ("GET", "/api/v3/allOrders"): parse.parse_orders,
    ("GET", "/api/v3/exchangeInfo"): parse.parse_rules,
    ("GET", "/api/v3/myTrades"): spot.parse_trades,
    ("GET", "/api/v3/openOrders"): parse.parse_orders,
    ("GET", "/api/v3/order"): one_order,
    ("GET", "/api/v3/orderList"): spot.parse_order_list,
    ("GET", "/api/v3/ticker/bookTicker"): at_ms,
    ("GET", "/api/v3/time"): parse.parse_time,
    ("POST", "/api/v3/order"): parse.parse_report,
    ("POST", "/api/v3/orderList/oco"): spot.parse_order_list,
    ("DELETE", "/api/v3/order"): parse.parse_report,
    ("DELETE", "/api/v3/orderList"): spot.parse_order_list,
    ("GET", "/sapi/v1/account/apiRestrictions"): spot.parse_key_rights,
    ("GET", "/sapi/v1/capital/deposit/hisrec"): partial(spot.parse_deposits, assets={"BNB", "IOTA"}),
    ("GET", "/sapi/v1/capital/withdraw/history"): partial(spot.parse_withdrawals, assets={"USDT", "BTC"}),
    ("GET", "/fapi/v1/accountConfig"): futures.parse_can_trade,
    ("GET", "/fapi/v1/algoOrder"): futures.parse_algo_order,
    ("GET", "/fapi/v1/allAlgoOrders"): futures.parse_algo_reports,
    ("GET", "/fapi/v1/allOrders"): parse.parse_orders,
    ("GET", "/fapi/v1/exchangeInfo"): parse.parse_rules,
    ("GET", "/fapi/v1/income"): partial(futures.parse_income, asset="USDT"),
    ("GET", "/fapi/v1/openAlgoOrders"): futures.parse_algo_orders,
    ("GET", "/fapi/v1/openOrder"): one_order,
    ("GET", "/fapi/v1/openOrders"): parse.parse_orders,
    ("GET", "/fapi/v1/order"): one_order,
    ("GET", "/fapi/v1/symbolConfig"): futures.parse_symbol_configs,
    ("GET", "/fapi/v1/ticker/bookTicker"): at_ms,
    ("GET", "/fapi/v1/time"): parse.parse_time,
    ("GET", "/fapi/v1/userTrades"): futures.parse_trades,
    ("GET", "/fapi/v2/account"): partial(futures.parse_wallet, asset="USDT"),
    ("GET", "/fapi/v2/positionRisk"): futures.parse_risks,
    ("GET", "/fapi/v3/account"): partial(futures.parse_wallet, asset="USDT"),
    ("GET", "/fapi/v3/balance"): futures.parse_alias,
    ("GET", "/fapi/v3/positionRisk"): futures.parse_risks,
    ("POST", "/fapi/v1/algoOrder"): futures.parse_algo_order,
    ("POST", "/fapi/v1/order"): parse.parse_report,
    ("DELETE", "/fapi/v1/algoOrder"): futures.parse_algo_order,
    ("DELETE", "/fapi/v1/order"): parse.parse_report,
}
FILES: dict[str, Parser] = {
    "nautilus/spot/http_json/account_response.json": spot.parse_account,
    "nautilus/spot/http_json/account_trades_response.json": spot.parse_trades,
    "nautilus/spot/http_json/book_ticker_response.json": at_ms,
    "nautilus/spot/http_json/cancel_order_response.json": parse.parse_report,
    "nautilus/spot/http_json/exchange_info_response.json": parse.parse_rules,
    "nautilus/spot/http_json/new_order_full_response.json": parse.parse_report,
    "nautilus/spot/http_json/open_orders_response.json": parse.parse_orders,
    "nautilus/spot/http_json/order_response.json": one_order,
    "nautilus/spot/http_json/server_time_response.json": parse.parse_time,
    "nautilus/futures/http_json/balance.json": futures.parse_alias,
    "nautilus/futures/http_json/account_info_v2.json": partial(futures.parse_wallet, asset="USDT"),
    "nautilus/futures/http_json/open_algo_orders.json": futures.parse_algo_orders,
    "nautilus/futures/http_json/order_response.json": parse.parse_report,
    "nautilus/futures/http_json/position_risk.json": futures.parse_risks,
    "nautilus/http_responses/http_futures_account_orders.json": parse.parse_orders,
    "nautilus/http_responses/http_futures_account_position_side_dual.json": futures.parse_is_hedge,
    "nautilus/http_responses/http_futures_account_positions_hedge.json": futures.parse_risks,
    "nautilus/http_responses/http_futures_account_positions_one_way.json": futures.parse_risks,
    "nautilus/http_responses/http_futures_account_symbol_config.json": futures.parse_symbol_configs,
    "nautilus/http_responses/http_futures_account_trades.json": futures.parse_trades,
    "nautilus/http_responses/http_futures_market_book_ticker.json": at_ms,
    "nautilus/http_responses/http_futures_market_exchange_info.json": parse.parse_rules,
    "nautilus/http_responses/http_spot_market_book_ticker.json": at_ms,
    "nautilus/http_responses/http_spot_market_exchange_info.json": parse.parse_rules,
    "nautilus/http_responses/http_spot_market_time.json": parse.parse_time,
    "nautilus/http_responses/http_spot_wallet_account.json": spot.parse_account,
    "xchange/filled-market-order.json": parse.parse_report,
    "xchange/open-orders.json": parse.parse_orders,
}


@pytest.fixture
def recorded(trading_data):
    return trading_data / "recorded"


def samples(folder) -> Iterator[tuple[str, Parser, Any]]:
    for sample in from_json((folder / "binance_net_endpoint_samples.json").read_text()):
        parser = SAMPLES.get((sample["method"], sample["path"]))
        if parser is not None:
            yield sample["name"], parser, sample["response"]


def test_every_recorded_sample_that_concerns_us_is_understood(recorded):
    seen = {name: parser(response) for name, parser, response in samples(recorded)}
    assert len(seen) >= len(SAMPLES)
    assert all(found is not None for found in seen.values())


@pytest.mark.parametrize("path", FILES)
def test_a_recorded_reply_is_understood(recorded, path):
    assert FILES[path](from_json((recorded / path).read_text())) is not None


def test_a_whole_live_exchange_info_gives_every_symbol_a_grid(recorded):
    whole = from_json(gzip.decompress((recorded / "fapi_v1_exchangeInfo_2022-05-04.json.gz").read_bytes()).decode())
    rules = parse.parse_rules(whole)
    assert len(rules) == len(whole["symbols"]) == 155
    bitcoin = rules["BTCUSDT"].spec(D("76347"), can_short=True)
    assert (bitcoin.volume_step, bitcoin.point, bitcoin.trade_mode) == (D("0.001"), D("0.1"), TradeMode.FULL)
    assert (bitcoin.currency_base, bitcoin.currency_profit) == ("BTC", "USDT")
    assert bitcoin.volume_min * 70000 >= rules["BTCUSDT"].notional_min == 5


def test_the_two_order_replies_that_were_live_are_understood(recorded):
    replies = from_json((recorded / "ccxt_binance_two_order_responses.json").read_text())
    one = parse.parse_report(replies["spot_createOrder_limit_iceberg"])
    (other,) = map(parse.parse_report, replies["usdm_batchOrders_limit"])
    assert (one.order_id, one.status, one.executed) == (9780331417, "NEW", 0)  # numbers came as texts
    assert (other.order_id, other.status, other.price) == (4087922044, "NEW", None)


# --- what they say, read by hand ---------------------------------------------------------------------------------


def test_a_filled_order_tells_its_average_and_what_the_fee_took(recorded):
    body = from_json((recorded / "nautilus/spot/http_json/new_order_full_response.json").read_text())
    report = parse.parse_report(body)
    assert (report.order_id, report.status, report.executed) == (28, "FILLED", 10)
    assert report.trade_ids == (56, 57, 58, 59, 60)
    bought = body | {"side": "BUY", "fills": [{**fill, "commissionAsset": "BTC"} for fill in body["fills"]]}
    fees = D("4") + D("19.995") + D("7.996") + D("3.997") + D("3.995")  # as the file lists them
    assert parse.parse_report(bought, base="BTC").base_commission == fees
    assert parse.parse_report(bought, base="ETH").base_commission == 0


def test_hedge_positions_are_read_with_their_sides(recorded):
    path = "nautilus/http_responses/http_futures_account_positions_hedge.json"
    long, short = futures.parse_risks(from_json((recorded / path).read_text()))
    assert (long.position_side, long.amount, long.side) == ("LONG", D("20"), Side.BUY)
    assert (short.position_side, short.amount, short.side) == ("SHORT", D("-10"), Side.SELL)


def test_a_conditional_order_that_finished_says_what_it_executed(recorded):
    found = {name: response for name, _, response in samples(recorded) if name.endswith("GetConditionalOrders")}
    (report,) = futures.parse_algo_reports(next(iter(found.values())))
    assert (report.status, report.order_id, report.executed) == ("FINISHED", 974828356187, D("0.002"))


def test_transfers_are_cash_funding_is_a_charge_and_what_trades_told_is_left_out():
    def row(kind: str, income: str) -> dict[str, Any]:
        return {
            "symbol": "BTCUSDT",
            "incomeType": kind,
            "income": income,
            "asset": "USDT",
            "time": 1570608000000,
            "tranId": 7,
        }

    rows = [row("TRANSFER", "100"), row("FUNDING_FEE", "-0.37"), row("COMMISSION", "-1"), row("REALIZED_PNL", "5")]
    moved = futures.parse_income(rows, "USDT")
    assert [(one.kind, one.amount) for one in moved] == [(CashKind.CASH, 100), (CashKind.CHARGE, D("-0.37"))]
    assert len({one.deal_id for one in moved}) == 2


@pytest.mark.parametrize("status", ["HALT", "BREAK", "CANCEL_ONLY", "SETTLING", "SOMETHING_NEW"])
def test_a_symbol_in_any_status_but_trading_is_not_traded(recorded, status):
    body = from_json((recorded / "nautilus/http_responses/http_spot_market_exchange_info.json").read_text())
    symbol = body["symbols"][0] | {"status": status}
    (rules,) = parse.parse_rules({"symbols": [symbol]}).values()
    assert rules.spec(D("1"), can_short=True).trade_mode is TradeMode.DISABLED


def test_a_filter_of_zero_is_no_bound(recorded):
    body = from_json((recorded / "nautilus/http_responses/http_spot_market_exchange_info.json").read_text())
    symbol = body["symbols"][0]
    filters = [one for one in symbol["filters"] if one["filterType"] not in ("MARKET_LOT_SIZE", "MIN_NOTIONAL")]
    lot = {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "0", "stepSize": "0"}
    least = {"filterType": "NOTIONAL", "minNotional": "0"}
    (rules,) = parse.parse_rules({"symbols": [symbol | {"filters": [*filters, lot, least]}]}).values()
    size = next(one for one in filters if one["filterType"] == "LOT_SIZE")
    assert (rules.step, rules.quantity_max) == (D(size["stepSize"]), D(size["maxQty"]))
    assert rules.spec(D("1"), can_short=True).volume_min == D(size["minQty"])


# --- what they cannot say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"executedQty": "NaN"}, "executedQty of order must be a finite number, was 'NaN'"),
        ({"executedQty": True}, "executedQty of order must be a finite number, was True"),
        ({"executedQty": None}, "executedQty of order must be there, was None"),
        ({"orderId": "1.5"}, "orderId of order must be a whole number, was '1.5'"),
        ({"orderId": [1]}, "orderId of order must be a finite number, was"),
        ({"status": 3}, "status of order must be a text, was 3"),
        ({"fills": {}}, "fills of order must be a list, was {}"),
        ({"fills": [4]}, "fills of order.0. must be an object, was 4"),
    ],
)
def test_a_wrong_type_is_an_error_that_names_the_field(recorded, change, words):
    body = from_json((recorded / "nautilus/spot/http_json/new_order_full_response.json").read_text())
    with pytest.raises(ValueError, match=words):
        parse.parse_report(body | change)


def test_fields_that_nobody_knows_yet_and_texts_for_numbers_change_nothing(recorded):
    body = from_json((recorded / "nautilus/spot/http_json/account_trades_response.json").read_text())
    textual = [{key: value if isinstance(value, bool) else str(value) for key, value in row.items()} for row in body]
    novel = [row | {"somethingNew": {"deep": [1]}} for row in textual]
    assert spot.parse_trades(novel) == spot.parse_trades(body) != ()


def test_a_reply_that_was_cut_short_is_no_reply(recorded):
    body = (recorded / "nautilus/spot/http_json/new_order_full_response.json").read_text()
    for length in range(0, len(body.rstrip()) - 1, 7):
        with pytest.raises(ValueError, match=r".+"):
            from_json(body[:length])


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 2**70), st.text(max_size=5), st.just([]), st.just({}), st.just("NaN")
)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_field_may_turn_into_anything_and_only_a_value_error_comes_of_it(trading_data, data):
    cases = list(samples(trading_data / "recorded"))
    _, parser, response = cases[data.draw(st.integers(0, len(cases) - 1))]
    copy = json.loads(json.dumps(response, default=str))
    row = copy[0] if isinstance(copy, list) and copy else copy
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(ODD)
    with contextlib.suppress(ValueError):
        parser(copy)
