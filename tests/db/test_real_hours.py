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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.management import call_command
from django.db import connection

from execution.models import Decision, FillRecord, Intent
from execution.planning.orders import AccountSnapshot
from execution.sessions.slots import HOUR, SlotRule, slot_of
from market.symbols import default_symbols
from ops import clock
from simulator import control, metatrader5
from strategies import registry
from tests import recompute_account
from tests.desk import Desk, SteppedClock, open_desk
from tests.fits_builders import run_command

# The mark asks for the test database; the course itself runs before any test's transaction.
pytestmark = pytest.mark.django_db

BEGIN, END = datetime(2026, 4, 29, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)  # the last 48 hours of the files
COINS = ("BTC", "ETH", "BNB")
SYMBOLS = tuple(f"{coin}USD" for coin in COINS)
HISTORY_BARS = 8760
BALANCE, CAPITAL = Decimal(100_000), Decimal(10_000) / len(COINS)
STEP = Decimal("0.01")
# Three hundredths of a per cent of each file's median close (48,761.625, 2,411.05, 422.6), in whole points.
SPREADS = {"BTCUSD": Decimal("14.63"), "ETHUSD": Decimal("0.72"), "BNBUSD": Decimal("0.1268")}


@dataclass(frozen=True, slots=True)
class Course:
    """What is run."""

    margin_mode: str
    n_slots: int  # the last so many
    future_is_stored: bool  # import the files whole: nobody may look at what has not happened yet


COURSES = (
    Course("hedging", n_slots=48, future_is_stored=False),
    Course("netting", n_slots=12, future_is_stored=True),
)


@dataclass(kw_only=True)
class Replayed:
    """What came of it: plain facts, so that each test asks one question of them."""

    course: Course
    world: Any
    imported: list[dict[str, Any]]
    fitted: dict[str, Any]
    models: dict[str, tuple[registry.LoadedModel, ...]]
    sessions: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # exit code and data
    held: list[dict[str, Decimal]] = field(default_factory=list)  # lots at the venue after each session
    signal: dict[str, Any] = field(default_factory=dict)
    signal_mids: dict[str, Decimal] = field(default_factory=dict)
    stored_by_signal: int = -1
    decisions: list[Decision] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    fills: list[FillRecord] = field(default_factory=list)
    deals: list[Any] = field(default_factory=list)  # the venue's own, the deposit included
    account: AccountSnapshot | None = None

    @property
    def slots(self) -> list[datetime]:
        """Return the hours whose slots were run."""
        return [END - HOUR * n for n in range(self.course.n_slots, 0, -1)]


class MovingClock(SteppedClock):
    """A stepped clock on which the market goes on while somebody waits."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        control.step(self.market_now() + timedelta(seconds=seconds))


@pytest.fixture(scope="module")
def files(trading_data):
    """Return the long series of each symbol, and the one with takers' volumes that goes on where it ends."""
    long, full = trading_data / "klines_1h_ohlcv", trading_data / "klines_1h_full"
    return {
        f"{coin}USD": (
            long / f"{coin}USDT_1h_2021-01_2026-04.parquet",
            full / f"{coin}USDT_1h_full_2026-01_2026-04.parquet",
        )
        for coin in COINS
    }


@pytest.fixture(scope="module", params=COURSES, ids=lambda course: course.margin_mode)
def replayed(request, files, tmp_path_factory, django_db_setup, django_db_blocker):
    """Run a course once, for all that is asked of it; what it stored is gone before the first question."""
    course = request.param
    with django_db_blocker.unblock():
        assert connection.settings_dict["NAME"] == connection.settings_dict["TEST"]["NAME"], "this empties the database"
        try:
            return _replay(course, files, tmp_path_factory.mktemp(course.margin_mode))
        finally:
            call_command("flush", verbosity=0, interactive=False)


def _replay(course: Course, files: dict[str, tuple[Path, Path]], folder: Path) -> Replayed:
    world = {"replay": tuple(str(path) for paths in files.values() for path in paths)}
    begin = END - HOUR * course.n_slots
    opened = open_desk(folder, start=begin, margin_mode=course.margin_mode, **world)
    with opened as desk, clock.use(MovingClock(desk.clock.path)):
        done = _begun(course, files, folder, desk)
        for hour in done.slots:
            _run_slot(desk, hour, done)
        _ask_signal(desk, done)
        control.step(END)
        _look(desk, done)
    return done


