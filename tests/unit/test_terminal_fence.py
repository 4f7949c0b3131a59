"""The fence: who may still write, until when, and what a restart remembers."""

from __future__ import annotations

import copy
import json
import math
import threading
from pathlib import Path

import pytest

from market.terminal import fence as fence_module
from market.terminal import server as server_module
from market.terminal.errors import TerminalRefusedError, TerminalUnavailableError
from market.terminal.fence import MAX_AHEAD_S, Fence, Terms
from market.terminal.functions import READS, WRITES, deadline_s, require_allowed
from market.terminal.server import ServerConfig
from market.terminal.statefile import FolderLock

NOW = 1_000.0


def make_fence(folder: Path) -> Fence:
    return Fence(folder, now=lambda: NOW, wall=lambda: 1_700_000_000.0)


def admit(fence: Fence, token: int = 1, not_after: float = NOW + 2, *, reduce: bool = False) -> None:
    with fence.admit(Terms(fence=token, not_after=not_after, reduce=reduce)):
        pass


def refusal(fence: Fence, **terms) -> str:
    with pytest.raises(TerminalRefusedError) as refused:
        admit(fence, **terms)
    return refused.value.reason


# --- tokens -----------------------------------------------------------------------------------------------------


def test_an_equal_or_higher_token_is_taken_and_a_lower_one_refused(tmp_path) -> None:
    fence = make_fence(tmp_path)
    for token in (5, 5, 6):
        admit(fence, token)
    assert refusal(fence, token=5) == "fence"
    assert refusal(fence, token=5, reduce=True) == "fence"
    assert fence.state.highest == 6


def test_a_higher_token_is_on_the_disk_before_its_write_is_handed_over(tmp_path) -> None:
    fence = make_fence(tmp_path)
    with fence.admit(Terms(fence=9, not_after=NOW + 1)):
        assert json.loads((tmp_path / "safety" / "fence.json").read_text())["highest"] == 9


def test_a_restart_remembers_the_token_and_the_latch(tmp_path) -> None:
    first = make_fence(tmp_path)
    admit(first, 7)
    first.latch()
    second = make_fence(tmp_path)
    assert second.state == first.state
    assert (second.state.latched, second.state.latched_at, second.state.sequence) == (True, 1_700_000_000.0, 1)
    assert refusal(second, token=6) == "fence"


def test_a_token_that_cannot_be_written_stops_new_risk_and_no_reduction(tmp_path, monkeypatch) -> None:
    fence = make_fence(tmp_path)
    monkeypatch.setattr(fence_module, "write_atomically", full_disk)
    with pytest.raises(TerminalUnavailableError, match="token 3 could not be written"):
        admit(fence, 3)
    admit(fence, 4, reduce=True)
    assert refusal(fence, token=3, reduce=True) == "fence"


# --- not_after --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [-0.001, -1e9, MAX_AHEAD_S + 0.001, math.inf, -math.inf, math.nan])
def test_a_write_out_of_its_time_is_refused(tmp_path, ahead_s) -> None:
    assert refusal(make_fence(tmp_path), not_after=NOW + ahead_s) == "not_after"
    assert refusal(make_fence(tmp_path), not_after=NOW + ahead_s, reduce=True) == "not_after"


@pytest.mark.parametrize("ahead_s", [0.0, 2.0, MAX_AHEAD_S])
def test_a_write_in_its_time_is_taken(tmp_path, ahead_s) -> None:
    admit(make_fence(tmp_path), not_after=NOW + ahead_s)


# --- the latch --------------------------------------------------------------------------------------------------


def test_the_latch_lets_only_reductions_pass_until_it_is_taken_off(tmp_path) -> None:
    fence = make_fence(tmp_path)
    fence.latch()
    assert refusal(fence) == "latched"
    admit(fence, reduce=True)
    fence.unlatch()
    admit(fence)


