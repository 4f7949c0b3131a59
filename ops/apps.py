from __future__ import annotations

import os
import sys
from pathlib import Path

from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "ops"
    verbose_name = "Operations"

    def ready(self) -> None:
        from django.conf import settings

        from ops.destinations import secrets_in
        from ops.logging import configure_logging

        outside = [*settings.ALERT_URLS, *([settings.HEARTBEAT_URL] if settings.HEARTBEAT_URL else [])]
        process = os.environ.get("DESK_PROCESS") or _command_name()
        configure_logging(
            process,
            folder=Path(settings.STATE_DIR) / "logs",
            secrets=(
                settings.SECRET_KEY,
                settings.MODEL_SIGNING_KEY,
                settings.MT5_PASSWORD,
                settings.BINANCE_API_KEY,
                settings.BINANCE_API_SECRET,
                *secrets_in(outside),
            ),
            # A person at a prompt wants the command's answer; a supervised process tells what it does.
            console="INFO" if os.environ.get("DESK_PROCESS") else "WARNING",
        )


def _command_name() -> str:
    """Return the name that this process's log file has when nobody gave it one."""
    return sys.argv[1] if len(sys.argv) > 1 and sys.argv[0].endswith("manage.py") else "process"
