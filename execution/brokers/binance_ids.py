"""Our marks on Binance's orders, and one number each for what Binance numbers by symbol or not at all. Pure.

An order bears its intent's magic in its client id: ``bd-<magic>`` a market order, ``bd-<magic>-s<serial>`` a stop,
``-t…`` a target, ``-l…`` the list that holds both, ``-r…`` any other that rests. Ids are unique among open orders only,
so the serial of what rests is a moment: a new stop is placed before the old one is taken back.
"""

from __future__ import annotations

import hashlib
import re

PREFIX = "bd-"
STOP, TARGET, LIST, PLAIN = "s", "t", "l", "r"
LONGEST_ID = 36  # characters of .A-Z:/a-z0-9_-
_ID = re.compile(r"bd-(\d{1,16})(?:-([stlr])([0-9a-f]{1,12}))?")
TRADE_BITS = 40
SYMBOL_BITS = 22  # 62 in all: a database's numbers have 63


def order_id_of(magic: int) -> str:
    """Return the client id of an intent's market order.

    >>> order_id_of(6452112484892673)
    'bd-6452112484892673'
    """
    return f"{PREFIX}{magic}"


def resting_id_of(magic: int, role: str, moment_ms: int) -> str:
    """Return the client id of what an intent leaves resting.

    >>> resting_id_of(6452112484892673, STOP, 1767607200000)
    'bd-6452112484892673-s19b8d996900'
    """
    return f"{PREFIX}{magic}-{role}{moment_ms:x}"


def magic_of(client_id: str | None) -> int:
    """Return the magic that a client id bears, 0 for other people's.

    >>> magic_of("bd-6452112484892673-s19b8d996900"), magic_of("web_1f2e")
    (6452112484892673, 0)
    """
    match = _ID.fullmatch(client_id or "")
    return int(match[1]) if match else 0


def role_of(client_id: str | None) -> str:
    """Return what an order of ours rests for, a letter, or nothing."""
    match = _ID.fullmatch(client_id or "")
    return (match[2] or "") if match else ""


def deal_number(symbol: str, trade_id: int) -> int:
    """Return a trade's number in the account: Binance counts the trades of each symbol apart."""
    return _hash(symbol, SYMBOL_BITS) << TRADE_BITS | trade_id % (1 << TRADE_BITS)


def position_number(symbol: str, side: str) -> int:
    """Return the number of the position that a symbol has: Binance gives it none. ``side`` tells two apart (hedge)."""
    return _hash(f"{symbol}:{side}", 48) + 1


def movement_number(*parts: object) -> int:
    """Return the number of a movement of cash, from everything that makes it one."""
    return _hash(":".join(map(str, parts)), SYMBOL_BITS + TRADE_BITS)


def account_number(name: str) -> int:
    """Return the number of an account whose venue names it with letters."""
    return _hash(name, 48)


def _hash(text: str, bits: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - bits)
