"""Who earned what on a desk that traded, adding up to what the account and the venue say, to the cent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from execution.account_periods import AccountPeriodError, live_period
from execution.backtest_requests import BacktestOptions
from execution.backtesting import run_backtest
from execution.models import BrokerState, EquityPoint, FillRecord, RebalanceSettings
from execution.pnl_analysis import analyse_account, analyse_backtest
from execution.safety.reconcile import reconcile
from execution.watching import store_watched, watch
from market.updating import update_all_data
from ops import clock
from ops.audit import SYSTEM
from ops.progress import Silent
from simulator import metatrader5
from strategies.research.analysis import Question
from strategies.research.pnl import AMOUNTS, DIMENSIONS
from tests.desk import START, run_slot
from tests.fits_builders import run_command
from tests.fitted_desk import fitted_database

pytestmark = pytest.mark.slow

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
QUICK = Question(n_paths=50, n_resamples=50, days=5)


def sums_of(parts: dict[str, list[dict[str, str]]]) -> set[tuple[Decimal, ...]]:
    """Return the sum of every kind of amount, once for each different decomposition."""
    names = (*AMOUNTS, "costs", "net")
    return {tuple(sum(Decimal(row[name]) for row in rows) for name in names) for rows in parts.values()}


def said_by(name: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, document and error of a command."""
    code, document, error = run_command(name, *arguments)
    return code, document, document.get("error", error)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as fitted:
        yield fitted


def look(desk) -> EquityPoint:
    """Look at the account as the sentinel does, and let the minute pass."""
    reconcile(desk.broker)
    store_watched(desk.account, watch(desk.broker))
    desk.step(MINUTE)
    return EquityPoint.objects.filter(account=desk.account).order_by("-at").first()


def venue_total() -> Decimal:
    """Return what the venue's own deals add up to, the deposit left out."""
    return sum((deal.amount for deal in metatrader5.mounted_account().ledger.deals() if deal.symbol), Decimal("0.00"))


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_what_a_desk_earned_adds_up_to_the_change_of_its_equity(fitted, tmp_path, mode):
    with fitted.opened(tmp_path, margin_mode=mode, start=START + 10 * HOUR) as desk:
        RebalanceSettings.objects.update_or_create(pk=1, defaults={"sizing_capital": 60_000})
        first = look(desk)
        for hour in range(11, 17):  # over the broker's midnight, 22:00 UTC in winter
            run_slot(desk, START + hour * HOUR)
        desk.step(20 * MINUTE)
        look(desk)

        report = analyse_account(QUICK)

        data, state = report.as_data(), BrokerState.objects.get()
        assert FillRecord.objects.exclude(symbol="").count() > 2
        open_swaps = sum(Decimal(row["swap"]) for row in state.positions)
        assert open_swaps < 0
        [sums] = sums_of(data["decomposition"])
        assert sums[-1] == Decimal(data["equity"]["change"]) == state.equity - first.equity
        booked = list(FillRecord.objects.exclude(symbol=""))
        assert sums[AMOUNTS.index("commission")] == -sum(fill.commission + fill.fee for fill in booked)
        assert sums[AMOUNTS.index("swap")] == -sum(fill.swap for fill in booked) - open_swaps
        assert sums[AMOUNTS.index("spread")] > 0
        assert abs(report.unexplained) < 0.05
        floating = sum(Decimal(row["profit"]) + Decimal(row["swap"]) for row in state.positions)
        assert sums[-1] == venue_total() + floating
        assert "unattributed" not in {row["label"] for row in data["decomposition"]["strategy"]}
        assert {row["label"] for row in data["decomposition"]["symbol"]} == {fill.symbol for fill in booked}


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path, margin_mode="hedging") as opened:
        yield opened


def trade(desk, *steps: tuple[str, str]) -> None:
    """Bring symbols to so many lots, an hour between two."""
    for n, (symbol, lots) in enumerate(steps):
        desk.adjust(symbol, lots, cause=f"slot {clock.market_now():%d%H}{n}")
        desk.step(HOUR)


def test_a_period_begins_and_ends_with_positions_open(desk):
    trade(desk, ("BTCUSD", "0.3"))
    desk.step(HOUR)
    first = look(desk)
    trade(desk, ("ETHUSD", "-2"), ("BTCUSD", "0.1"))
    desk.step(HOUR)
    last = look(desk)
    desk.step(3 * HOUR)
    look(desk)

    data = analyse_account(QUICK, begin=first.at, end=last.at).as_data()

    assert (data["subject"]["begin"], data["subject"]["end"]) == (first.at, last.at)
    [sums] = sums_of(data["decomposition"])
    assert sums[-1] == last.equity - first.equity
    assert {row["label"]: row for row in data["decomposition"]["side"]}.keys() == {"long", "short"}


def test_two_periods_earn_together_what_the_whole_earned(desk):
    first = look(desk)
    trade(desk, ("BTCUSD", "0.3"), ("ETHUSD", "-1"))
    middle = look(desk)
    trade(desk, ("BTCUSD", "-0.2"), ("ETHUSD", "0"))
    last = look(desk)

    spans = ((first, middle), (middle, last), (first, last))
    nets = [live_period(desk.account, begin.at, end.at).net for begin, end in spans]

    assert nets[0] + nets[1] == nets[2] != 0


