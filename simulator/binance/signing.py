"""Who may ask: the key, the signature over what was sent, and the moment it was signed at."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.binance.params import Params
from simulator.binance.refusals import refusal
from simulator.exchange_errors import illegal_characters

KEY = re.compile(r"^[A-Za-z0-9]{64}$")
RECV_WINDOW_MS, LONGEST_WINDOW_MS = 5000, 60_000
AHEAD_MS = 1000


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key and its secret, 64 letters and digits each."""

    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What was sent: query and body as texts, the key's header, the parameters of both."""

    query: str
    body: str
    key: str
    given: Mapping[str, str]


def check_signed(request: SignedRequest, credentials: Credentials, *, now_ms: int, pace: float) -> Params:
    """Return the parameters of a request that may be answered.

    Parameters
    ----------
    now_ms : int
        The exchange's time.
    pace : float
        Milliseconds of that time in one; the windows are the wire's, so they are stretched by it.

    Raises
    ------
    BinanceError
        -2014, -2015, -1102, -1100, -1022, -1131 or -1021, looked at in this order.
    """
    check_key(request.key, credentials)
    params = Params(request.given)
    signature = params.text("signature")
    params.text("timestamp")
    if not hmac.compare_digest(signature.lower().encode(), _signed(request, credentials.secret).encode()):
        raise refusal("signature")
    check_moment(params, now_ms=now_ms, pace=pace)
    return params


def check_key(key: str, credentials: Credentials) -> None:
    """Refuse a key that is none, or not this account's."""
    if not KEY.match(key):
        raise refusal("key format")
    if not hmac.compare_digest(key, credentials.key):
        raise refusal("key")


def _signed(request: SignedRequest, secret: str) -> str:
    payload = _without_signature(request.query) + _without_signature(request.body)
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def _without_signature(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def check_moment(params: Params, *, now_ms: int, pace: float) -> None:
    """Refuse a request that was signed too long ago, or in the future."""
    timestamp, pace = params.whole("timestamp") or 0, max(1.0, pace)
    text = params.given.get("recvWindow") or str(RECV_WINDOW_MS)
    if not re.match(r"^[0-9]{1,5}(\.[0-9]{1,3})?$", text):
        raise illegal_characters("recvWindow", r"^[0-9]{1,5}$")
    window = float(text)
    if window > LONGEST_WINDOW_MS:
        raise refusal("window")
    if timestamp >= now_ms + AHEAD_MS * pace:
        raise refusal("early")
    if now_ms - timestamp > window * pace:
        raise refusal("late")
