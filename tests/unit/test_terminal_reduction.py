"""What the server takes for a reduction, and what it does not."""

from __future__ import annotations

import math

import pytest

from market.terminal.errors import TerminalRefusedError, TerminalUnavailableError
from market.terminal.reduction import Expected, require_reduction
from tests import terminal_fakes as fake


@pytest.fixture(autouse=True)
def account(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_TERMINAL_DIR", str(tmp_path))
    return fake.put_account


def close(**changes):
    return {"action": 1, "symbol": "BTCUSD", "volume": 0.3, "type": 1, "position": 7} | changes


def why_not(request, expected=None) -> str:
    with pytest.raises(TerminalRefusedError) as refused:
        require_reduction(fake, request, expected)
    assert refused.value.reason == "reduce"
    return refused.value.message


@pytest.mark.parametrize("volume", [0.3, 0.1, 0.1 + 0.2])
def test_closing_a_ticket_or_a_part_of_it_is_a_reduction(account, volume) -> None:
    account(positions=[fake.LONG])
    require_reduction(fake, close(volume=volume), None)
    require_reduction(fake, close(volume=volume), Expected(7, "BTCUSD", "buy", 0.3))


def test_buying_closes_a_short(account) -> None:
    account(positions=[fake.LONG | {"type": 1}])
    require_reduction(fake, close(type=0), Expected(7, "BTCUSD", "sell", 0.3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": None}, "'position' is the ticket"),
        ({"position": 0}, "'position' is the ticket"),
        ({"position": 7.0}, "'position' is the ticket"),
        ({"position": True}, "'position' is the ticket"),
        ({"position": 8}, "there is no position 8"),
        ({"symbol": "ETHUSD"}, "position 7 is in BTCUSD"),
        ({"symbol": None}, "position 7 is in BTCUSD"),
        ({"type": 0}, "closed by type 1, was 0"),
        ({"type": 3}, "closed by type 1, was 3"),
        ({"type": None}, "closed by type 1, was None"),
        ({"volume": 0.31}, "at most the position's 0.3 lots, was 0.31"),
        ({"volume": 0.0}, "above 0"),
        ({"volume": -0.1}, "above 0"),
        ({"volume": math.nan}, "above 0"),
        ({"volume": math.inf}, "at most"),
        ({"volume": True}, "at most"),
        ({"volume": "0.1"}, "at most"),
        ({"action": 5}, "no close of a position"),
        ({"action": 6}, "no close of a position"),
        ({"action": 7}, "no close of a position"),
        ({"action": 10}, "no close of a position"),
        ({"action": None}, "no close of a position"),
    ],
)
def test_on_a_hedging_account_nothing_else_is(account, changes, message) -> None:
    account(positions=[fake.LONG])
    assert message in why_not(close(**changes))


@pytest.mark.parametrize("position", [None, 0, 7])
def test_on_a_netting_account_the_net_position_may_be_closed(account, position) -> None:
    account(margin_mode=fake.NETTING, positions=[fake.LONG])
    require_reduction(fake, close(position=position), Expected(None, "BTCUSD", "buy", 0.3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbol": "ETHUSD"}, "ETHUSD has 0 positions"),
        ({"symbol": None}, "names its symbol"),
        ({"position": 8}, "the position of BTCUSD is 7"),
        ({"type": 0}, "closed by type 1"),
        ({"volume": 0.4}, "at most the position's 0.3 lots"),  # it would flip the position
    ],
)
def test_on_a_netting_account_nothing_else_may(account, changes, message) -> None:
    account(margin_mode=fake.NETTING, positions=[fake.LONG])
    assert message in why_not(close(**changes))


@pytest.mark.parametrize(
    "expected",
    [
        Expected(8, "BTCUSD", "buy", 0.3),
        Expected(7, "ETHUSD", "buy", 0.3),
        Expected(7, "BTCUSD", "sell", 0.3),
        Expected(7, "BTCUSD", "buy", 0.2),
        Expected(7, "BTCUSD", "buy", 0.4),
    ],
)
def test_a_position_that_differs_from_the_expected_one_is_not_touched(account, expected) -> None:
    account(positions=[fake.LONG])
    assert "position 7 is buy 0.3 BTCUSD; expected" in why_not(close(volume=0.1), expected)


@pytest.mark.parametrize(
    "type_", [0, 1, 2, 7], ids=["buy on its way", "sell on its way", "buy limit", "sell stop limit"]
)
def test_cancelling_a_working_order_is_a_reduction(account, type_) -> None:
    account(orders=[{"ticket": 5, "type": type_, "symbol": "BTCUSD"}])
    require_reduction(fake, {"action": 8, "order": 5}, None)


@pytest.mark.parametrize(
    ("request_", "orders"),
    [
        ({"action": 8, "order": 5}, []),
        ({"action": 8, "order": 5}, [{"ticket": 6, "type": 2, "symbol": "BTCUSD"}]),
        ({"action": 8}, [{"ticket": 5, "type": 2, "symbol": "BTCUSD"}]),
    ],
)
def test_cancelling_what_is_no_working_order_is_none(account, request_, orders) -> None:
    account(orders=orders)
    why_not(request_)


def test_a_cancel_is_not_a_reduction_of_an_expected_position(account) -> None:
    account(orders=[{"ticket": 5, "type": 2, "symbol": "BTCUSD"}])
    why_not({"action": 8, "order": 5}, Expected(7, "BTCUSD", "buy", 0.3))


@pytest.mark.parametrize("request_", [close(), {"action": 8, "order": 5}])
def test_a_read_that_fails_is_not_flat(account, request_) -> None:
    account(readable=False)
    with pytest.raises(TerminalUnavailableError, match=r"nothing was sent: .* last_error \(-10004"):
        require_reduction(fake, request_, None)


@pytest.mark.parametrize(("side", "volume"), [("long", 0.1), ("buy", 0.0), ("buy", math.nan), ("buy", math.inf)])
def test_an_expected_position_makes_sense(side, volume) -> None:
    with pytest.raises(ValueError, match=r"side is buy or sell|above zero lots"):
        Expected(None, "BTCUSD", side, volume)
