"""The way to one destination: what waits is sent in order, one call at a time, with growing pauses after failures."""

from __future__ import annotations

from dataclasses import dataclass, field

from loguru import logger

from ops import clock
from ops.calls import Answer, Call
from ops.delivery import Kind, compose, note_failed, note_sent, owed_to
from ops.destinations import Destination
from ops.models import Alert, AlertDelivery

MOST_IN_ONE = 200  # rows of one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the notifier waits, in real seconds."""

    limit_s: float = 20.0  # of one call
    first_s: float = 5.0  # after a failure, doubled by each one more
    longest_s: float = 600.0
    start_s: float = 60.0  # what a desk that has just started may need before anything counts as missing

    def after(self, failures: int) -> float:
        """Return how long a destination is left alone after so many failures in a row."""
        return float(min(self.first_s * 2 ** min(failures - 1, 20), self.longest_s))


@dataclass
class Lane:
    """The way to one destination: the call under way on it, and when the next one may begin."""

    to: Destination
    patience: Patience
    call: Call | None = None
    rows: list[AlertDelivery] = field(default_factory=list)
    answer: Answer | None = None  # until it is written down: a database that is locked must not make it be sent again
    failures: int = 0
    free_mono: float = float("-inf")

    def go_on(self) -> None:
        """Settle the call that is over, and begin the next one when something waits."""
        if self.call is not None:
            self.answer = self.call.answer()
            if self.answer is None:
                return
            self.call = None
        if self.answer is not None:
            self._settle(self.answer)
        self._begin()

    def _settle(self, answer: Answer) -> None:
        told = logger.bind(to=self.to.label, alerts=len(self.rows))
        if answer.ok:
            note_sent(self.rows)
            told.info("alerts sent")
            self.failures, self.free_mono = 0, float("-inf")
        else:
            note_failed(self.rows, answer.reason, is_final=answer.is_final)
            told.warning("alerts not sent: {}", answer.reason)
            self.failures += 1
            self.free_mono = clock.mono() + self.patience.after(self.failures)
        self.answer, self.rows = None, []

    def _begin(self) -> None:
        rows = owed_to(self.to.key, at_most=MOST_IN_ONE)
        if not rows or (clock.mono() < self.free_mono and not any(_is_urgent(row) for row in rows)):
            return
        message = compose(rows)
        request = {"op": "send", "url": self.to.url, "title": message.title, "body": message.body}
        self.rows = rows
        try:
            self.call = Call(request | {"level": message.level.value}, limit_s=self.patience.limit_s)
        except OSError as error:
            self.answer = Answer(ok=False, reason=f"the sending program could not be started: {error.strerror}")

    def end(self) -> None:
        """End the call under way; its rows wait for the next notifier."""
        if self.call is not None:
            self.call.end()
            self.call, self.rows = None, []


def _is_urgent(row: AlertDelivery) -> bool:
    """Return whether somebody waits for it, or it is grave, so that it is tried once without regard to failures."""
    return row.attempts == 0 and (row.kind == Kind.TEST or row.level == Alert.Level.CRITICAL)
