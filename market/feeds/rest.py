"""Ask a rate-limited REST interface politely: bounded waits, shared limits, no redirects, typed errors.

Limits are per address, not per process, and the kill switch shares the address: data stays below 70 % of the weight.
A token bucket in a file holds all processes together, the used-weight header of every reply corrects it, and after
429 or 418 nobody sends anything before ``Retry-After`` is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from market.errors import FeedError, FeedLimitedError, FeedReplyError, FeedUnavailableError
from market.feeds.pause import Pause

LOOPBACK = ("127.0.0.1", "localhost", "::1")
REQUESTS_A_MINUTE = 900
WEIGHT_A_MINUTE = 6_000  # until the exchange says otherwise
DATA_SHARE = 0.7  # of the weight; the rest is for orders and the kill switch
USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
TIMEOUT_S = (5.0, 10.0)  # connect, read
MAX_WAIT_S = 60.0  # a longer pause is the caller's decision
BACK_OFF_S = (0.5, 1.5)  # before the second and the third try
FIREWALL_PAUSE_S = 300.0  # after 403, which has no Retry-After
LIMITED = (403, 418, 429)
MINUTE_S = 60.0


class RestClient:
    """Reads JSON from one address.

    Parameters
    ----------
    session : requests.Session
        ``open_session`` makes one whose requests all processes count together.
    base : str
        https, or http on this machine.
    pause : Pause
        Shared by all who use the address.
    wall_s, sleep : callable
        Real seconds.
    """

    def __init__(
        self,
        session: requests.Session,
        base: str,
        *,
        pause: Pause,
        wall_s: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.session = session
        self.base = require_safe(base)
        self.pause = pause
        self.wall_s = wall_s
        self.sleep = sleep
        self.weight_limit = WEIGHT_A_MINUTE

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Return the reply's JSON; tries again after short pauses and failures of the other side.

        Raises
        ------
        FeedLimitedError
            When the pause that the exchange asks for is longer than ``MAX_WAIT_S``, or lasts through three tries.
        FeedUnavailableError
            When it cannot be reached or fails, three times.
        FeedReplyError
            When the answer is a refusal, a redirect or no JSON.
        """
        for back_off in BACK_OFF_S:
            self._respect_pause()
            try:
                return self._get_once(path, query or {})
            except FeedLimitedError as error:
                if error.retry_after_s > MAX_WAIT_S:
                    raise
            except FeedUnavailableError:
                self.sleep(back_off)
        self._respect_pause()
        return self._get_once(path, query or {})

    def close(self) -> None:
        self.session.close()

    def _respect_pause(self) -> None:
        left = self.pause.left_s(self.wall_s())
        if left > MAX_WAIT_S:
            raise FeedLimitedError(f"{self.base} wants no requests for another {left:.0f} s", left)
        if left > 0:
            self.sleep(left)

    def _get_once(self, path: str, query: Mapping[str, Any]) -> Any:
        reply = self._send(path, query)
        self._watch_weight(reply)
        if reply.status_code in LIMITED:
            raise self._begin_pause(reply, path)
        if reply.status_code >= 500:
            raise FeedUnavailableError(f"{self.base} answered {path} with HTTP {reply.status_code}")
        return _json(reply, path)

    def _send(self, path: str, query: Mapping[str, Any]) -> requests.Response:
        try:
            return self.session.get(self.base + path, params=query, timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            raise self._describe(error, path) from error

    def _describe(self, error: requests.RequestException, path: str) -> FeedError:
        if type(error) is requests.exceptions.Timeout:  # the token bucket's own; a network's timeout is a subclass
            return FeedLimitedError(
                f"our own limit of {REQUESTS_A_MINUTE} requests a minute is used up", 2 * MAX_WAIT_S
            )
        return FeedUnavailableError(f"{self.base} did not answer {path}: {type(error).__name__}")

    def _watch_weight(self, reply: requests.Response) -> None:
        """Let everybody pause until the next minute when data has used up its share."""
        used = reply.headers.get(USED_WEIGHT, "")
        if used.isdecimal() and int(used) >= DATA_SHARE * self.weight_limit:
            now = self.wall_s()
            self.pause.until(now + MINUTE_S - now % MINUTE_S)

    def _begin_pause(self, reply: requests.Response, path: str) -> FeedLimitedError:
        asked = reply.headers.get("Retry-After", "")
        fallback = FIREWALL_PAUSE_S if reply.status_code == 403 else MINUTE_S
        seconds = float(asked) if asked.isdecimal() else fallback
        self.pause.until(self.wall_s() + seconds)
        message = f"{self.base} answered {path} with HTTP {reply.status_code}: no requests for {seconds:.0f} s"
        return FeedLimitedError(message, seconds)


def _json(reply: requests.Response, path: str) -> Any:
    """Return what the reply says; FeedReplyError when it is no JSON or says no."""
    if 300 <= reply.status_code < 400:
        raise FeedReplyError(f"{path} was redirected to {reply.headers.get('Location', '?')!r}: not followed")
    try:
        value = reply.json()
    except requests.exceptions.JSONDecodeError:
        raise FeedReplyError(f"{path} must be JSON, was {reply.text[:60]!r} (HTTP {reply.status_code})") from None
    if reply.status_code >= 400:
        said = f"{value.get('code')} {value.get('msg')}" if isinstance(value, dict) else str(value)[:60]
        raise FeedReplyError(f"{path} was refused with HTTP {reply.status_code}: {said}")
    return value


def open_session(base: str, bucket: Path) -> requests.Session:
    """Return a session whose requests are counted in a file that all processes share."""
    import sqlite3

    from pyrate_limiter import SQLiteBucket
    from requests_ratelimiter import LimiterSession

    if not bucket.exists():
        database = sqlite3.connect(bucket)
        database.execute("PRAGMA journal_mode=WAL")  # several writers, and the bucket sets no mode itself
        database.close()
    session: requests.Session = LimiterSession(
        per_minute=REQUESTS_A_MINUTE,
        bucket_class=SQLiteBucket,
        bucket_kwargs={"path": bucket},
        limit_statuses=(),  # the pause knows Retry-After, the bucket would guess
        max_delay=MAX_WAIT_S,
    )
    # A count of the last minute need not outlive a power failure: waiting for the disk made up half of each request.
    counted = session.limiter.bucket_factory[urlsplit(base).netloc]  # type: ignore[attr-defined]
    with counted.lock:  # a thread of the bucket removes old counts on the same connection
        counted.conn.execute("PRAGMA synchronous=NORMAL")
    session.trust_env = not is_loopback(base)  # a proxy of the environment does not know this machine's ports
    return session


def is_loopback(base: str) -> bool:
    """Return whether the address is on this machine."""
    return urlsplit(base).hostname in LOOPBACK


def require_safe(base: str) -> str:
    """Return the address without a final slash; FeedUnavailableError unless it is https or on this machine."""
    scheme = urlsplit(base).scheme
    if scheme != "https" and not (scheme == "http" and is_loopback(base)):
        raise FeedUnavailableError(
            f"an exchange's address must begin with https:// (http:// on this machine only), was {base!r}"
        )
    return base.rstrip("/")
