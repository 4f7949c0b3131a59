"""The demo comes in whole, also in pieces; it goes away whole, and nobody else's data with it."""

from __future__ import annotations

import json
import os
import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from execution.models import Account, LimitRow, RebalanceSettings
from market import updating
from market.models import Bar, Kline, Symbol
from ops.audit import SYSTEM
from ops.errors import ExitCode
from ops.models import AuditEntry, Lease, Run
from strategies import lifecycle, registry
from strategies.models import FittedModel, PlanRow
from tests.desk import open_desk
from tradingsite import demo
from tradingsite.demo import DemoRefusedError, is_loaded, load_demo
from tradingsite.demo_removal import KEPT, REMOVED, clear_demo, what_would_go
from tradingsite.supervisor import AlreadyUpError, alone

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
WHAT_THE_BROKER_OFFERS = demo.offered_symbols
N_BARS = 2000  # a little more than the plan below needs


@pytest.fixture
def desk(tmp_path, monkeypatch, settings):
    """A running simulator, nothing loaded; a short history and a small plan keep it quick."""
    monkeypatch.setattr(updating, "FIRST_HISTORY_BARS", N_BARS)
    monkeypatch.setattr(demo, "offered_symbols", lambda: ["BTCUSD", "BNBUSD"])
    settings.SIM_DIR = tmp_path / "sim"
    for place, (strategy, params) in enumerate([("wed_thu", {}), ("ema_vol", {"fast_ema_window": 24})]):
        PlanRow.objects.create(strategy=strategy, params=params, strat_weight=0.2, position=place)
    with open_desk(tmp_path, armed=False) as opened:
        Account.objects.all().delete()  # the desk has looked at its broker; a new site has not
        RebalanceSettings.objects.all().delete()
        yield opened


def load(say=lambda line: None, **options):
    return load_demo(say=say, **options)


