"""A desk that trades the last hours of the real files through its commands, and what came of it.

It begins with the history that precedes those hours, fits its models on it, runs the session of every slot, and at the
end reduces one position by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from execution.models import Decision, FillRecord, Intent, RebalanceSettings
from execution.planning.orders import AccountSnapshot
from execution.sessions.slots import HOUR, SlotRule, slot_of
from market.symbols import default_symbols
from ops import clock
from simulator import control, metatrader5
from simulator.ledger import Deal
from simulator.market import Market
from strategies import registry
from tests.desk import Desk, SteppedClock, open_desk
from tests.fits_builders import run_command

END = datetime(2026, 5, 1, tzinfo=UTC)  # of the files
COINS = ("BTC", "ETH", "BNB")
SYMBOLS = tuple(f"{coin}USD" for coin in COINS)
# At the end this one is reduced by hand, which realises the swap of a part of a position and of whole ones.
REDUCED, REDUCED_PCT = "ETHUSD", Decimal("0.1")

Files = dict[str, tuple[Path, Path]]  # of each symbol: the long series, and the one that goes on where it ends


@dataclass(frozen=True, slots=True)
class Course:
    """What is run."""

    margin_mode: str
    n_slots: int  # the last so many
    sizing_capital: int
    future_is_stored: bool  # import the files whole: nobody may look at what has not happened yet

    @property
    def slots(self) -> list[datetime]:
        """Return the hours whose slots are run."""
        return [END - HOUR * n for n in range(self.n_slots, 0, -1)]

    @property
    def capital(self) -> Decimal:
        """Return each symbol's share of the capital."""
        return Decimal(self.sizing_capital) / len(SYMBOLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One session: when it had to act, how its command ended, and what the venue held after it."""

    due: datetime
    code: int
    data: dict[str, Any]
    held: dict[str, Decimal]  # signed lots


@dataclass(kw_only=True)
class Replayed:
    """What came of a course: plain facts, so that each test asks one question of them."""

    course: Course
    market: Market
    imported: list[dict[str, Any]]
    fitted: dict[str, Any]
    models: dict[str, tuple[registry.LoadedModel, ...]]
    turns: list[Turn] = field(default_factory=list)  # one of each slot, and the last by hand
    signal: dict[str, Any] = field(default_factory=dict)
    signal_mids: dict[str, Decimal] = field(default_factory=dict)
    stored_by_signal: int = -1
    decisions: list[Decision] = field(default_factory=list)  # of the slots, and the last by hand
    intents: dict[int, Intent] = field(default_factory=dict)
    fills: list[FillRecord] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)  # the venue's own trades
    account: AccountSnapshot | None = None


class MovingClock(SteppedClock):
    """A stepped clock on which both times go on while somebody waits: the market's and the machine's."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        control.step(self.market_now() + timedelta(seconds=seconds))

    def sleep_until(self, moment: datetime) -> None:
        """Let both times pass until a moment of the market."""
        self.sleep((moment - self.market_now()).total_seconds())


def replay(course: Course, files: Files, folder: Path) -> Replayed:
    """Run a course in a folder, from the import of its history to the end of the market."""
    world = {"replay": tuple(str(path) for paths in files.values() for path in paths)}
    opened = open_desk(folder, start=course.slots[0], margin_mode=course.margin_mode, **world)
    with opened as desk, clock.use(MovingClock(desk.clock.path)) as moving:
        done = _begun(course, files, folder, desk)
        for hour in course.slots:
            due = slot_of(hour, SlotRule()).at
            moving.sleep_until(due - timedelta(seconds=1))
            done.turns.append(_turn(desk, due))  # its command waits for the last second
        _ask_signal(desk, done)
        RebalanceSettings.objects.update(max_position_pct=REDUCED_PCT)
        done.turns.append(_turn(desk, clock.market_now(), "--now", "--symbol", REDUCED))
        moving.sleep_until(END)
        _look(desk, done)
    return done


def _begun(course: Course, files: Files, folder: Path, desk: Desk) -> Replayed:
    """Bring in the history and fit the models on what precedes the course."""
    default_symbols()
    RebalanceSettings.objects.update_or_create(pk=1, defaults={"sizing_capital": course.sizing_capital})
    imported = []
    for symbol, (long, full) in files.items():
        newest = full if course.future_is_stored else _cut(full, course.slots[0], folder)
        imported += _succeeded("data_import", str(long), str(newest), "--symbol", symbol)["files"]
    _succeeded("data_update")
    fitted = _succeeded("fit_models", "--until", course.slots[0].isoformat())
    models = {symbol: registry.active(symbol) for symbol in SYMBOLS}
    return Replayed(course=course, market=desk.world.market, imported=imported, fitted=fitted, models=models)


def _cut(path: Path, begin: datetime, folder: Path) -> Path:
    """Return the rows that a desk could have had when the course begins."""
    rows = pd.read_parquet(path)
    rows[rows["open_time"] < begin.timestamp() * 1000].to_parquet(folder / path.name)
    return folder / path.name


def _succeeded(command: str, *arguments: str) -> dict[str, Any]:
    code, document, errors = run_command(command, *arguments)
    assert (code, errors) == (0, ""), (command, document)
    return document["data"]


def _turn(desk: Desk, due: datetime, *arguments: str) -> Turn:
    code, document, _ = run_command("trade_session", *arguments)
    held = {symbol: desk.lots(symbol) for symbol in SYMBOLS}
    return Turn(due=due, code=code, data=document["data"], held=held)


def _ask_signal(desk: Desk, done: Replayed) -> None:
    before = Decision.objects.count() + Intent.objects.count() + len(desk.deals())
    done.signal = _succeeded("signal_run")
    done.stored_by_signal = Decision.objects.count() + Intent.objects.count() + len(desk.deals()) - before
    for symbol in SYMBOLS:
        tick = metatrader5.symbol_info_tick(symbol)
        done.signal_mids[symbol] = (exact(tick.bid) + exact(tick.ask)) / 2


def _look(desk: Desk, done: Replayed) -> None:
    done.account = desk.broker.account()
    done.deals = desk.deals()
    done.decisions = list(Decision.objects.order_by("id"))
    done.intents = Intent.objects.in_bulk()
    done.fills = list(FillRecord.objects.order_by("deal_id"))


def exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))
