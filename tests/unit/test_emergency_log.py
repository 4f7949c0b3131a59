"""The journal of an emergency: whole lines, in space that was taken before, and no number twice."""

from __future__ import annotations

import pytest

from execution.safety.emergency import SIZE, EmergencyLog
from ops import clock
from ops.clock import SystemClock

CLOSE = {
    "login": 1,
    "server": "Demo",
    "call": "reduce",
    "symbol": "BTCUSD",
    "side": "sell",
    "volume": "0.1",
    "ticket": 7,
}


@pytest.fixture
def log(tmp_path):
    with clock.use(SystemClock()):
        yield EmergencyLog(tmp_path)


def test_its_space_is_taken_at_once_and_kept(log):
    log.allocate()
    blocks = log.path.stat().st_blocks
    numbers = [log.begin(**CLOSE) for _ in range(3)]
    assert (numbers, log.path.stat().st_size, log.path.stat().st_blocks) == ([1, 2, 3], SIZE, blocks)
    assert blocks * 512 >= SIZE


def test_a_result_belongs_to_what_was_sent(log):
    first, second = log.begin(**CLOSE), log.begin(**CLOSE | {"ticket": 8})
    log.finish(second, outcome="ok", retcode=10009)
    results = {entry.ticket: entry.result for entry in log.entries()}
    assert (first, results) == (1, {7: None, 8: {"outcome": "ok", "retcode": 10009}})


def test_a_line_that_was_cut_short_is_as_if_it_had_not_been_begun(log):
    log.begin(**CLOSE)
    whole = log.path.read_bytes().split(b"\0")[0]
    log.path.write_bytes((whole + whole[:40]).ljust(SIZE, b"\0"))
    assert [entry.number for entry in log.entries()] == [1]
    assert log.begin(**CLOSE) == 2
    assert [entry.number for entry in log.entries()] == [1, 2]


def test_emptied_it_gives_out_no_number_again(log):
    log.begin(**CLOSE)
    assert log.clear(log.entries())
    assert log.entries() == []
    assert (log.begin(**CLOSE), log.path.stat().st_size) == (2, SIZE)


def test_a_line_that_came_in_between_is_not_emptied_away(log):
    log.begin(**CLOSE)
    seen = log.entries()
    log.begin(**CLOSE)
    assert not log.clear(seen)
    assert len(log.entries()) == 2


def test_without_a_file_it_makes_one(log):
    assert log.entries() == []
    assert log.begin(**CLOSE) == 1
