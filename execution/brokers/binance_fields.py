"""Fields of Binance's JSON, one at a time, loudly: what is missing or absurd raises with the field's name. Pure.

Numbers come as JSON numbers or as strings, from one endpoint to the next; both are read. Fields that nobody asks for
are no matter: Binance adds some every few months.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from execution.planning.orders import Side

FIRST_MS, LAST_MS = 0, 4_102_444_800_000  # 1970 to 2100
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
FLAGS = {"true": True, "false": False}
NOTHING = (None, "")


def from_json(body: str) -> Any:
    """Return a body's value, its numbers exact.

    Raises
    ------
    ValueError
        It is no JSON, or was cut short.
    """
    return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a reply, named for the messages."""

    name: str
    content: Mapping[str, Any]

    def has(self, key: str) -> bool:
        """Tell whether a field is there and says something."""
        return self.content.get(key) not in NOTHING

    def text(self, key: str) -> str:
        """Return a field that is a text and not empty."""
        found = self._present(key)
        return found if isinstance(found, str) else self._refuse(key, "a text")

    def number(self, key: str) -> Decimal:
        """Return a field that is a finite number, or a text of one."""
        found = self._present(key)
        if isinstance(found, str | int | Decimal) and not isinstance(found, bool):
            try:
                number = Decimal(found)
            except InvalidOperation:
                return self._refuse(key, "a number")
            if number.is_finite():
                return number
        return self._refuse(key, "a finite number")

    def number_or_0(self, key: str) -> Decimal:
        """Return a number, 0 where the field is missing or empty."""
        return self.number(key) if self.has(key) else Decimal(0)

    def whole(self, key: str) -> int:
        """Return a field that is a whole number, or a text of one."""
        number = self.number(key)
        return int(number) if number == number.to_integral_value() else self._refuse(key, "a whole number")

    def flag(self, key: str) -> bool:
        """Return a field that is true or false, or a text of one."""
        found = self._present(key)
        if isinstance(found, str):
            found = FLAGS.get(found.lower(), found)
        return found if isinstance(found, bool) else self._refuse(key, "true or false")

    def moment(self, key: str) -> datetime:
        """Return a field of milliseconds since 1970 as an aware UTC time."""
        ms = self.whole(key)
        if not FIRST_MS < ms < LAST_MS:
            self._refuse(key, "milliseconds since 1970")
        return datetime.fromtimestamp(ms / 1000, UTC)

    def side(self, key: str = "side") -> Side:
        """Return a field that is BUY or SELL."""
        found = self._present(key)
        return SIDES[found] if isinstance(found, str) and found in SIDES else self._refuse(key, "BUY or SELL")

    def objects(self, key: str) -> Iterator[Fields]:
        """Yield the objects of a field that is a list of them."""
        return as_objects(self._present(key), f"{key} of {self.name}")

    def _present(self, key: str) -> Any:
        found = self.content.get(key)
        return self._refuse(key, "there") if found in NOTHING else found

    def _refuse(self, key: str, wanted: str) -> NoReturn:
        found = self.content.get(key, "missing")
        raise ValueError(f"{key} of {self.name} must be {wanted}, was {found!r:.80}")


def as_object(value: Any, name: str) -> Fields:
    """Return a reply that must be an object."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be an object, was {value!r:.80}")
    return Fields(name, value)


def as_objects(value: Any, name: str) -> Iterator[Fields]:
    """Yield the objects of a reply that must be a list of them."""
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list, was {value!r:.80}")
    return iter([as_object(item, f"{name}[{index}]") for index, item in enumerate(value)])
