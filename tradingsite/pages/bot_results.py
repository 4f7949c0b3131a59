"""The setup bot's page, what moves slowly: results, the filter's versions, and backtests that were kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.urls import reverse

from execution.bot.reading import Totals, exit_counts, newest_closed, trade_totals
from execution.models import BotTrade
from mlfilter.models import BotSettings, BotSymbol, SetupBacktest, current_settings
from mlfilter.monitor import DAYS, FEWEST
from mlfilter.reading import FilterSlot, Foregone, LiveResult, filter_slots, live_results, newest_backtests, not_traded
from ops import clock
from strategies.models import FittedModel
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
    percent,
    signed_percent,
)
from tradingsite.pages.frame import User, market_now
from tradingsite.pages.frame_data import Freshness
from tradingsite.pages.overview_data import Level
from tradingsite.templatetags.desk import signed, unit, written

N_TRADES, N_BACKTESTS, N_OTHERS = 60, 3, 3
Write = Callable[[Any], str]
FIGURES: tuple[tuple[str, str, Write], ...] = (
    ("trades", "trades", lambda value: written(value, 0)),
    ("win_rate", "trades won", percent),
    ("profit_factor", "profit factor", lambda value: written(value, 2)),
    ("expectancy_r", "mean result of a trade", lambda value: unit(signed(value), "R")),
    ("total_return", "total return", signed_percent),
    ("max_drawdown", "largest drawdown", signed_percent),
    ("sharpe", "Sharpe ratio, a year of 365 days", lambda value: written(value, 2)),
    ("exposure", "time in a position", percent),
)


def _read_now() -> Freshness:
    now = clock.wall_now()
    return Freshness.of(now, now=now)


def build_results(user: User) -> ResultsData:
    """Return what the closed trades came to, how they ended, and what was given up."""
    given_up = not_traded()
    return ResultsData(
        fresh=_read_now(),
        accounts=tuple(_account(totals) for totals in trade_totals()),
        exits=tuple(exit_counts().items()),
        trades=tuple(_closed(trade) for trade in newest_closed(N_TRADES)),
        foregone=(
            _foregone("rejected by the filter", given_up.rejected),
            _foregone("rejected without a filter", given_up.unjudged),
            _foregone("approved and missed", given_up.missed),
        ),
    )


def _account(totals: Totals) -> AccountResult:
    return AccountResult(
        name=str(totals.account),
        currency=totals.account.currency,
        n_trades=totals.n_trades,
        win_rate=totals.win_rate,
        mean_r=totals.mean_r,
        result=totals.result,
        profit_factor=totals.profit_factor,
    )


def _closed(trade: BotTrade) -> ClosedTrade:
    outcome = trade.setup.outcome
    return ClosedTrade(
        key=str(trade.pk),
        url=reverse("setup", args=[trade.setup_id]),
        symbol=trade.symbol,
        closed_at=trade.closed_at,
        reason=outcome.exit_reason,
        r=outcome.r,
        result=trade.result,
        currency=trade.account.currency,
    )


def _foregone(name: str, what: Foregone) -> ForegoneRow:
    return ForegoneRow(name=name, n=what.n, n_won=what.n_won, r=what.r)


def build_filter(user: User) -> FilterData:
    """Return the versions of every symbol's filter, and how the active ones do."""
    slots, settings, now = filter_slots(), current_settings(), market_now()
    active = [slot.active for slot in slots if slot.active]
    lived = live_results(active, now=now) if now and active else {}
    is_staff = bool(getattr(user, "is_staff", False))
    return FilterData(
        fresh=_read_now(),
        rows=tuple(_slot(slot, lived, settings, is_staff=is_staff) for slot in slots),
        days=DAYS,
        admin_url=reverse("admin:strategies_fittedmodel_changelist") if is_staff else "",
    )


def _slot(slot: FilterSlot, lived: dict[int, LiveResult], settings: BotSettings, *, is_staff: bool) -> FilterRow:
    symbol = slot.symbol.name if slot.symbol else slot.data_symbol
    others = tuple(_other(model, is_staff) for model in (*slot.shadows, *slot.candidates[:N_OTHERS]))
    model = slot.active
    if model is None:
        return FilterRow(symbol=symbol, interval=slot.interval, missing=_missing(slot), level=Level.WARN, others=others)
    live, report = lived.get(model.pk, LiveResult()), model.metrics.get("report", {})
    state, level = _state(slot, live)
    return FilterRow(
        symbol=symbol,
        interval=slot.interval,
        version=f"v{model.version}",
        trained_at=model.created_at,
        fit_from=model.fit_from,
        fit_to=model.fit_to,
        auc=report.get("auc"),
        base_rate=report.get("base_rate"),
        threshold=settings.confidence_threshold,
        words=tuple(model.metrics.get("words", ())),
        n_setups=live.n_setups,
        n_outcomes=live.n_outcomes,
        expected=live.expected,
        succeeded=live.succeeded,
        state=state,
        level=level,
        others=others,
        url=_model_url(model, is_staff),
    )


def _missing(slot: FilterSlot) -> str:
    """Return why no version decides, and what to do."""
    if slot.symbol is None:
        return f"{slot.data_symbol} is not a registered symbol: no filter can be trained"
    if slot.shadows or slot.candidates:
        return "no version is active: promote one with manage.py model_promote"
    return f"none is trained yet: run manage.py setup_train --symbol {slot.symbol.name}"


def _state(slot: FilterSlot, live: LiveResult) -> tuple[str, Level]:
    """Return the monitor's verdict on the active version."""
    if slot.troubles:
        return "; ".join(slot.troubles), Level.WARN
    if live.n_outcomes < FEWEST:
        return f"too early to say: {live.n_outcomes} of {FEWEST} outcomes", Level.UNKNOWN
    return "calibrated, and in the market that it knows", Level.OK


def _other(model: FittedModel, is_staff: bool) -> VersionRow:
    return VersionRow(
        name=f"v{model.version}",
        status=model.status,
        trained_at=model.created_at,
        auc=model.metrics.get("report", {}).get("auc"),
        url=_model_url(model, is_staff),
    )


def _model_url(model: FittedModel, is_staff: bool) -> str:
    return reverse("admin:strategies_fittedmodel_change", args=[model.pk]) if is_staff else ""


def build_backtests(user: User) -> BacktestsData:
    """Return the newest backtest of each symbol that was kept."""
    first = BotSymbol.objects.enabled().values_list("data_symbol", flat=True).first()
    return BacktestsData(
        fresh=_read_now(), rows=tuple(_backtest(row) for row in newest_backtests(N_BACKTESTS)), symbol=first or ""
    )


def _backtest(row: SetupBacktest) -> BacktestRow:
    report, curves = row.report, row.curves
    points = zip(*(curves.get(name, ()) for name in ("at", "with_filter", "without_filter")), strict=True)
    return BacktestRow(
        key=str(row.pk),
        symbol=row.symbol,
        interval=row.interval,
        since=row.since,
        until=row.until,
        made_at=row.created_at,
        figures=tuple(
            FigureRow(
                name=words,
                with_filter=write(row.with_filter.get(key)),
                without_filter=write(row.without_filter.get(key)),
            )
            for key, words, write in FIGURES
        ),
        words=tuple(report.get("words", ())),
        auc=row.auc,
        base_rate=report.get("base_rate"),
        threshold=report.get("threshold"),
        points=tuple(
            CurvePoint(at=datetime.fromisoformat(at), with_filter=ours, without_filter=theirs)
            for at, ours, theirs in points
        ),
    )
