"""Two days of real prices, traded hour by hour through the commands, and every cent of them done a second time.

The desk begins with the history that precedes the last 48 hours of the files, fits its models on it, and runs the
slots of those hours. What the simulated broker then shows is compared with ``tests/recompute_account.py``, which knows
only the files and the bare facts of the deals; what the desk decided is compared with the formula of the design page.
"""

from __future__ import annotations

import ast
import json
import math
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.management import call_command
from django.db import connection

from execution.models import FillRecord
from execution.sessions.slots import HOUR
from simulator import metatrader5
from tests import recompute_account
from tests.real_course import COINS, END, REDUCED_PCT, SYMBOLS, Course, Files, Replayed, Turn, exact, replay

# The mark asks for the test database; the course itself runs before any test's transaction.
pytestmark = [pytest.mark.django_db, pytest.mark.slow]

HISTORY_BARS = 8760
BALANCE = Decimal(100_000)
STEP = Decimal("0.01")
# Three hundredths of a per cent of each file's median close (48,761.625, 2,411.05, 422.6), in whole points.
SPREADS = {"BTCUSD": Decimal("14.63"), "ETHUSD": Decimal("0.72"), "BNBUSD": Decimal("0.1268")}
# New York put its clock back at 06:00 UTC: the server showed an hour twice, and one bar of MetaTrader lasts for both.
SHOWN_TWICE = datetime(2025, 11, 2, 5, tzinfo=UTC)


COURSES = [
    # A group each: a course is run once, by one of the workers that share the tests.
    pytest.param(
        course, id=course.margin_mode, marks=[pytest.mark.xdist_group(f"real hours {course.margin_mode}"), *deep]
    )
    for course, deep in (
        (Course("hedging", n_slots=48, sizing_capital=10_000, future_is_stored=False), [pytest.mark.deep]),
        (Course("netting", n_slots=12, sizing_capital=90_000, future_is_stored=True), []),
    )
]


@pytest.fixture(scope="module")
def files(trading_data) -> Files:
    """Return the long series of each symbol, and the one with takers' volumes that goes on where it ends."""
    long, full = trading_data / "klines_1h_ohlcv", trading_data / "klines_1h_full"
    return {
        f"{coin}USD": (
            long / f"{coin}USDT_1h_2021-01_2026-04.parquet",
            full / f"{coin}USDT_1h_full_2026-01_2026-04.parquet",
        )
        for coin in COINS
    }


@pytest.fixture(scope="module", params=COURSES)
def replayed(request, files, tmp_path_factory, django_db_setup, django_db_blocker):
    """Run a course once, for all that is asked of it; what it stored is gone before the first question."""
    course = request.param
    with django_db_blocker.unblock():
        assert connection.settings_dict["NAME"] == connection.settings_dict["TEST"]["NAME"], "this empties the database"
        try:
            return replay(course, files, tmp_path_factory.mktemp(course.margin_mode))
        finally:
            call_command("flush", verbosity=0, interactive=False)


# --- the history ----------------------------------------------------------------------------------------------------


def test_the_files_are_stored_whole_and_their_overlap_agrees(replayed):
    for long, full in zip(replayed.imported[::2], replayed.imported[1::2], strict=True):
        assert (long["rows"], long["inserted"], long["quarantined"], long["differing"]) == (46_330, 46_330, {}, [])
        new = 360 if replayed.course.future_is_stored else 360 - 48
        assert (full["inserted"], full["changed"], full["quarantined"], full["differing"]) == (new, 1_878, {}, [])


def test_all_sixteen_models_of_each_symbol_are_fitted_on_what_precedes(replayed):
    models = replayed.fitted["models"]

    assert replayed.fitted["failed"] == []
    assert {symbol: sum(m["symbol"] == symbol for m in models) for symbol in SYMBOLS} == dict.fromkeys(SYMBOLS, 16)
    assert {(m["status"], m["n_bars"]) for m in models} == {("active", HISTORY_BARS)}
    assert {datetime.fromisoformat(m["fit_to"]) for m in models} == {replayed.course.slots[0] - HOUR}


# --- the sessions ---------------------------------------------------------------------------------------------------


def test_every_slot_decides_every_symbol_once_and_nothing_is_vetoed(replayed):
    wanted = [(f"{hour:%Y-%m-%dT%H}", symbol) for hour in replayed.course.slots for symbol in SYMBOLS]

    assert [(decision.slot, decision.symbol) for decision in replayed.decisions[:-1]] == wanted
    assert {(d.verdict, bool(d.blocker)) for d in replayed.decisions} <= {("traded", False), ("hold", True)}
    assert {turn.code for turn in replayed.turns} == {0}


