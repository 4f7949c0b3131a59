"""The refusals of the signed part, in Binance's own words."""

from __future__ import annotations

from simulator.exchange_errors import BinanceError

IMMEDIATELY = "would trigger immediately."
WORDS: dict[str, tuple[int, str]] = {
    "key format": (-2014, "API-key format invalid."),
    "key": (-2015, "Invalid API-key, IP, or permissions for action."),
    "signature": (-1022, "Signature for this request is not valid."),
    "late": (-1021, "Timestamp for this request is outside of the recvWindow."),
    "early": (-1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    "window": (-1131, "recvWindow must be less than 60000."),
    "filter": (-1013, "Filter failure: {name}"),
    "closed": (-1013, "Market is closed."),
    "precision": (-1111, "Parameter '{name}' has too much precision."),
    "not required": (-1106, "Parameter '{name}' sent when not required."),
    "tif": (-1115, "Invalid timeInForce."),
    "type": (-1116, "Invalid orderType."),
    "side": (-1117, "Invalid side."),
    "combination": (-1128, "Combination of optional parameters invalid."),
    "balance": (-2010, "Account has insufficient balance for requested action."),
    "duplicate": (-2010, "Duplicate order sent."),
    "would take": (-2010, "Order would immediately match and take."),
    "would trigger": (-2010, f"Stop price {IMMEDIATELY}"),
    "oco prices": (-1165, "The relationship of the prices for the orders is not correct."),
    "unknown cancel": (-2011, "Unknown order sent."),
    "unknown order": (-2013, "Order does not exist."),
    "unknown list": (-2018, "Order list does not exist."),
    "orders": (-1015, "Too many new orders; current limit is {limit} orders per {span}."),
    "margin": (-2019, "Margin is insufficient."),
    "immediately": (-2021, "Order would immediately trigger."),
    "reduce only": (-2022, "ReduceOnly Order is rejected."),
    "leverage": (-4028, "Leverage {value} is not valid"),
    "margin type same": (-4046, "No need to change margin type."),
    "margin type open": (-4048, "Margin type cannot be changed if there exists position."),
    "margin type orders": (-4047, "Margin type cannot be changed if there exists open orders."),
    "side same": (-4059, "No need to change position side."),
    "side mode": (-4061, "Order's position side does not match user's setting."),
    "side orders": (-4067, "Position side cannot be changed if there exists open orders."),
    "side open": (-4068, "Position side cannot be changed if there exists position."),
    "zero quantity": (-4003, "Quantity less than or equal to zero."),
    "max quantity": (-4005, "Quantity greater than max quantity."),
    "zero price": (-4001, "Price less than 0."),
    "tick": (-4014, "Price not increased by tick size."),
    "step": (-1111, "Precision is over the maximum defined for this asset."),
    "min quantity": (-4004, "Quantity less than min quantity."),
    "price high": (-4016, "Limit price can't be higher than {value}."),
    "price low": (-4024, "Limit price can't be lower than {value}."),
    "duplicate futures": (-4116, "ClientOrderId is duplicated."),
    "covered": (-4118, "ReduceOnly Order Failed. Please check your existing position and open orders."),
    "algo endpoint": (
        -4120,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    ),
    "close position exists": (
        -4130,
        "An open stop or take profit order with GTE and closePosition in the direction is existing.",
    ),
    "no position": (
        -4509,
        "Time in Force (TIF) GTE can only be used with open positions. Please ensure that positions are available.",
    ),
    "min notional": (-4164, "Order's notional must be no smaller than {value} (unless you choose reduce only)."),
    "post only": (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    ),
}
STATUS = {"key format": 401, "key": 401, "orders": 429}


def refusal(name: str, /, **values: object) -> BinanceError:
    """Return the refusal of a name, its message filled in."""
    code, words = WORDS[name]
    return BinanceError(code, words.format(**values), status=STATUS.get(name, 400))
