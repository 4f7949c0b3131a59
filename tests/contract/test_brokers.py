"""What every broker must do: each entry of ``BROKERS`` is opened at its simulated venue, which is the judge."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from execution.brokers import BROKERS
from execution.brokers.base import Capabilities, Protection
from execution.errors import BrokerUnavailableError
from execution.planning.orders import MarginMode, Side
from execution.safety.outcomes import Outcome
from tests.broker_conformance import (
    HARNESSES,
    MAGIC,
    OTHER_MAGIC,
    MissingHarnessError,
    close,
    entered,
    held,
    kinds_of,
    level,
    lots,
    open_harness,
    permit,
    state,
    ticket,
)

pytestmark = pytest.mark.slow

READS = {
    "account": lambda desk: desk.broker.account(),
    "spec": lambda desk: desk.broker.spec(desk.symbol),
    "quote": lambda desk: desk.broker.quote(desk.symbol),
    "positions": lambda desk: desk.broker.positions(),
    "working_orders": lambda desk: desk.broker.working_orders(),
    "fills_since": lambda desk: desk.broker.fills_since(desk.begin),
    "cash_since": lambda desk: desk.broker.cash_since(desk.begin),
}


# --- the registry ------------------------------------------------------------------------------------------------


def test_every_broker_can_be_opened_at_a_simulated_venue():
    assert set(BROKERS) == set(HARNESSES)


def test_a_broker_without_a_harness_fails_with_what_is_to_be_written(tmp_path):
    assert kinds_of("moonshot") == ("no harness",)
    with pytest.raises(MissingHarnessError, match=r"broker 'moonshot' has no harness.* methods of Harness.* HARNESSES"):
        open_harness("moonshot", "no harness", tmp_path)


# --- reads ---------------------------------------------------------------------------------------------------------


def test_a_new_account_is_flat_and_known(desk):
    account, spec, quote = desk.broker.account(), desk.broker.spec(desk.symbol), desk.broker.quote(desk.symbol)
    assert desk.broker.positions() == desk.broker.working_orders() == desk.broker.fills_since(desk.begin) == ()
    assert (spec.symbol, quote.symbol) == (desk.symbol, desk.symbol)
    assert account.balance == account.equity > 0
    assert (account.trade_allowed, account.trade_expert) == (True, True)
    assert timedelta(0) <= desk.now() - quote.at < timedelta(minutes=2)
    again = desk.broker.account()
    assert (again.login, again.server, again.margin_mode) == (account.login, account.server, account.margin_mode)


def test_after_a_write_all_reads_tell_of_it(desk):
    before = desk.now()
    result = entered(desk)
    (position,), (fill,) = held(desk), desk.broker.fills_since(desk.begin)
    assert (position.side, position.volume, position.magic) == (Side.BUY, lots(desk), MAGIC)
    assert (fill.side, fill.volume, fill.magic, fill.symbol) == (Side.BUY, lots(desk), MAGIC, desk.symbol)
    assert (fill.position_id, fill.price) == (position.ticket, position.price_open)
    assert (result.deal_id, result.order_id) == (fill.deal_id, fill.order_id)
    assert (result.volume, result.price) == (fill.volume, fill.price)
    assert before - timedelta(seconds=2) <= position.opened_at <= desk.now()
    assert desk.broker.working_orders() == ()
    assert desk.net_lots() == lots(desk)


def test_every_number_is_a_decimal_and_every_time_aware_utc(desk):
    entered(desk, stop=level(desk, "0.9"))
    desk.rest_order(magic=OTHER_MAGIC)
    for read in READS.values():
        found = read(desk)
        for value in found if isinstance(found, tuple) else (found,):
            for field in fields(value):
                assert_plain(field.name, field.type, getattr(value, field.name))


def assert_plain(name: str, kind: str, content: object) -> None:
    assert not isinstance(content, float), f"{name} is a float: {content}"
    if "Decimal" in kind and content is not None:
        assert isinstance(content, Decimal), name
        assert content.is_finite(), name
    if isinstance(content, datetime):
        assert content.tzinfo is UTC, name


def test_an_order_that_rests_is_read_with_its_magic(desk):
    order_id = desk.rest_order(magic=MAGIC)
    (order,) = desk.broker.working_orders()
    assert (order.order_id, order.symbol, order.side, order.magic) == (order_id, desk.symbol, Side.BUY, MAGIC)
    assert order.volume_left > 0
    assert (order.position_ticket, held(desk)) == (None, ())


@pytest.mark.parametrize("read", READS)
def test_a_read_that_fails_is_no_empty_answer(desk, read):
    entered(desk)
    desk.rest_order(magic=MAGIC)
    with desk.mute(), pytest.raises(BrokerUnavailableError):
        READS[read](desk)
    assert READS[read](desk)


def test_deals_are_numbered_once_in_order_and_add_up_to_the_balance(desk):
    for volume in (lots(desk, 3), lots(desk)):
        entered(desk, volume)
        desk.pass_time(timedelta(minutes=7))
    for position in held(desk):
        assert close(desk, position, position.volume).outcome is Outcome.OK
    fills, cash = desk.broker.fills_since(desk.begin), desk.broker.cash_since(desk.begin)
    numbers = [deal.deal_id for deal in (*fills, *cash)]
    assert len(set(numbers)) == len(numbers)
    assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)
    traded = sum(fill.profit + fill.commission + fill.swap + fill.fee for fill in fills)
    assert desk.broker.account().balance == traded + sum(movement.amount for movement in cash)
    assert sum(fill.signed_volume for fill in fills) == desk.net_lots() == 0


def test_deals_are_told_from_the_moment_on(desk):
    desk.pass_time(timedelta(minutes=7))
    entered(desk)
    desk.pass_time(timedelta(minutes=7))
    entered(desk)
    first, second = desk.broker.fills_since(desk.begin)
    assert desk.broker.fills_since(second.at) == (second,)
    assert desk.broker.fills_since(second.at + timedelta(seconds=1)) == ()
    assert desk.broker.cash_since(first.at) == ()


# --- writes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
def test_a_position_is_opened_reduced_and_closed(desk, side):
    if side is Side.SELL and not desk.broker.capabilities.can_short:
        assert not desk.broker.submit(ticket(desk, side=side), permit(desk)).outcome.may_have_executed
        return
    entered(desk, lots(desk, 3), side)
    for volume, left in ((lots(desk), lots(desk, 2)), (lots(desk, 2), Decimal(0))):
        result = close(desk, *held(desk), volume)
        assert (result.outcome, result.volume) == (Outcome.OK, volume)
        assert sum(p.volume for p in held(desk)) == left == abs(desk.net_lots())
    fills = desk.broker.fills_since(desk.begin)
    assert [fill.magic for fill in fills] == [MAGIC, OTHER_MAGIC, OTHER_MAGIC]
    assert sum(fill.signed_volume for fill in fills) == 0


def test_stops_are_set_moved_and_taken_away(desk):
    entered(desk)
    (position,) = held(desk)
    for stop, target in ((level(desk, "0.9"), level(desk, "1.1")), (level(desk, "0.8"), None), (None, None)):
        where = {"symbol": desk.symbol, "side": Side.BUY, "ticket": position.ticket, "stop": stop, "target": target}
        assert desk.broker.protect(Protection(**where), permit(desk)).outcome is Outcome.OK
        assert [(p.stop, p.target) for p in held(desk)] == [(stop, target)]
        assert desk.broker.protect(Protection(**where), permit(desk)).outcome in (Outcome.NOOP, Outcome.OK)


def test_what_rests_is_taken_back_once(desk):
    order_id = desk.rest_order(magic=MAGIC)
    assert desk.broker.cancel(order_id, permit(desk)).outcome is Outcome.OK
    assert desk.broker.working_orders() == ()
    assert not desk.broker.cancel(order_id, permit(desk)).outcome.may_have_executed


def test_a_reduction_of_what_has_changed_or_is_gone_does_nothing(desk):
    entered(desk, lots(desk, 3))
    (seen,) = held(desk)
    for volume, left in ((lots(desk), lots(desk, 2)), (lots(desk, 2), Decimal(0))):
        assert close(desk, *held(desk), volume).outcome is Outcome.OK
        assert (close(desk, seen, lots(desk)).outcome, desk.net_lots()) == (Outcome.REJECT, left)


@pytest.mark.parametrize("claim", ["another side", "another ticket", "more than there is"])
def test_a_reduction_never_opens_whatever_it_claims_to_close(desk, claim):
    entered(desk)
    (position,) = held(desk)
    made_up = {
        "another side": {"side": position.side.opposite},
        "another ticket": {"ticket": position.ticket + 999},
        "more than there is": {"volume": position.volume * 2},
    }[claim]
    claimed = replace(position, **made_up)
    assert (close(desk, claimed, claimed.volume).outcome, desk.net_lots()) == (Outcome.REJECT, lots(desk))


# --- what it says of itself ----------------------------------------------------------------------------------------


def test_each_entry_of_a_hedging_account_is_closed_by_its_own_number(desk):
    is_hedging = desk.broker.account().margin_mode is MarginMode.HEDGING
    first, second = (entered(desk, lots(desk, times)) and held(desk) for times in (1, 2))
    assert len(second) == (2 if is_hedging else 1)
    if not (is_hedging and desk.broker.capabilities.closes_by_ticket):
        return
    (older,) = first
    assert close(desk, older, older.volume).outcome is Outcome.OK
    (left,) = held(desk)
    assert (left.volume, left.ticket) == (lots(desk, 2), next(p.ticket for p in second if p.ticket != older.ticket))


def test_stop_and_target_ride_on_the_entry_where_it_says_so(desk):
    stop, target = level(desk, "0.9"), level(desk, "1.1")
    result = desk.broker.submit(ticket(desk, stop=stop, target=target), permit(desk))
    if desk.broker.capabilities.stops_with_entry:
        assert [(p.stop, p.target) for p in held(desk)] == [(stop, target)]
        assert result.outcome is Outcome.OK
    else:
        assert (result.outcome, held(desk)) == (Outcome.REJECT, ())


def test_every_capability_is_a_plain_yes_or_no(desk):
    capabilities = desk.broker.capabilities
    assert isinstance(capabilities, Capabilities)
    assert {type(getattr(capabilities, field.name)) for field in fields(capabilities)} == {bool}


def test_connecting_again_changes_nothing(desk):
    entered(desk)
    before, heard = state(desk), desk.heard()
    desk.broker.connect()
    assert (state(desk), desk.heard()) == (before, heard)
