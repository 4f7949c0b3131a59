"""What Binance's answers mean, spot and USD-M futures apart; pure, total, and whatever is unlisted is AMBIGUOUS.

An HTTP status of 500 or more leaves the outcome open on spot, whatever the body says. On futures the documentation
names the bodies of a 503 after which nothing was executed; every other one leaves it open there, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from execution.safety.outcomes import Classified, Meaning, Outcome, RequestAction


class Venue(StrEnum):
    """Which Binance: the same code can mean different things."""

    SPOT = "spot"
    FUTURES = "futures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is no success."""

    status: int | None  # HTTP; None where a record does not show it
    code: int | None  # None: the body was no JSON object with a whole code
    message: str = ""


def _all(outcome: Outcome, text: str, *codes: tuple[int, str]) -> dict[int, Meaning]:
    return {code: Meaning(name, outcome, text) for code, name in codes}


# Codes that both venues share. Those of FIX and WebSocket sessions are left out: no order sent over HTTP gets one.
COMMON: dict[int, Meaning] = {
    **_all(
        Outcome.AMBIGUOUS,
        "the venue does not know what became of it",
        (-1000, "UNKNOWN"),
        (-1001, "DISCONNECTED"),
        (-1006, "UNEXPECTED_RESP"),
        (-1007, "TIMEOUT"),
    ),
    **_all(
        Outcome.LATER,
        "too many requests: back off",
        (-1003, "TOO_MANY_REQUESTS"),
        (-1015, "TOO_MANY_ORDERS"),
    ),
    -1021: Meaning("INVALID_TIMESTAMP", Outcome.LATER, "outside the receive window: read the venue's clock again"),
    **_all(
        Outcome.HALT,
        "the key, its permissions or its address are refused",
        (-1002, "UNAUTHORIZED"),
        (-1022, "INVALID_SIGNATURE"),
        (-2014, "BAD_API_KEY_FMT"),
        (-2015, "REJECTED_MBX_KEY"),
    ),
    **_all(
        Outcome.REJECT,
        "a filter or the precision forbids it: read the rules again",
        (-1013, "INVALID_MESSAGE"),
        (-1111, "BAD_PRECISION"),
    ),
    **_all(
        Outcome.REJECT,
        "the request is not in order",
        (-1014, "UNKNOWN_ORDER_COMPOSITION"),
        (-1020, "UNSUPPORTED_OPERATION"),
        (-1100, "ILLEGAL_CHARS"),
        (-1101, "TOO_MANY_PARAMETERS"),
        (-1102, "MANDATORY_PARAM_EMPTY_OR_MALFORMED"),
        (-1103, "UNKNOWN_PARAM"),
        (-1104, "UNREAD_PARAMETERS"),
        (-1105, "PARAM_EMPTY"),
        (-1106, "PARAM_NOT_REQUIRED"),
        (-1108, "PARAM_OVERFLOW"),
        (-1112, "NO_DEPTH"),
        (-1114, "TIF_NOT_REQUIRED"),
        (-1115, "INVALID_TIF"),
        (-1116, "INVALID_ORDER_TYPE"),
        (-1117, "INVALID_SIDE"),
        (-1118, "EMPTY_NEW_CL_ORD_ID"),
        (-1119, "EMPTY_ORG_CL_ORD_ID"),
        (-1121, "BAD_SYMBOL"),
        (-1128, "OPTIONAL_PARAMS_BAD_COMBO"),
        (-1130, "INVALID_PARAMETER"),
    ),
}

SPOT: dict[int, Meaning] = COMMON | {
    **_all(
        Outcome.REJECT,
        "the request is not in order",
        (-1122, "INVALID_SYMBOLSTATUS"),
        (-1134, "BAD_STRATEGY_TYPE"),
        (-1135, "INVALID_JSON"),
        (-1145, "INVALID_CANCEL_RESTRICTIONS"),
        (-1158, "OCO_ORDER_TYPE_REJECTED"),
        (-1160, "OCO_ICEBERGQTY_TIMEINFORCE"),
        (-1165, "BUY_OCO_LIMIT_MUST_BE_BELOW"),
        (-1166, "SELL_OCO_LIMIT_MUST_BE_ABOVE"),
        (-1168, "BOTH_OCO_ORDERS_CANNOT_BE_LIMIT"),
        (-1196, "BUY_OCO_STOP_LOSS_MUST_BE_ABOVE"),
        (-1197, "SELL_OCO_STOP_LOSS_MUST_BE_BELOW"),
        (-1198, "BUY_OCO_TAKE_PROFIT_MUST_BE_BELOW"),
        (-1199, "SELL_OCO_TAKE_PROFIT_MUST_BE_ABOVE"),
        (-1210, "INVALID_PEG_PRICE_TYPE"),
        (-1211, "INVALID_PEG_OFFSET_TYPE"),
        (-1220, "SYMBOL_DOES_NOT_MATCH_STATUS"),
        (-1222, "OPO_WORKING_MUST_BE_BUY"),
        (-1223, "OPO_PENDING_MUST_BE_SELL"),
        (-1224, "WORKING_PARAM_REQUIRED"),
        (-1225, "PENDING_PARAM_NOT_REQUIRED"),
    ),
    -2016: Meaning("NO_TRADING_WINDOW", Outcome.LATER, "no trading window for the symbol"),
    -2021: Meaning("CANCEL_REPLACE_PARTLY", Outcome.AMBIGUOUS, "one leg of a cancel-replace is done"),
}

