"""The setup bot for tests: its values, and a desk on which it trades what a test puts before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

from execution.safety.risk import SetupStanding
from execution.sessions.bot import BotSession
from execution.sessions.bot_reports import BotReport
from execution.sessions.bot_slots import BotSlot, slot_at
from mlfilter.models import BotSettings, BotSymbol, Setup
from ops import clock
from simulator import constants as mt5
from simulator import metatrader5, trading
from simulator.ledger import Deal
from simulator.ledger import Position as VenuePosition
from simulator.structs import TradeRequest
from tests.desk import Desk
from tests.execution_builders import D

SYMBOL = "SOLUSD"
QUARTER = timedelta(minutes=15)


def make_standing(**changes: Any) -> SetupStanding:
    """Return a bot without trades: 100,000 at the last reset, of which it may lose two per cent a day."""
    values: dict[str, Any] = {
        "n_open": 0,
        "holds_symbol": False,
        "day_result": D(0),
        "day_start": D(100_000),
        "cooldown_until": None,
        "max_positions": 3,
        "daily_loss": D("0.02"),
    }
    return SetupStanding(**values | changes)


def watch_symbol(name: str = SYMBOL, **changes: Any) -> BotSymbol:
    """Let the bot watch a symbol of the simulated terminal."""
    values = {"broker": "mt5", "data_symbol": f"{name}T", "interval": "15m"}
    return BotSymbol.objects.get_or_create(name=name, defaults=values | changes)[0]


def bot_slot() -> BotSlot:
    """Return the slot of the bar that has closed last."""
    return slot_at(clock.market_now(), "15m", QUARTER)


def found_setup(
    desk: Desk,
    *,
    symbol: str = SYMBOL,
    direction: str = "long",
    stop_pct: float = 0.015,
    target_pct: float = 0.02,
    bar_at: datetime | None = None,
    approved: bool = True,
) -> Setup:
    """Store a setup of the newest closed bar at the venue's price, as a scan does; found again, it is the same row."""
    sign = 1 if direction == "long" else -1
    entry = float(desk.broker.quote(symbol).mid)
    levels = {"entry": entry, "stop": entry * (1 - sign * stop_pct), "target": entry * (1 + sign * target_pct)}
    decided = {"confidence": 0.8, "threshold": 0.65, "approved": approved, "data_symbol": f"{symbol}T"}
    key = {"symbol": symbol, "broker": "mt5", "interval": "15m", "bar_at": bar_at or bot_slot().bar_at}
    return Setup.objects.get_or_create(**key, direction=direction, defaults=levels | decided)[0]


@contextmanager
def scanning(*setups: Setup) -> Iterator[None]:
    """Let the bot's scan find these setups, each in its own symbol and bar, and nothing else."""

    def scan(symbol: BotSymbol, *, now: datetime, settings: BotSettings) -> tuple[Setup, ...]:
        rows = Setup.objects.filter(pk__in=[setup.pk for setup in setups], symbol=symbol.name)
        return tuple(rows.filter(bar_at=slot_at(now, symbol.interval, QUARTER).bar_at))

    with mock.patch("mlfilter.scanning.scan", scan), mock.patch("execution.sessions.bot.bring_recent"):
        yield


def bot_bar(desk: Desk, *setups: Setup) -> BotReport:
    """Run the bot on the newest closed bar, in which it finds these setups."""
    with scanning(*setups):
        symbols = list(BotSymbol.objects.enabled().filter(broker="mt5"))
        return BotSession(broker=desk.broker, symbols=symbols).run(None, bot_slot())


def next_bar(desk: Desk) -> None:
    """Let time pass until the next bar has closed and its run is due."""
    slot = bot_slot()
    desk.step(slot.at + QUARTER - clock.market_now())


# --- the venue's own ledger ------------------------------------------------------------------------------------------


def venue_positions(symbol: str = SYMBOL) -> list[VenuePosition]:
    """Return what the ledger holds of a symbol."""
    return [p for p in metatrader5.mounted_account().ledger.positions() if p.symbol == symbol]


def venue_deals(symbol: str = SYMBOL) -> list[Deal]:
    """Return what was executed in a symbol, in the order in which it happened."""
    return [deal for deal in metatrader5.mounted_account().ledger.deals() if deal.symbol == symbol]


def set_levels(ticket: int, *, symbol: str = SYMBOL, stop: float = 0.0, target: float = 0.0) -> None:
    """Change a position's stop and target in the terminal's own window; 0 takes one away."""
    fields = dict.fromkeys(TradeRequest._fields, 0) | {"action": mt5.TRADE_ACTION_SLTP, "symbol": symbol}
    fields |= {"position": ticket, "sl": stop, "tp": target, "comment": ""}
    done = trading.send(metatrader5.mounted_account(), TradeRequest(**fields), 1)
    assert done.retcode == mt5.TRADE_RETCODE_DONE, done


def money(value: Decimal | float) -> Decimal:
    """Return an amount in whole cents."""
    return Decimal(str(value)).quantize(Decimal("0.01"))
