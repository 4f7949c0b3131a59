"""A hand on the clock of a running simulator, through its own control endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from execution.sessions.slots import Slot, SlotRule, next_slot

USUAL_SPEED, REAL_SPEED = 60, 1


class MarketHand:
    """Pauses, steps and paces market time."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def now(self) -> datetime:
        return datetime.fromisoformat(self._ask("GET", "status")["market_time"])

    def step_to(self, moment: datetime) -> None:
        """Move on to a moment that has not passed."""
        self._ask("POST", "step", until=moment.isoformat())

    def pace(self, speed: int) -> None:
        """Let time run so many times faster than ours."""
        self._ask("POST", "speed", speed=speed)

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Let time run as ours does: right after a slot, the next one is the best part of an hour away."""
        self.pace(REAL_SPEED)
        try:
            yield
        finally:
            self.pace(USUAL_SPEED)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold time still."""
        self._ask("POST", "pause")
        try:
            yield
        finally:
            self._ask("POST", "resume")

    def next_slot(self, *, ahead: timedelta = timedelta(0)) -> Slot:
        """Return the first slot that acts at least so far ahead."""
        return next_slot(self.now() + ahead, SlotRule())

    def _ask(self, method: str, action: str, **fields: object) -> dict[str, Any]:
        at = json.loads((self._run_dir / "control.json").read_text())
        address, headers = f"http://127.0.0.1:{at['port']}/{action}", {"Authorization": f"Bearer {at['token']}"}
        answer = requests.request(method, address, json=fields, headers=headers, timeout=30)
        assert answer.ok, answer.text
        return dict(answer.json())
