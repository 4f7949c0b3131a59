"""What every template gets: the frame around the page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from tradingsite.pages.frame import build_frame


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return the frame for whoever asks, on the page that was asked for."""
    match = getattr(request, "resolver_match", None)
    if match is not None and match.app_name == "admin":
        return {}
    user = getattr(request, "user", None)
    if user is None:
        return {}
    return {"frame": build_frame(user, match.url_name if match and match.url_name else "")}
