"""A setup bot's day as rows, written by hand, so that what its page shows can be reckoned by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from execution.models import Account, Attempt, BotTrade, BrokerState, FillRecord, Intent, LegRecord
from market.models import Symbol
from mlfilter.models import BotSymbol, Outcome, Setup, SetupBacktest
from ops import clock
from strategies.models import FittedModel

D = Decimal
NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
_numbers = count(1)
SIGNALS = {"rsi_14": 27.5, "bb_position": 0.04, "zscore_20": -2.1}
CONTEXT = {"atr_pct": 0.0042, "vol_ratio": 1.3, "adx_14": 22.0, "ema_gap": -0.8, "rel_volume_20": 1.9}
SIMILAR = [
    {"bar_at": "2025-11-02T10:15:00+00:00", "direction": "long", "outcome": "win", "r": 1.2, "distance": 0.81},
    {"bar_at": "2025-10-09T21:30:00+00:00", "direction": "long", "outcome": "loss", "r": None, "distance": 1.44},
]


def make_account(login: int = 55104417, **changes: Any) -> Account:
    """Return an account of the hourly session, unless another broker is named."""
    usual = {"server": "Sim-Demo", "broker": "mt5", "mode": "demo", "currency": "USD", "margin_mode": "hedging"}
    return Account.objects.create(login=login, **(usual | {"initial_balance": D(10_000)} | changes))


def look(account: Account, *positions: dict[str, Any], at: datetime = NOON, balance: str = "10000") -> BrokerState:
    """Store what the sentinel saw of an account."""
    values = {"balance": D(balance), "equity": D(balance), "margin": D(0), "positions": list(positions)}
    values |= {"market_at": at, "read_at": clock.wall_now()}
    return BrokerState.objects.update_or_create(account=account, defaults=values)[0]


def position(ticket: int, symbol: str, **changes: Any) -> dict[str, Any]:
    """Return a position of a look: bought at 100, now at 101, 7 in profit and 0.50 of swap paid."""
    usual = {"ticket": ticket, "symbol": symbol, "side": "buy", "volume": "7", "price_open": "100.00"}
    usual |= {"price_now": "101.00", "contract_size": "1", "profit": "7.00", "swap": "-0.50", "ours": True}
    return usual | {"opened_at": NOON.isoformat()} | changes


def watch(name: str = "SOLUSD", broker: str = "mt5", **changes: Any) -> BotSymbol:
    """Let the bot watch a symbol that is registered."""
    data = changes.pop("data_symbol", f"{name.removesuffix('T').removesuffix('USD')}USDT")
    Symbol.objects.get_or_create(
        name=data.removesuffix("T"), defaults={"binance_symbol": data, "is_traded": False, "ordering": 50}
    )
    return BotSymbol.objects.create(name=name, broker=broker, data_symbol=data, **changes)


def make_filter(symbol: str = "SOLUSD", *, version: int = 1, status: str = "active", **changes: Any) -> FittedModel:
    """Store a version of a symbol's filter; its file is nowhere, and pages open none."""
    terms = {"label": "triple_barrier", "success_threshold": 0.0, "barriers": {"stop_pct": 0.02}}
    words = ["approves 3 of 214 setups", "its probabilities say less than the base rate 0.21 alone"]
    usual: dict[str, Any] = {
        "symbol": Symbol.objects.get(name=symbol),
        "strategy": "setup_filter",
        "variant": "15m",
        "version": version,
        "status": status,
        "params": {"terms": terms, "recognizer": {}},
        "fitted": {},
        "metrics": {"words": words, "report": {"auc": 0.58, "base_rate": 0.21}},
        "strat_weight": 0.0,
        "fit_from": NOON - timedelta(days=700),
        "fit_to": NOON - timedelta(days=60),
        "n_bars": 60_000,
        "data_hash": "0" * 64,
        "columns": [],
        "libraries": {},
        "seconds": 1.0,
        "fitted_by": "tests",
        "path": f"filters/{next(_numbers)}",
        "sha256": "0" * 64,
        "created_at": NOON - timedelta(days=2),
    }
    return FittedModel.objects.create(**(usual | changes))


def make_setup(bar_at: datetime = NOON, **changes: Any) -> Setup:
    """Store a long setup: entry 100, stop 98, target 104, approved with 0.72 of 0.65."""
    usual: dict[str, Any] = {"symbol": "SOLUSD", "broker": "mt5", "data_symbol": "SOLUSDT", "interval": "15m"}
    usual |= {"direction": "long", "entry": 100.0, "stop": 98.0, "target": 104.0, "approved": True}
    usual |= {"confidence": 0.72, "threshold": 0.65, "signals": SIGNALS, "context": CONTEXT, "similar": SIMILAR}
    usual |= {"features": SIGNALS | CONTEXT, "reasons": ["confidence 0.720 is at least the threshold 0.65"]}
    return Setup.objects.create(bar_at=bar_at, **(usual | changes))


