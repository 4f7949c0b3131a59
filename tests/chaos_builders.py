"""Facts for the judge, written by hand: a lawful course and small changes of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from execution.chaos.facts import (
    BUY,
    DEAL,
    OUR_PREFIX,
    PREFIX_AT_BIT,
    SELL,
    Attempt,
    Books,
    BotTrade,
    Change,
    Deal,
    Decision,
    Facts,
    Holding,
    Intent,
    Request,
)

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
NINE = 1_767_603_600_000  # 2026-01-05T09:00Z
SLOT = NINE + 45 * SECOND
NAME, OTHER = "BTCUSD", "ETHUSD"
OURS = OUR_PREFIX << PREFIX_AT_BIT
OPENED, CLOSED = OURS + 1, OURS + 2
BOTS = OURS | 2 << 36 | 1  # the bot's first magic number
ENTERED, LEFT = NINE + 15 * MINUTE + 5 * SECOND, NINE + 40 * MINUTE
GRID = (Decimal("0.01"), Decimal("0.01"), Decimal(100))
D = Decimal


def books(*holdings: Holding) -> Books:
    """Return what the venue held: a lot is worth 90,000 and equity 100,000."""
    return Books(
        equity=D(100_000),
        holdings=holdings,
        lot_values={NAME: D(90_000), OTHER: D(3_000)},
        mid=D(90_000),
        grid=GRID,
    )


def held(volume: str, *, side: int = BUY, ticket: int = 501, magic: int = OPENED) -> Holding:
    return Holding(ticket=ticket, symbol=NAME, side=side, volume=D(volume), magic=magic)


def request(number: int, at_ms: int, volume: str, *, side: int = BUY, magic: int = OPENED, **more) -> Request:
    values = {"price": "90000", "answered": D(volume) if volume[:1].isdigit() else D(0), "deal": 200 + number}
    values |= {"market_ms": at_ms, "books": books(), "last_deal": 200 + number - 1, "symbol": NAME, "action": DEAL}
    return Request(number=number, at_ms=at_ms, side=side, volume=volume, magic=magic, **(values | more))


def attempt(number: int, at_ms: int, volume: str, *, side: int = BUY, magic: int = OPENED, **more) -> Attempt:
    values = {"reduces": False, "fence": 1, "replied_ms": at_ms, "resolved_ms": at_ms, "symbol": NAME} | more
    return Attempt(number=number, at_ms=at_ms, volume=D(volume), side=side, magic=magic, **values)


def deal(ticket: int, at_ms: int, volume: str, *, side: int = BUY, entry: int = 0, magic: int = OPENED, **more) -> Deal:
    values = {"symbol": NAME, "position_id": 501} | more
    return Deal(ticket=ticket, at_ms=at_ms, volume=D(volume), side=side, entry=entry, magic=magic, **values)


def intent(magic: int, start: str, target: str, *, hour: int = NINE, cause: str = "session", **more) -> Intent:
    values = {"bar_ms": hour - HOUR, "capital": D(20_000), "login": 7, "server": "S", "symbol": NAME} | more
    return Intent(magic=magic, cause=cause, cause_id=str(hour), start=D(start), target=D(target), **values)


def decision(
    at_ms: int, target: str, *, verdict: str = "traded", blocker: str = "", magic: int | None = None
) -> Decision:
    return Decision(
        symbol=NAME, slot=str(at_ms), market_ms=at_ms, target=D(target), verdict=verdict, blocker=blocker, magic=magic
    )


def lawful(**changes) -> Facts:
    """Return a course that opens 0.1 lots at nine and closes a half of them at ten, on a hedging account."""
    later = SLOT + HOUR
    course = Facts(
        login=7,
        server="S",
        requests=(
            request(1, SLOT, "0.1"),
            request(2, later, "0.05", side=SELL, magic=CLOSED, position=501, books=books(held("0.1"))),
        ),
        attempts=(
            attempt(1, SLOT, "0.1"),
            attempt(2, later, "0.05", side=SELL, magic=CLOSED, reduces=True),
        ),
        deals=(deal(201, SLOT, "0.1"), deal(202, later, "0.05", side=SELL, entry=1, magic=CLOSED)),
        holdings=(held("0.05"),),
        intents={OPENED: intent(OPENED, "0", "0.1"), CLOSED: intent(CLOSED, "0.1", "0.05", hour=NINE + HOUR)},
        decisions=(decision(SLOT, "0.1", magic=OPENED), decision(later, "0.05", magic=CLOSED)),
        changes=(Change(at_ms=0, scope="system", state="armed"),),
        end_ms=NINE + 2 * HOUR,
    )
    return replace(course, **changes)


def with_bot(**changes) -> Facts:
    """Return the lawful course beside which the bot enters another symbol for its setup 5, and loses it at its stop."""
    course, levels = lawful(), {"price": "3000", "stop": "2955", "target": "3030"}
    entry = request(
        3, ENTERED, "0.2", magic=BOTS, symbol=OTHER, books=replace(books(held("0.1")), mid=D(3000)), **levels
    )
    meant = intent(BOTS, "0", "0.2", cause="setup", symbol=OTHER, bar_ms=None, capital=None, market_ms=ENTERED)
    trade = BotTrade(
        magic=BOTS,
        setup=5,
        symbol=OTHER,
        status="closed",
        deadline_ms=NINE + 75 * MINUTE,
        result=D("-9.31"),
        booked=D("-9.31"),
    )
    bots = {"symbol": OTHER, "magic": BOTS, "position_id": 601}
    with_it = replace(
        course,
        requests=(course.requests[0], entry, course.requests[1]),
        attempts=(*course.attempts, attempt(3, ENTERED, "0.2", magic=BOTS, symbol=OTHER)),
        deals=(
            *course.deals,
            deal(203, ENTERED, "0.2", money=D("-0.3"), **bots),
            deal(204, LEFT, "0.2", side=SELL, entry=1, money=D("-9.01"), by_program=False, **bots),
        ),
        intents={**course.intents, BOTS: replace(meant, cause_id="5:enter")},
        trades=(trade,),
        looked_ms=course.end_ms - 10 * MINUTE,
    )
    return replace(with_it, **changes)


def the_trade(**changes) -> tuple[BotTrade, ...]:
    """Return that course's only trade, changed."""
    return (replace(with_bot().trades[0], **changes),)


def while_held(**changes) -> Facts:
    """Return that course while the bot still holds its position, half of its time being over."""
    held_yet = replace(held("0.2", ticket=601, magic=BOTS), symbol=OTHER, has_stop=True)
    until = {"deals": with_bot().deals[:-1], "holdings": (*lawful().holdings, held_yet), "looked_ms": NINE + HOUR}
    return with_bot(**{"trades": the_trade(status="open", result=None, booked=None), **until, **changes})


def with_entry(**changes) -> Facts:
    """Return the lawful course with another first request."""
    course = lawful()
    return replace(course, requests=(replace(course.requests[0], **changes), *course.requests[1:]))


def with_close(**changes) -> Facts:
    """Return the lawful course with another second request."""
    course = lawful()
    return replace(course, requests=(course.requests[0], replace(course.requests[1], **changes)))


def state(at_ms: int, name: str, scope: str = "system") -> tuple[Change, ...]:
    return (Change(at_ms=0, scope="system", state="armed"), Change(at_ms=at_ms, scope=scope, state=name))


def netting(**changes) -> Facts:
    """Return the same course on a netting account."""
    return replace(lawful(), hedging=False, **changes)
