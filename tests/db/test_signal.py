"""``signal_run`` and ``signal_explain`` against the design's formula, done a second time from what is stored.

What each model wants is recomputed in plain pandas (``tests/strategies_reference.py``), what it comes to in lots with
decimals from the venue's own numbers. Neither command writes or sends anything, or knows what has not happened yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from django.apps import apps

from execution.models import PortfolioWeight, RebalanceSettings
from execution.safety import control
from execution.safety.risk import RULES
from market.models import Bar, Kline, Symbol
from ops.audit import SYSTEM
from simulator import metatrader5
from strategies.estimators.wed_thu import WedThuStrategy
from strategies.models import FittedModel
from tests.command_line import manage
from tests.desk import START, run_slot
from tests.fitted_desk import SYMBOLS, fitted_database
from tests.real_course import exact
from tests.strategies_reference import Reference

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
HISTORY_BARS = 8760
DERIVED = {"market.SeriesBlock"}  # bars a second time, made whenever somebody reads them
SLOW = "orth_alpha"  # its reference takes a second, so it is done once only


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path) as opened:
        yield opened


def signal(*arguments: str) -> dict[str, Any]:
    ended = manage("signal_run", *arguments, "--json")
    assert ended.code == 0, ended.out
    return ended.data


# --- what the models want -------------------------------------------------------------------------------------------


def bars_until(symbol: str, newest: datetime) -> pd.DataFrame:
    """Return the stored hours up to the one that opened at ``newest``, joined as strategies want them."""
    rates = pd.DataFrame(Bar.objects.filter(symbol=symbol, interval="1h").values())
    klines = pd.DataFrame(Kline.objects.filter(symbol=f"{symbol}T", interval="1h").values())
    volumes = klines.set_index("open_ms")[["volume", "taker_buy_base_volume"]]
    prices = rates.set_index("open_ms")[["open", "high", "low", "close", "tick_volume"]]
    bars = prices.join(volumes.rename(columns={"taker_buy_base_volume": "taker_buy_base_vol"})).sort_index()
    bars.index = pd.to_datetime(bars.index, unit="ms", utc=True)
    return bars[bars.index <= newest].tail(HISTORY_BARS)


def wanted(symbol: str, newest: datetime) -> dict[tuple[str, str], float]:
    """Return what every model of a symbol wants by the definitions, with what its fit learned."""
    bars, positions = bars_until(symbol, newest), {}
    for model in FittedModel.objects.filter(symbol__name=symbol, status="active"):
        if model.strategy == SLOW and (symbol, model.params["forward_window"]) != (SYMBOLS[0], 24):
            continue
        reference = Reference.of(model.strategy, **(model.params | {"strat_weight": model.strat_weight}))
        reference.cdf_median, reference.defactor = model.fitted["cdf_median_"], model.fitted["defactor_"]
        reference.scaler = model.fitted["to_target_scaler_"]
        positions[model.strategy, model.variant] = reference.predict(bars).iloc[-1]
    return positions


def test_each_model_wants_what_its_definition_says(desk):
    shown = signal()

    assert datetime.fromisoformat(shown["bar_time"]) == START - HOUR
    for row in shown["symbols"]:
        positions = {(model["strategy"], model["variant"]): model["position_pct"] for model in row["models"]}
        expected = wanted(row["symbol"], START - HOUR)
        assert len(positions) == 16
        assert len(expected) == (15 if row["symbol"] == SYMBOLS[0] else 14)
        assert {key: positions[key] for key in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_nothing_that_has_not_happened_yet_is_looked_at(desk):
    before = signal()
    for model in (Bar, Kline):
        newest = list(model.objects.order_by("-open_ms")[:3])
        for ahead in range(1, 50):  # the forming hour is the first
            for bar in newest:
                changes = {"pk": None, "open_ms": bar.open_ms + ahead * 3_600_000, "high": 9e9, "close": 9e9, "low": 1}
                for name, value in changes.items():
                    setattr(bar, name, value)
                bar.save(force_insert=True)
                bar.open_ms -= ahead * 3_600_000

    assert signal() == before


# --- what it comes to in lots ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """What a person has set."""

    capital: int = 10_000
    most: str = "1"
    precision: int = 2
    weights: tuple[str, ...] = ()
    size_by: str = "fixed"

    def write(self) -> None:
        RebalanceSettings.objects.create(
            pk=1,
            sizing_capital=self.capital,
            max_position_pct=Decimal(self.most),
            lot_precision=self.precision,
            size_by=self.size_by,
            max_history_hours=3000,  # all that the few models need which are asked
        )
        for name, weight in zip(SYMBOLS, self.weights, strict=False):
            PortfolioWeight.objects.create(symbol=Symbol.objects.get(name=name), weight=Decimal(weight))

    def capital_of(self, symbol: str) -> Decimal:
        account = metatrader5.account_info()
        asked = Decimal(self.capital) if self.size_by == "fixed" else exact(account.balance)
        weights = [Decimal(weight) for weight in self.weights] or [Decimal(1) / len(SYMBOLS)] * len(SYMBOLS)
        return min(asked, exact(account.equity)) * weights[SYMBOLS.index(symbol)]


def target_lots(row: dict[str, Any], rule: Rule) -> Decimal:
    """Return the lots by the seven steps of the design page, from the venue's own price and grid."""
    info, tick = metatrader5.symbol_info(row["symbol"]), metatrader5.symbol_info_tick(row["symbol"])
    worth = exact(info.trade_contract_size) * (exact(tick.bid) + exact(tick.ask)) / 2
    step, capital, most = exact(info.volume_step), rule.capital_of(row["symbol"]), Decimal(rule.most)
    position = math.fsum(model["position_pct"] for model in row["models"])
    clipped = max(-float(most), min(float(most), position))
    lots = round(Decimal(round(clipped * 10)) / 10 * (capital / worth), rule.precision)
    lots = lots // step * step
    while abs(lots) * worth > most * capital:
        lots -= max(step, Decimal(1).scaleb(-rule.precision)).copy_sign(lots)
    return lots if abs(lots) >= exact(info.volume_min) else Decimal(0)


