"""The hourly session on a synthetic market: decisions, orders, skips, and the slots it acts in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from execution.errors import RiskRefusedError
from execution.explaining import explain
from execution.models import Decision, Intent
from execution.safety import control, killswitch
from execution.safety.gate import LEASE_TTL_S, TRADER_LEASE
from execution.services import preview, run_session_now
from execution.sessions.hourly import JOB, WAIT_STEP_S, TooLateError, slot_rule
from execution.sessions.slots import slot_of
from market.models import Bar, Symbol
from market.symbols import chosen_symbols
from ops import leases, runs
from ops.audit import SYSTEM
from ops.errors import ExitCode
from ops.models import Run
from simulator import control as sim_control
from strategies.models import FittedModel
from tests.desk import START, run_slot
from tests.fitted_desk import fitted_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), fitted_database(tmp_path_factory) as once:
        yield once


@pytest.fixture
def desk(fitted, tmp_path):
    with fitted.opened(tmp_path) as opened:
        Symbol.objects.filter(name="BNBUSD").update(is_traded=False)
        yield opened


def at(hour: int) -> datetime:
    return START.replace(hour=hour)


def test_a_session_decides_trades_and_explains_each_symbol(desk):
    report = run_slot(desk, at(9))

    assert report.exit_code == ExitCode.DONE
    assert report.bar_time == at(8)
    for symbol in report.symbols:
        assert len(symbol.models) == 16
        assert desk.lots(symbol.symbol) == symbol.target_lots
        story = explain(symbol.symbol)
        assert story["position_pct"] == pytest.approx(sum(m["position_pct"] for m in story["models"]), abs=1e-12)
        assert story["verdict"] in ("traded", "hold")


def test_a_session_waits_for_another_that_is_about_to_end(desk, monkeypatch):
    held = leases.acquire(TRADER_LEASE, holder="another session", ttl_s=LEASE_TTL_S)
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        leases.release(held)

    monkeypatch.setattr(desk.clock, "sleep", sleep)
    report = run_slot(desk, at(9))

    assert waited == [WAIT_STEP_S]
    assert report.exit_code == ExitCode.DONE
    assert Decision.objects.count() == 2


def test_the_formula_of_the_source_is_followed_to_the_letter(desk):
    report = preview(chosen_symbols())

    for symbol in report.symbols:
        price = Decimal(symbol.sizing["price"])
        all_in = Decimal(10_000) / 2 / price
        total = sum(model["position_pct"] for model in symbol.models)
        clipped = max(-1.0, min(1.0, total))
        lots = round(Decimal(round(clipped * 10)) / 10 * all_in, 2)
        largest = Decimal(10_000) / 2
        while abs(lots) * price > largest:
            lots -= Decimal("0.01").copy_sign(lots)
        assert symbol.position_pct == pytest.approx(total, abs=1e-12)
        assert symbol.all_in_lots == pytest.approx(all_in)
        assert symbol.target_lots == lots


def test_a_preview_sends_and_stores_nothing(desk):
    preview(chosen_symbols())

    assert desk.deals() == []
    assert not Decision.objects.exists()


def test_a_session_delivered_twice_trades_once(desk):
    run_slot(desk, at(9))
    deals = len(desk.deals())
    run = Run.objects.get(job=JOB)
    with pytest.raises(TooLateError, match="already"):
        run_session_now(run, chosen_symbols())

    assert len(desk.deals()) == deals


def test_the_early_slot_acts_on_the_bar_before(desk):
    report = run_slot(desk, at(22))

    assert report.bar_time == at(20)


def test_a_session_that_comes_too_late_is_recorded_as_skipped(desk):
    slot = slot_of(at(9), slot_rule())
    sim_control.step(slot.at + timedelta(hours=1))
    run, _ = runs.create_run(JOB, slot.key)
    with pytest.raises(TooLateError):
        run_session_now(run, chosen_symbols())

    assert Run.objects.get().status == Run.Status.SKIPPED
    assert desk.deals() == []


def test_after_a_kill_a_session_sends_nothing_and_is_refused(desk):
    control.armed_file().disarm()
    with pytest.raises(RiskRefusedError) as refused:
        run_slot(desk, at(9))

    assert refused.value.exit_code == ExitCode.REFUSED
    assert desk.deals() == []


def test_one_symbols_broken_model_does_not_stop_the_others(desk):
    model = FittedModel.objects.filter(symbol__name="BTCUSD").first()
    [path] = (Path(desk.state_dir) / "models" / model.path).glob("*.joblib")
    path.write_bytes(b"broken")
    report = run_slot(desk, at(9))

    verdicts = {symbol.symbol: symbol.verdict for symbol in report.symbols}
    assert verdicts["BTCUSD"] == "skipped"
    assert verdicts["ETHUSD"] in ("traded", "hold")
    assert report.exit_code == ExitCode.PARTLY
    assert desk.lots("BTCUSD") == 0


def test_a_stale_symbol_sits_out(desk, monkeypatch):
    from execution.sessions import hourly

    sim_control.step(slot_of(at(9), slot_rule()).at)
    monkeypatch.setattr(hourly, "update_all_data", lambda names: None)
    run, _ = runs.create_run(JOB, slot_of(at(9), slot_rule()).key)
    report = run_session_now(run, chosen_symbols())

    assert {symbol.verdict for symbol in report.symbols} == {"skipped"}
    assert "missing" in report.symbols[0].blocker
    assert desk.deals() == []


def test_a_position_that_nobody_can_decide_about_is_closed_after_the_allowed_skips(desk):
    run_slot(desk, at(9))
    FittedModel.objects.filter(symbol__name="BTCUSD").update(status="retired")
    held = desk.lots("BTCUSD")
    for hour in range(10, 15):
        run_slot(desk, at(hour))
    assert desk.lots("BTCUSD") == held
    run_slot(desk, at(15))

    assert desk.lots("BTCUSD") == 0


def test_a_paused_session_lets_positions_shrink_only(desk):
    control.pause(SYSTEM, reason="test")
    report = run_slot(desk, at(9))

    traded = [s for s in report.symbols if s.target_lots != 0]
    assert traded
    assert all(s.verdict == "blocked" for s in traded)
    assert desk.deals() == []


def test_a_missing_model_counts_as_zero_and_is_named(desk):
    model = FittedModel.objects.filter(symbol__name="ETHUSD").first()
    FittedModel.objects.filter(pk=model.pk).update(status="retired")
    [symbol] = [s for s in preview(chosen_symbols()).symbols if s.symbol == "ETHUSD"]

    assert len(symbol.models) == 15
    assert symbol.missing_models == (model.name,)


def test_bars_of_the_session_are_closed_ones_only(desk):
    run_slot(desk, at(9))

    newest = Bar.objects.filter(symbol="BTCUSD").order_by("-open_ms").first()
    assert datetime.fromtimestamp(newest.open_ms / 1000, UTC) == at(8)


def test_intents_name_the_slot_that_caused_them(desk):
    run_slot(desk, at(9))

    keys = set(Intent.objects.values_list("cause", "cause_id", "family"))
    assert keys == {("session", "2026-01-05T09", "rebalance")}


def test_a_killed_desk_keeps_its_bars_fresh_so_that_it_can_be_armed_again(desk):
    killswitch.latch(SYSTEM, cause="a test")
    with pytest.raises(RiskRefusedError, match="trading is killing"):
        run_slot(desk, at(12))

    assert Bar.objects.latest("open_ms").open_at == at(11)
    assert desk.deals() == []
