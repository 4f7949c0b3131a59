"""Render a panel for a person: the same function for the first load and for every update."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string
from django.utils.module_loading import import_string

from ops import clock
from tradingsite.pages.frame import User, account_state, market_now, state_word
from tradingsite.wiring import PANELS


def build_panel(name: str, user: User) -> Any:
    """Return a panel's data as this person may see it."""
    return import_string(PANELS[name].build)(user)


def panel_message(name: str, user: User, seq: int) -> dict[str, Any] | None:
    """Return the message that replaces a panel on an open page, None when there is nothing to show in it."""
    panel = build_panel(name, user)
    if panel is None:
        return None
    seen = account_state()
    at = seen.read_at.isoformat() if seen else None
    html = render_to_string(PANELS[name].template, {"panel": panel})
    return {"type": "panel", "id": name, "seq": seq, "html": html, "at": at}


def beat_message(seq: int) -> dict[str, Any]:
    """Return what keeps an open page's clocks right."""
    now, seen = market_now(), account_state()
    return {
        "type": "beat",
        "seq": seq,
        "market_at": now.isoformat() if now else None,
        "wall_at": clock.wall_now().isoformat(),
        "speed": clock.speed() if now else 0.0,
        "state": state_word().value,
        "data_at": seen.read_at.isoformat() if seen else None,
    }