def run(*arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    out = StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


# --- loading ------------------------------------------------------------------------------------------------------


def test_loading_brings_symbols_history_models_and_an_administrator(desk, monkeypatch):
    monkeypatch.setattr(demo, "offered_symbols", WHAT_THE_BROKER_OFFERS)
    lines: list[str] = []
    report = load(lines.append)

    assert report.exit_code == ExitCode.DONE, lines
    assert report.symbols == ("BTCUSD", "ETHUSD", "BNBUSD")
    assert Bar.objects.filter(symbol="BTCUSD").count() >= N_BARS - 1
    assert Kline.objects.filter(symbol="BNBUSDT").count() >= N_BARS - 1
    assert FittedModel.objects.active().count() == 3 * 2
    assert RebalanceSettings.load().size_by == RebalanceSettings.SizeBy.BALANCE
    assert is_loaded()
    assert any("6 fitted, 0 failed" in line for line in lines)


def test_the_administrators_password_is_in_a_file_for_its_owner_alone(desk):
    load()

    path = desk.state_dir / "demo-password"
    assert path.stat().st_mode & 0o777 == 0o600
    assert get_user_model().objects.get(username="admin").check_password(path.read_text().strip())


def test_an_administrator_lost_between_file_and_row_gets_the_password_of_the_file(desk):
    demo.password_file().write_text("kept-from-before")
    demo.make_admin()
    demo.make_admin()

    assert get_user_model().objects.get(username="admin").check_password("kept-from-before")


def test_loading_again_changes_nothing(desk):
    load()
    before = (list(FittedModel.objects.values_list("id", "version")), Bar.objects.count(), AuditEntry.objects.count())
    report = load()

    assert report.fits is None
    assert (list(FittedModel.objects.values_list("id", "version")), Bar.objects.count()) == before[:2]
    assert AuditEntry.objects.count() == before[2]


@pytest.mark.parametrize("fits_before", [0, 2])
def test_a_load_that_was_interrupted_while_fitting_goes_on_there(desk, fits_before):
    class Interrupted:
        done = 0

        def start(self, total: int, label: str) -> None:
            assert total == 4

        def advance(self, label: str) -> None:
            self.done += 1
            if self.done > fits_before:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(progress=Interrupted())
    assert not is_loaded()
    whole = set(FittedModel.objects.values_list("symbol__name", flat=True)) - set(demo.never_fitted())

    load()

    assert is_loaded()
    assert all(not registry.missing_models(name) for name in ("BTCUSD", "BNBUSD"))
    assert set(FittedModel.objects.filter(symbol__name__in=whole).values_list("version", flat=True)) <= {1}


def test_a_load_that_was_interrupted_before_the_history_goes_on_there(desk, monkeypatch):
    monkeypatch.setattr(demo, "update_all_data", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        load()
    assert Symbol.objects.count() == 3
    assert not is_loaded()
    monkeypatch.setattr(demo, "update_all_data", updating.update_all_data)

    load()

    assert is_loaded()


def test_what_a_person_changed_stays(desk):
    load()
    RebalanceSettings.objects.update(size_by=RebalanceSettings.SizeBy.FIXED)
    model = FittedModel.objects.active("BTCUSD").first()
    lifecycle.retire(model.pk, actor=SYSTEM, reason="a person's choice")

    load()

    assert RebalanceSettings.load().size_by == RebalanceSettings.SizeBy.FIXED
    assert FittedModel.objects.get(pk=model.pk).status == FittedModel.Status.RETIRED
    assert FittedModel.objects.count() == 4


def test_only_what_the_broker_offers_is_traded(desk, monkeypatch):
    monkeypatch.setattr(demo, "offered_symbols", lambda: ["BTCUSD"])
    load()
    assert [symbol.name for symbol in Symbol.objects.traded()] == ["BTCUSD"]
    assert is_loaded()


def test_a_replay_of_other_symbols_trades_those(desk, monkeypatch):
    monkeypatch.setattr(demo, "offered_symbols", lambda: ["SOLUSD"])
    load()
    assert list(Symbol.objects.traded().values_list("name", "binance_symbol")) == [("SOLUSD", "SOLUSDT")]


# --- and nowhere else ---------------------------------------------------------------------------------------------


def real_account() -> Account:
    fields = {"mode": "paper", "currency": "USD", "margin_mode": "hedging", "initial_balance": 1000}
    return Account.objects.create(login=7, server="Real-Server", **fields)


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_demo_is_neither_loaded_nor_cleared_in_another_mode(desk, settings, mode):
    load()
    settings.TRADING_MODE = mode
    n_bars = Bar.objects.count()

    for command in (["demo_load"], ["demo_clear", "--yes"], ["demo_clear", "--dry-run"]):
        code, said = run(*command)
        assert code == ExitCode.REFUSED
        assert "demo mode" in said
    assert Bar.objects.count() == n_bars
    assert (desk.state_dir / "sim" / "ledger.sqlite3").exists()


def test_demo_data_is_not_mixed_with_a_real_accounts(desk):
    account = real_account()

    for command in (["demo_load"], ["demo_clear", "--yes"]):
        code, said = run(*command)
        assert code == ExitCode.REFUSED
        assert "paper" in said
    assert not Symbol.objects.exists()
    assert Account.objects.filter(pk=account.pk).exists()


def test_real_trading_is_not_started_on_the_demos_state(desk, settings):
    load()
    Account.objects.create(
        login=1, server="SimDesk", mode="demo", currency="USD", margin_mode="hedging", initial_balance=1
    )
    settings.TRADING_MODE = "live"

    with pytest.raises(DemoRefusedError, match="demo"):
        demo.refuse_mixed_data()


# --- clearing -----------------------------------------------------------------------------------------------------


def test_every_table_of_ours_is_either_removed_or_kept_on_purpose():
    ours = {
        model._meta.label
        for app in ("market", "strategies", "mlfilter", "execution", "ops")
        for model in apps.get_app_config(app).get_models()
        if not model.__name__.startswith("Historical")
    }
    removed = {model._meta.label for model in REMOVED}
    assert not removed & set(KEPT)
    assert ours <= removed | set(KEPT), "say in tradingsite/demo_removal.py what becomes of these"


def test_a_dry_run_names_what_would_go_and_deletes_nothing(desk):
    load()
    before = what_would_go()

    code, said = run("demo_clear", "--dry-run")

    assert code == 0
    assert "market.Bar" in said
    assert str(desk.state_dir / "sim") in said
    assert what_would_go() == before


def test_nothing_is_cleared_without_a_yes(desk):
    load()
    code, said = run("demo_clear", "--no-input")
    assert code == ExitCode.USAGE
    assert "--yes" in said
    assert is_loaded()


def test_clearing_leaves_a_site_that_loads_anew(desk):
    load()
    LimitRow.objects.create(name="max_gross", value=1)
    Lease.objects.create(name="trader", token=17)
    Run.objects.create(job="session", slot="2026-01-05T09")
    folders = [desk.state_dir / "models" / model.path for model in FittedModel.objects.all()]
    assert all(folder.is_dir() for folder in folders)

    clear_demo(actor=SYSTEM)

    assert not Bar.objects.exists()
    assert not FittedModel.objects.exists()
    assert not Run.objects.exists(), "a new market passes the same slots again"
    assert not get_user_model().objects.exists()
    assert not any(folder.exists() for folder in folders)
    assert not (desk.state_dir / "sim").exists()
    assert not demo.password_file().exists()
    assert what_would_go().is_empty
    assert PlanRow.objects.count() == 2
    assert LimitRow.objects.count() == 1
    assert Lease.objects.get().token == 17, "the fence has seen it, and refuses lower ones"


def test_clearing_twice_says_that_there_is_nothing(desk):
    load()
    clear_demo(actor=SYSTEM)
    code, said = run("demo_clear", "--yes")
    assert code == 0
    assert "nothing to delete" in said


def test_nothing_is_cleared_while_the_desk_is_up(desk):
    load()
    with alone(), pytest.raises(AlreadyUpError):
        clear_demo(actor=SYSTEM)
    assert is_loaded()


def test_nothing_is_cleared_while_a_simulator_runs(desk):
    load()
    (Path(desk.state_dir) / "run" / "control.json").write_text(json.dumps({"pid": os.getpid()}))
    code, said = run("demo_clear", "--yes")
    assert code == ExitCode.REFUSED
    assert "simulator" in said
    assert is_loaded()


def test_a_users_own_administrator_is_not_the_demos(desk):
    get_user_model().objects.create_superuser(username="admin", password="a person's own")
    load()
    clear_demo(actor=SYSTEM)
    assert get_user_model().objects.filter(username="admin").exists()


def test_models_outside_the_models_folder_are_never_deleted(desk, tmp_path):
    load()
    outside = tmp_path / "precious"
    outside.mkdir()
    FittedModel.objects.filter(pk=FittedModel.objects.first().pk).update(path="../precious")

    clear_demo(actor=SYSTEM)

    assert outside.is_dir()
    shutil.rmtree(outside)
