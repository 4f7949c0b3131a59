"""Render a panel for a person: the same function for the first load and for every update."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.template.loader import render_to_string
from django.utils.module_loading import import_string

from ops import clock
from ops.models import Alert
from tradingsite.live.tail import News, read_after
from tradingsite.pages.frame import User, account_state, market_now, state_word
from tradingsite.wiring import PANELS


def build_panel(name: str, user: User) -> Any:
    """Return a panel's data as this person may see it."""
    return import_string(PANELS[name].build)(user)


def panel_message(name: str, user: User, seq: int) -> dict[str, Any]:
    """Return the message that replaces a panel on an open page."""
    panel = build_panel(name, user)
    seen = account_state()
    at = seen.read_at.isoformat() if seen else None
    html = render_to_string(PANELS[name].template, {"panel": panel})
    return {"type": "panel", "id": name, "seq": seq, "html": html, "at": at}


def panel_messages(names: Iterable[str], user: User, seq: int) -> list[dict[str, Any]]:
    """Return the messages of several panels."""
    return [panel_message(name, user, seq) for name in names]


def missed_alerts(after: int) -> list[News]:
    """Return the alerts announced after ``after``; all else that a page missed is in its panels."""
    return read_after(after, topic="alerts")


def alert_message(news: News) -> dict[str, Any] | None:
    """Return what an open page reads out, None when the news is no open alert (any more)."""
    alert = Alert.objects.needing_action().filter(pk=news.payload.get("id", 0)).first()
    if alert is None:
        return None
    return {"type": "alert", "seq": news.seq, "level": alert.level, "title": alert.title, "detail": alert.detail}


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
