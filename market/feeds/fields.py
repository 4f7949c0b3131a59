"""The fields of replies: a value of another type is a ``FeedReplyError`` that names the field and what it was.

Numbers sent as text are numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from market.errors import FeedReplyError

WHOLE = re.compile(r"-?[0-9]{1,20}")


def as_mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Return the JSON object."""
    if not isinstance(value, dict):
        raise FeedReplyError(f"{what} must be an object, was {shown(value)}")
    return value


def as_list(value: Any, what: str) -> list[Any]:
    """Return the JSON list."""
    if not isinstance(value, list):
        raise FeedReplyError(f"{what} must be a list, was {shown(value)}")
    return value


def as_number(value: Any, what: str) -> float:
    """Return the finite number."""
    if isinstance(value, bool) or not is_number(value) or math.isinf(float(value)):
        raise FeedReplyError(f"{what} must be a number, was {shown(value)}")
    return float(value)


def int_field(fields: Mapping[str, Any], name: str, what: str) -> int:
    """Return a field that is a whole number."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str) or not WHOLE.fullmatch(str(value)):
        raise FeedReplyError(f"{what}: {name} must be a whole number, was {shown(value)}")
    return int(value)


def float_field(fields: Mapping[str, Any], name: str, what: str) -> float:
    """Return a field that is a finite number."""
    return as_number(fields.get(name), f"{what}: {name}")


def text_field(fields: Mapping[str, Any], name: str, what: str) -> str:
    """Return a field that is text."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise FeedReplyError(f"{what}: {name} must be text, was {shown(value)}")
    return value


def bool_field(fields: Mapping[str, Any], name: str, what: str) -> bool:
    """Return a field that is true or false."""
    value = fields.get(name)
    if not isinstance(value, bool):
        raise FeedReplyError(f"{what}: {name} must be true or false, was {shown(value)}")
    return value


def is_number(value: Any) -> bool:
    """Return whether the value is a number, or text that is one."""
    try:
        return not math.isnan(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def shown(value: Any) -> str:
    """Return the value as an error message can hold it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
