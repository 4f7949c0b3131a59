"""`trade_pause --scope` and `trade_resume --scope`: one family, one symbol, or all trading; nothing else by mistake."""

from __future__ import annotations

from typing import Any

import pytest

from execution.models import ControlRow
from execution.safety.control import current_control
from execution.scopes import UnknownScopeError, require_scope
from ops.models import AuditEntry
from tests.fits_builders import run_command

pytestmark = pytest.mark.django_db
BOT = "family:setup"


class AnyArmed:
    """An armed file that is there."""

    def read(self) -> object:
        return self


@pytest.fixture(autouse=True)
def _armed(monkeypatch):
    monkeypatch.setattr("execution.safety.control.armed_file", AnyArmed)
    ControlRow.objects.update_or_create(scope="system", defaults={"state": "armed"})


def data_of(command: str, *arguments: str) -> dict[str, Any]:
    """Return the data of a command that did what it was asked."""
    code, document, errors = run_command(command, *arguments)
    assert code == 0, errors
    return document["data"]


def test_the_bot_alone_is_paused_and_resumed():
    assert data_of("trade_pause", "--scope", BOT) == {"state": "paused", "changed": True}
    assert (current_control().state, current_control(family="setup").state) == ("armed", "paused")
    assert current_control(family="rebalance").state == "armed"
    assert data_of("trade_pause", "--scope", BOT) == {"state": "paused", "changed": False}
    assert data_of("trade_resume", "--scope", BOT) == {"state": "armed", "changed": True}
    assert current_control(family="setup").state == "armed"
    assert list(AuditEntry.objects.order_by("pk").values_list("subject", flat=True)) == [BOT, BOT]


def test_a_symbol_is_paused_for_whoever_trades_it():
    data_of("trade_pause", "--scope", "symbol:BTCUSD")
    assert current_control(family="rebalance", symbol="BTCUSD").state == "paused"
    assert current_control(family="rebalance", symbol="ETHUSD").state == "armed"


def test_without_a_scope_all_trading_is_meant():
    data_of("trade_pause")
    assert current_control(family="setup").state == "paused"
    assert not ControlRow.objects.filter(scope=BOT).exists()


def test_resuming_the_bot_while_all_is_paused_says_what_still_holds():
    data_of("trade_pause")
    data_of("trade_pause", "--scope", BOT)
    assert data_of("trade_resume", "--scope", BOT) == {"state": "paused", "changed": True}
    assert current_control().state == "paused"


@pytest.mark.parametrize("command", ["trade_pause", "trade_resume"])
@pytest.mark.parametrize("scope", ["setup", "family:", "family:bot", "symbol:", "guard:limits", ""])
def test_a_scope_that_is_none_is_refused_in_words_and_changes_nothing(command, scope):
    before = list(ControlRow.objects.values())
    code, document, _ = run_command(command, "--scope", scope)
    assert code == 2
    assert "scope must be system, family:rebalance, family:setup or symbol:NAME, was" in str(document["error"])
    assert list(ControlRow.objects.values()) == before


def test_trying_it_writes_no_row():
    data_of("trade_pause", "--scope", BOT, "--dry-run")
    assert not ControlRow.objects.filter(scope=BOT).exists()


def test_known_scopes_are_kept_as_they_are():
    assert [require_scope(text) for text in ("system", BOT, "symbol:X")] == ["system", BOT, "symbol:X"]
    with pytest.raises(UnknownScopeError):
        require_scope("SYSTEM")
