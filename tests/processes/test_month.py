"""Live and replay, held to each other and to a third: the last hours of the real files on both kinds of account.

Each kind is traded twice from one state: by processes of their own, through the sentinel, the queue and the wire, and
by the replay in one process. Orders and equity must be the same to the cent, and those that
``tests/recompute_account.py`` makes of the files and the bare facts of the deals.

Eight hours on a hedging account by default; ``MONTH_HOURS=720`` is the whole month, on both kinds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests import recompute_account
from tests.processes.courses import Came, Course, Lived, Traded, live, prepare, replay
from tests.real_course import COINS, END, SYMBOLS, Files

pytestmark = [pytest.mark.processes, pytest.mark.deep, pytest.mark.xdist_group("processes: month")]

N_SLOTS = int(os.environ.get("MONTH_HOURS", "8"))
MARGIN_MODES = ("hedging", "netting") if "MONTH_HOURS" in os.environ else ("hedging",)
BALANCE = Decimal(100_000)
# Three hundredths of a per cent of each file's median close (48,761.625, 2,411.05, 422.6), in whole points.
SPREADS = {"BTCUSD": Decimal("14.63"), "ETHUSD": Decimal("0.72"), "BNBUSD": Decimal("0.1268")}
MODELS = 16  # of each symbol


@dataclass(frozen=True, kw_only=True)
class Both:
    """One kind of account, traded on both ways."""

    course: Course
    live: Lived
    replay: Came
    models: dict[str, Any]
    files: Files


@pytest.fixture(scope="module")
def files(trading_data) -> Files:
    """Return the long series of each symbol, and the one that goes on where it ends."""
    long, full = trading_data / "klines_1h_ohlcv", trading_data / "klines_1h_full"
    return {
        f"{coin}USD": (
            long / f"{coin}USDT_1h_2021-01_2026-04.parquet",
            full / f"{coin}USDT_1h_full_2026-01_2026-04.parquet",
        )
        for coin in COINS
    }


@pytest.fixture(scope="module")
def courses(files, tmp_path_factory) -> Iterator[dict[str, Future[Both]]]:
    """Trade both kinds of account beside each other, from one state whose models know nothing of the course."""
    folder = tmp_path_factory.mktemp("month")
    models = prepare(Course(margin_mode=MARGIN_MODES[0], n_slots=N_SLOTS), files, folder / "prepared")

    def trade(margin_mode: str) -> Both:
        course = Course(margin_mode=margin_mode, n_slots=N_SLOTS)
        replayed = replay(course, files, folder / "prepared", folder / f"replay-{margin_mode}")
        pace = replayed.n_orders
        lived = live(course, files, folder / "prepared", folder / f"live-{margin_mode}", n_orders=pace)
        return Both(course=course, live=lived, replay=replayed, models=models, files=files)

    with ThreadPoolExecutor(len(MARGIN_MODES)) as beside:
        yield {margin_mode: beside.submit(trade, margin_mode) for margin_mode in MARGIN_MODES}


@pytest.fixture(params=MARGIN_MODES)
def both(request, courses) -> Both:
    return courses[request.param].result()


# --- the two ways ---------------------------------------------------------------------------------------------------


def test_every_slot_went_once_through_the_queue_and_was_done(both):
    assert both.live.runs == [(slot.key, "trading", "done", 1) for slot in both.course.slots]


def test_all_models_are_fitted_on_what_precedes(both):
    assert (both.models["models"], both.models["failed"]) == (MODELS * len(SYMBOLS), [])
    assert both.live.newest_fitted == both.course.slots[0].bar_at


def test_live_and_replay_decide_the_same_at_every_slot(both):
    wanted = [(slot.key, symbol) for slot in both.course.slots for symbol in SYMBOLS]

    assert [decision[:2] for decision in both.live.decisions] == wanted
    assert differing(both.live.decisions, both.replay.decisions) == []


def test_live_and_replay_make_the_same_deals(both):
    assert differing(both.live.deals, both.replay.deals) == []


def test_live_and_replay_have_the_same_equity_after_every_slot(both):
    assert [point.slot for point in both.live.points] == [slot.key for slot in both.course.slots]
    assert differing(both.live.points, both.replay.points) == []


def test_the_course_has_what_makes_the_comparison_worth_something(both, statement):
    deals = both.live.deals

    assert len(deals) > N_SLOTS / 2
    assert {deal.side for deal in deals} == {"buy", "sell"}
    assert any(deal.profit for deal in deals)
    assert statement.nights
    assert len({point.equity for point in both.live.points}) > N_SLOTS / 2


def differing(live: list[Any], replay: list[Any]) -> list[tuple[int, Any, Any]]:
    """Return where two lists are not the same, the first few."""
    length = max(len(live), len(replay))
    padded = [[*rows, *[None] * (length - len(rows))] for rows in (live, replay)]
    return [(i, ours, theirs) for i, (ours, theirs) in enumerate(zip(*padded, strict=True)) if ours != theirs][:3]


# --- the third, which knows neither ---------------------------------------------------------------------------------


@pytest.fixture
def statement(both) -> recompute_account.Statement:
    """Return the account as the files and the facts of the deals make it."""
    document = facts_of(both)
    bars = {
        symbol: recompute_account.read_bars(symbol, paths, since=both.course.slots[0].hour)
        for symbol, paths in both.files.items()
    }
    return recompute_account.account_statement(
        [recompute_account.deal_from(deal) for deal in document["deals"]],
        bars,
        fees=recompute_account.Fees(spreads=SPREADS),
        balance=BALANCE,
        until=END,
        marks=[recompute_account.mark_from(mark) for mark in document["marks"]],
    )


def test_equity_after_every_slot_is_the_recomputed_one_to_the_cent(both, statement):
    print(figures(both, statement))  # for whoever runs the whole month
    assert differing([point.equity for point in both.live.points], list(statement.marked)) == []
    assert differing([point.equity for point in both.replay.points], list(statement.marked)) == []


def test_balance_and_equity_at_the_end_are_the_recomputed_ones_to_the_cent(both, statement):
    assert (both.live.end.balance, both.live.end.equity) == (statement.balance, statement.equity)


def test_each_deal_brings_what_it_must(both, statement):
    booked = [(deal.commission, deal.profit, deal.swap) for deal in both.live.deals]

    assert booked == [(booking.commission, booking.profit, booking.swap) for booking in statement.bookings]


def test_the_recomputation_runs_as_a_script_on_the_whole_folder(both, statement, trading_data, tmp_path, capsys):
    (tmp_path / "facts.json").write_text(json.dumps(facts_of(both)))

    assert recompute_account.main([str(trading_data), str(tmp_path / "facts.json")]) == 0
    *marks, last = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[2] for line in marks] == [str(point.equity) for point in both.replay.points]
    assert f"balance {statement.balance}  equity {statement.equity}  {len(both.live.deals)} deals" in last


def figures(both: Both, statement: recompute_account.Statement) -> str:
    """Return how much was traded and how long it took, and how far the three are apart at most."""
    ways = [[point.equity for point in way.points] for way in (both.live, both.replay)]
    furthest = max(max(equities) - min(equities) for equities in zip(*ways, statement.marked, strict=True))
    return (
        f"\n{both.course.margin_mode}: {N_SLOTS} slots, {len(statement.bookings)} deals, {statement.nights} swaps, "
        f"live {both.live.seconds:.0f} s, replay {both.replay.seconds:.0f} s, "
        f"equity {statement.equity}, greatest difference {furthest:.2f}"
    )


def facts_of(both: Both) -> dict[str, Any]:
    """Return what a bystander would have written down, without any of the broker's sums."""
    pairs = zip(both.live.points, both.live.bids, strict=True)
    marks = [
        {"at": point.at.isoformat(), "bids": {name: str(bid) for name, bid in bids.items()}} for point, bids in pairs
    ]
    return {
        "balance": str(BALANCE),
        "spreads": {symbol: str(spread) for symbol, spread in SPREADS.items()},
        "until": END.isoformat(),
        "deals": [_fact(deal) for deal in both.live.deals],
        "marks": marks,
    }


def _fact(deal: Traded) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(deal.time_ms / 1000, UTC).isoformat(),
        "symbol": deal.symbol,
        "side": deal.side,
        "entry": deal.entry,
        "volume": str(deal.volume),
        "price": str(deal.price),
        "position": deal.position_id,
    }
