"""A module that takes its process with it during a send, behind the real server: its guard starts another one."""

from __future__ import annotations

import pytest

from market.terminal.errors import TerminalOutcomeUnknownError
from simulator.config import SimConfig
from simulator.faults import FaultPlan, Rule, read_log, switch_on
from simulator.ledger import Ledger
from simulator.world import World
from tests.terminal_server import Server, send


@pytest.fixture
def world(tmp_path):
    return World(SimConfig(state_dir=tmp_path))


@pytest.fixture
def server(world, tmp_path):
    server = Server(tmp_path, {"STATE_DIR": str(tmp_path)}).start(module="simulator.metatrader5")
    yield server
    server.process.terminate()
    server.process.communicate()


def bought(world) -> int:
    ledger = Ledger(world.ledger_path)
    try:
        return len([deal for deal in ledger.deals() if deal.symbol])
    finally:
        ledger.close()


def test_a_process_that_ends_during_a_send_leaves_the_outcome_unknown_and_ends_once(world, server):
    rule = Rule(fault="M09", call="order_send", nth=1, parameters={"exit": True})
    order = {"action": 1, "symbol": "BTCUSD", "volume": 0.1, "type": 0, "type_filling": 1}
    switch_on(world.config.sim_dir, FaultPlan(rules=(rule,)))
    server.published()
    terminal = server.open()
    try:
        assert terminal.call("initialize").value
        with pytest.raises(TerminalOutcomeUnknownError):
            send(terminal, order)
        assert bought(world) == 0
        assert terminal.call("initialize").value
        assert send(terminal, order).value.retcode == 10009
    finally:
        terminal.close()

    assert bought(world) == 1
    assert [line["id"] for line in read_log(world.config.sim_dir)] == ["M09"]
