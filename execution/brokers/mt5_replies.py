"""What came of a MetaTrader 5 write, whichever way it ended: an answer, a refusal by the fence, or silence. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from execution.brokers.base import Permit, SendResult
from execution.brokers.mt5_parse import parse_reply
from execution.planning.rounding import decimal_from_float
from execution.safety.outcomes import Outcome, RequestAction, classify_reply
from market.terminal.client import Reply
from market.terminal.errors import TerminalRefusedError, TerminalUnavailableError

# Why the fence said no. In every case nothing was executed.
REFUSALS = {
    "latched": Outcome.HALT,
    "fence": Outcome.HALT,  # another trader has taken over
    "not_after": Outcome.LATER,
    "reduce": Outcome.REJECT,  # the position is not what was seen: read it again
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What is being asked for, as far as its answer's meaning depends on it."""

    action: RequestAction
    volume: Decimal | None = None
    reprices: int = 0


def answered(write: Write, request: Mapping[str, Any], reply: Reply) -> SendResult:
    """Return the result of a request that the terminal answered."""
    result, facts = reply.value, parse_reply(reply.value, reply.last_error)
    meaning = classify_reply(facts, action=write.action, requested_volume=write.volume, reprices=write.reprices)
    return SendResult(
        outcome=meaning.outcome,
        retcode=facts.retcode,
        retcode_name=meaning.name,
        message=meaning.message,
        sent_mono=reply.mono,
        deal_id=facts.deal_id,
        order_id=_whole(getattr(result, "order", 0)),
        volume=_executed(meaning.outcome, facts.volume),
        price=_price(getattr(result, "price", None)),
        raw={"request": plain(request), "reply": plain(result), "last_error": list(reply.last_error)},
    )


def unanswered(error: Exception, request: Mapping[str, Any], permit: Permit) -> SendResult:
    """Return the result of a request that ended without an answer: ambiguous, unless it is proven not executed."""
    if isinstance(error, TerminalRefusedError):
        outcome, name = REFUSALS.get(error.reason, Outcome.AMBIGUOUS), f"FENCE_{error.reason.upper()}"
    elif isinstance(error, TerminalUnavailableError):
        outcome, name = Outcome.LATER, "TERMINAL_UNAVAILABLE"
    else:
        outcome, name = Outcome.AMBIGUOUS, "TERMINAL_SILENT"
    return _without_answer(outcome, name, error, permit, raw={"request": plain(request)})


def not_sent(outcome: Outcome, name: str, error: Exception, permit: Permit) -> SendResult:
    """Return the result of a write that ended before there was anything to send."""
    return _without_answer(outcome, name, error, permit, raw={})


def _without_answer(
    outcome: Outcome, name: str, error: Exception, permit: Permit, *, raw: dict[str, Any]
) -> SendResult:
    # The fence refuses everything after not_after, so whatever was sent was sent before.
    return SendResult(
        outcome=outcome,
        retcode=None,
        retcode_name=name,
        message=str(error),
        sent_mono=permit.not_after,
        raw=raw | {"error": f"{type(error).__name__}: {error}"},
    )


def _executed(outcome: Outcome, volume: Decimal | None) -> Decimal:
    """Return the volume that is known to be executed; refusals echo the volume that was asked for."""
    return volume if volume is not None and outcome in (Outcome.OK, Outcome.PARTIAL) else Decimal(0)


def _whole(number: Any) -> int:
    return number if isinstance(number, int) else 0


def _price(price: Any) -> Decimal | None:
    if not isinstance(price, int | float) or not math.isfinite(price) or price <= 0:
        return None
    return decimal_from_float(price)


def plain(value: Any) -> Any:
    """Return a struct, with those inside it, as what JSON can hold in every database."""
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