def test_a_swap_counts_when_the_broker_books_it(desk):
    first = look(desk)
    trade(desk, ("BTCUSD", "0.3"))
    desk.step(15 * HOUR)  # over the broker's midnight
    trade(desk, ("BTCUSD", "0"))
    last = look(desk)

    report = analyse_account(QUICK)

    booked = sum(fill.swap for fill in FillRecord.objects.exclude(symbol=""))
    total = report.as_data()["total"]
    assert booked < 0
    assert Decimal(total["swap"]) == -booked
    assert Decimal(total["net"]) == last.equity - first.equity == venue_total()


def test_money_that_is_paid_in_is_not_earned(desk):
    first = look(desk)
    trade(desk, ("BTCUSD", "0.3"), ("BTCUSD", "0"))
    with metatrader5.mounted_account().transaction():
        metatrader5.mounted_account().book_cash(Decimal(500), "deposit")
    desk.step(HOUR)
    look(desk)

    data = analyse_account(QUICK).as_data()

    assert data["equity"]["cash"] == "500.00"
    assert Decimal(data["equity"]["change"]) == venue_total() == Decimal(data["total"]["net"])
    assert Decimal(data["equity"]["end"]) == first.equity + 500 + venue_total()


def test_a_position_that_nobody_decided_on_is_nobodys(desk):
    look(desk)
    trade(desk, ("BTCUSD", "0.3"), ("BTCUSD", "0"))
    look(desk)
    rows = analyse_account(QUICK).as_data()["decomposition"]["model"]
    assert [(row["label"], row["net"]) for row in rows] == [("unattributed", str(venue_total()))]


def test_a_deal_that_is_not_stored_is_noticed(desk):
    look(desk)
    trade(desk, ("BTCUSD", "0.3"), ("BTCUSD", "0"))
    look(desk)
    FillRecord.objects.exclude(symbol="").order_by("-deal_id").first().delete()

    code, _, error = said_by("pnl_analyse")

    assert code == 5
    assert "a running desk stores the missing ones" in error


def test_a_look_in_the_minute_of_a_deal_is_passed_over(desk):
    reconcile(desk.broker)
    store_watched(desk.account, watch(desk.broker))
    desk.adjust("BTCUSD", "0.3")  # in the minute of the look: nobody could tell which came first
    desk.step(HOUR)
    second = look(desk)
    desk.step(HOUR)
    look(desk)

    period = live_period(desk.account)

    assert EquityPoint.objects.count() == 3
    assert period.first.at == second.at


def test_a_period_has_to_have_two_looks(desk):
    first = look(desk)
    with pytest.raises(AccountPeriodError, match=r"to 2026-01-05 08:00 has no two points: .* from 2026-01-05 08:00"):
        live_period(desk.account, end=first.at)


def test_the_text_shows_every_table_and_every_chance(desk):
    look(desk)
    trade(desk, *([("BTCUSD", "0.3"), ("BTCUSD", "-0.3")] * 2))
    desk.step(100 * HOUR)
    look(desk)
    assert any(
        "stored bars of BTCUSD do not reach to the end" in warning for warning in analyse_account(QUICK).warnings
    )
    update_all_data()

    out = StringIO()
    call_command("pnl_analyse", "--days", "3", stdout=out, stderr=StringIO())

    text = out.getvalue()
    assert [line.split()[0] for line in text.splitlines() if "gross" in line] == list(DIMENSIONS)
    assert text.count("total ") == len(DIMENSIONS)
    for words in ("p = 0.", "meets the daily limit", "meets the largest loss", "reaches the target"):
        assert words in text


@pytest.mark.deep
def test_the_parts_of_a_replay_add_up_to_its_equity(fitted, tmp_path):
    with fitted.opened(tmp_path, margin_mode="hedging", start=START + 10 * HOUR) as desk:
        RebalanceSettings.objects.update_or_create(pk=1, defaults={"sizing_capital": 60_000})
        desk.step(14 * HOUR)
        assert not update_all_data().failures
        begin = START + 11 * HOUR  # over the broker's midnight, 22:00 UTC in winter
        asked = BacktestOptions(
            begin=begin.isoformat(), end=(begin + 8 * HOUR).isoformat(), engine="replay", capital=100_000.0
        )
        row = run_backtest(asked, actor=SYSTEM, progress=Silent())

        data = analyse_backtest(row.pk, QUICK).as_data()

        [sums] = sums_of(data["decomposition"])
        assert sums[-1] == Decimal(str(round(row.equity().iloc[-1] - 100_000, 2))) != 0
        assert float(sums[AMOUNTS.index("commission")]) == pytest.approx(row.costs["commission"])
        assert float(sums[AMOUNTS.index("swap")]) == pytest.approx(row.costs["swap"])
        assert tuple(data["decomposition"]) == tuple(DIMENSIONS)
