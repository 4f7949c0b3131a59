"""The wire to Binance: ccxt names the endpoints and signs, a session of our own carries, and nobody tries twice.

A call ends in an answer, whatever it says, or in one of two silences: :class:`NotSentError` when no byte of the
request has left, :class:`NoAnswerError` when it may have arrived. ccxt's own reading of answers is not used: its
errors drop the HTTP status, which decides what a refusal means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import requests

from execution.brokers.binance_http import HttpReply, NoAnswerError, NotSentError, VenueSession, reply_of, silence_of
from execution.brokers.binance_parse import parse_time
from execution.errors import BrokerUnavailableError, ConfigError
from execution.safety.binance_outcomes import Venue
from market.feeds.pause import Pause
from market.feeds.rest import is_loopback

RECV_WINDOW_MS = 5000  # an order that reaches the matching engine later than this after its stamp is refused by it
TIMEOUT_S = (3.0, 10.0)  # to connect, and between two parts of an answer
DEFAULT_PAUSE_S = 60.0  # after a 429 or 418 that does not say for how long
PAUSES = (418, 429)
INVALID_TIMESTAMP = -1021
TIME_CALLS = {Venue.SPOT: "publicGetTime", Venue.FUTURES: "fapiPublicGetTime"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An API key. Neither part is ever shown."""

    key: str = field(repr=False)
    secret: str = field(repr=False)


class BinanceWire:
    """Calls of one account at one Binance.

    Parameters
    ----------
    venue : Venue
        Spot or USD-M futures.
    base : str
        ``https://host``; plain HTTP only to this machine. Empty for Binance's own addresses.
    mono : callable
        Real seconds, never accelerated: the venue's clock is read and carried on by it.
    pause : Pause, optional
        What all processes of this account keep when the venue has asked for silence; limits are counted by address.
    """

    def __init__(
        self,
        venue: Venue,
        credentials: Credentials,
        *,
        mono: Callable[[], float],
        base: str = "",
        pause: Pause | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not (credentials.key and credentials.secret):
            raise ConfigError("a Binance account needs a key and its secret, one of them is empty")
        self.venue = venue
        self.session = VenueSession()
        self.is_simulated = _require_base(base)
        self._mono = mono
        self._clock: tuple[int, float] | None = None  # the venue's ms, and our seconds when it was read
        self._pause = pause or Pause()
        self._wall = wall
        self._pause_status = 429
        self._client = _client(credentials, base)
        self._client.nonce = self.now_ms
        self._client.fetch = self._carry

    def call(self, endpoint: str, parameters: Mapping[str, Any] | None = None) -> HttpReply:
        """Make one call by ccxt's name of it, and return whatever is answered.

        Raises
        ------
        NotSentError
            Nothing was sent.
        NoAnswerError
            It may have arrived.
        """
        wait_s = self._pause.left_s(self._wall())
        if wait_s > 0:
            raise NotSentError(
                f"the venue answered {self._pause_status}: no call for {wait_s:.0f} s", self._pause_status
            )
        reply: HttpReply = getattr(self._client, endpoint)(dict(parameters or {}))
        return reply

    def read(self, endpoint: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return what a read found; a clock that has run away from the venue's is set and the read made once more.

        Raises
        ------
        BrokerUnavailableError
            It was not answered, or with a refusal.
        """
        try:
            reply = self.call(endpoint, parameters)
            if reply.refusal.code == INVALID_TIMESTAMP:
                self.sync()
                reply = self.call(endpoint, parameters)
        except NoAnswerError as error:
            raise BrokerUnavailableError(f"{endpoint} was not answered: {error}") from error
        if not reply.is_success:
            words = f"{endpoint} answered {reply.status}: {reply.body[:200]}"
            raise BrokerUnavailableError(words, reply.refusal.code or reply.status)
        return reply.value

    def sync(self) -> int:
        """Read the venue's clock and return its milliseconds."""
        try:
            reply = self.call(TIME_CALLS[self.venue])
            ms = parse_time(reply.value)
        except (NoAnswerError, ValueError) as error:
            raise BrokerUnavailableError(f"the venue's clock could not be read: {error}") from error
        # As of the answer's arrival: behind the venue by the way back, and never ahead of it.
        self._clock = (ms, self._mono())
        return ms

    def now_ms(self) -> int:
        """Return the venue's clock as far as it is known, in ms."""
        return self.ms_at(self._mono())

    def ms_at(self, moment: float) -> int:
        """Return the venue's clock at a moment of ours, in seconds of ``mono``: in ms, and never ahead of it."""
        if self._clock is None:
            self.sync()
        ms, at = self._clock or (0, 0.0)
        return ms + int((moment - at) * 1000)

    def close(self) -> None:
        """Let go of the connections."""
        self.session.close()

    def _carry(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> HttpReply:
        """Carry a request that ccxt has built and signed; stands in for ccxt's own ``fetch``."""
        try:
            response = self.session.request(
                method, url, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            raise silence_of(error) from error
        self._heed(response)
        return reply_of(response)

    def _heed(self, response: requests.Response) -> None:
        """Fall silent for as long as a 429 or 418 says: going on would get the address banned."""
        if response.status_code in PAUSES:
            said = response.headers.get("Retry-After", "")
            seconds = float(said) if said.isdigit() else DEFAULT_PAUSE_S
            with suppress(OSError):  # it is remembered here in any case, and the answer must not get lost
                self._pause.until(self._wall() + seconds)
            self._pause_status = response.status_code


def _require_base(base: str) -> bool:
    """Refuse an address that is neither HTTPS nor on this machine; return whether it is on this machine."""
    url = urlsplit(base)
    is_here = is_loopback(base)
    if base and not ((url.scheme == "https" and url.hostname) or (url.scheme == "http" and is_here)):
        allowed = "https://host, or http on this machine"
        raise ConfigError(f"BINANCE_BASE must be {allowed}, was {url.scheme}://{url.hostname or ''}")
    return is_here


def _client(credentials: Credentials, base: str) -> Any:
    client = import_module("ccxt").binance(
        {
            "apiKey": credentials.key,
            "secret": credentials.secret,
            "enableRateLimit": False,
            "options": {
                "recvWindow": RECV_WINDOW_MS,
                "fetchCurrencies": False,
                "fetchMargins": False,
                "maxRetriesOnFailure": 0,
            },
        }
    )
    if base:
        addresses = client.urls["api"]
        client.urls["api"] = {name: _moved(address, base) for name, address in addresses.items()}
    return client


def _moved(address: Any, base: str) -> Any:
    """Return one of ccxt's addresses, at another host."""
    return base.rstrip("/") + urlsplit(address).path if isinstance(address, str) else address
