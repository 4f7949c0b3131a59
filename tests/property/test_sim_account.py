"""Whatever is traded and whatever the market does, the simulated account's books agree with themselves."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import triggers
from simulator.ledger import Ledger
from simulator.market import Market
from tests.sim_builders import deal, make_world, moment, mt5, pending, shown, stops

pytestmark = pytest.mark.slow

START = moment("2026-01-05T08:00")
SYMBOLS = ("BTCUSD", "ETHUSD")
DEPOSIT = Decimal("1600.00")  # small, at 1:30: stop-outs happen
MARKET = Market.synthetic(7, SYMBOLS, end_ms=moment("2026-03-01T00:00"))

lots = st.sampled_from([0.01, 0.05, 0.25, 0.5, 1.0])
symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from([mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL])
away = st.sampled_from([0.0001, 0.001, 0.003, 0.01])  # of the price; the first is nearer than the stops level
one = st.integers(0, 5)
trades = st.one_of(
    st.tuples(st.just("deal"), symbols, sides, lots, away, away),
    st.tuples(st.just("bare deal"), symbols, sides, lots),
    st.tuples(st.just("all in"), symbols, sides),
    st.tuples(st.just("pending"), symbols, st.integers(2, 7), lots, away),
    st.tuples(st.just("stops"), one, away, away),
)
waits = st.tuples(st.just("wait"), st.sampled_from([1, 20, 300, 1500]))  # minutes
operations = st.one_of(
    trades,
    trades,
    waits,
    st.tuples(st.just("close"), one, st.sampled_from([0.01, 0.5, 1.0])),
    st.tuples(st.just("close by"), one, one),
    st.tuples(st.just("remove"), one),
    st.tuples(st.just("restart")),
)
histories = st.lists(operations, min_size=12, max_size=30)
steps = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def near(symbol, share):
    """Return a price on the grid, some share of the bid away from it."""
    return round(mt5.symbol_info_tick(symbol).bid * (1 + share), 2)


def around(symbol, side, sl, tp):
    """Return a stop and a target on their sides of the price."""
    direction = 1 if side == mt5.ORDER_TYPE_BUY else -1
    return {"symbol": symbol, "sl": near(symbol, -direction * sl), "tp": near(symbol, direction * tp)}


def chosen(rows, i):
    return rows[i % len(rows)] if rows else None


def all_in(symbol, side):
    """Take nearly all the free margin, so that a stop-out is near."""
    worth = mt5.account_info().margin_free * 30 / mt5.symbol_info_tick(symbol).ask
    mt5.order_send(deal(side, max(0.01, round(0.95 * worth - 0.005, 2)), symbol=symbol))


def close(i, part):
    """Close a part of a position."""
    position = chosen(mt5.positions_get(), i)
    if position is not None:
        volume = max(0.01, float(round(Decimal(str(position.volume)) * Decimal(str(part)), 2)))
        mt5.order_send(deal(1 - position.type, volume, symbol=position.symbol, position=position.ticket))


def close_by(i, j):
    one, other = chosen(mt5.positions_get(), i), chosen(mt5.positions_get(), j)
    if one is not None:
        request = {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": one.ticket, "position_by": other.ticket}
        mt5.order_send(request)


def place(symbol, order_type, volume, share):
    """Wait for a price: sell limits, buy stops and buy stop-limits wait above the market."""
    direction = 1 if order_type in (3, 4, 6) else -1
    beyond = -1 if order_type == mt5.ORDER_TYPE_BUY_STOP_LIMIT else 1
    price = near(symbol, direction * share)
    pending(order_type, price, volume, symbol=symbol, stoplimit=round(price * (1 + beyond * 0.0005), 2))


def set_stops(i, sl, tp):
    position = chosen(mt5.positions_get(), i)
    if position is not None:
        stops(position.ticket, **around(position.symbol, position.type, sl, tp))


def remove(i):
    order = chosen(mt5.orders_get(), i)
    if order is not None:
        mt5.order_send({"action": mt5.TRADE_ACTION_REMOVE, "order": order.ticket})


def books():
    """Return everything that the ledger holds."""
    ledger = mt5.mounted_account().ledger
    return ledger.account(), ledger.positions(), ledger.orders(), ledger.history_orders(), ledger.deals()


def restart(world):
    """End the terminal and start it again on the same ledger: nothing has changed."""
    before = books()
    mt5.unmount()
    mt5.mount(world)
    assert mt5.initialize()
    assert books() == before


ACTIONS: dict[str, Callable[..., Any]] = {
    "deal": lambda world, symbol, side, volume, sl, tp: mt5.order_send(
        deal(side, volume, **around(symbol, side, sl, tp))
    ),
    "bare deal": lambda world, symbol, side, volume: mt5.order_send(deal(side, volume, symbol=symbol)),
    "all in": lambda world, *arguments: all_in(*arguments),
    "close": lambda world, *arguments: close(*arguments),
    "close by": lambda world, *arguments: close_by(*arguments),
    "pending": lambda world, *arguments: place(*arguments),
    "stops": lambda world, *arguments: set_stops(*arguments),
    "remove": lambda world, *arguments: remove(*arguments),
    "wait": lambda world, minutes: world.after(minutes=minutes),
    "restart": restart,
}


def signed(side: int, volume: Decimal) -> Decimal:
    return volume if side == mt5.ORDER_TYPE_BUY else -volume


def balance_is_the_sum_of_the_deals(ledger):
    total = sum((d.profit + d.swap + d.commission for d in ledger.deals()), Decimal(0))
    assert ledger.balance() == total
    assert Decimal(str(mt5.account_info().balance)) == total
    assert ledger.deals()[0].profit == DEPOSIT


def fills_add_up_to_positions(ledger):
    held: dict[int, Decimal] = defaultdict(Decimal)
    for d in ledger.deals()[1:]:
        held[d.position_id] += signed(d.type, d.volume)
    open_ = {p.identifier: signed(p.type, p.volume) for p in ledger.positions()}
    assert {i: v for i, v in held.items() if v} == open_


def equity_is_balance_and_floating(ledger):
    """Floating profit is worked out here from the quotes alone."""
    floating = Decimal(0)
    for p in ledger.positions():
        tick = mt5.symbol_info_tick(p.symbol)
        close, direction = (tick.bid, 1) if p.type == mt5.POSITION_TYPE_BUY else (tick.ask, -1)
        gain = (Decimal(str(close)) - Decimal(str(p.price_open))) * p.volume * direction
        floating += gain.quantize(Decimal("0.01"), ROUND_HALF_UP) + p.swap
    info = mt5.account_info()
    assert Decimal(str(round(info.equity, 2))) == ledger.balance() + floating
    assert info.margin_free == pytest.approx(info.equity - info.margin, abs=1e-6)


def no_ticket_is_used_twice(ledger):
    orders = [o.ticket for o in [*ledger.orders(), *ledger.history_orders()]]
    deals = [d.ticket for d in ledger.deals()]
    assert len(set(orders)) == len(orders)
    assert deals == sorted(set(deals))
    assert {d.order_ticket for d in ledger.deals()[1:]} <= set(orders)


def every_profit_is_what_the_fills_paid(ledger):
    """Money out less money in, over closed positions, is their profit but for a rounded cent a deal."""
    open_ = {p.identifier for p in ledger.positions()}
    paid: dict[int, Decimal] = defaultdict(Decimal)
    earned: dict[int, Decimal] = defaultdict(Decimal)
    for d in ledger.deals()[1:]:
        paid[d.position_id] -= signed(d.type, d.volume) * Decimal(str(d.price))
        earned[d.position_id] += d.profit
    n = len(ledger.deals())
    assert all(abs(paid[i] - earned[i]) <= Decimal("0.0051") * n for i in paid if i not in open_)


def time_never_goes_back(ledger):
    times = [d.time_ms for d in ledger.deals()]
    assert times == sorted(times)
    assert all(o.done_ms >= o.setup_ms for o in ledger.history_orders())


INVARIANTS = (
    balance_is_the_sum_of_the_deals,
    fills_add_up_to_positions,
    equity_is_balance_and_floating,
    no_ticket_is_used_twice,
    every_profit_is_what_the_fills_paid,
    time_never_goes_back,
)


def live(margin_mode: str, actions) -> None:
    """Do some operations, checking all invariants after each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        config: dict[str, Any] = {"margin_mode": margin_mode, "balance": float(DEPOSIT), "leverage": 30}
        world = make_world(market=MARKET, ledger_path=path, now_ms=START, **config)
        with shown(world):
            for name, *arguments in actions:
                ACTIONS[name](world, *arguments)
                for invariant in INVARIANTS:
                    invariant(mt5.mounted_account().ledger)
            if margin_mode == "netting":
                held = [p.symbol for p in mt5.positions_get()]
                assert len(held) == len(set(held))
            judge = Ledger(path)
            assert judge.balance() == mt5.mounted_account().ledger.balance()
            judge.close()