def _begun(course: Course, files: dict[str, tuple[Path, Path]], folder: Path, desk: Desk) -> Replayed:
    """Bring in the history and fit the models on what precedes the course."""
    default_symbols()
    imported = []
    for symbol, (long, full) in files.items():
        newest = full if course.future_is_stored else _cut(full, folder)
        imported += _succeeded("data_import", str(long), str(newest), "--symbol", symbol)["files"]
    _succeeded("data_update")
    until = END - HOUR * course.n_slots
    fitted = _succeeded("fit_models", "--until", until.isoformat())
    models = {symbol: registry.active(symbol) for symbol in SYMBOLS}
    return Replayed(course=course, world=desk.world, imported=imported, fitted=fitted, models=models)


def _cut(path: Path, folder: Path) -> Path:
    """Return the rows that a desk could have had when the course begins."""
    rows = pd.read_parquet(path)
    rows[rows["open_time"] < BEGIN.timestamp() * 1000].to_parquet(folder / path.name)
    return folder / path.name


def _succeeded(command: str, *arguments: str) -> dict[str, Any]:
    code, document, errors = run_command(command, *arguments)
    assert (code, errors) == (0, ""), (command, document)
    return document["data"]


def _run_slot(desk: Desk, hour: datetime, done: Replayed) -> None:
    """Let the command wait for the slot's last second."""
    control.step(slot_of(hour, SlotRule()).at - timedelta(seconds=1))
    code, document, _ = run_command("trade_session")
    done.sessions.append((code, document["data"]))
    done.held.append({symbol: desk.lots(symbol) for symbol in SYMBOLS})


def _ask_signal(desk: Desk, done: Replayed) -> None:
    before = Decision.objects.count() + Intent.objects.count() + len(desk.deals())
    done.signal = _succeeded("signal_run")
    done.stored_by_signal = Decision.objects.count() + Intent.objects.count() + len(desk.deals()) - before
    for symbol in SYMBOLS:
        tick = metatrader5.symbol_info_tick(symbol)
        done.signal_mids[symbol] = (_exact(tick.bid) + _exact(tick.ask)) / 2


def _look(desk: Desk, done: Replayed) -> None:
    done.account = desk.broker.account()
    done.deals = metatrader5.mounted_account().ledger.deals()
    done.decisions = list(Decision.objects.order_by("id"))
    done.intents = list(Intent.objects.order_by("id"))
    done.fills = list(FillRecord.objects.order_by("deal_id"))


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))


# --- the history ----------------------------------------------------------------------------------------------------


def test_the_files_are_stored_whole_and_their_overlap_agrees(replayed):
    for long, full in zip(replayed.imported[::2], replayed.imported[1::2], strict=True):
        assert (long["rows"], long["inserted"], long["quarantined"], long["differing"]) == (46_330, 46_330, {}, [])
        new = 360 if replayed.course.future_is_stored else 360 - 48
        assert (full["inserted"], full["changed"], full["quarantined"], full["differing"]) == (new, 1_878, {}, [])


def test_all_sixteen_models_of_each_symbol_are_fitted_on_what_precedes(replayed):
    models, first_slot = replayed.fitted["models"], replayed.slots[0]

    assert replayed.fitted["failed"] == []
    assert {symbol: sum(m["symbol"] == symbol for m in models) for symbol in SYMBOLS} == dict.fromkeys(SYMBOLS, 16)
    assert {(m["status"], m["n_bars"]) for m in models} == {("active", HISTORY_BARS)}
    assert {datetime.fromisoformat(m["fit_to"]) for m in models} == {first_slot - HOUR}


# --- the sessions ---------------------------------------------------------------------------------------------------


