"""Which account the desk attaches to."""

from __future__ import annotations

import pytest

from execution.errors import ConfigError
from execution.wire import configured_login


@pytest.mark.parametrize(("login", "server"), [(0, "Real-1"), (7, ""), (0, "")])
def test_real_money_is_never_traded_on_whichever_account_the_terminal_shows(settings, login, server):
    settings.TRADING_MODE, settings.MT5_LOGIN, settings.MT5_SERVER = "live", login, server

    with pytest.raises(ConfigError, match="MT5_LOGIN and MT5_SERVER"):
        configured_login()


def test_the_account_of_the_settings_is_the_one(settings):
    settings.TRADING_MODE, settings.MT5_LOGIN, settings.MT5_SERVER = "live", 7, "Real-1"

    found = configured_login()

    assert (found.login, found.server) == (7, "Real-1")


def test_elsewhere_the_terminals_own_account_will_do(settings):
    settings.TRADING_MODE, settings.MT5_LOGIN = "paper", 0

    assert configured_login() is None
