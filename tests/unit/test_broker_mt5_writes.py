"""The MetaTrader 5 adapter writes: what it sends, and that every way a write can end is a result."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace

import pytest

from execution.brokers.base import OrderTicket, Permit, Protection, Reduction, require_done
from execution.errors import BrokerUnavailableError, OrderRejectedError, OutcomeUnknownError
from execution.planning.orders import Side
from execution.safety.outcomes import Outcome
from market.terminal.errors import TerminalOutcomeUnknownError, TerminalRefusedError, TerminalUnavailableError
from tests.execution_builders import D, make_position
from tests.scripted_terminal import ScriptedTerminal, account_info, make_broker, sent, symbol_info

PERMIT = Permit(fence=7, not_after=1000.0)
TICKET = OrderTicket(symbol="BTCUSD", side=Side.BUY, volume=D("0.1"), magic=77, comment="slot 12")


def test_an_entry_carries_everything_it_needs_and_the_permit():
    terminal = ScriptedTerminal()
    ticket = OrderTicket(
        symbol="BTCUSD",
        side=Side.BUY,
        volume=D("0.1"),
        magic=77,
        comment="slot 12",
        stop=D("59000.004"),
        target=D("62000"),
    )
    result = make_broker(terminal).submit(ticket, PERMIT)
    ((request, terms),) = terminal.writes
    assert request == {
        "action": 1,
        "symbol": "BTCUSD",
        "volume": 0.1,
        "type": 0,
        "price": 60_006.0,
        "deviation": 30_003,  # 0.5 % of the price, in points
        "magic": 77,
        "comment": "slot-12",
        "type_time": 0,
        "type_filling": 1,
        "sl": 59_000.0,
        "tp": 62_000.0,
    }
    assert terms == {"fence": 7, "not_after": 1000.0, "reduce": False}
    assert (result.outcome, result.deal_id, result.order_id) == (Outcome.OK, 9, 8)
    assert (result.volume, result.price, result.sent_mono) == (D("0.1"), D("60006"), 995.0)
    assert require_done(result) is result


def test_what_was_sent_and_answered_fits_into_json():
    raw = make_broker(ScriptedTerminal(order_send=sent(bid=float("nan")))).submit(TICKET, PERMIT).raw
    assert json.loads(json.dumps(raw, allow_nan=False))["reply"]["bid"] == "nan"
    assert raw["reply"]["request"]["action"] == 0
    assert raw["last_error"] == [1, "Success"]


def test_a_close_carries_its_ticket_and_what_is_expected():
    terminal = ScriptedTerminal()
    position = make_position("-0.3", ticket=5)
    make_broker(terminal).reduce(Reduction(position=position, volume=D("0.1"), magic=78), PERMIT)
    ((request, terms),) = terminal.writes
    assert (request["position"], request["type"], request["volume"]) == (5, 0, 0.1)
    expected = terms["expected"]
    assert (expected.ticket, expected.symbol, expected.side, expected.volume) == (5, "BTCUSD", "sell", 0.3)


def test_a_close_without_ticket_on_a_hedging_account_is_not_sent():
    terminal = ScriptedTerminal()
    reduction = Reduction(position=make_position("0.3", ticket=0), volume=D("0.1"), magic=78)
    result = make_broker(terminal).reduce(reduction, PERMIT)
    assert (result.outcome, terminal.writes) == (Outcome.REJECT, [])


def test_a_close_of_more_than_the_position_cannot_be_asked_for():
    with pytest.raises(ValueError, match=r"at most the 0\.3 lots"):
        Reduction(position=make_position("0.3"), volume=D("0.31"), magic=1)


def test_a_protection_sets_or_removes_levels():
    terminal = ScriptedTerminal(order_send=sent(deal=0, volume=0.0))
    protection = Protection(symbol="BTCUSD", side=Side.BUY, ticket=5, stop=D("59000"))
    result = make_broker(terminal).protect(protection, PERMIT)
    assert terminal.writes[0][0] == {"action": 6, "symbol": "BTCUSD", "position": 5, "sl": 59_000.0, "tp": 0.0}
    assert result.outcome is Outcome.OK


@pytest.mark.parametrize(("side", "stop"), [(Side.BUY, "60000.01"), (Side.BUY, "59999.9"), (Side.SELL, "60010")])
def test_a_stop_too_near_or_on_the_wrong_side_is_not_sent(side, stop):
    # The spread is 6: without a stated distance two spreads are kept, from 60,000 for a long, 60,006 for a short.
    terminal = ScriptedTerminal()
    ticket = OrderTicket(symbol="BTCUSD", side=side, volume=D("0.1"), magic=77, stop=D(stop))
    result = make_broker(terminal).submit(ticket, PERMIT)
    assert (result.outcome, terminal.writes) == (Outcome.REJECT, [])
    assert "must be at least" in result.message


def test_a_cancel_passes_the_latch_as_a_reduction():
    terminal = ScriptedTerminal(order_send=sent(deal=0))
    assert make_broker(terminal).cancel(6, PERMIT).outcome is Outcome.OK
    assert terminal.writes == [({"action": 8, "order": 6}, {"fence": 7, "not_after": 1000.0, "reduce": True})]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TerminalUnavailableError("EXPIRED"), Outcome.LATER),
        (TerminalOutcomeUnknownError("the child was killed"), Outcome.AMBIGUOUS),
        (TerminalRefusedError("latched"), Outcome.HALT),
        (TerminalRefusedError("fence"), Outcome.HALT),
        (TerminalRefusedError("not_after"), Outcome.LATER),
        (TerminalRefusedError("reduce"), Outcome.REJECT),
        (TerminalRefusedError("something new"), Outcome.AMBIGUOUS),
        (ValueError("not JSON"), Outcome.AMBIGUOUS),
        (KeyError("last_error"), Outcome.AMBIGUOUS),
        (ConnectionResetError("reset"), Outcome.AMBIGUOUS),
    ],
)
def test_a_write_without_an_answer_is_a_result_too(error, outcome):
    result = make_broker(ScriptedTerminal(order_send=error)).submit(TICKET, PERMIT)
    assert (result.outcome, result.retcode, result.volume) == (outcome, None, D("0"))
    assert result.sent_mono == PERMIT.not_after
    assert result.raw["request"]["symbol"] == "BTCUSD"


@pytest.mark.parametrize("function", ["account_info", "symbol_info", "symbol_info_tick"])
def test_nothing_is_sent_when_what_an_order_needs_cannot_be_read(function):
    terminal = ScriptedTerminal(**{function: None})
    result = make_broker(terminal).submit(TICKET, PERMIT)
    assert (result.outcome, terminal.writes) == (Outcome.LATER, [])


@pytest.mark.parametrize("write", ["submit", "reduce", "protect", "cancel"])
def test_nothing_is_sent_to_another_account(write):
    terminal = ScriptedTerminal(account_info=account_info(login=2002))
    broker = make_broker(terminal)
    requests = {
        "submit": TICKET,
        "reduce": Reduction(position=make_position("0.3"), volume=D("0.1"), magic=1),
        "protect": Protection(symbol="BTCUSD", side=Side.BUY, ticket=5, stop=D("59000")),
        "cancel": 6,
    }
    result = getattr(broker, write)(requests[write], PERMIT)
    assert (result.outcome, terminal.writes) == (Outcome.HALT, [])


@pytest.mark.parametrize(
    ("answer", "last_error", "outcome"),
    [
        (None, (-10002, "IPC recv failed"), Outcome.AMBIGUOUS),
        (None, (1, "Success"), Outcome.AMBIGUOUS),
        (None, (-2, 'Invalid "comment" argument'), Outcome.REJECT),
        (sent(10004, deal=0), (1, ""), Outcome.REPRICE),
        (sent(10008, deal=0), (1, ""), Outcome.AMBIGUOUS),
        (sent(10010, volume=0.04), (1, ""), Outcome.PARTIAL),
        (sent(10009, volume=float("nan")), (1, ""), Outcome.AMBIGUOUS),
        (sent(4242), (1, ""), Outcome.AMBIGUOUS),
        ("nonsense", (1, ""), Outcome.AMBIGUOUS),
        (SimpleNamespace(retcode="done"), (1, ""), Outcome.AMBIGUOUS),
    ],
)
def test_every_answer_is_classified(answer, last_error, outcome):
    terminal = ScriptedTerminal(order_send=answer)
    terminal.last_error = last_error
    assert make_broker(terminal).submit(TICKET, PERMIT).outcome is outcome


def test_a_refusals_echo_of_the_volume_is_not_a_fill():
    assert make_broker(ScriptedTerminal(order_send=sent(10006, deal=0))).submit(TICKET, PERMIT).volume == 0


@pytest.mark.parametrize(
    ("retcode", "error"),
    [(10012, OutcomeUnknownError), (10018, BrokerUnavailableError), (10006, OrderRejectedError)],
)
def test_an_outcome_can_be_had_as_an_error(retcode, error):
    result = make_broker(ScriptedTerminal(order_send=sent(retcode, deal=0))).submit(TICKET, PERMIT)
    with pytest.raises(error) as caught:
        require_done(result)
    assert caught.value.code == retcode


def test_the_clock_of_permits_is_the_terminals():
    assert make_broker().stamp() == 990.0


def test_a_symbol_without_a_filling_type_halts():
    terminal = ScriptedTerminal(symbol_info=symbol_info(filling_mode=0))
    result = make_broker(terminal).submit(TICKET, PERMIT)
    assert (result.outcome, terminal.writes) == (Outcome.HALT, [])


def test_a_volume_of_an_order_is_a_decimal_until_the_very_end():
    request = ScriptedTerminal()
    volume = sum([Decimal("0.1")] * 3, Decimal(0))
    make_broker(request).submit(OrderTicket(symbol="BTCUSD", side=Side.BUY, volume=volume, magic=1), PERMIT)
    assert request.writes[0][0]["volume"] == 0.3
