"""The bot's accounts beside MetaTrader 5: whether they answer, and are armed."""

from __future__ import annotations

from collections.abc import Iterator

from execution.errors import BrokerUnavailableError, ConfigError
from execution.safety.control import armed_mark
from execution.trading_venues import MT5, venues_in_use
from execution.venues import named_broker
from tradingsite.health.finding import Finding, fail, ok, skip, warn


def check_venues() -> Iterator[Finding]:
    """Connect to each account that the bot trades at Binance, and look whether it is the one that was armed."""
    keys = [key for key in venues_in_use() if key != MT5]
    if not keys:
        yield skip("venues", "the bot trades at MetaTrader 5 alone")
    for key in keys:
        yield from _venue(key)


def _venue(broker_key: str) -> Iterator[Finding]:
    try:
        with named_broker(broker_key, patient=False) as broker:
            account = broker.account()
    except ConfigError as error:
        yield fail(broker_key, str(error), fix="set it in .env, or switch the bot's symbols there off in the admin")
        return
    except BrokerUnavailableError as error:
        yield fail(broker_key, str(error), fix="manage.py doctor venues")
        return
    yield ok(broker_key, f"…{str(account.login)[-4:]} {account.server}, {account.equity:.2f} {account.currency}")
    mark = armed_mark()
    if mark is not None and not mark.covers(account.login, account.server):
        yield warn(f"{broker_key} armed", "not among the accounts that were armed", fix="manage.py trade_arm --check")
