"""Pulling the kill switch through its command, in the situations that it is for, judged by the venue's own ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection

from execution.brokers.magic import Family, encode_magic
from execution.models import Attempt, FillRecord, Intent, KillEvent
from execution.planning.orders import MarginMode
from execution.safety import control, flatten, killswitch
from execution.safety.control import State
from execution.safety.emergency import EmergencyLog
from execution.safety.ownership import Ownership
from execution.safety.reconcile import book_fills, reconcile
from execution.safety.unwritten import import_unwritten
from execution.sentinel import Sentinel
from execution.wire import open_site_terminal
from market.terminal.errors import TerminalRefusedError
from ops.models import Run
from simulator import metatrader5 as mt5
from tests.command_line import manage
from tests.fitted_desk import fitted_database

pytestmark = pytest.mark.slow

OURS = encode_magic(Family.REBALANCE, 123_456)
LOTS = {"BTCUSD": "0.06", "ETHUSD": "-0.50", "BNBUSD": "2.00", "SOLUSD": "-3.00", "ADAUSD": "400"}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path, margin_mode="hedging") as opened:
        yield opened


@pytest.fixture(params=["hedging", pytest.param("netting", marks=pytest.mark.deep)])
def either_desk(fitted, tmp_path, request):
    with fitted.opened(tmp_path, margin_mode=request.param) as opened:
        yield opened


def kill(*arguments: object) -> Any:
    return manage("trade_kill", "--timeout", 30, "--json", *arguments)


def open_ten(desk) -> None:
    """Trade each symbol twice, through the gate: ten positions, or five where the account nets."""
    before, each = len(mt5.positions_get()), 2 if desk.broker.account().margin_mode is MarginMode.HEDGING else 1
    for number, (symbol, lots) in enumerate(LOTS.items()):
        for part in (1, 2):
            assert desk.adjust(symbol, str(Decimal(lots) * part / 2), cause=f"slot {number}.{part}").blocker == ""
    assert len(mt5.positions_get()) == before + each * len(LOTS)


def send(symbol: str, volume: float, **request: Any) -> int:
    """Trade past the desk, as a person does at the terminal, and return the order's number."""
    tick = mt5.symbol_info_tick(symbol)
    deal = {"action": mt5.TRADE_ACTION_DEAL, "type": mt5.ORDER_TYPE_BUY, "price": tick.ask, "type_filling": 1}
    result = mt5.order_send(deal | {"symbol": symbol, "volume": volume} | request)
    assert result.retcode in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED), result
    return result.order


def rest(symbol: str, volume: float, **request: Any) -> int:
    """Place an order that waits far below the market."""
    price = round(mt5.symbol_info_tick(symbol).bid * 0.8, 2)
    waiting = {"action": mt5.TRADE_ACTION_PENDING, "type": mt5.ORDER_TYPE_BUY_LIMIT, "price": price, "type_filling": 2}
    return send(symbol, volume, **(waiting | request))


# --- closing --------------------------------------------------------------------------------------------------------


def test_ten_positions_and_an_order_go_and_what_is_not_ours_stays_and_is_named(desk):
    by_hand = send("ETHUSD", 0.3), send("BTCUSD", 0.01, magic=777)
    waiting = rest("BNBUSD", 1.0)
    open_ten(desk)
    ours = rest("SOLUSD", 2.0, magic=OURS)
    ended = kill("--reason", "wrong weights")

    assert (ended.code, ended.data["closed"], ended.data["cancelled"]) == (0, 10, 1)
    assert ended.data["flat_at"] > ended.data["latched_at"]
    assert {position.ticket for position in mt5.positions_get()} == set(by_hand)
    assert [order.ticket for order in mt5.orders_get()] == [waiting] != [ours]
    assert ended.data["foreign_untouched"] == 2
    assert ended.data["foreign"] == [
        f"ETHUSD buy 0.3 (ticket {by_hand[0]})",
        f"BTCUSD buy 0.01 (ticket {by_hand[1]})",
        f"BNBUSD buy 1 (order {waiting})",
    ]
    assert KillEvent.objects.get().cause == control.current_control().reason == "wrong weights"
    assert control.current_control().state == State.KILLED


def test_flat_is_said_after_two_reads_that_began_when_everything_was_closed(desk, monkeypatch):
    open_ten(desk)
    asked: list[str] = []
    for name in ("order_send", "positions_get", "orders_get"):
        answer = getattr(mt5, name)
        monkeypatch.setattr(mt5, name, _noted(name, answer, asked))
    assert kill().data["flat_at"]

    after = asked[len(asked) - asked[::-1].index("order_send") :]
    assert min(after.count("positions_get"), after.count("orders_get")) >= 2