RULES_OF_SIZING = {
    "as shipped": Rule(),
    "more capital": Rule(capital=90_000),
    "the balance": Rule(size_by="balance"),
    "weights": Rule(capital=60_000, weights=("0.5", "0.3", "0.2")),
    "no share for one": Rule(weights=("0", "0.3", "0.2")),
    "a small largest position": Rule(capital=90_000, most="0.35"),
    "a large largest position": Rule(capital=30_000, most="2"),
    "coarse lots": Rule(capital=90_000, precision=1),
    "whole lots": Rule(capital=90_000, precision=0),
}


@pytest.mark.parametrize("rule", RULES_OF_SIZING.values(), ids=RULES_OF_SIZING)
def test_the_lots_are_the_formula_of_the_design_whatever_the_models_want(desk, monkeypatch, rule):
    rule.write()
    FittedModel.objects.exclude(strategy__in=["wed_thu", "accel_vol"]).update(status="retired")
    for extra in (0.0, 0.47, 0.93, -3.0):
        monkeypatch.setattr(WedThuStrategy, "one_step_predict", lambda self, bars, extra=extra: extra)
        for row in signal()["symbols"]:
            total = math.fsum(model["position_pct"] for model in row["models"])
            worth = Decimal(row["sizing"]["contract_value"])
            assert row["position_pct"] == pytest.approx(total, abs=1e-15)
            assert row["clipped_pct"] == max(-float(rule.most), min(float(rule.most), row["position_pct"]))
            assert row["all_in_lots"] == pytest.approx(float(rule.capital_of(row["symbol"]) / worth), rel=1e-12)
            assert row["target_lots"] == float(target_lots(row, rule)), (row["symbol"], extra)


@pytest.mark.parametrize("margin_mode", ["hedging", "netting"])
def test_the_legs_lead_from_what_the_venue_holds_to_the_target(fitted, tmp_path, margin_mode, monkeypatch):
    monkeypatch.setattr(WedThuStrategy, "one_step_predict", lambda self, bars: 0.5)
    with fitted.opened(tmp_path, margin_mode=margin_mode) as desk:
        for number, (name, lots) in enumerate(zip(SYMBOLS, ("0.02", "-0.30", "9.00"), strict=True)):
            assert desk.adjust(name, lots, cause=f"slot {number}").blocker == ""
        shown = signal()

        scenes = {}
        for row in shown["symbols"]:
            assert row["current_lots"] == float(desk.lots(row["symbol"])) != 0
            signed = [leg["volume"] * (1 if leg["side"] == "buy" else -1) for leg in row["legs"]]
            assert math.fsum(signed) == pytest.approx(row["target_lots"] - row["current_lots"], abs=1e-9)
            assert {leg["retcode"] for leg in row["legs"]} == {leg["price"] for leg in row["legs"]} == {None}
            scenes[row["symbol"]] = {leg["scene"] for leg in row["legs"]}
        assert scenes == {"BTCUSD": {"increase"}, "ETHUSD": {"reverse"}, "BNBUSD": {"reduce"}}


def test_a_capital_above_the_equity_is_said_and_not_used(fitted, tmp_path):
    with fitted.opened(tmp_path, balance=6000.0):
        ended = manage("signal_run", "--json")

        assert ended.document["warnings"] == [
            "the fixed capital of 10000 is above the equity: positions are sized from 6000.00"
        ]
        for row in ended.data["symbols"]:
            assert Decimal(row["sizing"]["capital_per_asset"]) == pytest.approx(Decimal(2000))
            assert row["target_lots"] == float(target_lots(row, Rule()))


# --- it only looks --------------------------------------------------------------------------------------------------


def everything(desk) -> dict[str, Any]:
    """Return every row of the database and of the venue, and the files that trading is ruled by."""
    rows: dict[str, Any] = {
        model._meta.label: list(model._default_manager.values_list("pk", flat=True))
        if model in (Bar, Kline)
        else list(model._default_manager.order_by("pk").values_list())
        for model in apps.get_models()
        if model._meta.label not in DERIVED
    }
    files = {path: path.read_bytes() for path in (desk.state_dir / "safety").iterdir()}
    return rows | {"files": files, "deals": desk.deals(), "orders": metatrader5.orders_get()}


