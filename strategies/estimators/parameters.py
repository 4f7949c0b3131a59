"""What a parameter may be: read by the checks of strategies and by the forms that edit them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol

from strategies.errors import ParameterError

LARGEST = 1e300  # anything larger is as good as infinite


class Allowed(Protocol):
    """The values that a parameter may have: ``value in allowed``, and ``str(allowed)`` for messages."""

    def __contains__(self, value: object) -> bool: ...


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole numbers from ``low`` on; a bool is none."""

    low: int

    def __contains__(self, value: object) -> bool:
        if type(value) is int:  # nearly always, and asking Integral costs as much as the whole check
            return value >= self.low
        return type(value) is not bool and isinstance(value, Integral) and int(value) >= self.low

    def __str__(self) -> str:
        return f"a whole number of at least {self.low}"


@dataclass(frozen=True, slots=True)
class Number:
    """Finite numbers in ``low..high``, both included unless ``above`` is set, which leaves ``low`` out."""

    low: float
    high: float = math.inf
    above: bool = False

    def __contains__(self, value: object) -> bool:
        if type(value) is bool or not isinstance(value, float | int | Real):
            return False
        number: Any = value
        if not -LARGEST < number < LARGEST:  # NaN too, for which every comparison is false
            return False
        return bool(self.low < number <= self.high if self.above else self.low <= number <= self.high)

    def __str__(self) -> str:
        lower = f"a number above {self.low:g}" if self.above else f"a number of at least {self.low:g}"
        return lower if math.isinf(self.high) else f"{lower} and at most {self.high:g}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few values."""

    options: tuple[object, ...]

    def __contains__(self, value: object) -> bool:
        return any(value is option or (type(value) is type(option) and value == option) for option in self.options)

    def __str__(self) -> str:
        return "one of " + ", ".join(repr(option) for option in self.options)


YES_OR_NO = OneOf((True, False))


def check_parameters(strategy: str, allowed: Mapping[str, Allowed], parameters: Mapping[str, Any]) -> None:
    """Raise ``ParameterError`` for the first parameter that is not what ``allowed`` says."""
    for name, values in allowed.items():
        if parameters[name] not in values:
            raise ParameterError(f"{strategy}: {name} must be {values}, was {parameters[name]!r}")