def _noted(name: str, answer: Callable[..., Any], asked: list[str]) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        asked.append(name)
        return answer(*args, **kwargs)

    return noted


def test_one_read_that_shows_nothing_is_not_flat(desk, monkeypatch):
    desk.adjust("BTCUSD", "0.05")
    monkeypatch.setattr(mt5, "order_send", refusing(mt5.order_send, mt5.TRADE_RETCODE_MARKET_CLOSED, times=99))
    read, reads = flatten.read_book, []

    def flickering(broker: Any, account: Any) -> flatten.Book:
        reads.append(read(broker, account))
        nothing = flatten.Book(ownership=Ownership(ours=(), foreign=()), orders=())
        return nothing if len(reads) % 3 == 2 else reads[-1]  # the first of the two that confirm

    monkeypatch.setattr(flatten, "read_book", flickering)
    ended = kill("--timeout", 3)

    assert len(reads) > 3
    assert (ended.code, ended.data["flat_at"]) == (1, None)
    assert control.current_control().state == State.KILLING


def test_an_order_that_waits_is_taken_back_even_where_nothing_is_held(either_desk):
    rest("BTCUSD", 0.02, magic=OURS)
    ended = kill()

    assert (ended.code, ended.data["cancelled"], ended.data["closed"]) == (0, 1, 0)
    assert mt5.orders_get() == ()


def test_the_second_kill_is_the_same_as_the_first(desk):
    open_ten(desk)
    first = kill()
    deals, attempts = desk.deals(), Attempt.objects.count()
    second = kill()

    assert (first.code, second.code) == (0, 0)
    assert (desk.deals(), Attempt.objects.count()) == (deals, attempts)
    assert (second.data["closed"], control.current_control().state) == (0, State.KILLED)


def test_a_dry_run_says_what_would_be_closed_and_changes_nothing(desk):
    by_hand = send("ETHUSD", 0.3)
    desk.adjust("BTCUSD", "0.05")
    order = rest("SOLUSD", 2.0, magic=OURS)
    deals, [position] = desk.deals(), mt5.positions_get(symbol="BTCUSD")
    ended = kill("--dry-run")

    assert (ended.code, desk.deals()) == (0, deals)
    assert ended.data["would_close"] == [f"BTCUSD buy 0.05 (ticket {position.ticket})"]
    assert ended.data["would_cancel"] == [f"SOLUSD buy 2 (order {order})"]
    assert ended.data["foreign"] == [f"ETHUSD buy 0.3 (ticket {by_hand})"]
    assert control.current_control().state == State.ARMED
    assert not open_site_terminal().status().latched


# --- a venue that does not help -------------------------------------------------------------------------------------


def refusing(order_send: Callable[..., Any], retcode: int, *, times: int) -> Callable[..., Any]:
    """Answer the first requests with a code and execute the others."""
    seen: list[Any] = []

    def answer(request: dict[str, Any]) -> Any:
        seen.append(request)
        if len(seen) > times:
            return order_send(request)
        checked = mt5.OrderSendResult(*[0] * len(mt5.OrderSendResult._fields))
        details = mt5.TradeRequest(*[0] * len(mt5.TradeRequest._fields))
        return checked._replace(retcode=retcode, comment="", request=details)

    return answer


def silent(order_send: Callable[..., Any], *, executes: bool) -> Callable[..., Any]:
    """Lose the first answer, after the request was executed or without."""
    seen: list[Any] = []

    def answer(request: dict[str, Any]) -> Any:
        seen.append(request)
        done = order_send(request) if executes or len(seen) > 1 else None
        return None if len(seen) == 1 else done

    return answer


UNHELPFUL = {
    "closed for a moment": lambda send: refusing(send, mt5.TRADE_RETCODE_MARKET_CLOSED, times=1),
    "requotes": lambda send: refusing(send, mt5.TRADE_RETCODE_REQUOTE, times=1),
    "rejects": lambda send: refusing(send, mt5.TRADE_RETCODE_REJECT, times=3),
    "says it does not know": lambda send: refusing(send, mt5.TRADE_RETCODE_TIMEOUT, times=1),
    "says nothing and did it": lambda send: silent(send, executes=True),
    "says nothing and did not": lambda send: silent(send, executes=False),
}


