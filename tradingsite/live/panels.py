"""Render a panel for a person: the same function for the first load and for every update."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from django.db import DatabaseError
from django.template.loader import render_to_string
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from loguru import logger

from ops import clock
from ops.models import Alert
from tradingsite.live.tail import News, read_after
from tradingsite.pages.frame import User, account_state, market_now, state_word
from tradingsite.pages.frame_data import PanelProblem
from tradingsite.wiring import PANELS

PROBLEM = "panels/_problem.html"


def build_panel(name: str, user: User) -> Any:
    """Return a panel's data as this person may see it."""
    return import_string(PANELS[name].build)(user)


def shown_panel(name: str, user: User) -> Any:
    """Return a panel's data, or a `PanelProblem` in its place: a mistake in one must not take the others away."""
    try:
        return build_panel(name, user)
    except DatabaseError:
        raise  # it concerns them all, and passes
    except Exception as error:  # the outermost loop of a panel
        problem = PanelProblem(
            id=name, title=name.capitalize(), kind="error", words=f"Could not load {name}.", error_id=uuid4().hex[:8]
        )
        logger.opt(exception=error).error("the panel {} could not be shown (error {})", name, problem.error_id)
        return problem


def panel_html(name: str, panel: Any) -> SafeString:
    """Return what stands on the page for a panel's data."""
    template = PROBLEM if isinstance(panel, PanelProblem) else PANELS[name].template
    return render_to_string(template, {"panel": panel})


def panel_message(name: str, user: User, seq: int) -> dict[str, Any] | None:
    """Return the message that replaces a panel on an open page; None when what is there had better stay."""
    panel = shown_panel(name, user)
    if isinstance(panel, PanelProblem) and PANELS[name].is_of_the_frame:
        return None
    seen = account_state()
    at = seen.read_at.isoformat() if seen else None
    return {"type": "panel", "id": name, "seq": seq, "html": panel_html(name, panel), "at": at}


def panel_messages(names: Iterable[str], user: User, seq: int) -> list[dict[str, Any]]:
    """Return the messages of several panels."""
    return [message for name in names if (message := panel_message(name, user, seq))]


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