@pytest.mark.parametrize("state", ["armed", "paused", "killed"])
def test_a_signal_writes_and_sends_nothing_in_any_state_and_names_what_would_keep_it_from_trading(
    desk, monkeypatch, state
):
    monkeypatch.setattr(metatrader5, "order_send", None)
    if state == "paused":
        control.pause(SYSTEM, reason="news")
    if state == "killed":
        control.armed_file().disarm()
    before = everything(desk)
    shown, tried = signal(), manage("trade_session", "--dry-run", "--json")

    assert everything(desk) == before
    blockers = {row["blocker"] for row in shown["symbols"]}
    reasons = {"armed": "", "paused": "paused: news", "killed": "killed: the armed file is gone or cannot be read"}
    assert blockers == {reasons[state]}
    assert (shown["run_id"], tried.data["symbols"]) == (None, shown["symbols"])


# --- explaining -----------------------------------------------------------------------------------------------------


def explained(symbol: str, *arguments: str) -> dict[str, Any]:
    ended = manage("signal_explain", symbol, *arguments, "--json")
    assert ended.code == 0
    return ended.data


def test_an_explanation_shows_each_model_and_each_step_and_they_agree(desk):
    RebalanceSettings.objects.create(pk=1, sizing_capital=90_000)
    report = run_slot(desk, START + HOUR)
    for row in report.symbols:
        story, text = explained(row.symbol), manage("signal_explain", row.symbol).out
        sizing = {name: value for name, value in story["sizing"].items() if name not in ("capped", "reason")}
        step = {name: Decimal(str(value)) for name, value in sizing.items()}

        assert story["models"] == row.models
        assert math.fsum(model["position_pct"] for model in story["models"]) == story["position_pct"]
        assert story["clipped_pct"] == max(-1.0, min(1.0, story["position_pct"])) == story["sizing"]["position_pct"]
        assert step["contract_value"] == step["price"]  # contracts of one coin, in dollars
        assert step["all_in_lots"] == step["capital_per_asset"] / step["contract_value"]
        assert step["tenths"] == Decimal(round(story["clipped_pct"] * 10)) / 10
        assert step["raw_lots"] == step["tenths"] * step["all_in_lots"]
        assert step["lots_by_precision"] == round(step["raw_lots"], 2)
        assert step["lots_by_step"] == step["lots_by_precision"] // step["volume_step"] * step["volume_step"]
        assert story["target_lots"] == float(step["target_lots"]) == float(desk.lots(row.symbol))
        assert (story["current_lots"], story["scene"], story["verdict"]) == (0, "new", "traded")
        [leg] = story["legs"]
        assert Decimal(leg["volume"]) == abs(desk.lots(row.symbol))
        assert [verdict["rule"] for verdict in story["verdicts"]] == list(RULES)
        assert all(verdict["ok"] for verdict in story["verdicts"])
        for model in story["models"]:
            assert f"{model['position_pct']:+.4f}  {model['strategy']} {model['variant']} v1" in text
        assert all(f"{name} = {value}" in text for name, value in story["sizing"].items())


def test_an_explanation_of_an_older_time_is_of_the_decision_then(desk):
    for hour in (9, 10, 11):
        run_slot(desk, START.replace(hour=hour))

    slots = {
        at: explained("BTCUSD", "--at", at)["slot"]
        for at in ("2026-01-05T09:00:45", "2026-01-05T10:00:44", "2026-01-05T10:30", "2026-01-05T12:30+01:00")
    }
    assert [slot[-2:] for slot in slots.values()] == ["09", "09", "10", "11"]
    assert explained("BTCUSD")["slot"] == "2026-01-05T11"
    early = manage("signal_explain", "BTCUSD", "--at", "2026-01-05T09:00:44")
    assert (early.code, early.complaint.partition(":")[0]) == (5, "no decision about BTCUSD yet")
    wrong = manage("signal_explain", "BTCUSD", "--at", "yesterday")
    assert (wrong.code, wrong.complaint) == (2, "--at 'yesterday' is not a time: write it like 2025-01-02T10:00")


def test_rewriting_the_future_changes_no_explanation(desk):
    run_slot(desk, START + HOUR)
    run_slot(desk, START + 2 * HOUR)
    then = (START + HOUR + timedelta(minutes=30)).isoformat()
    before = explained("BNBUSD", "--at", then)
    closed = datetime.fromisoformat(before["bar_at"])
    assert closed + HOUR <= datetime.fromisoformat(before["market_at"]) <= datetime.fromisoformat(then)

    for model in (Bar, Kline):
        later = model.objects.filter(open_ms__gt=closed.timestamp() * 1000)
        assert later.update(open=1, high=9e9, low=1, close=9e9) == 3
    assert explained("BNBUSD", "--at", then) == before
    positions = {(model["strategy"], model["variant"]): model["position_pct"] for model in before["models"]}
    expected = wanted("BNBUSD", closed)
    assert {key: positions[key] for key in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)