@pytest.mark.parametrize("unhelpful", UNHELPFUL.values(), ids=UNHELPFUL)
def test_a_venue_that_fails_at_first_is_asked_again_until_everything_is_closed_once(
    either_desk, monkeypatch, unhelpful
):
    desk = either_desk
    desk.adjust("BTCUSD", "0.05")
    desk.adjust("ETHUSD", "-0.50", cause="slot 2")
    monkeypatch.setattr(mt5, "order_send", unhelpful(mt5.order_send))
    ended = kill()

    assert (ended.code, mt5.positions_get()) == (0, ())
    closes = [deal for deal in desk.deals() if deal.entry == mt5.DEAL_ENTRY_OUT]
    assert sorted((deal.symbol, deal.volume) for deal in closes) == [
        ("BTCUSD", Decimal("0.05")),
        ("ETHUSD", Decimal("0.5")),
    ]


def test_a_position_that_cannot_be_closed_keeps_the_kill_going_and_is_named(desk, monkeypatch):
    desk.adjust("BTCUSD", "0.05")
    monkeypatch.setattr(mt5, "order_send", refusing(mt5.order_send, mt5.TRADE_RETCODE_MARKET_CLOSED, times=99))
    ended = kill("--timeout", 2)

    assert (ended.code, ended.data["flat_at"]) == (1, None)
    assert ended.data["rounds"] > 2
    assert ended.document["warnings"] == ["BTCUSD is not closed yet: market closed"]
    assert control.current_control().state == State.KILLING
    monkeypatch.undo()
    Sentinel().round()
    assert mt5.positions_get() == ()
    assert control.current_control().state == State.KILLED


def test_a_kill_between_the_legs_of_a_reverse_leaves_it_flat(either_desk, monkeypatch):
    desk = either_desk
    desk.adjust("BTCUSD", "0.05")
    order_send = mt5.order_send

    def killed_after(request: dict[str, Any]) -> Any:
        done = order_send(request)
        control.armed_file().disarm()
        return done

    monkeypatch.setattr(mt5, "order_send", killed_after)
    adjusted = desk.adjust("BTCUSD", "-0.05", cause="slot 2")

    assert "the armed file is gone" in adjusted.blocker
    assert desk.lots("BTCUSD") == 0
    assert Intent.objects.get(cause_id="slot 2").status == Intent.Status.REFUSED


# --- the latch ------------------------------------------------------------------------------------------------------


def test_after_a_kill_nobody_opens_anything(either_desk):
    desk = either_desk
    desk.adjust("BTCUSD", "0.05")
    kill()
    deals = desk.deals()
    session = manage("trade_session", "--now", "--json")
    terminal = open_site_terminal()

    assert session.code == 4
    assert session.document["error"].startswith("trading is killed: killed from the command line; re-arm it with")
    assert Run.objects.get().status == Run.Status.FAILED
    assert "killed" in desk.adjust("ETHUSD", "0.50", cause="slot 2").blocker
    with pytest.raises(TerminalRefusedError, match="latched"):
        terminal.order_send({"action": 1, "symbol": "BTCUSD"}, fence=10**6, not_after=terminal.stamp() + 1)
    assert (control.armed_file().read(), terminal.status().latched) == (None, True)
    assert desk.deals() == deals


@contextmanager
def locked_database(monkeypatch) -> Iterator[None]:
    """Let another writer hold the database for the block, and ours give up soon."""
    options = connection.settings_dict["OPTIONS"] | {"timeout": 0.05, "init_command": "PRAGMA busy_timeout=50;"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    connection.close()
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield


needs_one_writer = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="one writer locks all others out of SQLite alone"
)


@needs_one_writer
def test_a_kill_while_the_database_is_locked_closes_at_once_and_is_written_when_it_is_free(either_desk, monkeypatch):
    open_ten(either_desk)
    with locked_database(monkeypatch):
        ended = kill("--timeout", "0.3")
        assert ended.code == 1
        assert "nothing new is sent, and flat, read from the broker at" in ended.complaint
        assert "the database could not be written (database is locked)" in ended.complaint
        assert mt5.positions_get() == ()
        assert control.armed_file().read() is None
        assert control.current_control().state == State.KILLED
        assert open_site_terminal().status().latched
        assert not KillEvent.objects.exists()
    n_deals = len(either_desk.deals())
    Sentinel().round()
    Sentinel().round()

    assert KillEvent.objects.get().flat_at is not None
    assert len(either_desk.deals()) == n_deals


