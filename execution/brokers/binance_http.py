"""HTTP to Binance: a session that goes nowhere else, answers as they come, and the two kinds of silence."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from execution.brokers.binance_fields import from_json
from execution.errors import BrokerUnavailableError, ConfigError, OutcomeUnknownError
from execution.safety.binance_outcomes import Refusal


class NotSentError(BrokerUnavailableError):
    """The request did not leave: nothing was executed."""


class NoAnswerError(OutcomeUnknownError):
    """The request may have arrived, and its answer did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """An answer as it came."""

    status: int
    body: str
    value: Any  # of the JSON; None when it is none
    is_json: bool

    @property
    def is_success(self) -> bool:
        """Whether it is a 2xx with JSON that is no error's."""
        return 200 <= self.status < 300 and self.is_json and not _is_error(self.value)

    @property
    def refusal(self) -> Refusal:
        """What it says as a refusal."""
        content = self.value if isinstance(self.value, Mapping) else {}
        code, words = content.get("code"), content.get("msg")
        is_code = isinstance(code, int) and not isinstance(code, bool)
        return Refusal(
            status=self.status, code=code if is_code else None, message=words if isinstance(words, str) else ""
        )


def _is_error(value: Any) -> bool:
    code = value.get("code") if isinstance(value, Mapping) else None
    return isinstance(code, int) and code < 0


class VenueSession(requests.Session):
    """A session that follows no redirect and takes no proxy or password from its surroundings."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = 0

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return nothing: a signed request goes to no other address."""
        return None


def reply_of(response: requests.Response) -> HttpReply:
    """Return an answer as it came, whether or not it is JSON."""
    response.encoding = "utf-8"
    try:
        return HttpReply(status=response.status_code, body=response.text, value=from_json(response.text), is_json=True)
    except ValueError:
        return HttpReply(status=response.status_code, body=response.text, value=None, is_json=False)


def silence_of(error: requests.RequestException) -> NotSentError | NoAnswerError | ConfigError:
    """Tell a connection that was never made from one that was lost."""
    kind, words = type(error).__name__, "the request did not leave"
    if _caused_by(error, ssl.SSLCertVerificationError):
        return ConfigError("the venue's certificate could not be verified: nothing was sent")
    if isinstance(error, requests.ConnectTimeout) or _caused_by(error, NewConnectionError):
        return NotSentError(f"{words}: {kind}")
    return NoAnswerError(f"the answer was lost: {kind}")


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Tell whether an error of this kind lies beneath; requests and urllib3 wrap each other's."""
    seen: list[Any] = [error]
    while seen:
        one = seen.pop()
        if isinstance(one, kind):
            return True
        if isinstance(one, MaxRetryError):
            seen.append(one.reason)
        if isinstance(one, BaseException):
            seen += [cause for cause in (one.__cause__, *one.args) if isinstance(cause, BaseException)]
    return False
