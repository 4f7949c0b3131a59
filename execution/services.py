"""What commands, jobs and pages ask of execution."""

from __future__ import annotations

from collections.abc import Sequence

from execution.adjust import Adjuster, Target
from execution.brokers.base import Broker
from execution.deciding import Moment, decide, take_moment
from execution.errors import ExecutionError
from execution.models import Account
from execution.safety.control import Needed
from execution.safety.gate import Gate, Terms
from execution.safety.journal import Cause
from execution.safety.reconcile import current_account
from execution.sessions.hourly import Session, TooLateError, onhour_offset, slot_of_run
from execution.sessions.rebalance import FAMILY
from execution.sessions.reports import SessionReport, SymbolReport, describe_plan, describe_skipped
from execution.sessions.slots import HOUR, floor_hour
from execution.trading_venues import MT5
from execution.wire import the_broker
from market.errors import MarketError
from market.models import Symbol
from ops import clock, runs
from ops.models import Run

ENDINGS = {0: Run.Status.DONE, 4: Run.Status.DONE, 7: Run.Status.PARTLY}


def preview(symbols: Sequence[Symbol]) -> SessionReport:
    """Return what a rebalance on the newest closed bar would do; nothing is sent or stored."""
    bar_at = floor_hour(clock.market_now()) - HOUR
    with the_broker(patient=False) as broker:
        account = current_account(broker.account())
        moment = take_moment(broker.account(), symbols, bar_at)
        adjuster = Adjuster(broker, account, Gate(broker, account))
        reports = tuple(_preview_one(symbol, moment, broker, adjuster) for symbol in symbols)
    warnings = (moment.capital.warning,) if moment.capital.warning else ()
    return SessionReport(run_id=None, slot="preview", bar_time=bar_at, symbols=reports, warnings=warnings)


def _preview_one(symbol: Symbol, moment: Moment, broker: Broker, adjuster: Adjuster) -> SymbolReport:
    try:
        decided = decide(symbol, moment, broker)
        target = Target(
            symbol=decided.symbol,
            lots=decided.sizing.target_lots,
            spec=decided.spec,
            snapshot=moment.snapshot,
            cause=Cause(family=FAMILY, kind="preview", id=""),
            terms=Terms(needed=Needed.ENTER, plan_price=decided.quote.mid, rate=decided.rate),
            band=moment.settings.drift_band_lots,
        )
        return describe_plan(decided, adjuster.plan(target))
    except (ExecutionError, MarketError) as error:
        return describe_skipped(symbol, error)


def run_session_now(run: Run, symbols: Sequence[Symbol]) -> SessionReport:
    """Run a session in this process: wait for its slot, trade, and end its row."""
    begun = runs.begin(run.pk)
    if begun is None:
        raise TooLateError(f"the session of {run.slot} is already {run.status}")
    slot = slot_of_run(begun)
    with runs.beating(begun):
        try:
            onhour_offset(slot)
            with the_broker() as broker:
                report = Session(broker=broker, symbols=symbols).run(begun, slot)
        except TooLateError as error:
            runs.finish(begun, Run.Status.SKIPPED, error=str(error))
            raise
        except BaseException as error:
            runs.finish(begun, Run.Status.FAILED, error=str(error) or repr(error))
            raise
    verdicts = {symbol.symbol: symbol.verdict for symbol in report.symbols}
    runs.finish(begun, ENDINGS.get(report.exit_code, Run.Status.FAILED), result={"verdicts": verdicts})
    return report


def account_row() -> Account | None:
    """Return MetaTrader 5's account that was seen last, without asking the broker."""
    return Account.objects.filter(broker=MT5).order_by("-broker_state__read_at").first()