@needs_one_writer
def test_the_sentinel_alone_closes_while_the_database_is_locked(either_desk, monkeypatch):
    """Somebody took the armed file away, and nothing else is left that could close."""
    open_ten(either_desk)
    sentinel = Sentinel()
    sentinel.round()
    control.armed_file().disarm()
    with locked_database(monkeypatch):
        sentinel.round()
        assert mt5.positions_get() == ()
    n_deals = len(either_desk.deals())
    for _ in range(2):
        sentinel.round()

    assert KillEvent.objects.get().flat_at is not None
    assert len(either_desk.deals()) == n_deals


@needs_one_writer
def test_a_locked_database_alone_makes_the_sentinel_close_nothing(desk, monkeypatch):
    open_ten(desk)
    sentinel = Sentinel()
    sentinel.round()
    with locked_database(monkeypatch):
        sentinel.round()
    assert len(mt5.positions_get()) == 10


@needs_one_writer
def test_what_was_closed_without_the_database_is_booked_once_and_to_the_cent(either_desk, monkeypatch):
    open_ten(either_desk)
    before = Intent.objects.count()
    with locked_database(monkeypatch):
        kill("--timeout", "0.3")
    Sentinel().round()
    emergencies = Intent.objects.filter(cause_id__startswith="emergency")
    n_closes = emergencies.count()
    Sentinel().round()

    assert n_closes == emergencies.count() == Intent.objects.count() - before
    assert not Attempt.objects.unresolved().exists()
    assert set(emergencies.values_list("status", flat=True)) == {Intent.Status.DONE}
    assert not FillRecord.objects.filter(intent=None, magic__gt=0).exists()
    venue = {(deal.ticket, deal.magic, f"{deal.profit:.2f}") for deal in either_desk.deals()}
    booked = FillRecord.objects.exclude(symbol="").values_list("deal_id", "magic", "profit")
    assert {(deal, magic, f"{profit:.2f}") for deal, magic, profit in booked} == venue
    assert reconcile(either_desk.broker).ownership.doubtful == frozenset()


@needs_one_writer
def test_lines_that_were_not_taken_out_in_time_are_booked_once(desk, monkeypatch):
    """As after a crash between the rows and the file, and with deals that a session has stored already."""
    open_ten(desk)
    with locked_database(monkeypatch):
        kill("--timeout", "0.3")
    book_fills(desk.broker, desk.account)
    assert FillRecord.objects.filter(intent=None, magic__gt=0).count() == 10
    monkeypatch.setattr(EmergencyLog, "clear", lambda log, entries: False)
    assert [import_unwritten(desk.account) for _ in range(2)] == [10, 0]
    monkeypatch.undo()

    assert not FillRecord.objects.filter(intent=None, magic__gt=0).exists()
    assert Intent.objects.filter(cause_id__startswith="emergency").count() == 10
    reconcile(desk.broker)
    assert EmergencyLog(desk.state_dir / "safety").entries() == []


@needs_one_writer
def test_somebody_elses_position_is_left_alone_without_the_database_too(either_desk, monkeypatch):
    either_desk.adjust("BTCUSD", "0.05")
    send("ETHUSD", 0.5)
    theirs = rest("BNBUSD", 1.0)
    rest("SOLUSD", 2.0, magic=OURS)
    with locked_database(monkeypatch):
        kill("--timeout", "0.3")

    assert [(p.symbol, p.volume) for p in mt5.positions_get()] == [("ETHUSD", 0.5)]
    assert [order.ticket for order in mt5.orders_get()] == [theirs]


@needs_one_writer
def test_what_cannot_be_written_anywhere_is_not_sent(desk, monkeypatch):
    desk.adjust("BTCUSD", "0.05")
    monkeypatch.setattr(EmergencyLog, "_write", full_disk)
    with locked_database(monkeypatch):
        ended = kill("--timeout", "0.3")

    assert "not everything is closed ([Errno 28] No space left on device): close by hand" in ended.complaint
    assert len(mt5.positions_get()) == 1


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_kill_waits_for_the_database_and_then_closes(desk, monkeypatch):
    desk.adjust("BTCUSD", "0.05")
    write, tries = killswitch._write_kill, []

    def locked_at_first(*args: Any, **kwargs: Any) -> KillEvent:
        tries.append(control.armed_file().read())
        if len(tries) < 4:
            raise OperationalError("database is locked")
        return write(*args, **kwargs)

    monkeypatch.setattr(killswitch, "_write_kill", locked_at_first)
    ended = kill()

    assert (ended.code, mt5.positions_get()) == (0, ())
    assert tries == [None] * 4  # the file was gone each time before the rows were tried
