"""What came of a write at Binance, whichever way it ended: an answer, a refusal by the fence, or silence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from execution.brokers.base import SendResult
from execution.brokers.binance_fence import FenceRefusedError
from execution.brokers.binance_http import HttpReply, NotSentError
from execution.brokers.binance_ids import deal_number
from execution.brokers.binance_parse import OrderReport
from execution.brokers.mt5_replies import plain
from execution.errors import BrokerUnavailableError, ConfigError
from execution.safety.binance_outcomes import Execution, Venue, classify_execution, classify_refusal
from execution.safety.outcomes import Outcome, RequestAction

BANNED = 418


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as it was handed over."""

    endpoint: str
    parameters: Mapping[str, Any]
    moment: float  # of the venue's clock, seconds; it left no later

    @property
    def raw(self) -> dict[str, Any]:
        """The request as the journal keeps it; it holds neither key nor signature."""
        return {"request": {"call": self.endpoint, **plain(self.parameters)}}


def refused(reply: HttpReply, sent: Sent, *, venue: Venue, action: RequestAction) -> SendResult:
    """Return the result of a request that was answered with anything but a success."""
    refusal = reply.refusal
    meaning = classify_refusal(refusal, venue=venue, action=action)
    return SendResult(
        outcome=meaning.outcome,
        retcode=refusal.code if refusal.code is not None else reply.status,
        retcode_name=meaning.name,
        message=meaning.message,
        sent_mono=sent.moment,
        raw=sent.raw | {"status": reply.status, "reply": plain(reply.value) if reply.is_json else reply.body[:500]},
    )


def executed(reply: HttpReply, report: OrderReport, sent: Sent, *, requested: Decimal) -> SendResult:
    """Return the result of a market order that was taken: an answer about another order proves nothing."""
    meaning = classify_execution(Execution(status=report.status, executed=report.executed), requested=requested)
    outcome, message = meaning.outcome, meaning.message
    asked = (sent.parameters["symbol"], sent.parameters["newClientOrderId"])
    if (report.symbol, report.client_id) != asked:
        outcome, message = Outcome.AMBIGUOUS, f"the answer is about {report.client_id} of {report.symbol}"
    has_traded = outcome in (Outcome.OK, Outcome.PARTIAL)
    return SendResult(
        outcome=outcome,
        retcode=reply.status,
        retcode_name=meaning.name,
        message=message,
        sent_mono=sent.moment,
        deal_id=deal_number(report.symbol, report.trade_ids[-1]) if report.trade_ids and has_traded else 0,
        order_id=report.order_id,
        volume=report.executed - report.base_commission if has_traded else Decimal(0),
        price=report.price if has_traded else None,
        raw=sent.raw | {"status": reply.status, "reply": plain(reply.value)},
    )


def done(reply: HttpReply, sent: Sent, *, name: str, order_id: int = 0) -> SendResult:
    """Return the result of a request that is no market order and was taken."""
    return SendResult(
        outcome=Outcome.OK,
        retcode=reply.status,
        retcode_name=name,
        message="taken",
        sent_mono=sent.moment,
        order_id=order_id,
        raw=sent.raw | {"status": reply.status, "reply": plain(reply.value)},
    )


def already_so(moment: float, message: str) -> SendResult:
    """Return the result of a write that had nothing to change."""
    return SendResult(outcome=Outcome.NOOP, retcode=None, retcode_name="ALREADY_SO", message=message, sent_mono=moment)


def unanswered(error: Exception, sent: Sent) -> SendResult:
    """Return the result of a request whose answer was lost or cannot be read: ambiguous, unless it never left."""
    if isinstance(error, NotSentError):
        return _without_answer(_pause(error), "NOT_SENT", error, sent.moment, sent.raw)
    if isinstance(error, ConfigError):
        return _without_answer(Outcome.HALT, "NOT_SENT_CONFIG", error, sent.moment, sent.raw)
    return _without_answer(Outcome.AMBIGUOUS, "NO_ANSWER", error, sent.moment, sent.raw)


def not_sent(error: Exception, moment: float) -> SendResult:
    """Return the result of a write that ended before there was anything to send."""
    if isinstance(error, FenceRefusedError):
        return _without_answer(error.outcome, f"FENCE_{error.reason.upper()}", error, moment, {})
    if isinstance(error, BrokerUnavailableError):
        return _without_answer(_pause(error), "NOT_SENT_UNREADABLE", error, moment, {})
    if isinstance(error, ConfigError):
        return _without_answer(Outcome.HALT, "NOT_SENT_CONFIG", error, moment, {})
    return _without_answer(Outcome.REJECT, "NOT_SENT_INVALID", error, moment, {})


def _pause(error: BrokerUnavailableError) -> Outcome:
    """Tell a ban, which a person must know of, from what passes by itself."""
    return Outcome.HALT if error.code == BANNED else Outcome.LATER


def _without_answer(outcome: Outcome, name: str, error: Exception, moment: float, raw: dict[str, Any]) -> SendResult:
    return SendResult(
        outcome=outcome,
        retcode=None,
        retcode_name=name,
        message=str(error),
        sent_mono=moment,
        raw=raw | {"error": f"{type(error).__name__}: {error}"},
    )