def test_slots_act_45_seconds_after_the_hour_and_the_one_of_22_five_minutes_earlier(replayed):
    for i, decision in enumerate(replayed.decisions[:-1]):
        hour = replayed.course.slots[i // len(SYMBOLS)]
        early = hour.hour == 22
        due = hour + (timedelta(minutes=-4, seconds=-15) if early else timedelta(seconds=45))
        assert timedelta(0) <= decision.market_at - due < timedelta(seconds=1)
        assert decision.bar_at == hour - (2 * HOUR if early else HOUR)
    n_early = sum(hour.hour == 22 for hour in replayed.course.slots)
    assert n_early == {48: 2, 12: 1}[replayed.course.n_slots]


def test_models_saw_the_closed_bars_of_the_files_and_nothing_later(replayed, files):
    for symbol in SYMBOLS:
        bars = _bars_of(files[symbol])
        ours = [decision for decision in replayed.decisions if decision.symbol == symbol]
        for decision in (ours[0], ours[replayed.course.n_slots - 2], ours[-1]):  # the second is an early one
            seen = bars[bars.index <= decision.bar_at].tail(HISTORY_BARS)
            expected = [pytest.approx(m.estimator.one_step_predict(seen), abs=1e-12) for m in replayed.models[symbol]]
            assert [row["position_pct"] for row in decision.positions] == expected


def test_each_target_is_the_formula_of_the_stored_positions_and_price(replayed):
    for decision in replayed.decisions:
        price = Decimal(decision.sizing["price"])
        quote = replayed.market.quote(decision.symbol, round(decision.market_at.timestamp() * 1000))
        most = REDUCED_PCT if decision is replayed.decisions[-1] else Decimal(1)
        assert price == (exact(quote.bid) + exact(quote.ask)) / 2
        assert len(decision.positions) == 16
        assert decision.position_pct == pytest.approx(_total(decision.positions), abs=1e-15)
        assert decision.target_lots == target_lots(decision.positions, price, replayed.course.capital, most)


def test_after_each_session_the_venue_holds_the_targets(replayed):
    for turn in replayed.turns:
        targets = {row["symbol"]: Decimal(str(row["target_lots"])) for row in turn.data["symbols"]}
        assert turn.held | targets == turn.held


def test_signal_run_shows_the_formula_and_leaves_no_trace(replayed):
    capital = replayed.course.capital
    assert replayed.stored_by_signal == 0
    assert datetime.fromisoformat(replayed.signal["bar_time"]) == END - 2 * HOUR
    assert [row["symbol"] for row in replayed.signal["symbols"]] == list(SYMBOLS)
    for row in replayed.signal["symbols"]:
        mid = replayed.signal_mids[row["symbol"]]
        assert row["position_pct"] == pytest.approx(_total(row["models"]), abs=1e-15)
        assert row["clipped_pct"] == max(-1.0, min(1.0, row["position_pct"]))
        assert row["all_in_lots"] == pytest.approx(float(capital / mid), rel=1e-15)
        assert row["target_lots"] == float(target_lots(row["models"], mid, capital, Decimal(1)))
        assert row["current_lots"] == float(replayed.turns[-2].held[row["symbol"]])


def target_lots(positions: list[dict[str, Any]], price: Decimal, capital: Decimal, most_pct: Decimal) -> Decimal:
    """Return the lots that the design page asks for: tenths of the capital in hundredths of a lot, never too many."""
    clipped = max(-float(most_pct), min(float(most_pct), _total(positions)))
    lots = round(Decimal(round(clipped * 10)) / 10 * (capital / price), 2)
    return lots - STEP.copy_sign(lots) if abs(lots) * price > most_pct * capital else lots


def _total(positions: list[dict[str, Any]]) -> float:
    return math.fsum(row["position_pct"] for row in positions)


def _bars_of(paths: tuple[Path, Path]) -> pd.DataFrame:
    """Return the files' bars as strategies want them; the tick volume, which no model of the plan reads, is made up."""
    full, long = (pd.read_parquet(path).set_index("open_time") for path in reversed(paths))
    rows = full.combine_first(long).rename(columns={"taker_buy_base_volume": "taker_buy_base_vol"}).sort_index()
    rows.index = pd.to_datetime(rows.index, unit="ms", utc=True)
    shown_again = rows.loc[SHOWN_TWICE + HOUR]
    rows.loc[SHOWN_TWICE, "high"] = max(rows.loc[SHOWN_TWICE, "high"], shown_again["high"])
    rows.loc[SHOWN_TWICE, "low"] = min(rows.loc[SHOWN_TWICE, "low"], shown_again["low"])
    rows.loc[SHOWN_TWICE, "close"] = shown_again["close"]
    rows = rows.drop(index=SHOWN_TWICE + HOUR)
    return rows.assign(tick_volume=1.0)[
        ["open", "high", "low", "close", "tick_volume", "volume", "taker_buy_base_vol"]
    ].astype(float)


# --- the money ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def statement(replayed, files):
    """Return the account as the files and the facts of the deals make it."""
    bars = {
        symbol: recompute_account.read_bars(symbol, paths, since=replayed.course.slots[0])
        for symbol, paths in files.items()
    }
    facts = [recompute_account.deal_from(deal) for deal in _facts(replayed)]
    return recompute_account.account_statement(
        facts, bars, fees=recompute_account.Fees(spreads=SPREADS), balance=BALANCE, until=END
    )


def test_balance_and_equity_are_the_recomputed_ones_to_the_cent(replayed, statement):
    assert replayed.account.balance == statement.balance
    assert replayed.account.equity == statement.equity


def test_each_deal_brings_what_it_must(replayed, statement):
    booked = [(deal.commission, deal.profit, deal.swap) for deal in replayed.deals]

    assert booked == [(booking.commission, booking.profit, booking.swap) for booking in statement.bookings]


def test_what_is_still_open_is_the_sum_of_the_deals(replayed, statement):
    assert statement.lots == {symbol: lots for symbol, lots in replayed.turns[-1].held.items() if lots}


def test_the_course_has_what_makes_the_comparison_worth_something(replayed, statement):
    bookings = statement.bookings

    assert len(bookings) > replayed.course.n_slots / 2
    assert any(booking.profit > 0 for booking in bookings) or any(booking.profit < 0 for booking in bookings)
    assert any(booking.swap for booking in bookings)
    assert {deal.type for deal in replayed.deals} == {metatrader5.DEAL_TYPE_BUY, metatrader5.DEAL_TYPE_SELL}
    assert statement.equity != statement.balance


def test_every_deal_of_the_venue_is_booked_once_under_the_session_that_caused_it(replayed):
    due = {turn.data["slot"]: turn.due for turn in replayed.turns}
    venue = [
        (d.ticket, d.order_ticket, d.position_id, d.volume, exact(d.price), d.profit, d.commission, d.swap)
        for d in replayed.deals
    ]
    ours = [
        (f.deal_id, f.order_id, f.position_id, f.volume, f.price, f.profit, f.commission, f.swap)
        for f in replayed.fills
    ]

    assert ours == venue
    for fill in replayed.fills:
        intent = replayed.intents[fill.intent_id]
        assert intent.symbol == fill.symbol
        assert timedelta(0) <= fill.at - due[intent.cause_id] < timedelta(seconds=10)


def test_each_session_trades_exactly_from_what_was_held_to_its_target(replayed):
    held = dict.fromkeys(SYMBOLS, Decimal(0))
    for turn in replayed.turns:
        for symbol in SYMBOLS:
            volume = sum((f.volume for f in replayed.fills if _is_of(replayed, f, turn, symbol)), Decimal(0))
            assert volume == abs(turn.held[symbol] - held[symbol])
        held = turn.held


def _is_of(replayed: Replayed, fill: FillRecord, turn: Turn, symbol: str) -> bool:
    return fill.symbol == symbol and replayed.intents[fill.intent_id].cause_id == turn.data["slot"]


def test_the_recomputation_runs_as_a_script_on_the_whole_folder(replayed, statement, trading_data, tmp_path, capsys):
    spreads = {symbol: str(spread) for symbol, spread in SPREADS.items()}
    document = {"balance": str(BALANCE), "spreads": spreads, "until": END.isoformat(), "deals": _facts(replayed)}
    (tmp_path / "deals.json").write_text(json.dumps(document))

    assert recompute_account.main([str(trading_data), str(tmp_path / "deals.json")]) == 0
    assert f"balance {statement.balance}  equity {statement.equity}" in capsys.readouterr().out


def test_the_recomputation_shares_no_code_with_what_it_judges():
    tree = ast.parse(Path(recompute_account.__file__).read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }

    assert imported <= {*sys.stdlib_module_names, "numpy", "pandas", "pyarrow"}


def _facts(replayed: Replayed) -> list[dict[str, Any]]:
    """Return the deals as a person would write them down, without any of the broker's sums."""
    entries = {
        metatrader5.DEAL_ENTRY_IN: "in",
        metatrader5.DEAL_ENTRY_OUT: "out",
        metatrader5.DEAL_ENTRY_INOUT: "inout",
    }
    return [
        {
            "at": datetime.fromtimestamp(deal.time_ms / 1000, UTC).isoformat(),
            "symbol": deal.symbol,
            "side": "buy" if deal.type == metatrader5.DEAL_TYPE_BUY else "sell",
            "entry": entries[deal.entry],
            "volume": str(deal.volume),
            "price": str(exact(deal.price)),
            "position": deal.position_id,
        }
        for deal in replayed.deals
    ]