FUTURES: dict[int, Meaning] = COMMON | {
    **_all(
        Outcome.LATER,
        "refused for now: back off",
        (-1008, "SERVER_BUSY"),
        (-4140, "INVALID_OPENING_POSITION_STATUS"),
        (-4141, "SYMBOL_ALREADY_CLOSED"),
        (-5028, "ME_RECVWINDOW_REJECT"),
    ),
    **_all(
        Outcome.HALT,
        "the account may not do this: a person must look",
        (-2023, "USER_IN_LIQUIDATION"),
        (-4061, "POSITION_SIDE_NOT_MATCH"),
        (-4087, "REDUCE_ONLY_ORDER_PERMISSION"),
        (-4088, "NO_PLACE_ORDER_PERMISSION"),
        (-4109, "INACTIVE_ACCOUNT"),
        (-4192, "COOLING_OFF_PERIOD"),
    ),
    **_all(
        Outcome.NOOP,
        "it already is so",
        (-4046, "NO_NEED_TO_CHANGE_MARGIN_TYPE"),
        (-4059, "NO_NEED_TO_CHANGE_POSITION_SIDE"),
    ),
    -4116: Meaning("DUPLICATED_CLIENT_ORDER_ID", Outcome.AMBIGUOUS, "the id is in use: an earlier attempt has landed"),
    **_all(
        Outcome.REJECT,
        "reduce-only refused: there is no position, or resting orders already cover it",
        (-2022, "REDUCE_ONLY_REJECT"),
        (-4118, "REDUCE_ONLY_MARGIN_CHECK_FAILED"),
    ),
    **_all(
        Outcome.REJECT,
        "not enough margin",
        (-2018, "BALANCE_NOT_SUFFICIENT"),
        (-2019, "MARGIN_NOT_SUFFICIENT"),
        (-2027, "MAX_LEVERAGE_RATIO"),
        (-2028, "MIN_LEVERAGE_RATIO"),
    ),
    **_all(
        Outcome.REJECT,
        "a rule of the symbol or of the order type forbids it",
        (-1136, "INVALID_NEW_ORDER_RESP_TYPE"),
        (-2020, "UNABLE_TO_FILL"),
        (-2021, "ORDER_WOULD_IMMEDIATELY_TRIGGER"),
        (-2024, "POSITION_NOT_SUFFICIENT"),
        (-2025, "MAX_OPEN_ORDER_EXCEEDED"),
        (-2026, "REDUCE_ONLY_ORDER_TYPE_NOT_SUPPORTED"),
        (-4001, "PRICE_LESS_THAN_ZERO"),
        (-4002, "PRICE_GREATER_THAN_MAX_PRICE"),
        (-4003, "QTY_LESS_THAN_ZERO"),
        (-4004, "QTY_LESS_THAN_MIN_QTY"),
        (-4005, "QTY_GREATER_THAN_MAX_QTY"),
        (-4006, "STOP_PRICE_LESS_THAN_ZERO"),
        (-4007, "STOP_PRICE_GREATER_THAN_MAX_PRICE"),
        (-4013, "PRICE_LESS_THAN_MIN_PRICE"),
        (-4014, "PRICE_NOT_INCREASED_BY_TICK_SIZE"),
        (-4015, "INVALID_CL_ORD_ID_LEN"),
        (-4016, "PRICE_HIGHER_THAN_MULTIPLIER_UP"),
        (-4023, "QTY_NOT_INCREASED_BY_STEP_SIZE"),
        (-4024, "PRICE_LOWER_THAN_MULTIPLIER_DOWN"),
        (-4045, "MAX_STOP_ORDER_EXCEEDED"),
        (-4120, "STOP_ORDER_SWITCH_ALGO"),
        (-4130, "CLOSE_POSITION_ORDER_EXISTS"),
        (-4131, "MARKET_ORDER_REJECT"),
        (-4164, "MIN_NOTIONAL"),
    ),
}
TABLES: Mapping[Venue, Mapping[int, Meaning]] = {Venue.SPOT: SPOT, Venue.FUTURES: FUTURES}

