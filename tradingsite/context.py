"""What every template gets: the frame around the page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from tradingsite.pages.frame import build_admin_frame, build_frame


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return the frame for whoever asks, on the page that was asked for."""
    match, user = getattr(request, "resolver_match", None), getattr(request, "user", None)
    if user is None:
        return {}
    if match is not None and match.app_name == "admin":
        return {"frame": build_admin_frame(user)}
    return {"frame": build_frame(user, match.url_name if match and match.url_name else "")}
