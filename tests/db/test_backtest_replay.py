"""The two engines held to each other, and a lived day to its replay: each starts a whole desk in its sandbox."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from execution import receipts
from execution.backtesting import replayed_fills
from execution.models import FillRecord, RebalanceSettings
from execution.receipts import make_receipt
from execution.sessions.sandbox import ReplayTerms, replay_in_sandbox
from execution.sessions.slots import HOUR
from market.models import Symbol
from market.reading import joined_bars
from market.updating import update_all_data
from ops.progress import Silent
from simulator.terms import Terms
from strategies import registry
from strategies.backtesting.fast import fills_table, simulate
from strategies.backtesting.positions import deciding_hours
from strategies.backtesting.requests import BacktestRequest
from strategies.backtesting.windowed import windowed_positions
from strategies.models import Backtest, FittedModel
from strategies.research.lots import SymbolTerms
from strategies.research.timeline import TimelineRules, build_timeline
from tests.desk import START, run_slot
from tests.fits_builders import run_command
from tests.fitted_desk import fitted_database

pytestmark = pytest.mark.slow

NAMES = ("BTCUSD", "ETHUSD")
BALANCE, CAPITAL = 100_000.0, 60_000.0
BEGIN, END = START + HOUR, START + 49 * HOUR
N_SLOTS = 48  # two early slots among them
EARLY = timedelta(minutes=55, seconds=45)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path, margin_mode="hedging") as opened:
        RebalanceSettings.objects.update_or_create(pk=1, defaults={"sizing_capital": CAPITAL})
        yield opened


def symbols() -> list[Symbol]:
    return list(Symbol.objects.filter(name__in=NAMES))


def early_prices(market, bars: pd.DataFrame, name: str) -> pd.Series:
    """Return what the simulated price is at each early slot, which no hour bar says."""
    free = market.on_terms(Terms(spread=0, hold_open=True))
    hours = bars.index[bars.index.hour == 21]
    return pd.Series([free.quote(name, int((hour + EARLY).timestamp() * 1000)).bid for hour in hours], index=hours)


def run_fast_by_hand(market) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], dict[str, pd.Series]]:
    """Return the fast engine's fills of windowed positions, without costs and at the prices of the slots."""
    bars = {name: joined_bars(name, limit=8760 + N_SLOTS, until=END) for name in NAMES}
    request = BacktestRequest(
        symbols=NAMES,
        begin=BEGIN,
        end=END,
        start=BALANCE,
        fixed=CAPITAL,
        terms=dict.fromkeys(NAMES, SymbolTerms()),
    )
    positions = {
        name: windowed_positions(
            [model.estimator for model in registry.active(name)], frame, deciding_hours(frame, BEGIN, END)
        )
        for name, frame in bars.items()
    }
    seen = {name: frame[frame.index >= BEGIN - HOUR] for name, frame in bars.items()}
    early = {name: early_prices(market, frame, name) for name, frame in seen.items()}
    timeline = build_timeline(seen, TimelineRules(), early_prices=early)
    return fills_table(simulate(request, timeline, positions)), seen, early


def equity_at_slots(fills: pd.DataFrame, bars, early) -> list[float]:
    """Return cash and coins at each slot's own price, from the fills alone."""
    cash, held, equity = BALANCE, defaultdict(float), []
    by_slot = dict(iter(fills.groupby("slot")))
    for slot in pd.date_range(BEGIN, END - HOUR, freq="h"):
        for fill in by_slot.get(slot, fills.iloc[:0]).itertuples():
            cash -= fill.lots * fill.price
            held[fill.symbol] += fill.lots
        prices = {name: early[name][slot - HOUR] if slot.hour == 22 else bars[name].loc[slot, "open"] for name in NAMES}
        equity.append(cash + sum(held[name] * prices[name] for name in NAMES))
    return equity


@pytest.mark.parametrize("margin_mode", [pytest.param("hedging", marks=pytest.mark.deep), "netting"])
def test_the_fast_engine_and_the_replay_agree_to_a_millionth_of_the_capital(desk, margin_mode):
    desk.step(END + HOUR - START)
    assert not update_all_data().failures
    free = {"spread": 0, "commission": 0, "swap": 0, "hold_open": True}
    terms = ReplayTerms(begin=BEGIN, end=END, margin_mode=margin_mode, balance=BALANCE, **free)

    replayed = replay_in_sandbox(terms, symbols())
    fills, bars, early = run_fast_by_hand(desk.world.market)

    keys = ["slot", "symbol"]
    theirs = replayed_fills(replayed["fills"]).assign(worth=lambda table: table["lots"] * table["price"])
    ours = fills.assign(worth=fills["lots"] * fills["price"]).groupby(keys)[["lots", "worth"]].sum()
    assert len(ours) > 20
    theirs = theirs.groupby(keys)[["lots", "worth"]].sum()
    assert list(ours.index) == list(theirs.index)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    equity = [float(point["equity"]) for point in replayed["equity"]]
    assert len(equity) == N_SLOTS
    np.testing.assert_allclose(equity, equity_at_slots(fills, bars, early), rtol=0, atol=BALANCE * 1e-6)
    assert np.ptp(equity) > 100 * BALANCE * 1e-6


