"""What every answer of a venue means for the one who sent: one table per venue, anything unlisted is AMBIGUOUS."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Outcome(StrEnum):
    """What the sender must do next."""

    OK = "ok"  # executed as asked
    PARTIAL = "partial"  # executed in part: plan again from what is held
    NOOP = "noop"  # it already was so
    REPRICE = "reprice"  # not executed: at most twice again, each time on a newer tick
    LATER = "later"  # not executed: wait
    REJECT = "reject"  # not executed: the same request will never be
    HALT = "halt"  # not executed: stop new risk, a person must act
    AMBIGUOUS = "ambiguous"  # perhaps executed: reconcile before anything else

    @property
    def may_have_executed(self) -> bool:
        """Whether the request has, or may have, changed something."""
        return self in (Outcome.OK, Outcome.PARTIAL, Outcome.AMBIGUOUS)


class RequestAction(StrEnum):
    """What a request asked for; the same answer can mean different things."""

    OPEN = "open"  # a market order that adds
    CLOSE = "close"  # a market order that reduces
    PENDING = "pending"  # an order that will rest
    PROTECT = "protect"  # stop and target of a position
    CANCEL = "cancel"

    @property
    def is_market(self) -> bool:
        """Whether only a deal proves it done."""
        return self in (RequestAction.OPEN, RequestAction.CLOSE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """A code's name and what it usually means."""

    name: str
    outcome: Outcome
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The facts of an answer that its meaning depends on, in no vendor's types."""

    retcode: int | None  # None: there was no result at all
    last_error: tuple[int, str] | None = None  # bound to this very call
    volume: Decimal | None = None  # executed, as the venue says
    deal_id: int = 0  # 0: no deal


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """What an answer means."""

    outcome: Outcome
    name: str
    message: str


RETCODES: dict[int, Meaning] = {
    10004: Meaning("REQUOTE", Outcome.REPRICE, "requote"),
    10006: Meaning("REJECT", Outcome.REJECT, "request rejected"),
    10007: Meaning("CANCEL", Outcome.REJECT, "request cancelled by the trader"),
    10008: Meaning("PLACED", Outcome.OK, "order placed"),
    10009: Meaning("DONE", Outcome.OK, "request completed"),
    10010: Meaning("DONE_PARTIAL", Outcome.PARTIAL, "only part of the request completed"),
    10011: Meaning("ERROR", Outcome.AMBIGUOUS, "request processing error"),
    10012: Meaning("TIMEOUT", Outcome.AMBIGUOUS, "request cancelled by timeout"),
    10013: Meaning("INVALID", Outcome.REJECT, "invalid request"),
    10014: Meaning("INVALID_VOLUME", Outcome.REJECT, "invalid volume: read the specification again"),
    10015: Meaning("INVALID_PRICE", Outcome.REPRICE, "invalid price"),
    10016: Meaning("INVALID_STOPS", Outcome.REJECT, "invalid stops: never drop the stop to get the fill"),
    10017: Meaning("TRADE_DISABLED", Outcome.HALT, "trading is disabled"),
    10018: Meaning("MARKET_CLOSED", Outcome.LATER, "market closed"),
    10019: Meaning("NO_MONEY", Outcome.REJECT, "not enough money"),
    10020: Meaning("PRICE_CHANGED", Outcome.REPRICE, "prices changed"),
    10021: Meaning("PRICE_OFF", Outcome.REPRICE, "no quotes to process the request"),
    10022: Meaning("INVALID_EXPIRATION", Outcome.REJECT, "invalid expiration"),
    10023: Meaning("ORDER_CHANGED", Outcome.AMBIGUOUS, "order state changed"),
    10024: Meaning("TOO_MANY_REQUESTS", Outcome.LATER, "too many requests: back off"),
    10025: Meaning("NO_CHANGES", Outcome.NOOP, "no changes"),
    10026: Meaning("SERVER_DISABLES_AT", Outcome.HALT, "the server has disabled automated trading"),
    10027: Meaning("CLIENT_DISABLES_AT", Outcome.HALT, "the terminal's Algo Trading button is off"),
    10028: Meaning("LOCKED", Outcome.AMBIGUOUS, "something is in flight"),
    10029: Meaning("FROZEN", Outcome.LATER, "inside the freeze distance: it may be executing"),
    10030: Meaning("INVALID_FILL", Outcome.REJECT, "filling type not supported"),
    10031: Meaning("CONNECTION", Outcome.AMBIGUOUS, "no connection to the trade server, before or after"),
    10032: Meaning("ONLY_REAL", Outcome.HALT, "allowed on live accounts only"),
    10033: Meaning("LIMIT_ORDERS", Outcome.REJECT, "the limit of pending orders is reached"),
    10034: Meaning("LIMIT_VOLUME", Outcome.REJECT, "the symbol's volume limit is reached"),
    10035: Meaning("INVALID_ORDER", Outcome.REJECT, "incorrect or prohibited order type"),
    10036: Meaning("POSITION_CLOSED", Outcome.NOOP, "the position is already closed"),
    10038: Meaning("INVALID_CLOSE_VOLUME", Outcome.REJECT, "the volume exceeds the position: read it again"),
    10039: Meaning("CLOSE_ORDER_EXIST", Outcome.AMBIGUOUS, "a close of this position is in flight"),
    10040: Meaning("LIMIT_POSITIONS", Outcome.REJECT, "the limit of open positions is reached"),
    10041: Meaning("REJECT_CANCEL", Outcome.REJECT, "activation rejected, the order is cancelled"),
    10042: Meaning("LONG_ONLY", Outcome.REJECT, "only long positions are allowed"),
    10043: Meaning("SHORT_ONLY", Outcome.REJECT, "only short positions are allowed"),
    10044: Meaning("CLOSE_ONLY", Outcome.HALT, "only closing is allowed"),
    10045: Meaning("FIFO_CLOSE", Outcome.REJECT, "the oldest position must be closed first"),
    10046: Meaning("HEDGE_PROHIBITED", Outcome.REJECT, "opposite positions are not allowed: close first"),
}

