"""Positions of the bot without a resting stop: each gets its stop, or is closed, within seconds of being seen.

The sentinel sweeps with every look at the account, the trader after its own entries where a venue takes no stop with
them. Nothing here waits for the other: setting the same stop twice, or closing a ticket twice, does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from loguru import logger

from execution.bot.standing import is_the_bots
from execution.brokers.base import Protection, SendResult
from execution.brokers.magic import Family
from execution.models import BotTrade, Intent, LegRecord
from execution.planning.orders import Leg, Position, Scene
from execution.safety.control import Needed
from execution.safety.gate import Gate, Terms
from execution.safety.journal import Cause
from execution.safety.outcomes import Outcome
from execution.safety.steps import carry_out, record_step
from execution.trading_venues import venue_key
from mlfilter.models import current_settings
from ops import alerts, clock
from ops.alerts import Trouble
from ops.models import Alert

CAUSE = "naked"
CLOSE_AFTER_S = 3.0  # of the five seconds that a position may be naked; closing takes some of the rest
GRACE_S = 1.5  # in which whoever entered sets the stop himself, where it cannot ride on the entry
POLL_S = 0.2
FINAL = (Outcome.REJECT, Outcome.HALT)  # asking again would change nothing


class Protector:
    """Protects or closes what is naked, and remembers since when it has been seen."""

    def __init__(self, gate: Gate, *, grace_s: float = 0.0) -> None:
        self.gate = gate
        self.grace_s = grace_s
        # Where no stop rides on an entry, each is naked for a moment, and that is no news.
        self._quiet_s = 0.0 if gate.broker.capabilities.stops_with_entry else GRACE_S
        # Ticket to the moment of the first read, on the machine's clock; None before the first sweep.
        self._seen: dict[int, float] | None = None

    def sweep(self, positions: Iterable[Position]) -> int:
        """Look after every naked position of one read; return how many still were naked in it."""
        naked = [position for position in positions if is_the_bots(position) and position.stop is None]
        now = clock.mono()
        before, self._seen = self._seen, {p.ticket: (self._seen or {}).get(p.ticket, now) for p in naked}
        if before is None or before or naked:  # nearly always there is nothing to tell, and nothing to take back
            self._tell([position for position in naked if now - self._seen[position.ticket] >= self._quiet_s])
        for position in naked:
            age = now - self._seen[position.ticket]
            if age >= self.grace_s:
                self._look_after(position, age)
        return len(naked)

    def _tell(self, naked: Iterable[Position]) -> None:
        venue = self.gate.account.broker
        alerts.hold_alerts(venue_key(venue, "naked:"), [_trouble(position, venue) for position in naked])

    def protect_until_safe(self) -> None:
        """Sweep until nothing of the bot's is naked, which is as soon as each is protected or closed."""
        deadline = clock.mono() + 2 * CLOSE_AFTER_S
        while self.sweep(self.gate.broker.positions()) and clock.mono() < deadline:
            clock.sleep(POLL_S)

    def _look_after(self, position: Position, age: float) -> None:
        logger.bind(symbol=position.symbol, ticket=position.ticket).info("a position gets its stop, or is closed")
        if age >= CLOSE_AFTER_S or not self._protect(position):
            self._close(position)

    def _protect(self, position: Position) -> bool:
        """Set the stop that was planned; False when the venue will not have it, so that only closing is left."""
        results: list[SendResult] = []
        protection = planned_protection(position)

        def send(leg: LegRecord) -> SendResult:
            results.append(self.gate.protect(leg, protection, needed=Needed.KILL))
            return results[0]

        carry_out(self._step(position, "protect"), send)
        return not (results and results[0].outcome in FINAL)

    def _close(self, position: Position) -> None:
        terms = Terms(needed=Needed.KILL, plan_price=position.price_open)
        carry_out(self._step(position, "close"), lambda leg: self.gate.send(leg, terms))

    def _step(self, position: Position, what: str) -> LegRecord | None:
        """Journal the next try of a step: each has an intent of its own."""
        mine = Intent.objects.filter(account=self.gate.account, cause=CAUSE)
        number = mine.filter(cause_id__startswith=f"{position.ticket}:{what}:").count() + 1
        cause = Cause(family=Family.SETUP, kind=CAUSE, id=f"{position.ticket}:{what}:{number}")
        return record_step(self.gate.account, cause, closing_leg(position), current=position.signed_volume)


def closing_leg(position: Position) -> Leg:
    """Return the leg that closes a position whole; its ticket is also what a protection is for."""
    return Leg(
        scene=Scene.CLOSE,
        symbol=position.symbol,
        side=position.side.opposite,
        volume=position.volume,
        ticket=position.ticket,
        reduces=True,
        sequence=0,
    )


def planned_protection(position: Position) -> Protection:
    """Return the stop and target that a position was entered for.

    Of an entry that this journal does not know, as after a backup was restored, they are what the settings say.
    """
    trade = BotTrade.objects.filter(intent__magic=position.magic).first()
    stop, target = (trade.stop, trade.target) if trade else _levels_by_settings(position)
    return Protection(symbol=position.symbol, side=position.side, ticket=position.ticket, stop=stop, target=target)


def _levels_by_settings(position: Position) -> tuple[Decimal, Decimal]:
    settings, sign = current_settings(), position.side.sign
    stop_pct, target_pct = Decimal(str(settings.stop_pct)), Decimal(str(settings.target_pct))
    return position.price_open * (1 - sign * stop_pct), position.price_open * (1 + sign * target_pct)


def _trouble(position: Position, venue: str) -> Trouble:
    title = f"The bot's position {position.ticket} of {position.symbol} has no stop"
    return Trouble(venue_key(venue, f"naked:{position.ticket}"), title, level=Alert.Level.CRITICAL)