@steps
@given(histories)
def test_hedging_books_agree(actions):
    live("hedging", actions)


@steps
@given(histories)
def test_netting_books_agree(actions):
    live("netting", actions)


@settings(steps, max_examples=8)
@given(
    st.sampled_from(["hedging", "netting"]),
    st.lists(trades, min_size=4, max_size=12),
    st.lists(trades, min_size=0, max_size=6),
)
def test_scanning_the_path_finds_what_looking_at_every_tick_finds(margin_mode, first, second):
    def end():
        config: dict[str, Any] = {"margin_mode": margin_mode, "balance": float(DEPOSIT), "leverage": 30}
        world = make_world(market=MARKET, now_ms=START, **config)
        with shown(world):
            for batch in (first, second):
                for name, *arguments in batch:
                    ACTIONS[name](world, *arguments)
                world.after(hours=2)
            return books()[1:]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triggers, "may_matter", lambda account, path: np.ones(len(path.time_ms), np.bool_))
        every_tick = end()
    assert end() == every_tick


def test_the_account_does_not_depend_on_how_often_it_is_looked_at():
    """The same trades over the same path end in the same books, moved on in one step or in many."""
    ends = []
    for minutes in (24 * 60, 47):
        world = make_world(market=MARKET, now_ms=START, balance=2000.0, leverage=30)
        with shown(world):
            mt5.order_send(deal(mt5.ORDER_TYPE_BUY, 0.2, sl=near("BTCUSD", -0.02), tp=near("BTCUSD", 0.015)))
            mt5.order_send(deal(mt5.ORDER_TYPE_SELL, 5.0, symbol="ETHUSD"))
            for i in range(8):
                pending(2 + i % 4, near("BTCUSD", 0.004 * (1 + i // 4) * (-1, 1, 1, -1)[i % 4]), 0.01)
            end = START + 10 * 24 * 3_600_000
            while world.clock.t_ms < end:
                world.go(min(end, world.clock.t_ms + minutes * 60_000))
            ends.append(books()[1:])
    assert ends[0] == ends[1]
    assert len(ends[0][3]) > 5
