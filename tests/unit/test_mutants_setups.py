"""The rules of the bot's entries where one step more or less, or something that was not read, would let one through."""

from __future__ import annotations

from datetime import timedelta

import pytest

from execution.planning.orders import Side
from execution.safety.risk import Exposure, SetupStanding, Verdict, evaluate
from tests.execution_builders import NOON, D, make_account, make_context, make_request

STOP = D("59100")
BOTS_RULES = ("resting_stop", "setup_symbol", "setup_positions", "setup_daily_loss", "setup_cooldown")


def standing(**changes) -> SetupStanding:
    """Return a bot that may have one trade, lost nothing of 50,000 yet, and may lose a hundredth of it."""
    values = {"n_open": 0, "holds_symbol": False, "day_result": D(0), "day_start": D(50_000), "cooldown_until": None}
    return SetupStanding(**values | {"max_positions": 1, "daily_loss": D("0.01")} | changes)


def verdict(rule: str, request: dict | None = None, **context) -> Verdict:
    asked = {"family": "setup", "stop": STOP, "worst_loss": D(90)} | (request or {})
    context = {"standing": standing(), "market_at": NOON} | context
    return {v.rule: v for v in evaluate(make_request("0.1", **asked), make_context(**context))}[rule]


def test_an_entry_that_meets_all_rules_of_the_bot_passes():
    assert [verdict(rule).ok for rule in BOTS_RULES] == [True] * 5


@pytest.mark.parametrize("rule", BOTS_RULES)
def test_an_order_of_the_session_is_asked_for_nothing_of_the_bots(rule):
    lost = standing(n_open=9, holds_symbol=True, day_result=D(-9000), cooldown_until=NOON + timedelta(days=1))
    session = {"family": "rebalance", "stop": None, "worst_loss": D(0)}
    for known in (lost, None):
        found = verdict(rule, session, standing=known, exposure=Exposure(long_lots=D("0.1")))
        assert (found.ok, found.message) == (True, "the order is not the bot's")


@pytest.mark.parametrize("rule", [rule for rule in BOTS_RULES if rule != "resting_stop"])
def test_what_was_not_read_about_the_bot_refuses(rule):
    assert verdict(rule, standing=None).code == "unknown"


@pytest.mark.parametrize(
    ("rule", "missing"), [("setup_symbol", "exposure"), ("setup_cooldown", "market_at"), ("risk_per_trade", "account")]
)
def test_what_was_not_read_about_the_market_or_the_account_refuses(rule, missing):
    assert verdict(rule, **{missing: None}).code == "unknown"


def test_an_entry_without_a_stop_and_one_whose_stop_loses_nothing_are_told_apart():
    assert verdict("resting_stop", {"stop": None}).code == "no_stop"
    assert verdict("resting_stop", {"worst_loss": D(0)}).code == "stop_on_wrong_side"
    assert verdict("resting_stop", {"worst_loss": D("0.01")}).ok


@pytest.mark.parametrize("side", [{"long_lots": D("0.1")}, {"short_lots": D("0.1")}, {"pending_buy_lots": D("0.1")}])
@pytest.mark.parametrize("lots", ["0.1", "-0.1"])
def test_whatever_is_held_or_asked_for_of_a_symbol_keeps_the_bot_out_of_it(side, lots):
    request = make_request(lots, family="setup", stop=STOP)
    context = make_context(standing=standing(), exposure=Exposure(**side))
    assert {v.rule: v.ok for v in evaluate(request, context)}["setup_symbol"] is False


def test_a_hedge_is_held_although_its_sides_cancel_out():
    hedge = Exposure(long_lots=D("0.1"), short_lots=D("0.1"))
    found = verdict("setup_symbol", exposure=hedge)
    assert (found.ok, found.message.startswith("0.2 lots of BTCUSD are held")) == (False, True)


def test_a_trade_of_the_bots_own_that_nobody_sees_at_the_venue_yet_is_held():
    assert not verdict("setup_symbol", standing=standing(holds_symbol=True)).ok


@pytest.mark.parametrize(("n_open", "most", "ok"), [(0, 0, False), (0, 1, True), (1, 1, False), (1, 2, True)])
def test_the_trade_that_is_asked_for_counts_among_the_bots(n_open, most, ok):
    found = verdict("setup_positions", standing=standing(n_open=n_open, max_positions=most))
    assert (found.ok, found.message) == (ok, f"the bot would have {n_open + 1} trades open, allowed are {most}")


@pytest.mark.parametrize(("result", "ok"), [("500", True), ("0", True), ("-499.99", True), ("-500", False)])
def test_a_days_loss_ends_at_its_share_of_the_first_balance(result, ok):
    assert verdict("setup_daily_loss", standing=standing(day_result=D(result))).ok is ok


def test_after_a_loss_the_symbol_waits_to_the_second():
    until = NOON + timedelta(minutes=45)
    waiting = {"standing": standing(cooldown_until=until)}
    found = verdict("setup_cooldown", market_at=until - timedelta(seconds=1), **waiting)
    assert (found.ok, found.message) == (False, "a loss keeps BTCUSD waiting until 2025-03-03 12:45 UTC")
    assert verdict("setup_cooldown", market_at=until, **waiting).ok
    assert verdict("setup_cooldown").message == "no loss in this symbol to recover from"


def test_one_orders_loss_is_bounded_by_the_equity_and_not_by_the_balance():
    # 1 % of 80,000 is 800.
    account = make_account(balance="100000", equity="80000")
    for loss, ok in (("0", True), ("800", True), ("800.01", False), ("-0.01", False)):
        assert verdict("risk_per_trade", {"worst_loss": D(loss)}, account=account).ok is ok


@pytest.mark.parametrize(("name", "bad"), [("day_result", "NaN"), ("day_start", "-0.01"), ("daily_loss", "-0.01")])
def test_a_standing_is_made_of_numbers(name, bad):
    with pytest.raises(ValueError, match=name):
        standing(**{name: D(bad)})
    assert standing(day_start=D(0), daily_loss=D(0)).day_start == 0


def test_a_side_and_its_opposite_are_asked_about_alike():
    short = Exposure(short_lots=D("0.1"))
    assert [short.possible(side) for side in Side] == [0, D("0.1")]