# What it means that a request returned nothing, by the module's last error of that call.
LAST_ERRORS: dict[int, Meaning] = {
    1: Meaning("RES_S_OK", Outcome.AMBIGUOUS, "no result and no error"),
    -1: Meaning("RES_E_FAIL", Outcome.AMBIGUOUS, "call failed"),
    -2: Meaning("RES_E_INVALID_PARAMS", Outcome.REJECT, "not sent: invalid arguments"),
    -3: Meaning("RES_E_NO_MEMORY", Outcome.AMBIGUOUS, "out of memory"),
    -4: Meaning("RES_E_NOT_FOUND", Outcome.AMBIGUOUS, "not found"),
    -5: Meaning("RES_E_INVALID_VERSION", Outcome.HALT, "incompatible versions"),
    -6: Meaning("RES_E_AUTH_FAILED", Outcome.HALT, "authorization failed"),
    -7: Meaning("RES_E_UNSUPPORTED", Outcome.REJECT, "not sent: unsupported function"),
    -8: Meaning("RES_E_AUTO_TRADING_DISABLED", Outcome.HALT, "automated trading is disabled in the terminal"),
    -10000: Meaning("RES_E_INTERNAL_FAIL", Outcome.AMBIGUOUS, "the call to the terminal failed"),
    -10001: Meaning("RES_E_INTERNAL_FAIL_SEND", Outcome.AMBIGUOUS, "sending failed, perhaps after writing"),
    -10002: Meaning("RES_E_INTERNAL_FAIL_RECEIVE", Outcome.AMBIGUOUS, "written, and the answer was lost"),
    -10003: Meaning("RES_E_INTERNAL_FAIL_INIT", Outcome.AMBIGUOUS, "the connection could not be made"),
    -10004: Meaning("RES_E_INTERNAL_FAIL_CONNECT", Outcome.AMBIGUOUS, "no connection to the terminal"),
    -10005: Meaning("RES_E_INTERNAL_FAIL_TIMEOUT", Outcome.AMBIGUOUS, "the terminal did not answer in time"),
}