def test_a_replay_is_asked_for_like_any_other_backtest_and_stands_beside_it(desk):
    desk.step(7 * HOUR)
    assert not update_all_data().failures
    period = ("--begin", BEGIN.isoformat(), "--end", (BEGIN + 4 * HOUR).isoformat(), "--symbol", "ETHUSD")
    before = FillRecord.objects.count()

    code, replay, _ = run_command("backtest_run", *period, "--engine", "replay", "--capital", "100000")
    assert code == 0, replay
    _, fast, _ = run_command("backtest_run", *period, "--capital", "100000", "--slippage", "0")
    row = Backtest.objects.get(pk=replay["data"]["id"])
    _, compared, _ = run_command("backtest_compare", str(row.pk), str(fast["data"]["id"]))

    fills = row.fills()
    assert len(row.equity()) == 5  # the start and four slots
    assert replay["data"]["costs"]["commission"] == pytest.approx(
        0.000325 * (fills["lots"].abs() * fills["price"]).sum(), abs=0.01 * len(fills)
    )
    on_bars = Backtest.objects.get(pk=fast["data"]["id"]).fills()
    assert fills["lots"].tolist() == pytest.approx(on_bars["lots"].tolist())
    assert list(fills["slot"]) == list(on_bars["slot"])
    assert compared["data"]["differs"]["engine"] == ["replay", "fast"]
    assert FillRecord.objects.count() == before


def live(desk, hours) -> None:
    """Run the sessions of these hours, then bring in the bars that the last of them traded into."""
    for hour in hours:
        desk.clock.sleep(3600)  # an hour of the machine's too, as far as limits of orders a minute go
        run_slot(desk, hour)
    desk.step(timedelta(hours=2))
    assert not update_all_data().failures


def labels(receipt) -> dict[str, int]:
    return {label: count for label, count in receipt.counts.items() if count}


@pytest.mark.deep
def test_a_lived_day_is_replayed_the_same_and_what_is_tampered_with_is_named(desk, monkeypatch):
    Symbol.objects.exclude(name__in=NAMES).update(is_traded=False)
    RebalanceSettings.objects.update(sizing_capital=99_000)
    live(desk, [START.replace(hour=23) + n * HOUR for n in range(10)])
    day, replays = date(2026, 1, 6), []

    def once(terms, chosen, **options):
        if not replays:
            replays.append((terms, replay_in_sandbox(terms, chosen, **options)))
        return replays[0][1]

    def again():
        return make_receipt(day, progress=Silent())

    monkeypatch.setattr(receipts, "replay_in_sandbox", once)
    receipt = again()

    # Something was held at midnight, so the replay began one slot before, and that slot's trades are not compared.
    assert replays[0][0].begin == START.replace(hour=23)
    fills = FillRecord.objects.filter(intent__cause_id__startswith="2026-01-06")
    assert len(receipt.trades) == fills.values("intent__cause_id", "symbol", "side").distinct().count() > 5
    assert (receipt.is_same, receipt.warnings) == (True, ())
    code, document, _ = run_command("backtest_receipt", "--day", "2026-01-06")
    assert (code, document["data"]["counts"]["same"]) == (0, len(receipt.trades))

    n, fill = len(receipt.trades), fills.order_by("deal_id").first()
    for change, expected in (
        ({"price": fill.price * Decimal("1.002")}, {"same": n - 1, "price gap": 1}),
        ({"volume": fill.volume + 1}, {"same": n - 1, "missed": 1, "extra": 1}),
        ({"side": "sell" if fill.side == "buy" else "buy"}, {"same": n - 1, "missed": 1, "extra": 1}),
        ({"intent": None}, {"same": n - 1, "missed": 1}),
    ):
        FillRecord.objects.filter(pk=fill.pk).update(**change)
        assert labels(again()) == expected
        assert run_command("backtest_receipt", "--day", "2026-01-06")[0] == 3
        FillRecord.objects.filter(pk=fill.pk).update(**{name: getattr(fill, name) for name in change})
    document = replays[0][1]
    document["fills"] = [deal for deal in document["fills"] if deal["slot"] != fill.intent.cause_id]
    assert labels(again()) == {"same": n - 1, "extra": 1}


def test_a_receipt_says_what_cannot_be_replayed(desk, monkeypatch):
    Symbol.objects.exclude(name__in=NAMES).update(is_traded=False)
    live(desk, [START + HOUR, START + 2 * HOUR, START + 4 * HOUR])
    monkeypatch.setattr(receipts, "replay_in_sandbox", lambda terms, chosen, **options: {"fills": []})
    settings = RebalanceSettings.load()
    settings.drift_band_lots = 1
    settings.save()
    FittedModel.objects.active("BTCUSD").filter(strategy="rev").update(status="retired")
    FillRecord.objects.filter(symbol="ETHUSD").update(intent=None)

    receipt = make_receipt(START.date(), progress=Silent())

    words = "\n".join(receipt.warnings)
    assert "1 models that decided then do not trade now, first BTCUSD rev " in words
    assert "rebalance settings were changed since" in words
    assert "deals of the day were made by no session" in words
    assert "1 slots were not run, first 2026-01-05T11: the replay ran them" in words
    assert set(labels(receipt)) == {"extra"}


def test_a_day_without_a_session_has_no_receipt(desk):
    code, document, _ = run_command("backtest_receipt", "--day", "2025-12-24")

    assert (code, document["error"][:36]) == (5, "no session of 2025-12-24 is stored: ")