NEW_ORDER_REJECTED = -2010
# What the matching engine writes beside -2010. Of a duplicate the first attempt has landed.
ENGINE_WORDS: tuple[tuple[str, Outcome], ...] = (
    ("duplicate order sent", Outcome.AMBIGUOUS),
    ("insufficient balance", Outcome.REJECT),
    ("market is closed", Outcome.LATER),
    ("would trigger immediately", Outcome.REJECT),
    ("would immediately trigger", Outcome.REJECT),
    ("would immediately match and take", Outcome.REJECT),
    ("price * qty is zero or less", Outcome.REJECT),
    ("relationship of the prices", Outcome.REJECT),
    ("not supported for this symbol", Outcome.REJECT),
    ("filter failure", Outcome.REJECT),
    ("action is disabled on this account", Outcome.HALT),
    ("account may not place or cancel orders", Outcome.HALT),
    ("symbol is not permitted for this account", Outcome.HALT),
)
# The order that was asked about is not known. Of a cancel that is an answer; of anything else it proves nothing.
UNKNOWN_ORDER = {-2011: "CANCEL_REJECTED", -2013: "NO_SUCH_ORDER"}

# Statuses that say all, whatever is in the body.
STATUSES: dict[int, Meaning] = {
    403: Meaning("HTTP_403", Outcome.HALT, "the venue's firewall refused it"),
    408: Meaning("HTTP_408", Outcome.AMBIGUOUS, "the venue's own backend did not answer in time"),
    409: Meaning("HTTP_409", Outcome.AMBIGUOUS, "a cancel-replace is half done"),
    418: Meaning("HTTP_418", Outcome.HALT, "this address is banned"),
    429: Meaning("HTTP_429", Outcome.LATER, "too many requests: back off"),
    451: Meaning("HTTP_451", Outcome.HALT, "the venue does not serve this location"),
}
# Futures only: nothing was executed after a 503 with one of these.
FAILED_503 = ("service unavailable.", "internal error; unable to process your request. please try again.")
SERVER_BUSY = -1008


def classify_refusal(refusal: Refusal, *, venue: Venue, action: RequestAction) -> Classified:
    """Return what an answer that is no success means."""
    meaning = _by_status(refusal, venue) or _by_code(refusal, venue, action)
    words = f"{meaning.text}: {refusal.message[:200]}" if refusal.message else meaning.text
    return Classified(outcome=meaning.outcome, name=meaning.name, message=words)


def _by_status(refusal: Refusal, venue: Venue) -> Meaning | None:
    """Return what the HTTP status decides alone, None when the code decides."""
    status = refusal.status
    if status in STATUSES:
        return STATUSES[status]
    if status is None or 400 <= status < 500:
        return None
    if venue is Venue.FUTURES and status == 503 and _says_failed(refusal):
        return Meaning("HTTP_503_FAILED", Outcome.LATER, "the venue says that it failed before anything was done")
    return Meaning(f"HTTP_{status}", Outcome.AMBIGUOUS, "a status after which the outcome is not known")


def _says_failed(refusal: Refusal) -> bool:
    """Tell whether a body, that of a proxy excepted, says that nothing was executed."""
    said = refusal.code == SERVER_BUSY or refusal.message.strip().lower() in FAILED_503
    return refusal.code is not None and said


def _by_code(refusal: Refusal, venue: Venue, action: RequestAction) -> Meaning:
    code, words = refusal.code, refusal.message.lower()
    if code is None:
        return Meaning("NO_CODE", Outcome.AMBIGUOUS, "an answer without a code")
    if code == NEW_ORDER_REJECTED:
        outcome = next((outcome for text, outcome in ENGINE_WORDS if text in words), Outcome.AMBIGUOUS)
        return Meaning("NEW_ORDER_REJECTED", outcome, "the matching engine refused it")
    if code in UNKNOWN_ORDER:
        outcome = Outcome.REJECT if action is RequestAction.CANCEL else Outcome.AMBIGUOUS
        return Meaning(UNKNOWN_ORDER[code], outcome, "no such order rests, as far as the venue says")
    if code == -1003 and "banned" in words:
        return Meaning("IP_BANNED", Outcome.HALT, "this address is banned")
    return TABLES[venue].get(code) or Meaning(f"CODE_{code}", Outcome.AMBIGUOUS, "a code that is in no table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What a venue says of a market order that it took."""

    status: str  # FILLED, EXPIRED …
    executed: Decimal  # base units


ENDED = frozenset({"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"})  # nothing more will be executed


def classify_execution(execution: Execution, *, requested: Decimal) -> Classified:
    """Return what the answer to a market order means: only an order at its end proves what was executed."""
    status, executed = execution.status, execution.executed
    if not executed.is_finite() or not 0 <= executed <= requested or status not in ENDED:
        outcome, words = Outcome.AMBIGUOUS, "which proves nothing"
    elif executed == 0:
        # A filled order of nothing is nonsense; the others have ended without a fill.
        outcome = Outcome.AMBIGUOUS if status == "FILLED" else Outcome.REJECT
        words = "nothing was executed"
    elif executed < requested:
        outcome, words = Outcome.PARTIAL, "only a part was executed"
    else:
        outcome, words = Outcome.OK, "executed"
    return Classified(outcome=outcome, name=status or "NO_STATUS", message=f"{executed} of {requested}: {words}")
