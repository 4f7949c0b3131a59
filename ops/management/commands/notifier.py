"""The notifier's process."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from loguru import logger

from ops.command import DeskCommand, Outcome
from ops.notifier import Notifier, unreadable_destinations


class Command(DeskCommand):
    """Tell the world outside of alerts until asked to stop."""

    help = "Send alerts to where ALERT_URLS says, look for what goes wrong unnoticed, and ping HEARTBEAT_URL."
    examples = ("notifier", "notifier --traceback")
    schema = "notifier/1"

    def run(self, **options: Any) -> Outcome:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        for label, reason in unreadable_destinations():
            logger.error("address {} of ALERT_URLS cannot be used: {}", label, reason)
        logger.bind(destinations=len(settings.ALERT_URLS), heartbeat=settings.HEARTBEAT_URL is not None).info("telling")
        Notifier(watches=import_string(settings.WATCHES)).run(stop.is_set)
        return Outcome(data={}, text="stopped")
