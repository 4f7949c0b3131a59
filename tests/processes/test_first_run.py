"""What somebody sees who starts a fresh clone and does nothing else: a site, an account, and sessions that trade."""

from __future__ import annotations

import sqlite3
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import pandas as pd
import pytest
import requests

from tests.processes.running_desk import RunningDesk
from tests.processes.sessions import off_target, reach_next_slot, traded_beyond_intent
from tests.processes.visitor import Visitor

pytestmark = pytest.mark.processes
SYMBOLS = ["BTCUSD", "ETHUSD", "BNBUSD"]
HOUR_MS = 3_600_000
DEPOSIT_CENTS = 10_000_000


ON_REPLAY = pytest.param("replay_desk", id="replay", marks=pytest.mark.xdist_group("processes: replay desk"))
ON_DEMO = pytest.param("demo_desk", id="synthetic", marks=pytest.mark.xdist_group("processes: demo desk"))


@pytest.fixture(scope="module", params=[ON_DEMO, ON_REPLAY])
def desk(request) -> RunningDesk:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def first_session(desk) -> sqlite3.Row:
    """Return the run of the first slot that came; nobody did anything for it."""
    return reach_next_slot(desk)


def test_the_site_answers_and_the_password_in_the_file_opens_it(desk):
    assert requests.get(f"{desk.address}/healthz", timeout=5).json()["mode"] == "demo"
    page = Visitor(desk).get("")
    assert page.status_code == 200
    assert "DEMO DATA" in page.text


def test_a_slot_trades_with_no_help(desk, first_session):
    assert (first_session["status"], first_session["attempts"], first_session["error"]) == ("done", 1, "")
    decided = desk.rows("SELECT symbol, verdict FROM execution_decision WHERE run_id = ?", first_session["id"])
    assert [row["symbol"] for row in decided] == SYMBOLS
    assert {row["verdict"] for row in decided} <= {"traded", "hold"}
    assert off_target(desk) == {}
    assert {holding.symbol for holding in desk.venue.ours()} <= set(SYMBOLS)
    assert desk.venue.ours(), "not one position was opened"
    assert traded_beyond_intent(desk) == []


def test_the_account_is_the_demos_and_all_its_positions_are_ours(desk, first_session):
    status = desk.manage("trade_status")

    assert status.code == 0
    assert (status.data["mode"], status.data["state"]) == ("demo", "armed")
    assert desk.venue.deposits() == [DEPOSIT_CENTS]
    assert [p["ticket"] for p in status.data["positions"] if p["ours"]] == [h.ticket for h in desk.venue.holdings()]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_decision_is_explained_down_to_each_model(desk, first_session, symbol):
    explained = desk.manage("signal_explain", symbol)
    planned = desk.rows("SELECT strategy, variant FROM strategies_planrow WHERE is_enabled ORDER BY strategy, variant")

    assert explained.code == 0
    models = explained.data["models"]
    assert sorted((m["strategy"], m["variant"]) for m in models) == [
        (row["strategy"], row["variant"]) for row in planned
    ]
    assert sum(m["position_pct"] for m in models) == pytest.approx(explained.data["position_pct"], abs=1e-9)
    assert explained.data["clipped_pct"] == min(max(explained.data["position_pct"], -1), 1)
    assert explained.data["verdict"] in ("traded", "hold")
    assert Decimal(str(explained.data["target_lots"])) == _target(explained.data)


def _target(data: dict) -> Decimal:
    """Return `round(position * 10) / 10` of all that the capital buys, on the grid of 0.01 and never beyond it."""
    share = Decimal(round(data["clipped_pct"] * 10)) / 10
    all_in = Decimal(data["sizing"]["all_in_lots"])
    rounded = round(share * all_in, 2)
    beyond = abs(rounded) > all_in
    return (share * all_in).quantize(Decimal("0.01"), ROUND_DOWN) if beyond else rounded


@pytest.mark.parametrize("desk", [ON_REPLAY], indirect=True)
def test_a_replayed_trade_is_made_at_the_files_own_price_of_that_hour(desk, first_session):
    files = {Path(path).name.partition("USDT")[0] + "USD": path for path in desk.arguments[1:]}
    bars = {symbol: pd.read_parquet(path).set_index("open_time") for symbol, path in files.items()}

    deals = desk.venue.deals()
    assert deals
    for deal in deals:
        bar = bars[deal.symbol].loc[deal.time_ms // HOUR_MS * HOUR_MS]
        # The file's prices are bids; one who buys pays the spread on top, which is far below a thousandth.
        assert bar["low"] <= deal.price <= bar["high"] * 1.001
