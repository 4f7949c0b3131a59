"""Pages without a database: the frame and the Overview's panels, and the addresses the templates name."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tradingsite.pages.equity_data import EquityData, EquityLevel, EquityPoint
from tradingsite.pages.frame_data import (
    ClockData,
    Due,
    FrameData,
    Freshness,
    KillFacts,
    Mode,
    PanelProblem,
    StateData,
    StateWord,
)
from tradingsite.pages.overview_data import (
    AccountData,
    AttentionData,
    AttentionItem,
    DataHealth,
    DayResult,
    DaysData,
    DecisionRow,
    DecisionsData,
    Level,
    LossRoom,
    ModelBar,
    NextData,
    NextEvent,
    PositionRow,
    PositionsData,
    ProcessRow,
    SignalRow,
    SignalsData,
    SourceRow,
)

D = Decimal
NOW = datetime(2025, 8, 22, 14, 3, 22, tzinfo=UTC)
FRESH = Freshness(at=NOW, age_s=0.8)
STALE = Freshness(at=NOW - timedelta(seconds=131), age_s=131.0, consequence="Entries are blocked until it returns.")
NEVER = Freshness()

MODELS = (
    ("WedThu", "", 0.10, -0.003, 0.0, -0.004),
    ("EmaVol", "fast_ema_window=24", 0.05, 0.052, -0.043, 0.038),
    ("EmaVol", "fast_ema_window=48", 0.05, 0.048, -0.036, 0.049),
    ("EmaVol", "fast_ema_window=96", 0.05, 0.041, -0.019, 0.042),
    ("EmaVol", "fast_ema_window=192", 0.05, 0.036, 0.008, 0.033),
    ("AccelVol", "fast_ema_window=24", 0.05, 0.015, -0.039, 0.008),
    ("AccelVol", "fast_ema_window=48", 0.05, 0.010, -0.027, 0.018),
    ("AccelVol", "fast_ema_window=96", 0.05, -0.007, -0.015, 0.022),
    ("BreakVol", "breakout_window=168, smooth_window=24", 0.10, 0.066, -0.062, 0.055),
    ("BreakVol", "breakout_window=336, smooth_window=48", 0.10, 0.062, -0.053, 0.044),
    ("BlockVol", "block_window=120, smooth_window=24", 0.05, 0.028, -0.024, 0.018),
    ("BlockVol", "block_window=240, smooth_window=24", 0.05, 0.036, -0.032, 0.028),
    ("BlockVol", "block_window=480, smooth_window=48", 0.05, 0.039, -0.013, 0.039),
    ("Rev", "reversal_window=24", 0.10, 0.0, 0.042, 0.0),
    ("OrthAlpha", "forward_window=24", 0.10, 0.056, -0.049, None),
    ("OrthAlpha", "forward_window=72", 0.10, 0.047, -0.030, 0.041),
)


def nothing(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """Answer in the place of the real views: these tests only need their addresses."""
    return HttpResponse()


NAMES = {
    "overview": "",
    "portfolio": "portfolio/",
    "decision": "decisions/<int:pk>/",
    "bot": "bot/",
    "setup": "bot/setups/<int:pk>/",
    "bot_pause": "bot/pause/",
    "bot_resume": "bot/resume/",
    "pause": "trading/pause/",
    "resume": "trading/resume/",
    "kill": "trading/kill/",
    "kill_page": "kill/",
    "rearm": "rearm/",
    "login": "login/",
    "logout": "logout/",
    "panels": "panels/",
    "alerts": "alerts/",
    "alert_test": "alerts/test/",
    "acknowledge": "alerts/<int:pk>/acknowledge/",
}
urlpatterns = [path("admin/", admin.site.urls), *(path(at, nothing, name=name) for name, at in NAMES.items())]


def make_state(word: StateWord = StateWord.ARMED, **changes: Any) -> StateData:
    values = {
        "mode": Mode.DEMO,
        "fresh": FRESH,
        "today": D("-367.94"),
        "today_fraction": -0.003648,
        "can_operate": True,
        "can_arm": True,
    }
    return StateData(word=word, **(values | changes))


def make_frame(state: StateData | None = None, **changes: Any) -> FrameData:
    state = make_state() if state is None else state
    values = {
        "mode": state.mode,
        "clock": ClockData(market_at=NOW, wall_at=NOW, speed=60.0),
        "signed_in": True,
        "account": "Demo …4417",
        "phase": "Challenge",
        "state": state,
        "kill": make_kill_facts(),
        "next_rebalance": due(minutes=56, seconds=23),
        "user_name": "maria",
        "can_operate": True,
        "can_kill": True,
        "can_arm": True,
        "can_admin": True,
        "page": "overview",
        "n_attention": 2,
    }
    return FrameData(**(values | changes))


def due(**ahead: float) -> Due:
    return Due.of(NOW + timedelta(**ahead), now=NOW)


def make_kill_facts(**changes: Any) -> KillFacts:
    values = {"account": "Demo …4417", "mode": Mode.DEMO, "n_orders": 0, "n_positions": 3, "estimate": D("372.06")}
    return KillFacts(**(values | changes))


def make_account(**changes: Any) -> AccountData:
    """Return the numbers of the specification's example, which add up."""
    values = {
        "fresh": FRESH,
        "equity": D("100489.51"),
        "balance": D("100117.45"),
        "unrealised": D("372.06"),
        "today": D("-367.94"),
        "today_fraction": -0.003648,
        "realised_today": D("-740.00"),
        "day_start": D("100857.45"),
        "daily": LossRoom(
            limit=D("5000"), left=D("4632.06"), floor=D("95857.45"), resets=due(hours=7, minutes=56, seconds=38)
        ),
        "maximum": LossRoom(limit=D("10000"), left=D("10489.51"), floor=D("90000")),
        "n_positions": 3,
    }
    return AccountData(**(values | changes))


