"""Whose entries the gate sends: those of every account that was armed, and the bot's while it may still trade."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from execution.brokers.base import Protection
from execution.errors import RiskRefusedError
from execution.planning.orders import Side
from execution.safety import gate as gate_module
from execution.safety.control import Needed
from execution.safety.gate import Gate
from tests.bot_builders import make_standing
from tests.gate_fakes import ENTRY, MARK, NOW, around_the_gate, hold, make_close, make_leg, nothing_was_sent, reducing

PROTECTED = replace(ENTRY, stop=Decimal(59_100))


@pytest.fixture
def desk(monkeypatch, tmp_path) -> Any:
    desk = around_the_gate(monkeypatch, tmp_path)
    desk.capabilities = SimpleNamespace(stops_with_entry=True)
    desk.standing, desk.standings = make_standing(), []

    def read_standing(intent: Any, **of: Any) -> Any:
        desk.standings.append((intent, of))
        return desk.standing

    monkeypatch.setattr(gate_module, "read_standing", read_standing)
    return desk


def by(family: str, leg: Any) -> Any:
    leg.intent.family = family
    return leg


def test_an_entry_of_the_bot_is_judged_by_how_the_bot_stands_now(desk):
    leg = by("setup", make_leg("0.1"))
    desk.gate.send(leg, PROTECTED)
    assert desk.asked["context"].standing is desk.standing
    read = {"snapshot": desk.reads.account, "positions": desk.reads.positions, "now": NOW}
    assert desk.standings == [(leg.intent, read)]


def test_an_entry_of_the_bot_past_its_own_limits_is_not_sent(desk):
    desk.standing = make_standing(n_open=3)
    with pytest.raises(RiskRefusedError, match="4 trades open, allowed are 3"):
        desk.gate.send(by("setup", make_leg("0.1")), PROTECTED)
    assert nothing_was_sent(desk)


@pytest.mark.parametrize("family", ["rebalance", "setup"])
def test_what_reduces_needs_nobody_to_know_how_the_bot_stands(desk, family):
    hold(desk, "0.1")
    desk.gate.send(by(family, make_close()), reducing())
    assert (desk.standings, desk.asked["context"].standing) == ([], None)


def test_the_sessions_entries_are_none_of_the_bots(desk):
    desk.standing = make_standing(n_open=3)
    desk.gate.send(by("rebalance", make_leg("0.1")), PROTECTED)
    assert (desk.standings, desk.asked["context"].standing) == ([], None)


def test_with_a_transaction_open_no_protection_is_even_permitted(desk, monkeypatch):
    monkeypatch.setattr(gate_module, "connection", SimpleNamespace(in_atomic_block=True))
    protection = Protection(symbol="BTCUSD", side=Side.BUY, ticket=1, stop=PROTECTED.stop, target=None)
    with pytest.raises(RuntimeError, match="no transaction may be open"):
        desk.gate.protect(make_close(), protection, needed=Needed.KILL)
    assert desk.steps == []


# --- several accounts may be armed -----------------------------------------------------------------------------------

BINANCE = ("binance_futures", (77, "fapi.example"))


def entering_as(desk: Any, login: int, server: str) -> Gate:
    """Arm MetaTrader 5's account and one at Binance, and return the gate of an account."""
    desk.mark = replace(MARK, venues=dict([BINANCE]))
    return Gate(desk, SimpleNamespace(login=login, server=server), lease=desk.gate.lease)


@pytest.mark.parametrize(("login", "server"), [BINANCE[1], (MARK.login, MARK.server)])
def test_every_account_that_was_armed_may_enter(desk, monkeypatch, login, server):
    monkeypatch.setattr(gate_module, "evaluate", lambda request, context: ())
    entering_as(desk, login, server).send(make_leg(), ENTRY)
    assert desk.steps[-4:] == ["submit", "unlock", "answer to attempt 1", "breaker"]


@pytest.mark.parametrize(("login", "server"), [(77, MARK.server), (MARK.login, "fapi.example"), (78, "fapi.example")])
def test_the_login_of_one_armed_account_at_the_server_of_another_is_not_armed(desk, monkeypatch, login, server):
    monkeypatch.setattr(gate_module, "evaluate", lambda request, context: ())
    with pytest.raises(RiskRefusedError, match="not one that was armed") as refused:
        entering_as(desk, login, server).send(make_leg(), ENTRY)
    assert refused.value.codes == ("state:account",)
    assert nothing_was_sent(desk)