def reject(bar_at: datetime, **changes: Any) -> Setup:
    """Store a setup that the filter refused."""
    reasons = ["confidence 0.310 is below the threshold 0.65"]
    return make_setup(bar_at, **({"approved": False, "confidence": 0.31, "reasons": reasons} | changes))


def enter(setup: Setup, account: Account, **changes: Any) -> BotTrade:
    """Store a trade of a setup: 7 lots with 14 at risk, 24 bars to live."""
    number = next(_numbers)
    intent = Intent.objects.create(
        account=account,
        family="setup",
        symbol=setup.symbol,
        cause="setup",
        cause_id=f"{setup.pk}:enter",
        magic=900 + number,
        counter=number,
        mode="demo",
        target_lots=D(7),
        from_lots=D(0),
        status=Intent.Status.DONE,
    )
    usual = {"symbol": setup.symbol, "side": "buy", "lots": D(7), "price": D(100), "stop": D(98), "target": D(104)}
    usual |= {"risk": D(14), "contract_size": D(1), "rate": D(1), "interval": setup.interval, "status": "open"}
    usual |= {"deadline_at": setup.bar_at + 25 * QUARTER}
    return BotTrade.objects.create(account=account, setup=setup, intent=intent, **(usual | changes))


def fill(trade: BotTrade, position_id: int, entry: str = "in", **changes: Any) -> FillRecord:
    """Store a deal of a trade's position, an hour after noon, for nothing."""
    usual = {"symbol": trade.symbol, "side": "buy" if entry == "in" else "sell", "volume": D(7), "price": D(100)}
    usual |= dict.fromkeys(("profit", "commission", "swap", "fee"), D(0)) | {"at": NOON, "magic": trade.intent.magic}
    usual |= {"intent": trade.intent if entry == "in" else None, "order_id": 1, "deal_id": next(_numbers)}
    return FillRecord.objects.create(account=trade.account, position_id=position_id, entry=entry, **(usual | changes))


def ask(trade: BotTrade, **changes: Any) -> Attempt:
    """Store the request that entered a trade, and its answer."""
    leg = LegRecord.objects.create(
        intent=trade.intent, sequence=0, scene="new", side=trade.side, volume=trade.lots, reduces=False
    )
    verdicts = [{"rule": "risk_per_trade", "ok": True, "message": "the order loses 14.00 at its stop"}]
    usual = {"number": 1, "fence": 1, "boot": "b", "outcome": "ok", "retcode": 10009, "message": "done"}
    usual |= {"price": D("100.02"), "volume": D(7), "verdicts": verdicts}
    return Attempt.objects.create(leg=leg, **(usual | changes))


def close(trade: BotTrade, result: str, *, reason: str = "target", at: datetime = NOON) -> Outcome:
    """End a trade: so much in account currency, in R over the 14 that were at risk."""
    BotTrade.objects.filter(pk=trade.pk).update(status="closed", closed_at=at, result=D(result))
    return end(trade.setup, float(D(result) / trade.risk), reason=reason, at=at, is_real=True)


def end(setup: Setup, r: float, *, reason: str = "stop", at: datetime | None = None, is_real: bool = False) -> Outcome:
    """Store what became of a setup, by the bars unless it was traded."""
    at = at or setup.bar_at + 4 * QUARTER
    money = {"entry_price": 100.0, "exit_price": 101.0, "quantity": 1.0, "pnl": r * 2, "fees": 0.1, "slippage": 0.0}
    times = {"entry_at": min(setup.bar_at + QUARTER, at), "exit_at": at, "known_at": at}
    return Outcome.objects.create(setup=setup, is_real=is_real, exit_reason=reason, r=r, **money, **times)


def make_backtest(symbol: str = "SOLUSDT", **changes: Any) -> SetupBacktest:
    """Store a backtest in which the filter kept the account and every setup lost a tenth of it."""
    moments = [(NOON - timedelta(days=30 - day)).isoformat() for day in range(31)]
    ours = {"trades": 12, "win_rate": 0.5, "profit_factor": 1.25, "expectancy_r": 0.11, "total_return": 0.02}
    theirs = {"trades": 214, "win_rate": 0.21, "profit_factor": 0.8, "expectancy_r": -0.09, "total_return": -0.1}
    usual = {
        "symbol": symbol,
        "interval": "15m",
        "since": NOON - timedelta(days=30),
        "until": NOON,
        "n_bars": 2880,
        "data_hash": "0" * 64,
        "params": {},
        "with_filter": ours | {"max_drawdown": -0.03, "sharpe": 0.9, "exposure": 0.05},
        "without_filter": theirs | {"max_drawdown": -0.14, "sharpe": None, "exposure": 0.4},
        "report": {"base_rate": 0.21, "threshold": 0.65, "words": ["approves 12 of 214 setups"]},
        "curves": {
            "at": moments,
            "with_filter": [10_000 + 200 * day / 30 for day in range(31)],
            "without_filter": [10_000 - 1_000 * day / 30 for day in range(31)],
        },
        "auc": 0.58,
        "seconds": 3.0,
        "run_by": "tests",
        "created_at": NOON,
    }
    return SetupBacktest.objects.create(**(usual | changes))
