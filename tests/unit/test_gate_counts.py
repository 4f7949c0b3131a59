"""What the gate counts and how old it takes its reads to be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from execution.safety import gate as gate_module
from execution.safety.gate import read_ages, request_counts
from execution.safety.risk import RequestCounts
from tests.execution_builders import make_quote
from tests.gate_fakes import NOW, around_the_gate


@pytest.fixture
def desk(monkeypatch, tmp_path):
    return around_the_gate(monkeypatch, tmp_path)


class Sent:
    """Attempts that answer each question with the next count."""

    def __init__(self, *counts: int) -> None:
        self.questions: list[dict[str, Any]] = []
        self.objects = self
        self._counts = iter(counts)

    def filter(self, **question: Any) -> SimpleNamespace:
        self.questions.append(question)
        return SimpleNamespace(count=lambda: next(self._counts))


# In winter Prague's midnight is 23:00 UTC of the day before, so that the loss day began earlier than the UTC day until
# it begins anew, an hour before it.
@pytest.mark.parametrize(
    ("now", "begin"),
    [
        ("2025-03-03T12:00:30.000005", "2025-03-02T23:00:00"),
        ("2025-03-03T22:59:59", "2025-03-02T23:00:00"),
        ("2025-03-03T23:30:00", "2025-03-03T00:00:00"),
    ],
)
def test_requests_are_counted_over_a_real_minute_and_the_longer_of_two_days(monkeypatch, now, begin):
    sent = Sent(3, 5)
    monkeypatch.setattr(gate_module, "Attempt", sent)
    monkeypatch.setattr(gate_module, "boot_id", lambda: "boot 1")
    monkeypatch.setattr(gate_module, "clock", SimpleNamespace(mono=lambda: 500.0))
    counts = request_counts(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert counts == RequestCounts(orders_last_minute=3, orders_today=5, requests_today=5)
    since = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert sent.questions == [{"boot": "boot 1", "sent_mono__gt": 440.0}, {"market_at__gte": since}]


@pytest.mark.parametrize(("tick_at", "tick_s"), [(NOW, 0.5), (NOW - timedelta(seconds=9), 9.0)])
def test_a_tick_is_as_old_as_its_read_or_its_own_time(desk, tick_at, tick_s):
    ages = read_ages(replace(desk.reads, quote=make_quote(at=tick_at)), NOW)
    assert (ages.tick_s, ages.account_s, ages.spec_s) == (tick_s, 0.5, 0.5)
