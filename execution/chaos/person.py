"""What a person does during a run, through the services that pages and commands use, and in the terminal's window."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from loguru import logger

from execution.brokers.base import Broker
from execution.brokers.magic import is_ours
from execution.chaos.desk import VirtualDesk
from execution.chaos.facts import BUY, is_the_bots
from execution.errors import ExecutionError
from execution.models import ControlRow, FillRecord
from execution.planning.orders import MarginMode, Side
from execution.rearm import arm, arm_phrase
from execution.safety import control, killswitch
from execution.safety.control import State
from execution.safety.reconcile import reconcile
from execution.wire import the_broker
from market.errors import MarketError
from market.terminal.errors import TerminalError
from ops.audit import Actor
from ops.models import AuditEntry

PERSON = Actor(name="person", source=AuditEntry.Source.PAGE)
FAILURES = (ExecutionError, MarketError, TerminalError)


def pause(symbol: str = "") -> bool:
    """Pause the desk or one symbol."""
    return control.pause(PERSON, reason="chaos", scope=f"symbol:{symbol}" if symbol else ControlRow.SYSTEM)


def kill() -> None:
    """Pull the kill switch."""
    killswitch.latch(PERSON, cause="chaos")


def get_going() -> list[str]:
    """Arm what is killed and flat, resume what is paused, and return what was done."""
    done = [f"resume {row.scope}" for row in ControlRow.objects.order_by("scope") if _resumed(row)]
    system = ControlRow.objects.filter(scope=ControlRow.SYSTEM).first()
    if system is not None and system.state == State.KILLED:
        try:
            arm(PERSON, phrase=arm_phrase(), reason="chaos is over", start=State.PAUSED)
        except FAILURES as error:
            logger.info("not armed: {}", error)
            return [*done, f"arm: {error}"]
        control.resume(PERSON, reason="chaos is over")
        done.append("arm")
    return done


def _resumed(row: ControlRow) -> bool:
    return row.state == State.PAUSED and control.resume(PERSON, reason="chaos is over", scope=row.scope)


@dataclass(frozen=True, slots=True)
class Stranger:
    """Lots on the account that are nobody's here."""

    symbol: str
    lots: Decimal  # signed
    ticket: int  # 0 where the account nets


def tidy(desk: VirtualDesk) -> list[str]:
    """Close by hand what other people have left on the account, so that the desk may go on; return what was closed."""
    try:
        with the_broker(patient=False) as broker:
            reconcile(broker)
            strangers = _strangers(broker)
    except FAILURES as error:
        return [f"tidy: {error}"]
    return [f"close {s.lots} {s.symbol} by hand: {_close(desk, s)}" for s in strangers]


def touch_the_bots(desk: VirtualDesk, *, closes: bool) -> list[str]:
    """Close a position of the bot's by hand or take its stop away, without any reason; return what was done."""
    held = next((position for position in desk.positions() if is_the_bots(position.magic)), None)
    if held is None:
        return []
    if not closes:
        return [f"take the stop of {held.ticket} away: {desk.take_stop_by_hand(held.symbol, held.ticket)}"]
    side = "buy" if held.type == BUY else "sell"
    lots = held.volume if side == "buy" else -held.volume
    return [f"close the bot's {held.ticket} by hand: {_close(desk, Stranger(held.symbol, lots, held.ticket))}"]


def _strangers(broker: Broker) -> list[Stranger]:
    """Return foreign positions; on a netting account what all deals add up to that no intent of ours has made."""
    positions = broker.positions()
    if broker.account().margin_mode is MarginMode.HEDGING:
        return [Stranger(p.symbol, p.signed_volume, p.ticket) for p in positions if not is_ours(p.magic)]
    lots: dict[str, Decimal] = defaultdict(Decimal)
    for fill in FillRecord.objects.exclude(symbol="").filter(intent=None):
        lots[fill.symbol] += fill.volume if fill.side == Side.BUY else -fill.volume
    return [Stranger(symbol, net, 0) for symbol, net in sorted(lots.items()) if net]


def _close(desk: VirtualDesk, stranger: Stranger) -> int:
    side = "sell" if stranger.lots > 0 else "buy"
    return desk.trade_by_hand(stranger.symbol, side, abs(stranger.lots), position=stranger.ticket)
