"""The last look at a write, over the wire of a running desk: what comes too late is refused where it would act."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from market.terminal.client import Terminal
from market.terminal.errors import TerminalRefusedError
from tests.processes.sessions import reach_next_slot

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes: demo desk")]
SYMBOL, LOTS = "SOLUSD", 1.0  # nothing that the desk trades
DONE, DEAL, BUY, SELL, FOK = 10009, 1, 0, 1, 0
IN_TIME_S = 2.0


@pytest.fixture(scope="module")
def quiet_desk(demo_desk):
    reach_next_slot(demo_desk)  # which took the trading lease: there is a token that can be old
    with demo_desk.market.slow():
        yield demo_desk


@pytest.fixture
def terminal(quiet_desk) -> Iterator[Terminal]:
    """Return a client of the desk's wire, and require that the venue executed nothing of what it sent."""
    before = quiet_desk.venue.deals()
    with quiet_desk.terminal() as terminal:
        yield terminal
    assert quiet_desk.venue.deals() == before


def order(terminal: Terminal, kind: int = BUY, **more: object) -> dict[str, object]:
    tick = terminal.call("symbol_info_tick", SYMBOL).value
    price = tick.ask if kind == BUY else tick.bid
    basic = {"action": DEAL, "symbol": SYMBOL, "volume": LOTS, "type": kind, "price": price, "type_filling": FOK}
    return basic | more


def refusal(terminal: Terminal, *, fence: int | None = None, ahead_s: float = IN_TIME_S) -> str:
    """Return why an order is refused that would be executed on the usual terms."""
    token = terminal.status().highest_fence if fence is None else fence
    request = order(terminal)
    with pytest.raises(TerminalRefusedError) as refused:
        terminal.order_send(request, fence=token, not_after=terminal.stamp() + ahead_s)
    return refused.value.reason


def test_a_write_after_the_latch_is_refused(terminal):
    terminal.latch()
    try:
        assert refusal(terminal) == "latched"
    finally:
        terminal.unlatch()


def test_a_write_after_its_time_is_refused(terminal):
    assert refusal(terminal, ahead_s=-0.001) == "not_after"


def test_a_write_of_a_trader_that_has_been_replaced_is_refused(terminal):
    newest = terminal.status().highest_fence
    assert newest >= 1
    assert refusal(terminal, fence=newest - 1) == "fence"


def test_the_same_write_on_the_usual_terms_is_executed(quiet_desk):
    with quiet_desk.terminal() as terminal:
        terms = {"fence": terminal.status().highest_fence}
        opened = terminal.order_send(order(terminal), not_after=terminal.stamp() + IN_TIME_S, **terms).value
        assert opened.retcode == DONE
        assert quiet_desk.venue.deals()[-1].ticket == opened.deal

        close = order(terminal, SELL, position=opened.order)
        closed = terminal.order_send(close, not_after=terminal.stamp() + IN_TIME_S, reduce=True, **terms).value
        assert closed.retcode == DONE
    assert SYMBOL not in {holding.symbol for holding in quiet_desk.venue.holdings()}