DONE, DONE_PARTIAL, PLACED = 10009, 10010, 10008
# Answers that only some requests can get; to the others they make no sense, and nonsense is ambiguous.
ONLY_FOR = {
    PLACED: frozenset({RequestAction.PENDING}),  # of a market order it is no proof of a fill
    DONE_PARTIAL: frozenset({RequestAction.OPEN, RequestAction.CLOSE}),
    10025: frozenset({RequestAction.PROTECT, RequestAction.PENDING}),
    10036: frozenset({RequestAction.CLOSE}),
    10041: frozenset({RequestAction.PENDING}),
}
PRICES_TO_TRY = {10015: 1}  # repriced fewer times than others before it is final


def classify_reply(
    reply: Reply, *, action: RequestAction, requested_volume: Decimal | None = None, reprices: int = 0
) -> Classified:
    """Return what a MetaTrader 5 answer means. Pure, total, and never more hopeful than the evidence.

    Parameters
    ----------
    requested_volume : Decimal, optional
        Lots; needed for market orders.
    reprices : int
        How often this request has been repriced before.
    """
    if reply.retcode is None:
        return _without_result(reply.last_error)
    meaning = RETCODES.get(reply.retcode)
    if meaning is None:
        return Classified(
            outcome=Outcome.AMBIGUOUS, name=f"RETCODE_{reply.retcode}", message="a code that is in no table"
        )
    outcome, why = _by_evidence(reply, meaning.outcome, action=action, requested=requested_volume)
    if outcome is Outcome.REPRICE and reprices >= PRICES_TO_TRY.get(reply.retcode, reprices + 1):
        outcome, why = Outcome.REJECT, f"repriced {reprices} times in vain"
    return Classified(outcome=outcome, name=meaning.name, message=f"{meaning.text}: {why}" if why else meaning.text)


def _without_result(last_error: tuple[int, str] | None) -> Classified:
    if last_error is None:
        return Classified(outcome=Outcome.AMBIGUOUS, name="NO_RESULT", message="no result and no last error")
    code, text = last_error
    meaning = LAST_ERRORS.get(code, Meaning(f"LAST_ERROR_{code}", Outcome.AMBIGUOUS, "a code that is in no table"))
    return Classified(
        outcome=meaning.outcome, name=meaning.name, message=f"no result; {meaning.text} ({code}, {text!r})"
    )


def _by_evidence(
    reply: Reply, outcome: Outcome, *, action: RequestAction, requested: Decimal | None
) -> tuple[Outcome, str]:
    """Return the outcome that the volume and the deal bear out, and why it is not the code's own."""
    code = reply.retcode
    if code in ONLY_FOR and action not in ONLY_FOR[code]:
        return Outcome.AMBIGUOUS, f"no proof that a request to {action} was executed"
    if not outcome.may_have_executed:
        return (Outcome.AMBIGUOUS, f"and yet deal {reply.deal_id} came with it") if reply.deal_id else (outcome, "")
    if action.is_market and code in (DONE, DONE_PARTIAL):
        return _filled(reply, requested)
    return outcome, ""


def _filled(reply: Reply, requested: Decimal | None) -> tuple[Outcome, str]:
    """Judge a market order that is said to be done by its deal and its volume."""
    volume = reply.volume
    if reply.deal_id <= 0:
        return Outcome.AMBIGUOUS, "without a deal"
    if requested is None or volume is None or not volume.is_finite() or not 0 < volume <= requested:
        return Outcome.AMBIGUOUS, f"{volume} lots of {requested} make no sense"
    if volume < requested:
        return Outcome.PARTIAL, f"{volume} of {requested} lots"
    return Outcome.OK, ""
