"""The setup bot at one closed bar: look after what is open, find setups, enter the approved ones, book what ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loguru import logger

from execution.bot.balance import watch_balance
from execution.bot.booking import book_outcomes
from execution.bot.entering import Entered, Entering
from execution.bot.naked import Protector
from execution.bot.watching import close_overdue, miss_late, settle_trades, take_back_leftovers
from execution.brokers.base import Broker
from execution.brokers.magic import Family
from execution.deciding import MISTAKES
from execution.errors import ConfigError
from execution.models import Account, BotTrade
from execution.planning.orders import AccountSnapshot, MarginMode
from execution.safety.control import State, current_control
from execution.safety.gate import Gate
from execution.safety.reconcile import close_orphans, current_account, reconcile
from execution.sessions.bot_reports import (
    BotReport,
    BotSymbolReport,
    describe_balance,
    describe_closed,
    describe_entered,
)
from execution.sessions.bot_slots import BotSlot
from execution.sessions.hourly import TooLateError, trading_lease
from execution.trading_venues import venue_key
from market.lookback import get_recent_data
from market.symbols import get_binance_symbol
from mlfilter import scanning
from mlfilter.models import BotSettings, BotSymbol, Setup, current_settings
from ops import alerts, clock
from ops.errors import DeskError
from ops.live import announce
from ops.models import Run


@dataclass
class BotSession:
    """One run of the bot for one account."""

    broker: Broker
    symbols: Sequence[BotSymbol]
    settings: BotSettings = field(default_factory=current_settings)
    _closed: list[BotTrade] = field(default_factory=list)

    def run(self, run: Run | None, slot: BotSlot) -> BotReport:
        """Do everything that is due at a bar's close; killed or paused, only what needs no entry.

        Raises
        ------
        TooLateError
            A newer bar has closed since the slot.
        ConfigError
            The account's positions cannot be protected for sure.
        """
        require_in_time(slot)
        require_protectable(self.broker, self.broker.account())
        control = current_control(family=Family.SETUP)
        if control.state in (State.KILLING, State.KILLED):
            self._book(current_account(self.broker.account()))
            return self._report(run, slot, (), blocker=f"trading is {control.state}: {control.reason}")
        with trading_lease() as lease:
            account = current_account(self.broker.account())
            gate = Gate(self.broker, account, lease=lease)
            self._look_after(gate)
            miss_late(account, self.symbols, slot)
            require_in_time(slot)
            reports = tuple(self._one(symbol, slot, gate) for symbol in self.symbols)
            self._book(account)
        logger.bind(slot=slot.key, verdicts=[report.verdict for report in reports]).info("the bot's bar is done")
        return self._report(run, slot, reports)

    def _look_after(self, gate: Gate) -> None:
        """Bring the trades in line with the venue: whatever a crash left, naked positions, timeouts, outcomes."""
        reconcile(self.broker)
        close_orphans(gate.account)
        positions = self.broker.positions()
        settle_trades(gate.account, positions)
        take_back_leftovers(gate)
        Protector(gate).sweep(positions)
        if close_overdue(gate, self.broker.positions(), clock.market_now()):
            reconcile(self.broker)
        self._closed += book_outcomes(gate.account)

    def _book(self, account: Account) -> None:
        """Learn from the venue what has ended; also when trading is killed, whose closes are outcomes, too."""
        reconcile(self.broker)
        settle_trades(account, self.broker.positions())
        self._closed += book_outcomes(account)

    def _one(self, symbol: BotSymbol, slot: BotSlot, gate: Gate) -> BotSymbolReport:
        """Find and enter one symbol's setups; a failure of its own leaves the others alone."""
        key = venue_key(symbol.broker, f"bot:{symbol.name}")
        try:
            bring_recent(symbol)
            setups = scanning.scan(symbol, now=clock.market_now(), settings=self.settings)
            entering = Entering(gate, slot, self.settings)
            report = describe_entered(symbol.name, [self._act(setup, entering) for setup in setups])
        except (DeskError, *MISTAKES) as error:
            logger.bind(symbol=symbol.name).opt(exception=not isinstance(error, DeskError)).warning("bot: {}", error)
            alerts.raise_alert(key, f"The bot left {symbol.name} out: {error}"[:200], detail=str(error))
            return BotSymbolReport(symbol=symbol.name, verdict="failed", blocker=str(error))
        alerts.resolve_alert(key)
        announce("setups", {"symbol": symbol.name, "verdict": report.verdict})
        return report

    def _act(self, setup: Setup, entering: Entering) -> Entered:
        if not setup.approved:
            return Entered(setup=setup, verdict="rejected", reason="; ".join(map(str, setup.reasons)))
        return entering.enter(setup)

    def _report(
        self, run: Run | None, slot: BotSlot, reports: tuple[BotSymbolReport, ...], *, blocker: str = ""
    ) -> BotReport:
        snapshot = self.broker.account()
        account = current_account(snapshot)
        balance = watch_balance(account, snapshot, self.broker.positions(), clock.market_now())
        return BotReport(
            run_id=run.pk if run else None,
            slot=slot.key,
            bar_time=slot.bar_at,
            symbols=reports,
            closed=describe_closed(self._closed),
            n_open=BotTrade.objects.live().filter(account=account).count(),
            balance=describe_balance(balance),
            blocker=blocker,
            broker=account.broker,
        )


def bring_recent(symbol: BotSymbol) -> None:
    """Bring in the newest klines that a symbol's features are made of; what is stored is not asked for again."""
    from mlfilter.features import warmup_bars

    get_recent_data(get_binance_symbol(symbol.data_symbol), symbol.interval, warmup_bars(symbol.interval) + 1)


def require_in_time(slot: BotSlot) -> None:
    """Stop when a newer bar has closed than the slot's."""
    if slot.is_too_late(clock.market_now()):
        raise TooLateError(f"slot {slot.key} acts on the bar of {slot.bar_at:%H:%M}, and a newer one has closed")


def require_protectable(broker: Broker, snapshot: AccountSnapshot) -> None:
    """Refuse an account where a resting stop may trigger between a read and a close, and so open the other side.

    Raises
    ------
    ConfigError
        In words for the person who configured it.
    """
    if snapshot.margin_mode is MarginMode.HEDGING or broker.capabilities.resting_stops_on_netting:
        return
    raise ConfigError(
        "the bot needs a hedging account: on this netting account a stop that rests at the venue can trigger while a "
        "close is on its way, which would then open the other side. Use a hedging account, or switch its symbols off"
    )
