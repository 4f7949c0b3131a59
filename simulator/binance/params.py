"""Reads the parameters of a signed request; what is missing or malformed is refused as Binance does."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from simulator.binance.refusals import refusal
from simulator.exchange_errors import BinanceError, illegal_characters, missing

NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
WHOLE = r"^[0-9]{1,20}$"
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
DECIMALS = 8
LARGEST = 2**62  # of a number that the books can be asked for


@dataclass(frozen=True, slots=True)
class Params:
    """The parameters by name, texts as they came."""

    given: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Return whether a parameter was sent with a value."""
        return bool(self.given.get(name))

    def text(self, name: str) -> str:
        """Return a mandatory parameter."""
        if not self.has(name):
            raise missing(name)
        return self.given[name]

    def choice(self, name: str, allowed: Collection[str], *, default: str = "", wrong: str = "") -> str:
        """Return one of the allowed words; ``wrong`` names the refusal of another."""
        word = self.given.get(name) or default or self.text(name)
        if word not in allowed:
            raise refusal(wrong) if wrong else illegal_characters(name, "|".join(sorted(allowed)))
        return word

    def amount(self, name: str) -> Decimal:
        """Return a mandatory amount or price, at least 0."""
        text = self.text(name)
        if not re.match(NUMBER, text):
            raise illegal_characters(name, NUMBER)
        value = Decimal(text)
        if len(text.partition(".")[2].rstrip("0")) > DECIMALS:
            raise refusal("precision", name=name)
        if value >= 10**10:
            raise BinanceError(-1104, f"Not all sent parameters were read; parameter '{name}' is out of range.")
        return value

    def optional_amount(self, name: str) -> Decimal:
        """Return an amount or price, 0 where none was sent."""
        return self.amount(name) if self.has(name) else Decimal(0)

    def whole(self, name: str, default: int | None = None) -> int | None:
        """Return a whole number."""
        text = self.given.get(name)
        if not text:
            return default
        if not re.match(WHOLE, text):
            raise illegal_characters(name, WHOLE)
        return min(int(text), LARGEST)

    def limit(self, *, default: int = 500, largest: int = 1000) -> int:
        """Return how many rows are asked for, at most."""
        return max(1, min(self.whole("limit", default) or default, largest))

    def flag(self, name: str) -> bool:
        """Return a truth value, false where none was sent."""
        word = (self.given.get(name) or "false").lower()
        if word not in ("true", "false"):
            raise illegal_characters(name, "true|false")
        return word == "true"

    def client_id(self, name: str, fresh: str) -> str:
        """Return the client's own id, or a fresh one."""
        word = self.given.get(name)
        if not word:
            return fresh
        if not re.match(CLIENT_ID, word):
            raise illegal_characters(name, CLIENT_ID)
        return word