def make_equity(n_points: int = 170, **changes: Any) -> EquityData:
    """Return a day from 22:00 (midnight in Prague) to now: a wave that drifts down, realised in steps."""
    start = datetime(2025, 8, 21, 22, tzinfo=UTC)
    step = (NOW - start) / max(n_points - 1, 1)
    points = tuple(
        EquityPoint(
            start + index * step,
            100857.45 - 400 * index / n_points + 180 * math.sin(index / 9) + 60 * math.sin(index / 2.3),
            100857.45 - 185.0 * (index * 5 // n_points),
        )
        for index in range(n_points)
    )
    values = {
        "fresh": FRESH,
        "start_at": start,
        "end_at": start + timedelta(days=1),
        "points": points,
        "levels": (
            EquityLevel(kind="start", label="day start", value=100857.45),
            EquityLevel(kind="soft", label="soft, 80 %", value=96857.45),
            EquityLevel(kind="limit", label="daily limit", value=95857.45),
        ),
    }
    return EquityData(**(values | changes))


def make_attention(**changes: Any) -> AttentionData:
    items = (
        AttentionItem(
            key="stale:BNBUSD",
            level=Level.WARN,
            title="BNBUSD 1h bar 6 min late",
            detail="entries blocked for BNBUSD",
            at=NOW - timedelta(minutes=1),
            acknowledge_url="/alerts/1/seen/",
        ),
        AttentionItem(
            key="fit:break336", level=Level.CRIT, title="Refit BreakVol 336 failed", detail="singular window", count=4
        ),
    )
    return AttentionData(**({"items": items, "can_operate": True} | changes))


def make_positions(**changes: Any) -> PositionsData:
    rows = (
        make_position(),
        make_position(
            key="502",
            symbol="ETHUSD",
            side="short",
            lots=D("2"),
            entry=D("3312.4"),
            now=D("3298.1"),
            weight=-0.066,
            move=0.004317,
            swap=D("-0.4"),
            pnl=D("28.60"),
        ),
        make_position(
            key="503",
            symbol="BNBUSD",
            lots=D("9"),
            entry=D("548.22"),
            now=D("547.11"),
            weight=0.049,
            move=-0.002025,
            swap=D("0"),
            pnl=D("-9.99"),
        ),
    )
    values = {"fresh": FRESH, "rows": rows, "swap": D("-1.60"), "pnl": D("372.06")}
    return PositionsData(**(values | changes))


def make_position(**changes: Any) -> PositionRow:
    values = {
        "key": "501",
        "symbol": "BTCUSD",
        "side": "long",
        "lots": D("0.5"),
        "entry": D("61204.1"),
        "now": D("61911"),
        "weight": 0.308,
        "move": 0.01155,
        "swap": D("-1.2"),
        "pnl": D("353.45"),
        "family": "rebalance",
    }
    return PositionRow(**(values | changes))


def make_signals(**changes: Any) -> SignalsData:
    short = [name if not variant else f"{name} {variant.split('=')[1].split(',')[0]}" for name, variant, *_ in MODELS]
    bars = [[ModelBar(name=n, position=m[3 + k]) for n, m in zip(short, MODELS, strict=True)] for k in range(3)]
    held = "hold: inside the band"
    rows = (
        SignalRow(symbol="BTCUSD", target=0.31, actual=0.308, models=tuple(bars[0]), verdict=held),
        SignalRow(symbol="ETHUSD", target=-0.065, actual=-0.066, models=tuple(bars[1]), verdict=held),
        SignalRow(
            symbol="BNBUSD",
            target=0.052,
            actual=0.049,
            models=tuple(bars[2]),
            verdict="blocked: bar is stale",
            level=Level.WARN,
        ),
    )
    values = {
        "fresh": FRESH,
        "rows": rows,
        "bar_open_at": NOW.replace(hour=13, minute=0, second=0),
        "bar_close_at": NOW.replace(minute=0, second=0),
    }
    return SignalsData(**(values | changes))


def make_next(**changes: Any) -> NextData:
    events = (
        NextEvent(name="bot scan", due=due(minutes=11, seconds=43)),
        NextEvent(name="bar closes", due=due(minutes=56, seconds=38)),
        NextEvent(name="rebalance", due=due(minutes=57, seconds=23)),
        NextEvent(name="loss limit resets", due=due(hours=7, minutes=56, seconds=38)),
    )
    return NextData(**({"events": events} | changes))


def make_decisions(**changes: Any) -> DecisionsData:
    at = NOW.replace(minute=0, second=47)
    rows = (
        DecisionRow(key="9", at=at, symbol="BTCUSD", text="hold +0.50: inside the band", url="/decisions/9/"),
        DecisionRow(key="8", at=at, symbol="ETHUSD", text="hold −2.00: inside the band", url="/decisions/8/"),
        DecisionRow(key="7", at=at, symbol="BNBUSD", text="no trade: bar is stale (6 min, limit 5)", level=Level.WARN),
        DecisionRow(key="6", at=at, symbol="SOLUSDT", text="setup long refused: p 0.54 < 0.65"),
    )
    return DecisionsData(**({"rows": rows} | changes))


def make_data(**changes: Any) -> DataHealth:
    hour = NOW.replace(minute=0, second=0)
    sources = (
        SourceRow(
            symbol="BNBUSD",
            source="MT5 1h",
            last_bar_at=hour - timedelta(hours=2),
            level=Level.WARN,
            words="6 min late",
        ),
        SourceRow(symbol="BTCUSD", source="MT5 1h", last_bar_at=hour - timedelta(hours=1), level=Level.OK, words="ok"),
        SourceRow(
            symbol="BTCUSD", source="Binance 1h", last_bar_at=hour - timedelta(hours=1), level=Level.OK, words="ok"
        ),
    )
    processes = (
        ProcessRow(name="trader", level=Level.OK, words="running", fresh=Freshness(at=NOW, age_s=3.2)),
        ProcessRow(name="sentinel", level=Level.OK, words="running", fresh=FRESH),
        ProcessRow(name="research", level=Level.CRIT, words="no beat", fresh=Freshness()),
    )
    return DataHealth(**({"fresh": FRESH, "sources": sources, "processes": processes} | changes))


def make_days(n_days: int = 30, **changes: Any) -> DaysData:
    days = tuple(
        DayResult(
            on=date(2025, 7, 23) + timedelta(days=index),
            pnl=None if index == 11 else D(str(round(420 * math.sin(index * 1.7) + 40, 2))),
            fraction=None if index == 11 else (420 * math.sin(index * 1.7) + 40) / 100_000,
        )
        for index in range(n_days)
    )
    values = {"days": days, "total_fraction": 0.005, "won_fraction": 0.61, "max_drawdown": -0.022}
    return DaysData(**(values | changes))


def make_overview(**changes: Any) -> dict[str, Any]:
    return {
        "account": make_account(),
        "attention": make_attention(),
        "equity": make_equity(),
        "positions": make_positions(),
        "signals": make_signals(),
        "next": make_next(),
        "decisions": make_decisions(),
        "data": make_data(),
        "days": make_days(),
    } | changes


def make_problem(**changes: Any) -> PanelProblem:
    values = {
        "id": "positions",
        "title": "Positions",
        "kind": "error",
        "words": "Could not load positions",
        "error_id": "7F3A",
    }
    return PanelProblem(**(values | changes))
