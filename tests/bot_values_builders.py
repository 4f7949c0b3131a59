"""Values of the setup bot's page and of one setup's, as a busy day brings them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.pages_builders import FRESH, NEVER, NOW, due
from tradingsite.pages.bot_data import (
    AccountRow,
    BarRun,
    BotWord,
    Ending,
    SetupRow,
    SetupsData,
    StandingData,
    TradeRow,
    TradesData,
    WatchedRow,
)
from tradingsite.pages.bot_results_data import (
    AccountResult,
    BacktestRow,
    BacktestsData,
    ClosedTrade,
    CurvePoint,
    FigureRow,
    FilterData,
    FilterRow,
    ForegoneRow,
    ResultsData,
    VersionRow,
)
from tradingsite.pages.bot_setup_data import AttemptRow, Fact, FillRow, IntentRow, PlanData, SetupData, SimilarRow
from tradingsite.pages.overview_data import Level

D = Decimal
ON = BotWord(state="armed", label="On", why="approved setups are entered as their bars close")
OFF = BotWord(state="waiting", label="Off", why="no symbol of the bot is enabled")


def make_standing(**changes: Any) -> StandingData:
    accounts = (
        AccountRow(name="…4417 Sim", currency="USD", n_open=2, max_open=3, today=D("-40"), limit=D(200), left=D(160)),
        AccountRow(name="…4567 X", currency="USDT", n_open=0, max_open=3, today=D(-60), limit=D(50), left=D(-10)),
        AccountRow(name="…9999 Y", currency="EUR", n_open=0, max_open=3, today=None, limit=None, left=None),
    )
    watched = (
        WatchedRow(symbol="SOLUSD", venue="MetaTrader 5", interval="15m", words="looked at every bar"),
        WatchedRow(
            symbol="ADAUSD",
            venue="MetaTrader 5",
            interval="15m",
            words="waits after a loss",
            level=Level.WARN,
            until=due(minutes=40),
        ),
    )
    run = BarRun(slot="15m bar of 2025-08-22 13:45", status="done", level=Level.OK, words="SOLUSD quiet")
    usual = {"fresh": FRESH, "word": ON, "run": run, "next_bar": due(minutes=12), "accounts": accounts}
    return StandingData(**(usual | {"watched": watched, "can_operate": True, "edit_url": "/admin/"} | changes))


def make_trade(**changes: Any) -> TradeRow:
    """Return a long trade: 100 between a stop at 98 and a target at 104, now a quarter of the way above its entry."""
    usual: dict[str, Any] = {
        "key": "1",
        "symbol": "SOLUSD",
        "url": "/bot/setups/1/",
        "account": "…4417 Sim",
        "venue": "MetaTrader 5",
        "currency": "USD",
        "side": "long",
        "lots": D(7),
        "entry": D(100),
        "stop": D(98),
        "target": D(104),
        "now": D(101),
        "digits": 2,
        "result": D("6.50"),
        "risk": D(14),
        "bars_left": 21,
        "confidence": 0.72,
        "threshold": 0.65,
    }
    return TradeRow(**(usual | changes))


def make_trades(**changes: Any) -> TradesData:
    short = make_trade(key="2", side="short", stop=D(102), target=D(96), now=D("101.2"), result=D("-8.40"))
    unseen = make_trade(key="3", now=None, result=None, bars_left=None, currency="USDT", note="sent, not confirmed yet")
    return TradesData(**({"fresh": FRESH, "rows": (make_trade(), short, unseen)} | changes))


def make_setup_row(**changes: Any) -> SetupRow:
    usual: dict[str, Any] = {
        "key": "1",
        "url": "/bot/setups/1/",
        "bar_at": NOW,
        "symbol": "SOLUSD",
        "venue": "MetaTrader 5",
        "interval": "15m",
        "direction": "long",
        "confidence": 0.72,
        "threshold": 0.65,
        "decision": "approved",
        "why": "confidence 0.720 is at least the threshold 0.65",
        "action": "traded",
        "ending": Ending(reason="target", r=1.93, is_real=True),
    }
    return SetupRow(**(usual | changes))


def make_setups(**changes: Any) -> SetupsData:
    rejected = make_setup_row(key="2", decision="rejected", action="", confidence=None, ending=None)
    by_the_bars = Ending(reason="stop", r=-1.1, is_real=False)
    missed = make_setup_row(key="3", action="missed", action_why="4 open", ending=by_the_bars)
    rows = (make_setup_row(), rejected, missed)
    return SetupsData(**({"fresh": FRESH, "rows": rows, "n_all": 214, "all_url": "/admin/"} | changes))


def make_results(**changes: Any) -> ResultsData:
    account = AccountResult(
        name="…4417 Sim", currency="USD", n_trades=3, win_rate=2 / 3, mean_r=0.4, result=D("17.10"), profit_factor=None
    )
    trades = tuple(
        ClosedTrade(
            key=str(i),
            url="/bot/setups/1/",
            symbol="SOLUSD",
            closed_at=NOW,
            reason="stop",
            r=r,
            result=D(str(14 * r)),
            currency="USD",
        )
        for i, r in enumerate((2.0, -1.05, 0.4))
    )
    foregone = (
        ForegoneRow(name="rejected by the filter", n=23, n_won=8, r=-8.15),
        ForegoneRow(name="approved and missed", n=0, n_won=0, r=0.0),
    )
    usual = {"fresh": FRESH, "accounts": (account,), "exits": (("target", 2), ("stop", 1)), "trades": trades}
    return ResultsData(**(usual | {"foregone": foregone} | changes))


def make_filters(**changes: Any) -> FilterData:
    other = VersionRow(name="v4", status="candidate", trained_at=NOW, auc=None)
    active = FilterRow(
        symbol="SOLUSD",
        interval="15m",
        version="v3",
        trained_at=NOW,
        fit_from=NOW,
        fit_to=NOW,
        auc=0.58,
        base_rate=0.21,
        threshold=0.65,
        words=("approves 0 of 214 setups: threshold 0.65 is above the highest calibrated probability 0.61",),
        n_setups=40,
        n_outcomes=31,
        expected=0.31,
        succeeded=0.35,
        state="calibrated, and in the market that it knows",
        level=Level.OK,
        others=(other,),
        url="/admin/",
    )
    missing = FilterRow(symbol="ADAUSD", interval="15m", missing="none is trained yet", level=Level.WARN)
    return FilterData(**({"fresh": FRESH, "rows": (active, missing), "admin_url": "/admin/"} | changes))


def make_backtests(**changes: Any) -> BacktestsData:
    points = tuple(
        CurvePoint(at=NOW + timedelta(days=day), with_filter=10_000.0 + day, without_filter=10_000.0 - 30 * day)
        for day in range(30)
    )
    figures = (FigureRow(name="trades", with_filter="12", without_filter="214"),)
    row = BacktestRow(
        key="1",
        symbol="SOLUSDT",
        interval="15m",
        since=NOW,
        until=NOW + timedelta(days=29),
        made_at=NOW,
        figures=figures,
        words=("approves 12 of 214 setups",),
        auc=0.58,
        base_rate=0.21,
        threshold=0.65,
        points=points,
    )
    return BacktestsData(**({"fresh": FRESH, "rows": (row, replace(row, key="2", points=()))} | changes))


def make_bot_page() -> dict[str, Any]:
    return {
        "bot-standing": make_standing(),
        "bot-trades": make_trades(),
        "bot-setups": make_setups(),
        "bot-results": make_results(),
        "bot-filter": make_filters(),
        "bot-backtest": make_backtests(),
    }


def make_empty_bot_page() -> dict[str, Any]:
    return {
        "bot-standing": StandingData(fresh=FRESH, word=OFF),
        "bot-trades": TradesData(fresh=NEVER),
        "bot-setups": SetupsData(fresh=FRESH),
        "bot-results": ResultsData(fresh=FRESH),
        "bot-filter": FilterData(fresh=FRESH),
        "bot-backtest": BacktestsData(fresh=FRESH),
    }


def make_setup_page(**changes: Any) -> SetupData:
    plan = PlanData(
        account="…4417 Sim",
        currency="USD",
        side="buy",
        lots=D(7),
        price=D(100),
        stop=D(98),
        target=D(104),
        risk=D(14),
        deadline_at=NOW,
        status="closed",
        result=D(27),
        closed_at=NOW,
    )
    attempt = AttemptRow(
        number=1, sent_at=NOW, outcome="ok", words="retcode 10009: done", price=D("100.02"), volume=None
    )
    usual: dict[str, Any] = {
        "row": make_setup_row(),
        "entry": 100.0,
        "stop": 98.0,
        "target": 104.0,
        "filter_version": "SOLUSD 15m v3",
        "reasons": ("confidence 0.720 is at least the threshold 0.65",),
        "signals": (Fact(name="RSI, 14 bars", value=27.5), Fact(name="z-score", value=None, unit="SD")),
        "context": (Fact(name="average true range, of the price", value=0.42, unit="%"),),
        "features": (Fact(name="rsi_14", value=27.5, places=4),),
        "shadows": (Fact(name="SOLUSD 15m v4", value=None, unit="%"),),
        "similar": (SimilarRow(bar_at=NOW, direction="long", outcome="win", r=None, distance=0.8),),
        "plan": plan,
        "intents": (IntentRow(key="1", step="enter", status="done", reason="", attempts=(attempt,)),),
        "rules": (("risk per trade", True, "the order loses 14.00"), ("setup positions", False, "4 of 3")),
        "fills": (FillRow(key="1", at=NOW, what="in", side="buy", lots=D(7), price=D(100), result=D(0)),),
    }
    return SetupData(**(usual | changes))
