"""Typed readers of environment settings that fail early and say what to write instead."""

from __future__ import annotations

import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

FIXED_OFFSET = re.compile(r"^GMT[+-]\d{1,2}$")


def choice(name: str, *, default: str, allowed: tuple[str, ...]) -> str:
    """Return the setting, which has to be one of the allowed words."""
    value = os.environ.get(name) or default
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r}: use one of {', '.join(allowed)}")
    return value


def state_dir(text: str, *, base: Path) -> Path:
    """Return the folder of everything that must survive a restart, made if it is missing."""
    folder = Path(text) if Path(text).is_absolute() else base / text
    for name in ("", "run", "safety", "sim", "keys", "logs", "models"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def bridge_timezone(name: str) -> str:
    """Return the zone of the broker's server clock: ``GMT±n``, an IANA name, or empty for New York + 7 h."""
    value = os.environ.get(name, "")
    if not value or FIXED_OFFSET.match(value):
        return value
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ImproperlyConfigured(
            f"{name}={value!r}: use GMT+2 (UTC+2), a name like Europe/Athens, or nothing for New York + 7 h"
        ) from None
    return value
