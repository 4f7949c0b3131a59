"""Addresses outside the site: where alerts are sent, and who misses a dead desk. Each is a secret as a whole."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# A comma or a space ends an address only where another one begins: they may stand inside one, too.
BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S+)")
KEY_LENGTH = 16
SHORTEST_SECRET = 6  # shorter pieces are words like "true", which would be hidden everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One address. Its key and its label may be kept and shown; the address itself may not."""

    key: str  # the same address has the same key, which tells nothing of it
    label: str
    url: str = field(repr=False)  # tokens, passwords and topics are parts of it

    def __str__(self) -> str:
        return self.label


def alert_destinations(text: str, *, salt: str) -> tuple[Destination, ...]:
    """Return the addresses of ALERT_URLS, which are separated by commas or spaces.

    >>> [each.label for each in alert_destinations("json://127.0.0.1:9/, slack://a/b/c", salt="x")]
    ['json', 'slack']

    Raises
    ------
    ImproperlyConfigured
        One of them has no form of an address; it is named by its place, since its words are a secret.
    """
    urls = list(dict.fromkeys(url for url in BETWEEN.split(text.strip()) if url))
    services = [_service(url, place) for place, url in enumerate(urls, start=1)]
    repeated = {service for service, count in Counter(services).items() if count > 1}
    seen: Counter[str] = Counter()
    found = []
    for url, service in zip(urls, services, strict=True):
        seen[service] += 1
        label = f"{service} {seen[service]}" if service in repeated else service
        found.append(Destination(key=_key(url, salt), label=label, url=url))
    return tuple(found)


def _service(url: str, place: int) -> str:
    match = ADDRESS.fullmatch(url.rstrip(","))
    if match is None:
        raise ImproperlyConfigured(
            f"ALERT_URLS: address {place} cannot be read; use apprise's form service://…, separated by commas or spaces"
        )
    return match[1].lower()


def _key(url: str, salt: str) -> str:
    return hmac.new(salt.encode(), url.encode(), hashlib.sha256).hexdigest()[:KEY_LENGTH]


def heartbeat_destination(url: str, *, salt: str) -> Destination | None:
    """Return the address of HEARTBEAT_URL, None when there is none.

    Raises
    ------
    ImproperlyConfigured
        It is not https, and not on this machine either: whoever reads it could keep a dead desk alive.
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_fit = bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))
    except ValueError:
        is_fit = False
    if not is_fit:
        raise ImproperlyConfigured("HEARTBEAT_URL: use https://…, or http:// on this machine")
    return Destination(key=_key(url, salt), label=host, url=url)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def secrets_in(destinations: Iterable[Destination]) -> tuple[str, ...]:
    """Return what no log may hold: each address, and each part of it that may be a token; the longest first."""
    found: set[str] = set()
    for destination in destinations:
        found.add(destination.url)
        found |= _parts(destination.url)
    return tuple(sorted(found, key=len, reverse=True))


def _parts(url: str) -> set[str]:
    """Return user, password, path and values of an address, as written and as meant; a host that is no name, too."""
    _, _, rest = url.partition("://")
    netloc, *path = re.split(r"[/?#]", rest, maxsplit=1)
    user, at, host = netloc.rpartition("@")
    pieces = user.split(":") if at else []
    pieces += re.split(r"[/?&=,#]", "".join(path))
    if "." not in host and not host.startswith(("localhost", "[")):
        pieces += host.split(":")  # services without a host have a token, a topic or an account in its place
    meant = {unquote(piece) for piece in pieces}
    return {piece for piece in {*pieces, *meant} if len(piece) >= SHORTEST_SECRET}
