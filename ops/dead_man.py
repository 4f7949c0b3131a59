"""The dead man's switch: an outside service is asked after every successful reconcile, and misses a desk that is dead.

What is broken here cannot be told from here. So nothing is sent when something fails: the ping simply does not come,
and the service at HEARTBEAT_URL, which knows how often it should, tells a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import requests
from django.conf import settings
from loguru import logger

from ops import clock, heartbeats
from ops.models import Heartbeat

RECONCILED = "reconcile"  # the sign of life that a completed reconcile leaves (execution.safety.reconcile)
PINGED, NOT_PINGED = "dead-man", "dead-man:failed"
EVERY_S = 60.0
FRESH_S = 90.0  # an older reconcile says nothing about now
TIMEOUT_S = 5.0


@dataclass
class DeadMan:
    """Asks at most once in a minute, and never twice for the same reconcile."""

    due_mono: float = float("-inf")

    def round(self) -> bool:
        """Ping if a reconcile has succeeded since the last ping; return whether the service took it."""
        if settings.HEARTBEAT_URL is None or clock.mono() < self.due_mono:
            return False
        proof = Heartbeat.objects.filter(name=RECONCILED).first()
        if proof is None or proof.age_s() > FRESH_S or proof.beat_mono == _last_proof():
            return False
        self.due_mono = clock.mono() + EVERY_S
        why_not = ping(settings.HEARTBEAT_URL.url)
        if why_not:
            logger.bind(host=settings.HEARTBEAT_URL.label).warning("the heartbeat was not taken: {}", why_not)
            heartbeats.beat(NOT_PINGED, why=why_not)
        else:
            heartbeats.beat(PINGED, reconcile_mono=proof.beat_mono)
        return not why_not


def _last_proof() -> float | None:
    row = Heartbeat.objects.filter(name=PINGED).first()
    return row.detail.get("reconcile_mono") if row else None


def ping(url: str) -> str:
    """Ask the address once; return why it was not taken, empty when it was. It never names the address."""
    try:
        # Of the answer only its first line counts; a redirect could lead the address's secret anywhere.
        with requests.get(url, timeout=TIMEOUT_S, allow_redirects=False, stream=True) as answer:
            status = answer.status_code
    except requests.Timeout:
        return f"no answer within {TIMEOUT_S:.0f} s"
    except requests.RequestException as error:
        return f"not reached ({type(error).__name__})"
    return "" if status in range(200, 300) else f"answered with status {status}"


def last_ping() -> tuple[Heartbeat | None, str]:
    """Return the last ping that was taken, and why a later one was not, empty where none failed since."""
    taken = Heartbeat.objects.filter(name=PINGED).first()
    failed = Heartbeat.objects.filter(name=NOT_PINGED).first()
    if failed is None or (taken is not None and taken.beat_at >= failed.beat_at):
        return taken, ""
    return taken, str(failed.detail.get("why", "not taken"))
