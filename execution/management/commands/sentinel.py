"""The sentinel's process."""

from __future__ import annotations

import signal
import threading
from typing import Any

from loguru import logger

from execution.sentinel import Sentinel
from ops.command import DeskCommand, Outcome


class Command(DeskCommand):
    """Watch the account each second until asked to stop."""

    help = "Watch the account, guard the limits, flatten on a kill, and start sessions on time."
    examples = ("sentinel", "sentinel --traceback")
    schema = "sentinel/1"

    def run(self, **options: Any) -> Outcome:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        logger.info("watching")
        Sentinel().run(stop.is_set)
        return Outcome(data={}, text="stopped")