def test_every_slot_decides_every_symbol_once_and_nothing_is_vetoed(replayed):
    wanted = [(f"{hour:%Y-%m-%dT%H}", symbol) for hour in replayed.slots for symbol in SYMBOLS]

    assert [(decision.slot, decision.symbol) for decision in replayed.decisions] == wanted
    assert {(d.verdict, bool(d.blocker)) for d in replayed.decisions} <= {("traded", False), ("hold", True)}
    assert [code for code, _ in replayed.sessions] == [0] * replayed.course.n_slots


def test_slots_act_45_seconds_after_the_hour_and_the_one_of_22_five_minutes_earlier(replayed):
    times = {}
    for decision in replayed.decisions:
        times.setdefault(decision.slot, set()).add((decision.market_at, decision.bar_at))
    for hour in replayed.slots:
        early = hour.hour == 22
        due = hour + (timedelta(minutes=-4, seconds=-15) if early else timedelta(seconds=45))
        [(acted, bar)] = times[f"{hour:%Y-%m-%dT%H}"]
        assert timedelta(0) <= acted - due < timedelta(seconds=1)
        assert bar == hour - (2 * HOUR if early else HOUR)
    n_early = sum(hour.hour == 22 for hour in replayed.slots)
    assert n_early == (2 if replayed.course.n_slots == 48 else 1)


def test_models_saw_the_closed_bars_of_the_files_and_nothing_later(replayed, files):
    for symbol in SYMBOLS:
        bars = _bars_of(files[symbol])
        ours = [decision for decision in replayed.decisions if decision.symbol == symbol]
        for decision in (ours[0], ours[-2], ours[-1]):  # the last but one is the early one
            seen = bars[bars.index <= decision.bar_at].tail(HISTORY_BARS)
            expected = [(m.name, m.estimator.one_step_predict(seen)) for m in replayed.models[symbol]]
            stored = [
                (f"{row['strategy']} {row['variant']}".strip(), row["position_pct"]) for row in decision.positions
            ]
            assert stored == [(name.strip(), pytest.approx(position, abs=1e-12)) for name, position in expected]


def test_each_target_is_the_formula_of_the_stored_positions_and_price(replayed):
    for decision in replayed.decisions:
        price = Decimal(decision.sizing["price"])
        quote = replayed.world.market.quote(decision.symbol, round(decision.market_at.timestamp() * 1000))
        assert price == (_exact(quote.bid) + _exact(quote.ask)) / 2
        assert len(decision.positions) == 16
        assert decision.position_pct == pytest.approx(_total(decision.positions), abs=1e-15)
        assert decision.target_lots == target_lots(decision.positions, price)


def test_after_each_session_the_venue_holds_the_targets(replayed):
    for (_, data), held in zip(replayed.sessions, replayed.held, strict=True):
        assert {row["symbol"]: Decimal(str(row["target_lots"])) for row in data["symbols"]} == held


def test_signal_run_shows_the_formula_and_leaves_no_trace(replayed):
    assert replayed.stored_by_signal == 0
    assert datetime.fromisoformat(replayed.signal["bar_time"]) == END - 2 * HOUR
    assert [row["symbol"] for row in replayed.signal["symbols"]] == list(SYMBOLS)
    for row, held in zip(replayed.signal["symbols"], replayed.held[-1].values(), strict=True):
        mid = replayed.signal_mids[row["symbol"]]
        assert row["position_pct"] == pytest.approx(_total(row["models"]), abs=1e-15)
        assert row["clipped_pct"] == max(-1.0, min(1.0, row["position_pct"]))
        assert row["all_in_lots"] == pytest.approx(float(CAPITAL / mid), rel=1e-15)
        assert row["target_lots"] == float(target_lots(row["models"], mid))
        assert row["current_lots"] == float(held)


def target_lots(positions: list[dict[str, Any]], price: Decimal) -> Decimal:
    """Return the lots that the design page asks for: tenths of the capital, to hundredths of a lot, never above it."""
    clipped = max(-1.0, min(1.0, _total(positions)))
    lots = round(Decimal(round(clipped * 10)) / 10 * (CAPITAL / price), 2)
    return lots - STEP.copy_sign(lots) if abs(lots) * price > CAPITAL else lots


def _total(positions: list[dict[str, Any]]) -> float:
    return math.fsum(row["position_pct"] for row in positions)


