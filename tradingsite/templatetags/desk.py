"""How numbers, times and icons are written on every page: one filter each.

Unknown (None, NaN, infinite) is always ``—``. Digits are grouped with a narrow no-break space, minus is the true
minus, and what rounds to zero has no sign: a screen never says ``-0.00``, ``NaN`` or ``None``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tradingsite.pages.frame_data import Due

Number = Decimal | float | int | None

UNKNOWN = "—"
MINUS = "\u2212"
NARROW_SPACE = "\u202f"
GAIN, LOSS = "▲", "▼"

UTC_FORMATS = {
    "time": "%H:%M:%S",
    "minute": "%H:%M",
    "date": "%Y-%m-%d",
    "day": "%d %b",
    "moment": "%Y-%m-%d %H:%M",
    "full": "%Y-%m-%d %H:%M:%S UTC",
}

register = template.Library()


def is_known(value: object) -> bool:
    """Return whether ``value`` is a finite number."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and math.isfinite(value)


def written(value: Number, places: int, *, plus: bool = False) -> str:
    """Return ``value`` rounded to ``places`` decimals as this site writes numbers."""
    if value is None or not is_known(value):
        return UNKNOWN
    digits = f"{abs(value):,.{places}f}".replace(",", NARROW_SPACE)
    if sign_of(value, places) == 0:
        return digits
    return (MINUS if value < 0 else "+" if plus else "") + digits


def sign_of(value: Number, places: int) -> int:
    """Return -1, 0 or 1 for ``value`` as it reads after rounding; 0 for what is unknown."""
    if value is None or not is_known(value):
        return 0
    shown = Decimal(f"{value:.{places}f}")
    return int(shown > 0) - int(shown < 0)


@register.filter
def money(value: Number, places: int = 2) -> str:
    """Write a level of money: ``100 489.51``."""
    return written(value, places)


@register.filter
def price(value: Number, digits: int = 2) -> str:
    """Write a price with its symbol's digits: ``61 204.10``."""
    return written(value, digits)


@register.filter
def lots(value: Number, places: int = 2) -> str:
    """Write a volume: ``0.50``; a short volume is negative."""
    return written(value, places)


@register.filter
def signed(value: Number, places: int = 2) -> str:
    """Write a change with its sign: ``+372.06``, ``−9.99``, ``0.00``."""
    return written(value, places, plus=True)


@register.filter
def pct(value: Number, places: int = 1) -> str:
    """Write a fraction in per cent without the unit, which the header or ``unit`` gives: ``92.6``."""
    return written(_scaled(value, 100), places)


@register.filter
def signed_pct(value: Number, places: int = 1) -> str:
    """Write a changing fraction in per cent with its sign: ``+31.0``."""
    return written(_scaled(value, 100), places, plus=True)


@register.filter
def bps(value: Number, places: int = 1) -> str:
    """Write a fraction in basis points: ``0.0004`` is ``4.0``."""
    return written(_scaled(value, 10_000), places)


@register.filter
def unit(text: str, name: str) -> str:
    """Add a unit to a written number; what is unknown has none."""
    return text if text == UNKNOWN or not name else f"{text}\u00a0{name}"


@register.filter
def arrow(value: Number, places: int = 2) -> str:
    """Return the arrow that says gain or loss without colour, empty where the number reads zero."""
    return {1: GAIN, -1: LOSS, 0: ""}[sign_of(value, places)]


@register.filter
def sign_class(value: Number, places: int = 2) -> str:
    """Return the class that colours a gain or a loss."""
    return {1: "gain", -1: "loss", 0: "flat"}[sign_of(value, places)]


@register.filter
def ago(age: timedelta | float | None) -> str:
    """Write an age: ``0.8 s``, ``22 s``, ``2 min``, ``3 h``, ``4 d``."""
    seconds = _seconds(age)
    if seconds is None:
        return UNKNOWN
    # The same steps as `ago` in static/js/clock.js, which goes on from here.
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    for limit, size, name in ((90, 1, "s"), (5_400, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds // size:.0f}\u00a0{name}"
    return f"{seconds // 86_400:.0f}\u00a0d"


@register.filter
def countdown(left: timedelta | float | None) -> str:
    """Write the time that is left: ``56:38``, ``7:56:38``, ``2 d 4 h``; what is over reads ``0:00``."""
    seconds = _seconds(left)
    if seconds is None:
        return UNKNOWN
    # The same steps as `countdown` in static/js/clock.js.
    hours, rest = divmod(math.floor(seconds), 3_600)
    minutes, secs = divmod(rest, 60)
    if hours >= 48:
        return f"{hours // 24}\u00a0d {hours % 24}\u00a0h"
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


@register.filter
def utc(moment: datetime | None, form: str = "time") -> str:
    """Write a moment in UTC: one of ``time minute date day moment full``.

    Raises
    ------
    ValueError
        The moment is naive: nobody knows which time it means.
    """
    return UNKNOWN if moment is None else _in_utc(moment).strftime(UTC_FORMATS[form])


@register.filter
def iso(moment: datetime | None) -> str:
    """Write a moment for machines, to the millisecond; empty when unknown."""
    if moment is None:
        return ""
    return _in_utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return one icon of the sprite; it is decoration, the word stands next to it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>', static("icons.svg"), name
    )


@register.simple_tag
def due(moment: Due) -> SafeString:
    """Return the time left until ``moment``; the browser counts it down."""
    return format_html('<time class="num" datetime="{}" data-until>{}</time>', iso(moment.at), countdown(moment.in_s))


def _scaled(value: Number, by: int) -> Number:
    return None if value is None or not is_known(value) else value * by


def _seconds(span: timedelta | float | None) -> float | None:
    """Return a span in seconds, never below zero; None when unknown."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    return max(float(seconds), 0.0) if seconds is not None and is_known(seconds) else None


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"a moment on a page must be aware, was naive: {moment.isoformat()}")
    return moment.astimezone(UTC)