def test_latching_twice_is_the_same_as_once(tmp_path) -> None:
    fence = make_fence(tmp_path)
    fence.latch()
    once = fence.state
    fence.latch()
    assert fence.state == once
    fence.unlatch()
    fence.latch()
    assert fence.state.sequence == 2


def test_a_latch_that_cannot_be_written_is_on_and_says_so_until_it_is_written(tmp_path, monkeypatch) -> None:
    fence = make_fence(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(fence_module, "write_atomically", full_disk)
        with pytest.raises(OSError, match="no space"):
            fence.latch()
        assert refusal(fence) == "latched"
    fence.latch()
    assert make_fence(tmp_path).state.latched


def test_an_unlatch_that_cannot_be_written_leaves_the_latch_on(tmp_path, monkeypatch) -> None:
    fence = make_fence(tmp_path)
    fence.latch()
    monkeypatch.setattr(fence_module, "write_atomically", full_disk)
    with pytest.raises(OSError, match="no space"):
        fence.unlatch()
    assert refusal(fence) == "latched"


def test_latch_returns_only_after_a_write_that_passed_has_been_handed_over(tmp_path) -> None:
    fence = make_fence(tmp_path)
    with fence.admit(Terms(fence=1, not_after=NOW + 1)):
        latching = threading.Thread(target=fence.latch)
        latching.start()
        assert not fence.state.latched
    latching.join(5)
    assert fence.state.latched


@pytest.mark.parametrize("text", ["", "{", "[]", '{"highest": "9"}', '{"latched": 1}', '{"unknown": 1}', "\x00" * 40])
def test_a_state_that_cannot_be_read_is_a_latch_that_is_on(tmp_path, text) -> None:
    (tmp_path / "safety").mkdir()
    (tmp_path / "safety" / "fence.json").write_text(text)
    fence = make_fence(tmp_path)
    assert refusal(fence) == "latched"
    assert fence.state.sequence == 1_700_000_000  # above what any counter has reached: no key of a kill comes twice


def test_no_two_processes_hold_one_state(tmp_path) -> None:
    lock = FolderLock(tmp_path / "fence.lock")
    with pytest.raises(BlockingIOError, match="another terminal serves"):
        FolderLock(tmp_path / "fence.lock")
    lock.release()
    FolderLock(tmp_path / "fence.lock").release()


def full_disk(*_args) -> None:
    raise OSError("no space left on device")


# --- functions and configuration --------------------------------------------------------------------------------


def test_only_listed_functions_may_be_called_and_only_one_writes() -> None:
    assert WRITES == ("order_send",)
    assert len({*READS, *WRITES}) == 32  # all of the wheel's C module
    for name in (*READS, *WRITES):
        require_allowed(name)
    with pytest.raises(ValueError, match=r"'Close' may not be called; allowed: account_info, .*order_send"):
        require_allowed("Close")


def test_each_function_has_the_deadline_of_its_kind() -> None:
    assert [deadline_s(name) for name in ("positions_get", "order_send", "initialize", "login")] == [5, 10, 60, 60]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])  # noqa: S104 (refused)
def test_the_server_refuses_an_address_that_others_can_reach(tmp_path, host) -> None:
    with pytest.raises(ValueError, match="refuses to bind"):
        ServerConfig(module="m", run_file=tmp_path / "r", state_dir=tmp_path, host=host)


def test_the_server_refuses_a_short_token_and_never_prints_one(tmp_path) -> None:
    with pytest.raises(ValueError, match="TERMINAL_TOKEN has 3 bytes"):
        ServerConfig(module="m", run_file=tmp_path / "r", state_dir=tmp_path, token="abc")
    config = ServerConfig(module="m", run_file=tmp_path / "r", state_dir=tmp_path)
    assert config.token not in repr(config)
    assert len(config.token.encode()) >= server_module.MIN_TOKEN_BYTES


def test_a_refusal_survives_copying_with_its_reason() -> None:
    error = copy.copy(TerminalRefusedError("latched", "the kill latch is on"))
    assert (error.reason, str(error)) == ("latched", "latched: the kill latch is on")