def _bars_of(paths: tuple[Path, Path]) -> pd.DataFrame:
    """Return the files' bars as strategies want them; the tick volume, which no model of the plan reads, is made up."""
    full, long = (pd.read_parquet(path).set_index("open_time") for path in reversed(paths))
    rows = full.combine_first(long).rename(columns={"taker_buy_base_volume": "taker_buy_base_vol"}).sort_index()
    rows.index = pd.to_datetime(rows.index, unit="ms", utc=True)
    return rows.assign(tick_volume=1.0)[
        ["open", "high", "low", "close", "tick_volume", "volume", "taker_buy_base_vol"]
    ].astype(float)


# --- the money ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def statement(replayed, files):
    """Return the account as the files and the facts of the deals make it."""
    bars = {symbol: recompute_account.read_bars(symbol, paths) for symbol, paths in files.items()}
    facts = [recompute_account.deal_from(deal) for deal in _facts(replayed)]
    return recompute_account.account_statement(
        facts, bars, fees=recompute_account.Fees(spreads=SPREADS), balance=BALANCE, until=END
    )


def test_balance_and_equity_are_the_recomputed_ones_to_the_cent(replayed, statement):
    assert replayed.account.balance == statement.balance
    assert replayed.account.equity == statement.equity


def test_each_deal_brings_what_it_must(replayed, statement):
    deals = replayed.deals[1:]

    assert [(d.commission, d.profit, d.swap) for d in deals] == [
        (b.commission, b.profit, b.swap) for b in statement.bookings
    ]


def test_what_is_still_open_is_the_sum_of_the_deals(replayed, statement):
    held = {symbol: lots for symbol, lots in replayed.held[-1].items() if lots}

    assert statement.lots == held


def test_the_course_has_what_makes_the_comparison_worth_something(replayed, statement):
    entries = {deal.entry for deal in replayed.deals[1:]}

    assert {metatrader5.DEAL_ENTRY_IN, metatrader5.DEAL_ENTRY_OUT} <= entries
    assert statement.nights > 0
    assert any(booking.profit for booking in statement.bookings)
    if replayed.course.n_slots == 48:
        assert any(booking.swap for booking in statement.bookings)
        assert len({deal.side for deal in _deal_facts(replayed)}) == 2


def test_every_deal_of_the_venue_is_booked_once_under_the_slot_that_caused_it(replayed):
    venue = [
        (d.ticket, d.order_ticket, d.position_id, d.volume, _exact(d.price), d.profit, d.commission, d.swap)
        for d in replayed.deals
    ]
    ours = [
        (f.deal_id, f.order_id, f.position_id, f.volume, f.price, f.profit, f.commission, f.swap)
        for f in replayed.fills
    ]
    causes = {intent.pk: (intent.symbol, intent.cause_id) for intent in replayed.intents}

    assert ours == venue
    assert len(set(causes.values())) == len(causes)
    for fill in replayed.fills[1:]:
        symbol, slot = causes[fill.intent_id]
        assert symbol == fill.symbol
        assert timedelta(0) <= fill.at - slot_of(_hour(slot), SlotRule()).at < timedelta(seconds=10)


def test_each_slot_moves_exactly_from_what_was_held_to_the_target(replayed):
    held = dict.fromkeys(SYMBOLS, Decimal(0))
    for hour, after in zip(replayed.slots, replayed.held, strict=True):
        slot = f"{hour:%Y-%m-%dT%H}"
        mine = {intent.pk for intent in replayed.intents if intent.cause_id == slot}
        for symbol in SYMBOLS:
            volume = sum((f.volume for f in replayed.fills if f.intent_id in mine and f.symbol == symbol), Decimal(0))
            assert volume == abs(after[symbol] - held[symbol])
        held = after


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
            "price": str(_exact(deal.price)),
            "position": deal.position_id,
        }
        for deal in replayed.deals[1:]
    ]


def _deal_facts(replayed: Replayed) -> list[recompute_account.DealFact]:
    return [recompute_account.deal_from(facts) for facts in _facts(replayed)]


def _hour(slot: str) -> datetime:
    return datetime.fromisoformat(f"{slot}:00:00+00:00")
